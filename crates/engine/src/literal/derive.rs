//! Which texts a condition needs.

use std::borrow::Cow;
use std::rc::Rc;

use yagura_event::{Registry, Text, Tree};
use yagura_rules::expr::{Expr, ExprId, MacroKind, Program};
use yagura_rules::function::Function;
use yagura_rules::limits;

use super::cost::Cost;
use super::pattern::beginnings;
use super::{Base, Literal, Place, Shape};

/// Most texts of one rule: more take memory and tell little.
const TEXTS: usize = 1_024;

/// Texts of which one has to be seen.
#[derive(Clone, Debug)]
struct Texts<'p> {
    cost: Cost,
    all: Rc<[Literal<'p>]>,
}

/// What an expression needs of fields, and what of the variable of each macro around it: where it needs several of these,
/// each follows by itself.
type Needs<'p> = [Option<Texts<'p>>; 1 + limits::MACRO_DEPTH as usize];

const NOTHING: Needs<'_> = [const { None }; 1 + limits::MACRO_DEPTH as usize];

/// A value that a condition tests.
#[derive(Clone, Copy, Debug)]
struct Tested {
    place: Place,
    /// It is the value itself; otherwise a part of it.
    itself: bool,
    /// The case of its letters was changed.
    any_case: bool,
}

/// Texts of which an event has at least one, or something unknown where it would stand, whenever the condition is not false
/// for it; `None` when nothing of the kind follows.
pub(crate) fn witness(program: &Program, condition: ExprId) -> Option<Vec<Literal<'_>>> {
    let deriving = Deriving {
        program,
        registry: Registry::workload(),
    };
    let nodes = &program.nodes()[..=condition.index()];
    let mut holding: Vec<Needs<'_>> = Vec::with_capacity(nodes.len());
    let mut failing: Vec<Needs<'_>> = Vec::with_capacity(nodes.len());
    for expr in nodes {
        let (when, when_not) = match expr {
            Expr::And(members) => (best(members, &holding), deriving.any(members, &failing)),
            Expr::Or(members) => (deriving.any(members, &holding), best(members, &failing)),
            Expr::Not(inner) => (failing[inner.index()].clone(), holding[inner.index()].clone()),
            Expr::Macro {
                kind: MacroKind::Exists | MacroKind::ExistsOne,
                range,
                variable,
                body,
            } => (
                deriving.element(*range, *variable, &holding[body.index()]),
                NOTHING,
            ),
            expr => (deriving.test(expr).unwrap_or(NOTHING), NOTHING),
        };
        holding.push(when);
        failing.push(when_not);
    }
    let [of_fields, ..] = holding.pop()?;
    let texts = of_fields.filter(|texts| texts.cost.useful())?;
    Some(texts.all.to_vec())
}

/// What decides best among what each member needs by itself.
fn best<'p>(members: &[ExprId], needs: &[Needs<'p>]) -> Needs<'p> {
    std::array::from_fn(|slot| {
        let known = members
            .iter()
            .filter_map(|member| needs[member.index()][slot].as_ref());
        known.min_by(|left, right| left.cost.order(&right.cost)).cloned()
    })
}

struct Deriving<'p> {
    program: &'p Program,
    registry: &'static Registry,
}

impl<'p> Deriving<'p> {
    /// What is needed when at least one of the members holds.
    fn any(&self, members: &[ExprId], needs: &[Needs<'p>]) -> Needs<'p> {
        std::array::from_fn(|slot| {
            let mut all = Vec::new();
            for member in members {
                all.extend_from_slice(&needs[member.index()][slot].as_ref()?.all);
                if all.len() > TEXTS {
                    return None;
                }
            }
            self.texts(all)
        })
    }

    /// What a macro needs that holds, or is unknown, only if its body does for one of the elements or the list has others.
    fn element(&self, range: ExprId, variable: u8, body: &Needs<'p>) -> Needs<'p> {
        let mapped = || {
            let tested = self.tested(range).filter(|tested| tested.itself)?;
            let texts = body.get(1 + usize::from(variable))?.as_ref()?;
            let place = |place: Place| match (tested.place.member, place.member) {
                (member, None) | (None, member) => Some(Place {
                    base: tested.place.base,
                    member,
                }),
                (Some(_), Some(_)) => None,
            };
            let all: Option<Vec<Literal<'p>>> = texts
                .all
                .iter()
                .map(|literal| {
                    Some(Literal {
                        place: place(literal.place)?,
                        ..literal.clone()
                    })
                })
                .collect();
            self.needs(tested.place.base, all?)
        };
        mapped().unwrap_or(NOTHING)
    }

    fn needs(&self, base: Base, all: Vec<Literal<'p>>) -> Option<Needs<'p>> {
        let mut needs = NOTHING;
        let slot = match base {
            Base::Field(_) => 0,
            Base::Variable(level) => 1 + usize::from(level),
        };
        *needs.get_mut(slot)? = self.texts(all);
        Some(needs)
    }

    fn texts(&self, all: Vec<Literal<'p>>) -> Option<Texts<'p>> {
        // What is in everything, and an empty set, which no event would have, tell nothing.
        let tells = |literal: &Literal<'_>| literal.shape == Shape::Whole || !literal.text.is_empty();
        if all.len() > TEXTS || !all.iter().all(tells) {
            return None;
        }
        let costs = all.iter().map(|literal| Cost::of(literal, self.registry));
        let cost = costs.reduce(Cost::and)?;
        Some(Texts {
            cost,
            all: all.into(),
        })
    }

    /// What a test needs that is neither a combination nor a macro.
    fn test(&self, expr: &Expr) -> Option<Needs<'p>> {
        match expr {
            Expr::Equal(left, right) => {
                let (tested, text) = self
                    .with_text(*left, *right)
                    .or_else(|| self.with_text(*right, *left))?;
                self.stands(tested, Shape::Whole, [text])
            }
            // A text in a list of the event.
            Expr::In(left, right) if self.text(*left).is_some() => {
                let (tested, text) = self
                    .with_text(*right, *left)
                    .filter(|(tested, _)| tested.itself)?;
                self.stands(tested, Shape::Whole, [text])
            }
            Expr::In(left, right) => self.stands(self.tested(*left)?, Shape::Whole, self.written(*right)?),
            Expr::Matches(left, pattern) => {
                let texts = beginnings(&self.program.pattern(*pattern).source)?;
                let texts = texts.into_iter().map(Cow::Owned);
                self.stand(self.tested(*left)?, Shape::Within, texts)
            }
            Expr::Call(Function::Intersects, arguments) => {
                let [left, right] = arguments[..] else { return None };
                let one = self.tested(left).zip(self.written(right));
                let (tested, texts) = one.or_else(|| self.tested(right).zip(self.written(left)))?;
                self.stands(tested, Shape::Whole, texts)
            }
            Expr::Call(function, arguments) => {
                let shape = match function {
                    Function::StartsWith => Shape::Prefix,
                    Function::EndsWith | Function::Contains => Shape::Within,
                    Function::EqualsIgnoreCase
                    | Function::StartsWithIgnoreCase
                    | Function::EndsWithIgnoreCase
                    | Function::ContainsIgnoreCase => Shape::WithinAnyCase,
                    _ => return None,
                };
                let [left, right] = arguments[..] else { return None };
                let (tested, text) = match function {
                    Function::EqualsIgnoreCase => self
                        .with_text(left, right)
                        .or_else(|| self.with_text(right, left))?,
                    _ => self.with_text(left, right)?,
                };
                self.stands(tested, shape, [text])
            }
            _ => None,
        }
    }

    fn with_text(&self, tested: ExprId, text: ExprId) -> Option<(Tested, &'p [u8])> {
        self.tested(tested).zip(self.text(text))
    }

    /// The needs of a test that one of the texts stands in a value like this.
    fn stands(
        &self,
        tested: Tested,
        shape: Shape,
        texts: impl IntoIterator<Item = &'p [u8]>,
    ) -> Option<Needs<'p>> {
        self.stand(tested, shape, texts.into_iter().map(Cow::Borrowed))
    }

    fn stand(
        &self,
        tested: Tested,
        shape: Shape,
        texts: impl Iterator<Item = Cow<'p, [u8]>>,
    ) -> Option<Needs<'p>> {
        let shape = match (tested.itself, tested.any_case) {
            (_, true) => Shape::WithinAnyCase,
            (true, false) => shape,
            (false, false) if shape == Shape::WithinAnyCase => shape,
            (false, false) => Shape::Within,
        };
        let all = texts.take(TEXTS + 1).map(|text| Literal {
            place: tested.place,
            shape,
            text,
        });
        self.needs(tested.place.base, all.collect())
    }

    /// The value that stands behind an expression; also when the expression is a part of it, because what is found in the
    /// part is found in the whole.
    fn tested(&self, id: ExprId) -> Option<Tested> {
        let whole = |base, member| Tested {
            place: Place { base, member },
            itself: true,
            any_case: false,
        };
        match self.program.get(id) {
            Expr::Field(field) => Some(whole(Base::Field(*field), None)),
            Expr::Variable(level) => Some(whole(Base::Variable(*level), None)),
            Expr::Member(object, member) => match self.program.get(*object) {
                Expr::Field(field) => Some(whole(Base::Field(*field), Some(*member))),
                Expr::Variable(level) => Some(whole(Base::Variable(*level), Some(*member))),
                _ => None,
            },
            Expr::Call(function, arguments) => {
                let any_case = match function {
                    Function::Base | Function::Dir | Function::Trim => false,
                    Function::LowerAscii | Function::UpperAscii => true,
                    _ => return None,
                };
                let [inner] = arguments[..] else { return None };
                // A list of them is none, and no text either.
                let inner = self.tested(inner)?;
                Some(Tested {
                    itself: false,
                    any_case: any_case || inner.any_case,
                    ..inner
                })
            }
            _ => None,
        }
    }

    fn text(&self, id: ExprId) -> Option<&'p [u8]> {
        match self.program.get(id) {
            Expr::Const(Tree::Text(text)) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The texts of a list that is written out, or has a name. Other values in it would be needs of another sort.
    fn written(&self, id: ExprId) -> Option<Vec<&'p [u8]>> {
        match self.program.get(id) {
            Expr::Const(Tree::List(values)) => values
                .iter()
                .map(|value| match value {
                    Tree::Text(text) => Some(text.as_bytes()),
                    _ => None,
                })
                .collect(),
            Expr::Named(list) => {
                let values = list.strings().filter(|values| values.len() <= TEXTS)?;
                Some(values.iter().map(Text::as_bytes).collect())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use yagura_rules::{Lists, RuleSource, compile};

    use super::*;

    /// What a condition needs, as `field[.member] shape text`.
    fn needs(condition: &str) -> Option<Vec<String>> {
        let compiled = compile(
            &RuleSource::new("r", condition),
            Registry::workload(),
            &Lists::default(),
        );
        let rule = compiled.rule.expect(condition);
        let texts = witness(&rule.program, rule.condition)?;
        let shown = texts.iter().map(|literal| {
            let Base::Field(field) = literal.place.base else {
                return format!("{literal:?}");
            };
            let path = Registry::workload().field(field).path;
            let member = literal
                .place
                .member
                .map(|member| format!(".{}", member.0))
                .unwrap_or_default();
            let text = String::from_utf8_lossy(&literal.text);
            format!("{path}{member} {:?} {text}", literal.shape)
        });
        Some(shown.collect())
    }

    #[test]
    fn a_conjunction_needs_what_decides_best() {
        let one = |text: &str| Some(vec![text.to_owned()]);
        assert_eq!(
            needs(
                "event.kind == \"process.exec\" && process.name == \"nc\" && process.executable.contains(\"x\")"
            ),
            one("process.name Whole nc")
        );
        assert_eq!(
            needs("\"-e\" in process.args && !(process.name == \"nc\")"),
            one("process.args Whole -e")
        );
        assert_eq!(
            needs("!(!process.executable.base().startsWith(\"xmrig\") || process.pid == 1)"),
            one("process.executable Within xmrig")
        );
        assert_eq!(
            needs("process.ancestors.exists(a, a.name == \"nginx\" && process.tty == \"pts/0\")"),
            one("process.ancestors.1 Whole nginx")
        );
        assert_eq!(
            needs("process.command_line.contains(\"curl http\") && process.name.istartsWith(\"BASH\")"),
            one("process.name WithinAnyCase BASH")
        );
    }

    #[test]
    fn an_alternative_needs_a_text_in_every_branch() {
        let texts = [
            "process.name Whole nc",
            "process.name Whole ncat",
            "process.executable Prefix /dev/shm/",
        ];
        assert_eq!(
            needs("process.name in [\"nc\", \"ncat\"] || process.executable.startsWith(\"/dev/shm/\")"),
            Some(texts.map(str::to_owned).to_vec())
        );
        assert_eq!(needs("process.name == \"nc\" || process.pid == 1"), None);
    }

    #[test]
    fn nothing_follows_from_what_may_hold_without_a_text() {
        for condition in [
            "process.name != \"nc\"",
            "!(process.name == \"nc\" && process.tty == \"pts/0\")",
            "process.args.all(a, a == \"-e\")",
            "process.executable.startsWith(process.name)",
            "process.name.contains(\"\")",
            "event.kind == \"process.exec\"",
            "process.name in [\"nc\", process.tty]",
            "process.in_container ? process.name == \"nc\" : process.name == \"ncat\"",
            "process.name + \"x\" == \"ncx\"",
        ] {
            assert_eq!(needs(condition), None, "{condition}");
        }
    }
}
