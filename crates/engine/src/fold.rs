//! Folding: the first detection of a group goes out at once, those that follow as one count a second.
//!
//! Nothing is lost and nothing counted twice: the counts of all folds of a group add up to its matches.

use std::collections::HashMap;

use yagura_event::{Fold, Record, Timestamp};
use yagura_rules::Rule;

use crate::Detection;
use crate::unit::encode_tree;

/// Time between two folds of one group, in nanoseconds.
pub const INTERVAL: i64 = 1_000_000_000;
/// Most samples in a fold.
pub const SAMPLES: usize = 3;
/// Most groups that are followed at a time. A match of one more goes out by itself, with count 1.
pub const GROUPS: usize = 16_384;

/// A fold that goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// What is sent.
    pub fold: Fold,
    /// Whether it opens its group.
    pub first: bool,
}

/// Folds the detections of all rules.
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
    /// Takes a detection of `rule`, `now` by the agent's clock. Gives the fold that has to go out at once, if it does.
    /// Excepted matches are not for it: their caller counts them.
    pub fn add(
        &mut self,
        rule: &Rule,
        detection: Detection,
        now: Timestamp,
        record: impl FnOnce() -> Record,
    ) -> Option<Sent> {
        let key = key(rule, &detection);
        let room = self.groups.len() < GROUPS;
        let Some(group) = self.groups.get_mut(&key) else {
            let mut fold = begin(rule, detection);
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
            return Some(Sent { fold, first: true });
        };
        let fold = match &mut group.waiting {
            Some(fold) => {
                fold.count += detection.count;
                fold.first = fold.first.min(detection.first);
                fold.last = fold.last.max(detection.last);
                fold
            }
            waiting @ None => waiting.insert(begin(rule, detection)),
        };
        if fold.samples.len() < SAMPLES {
            fold.samples.push(record());
        }
        // A clock that was set back does not hold folds up.
        if now.since(group.sent).saturating_abs() < INTERVAL {
            return None;
        }
        group.sent = now;
        group.waiting.take().map(|fold| Sent { fold, first: false })
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

fn begin(rule: &Rule, detection: Detection) -> Fold {
    let found = detection.found;
    Fold {
        rule: rule.uid.clone(),
        rule_hash: rule.hash.clone(),
        group: found.group,
        title: found.title,
        count: detection.count,
        first: detection.first,
        last: detection.last,
        samples: Vec::new(),
        incomplete: found.incomplete,
        pending: found.pending,
        case: detection.case,
    }
}

/// What makes matches one group. Complete and incomplete ones stay apart, as do those whose pod is not known
/// yet: each fold is true of all that it counts.
fn key(rule: &Rule, Detection { found, case, .. }: &Detection) -> Vec<u8> {
    let mut key = rule.hash.as_bytes().to_vec();
    let case = case.map_or(0, |case| case.saturating_add(1));
    key.extend([u8::from(found.incomplete), u8::from(found.pending), case]);
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
    use crate::Match;

    fn found(group: &str, at: Timestamp) -> Detection {
        let found = Match {
            rule: 0,
            incomplete: false,
            pending: false,
            excepted: None,
            group: GroupKey(vec![("process.name".to_owned(), Tree::from(group))]),
            values: Vec::new(),
            steps: 0,
            title: format!("title {group}"),
        };
        Detection::of(found, at)
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
        let add = |folder: &mut Folder, group: &str, at| {
            let sent = folder.add(&rule, found(group, at), at, Record::default);
            sent.map(|sent| sent.fold)
        };
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
        let add = |folder: &mut Folder, at| folder.add(&rule, found("a", at), at, Record::default);
        assert!(add(&mut folder, ms(0)).unwrap().first);
        add(&mut folder, ms(10));
        let sent = add(&mut folder, ms(1_500)).unwrap();
        assert_eq!((sent.fold.count, sent.first), (2, false));
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
                let found = found(&group.to_string(), ms(round));
                let now = folder.add(&rule, found, ms(round), Record::default);
                sent += now.map_or(0, |now| now.fold.count);
            }
        }
        assert_eq!(folder.groups(), GROUPS);
        sent += folder.drain().iter().map(|fold| fold.count).sum::<u64>();
        assert_eq!(sent, 2 * (GROUPS as u64 + 100));
    }
}
