//! From changes of signals to rows: what receivers are to be told because of them.

use std::collections::{BTreeMap, HashMap};

use yagura_event::{Severity, Timestamp};
use yagura_store::signals::{Change, ChangeKind, Delivery};

use super::board::Board;
use super::route::Route;
use super::row::{Row, first};
use super::stored::{key, stage_of};
use super::subject::Subject;

/// What follows from a page of changes.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Rows that are new or changed.
    pub(super) rows: Vec<Row>,
    /// Rows for which a receiver's queue has no room.
    pub(super) refused: u64,
}

/// What routes need to know to judge a page of changes.
pub(super) struct Known<'a> {
    /// Routes that can be used, in use.
    pub(super) routes: &'a [&'a Route],
    /// What the store has of the signals.
    pub(super) deliveries: Vec<Delivery>,
    /// The signals, by their id in the store.
    pub(super) subjects: HashMap<i64, Subject>,
    /// Labels of namespaces.
    pub(super) namespaces: HashMap<String, BTreeMap<String, String>>,
}

/// What follows from a page of changes: pure.
pub(super) fn follow(changes: &[Change], known: &Known<'_>, board: &Board, now: Timestamp) -> Followed {
    let mut rows: BTreeMap<(i64, String), Row> = known
        .deliveries
        .iter()
        .filter_map(|delivery| {
            Some((
                (delivery.signal, delivery.route.clone()),
                Row::of_delivery(delivery)?,
            ))
        })
        .collect();
    let mut touched: Vec<(i64, String)> = Vec::new();
    let mut refused = 0;
    let none = BTreeMap::new();
    for change in changes {
        let id = change.signal.id;
        let Some(subject) = known.subjects.get(&id) else {
            continue;
        };
        let stage = stage_of(&change.signal);
        let is_news = matches!(
            change.kind,
            ChangeKind::Opened | ChangeKind::Raised | ChangeKind::Reopened
        );
        let labels = known.namespaces.get(&subject.origin).unwrap_or(&none);
        for route in known.routes {
            let takes = is_news && route.select.takes(subject, labels);
            for target in route.targets.values() {
                let place = (id, key(&route.name, &target.name));
                if let Some(row) = rows.get_mut(&place) {
                    row.severity = subject.severity;
                    row.follow(stage, target, now);
                } else if takes {
                    let Some(row) = first(new(id, route, &target.name, subject, stage), target, now) else {
                        continue;
                    };
                    if !board.has_room(&route.name, &target.name) {
                        refused += 1;
                        continue;
                    }
                    rows.insert(place.clone(), row);
                } else {
                    continue;
                }
                touched.push(place);
            }
        }
    }
    touched.sort();
    touched.dedup();
    Followed {
        rows: touched.iter().filter_map(|place| rows.remove(place)).collect(),
        refused,
    }
}

fn new(signal: i64, route: &Route, receiver: &str, subject: &Subject, stage: super::subject::Stage) -> Row {
    let severity: Severity = subject.severity;
    Row {
        signal,
        route: route.name.clone(),
        receiver: receiver.to_owned(),
        group: route.group(subject),
        severity,
        stage,
        told: None,
        gave_up: None,
        due: None,
        tried: None,
        at: None,
    }
}
