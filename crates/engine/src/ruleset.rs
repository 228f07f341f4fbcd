//! Rules that run together on events.

use std::sync::Arc;

use yagura_event::{Event, EventKind, GroupKey, Known, Record, Registry, Tree};
use yagura_rules::detect::{Steps, UNTIL};
use yagura_rules::{ExprId, Rule, Target};

use crate::eval::Truth;
use crate::literal::{Index, IndexBuilder, Rules, witness};
use crate::selector::{Selected, selects};
use crate::show;
use crate::subject::View;
use crate::unit::{Graph, Range, Scratch, Unit};

/// What holds a match back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excepted {
    /// An exception of the rule, by its place in it.
    Own(usize),
    /// An Exception object, by its place in the rule.
    Joined(usize),
}

/// A match of one rule with one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The rule, by its place in the set.
    pub rule: usize,
    /// Whether something unknown decided it.
    pub incomplete: bool,
    /// Whether labels that the rule selects by were still unknown.
    pub pending: bool,
    /// The exception that holds: the match is counted, not reported.
    pub excepted: Option<Excepted>,
    /// The values that it is grouped by.
    pub group: GroupKey,
    /// The values that the rule tells apart, if it does.
    pub values: Vec<Tree>,
    /// The steps of the rule's sequence that it belongs to.
    pub steps: Steps,
    /// The title of its signal.
    pub title: String,
}

/// Compiled rules, joined so that what they have in common is evaluated once per event.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Code>,
    by_kind: Vec<Index>,
    /// Rules that look at processes of the host, and those that look at processes in containers.
    on_host: Rules,
    in_containers: Rules,
    unit: Unit,
}

#[derive(Debug)]
struct Code {
    rule: Arc<Rule>,
    condition: Range,
    exceptions: Vec<Range>,
    joined: Vec<Range>,
    /// Of the steps of a sequence, each with its bit.
    steps: Vec<(Range, Steps)>,
}

impl RuleSet {
    /// Joins compiled rules. Their order is kept: it is what [`Match::rule`] counts.
    pub fn new(rules: impl IntoIterator<Item = Arc<Rule>>) -> Self {
        let registry = Registry::workload();
        let mut graph = Graph::default();
        let mut roots = Vec::new();
        let rules: Vec<Arc<Rule>> = rules.into_iter().collect();
        for rule in &rules {
            let nodes = graph.add(&rule.program, registry);
            roots.push(nodes[rule.condition.index()]);
            let own = rule.exceptions.iter().map(|exception| exception.condition);
            let joined = rule.joined.iter().map(|exception| exception.condition);
            let steps = steps(rule).map(|(condition, _)| condition);
            roots.extend(
                own.chain(joined)
                    .chain(steps)
                    .map(|condition| nodes[condition.index()]),
            );
        }
        let (unit, ranges) = graph.lower(&roots);
        let mut ranges = ranges.into_iter();
        let mut by_kind = EventKind::ALL.map(|_| IndexBuilder::new(rules.len()));
        let mut codes = Vec::with_capacity(rules.len());
        let (mut on_host, mut in_containers) = (Rules::none(rules.len()), Rules::none(rules.len()));
        for rule in rules {
            let mut own = ranges.by_ref().take(1 + rule.exceptions.len());
            let Some(condition) = own.next() else { break };
            let exceptions = own.collect();
            let joined = ranges.by_ref().take(rule.joined.len()).collect();
            let bits = steps(&rule).map(|(_, bit)| bit);
            let steps = bits
                .zip(ranges.by_ref())
                .map(|(bit, range)| (range, bit))
                .collect();
            let clauses = witness(&rule.program, rule.condition);
            for kind in rule.kinds.iter() {
                by_kind[kind as usize].add(codes.len(), &clauses);
            }
            if rule.where_.target != Target::Container {
                on_host.insert(codes.len());
            }
            if rule.where_.target != Target::Host {
                in_containers.insert(codes.len());
            }
            codes.push(Code {
                rule,
                condition,
                exceptions,
                joined,
                steps,
            });
        }
        Self {
            rules: codes,
            by_kind: by_kind.into_iter().map(IndexBuilder::build).collect(),
            on_host,
            in_containers,
            unit,
        }
    }

    /// The rules, in order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &Arc<Rule>> {
        self.rules.iter().map(|code| &code.rule)
    }

    /// The rule at that place.
    pub fn rule(&self, index: usize) -> Option<&Arc<Rule>> {
        self.rules.get(index).map(|code| &code.rule)
    }

    /// How many rules an event of that kind meets.
    pub fn rules_for(&self, kind: EventKind) -> usize {
        self.by_kind[kind as usize].len()
    }

    /// How many different tests the rules have between them.
    pub fn distinct_tests(&self) -> usize {
        self.unit.predicate_count()
    }

    /// The matches of an event, in the order of the rules. An event that matches nothing costs no allocation,
    /// unless a condition derives a string or a list on its way; `process.command_line` is made once, in memory that is kept.
    pub fn evaluate(&self, event: &Event, scratch: &mut Scratch) -> Vec<Match> {
        if self.rules_for(event.kind) == 0 {
            return Vec::new();
        }
        let mut found = std::mem::take(&mut scratch.found);
        let view = View::new(event, scratch);
        let allowed = match event.container {
            Some(_) => &self.in_containers,
            None => &self.on_host,
        };
        self.by_kind[event.kind as usize].search(&view, allowed, &mut found);
        let matches = self.judge(found.iter(), &view, scratch);
        view.leave(scratch);
        scratch.found = found;
        matches
    }

    /// The same without the search for literals: what tests compare with.
    #[doc(hidden)]
    pub fn evaluate_all(&self, event: &Event, scratch: &mut Scratch) -> Vec<Match> {
        let meets = |code: &Code| code.rule.kinds.contains(event.kind);
        let rules = (0..self.rules.len()).filter(|index| meets(&self.rules[*index]));
        let view = View::new(event, scratch);
        let matches = self.judge(rules, &view, scratch);
        view.leave(scratch);
        matches
    }

    fn judge(
        &self,
        candidates: impl Iterator<Item = usize>,
        view: &View<'_>,
        scratch: &mut Scratch,
    ) -> Vec<Match> {
        let event = view.event;
        let mut matches = Vec::new();
        scratch.begin(&self.unit);
        let mut machine = scratch.machine(&self.unit, view);
        for index in candidates {
            let Code {
                rule,
                condition,
                exceptions,
                joined,
                steps,
            } = &self.rules[index];
            match (rule.where_.target, event.container.is_some()) {
                (Target::Host, true) | (Target::Container, false) => continue,
                _ => {}
            }
            let incomplete = match machine.truth(*condition) {
                Truth::False => continue,
                Truth::True => false,
                Truth::Unknown => true,
            };
            let pending = match selects(&rule.where_, event) {
                Selected::No => continue,
                Selected::Yes => false,
                Selected::Pending => true,
            };
            let mut holds = |range: &Range, expires: Option<i64>| {
                let runs = expires.is_none_or(|seconds| event.time.0 < seconds.saturating_mul(1_000_000_000));
                runs && machine.truth(*range) == Truth::True
            };
            let own = exceptions
                .iter()
                .zip(&rule.exceptions)
                .position(|(range, exception)| holds(range, exception.expires));
            let excepted = own.map(Excepted::Own).or_else(|| {
                let place = joined.iter().zip(&rule.joined).position(|(range, exception)| {
                    reaches(&exception.namespace, event) && holds(range, exception.expires)
                })?;
                Some(Excepted::Joined(place))
            });
            let group = show::group_key(&rule.group_by, event);
            let values = rule.detect.iter().flat_map(|detect| &detect.values);
            let values = values.map(|(_, id)| show::key_value(*id, event)).collect();
            let steps = steps
                .iter()
                .filter(|(range, _)| machine.truth(*range) != Truth::False);
            let steps = steps.fold(0, |all, (_, bit)| all | bit);
            let title = show::title(&rule.title, event);
            matches.push(Match {
                rule: index,
                incomplete,
                pending,
                excepted,
                group,
                values,
                steps,
                title,
            });
        }
        matches
    }

    /// What a signal shows of an event that matched the rule at that place.
    pub fn record(&self, rule: usize, event: &Event) -> Record {
        let mut fields = Vec::new();
        if let Some(Code { rule, .. }) = self.rules.get(rule) {
            fields.extend(rule.group_by.iter().map(|(_, id)| *id));
            fields.extend_from_slice(&rule.fields);
        }
        Registry::workload().record(event, &fields)
    }
}

/// Conditions of the steps of a rule's sequence and of what ends it, with their bits.
fn steps(rule: &Rule) -> impl Iterator<Item = (ExprId, Steps)> {
    let steps = rule.detect.iter().flat_map(|detect| &detect.steps);
    let bits = (0..Steps::BITS - 1).map(|place| 1 << place);
    let until = rule.detect.iter().filter_map(|detect| detect.until);
    steps.copied().zip(bits).chain(until.map(|until| (until, UNTIL)))
}

/// Whether an Exception object of that namespace reaches an event: while it is unknown whose pod it happened in, none of a
/// namespace does.
pub(crate) fn reaches(namespace: &str, event: &Event) -> bool {
    namespace.is_empty()
        || matches!(
            event.container.as_deref().map(|container| &container.pod),
            Some(Known::Present(pod)) if pod.namespace.as_bytes() == namespace.as_bytes()
        )
}
