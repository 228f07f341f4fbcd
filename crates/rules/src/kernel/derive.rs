//! What the kernel can tell of a condition, on its negation normal form.

use std::cell::Cell;

use yagura_event::field::InKernel;
use yagura_event::field::capability;
use yagura_event::field::kernel::{KernelTest, Precision, Stage};
use yagura_event::{EventKind, FieldId, Registry, Text, Tree};

use super::atom::{Atom, Range, Shape, Subject, Test};
use super::form::{Both, Form};
use super::keys::{self, in_order, number, ordered, widths};
use super::pattern::edges;
use super::{Filter, KEYS, KernelPart, LISTED};
use crate::compile::Rule;
use crate::expr::{Expr, ExprId, OrderOp, Program};
use crate::function::Function;
use crate::reach::{evaluate, truth};
use crate::source::Target;

/// The field that says whether an event happened in a container, which `where.target` asks for.
const IN_CONTAINER: &str = "process.in_container";

/// What of a rule a kernel program can evaluate.
pub fn kernel_part(rule: &Rule) -> KernelPart {
    let filters = rule.kinds.iter().map(|kind| (kind, filter(rule, kind)));
    KernelPart {
        filters: filters.collect(),
    }
}

fn filter(rule: &Rule, kind: EventKind) -> Filter {
    let deriving = Deriving {
        program: &rule.program,
        registry: Registry::workload(),
        kind,
        rest: Cell::new(LISTED),
    };
    let condition = deriving.condition(rule.condition);
    let target = match rule.where_.target {
        Target::Any => Form::always(true),
        target => deriving.in_container(target == Target::Container),
    };
    // Labels are joined in user space.
    let selects = rule.where_.namespaces.is_some() || rule.where_.pods.is_some();
    let form = Form::all(&[&condition, &target, &Form::always(!selects)]);
    let mut groups: Vec<Vec<Atom>> = form
        .groups
        .iter()
        .map(|group| group.iter().map(|atom| Atom::clone(atom)).collect())
        .collect();
    groups.sort();
    Filter {
        groups,
        exact: form.exact,
    }
}

/// A value that the kernel knows.
#[derive(Clone, Copy, Debug)]
struct Known {
    subject: Subject,
    test: KernelTest,
    precision: Precision,
}

struct Deriving<'p> {
    program: &'p Program,
    registry: &'static Registry,
    kind: EventKind,
    /// How many texts lists may still give.
    rest: Cell<usize>,
}

impl<'p> Deriving<'p> {
    fn condition(&self, condition: ExprId) -> Form {
        let known = evaluate(self.program, self.registry, Some(self.kind));
        let mut all: Vec<Both> = Vec::with_capacity(condition.index() + 1);
        for (expr, known) in self
            .program
            .nodes()
            .iter()
            .zip(&known)
            .take(condition.index() + 1)
        {
            let both = match truth(known) {
                Some(value) => Both::known(value),
                None => self.step(expr, &all),
            };
            all.push(both);
        }
        all.pop().unwrap_or_else(Both::open).holds
    }

    fn step(&self, expr: &Expr, all: &[Both]) -> Both {
        match expr {
            Expr::And(members) => Both::of_members(members, all, true),
            Expr::Or(members) => Both::of_members(members, all, false),
            Expr::Not(inner) => all
                .get(inner.index())
                .cloned()
                .unwrap_or_else(Both::open)
                .negated(),
            // One of whose condition is unknown is unknown, whatever its branches are: there is nothing to hold on to.
            expr => self.test(expr).unwrap_or_else(Both::open),
        }
    }

    /// A test that is neither made of others nor decided beforehand.
    fn test(&self, expr: &Expr) -> Option<Both> {
        match expr {
            Expr::Field(_) => flag(self.known(expr)?, true),
            Expr::IsNull(inner) => {
                let known = self.value(*inner).filter(|known| !known.subject.base)?;
                Some(atoms(known, &Test::Present, true)?.negated())
            }
            Expr::Equal(left, right) => self.equal(*left, *right).or_else(|| self.equal(*right, *left)),
            Expr::Order(operator, left, right) => self.order(*operator, *left, *right),
            Expr::In(left, right) => self.member(*left, *right),
            Expr::Matches(subject, pattern) => {
                let edges = edges(&self.program.pattern(*pattern).source)?;
                let edges = edges.iter().map(|(shape, text)| (*shape, text.as_slice()));
                texts(self.value(*subject)?, edges, false)
            }
            Expr::Call(function, arguments) => {
                let [left, right] = arguments[..] else { return None };
                self.call(*function, left, right)
            }
            _ => None,
        }
    }

    fn call(&self, function: Function, left: ExprId, right: ExprId) -> Option<Both> {
        let shape = match function {
            Function::StartsWith => Shape::Prefix,
            Function::EndsWith => Shape::Suffix,
            Function::Intersects => {
                let one = self.value(left).zip(self.written(right));
                let (known, names) = one.or_else(|| self.value(right).zip(self.written(left)))?;
                return capabilities(known, &names);
            }
            Function::BitsAnyOf | Function::BitsAllOf => {
                let known = self.value(left)?;
                let mask = number(self.constant(right)?)?;
                let all = function == Function::BitsAllOf;
                return atoms_of(known, KernelTest::Number, &Test::Bits { mask, all });
            }
            _ => return None,
        };
        let text = [(shape, self.text(right)?)];
        texts(self.value(left)?, text, true)
    }

    fn equal(&self, value: ExprId, constant: ExprId) -> Option<Both> {
        let known = self.value(value)?;
        match self.constant(constant)? {
            Tree::Bool(wanted) => flag(known, *wanted),
            Tree::Text(text) => texts(known, [(Shape::Whole, text.as_bytes())], true),
            other => {
                let number = number(other)?;
                let ranges = vec![Range {
                    min: number,
                    max: number,
                }];
                atoms_of(known, KernelTest::Number, &Test::Numbers(ranges))
            }
        }
    }

    fn order(&self, operator: OrderOp, left: ExprId, right: ExprId) -> Option<Both> {
        let (known, constant, operator) = match self.value(left) {
            Some(known) => (known, self.constant(right)?, operator),
            None => (self.value(right)?, self.constant(left)?, turned(operator)),
        };
        let range = ordered(operator, number(constant)?)?;
        atoms_of(known, KernelTest::Number, &Test::Numbers(vec![range]))
    }

    fn member(&self, left: ExprId, right: ExprId) -> Option<Both> {
        if let Some(text) = self.text(left) {
            return capabilities(self.value(right)?, &[text]);
        }
        let known = self.value(left)?;
        if known.test == KernelTest::Number {
            let Tree::List(values) = self.constant(right)? else {
                return None;
            };
            let ranges = values.iter().map(|value| {
                number(value).map(|number| Range {
                    min: number,
                    max: number,
                })
            });
            let mut ranges: Vec<Range> = ranges.collect::<Option<_>>()?;
            in_order(&mut ranges);
            return atoms_of(known, KernelTest::Number, &Test::Numbers(ranges));
        }
        let words = self.written(right)?;
        texts(known, words.into_iter().map(|text| (Shape::Whole, text)), true)
    }

    /// What `where.target` asks for.
    fn in_container(&self, wanted: bool) -> Form {
        let test = || {
            let field = self.registry.find(IN_CONTAINER)?;
            let known = self.known(&Expr::Field(field))?;
            Some(flag(known, wanted)?.holds)
        };
        test().unwrap_or_else(|| Form::always(false))
    }

    /// The value behind an expression, if the kernel knows it at this hook.
    fn value(&self, id: ExprId) -> Option<Known> {
        match self.program.get(id) {
            Expr::Call(Function::Base, arguments) => {
                let [inner] = arguments[..] else { return None };
                let known = self.known(self.program.get(inner))?;
                (known.test == KernelTest::Path).then_some(Known {
                    subject: Subject {
                        stage: Stage::BaseName,
                        base: true,
                        ..known.subject
                    },
                    ..known
                })
            }
            expr => self.known(expr),
        }
    }

    fn known(&self, expr: &Expr) -> Option<Known> {
        let Expr::Field(field) = expr else { return None };
        let known: InKernel = self.field(*field)?;
        Some(Known {
            subject: Subject {
                stage: known.stage,
                field: *field,
                base: false,
            },
            test: known.test,
            precision: known.precision,
        })
    }

    fn field(&self, field: FieldId) -> Option<InKernel> {
        self.registry
            .field(field)
            .in_kernel
            .filter(|known| known.kinds.contains(self.kind))
    }

    fn constant(&self, id: ExprId) -> Option<&'p Tree> {
        match self.program.get(id) {
            Expr::Const(tree) => Some(tree),
            _ => None,
        }
    }

    fn text(&self, id: ExprId) -> Option<&'p [u8]> {
        match self.constant(id)? {
            Tree::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The texts of a list that is written out, or has a name.
    fn written(&self, id: ExprId) -> Option<Vec<&'p [u8]>> {
        match self.program.get(id) {
            Expr::Const(Tree::List(values)) => {
                self.take(values.len())?;
                values
                    .iter()
                    .map(|value| match value {
                        Tree::Text(text) => Some(text.as_bytes()),
                        _ => None,
                    })
                    .collect()
            }
            Expr::Named(list) => {
                let values = list.strings()?;
                self.take(values.len())?;
                Some(values.iter().map(Text::as_bytes).collect())
            }
            _ => None,
        }
    }

    /// Takes so many texts from what lists may still give: a long one may be named in each of many tests.
    fn take(&self, texts: usize) -> Option<()> {
        let rest = self.rest.get().checked_sub(texts).filter(|_| texts <= KEYS)?;
        self.rest.set(rest);
        Some(())
    }
}

/// How an ordering reads from the other side.
fn turned(operator: OrderOp) -> OrderOp {
    match operator {
        OrderOp::Less => OrderOp::Greater,
        OrderOp::LessEqual => OrderOp::GreaterEqual,
        OrderOp::Greater => OrderOp::Less,
        OrderOp::GreaterEqual => OrderOp::LessEqual,
    }
}

/// A test of a flag.
fn flag(known: Known, wanted: bool) -> Option<Both> {
    atoms_of(known, KernelTest::Flag, &Test::Is(wanted))
}

/// A test that one of the texts stands in a value; `whole`: that this is all that the condition asks.
fn texts<'t>(known: Known, texts: impl IntoIterator<Item = (Shape, &'t [u8])>, whole: bool) -> Option<Both> {
    if known.test == KernelTest::Word {
        let words: Option<Vec<&[u8]>> = texts
            .into_iter()
            .map(|(shape, text)| (shape == Shape::Whole).then_some(text))
            .collect();
        return atoms(known, &keys::words(words?), whole);
    }
    let (test, exact) = keys::texts(texts, widths(known.test, known.subject.base)?)?;
    atoms(known, &test, whole && exact)
}

/// A test that one of the capabilities is there. One that has no name has no bit, and no test.
fn capabilities(known: Known, names: &[&[u8]]) -> Option<Both> {
    let mut mask = 0;
    for name in names {
        mask |= capability::bit(name)?;
    }
    atoms_of(known, KernelTest::Capabilities, &Test::Bits { mask, all: false })
}

/// The same, where the kernel does tests of that sort.
fn atoms_of(known: Known, sort: KernelTest, test: &Test) -> Option<Both> {
    (known.test == sort).then(|| atoms(known, test, true)).flatten()
}

/// A test, and its negation, as far as each only widens.
fn atoms(known: Known, test: &Test, exact: bool) -> Option<Both> {
    let atom = |negated: bool| {
        let (counts, exact) = match (known.precision, test) {
            (Precision::Exact, _) => (exact || !negated, exact),
            // One whose truth alone is sure decides only where it must be false.
            (Precision::TrueIsSure, Test::Is(wanted)) => (*wanted == negated, false),
            (Precision::TrueIsSure, _) => (false, false),
        };
        let atom = Atom {
            subject: known.subject,
            negated,
            test: test.clone(),
            exact,
        };
        if counts && atom.fits() {
            Form::of(atom)
        } else {
            Form::always(false)
        }
    };
    // A mask without bits says the same of everything that is there.
    let says = !matches!(test, Test::Bits { mask: 0, .. });
    says.then(|| Both {
        holds: atom(false),
        fails: atom(true),
    })
}
