//! Rules as somebody runs them: what matches all the time is tuned away.

use std::sync::Arc;

use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Event, Registry};
use yagura_rules::{Lists, Rule, RuleSource, compile};

use crate::generate;

/// The rule that is to match and others that match nothing of what always happens.
pub(crate) fn tuned(count: usize, events: &[Event]) -> (Vec<RuleSource>, Vec<Arc<Rule>>) {
    let mut sources: Vec<RuleSource> = generate::rules(count + count / 5);
    let mut rules: Vec<Arc<Rule>> = sources.iter().map(compiled).collect();
    let set = RuleSet::new(rules.iter().map(Arc::clone));
    let mut scratch = Scratch::default();
    let mut noisy = vec![false; sources.len()];
    for event in events {
        for found in set.evaluate(event, &mut scratch) {
            noisy[found.rule] = found.rule != 0;
        }
    }
    let mut quiet = noisy.iter();
    sources.retain(|_| quiet.next() == Some(&false));
    let mut quiet = noisy.iter();
    rules.retain(|_| quiet.next() == Some(&false));
    sources.truncate(count);
    rules.truncate(count);
    (sources, rules)
}

pub(crate) fn compiled(source: &RuleSource) -> Arc<Rule> {
    let compiled = compile(source, Registry::workload(), &Lists::default());
    compiled
        .rule
        .ok_or((&source.condition, compiled.diagnostics))
        .unwrap()
}
