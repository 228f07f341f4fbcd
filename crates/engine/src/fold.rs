//! Folding: the first match of a group goes out at once, those that follow as one count a second.
//!
//! Nothing is lost and nothing counted twice: the counts of all folds of a group add up to its matches.

use std::collections::HashMap;

use yagura_event::{Fold, Record, Timestamp};
use yagura_rules::Rule;

use crate::Match;
use crate::unit::encode_tree;

/// Time between two folds of one group, in nanoseconds.
pub const INTERVAL: i64 = 1_000_000_000;
/// Most samples in a fold.
pub const SAMPLES: usize = 3;
/// Most groups that are followed at a time. A match of one more goes out by itself, with count 1.
pub const GROUPS: usize = 16_384;

/// Folds the matches of all rules.
#[derive(Debug, Default)]
pub struct Folder {
    groups: HashMap<Vec<u8>, Group>,
}

#[derive(Debug)]
struct Group {
    sent: Timestamp,
    waiting: Option<Fold>,
}

impl Folder {
    /// Takes a match of `rule`, at `event_time` by the event's clock and `now` by the agent's. Gives the fold that
    /// has to go out at once, if it does. Excepted matches are not for it: their caller counts them.
    pub fn add(
        &mut self,
        rule: &Rule,
        found: Match,
        event_time: Timestamp,
        now: Timestamp,
        record: impl FnOnce() -> Record,
    ) -> Option<Fold> {
        let key = key(rule, &found);
        let room = self.groups.len() < GROUPS;
        let Some(group) = self.groups.get_mut(&key) else {
            let mut fold = begin(rule, found, event_time);
            fold.count = 1;
            fold.samples.push(record());
            if room {
                self.groups.insert(
                    key,
                    Group {
                        sent: now,
                        waiting: None,
                    },
                );
            }
            return Some(fold);
        };
        let fold = group
            .waiting
            .get_or_insert_with(|| begin(rule, found, event_time));
        fold.count += 1;
        fold.first = fold.first.min(event_time);
        fold.last = fold.last.max(event_time);
        if fold.samples.len() < SAMPLES {
            fold.samples.push(record());
        }
        // A clock that was set back does not hold folds up.
        if now.since(group.sent).saturating_abs() < INTERVAL {
            return None;
        }
        group.sent = now;
        group.waiting.take()
    }

    /// The folds whose second is over; groups without new matches are forgotten.
    pub fn flush(&mut self, now: Timestamp) -> Vec<Fold> {
        let mut due = Vec::new();
        self.groups.retain(|_, group| {
            if now.since(group.sent).saturating_abs() < INTERVAL {
                return true;
            }
            group.sent = now;
            match group.waiting.take() {
                Some(fold) => {
                    due.push(fold);
                    true
                }
                None => false,
            }
        });
        due
    }

    /// Everything that waits, when the agent stops or its rules change.
    pub fn drain(&mut self) -> Vec<Fold> {
        self.groups
            .drain()
            .filter_map(|(_, group)| group.waiting)
            .collect()
    }

    /// How many groups are followed.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

fn begin(rule: &Rule, found: Match, time: Timestamp) -> Fold {
    Fold {
        rule: rule.uid.clone(),
        rule_hash: rule.hash.clone(),
        group: found.group,
        title: found.title,
        count: 0,
        first: time,
        last: time,
        samples: Vec::new(),
        incomplete: found.incomplete,
        pending: found.pending,
    }
}

/// What makes matches one group. Complete and incomplete ones stay apart, as do those whose pod is not known
/// yet: each fold is true of all that it counts.
fn key(rule: &Rule, found: &Match) -> Vec<u8> {
    let mut key = rule.hash.as_bytes().to_vec();
    key.extend([u8::from(found.incomplete), u8::from(found.pending)]);
    for (_, value) in &found.group.0 {
        encode_tree(value, &mut key);
    }
    key
}

#[cfg(test)]
mod tests {
    use yagura_event::{GroupKey, Registry, Tree};
    use yagura_rules::{Lists, RuleSource, compile};

    use super::*;

    fn found(group: &str) -> Match {
        Match {
            rule: 0,
            incomplete: false,
            pending: false,
            excepted: None,
            group: GroupKey(vec![("process.name".to_owned(), Tree::from(group))]),
            title: format!("title {group}"),
        }
    }

    fn rule() -> std::sync::Arc<Rule> {
        let source = RuleSource::new("r", "process.name == \"a\"");
        compile(&source, Registry::workload(), &Lists::default())
            .rule
            .unwrap()
    }

    fn ms(milliseconds: i64) -> Timestamp {
        Timestamp(milliseconds * 1_000_000)
    }

    #[test]
    fn the_first_goes_at_once_and_the_rest_once_a_second() {
        let rule = rule();
        let mut folder = Folder::default();
        let add =
            |folder: &mut Folder, group: &str, at| folder.add(&rule, found(group), at, at, Record::default);
        assert_eq!(add(&mut folder, "a", ms(0)).unwrap().count, 1);
        for at in 1..=50 {
            assert_eq!(add(&mut folder, "a", ms(at)), None);
        }
        assert_eq!(add(&mut folder, "b", ms(51)).unwrap().title, "title b");
        assert_eq!(folder.flush(ms(900)), vec![]);
        let folds = folder.flush(ms(1_000));
        assert_eq!(folds.len(), 1);
        assert_eq!(
            (folds[0].count, folds[0].first, folds[0].last),
            (50, ms(1), ms(50))
        );
        assert_eq!(folds[0].samples.len(), SAMPLES);
        assert_eq!(folder.groups(), 2);
        folder.flush(ms(5_000));
        assert_eq!(folder.groups(), 0);
        assert_eq!(add(&mut folder, "a", ms(5_001)).unwrap().count, 1);
    }

    #[test]
    fn a_match_after_the_second_takes_those_that_wait_with_it() {
        let rule = rule();
        let mut folder = Folder::default();
        let add = |folder: &mut Folder, at| folder.add(&rule, found("a"), at, at, Record::default);
        add(&mut folder, ms(0));
        add(&mut folder, ms(10));
        assert_eq!(add(&mut folder, ms(1_500)).unwrap().count, 2);
        add(&mut folder, ms(1_600));
        assert_eq!(folder.drain().iter().map(|fold| fold.count).sum::<u64>(), 1);
    }

    #[test]
    fn more_groups_than_are_followed_go_out_by_themselves() {
        let rule = rule();
        let mut folder = Folder::default();
        let mut sent = 0;
        for round in 0..2 {
            for group in 0..GROUPS + 100 {
                let fold = folder.add(
                    &rule,
                    found(&group.to_string()),
                    ms(round),
                    ms(round),
                    Record::default,
                );
                sent += fold.map_or(0, |fold| fold.count);
            }
        }
        assert_eq!(folder.groups(), GROUPS);
        sent += folder.drain().iter().map(|fold| fold.count).sum::<u64>();
        assert_eq!(sent, 2 * (GROUPS as u64 + 100));
    }
}
