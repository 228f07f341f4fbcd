//! Posture checks: one resource, one verdict.

use std::sync::Arc;

use yagura_event::{Registry, Tree};
use yagura_rules::expr::{Expr, ExprId};
use yagura_rules::{Check, Program};

mod score;
mod unknown;

pub use score::{CheckStatus, ControlResult, ControlStatus, Coverage, Mode, Rollup, control_status, roll_up};

use crate::eval::Truth;
use crate::subject::Resource;
use crate::unit::{Graph, Range, Scratch, Unit};

/// What a check says of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Pass,
    /// It is not.
    Fail,
    /// It cannot be judged, because what stands at these paths is not known.
    Error(Vec<String>),
    /// The check does not apply to it.
    NotApplicable,
}

/// What a check says of a resource, with its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The expressions of the check's `evidence` and their values; empty when the check does not apply.
    pub evidence: Vec<(String, Tree)>,
}

/// A check that is ready to run.
#[derive(Debug)]
pub struct Judge {
    check: Arc<Check>,
    unit: Unit,
    applies_when: Option<Range>,
    pass: Range,
    evidence: Vec<Range>,
}

impl Judge {
    /// Prepares a compiled check.
    pub fn new(check: Arc<Check>) -> Self {
        let mut graph = Graph::default();
        let nodes = graph.add(&check.program, Registry::resource());
        let roots: Vec<ExprId> = check
            .applies_when
            .iter()
            .chain(std::iter::once(&check.pass))
            .chain(check.evidence.iter().map(|(_, id)| id))
            .map(|id| nodes[id.index()])
            .collect();
        let (unit, ranges) = graph.lower(&roots);
        let first = usize::from(check.applies_when.is_some());
        let applies_when = check.applies_when.map(|_| ranges[0]);
        Self {
            check,
            unit,
            applies_when,
            pass: ranges[first],
            evidence: ranges[first + 1..].to_vec(),
        }
    }

    /// The check.
    pub fn check(&self) -> &Arc<Check> {
        &self.check
    }

    /// Judges a resource.
    pub fn evaluate(&self, resource: &Tree, scratch: &mut Scratch) -> Finding {
        let subject = Resource(resource);
        scratch.begin(&self.unit);
        let mut machine = scratch.machine(&self.unit, &subject);
        let error = |root| Verdict::Error(unknown::paths(&self.check.program, root, resource));
        let verdict = match self
            .applies_when
            .map_or(Truth::True, |range| machine.truth(range))
        {
            Truth::False => {
                return Finding {
                    verdict: Verdict::NotApplicable,
                    evidence: Vec::new(),
                };
            }
            Truth::Unknown => error(self.check.applies_when.unwrap_or(self.check.pass)),
            Truth::True => match machine.truth(self.pass) {
                Truth::True => Verdict::Pass,
                Truth::False => Verdict::Fail,
                Truth::Unknown => error(self.check.pass),
            },
        };
        let evidence = self
            .evidence
            .iter()
            .zip(&self.check.evidence)
            .map(|(range, (text, _))| (text.clone(), machine.value(*range).to_tree().unwrap_or_default()))
            .collect();
        Finding { verdict, evidence }
    }
}

/// Whether an expression is a path below the resource: its root, or a member or element that is written out.
fn path_step(program: &Program, id: ExprId) -> Option<(ExprId, String)> {
    match program.get(id) {
        Expr::Select(base, name) => Some((*base, format!(".{name}"))),
        Expr::Index(base, index) => match program.get(*index) {
            Expr::Const(Tree::Int(index)) => Some((*base, format!("[{index}]"))),
            Expr::Const(Tree::Text(name)) => Some((*base, format!("[\"{name}\"]"))),
            _ => None,
        },
        _ => None,
    }
}
