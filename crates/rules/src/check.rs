//! Names and types: from the syntax tree to a program.
//!
//! Children stand before their parents in the tree, so one pass over it in order is enough, without recursion.

use std::collections::{BTreeMap, BTreeSet};

use yagura_event::field::{ObjectKind, Scalar};
use yagura_event::{FieldId, Registry, Tree, Type};

mod calls;
mod names;
mod operators;
mod types;

use crate::ast::{Ast, Node, NodeId};
use crate::diagnostic::{Code, Part, Sink, Span};
use crate::expr::{Expr, ExprId, MacroKind, PatternLimits, Program};
use crate::lists::Lists;
use crate::{limits, parser};
use types::{are_apart, article, is_boolean, type_of_tree, unify};

/// What a node of the syntax tree stands for.
#[derive(Clone, Debug)]
enum Sense {
    /// A mistake, which is reported.
    Error,
    /// A value.
    Value(ExprId),
    /// A name of fields, and the field that has this very name.
    Path(String, Option<FieldId>),
    /// The start of a member's name, such as `user` of `user.name`.
    Member(ExprId, ObjectKind, String),
    /// `lists`.
    Lists,
    /// `parameters`.
    Parameters,
}

/// A name that a rule gives to a part of its condition.
struct Let {
    name: String,
    root: Option<ExprId>,
    part: Part,
    used: bool,
}

/// Checks the parts of one rule into one program.
pub(crate) struct Checker<'r> {
    registry: &'r Registry,
    lists: &'r Lists,
    parameters: Option<&'r BTreeMap<String, Tree>>,
    pub(crate) program: Program,
    /// Type and place of each expression of the program.
    notes: Vec<(Type, Part, Span)>,
    lets: Vec<Let>,
    /// What patterns the part that is being checked may add.
    patterns: PatternLimits,
    /// Names of lists that were asked for, whether there are such or not.
    pub(crate) used_lists: BTreeSet<String>,
    pub(crate) sink: Sink,
}

/// One source while it is checked.
struct Walk<'a> {
    ast: &'a Ast,
    part: Part,
    senses: Vec<Sense>,
}

impl Walk<'_> {
    fn span(&self, id: NodeId) -> Span {
        self.ast.span(id)
    }
}

impl<'r> Checker<'r> {
    pub(crate) fn new(
        registry: &'r Registry,
        lists: &'r Lists,
        parameters: Option<&'r BTreeMap<String, Tree>>,
    ) -> Self {
        Self {
            registry,
            lists,
            parameters,
            program: Program::default(),
            notes: Vec::new(),
            lets: Vec::new(),
            patterns: PatternLimits {
                count: limits::PATTERNS,
                bytes: limits::REGEX_BYTES,
            },
            used_lists: BTreeSet::new(),
            sink: Sink::default(),
        }
    }

    /// Checks one source; `None` when it has an error.
    pub(crate) fn check(&mut self, source: &str, part: Part) -> Option<ExprId> {
        let before = self.sink.len();
        let from = self.program.nodes().len();
        let ast = parser::parse(source, part, &mut self.sink)?;
        let mut walk = Walk {
            ast: &ast,
            part,
            senses: Vec::with_capacity(ast.nodes().len()),
        };
        self.check_binders(&walk);
        for (node, span) in ast.nodes() {
            // Nobody reads more mistakes than that, and each costs a search for what was meant.
            if self.sink.is_full() {
                return None;
            }
            let sense = self.node(&walk, node, *span);
            walk.senses.push(sense);
        }
        let root = self.value(&walk, ast.root?)?;
        self.check_named_lists(part, from, root);
        // What is left of a source with a mistake says nothing.
        (self.sink.len() == before).then_some(root)
    }

    /// Checks a source whose result has to be true or false.
    pub(crate) fn check_condition(&mut self, source: &str, part: Part) -> Option<ExprId> {
        let root = self.check(source, part)?;
        match self.type_of(root) {
            Type::One(Scalar::Bool | Scalar::Dynamic) => Some(root),
            other => {
                let (_, _, span) = self.notes[root.index()];
                let help = match other {
                    Type::List(_) => "use exists, all or size",
                    Type::One(_) => "compare it with something, or use has(…)",
                };
                self.error(
                    Code::NOT_A_CONDITION,
                    part,
                    span,
                    format!("the result is {}, not true or false", article(other)),
                    Some(help.to_owned()),
                );
                None
            }
        }
    }

    /// A condition that holds when both do. It stands where `second` is written.
    pub(crate) fn both(&mut self, first: ExprId, second: ExprId) -> ExprId {
        self.join(second, Expr::And(vec![first, second]))
    }

    /// A condition that holds when one of `all` does. It stands where `at` is written.
    pub(crate) fn any(&mut self, at: ExprId, all: Vec<ExprId>) -> ExprId {
        self.join(at, Expr::Or(all))
    }

    fn join(&mut self, at: ExprId, expr: Expr) -> ExprId {
        let (part, span) = self.place(at);
        self.notes.push((Type::One(Scalar::Bool), part, span));
        self.program.push(expr)
    }

    /// Checks what a finding shows: its reader has to know what is meant.
    pub(crate) fn check_evidence(&mut self, source: &str, index: usize) -> Option<ExprId> {
        let part = Part::Evidence(index);
        let root = self.check(source, part)?;
        let ty = self.type_of(root);
        let (Type::One(scalar) | Type::List(scalar)) = ty;
        if scalar == Scalar::Quantity {
            let message = format!("{} is only compared, and cannot be shown", article(ty));
            let help = Some("show the text that it is read from".to_owned());
            let (_, span) = self.place_in(part, root);
            self.error(Code::WRONG_TYPE, part, span, message, help);
            return None;
        }
        Some(root)
    }

    /// Checks the condition of an Exception object: its patterns are limited on their own, whatever the rule and other
    /// exceptions have.
    pub(crate) fn check_joined(&mut self, source: &str, part: Part) -> Option<ExprId> {
        self.patterns = PatternLimits {
            count: self.program.pattern_count() + limits::JOINED_PATTERNS,
            bytes: limits::JOINED_REGEX_BYTES,
        };
        self.check_condition(source, part)
    }

    /// Checks a `let` and remembers it under its name.
    pub(crate) fn check_let(&mut self, index: usize, name: &str, value: &str) {
        let part = Part::LetName(index);
        let span = Span::new(0, name.len());
        let refusal = if !is_identifier(name) {
            Some("a name has letters, digits and _ and does not begin with a digit".to_owned())
        } else if is_reserved(name) || crate::function::find(name).is_some() {
            Some(format!("`{name}` is a word of the language"))
        } else if self.registry.find(name).is_some() || self.registry.is_prefix(name) {
            Some(format!("`{name}` is the name of a field"))
        } else if self.lets.iter().any(|known| known.name == name) {
            Some(format!("`{name}` is there twice"))
        } else {
            None
        };
        let refused = refusal.is_some();
        if let Some(message) = refusal {
            self.error(Code::BAD_LET, part, span, message, None);
        }
        let root = self.check(value, Part::Let(index));
        if !refused {
            self.lets.push(Let {
                name: name.to_owned(),
                root,
                part,
                used: false,
            });
        }
    }

    /// Warns about names that nothing uses.
    pub(crate) fn warn_unused(&mut self) {
        for index in 0..self.lets.len() {
            let Let { name, part, used, .. } = &self.lets[index];
            if !used {
                let (message, part, span) =
                    (format!("`{name}` is not used"), *part, Span::new(0, name.len()));
                self.error(
                    Code::UNUSED_LET,
                    part,
                    span,
                    message,
                    Some("remove it".to_owned()),
                );
            }
        }
    }

    pub(crate) fn place(&self, id: ExprId) -> (Part, Span) {
        let (_, part, span) = self.notes[id.index()];
        (part, span)
    }

    /// Where each expression of the program is written.
    pub(crate) fn places(&self) -> Vec<(Part, Span)> {
        self.notes.iter().map(|(_, part, span)| (*part, *span)).collect()
    }

    pub(crate) fn type_of(&self, id: ExprId) -> Type {
        self.notes[id.index()].0
    }

    pub(crate) fn error(
        &mut self,
        code: Code,
        part: Part,
        span: Span,
        message: String,
        help: Option<String>,
    ) {
        self.sink.push(code, part, span, message, help);
    }

    fn push(&mut self, walk: &Walk<'_>, expr: Expr, ty: Type, span: Span) -> ExprId {
        self.notes.push((ty, walk.part, span));
        self.program.push(expr)
    }

    fn emit(&mut self, walk: &Walk<'_>, expr: Expr, ty: Type, span: Span) -> Sense {
        Sense::Value(self.push(walk, expr, ty, span))
    }

    /// The value that a node stands for; reports one that stands for none.
    fn value(&mut self, walk: &Walk<'_>, id: NodeId) -> Option<ExprId> {
        let span = walk.span(id);
        match walk.senses[id.index()].clone() {
            Sense::Error => None,
            Sense::Value(value) => Some(value),
            Sense::Path(_, Some(field)) => {
                let ty = self.registry.field(field).ty;
                Some(self.push(walk, Expr::Field(field), ty, span))
            }
            Sense::Path(path, None) => {
                let example = self
                    .registry
                    .fields()
                    .map(|(_, field)| field.path)
                    .find(|name| name.starts_with(&format!("{path}.")));
                let help = example.map(|example| format!("name one of its fields, such as {example}"));
                self.error(
                    Code::NOT_A_VALUE,
                    walk.part,
                    span,
                    format!("`{path}` is a group of fields, not a value"),
                    help,
                );
                None
            }
            Sense::Member(_, kind, name) => {
                let message = format!("`{name}` of a {} is a group, not a value", kind.as_str());
                self.error(Code::NOT_A_VALUE, walk.part, span, message, None);
                None
            }
            Sense::Lists => {
                let help = Some("write lists[\"name\"]".to_owned());
                self.error(
                    Code::NOT_A_VALUE,
                    walk.part,
                    span,
                    "`lists` is no value".to_owned(),
                    help,
                );
                None
            }
            Sense::Parameters => {
                let help = Some("write parameters.name".to_owned());
                self.error(
                    Code::NOT_A_VALUE,
                    walk.part,
                    span,
                    "`parameters` is no value".to_owned(),
                    help,
                );
                None
            }
        }
    }

    fn node(&mut self, walk: &Walk<'_>, node: &Node, span: Span) -> Sense {
        match node {
            Node::Error => Sense::Error,
            Node::Literal(value) => self.emit(walk, Expr::Const(value.clone()), type_of_tree(value), span),
            Node::Ident(name) => self.ident(walk, name, span),
            Node::Variable(binder) => {
                let binder = &walk.ast.binders[binder.0];
                let element = match &walk.senses[binder.range.index()] {
                    Sense::Value(range) => self.type_of(*range),
                    Sense::Path(_, Some(field)) => self.registry.field(*field).ty,
                    _ => return Sense::Error,
                };
                let element = match element {
                    Type::List(scalar) => Type::One(scalar),
                    Type::One(_) => Type::DYNAMIC,
                };
                self.emit(walk, Expr::Variable(binder.level), element, span)
            }
            Node::Select(base, name, name_span) => self.select(walk, *base, name, *name_span, span),
            Node::Index(base, index) => self.index(walk, *base, *index, span),
            Node::Call {
                function,
                name,
                target,
                arguments,
            } => self.call(walk, function, *name, *target, arguments, span),
            Node::Has(argument) => match self.value(walk, *argument) {
                Some(value) => {
                    let absent = self.push(walk, Expr::IsNull(value), Type::BOOL, span);
                    self.emit(walk, Expr::Not(absent), Type::BOOL, span)
                }
                None => Sense::Error,
            },
            Node::Macro {
                kind,
                binder,
                range,
                body,
            } => self.macro_(walk, *kind, *range, *body, walk.ast.binders[binder.0].level, span),
            Node::List(elements) => self.list(walk, elements, span),
            Node::Not(operand) => self.not(walk, *operand, span),
            Node::Negate(operand) => self.negate(walk, *operand, span),
            Node::Binary(operator, left, right) => self.binary(walk, *operator, *left, *right, span),
            Node::Conditional(condition, then, otherwise) => {
                self.conditional(walk, *condition, *then, *otherwise, span)
            }
        }
    }

    fn list(&mut self, walk: &Walk<'_>, elements: &[NodeId], span: Span) -> Sense {
        let mut ids = Vec::with_capacity(elements.len());
        let mut constants = Some(Vec::with_capacity(elements.len()));
        let mut element_type: Option<Type> = None;
        for element in elements {
            let Some(id) = self.value(walk, *element) else {
                return Sense::Error;
            };
            let ty = self.type_of(id);
            if let Some(before) = element_type.filter(|before| are_apart(*before, ty)) {
                return self.mixed(walk, before, ty, span);
            }
            element_type = Some(element_type.map_or(ty, |before| unify(before, ty)));
            match (self.program.get(id), &mut constants) {
                (Expr::Const(value), Some(constants)) => constants.push(value.clone()),
                _ => constants = None,
            }
            ids.push(id);
        }
        let ty = match element_type {
            Some(Type::One(scalar)) => Type::List(scalar),
            _ => Type::List(Scalar::Dynamic),
        };
        let expr = constants.map_or(Expr::List(ids), |values| Expr::Const(Tree::List(values)));
        self.emit(walk, expr, ty, span)
    }

    fn macro_(
        &mut self,
        walk: &Walk<'_>,
        kind: MacroKind,
        range: NodeId,
        body: NodeId,
        level: u8,
        span: Span,
    ) -> Sense {
        let range_value = self.value(walk, range);
        let body_value = self.value(walk, body);
        if level >= limits::MACRO_DEPTH {
            let help = Some("give the inner part a name with let, or test a simpler field".to_owned());
            self.error(
                Code::MACROS_TOO_DEEP,
                walk.part,
                span,
                "macros may be nested once".to_owned(),
                help,
            );
            return Sense::Error;
        }
        let (Some(range_value), Some(body_value)) = (range_value, body_value) else {
            return Sense::Error;
        };
        let range_type = self.type_of(range_value);
        if !matches!(range_type, Type::List(_) | Type::One(Scalar::Dynamic)) {
            let message = format!(
                "`{}` wants a list, this is {}",
                kind.as_str(),
                article(range_type)
            );
            self.error(Code::WRONG_TYPE, walk.part, walk.span(range), message, None);
            return Sense::Error;
        }
        let body_type = self.type_of(body_value);
        if kind != MacroKind::Map && !is_boolean(body_type) {
            let message = format!("`{}` wants a test, this is {}", kind.as_str(), article(body_type));
            self.error(Code::WRONG_TYPE, walk.part, walk.span(body), message, None);
            return Sense::Error;
        }
        let ty = match (kind, body_type, range_type) {
            (MacroKind::Map, Type::One(scalar), _) => Type::List(scalar),
            (MacroKind::Map, Type::List(_), _) | (MacroKind::Filter, _, Type::One(_)) => {
                Type::List(Scalar::Dynamic)
            }
            (MacroKind::Filter, _, list) => list,
            _ => Type::BOOL,
        };
        self.emit(
            walk,
            Expr::Macro {
                kind,
                range: range_value,
                variable: level,
                body: body_value,
            },
            ty,
            span,
        )
    }
}

pub(crate) fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.len() <= 63
}

/// Words that CEL keeps for itself, and roots of the language.
pub(crate) fn is_reserved(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
        "lists",
        "parameters",
    ];
    RESERVED.contains(&name) || crate::function::is_namespace(name)
}
