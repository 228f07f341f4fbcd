//! What a condition may cost for one event, in steps of a byte, from the largest values that it can meet.

use yagura_event::field::Scalar;
use yagura_event::{Bearer, Registry, Tree, Type};

use crate::expr::{Expr, ExprId, MacroKind, Program};
use crate::function::Function;
use crate::limits;

/// Longest string that a field usually has: a path.
const STRING: u64 = 4_096;
/// The field that is derived by copying all arguments.
const COMMAND_LINE: &str = "process.command_line";
/// The field that is derived by reading all arguments.
const FLAGS: &str = "process.args_flags";
/// The field whose members are looked for in all arguments.
const OPTIONS: &str = "process.args_options";
/// Longest that all arguments of a process are together.
const ARGUMENTS: u64 = 32 * 1024;

/// What is known of the size of a value: bytes of a string, or elements of a list and bytes of each.
#[derive(Clone, Copy, Debug)]
struct Size {
    bytes: u64,
    elements: u64,
}

/// A number or a truth value: it has no length, and its steps are those of the expression itself.
const ONE: Size = Size {
    bytes: 0,
    elements: 1,
};

/// The estimate for one expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Steps of a byte for one event, at most.
    pub steps: u64,
    /// Number of expressions once shared ones are written out.
    pub nodes: u64,
}

/// The cost of every expression of a program; children stand first, so one pass is enough.
pub fn costs(program: &Program, registry: &Registry) -> Vec<Cost> {
    let mut estimate = Estimate {
        registry,
        costs: Vec::with_capacity(program.nodes().len()),
        sizes: sizes(program, registry),
    };
    for expr in program.nodes() {
        let cost = estimate.of(program, expr);
        estimate.costs.push(cost);
    }
    estimate.costs
}

/// The largest value that each expression may have.
fn sizes(program: &Program, registry: &Registry) -> Vec<Size> {
    let ranges = ranges(program);
    let mut sizes = Vec::new();
    // The field or member that a macro goes over may stand after its body, and a range in it be a member of the outer
    // variable: as often as macros nest, a size follows from one that the pass before has found.
    for _ in 0..=limits::MACRO_DEPTH {
        let before = std::mem::take(&mut sizes);
        let mut estimate = Estimate {
            registry,
            costs: Vec::new(),
            sizes: Vec::with_capacity(program.nodes().len()),
        };
        for (expr, range) in program.nodes().iter().zip(&ranges) {
            let element = range.and_then(|range: ExprId| {
                let now = estimate.sizes.get(range.index());
                now.or_else(|| before.get(range.index())).copied()
            });
            let size = estimate.size_of(program, expr, element);
            estimate.sizes.push(size);
        }
        sizes = estimate.sizes;
    }
    sizes
}

/// The list that each variable stands for an element of, at the variable's place. A macro stands after all that it is made of,
/// and its variable is known in its body alone: the variables of its level that no macro before it has taken are its own.
fn ranges(program: &Program) -> Vec<Option<ExprId>> {
    let mut ranges = vec![None; program.nodes().len()];
    let mut untaken: [Vec<usize>; limits::MACRO_DEPTH as usize] = Default::default();
    for (place, expr) in program.nodes().iter().enumerate() {
        match expr {
            Expr::Variable(level) => {
                if let Some(untaken) = untaken.get_mut(usize::from(*level)) {
                    untaken.push(place);
                }
            }
            Expr::Macro { range, variable, .. } => {
                for place in untaken
                    .get_mut(usize::from(*variable))
                    .into_iter()
                    .flat_map(std::mem::take)
                {
                    ranges[place] = Some(*range);
                }
            }
            _ => {}
        }
    }
    ranges
}

struct Estimate<'p> {
    registry: &'p Registry,
    costs: Vec<Cost>,
    sizes: Vec<Size>,
}

impl Estimate<'_> {
    fn size(&self, id: ExprId) -> Size {
        self.sizes[id.index()]
    }

    fn of(&self, program: &Program, expr: &Expr) -> Cost {
        let mut steps = self.own_steps(program, expr).saturating_add(1);
        let mut nodes = 1u64;
        for child in expr.children() {
            let cost = self.costs[child.index()];
            steps = steps.saturating_add(cost.steps);
            nodes = nodes.saturating_add(cost.nodes);
        }
        Cost { steps, nodes }
    }

    /// The largest value that the expression may have; `element` is the size of the list that a variable is an element of.
    fn size_of(&self, program: &Program, expr: &Expr, element: Option<Size>) -> Size {
        match expr {
            Expr::Const(value) => size_of_tree(value),
            Expr::Named(list) => Size {
                bytes: list.longest() as u64,
                elements: list.len() as u64,
            },
            Expr::Field(id) => {
                let field = self.registry.field(*id);
                let size = size_of_type(field.ty);
                if field.path == COMMAND_LINE {
                    Size {
                        bytes: ARGUMENTS,
                        ..size
                    }
                } else {
                    size
                }
            }
            Expr::Variable(_) => Size {
                bytes: element.map_or(STRING, |list| list.bytes),
                elements: 1,
            },
            // Arguments of an ancestor are cut at 4 KiB in all.
            Expr::Member(..) => Size {
                bytes: STRING,
                elements: 256,
            },
            Expr::Select(base, _) | Expr::Index(base, _) if self.is_marks(program, *base) => Size {
                bytes: limits::MARK_VALUE_BYTES as u64,
                elements: limits::MARK_VALUES as u64,
            },
            Expr::Select(..) | Expr::Index(..) => Size {
                bytes: STRING,
                elements: 1_000,
            },
            Expr::Conditional { then, otherwise, .. } => larger(self.size(*then), self.size(*otherwise)),
            Expr::Arithmetic(_, left, right) => {
                let (left, right) = (self.size(*left), self.size(*right));
                let bytes = left
                    .bytes
                    .saturating_add(right.bytes)
                    .min(limits::DERIVED_BYTES as u64);
                Size {
                    bytes,
                    elements: left.elements.saturating_add(right.elements),
                }
            }
            Expr::List(elements) => {
                let largest = elements
                    .iter()
                    .map(|element| self.size(*element).bytes)
                    .max()
                    .unwrap_or(0);
                Size {
                    bytes: largest,
                    elements: elements.len() as u64,
                }
            }
            Expr::Call(function, arguments) => self.call(*function, arguments).1,
            Expr::Macro {
                kind: MacroKind::Filter,
                range,
                ..
            } => self.size(*range),
            Expr::Macro {
                kind: MacroKind::Map,
                range,
                body,
                ..
            } => Size {
                bytes: self.size(*body).bytes,
                elements: self.visited(*range),
            },
            Expr::IsNull(_)
            | Expr::Not(_)
            | Expr::Negate(_)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Equal(..)
            | Expr::Order(..)
            | Expr::In(..)
            | Expr::Matches(..)
            | Expr::Macro { .. } => ONE,
        }
    }

    /// Whether an expression stands for the marks of something.
    fn is_marks(&self, program: &Program, id: ExprId) -> bool {
        match program.get(id) {
            Expr::Field(field) => Bearer::of_path(self.registry.field(*field).path).is_some(),
            _ => false,
        }
    }

    /// How many elements of a list a macro visits.
    fn visited(&self, list: ExprId) -> u64 {
        self.size(list).elements.min(limits::LIST_ELEMENTS as u64)
    }

    /// The steps of an expression beyond those of its children.
    fn own_steps(&self, program: &Program, expr: &Expr) -> u64 {
        match expr {
            Expr::Field(id) if matches!(self.registry.field(*id).path, COMMAND_LINE | FLAGS | OPTIONS) => {
                ARGUMENTS
            }
            Expr::Select(..) | Expr::Index(..) => 8,
            Expr::Equal(left, right) | Expr::Order(_, left, right) => {
                let (left, right) = (self.size(*left), self.size(*right));
                left.bytes
                    .min(right.bytes)
                    .saturating_mul(left.elements.min(right.elements).max(1))
            }
            Expr::In(left, right) => match program.get(*right) {
                // Lists that are written out are looked up by hash.
                Expr::Const(_) => self.size(*left).bytes.min(STRING),
                Expr::Named(list) => list.steps(self.size(*left).bytes.min(STRING)),
                _ => self
                    .size(*right)
                    .elements
                    .saturating_mul(self.size(*left).bytes.min(32)),
            },
            Expr::Arithmetic(_, left, right) => {
                let (left, right) = (self.size(*left), self.size(*right));
                let copied = left
                    .bytes
                    .saturating_add(right.bytes)
                    .min(limits::DERIVED_BYTES as u64);
                copied
                    .saturating_add(left.elements)
                    .saturating_add(right.elements)
            }
            Expr::Matches(subject, _) => self.size(*subject).bytes,
            Expr::List(elements) => elements.len() as u64,
            Expr::Call(function, arguments) => self.call(*function, arguments).0,
            Expr::Macro { range, body, .. } => self.costs[body.index()]
                .steps
                .saturating_mul(self.visited(*range)),
            Expr::Const(_)
            | Expr::Named(_)
            | Expr::Field(_)
            | Expr::Variable(_)
            | Expr::Member(..)
            | Expr::IsNull(_)
            | Expr::Not(_)
            | Expr::Negate(_)
            | Expr::And(_)
            | Expr::Or(_)
            | Expr::Conditional { .. } => 0,
        }
    }

    fn call(&self, function: Function, arguments: &[ExprId]) -> (u64, Size) {
        let sizes: Vec<Size> = arguments.iter().map(|argument| self.size(*argument)).collect();
        let first = sizes.first().copied().unwrap_or(ONE);
        let second = sizes.get(1).copied().unwrap_or(ONE);
        match function {
            Function::StartsWith
            | Function::EndsWith
            | Function::EqualsIgnoreCase
            | Function::StartsWithIgnoreCase
            | Function::EndsWithIgnoreCase => (first.bytes.min(second.bytes), ONE),
            Function::Contains => (first.bytes, ONE),
            // Compared at every place where the first letter stands.
            Function::ContainsIgnoreCase => (first.bytes.saturating_mul(second.bytes.min(64)), ONE),
            Function::LowerAscii | Function::UpperAscii => (first.bytes, first),
            Function::Base | Function::Dir | Function::Trim => (first.bytes.min(STRING), first),
            Function::Split => (
                first.bytes,
                Size {
                    bytes: first.bytes,
                    elements: 256,
                },
            ),
            Function::DecodeBase64 => (first.bytes.saturating_mul(2), first),
            // An address is short, and looked up in a table of some forty networks.
            Function::IsPublic => (first.bytes.min(64).saturating_add(64), ONE),
            Function::ToAddress | Function::ToNetwork => (
                first.bytes.min(64),
                Size {
                    bytes: 64,
                    elements: 1,
                },
            ),
            Function::ToDuration | Function::ToTimestamp => (first.bytes.min(64), ONE),
            Function::ToQuantity => (
                first.bytes.min(64),
                Size {
                    bytes: 16,
                    elements: 1,
                },
            ),
            Function::ContainsAddress => (first.bytes.min(64).saturating_add(second.bytes.min(64)), ONE),
            Function::BitsAnd | Function::BitsAnyOf | Function::BitsAllOf => (1, ONE),
            Function::Size | Function::ToInt | Function::ToDouble => (8, ONE),
            Function::ToText => (
                first.bytes,
                Size {
                    bytes: first.bytes.max(32),
                    elements: 1,
                },
            ),
            Function::Intersects => (
                first
                    .elements
                    .saturating_mul(second.elements)
                    .saturating_mul(first.bytes.min(second.bytes)),
                ONE,
            ),
        }
    }
}

fn larger(left: Size, right: Size) -> Size {
    Size {
        bytes: left.bytes.max(right.bytes),
        elements: left.elements.max(right.elements),
    }
}

fn size_of_tree(value: &Tree) -> Size {
    match value {
        Tree::Text(text) => Size {
            bytes: text.len() as u64,
            elements: 1,
        },
        Tree::List(values) => {
            let largest = values
                .iter()
                .map(|value| size_of_tree(value).bytes)
                .max()
                .unwrap_or(0);
            Size {
                bytes: largest,
                elements: values.len() as u64,
            }
        }
        _ => ONE,
    }
}

fn size_of_type(ty: Type) -> Size {
    match ty {
        Type::One(Scalar::String) => Size {
            bytes: STRING,
            elements: 1,
        },
        Type::One(Scalar::Dynamic | Scalar::StringMap) => Size {
            bytes: STRING,
            elements: 1_000,
        },
        Type::One(_) => ONE,
        // All arguments together are bounded, so each of 1,024 has 32 bytes in the mean.
        Type::List(Scalar::String) => Size {
            bytes: 32,
            elements: limits::LIST_ELEMENTS as u64,
        },
        Type::List(_) => Size {
            bytes: STRING,
            elements: 64,
        },
    }
}
