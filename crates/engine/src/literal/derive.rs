//! Which literals a condition needs.

use std::borrow::Cow;

use yagura_event::field::{MemberId, Scalar, Type};
use yagura_event::{FieldId, Registry, Text, Tree};
use yagura_rules::expr::{Expr, ExprId, MacroKind, OrderOp, PatternId, Program};
use yagura_rules::function::Function;

use super::clause::{Clause, LITERALS, NOTHING, Needs, all, any, chosen, needs};
use super::pattern::required;
use super::{Base, Literal, Place, Shape, TextWanted, Wanted};

/// A value that a condition tests.
#[derive(Clone, Copy, Debug)]
struct Tested {
    place: Place,
    /// It is the value itself; otherwise a part of it.
    itself: bool,
    /// The case of its letters was changed.
    any_case: bool,
}

/// Clauses of each of which an event has at least one literal, or something unknown where it would stand, whenever the
/// condition is not false for it; none when nothing of the kind follows.
pub(crate) fn witness(program: &Program, condition: ExprId) -> Vec<Vec<Literal<'_>>> {
    let deriving = Deriving {
        program,
        registry: Registry::workload(),
    };
    let nodes = &program.nodes()[..=condition.index()];
    let mut holding: Vec<Needs<'_>> = Vec::with_capacity(nodes.len());
    let mut failing: Vec<Needs<'_>> = Vec::with_capacity(nodes.len());
    for expr in nodes {
        let (when, when_not) = match expr {
            Expr::And(members) => (together(members, &holding), deriving.any(members, &failing)),
            Expr::Or(members) => (deriving.any(members, &holding), together(members, &failing)),
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
            expr => (
                deriving.test(expr).unwrap_or(NOTHING),
                deriving.test_fails(expr).unwrap_or(NOTHING),
            ),
        };
        holding.push(when);
        failing.push(when_not);
    }
    let [of_fields, ..] = holding.pop().unwrap_or(NOTHING);
    let chosen = chosen(of_fields);
    chosen.iter().map(|clause| clause.all.to_vec()).collect()
}

/// What is needed when all of the members hold.
fn together<'p>(members: &[ExprId], needs: &[Needs<'p>]) -> Needs<'p> {
    all(members.iter().map(|member| needs[member.index()].clone()))
}

struct Deriving<'p> {
    program: &'p Program,
    registry: &'static Registry,
}

impl<'p> Deriving<'p> {
    /// What is needed when at least one of the members holds.
    fn any(&self, members: &[ExprId], needs: &[Needs<'p>]) -> Needs<'p> {
        let needs: Vec<&Needs<'p>> = members.iter().map(|member| &needs[member.index()]).collect();
        any(&needs, self.registry)
    }

    /// What a macro needs that holds, or is unknown, only if its body does for one of the elements or the list has others.
    fn element(&self, range: ExprId, variable: u8, body: &Needs<'p>) -> Needs<'p> {
        let Some(tested) = self.tested(range).filter(|tested| tested.itself) else {
            return NOTHING;
        };
        let place = |place: Place| match (tested.place.member, place.member) {
            (member, None) | (None, member) => Some(Place {
                base: tested.place.base,
                member,
            }),
            (Some(_), Some(_)) => None,
        };
        let mapped = |clause: &Clause<'p>| {
            let literals = clause.all.iter().map(|literal| {
                Some(Literal {
                    place: place(literal.place)?,
                    ..literal.clone()
                })
            });
            self.needs(tested.place.base, literals.collect::<Option<_>>()?)
        };
        let clauses = body.get(1 + usize::from(variable)).into_iter().flatten();
        all(clauses.filter_map(mapped))
    }

    fn needs(&self, base: Base, all: Vec<Literal<'p>>) -> Option<Needs<'p>> {
        Some(needs(base, Clause::of(all, self.registry)?))
    }

    /// What a test needs that is neither a combination nor a macro.
    fn test(&self, expr: &Expr) -> Option<Needs<'p>> {
        match expr {
            Expr::Equal(left, right) => {
                let (tested, wanted) = self.with_value(*left, *right)?;
                self.stand(tested, [wanted])
            }
            // A text in a list of the event.
            Expr::In(left, right) if self.value(*left).is_some() => {
                let tested = self.tested(*right).filter(|tested| tested.itself)?;
                self.stand(tested, [self.value(*left)?])
            }
            Expr::In(left, right) => self.stand(self.tested(*left)?, self.written(*right)?),
            Expr::Matches(left, pattern) => self.matches(self.tested(*left)?, *pattern),
            Expr::Order(operator, left, right) => self.ordered(*operator, *left, *right),
            Expr::Field(_) => self.stand(self.truth(expr)?, [Wanted::True]),
            Expr::IsNull(inner) => self.stand(self.single(*inner)?, [Wanted::Absent]),
            Expr::Call(Function::Intersects, arguments) => {
                let [left, right] = arguments[..] else { return None };
                let one = self.tested(left).zip(self.written(right));
                let (tested, texts) = one.or_else(|| self.tested(right).zip(self.written(left)))?;
                self.stand(tested, texts)
            }
            Expr::Call(function, arguments) => {
                let (shape, any_case) = match function {
                    Function::StartsWith => (Shape::Prefix, false),
                    Function::EndsWith => (Shape::Suffix, false),
                    Function::Contains => (Shape::Within, false),
                    Function::EqualsIgnoreCase => (Shape::Whole, true),
                    Function::StartsWithIgnoreCase => (Shape::Prefix, true),
                    Function::EndsWithIgnoreCase => (Shape::Suffix, true),
                    Function::ContainsIgnoreCase => (Shape::Within, true),
                    _ => return None,
                };
                let [left, right] = arguments[..] else { return None };
                let one = self.tested(left).zip(self.text(right));
                let (tested, text) = match function {
                    Function::EqualsIgnoreCase => one.or_else(|| self.tested(right).zip(self.text(left)))?,
                    _ => one?,
                };
                let text = Cow::Borrowed(text);
                self.stand(
                    tested,
                    [Wanted::Text(TextWanted {
                        shape,
                        any_case,
                        text,
                    })],
                )
            }
            _ => None,
        }
    }

    /// What is needed for such a test not to hold, or to be unknown.
    fn test_fails(&self, expr: &Expr) -> Option<Needs<'p>> {
        match expr {
            Expr::Field(_) => self.stand(self.truth(expr)?, [Wanted::NotTrue]),
            Expr::IsNull(inner) => self.stand(self.single(*inner)?, [Wanted::Present]),
            _ => None,
        }
    }

    /// An ordering against a number that is written out.
    fn ordered(&self, operator: OrderOp, left: ExprId, right: ExprId) -> Option<Needs<'p>> {
        let (tested, operator, number) = match (self.program.get(left), self.program.get(right)) {
            (_, Expr::Const(Tree::Int(number))) => (left, operator, *number),
            (Expr::Const(Tree::Int(number)), _) => {
                let turned = match operator {
                    OrderOp::Less => OrderOp::Greater,
                    OrderOp::LessEqual => OrderOp::GreaterEqual,
                    OrderOp::Greater => OrderOp::Less,
                    OrderOp::GreaterEqual => OrderOp::LessEqual,
                };
                (right, turned, *number)
            }
            _ => return None,
        };
        // Where there is no next number, the bound itself is one too many, which only weakens.
        let wanted = match operator {
            OrderOp::Less => Wanted::AtMost(number.saturating_sub(1)),
            OrderOp::LessEqual => Wanted::AtMost(number),
            OrderOp::Greater => Wanted::AtLeast(number.saturating_add(1)),
            OrderOp::GreaterEqual => Wanted::AtLeast(number),
        };
        self.stand(self.tested(tested)?, [wanted])
    }

    /// What tells most of what a pattern's matches have.
    fn matches(&self, tested: Tested, pattern: PatternId) -> Option<Needs<'p>> {
        let each = required(&self.program.pattern(pattern).source).into_iter();
        let clauses = each.filter_map(|required| {
            let text = |text| {
                Wanted::Text(TextWanted {
                    shape: required.shape,
                    any_case: false,
                    text: Cow::Owned(text),
                })
            };
            Clause::of(
                stand(tested, required.texts.into_iter().map(text))?,
                self.registry,
            )
        });
        let best = clauses.min_by(|left, right| left.cost.order(&right.cost))?;
        Some(needs(tested.place.base, best))
    }

    /// The needs of a test that one of these stands in a value like this.
    fn stand(&self, tested: Tested, all: impl IntoIterator<Item = Wanted<'p>>) -> Option<Needs<'p>> {
        self.needs(tested.place.base, stand(tested, all)?)
    }

    /// A field that is true or false.
    fn truth(&self, expr: &Expr) -> Option<Tested> {
        let Expr::Field(field) = expr else { return None };
        (self.registry.field(*field).ty == Type::BOOL).then_some(Tested::field(*field))
    }

    /// A field with one value of a sort that is known.
    fn single(&self, id: ExprId) -> Option<Tested> {
        let Expr::Field(field) = self.program.get(id) else {
            return None;
        };
        match self.registry.field(*field).ty {
            Type::List(_)
            | Type::One(Scalar::StringMap | Scalar::Object(_) | Scalar::Dynamic | Scalar::Null) => None,
            Type::One(_) => Some(Tested::field(*field)),
        }
    }

    fn with_value(&self, left: ExprId, right: ExprId) -> Option<(Tested, Wanted<'p>)> {
        let one = self.tested(left).zip(self.value(right));
        one.or_else(|| self.tested(right).zip(self.value(left)))
    }

    /// The value that stands behind an expression; also when the expression is a part of it, because what is found in the
    /// part is found in the whole.
    fn tested(&self, id: ExprId) -> Option<Tested> {
        match self.program.get(id) {
            Expr::Field(field) => Some(Tested::whole(Base::Field(*field), None)),
            Expr::Variable(level) => Some(Tested::whole(Base::Variable(*level), None)),
            Expr::Member(object, member) => match self.program.get(*object) {
                Expr::Field(field) => Some(Tested::whole(Base::Field(*field), Some(*member))),
                Expr::Variable(level) => Some(Tested::whole(Base::Variable(*level), Some(*member))),
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

    /// A value that is written out.
    fn value(&self, id: ExprId) -> Option<Wanted<'p>> {
        match self.program.get(id) {
            Expr::Const(value) => exactly(value),
            _ => None,
        }
    }

    /// The values of a list that is written out, or has a name.
    fn written(&self, id: ExprId) -> Option<Vec<Wanted<'p>>> {
        match self.program.get(id) {
            Expr::Const(Tree::List(values)) => values.iter().map(exactly).collect(),
            Expr::Named(list) => {
                let values = list.strings().filter(|values| values.len() <= LITERALS)?;
                Some(values.iter().map(whole).collect())
            }
            _ => None,
        }
    }
}

impl Tested {
    fn field(field: FieldId) -> Self {
        Self::whole(Base::Field(field), None)
    }

    fn whole(base: Base, member: Option<MemberId>) -> Self {
        Self {
            place: Place { base, member },
            itself: true,
            any_case: false,
        }
    }
}

fn whole(text: &Text) -> Wanted<'_> {
    Wanted::Text(TextWanted {
        shape: Shape::Whole,
        any_case: false,
        text: Cow::Borrowed(text.as_bytes()),
    })
}

/// What equals a value.
fn exactly(value: &Tree) -> Option<Wanted<'_>> {
    match value {
        Tree::Text(text) => Some(whole(text)),
        Tree::Int(number) => Some(Wanted::Number(*number)),
        Tree::Bool(true) => Some(Wanted::True),
        Tree::Bool(false) => Some(Wanted::False),
        _ => None,
    }
}

/// The literals for one of these to stand in a value like this.
fn stand<'p>(tested: Tested, all: impl IntoIterator<Item = Wanted<'p>>) -> Option<Vec<Literal<'p>>> {
    let literal = |wanted| {
        let wanted = match wanted {
            Wanted::Text(wanted) => Wanted::Text(TextWanted {
                shape: if tested.itself {
                    wanted.shape
                } else {
                    Shape::Within
                },
                any_case: wanted.any_case || tested.any_case,
                ..wanted
            }),
            // A part of a text is neither a number nor true.
            _ if !tested.itself => return None,
            wanted => wanted,
        };
        Some(Literal {
            place: tested.place,
            wanted,
        })
    };
    all.into_iter().take(LITERALS + 1).map(literal).collect()
}

#[cfg(test)]
mod tests;
