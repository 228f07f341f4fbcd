//! What names mean: fields, `let` names, variables, members.

use std::sync::Arc;

use yagura_event::field::Scalar;
use yagura_event::{Text, Tree, Type};

use super::types::{article, text_of, type_of_tree};
use super::{Checker, Sense, Walk, is_reserved};
use crate::ast::NodeId;
use crate::diagnostic::{Code, Part, Span};
use crate::expr::{Expr, ExprId};
use crate::lists::NoList;
use crate::suggest::nearest;

impl Checker<'_> {
    /// Refuses variables that hide something.
    pub(super) fn check_binders(&mut self, walk: &Walk<'_>) {
        for (index, binder) in walk.ast.binders.iter().enumerate() {
            let name = &binder.name;
            let hidden = if is_reserved(name) {
                Some("a word of the language")
            } else if self.registry.find(name).is_some() || self.registry.is_prefix(name) {
                Some("a field")
            } else if self.lets.iter().any(|known| known.name == *name) {
                Some("a let")
            } else if walk.ast.binders[..index]
                .iter()
                .rfind(|outer| outer.level < binder.level)
                .is_some_and(|outer| outer.name == *name)
            {
                Some("the variable of the macro around it")
            } else {
                None
            };
            if let Some(hidden) = hidden {
                let message = format!("the variable `{name}` hides {hidden}");
                self.error(
                    Code::BAD_LET,
                    walk.part,
                    binder.span,
                    message,
                    Some("use another name".to_owned()),
                );
            }
        }
    }

    pub(super) fn ident(&mut self, walk: &Walk<'_>, name: &str, span: Span) -> Sense {
        if let Some(known) = self.lets.iter_mut().find(|known| known.name == name) {
            known.used = true;
            return known.root.map_or(Sense::Error, Sense::Value);
        }
        let field = self.registry.find(name);
        if field.is_some() || self.registry.is_prefix(name) {
            return Sense::Path(name.to_owned(), field);
        }
        match name {
            "lists" => return Sense::Lists,
            "parameters" if self.parameters.is_some() => return Sense::Parameters,
            _ => {}
        }
        let roots = self
            .registry
            .fields()
            .map(|(_, field)| field.path.split('.').next().unwrap_or_default());
        let lets = self.lets.iter().map(|known| known.name.as_str());
        let variables = walk.ast.binders.iter().map(|binder| binder.name.as_str());
        let help = if let Some(near) = nearest(name, roots.chain(lets).chain(variables)) {
            format!("did you mean {near}?")
        } else if crate::function::find(name).is_some() {
            format!("`{name}` is a function: write its arguments in brackets")
        } else if let Some(ending) = self.field_ending_in(name) {
            format!("did you mean {ending}?")
        } else {
            format!("text stands in quotes: \"{name}\"; `yagura fields` lists the fields")
        };
        self.error(
            Code::UNKNOWN_NAME,
            walk.part,
            span,
            format!("unknown name {name}"),
            Some(help),
        );
        Sense::Error
    }

    fn field_ending_in(&self, name: &str) -> Option<&'static str> {
        let ending = format!(".{name}");
        self.registry
            .fields()
            .map(|(_, field)| field.path)
            .find(|path| path.ends_with(&ending))
    }

    pub(super) fn select(
        &mut self,
        walk: &Walk<'_>,
        base: NodeId,
        name: &str,
        name_span: Span,
        span: Span,
    ) -> Sense {
        match walk.senses[base.index()].clone() {
            Sense::Error => Sense::Error,
            Sense::Path(path, field) => {
                let longer = format!("{path}.{name}");
                let found = self.registry.find(&longer);
                if found.is_some() || self.registry.is_prefix(&longer) {
                    return Sense::Path(longer, found);
                }
                if field.is_some() && !self.registry.is_prefix(&path) {
                    return self.member(walk, base, name, span);
                }
                self.unknown_field(walk, &longer, span)
            }
            Sense::Value(_) => self.member(walk, base, name, span),
            Sense::Member(value, kind, start) => {
                let longer = format!("{start}.{name}");
                self.object_member(walk, value, kind, &longer, span)
            }
            Sense::Lists => {
                let message = "a named list is written lists[\"name\"]".to_owned();
                self.error(Code::NOT_A_VALUE, walk.part, span, message, None);
                Sense::Error
            }
            Sense::Parameters => {
                let Some(value) = self
                    .parameters
                    .and_then(|parameters| parameters.get(name))
                    .cloned()
                else {
                    let near = self
                        .parameters
                        .and_then(|known| nearest(name, known.keys().map(String::as_str)));
                    let help = near.map(|near| format!("did you mean {near}?"));
                    self.error(
                        Code::UNKNOWN_NAME,
                        walk.part,
                        name_span,
                        format!("unknown parameter {name}"),
                        help,
                    );
                    return Sense::Error;
                };
                let ty = type_of_tree(&value);
                self.emit(walk, Expr::Const(value), ty, span)
            }
        }
    }

    fn unknown_field(&mut self, walk: &Walk<'_>, path: &str, span: Span) -> Sense {
        let near = nearest(path, self.registry.fields().map(|(_, field)| field.path));
        let help = match near {
            Some(near) => format!("did you mean {near}?"),
            None => "`yagura fields` lists the fields".to_owned(),
        };
        self.error(
            Code::UNKNOWN_FIELD,
            walk.part,
            span,
            format!("unknown field {path}"),
            Some(help),
        );
        Sense::Error
    }

    /// A member of a value.
    fn member(&mut self, walk: &Walk<'_>, base: NodeId, name: &str, span: Span) -> Sense {
        let Some(value) = self.value(walk, base) else {
            return Sense::Error;
        };
        match self.type_of(value) {
            Type::One(Scalar::Object(kind)) => self.object_member(walk, value, kind, name, span),
            Type::One(Scalar::StringMap) => {
                self.emit(walk, Expr::Select(value, Text::from(name)), Type::STRING, span)
            }
            Type::One(Scalar::Dynamic) => {
                self.emit(walk, Expr::Select(value, Text::from(name)), Type::DYNAMIC, span)
            }
            other => {
                let message = format!("{} has no member `{name}`", article(other));
                let help = match other {
                    Type::List(_) => Some(format!("ask for its elements: list.exists(x, x.{name} == …)")),
                    Type::One(_) if crate::function::find(name).is_some() => {
                        Some(format!("a function is called with brackets: .{name}(…)"))
                    }
                    Type::One(_) => None,
                };
                self.error(Code::WRONG_TYPE, walk.part, span, message, help);
                Sense::Error
            }
        }
    }

    fn object_member(
        &mut self,
        walk: &Walk<'_>,
        value: ExprId,
        kind: yagura_event::field::ObjectKind,
        name: &str,
        span: Span,
    ) -> Sense {
        if let Some((id, member)) = kind.find(name) {
            return self.emit(walk, Expr::Member(value, id), member.ty, span);
        }
        let start = format!("{name}.");
        if kind.members().any(|(_, member)| member.name.starts_with(&start)) {
            return Sense::Member(value, kind, name.to_owned());
        }
        let names: Vec<&str> = kind.members().map(|(_, member)| member.name).collect();
        let help = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("it has {}", names.join(", ")),
        };
        self.error(
            Code::UNKNOWN_FIELD,
            walk.part,
            span,
            format!("a {} has no member {name}", kind.as_str()),
            Some(help),
        );
        Sense::Error
    }

    pub(super) fn index(&mut self, walk: &Walk<'_>, base: NodeId, index: NodeId, span: Span) -> Sense {
        if matches!(walk.senses[base.index()], Sense::Lists) {
            return self.named_list(walk, index, span);
        }
        let (base_value, index_value) = (self.value(walk, base), self.value(walk, index));
        let (Some(base_value), Some(index_value)) = (base_value, index_value) else {
            return Sense::Error;
        };
        let (base_type, index_type) = (self.type_of(base_value), self.type_of(index_value));
        let wanted = match (base_type, index_type) {
            (Type::List(scalar), Type::One(Scalar::Int | Scalar::Dynamic)) => {
                return self.emit(
                    walk,
                    Expr::Index(base_value, index_value),
                    Type::One(scalar),
                    span,
                );
            }
            (Type::One(Scalar::StringMap), Type::One(Scalar::String | Scalar::Dynamic)) => {
                return self.emit(walk, Expr::Index(base_value, index_value), Type::STRING, span);
            }
            (Type::One(Scalar::Dynamic), Type::One(Scalar::String | Scalar::Int | Scalar::Dynamic)) => {
                return self.emit(walk, Expr::Index(base_value, index_value), Type::DYNAMIC, span);
            }
            (Type::List(_), _) => "a list is indexed by an int",
            (Type::One(Scalar::StringMap), _) => "a map is indexed by a string",
            (Type::One(Scalar::Dynamic), _) => "an index is an int or a string",
            _ => "only lists and maps have an index",
        };
        let message = format!("{wanted}; this is {base_type}[{index_type}]");
        self.error(Code::WRONG_TYPE, walk.part, span, message, None);
        Sense::Error
    }

    fn named_list(&mut self, walk: &Walk<'_>, index: NodeId, span: Span) -> Sense {
        let Some(index_value) = self.value(walk, index) else {
            return Sense::Error;
        };
        let name = match self.program.get(index_value) {
            Expr::Const(value) => text_of(value).map(ToString::to_string),
            _ => None,
        };
        let Some(name) = name else {
            let message = "the name of a list is written out: lists[\"name\"]".to_owned();
            self.error(Code::WRONG_TYPE, walk.part, walk.span(index), message, None);
            return Sense::Error;
        };
        self.used_lists.insert(name.clone());
        let shown = Tree::from(name.as_str()).shown();
        let (message, help) = match self.lists.find(&name) {
            Ok(list) => {
                let list = Arc::clone(list);
                return self.emit(walk, Expr::Named(list), Type::STRINGS, span);
            }
            Err(NoList::Unusable(why)) => (format!("the list {shown} cannot be used: {why}"), None),
            Err(NoList::Unknown) => {
                let help = match nearest(&name, self.lists.names()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "there has to be a ValueList of this name".to_owned(),
                };
                (format!("unknown list {shown}"), Some(help))
            }
        };
        self.error(Code::UNKNOWN_LIST, walk.part, walk.span(index), message, help);
        Sense::Error
    }

    /// Refuses named lists that are no values where one is wanted, in the expressions from this one on.
    pub(super) fn check_named_lists(&mut self, part: Part, from: usize, root: ExprId) {
        let mut wrong: Vec<ExprId> = Vec::new();
        for expr in &self.program.nodes()[from..] {
            let members = match expr {
                Expr::In(..) => 1,
                _ => usize::MAX,
            };
            wrong.extend(
                expr.children()
                    .take(members)
                    .filter(|child| self.is_no_value(*child)),
            );
        }
        // A let gives it a name, and is checked where that is used.
        if !matches!(part, Part::Let(_)) && self.is_no_value(root) {
            wrong.push(root);
        }
        for id in wrong {
            let Expr::Named(list) = self.program.get(id) else {
                continue;
            };
            let message = format!("a list of type {} can only stand after `in`", list.kind());
            let (_, span) = self.place_in(part, id);
            let help = Some(
                "write value in lists[\"name\"]; only a list of strings has values that can be read"
                    .to_owned(),
            );
            self.error(Code::WRONG_TYPE, part, span, message, help);
        }
    }

    fn is_no_value(&self, id: ExprId) -> bool {
        matches!(self.program.get(id), Expr::Named(list) if list.strings().is_none())
    }
}

/// How a literal is shown in a message.
pub(super) trait Shown {
    /// Short and escaped.
    fn shown(&self) -> String;
}

impl Shown for Tree {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => {
                let mut shown: String = text.to_string().chars().take(60).collect();
                shown.insert(0, '"');
                shown.push('"');
                shown
            }
            other => format!("{other:?}").chars().take(60).collect(),
        }
    }
}
