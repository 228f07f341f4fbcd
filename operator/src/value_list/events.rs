//! What people are told, in the cluster, when a list takes what uses it along: pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::runtime::events::{Event, EventType};

use super::shelf::{Judged, Object, Shelf};
use super::uses::Uses;
use super::validate::{REPLACED, is_builtin, users};
use crate::conditions::cut;

/// Longest note that the API server takes.
const MAX_NOTE: usize = 1_024;
/// Reason for a list that went away.
const DELETED: &str = "DeletedInUse";

/// The lists that could be used before and cannot be now, while something uses them, and what to say of each.
pub(super) fn stopped(before: &Shelf, now: &Shelf, uses: &Uses) -> Vec<(Arc<Object>, Event)> {
    let current: BTreeMap<&str, &Judged> = now
        .judged
        .iter()
        .map(|judged| (judged.object.name.as_str(), judged))
        .collect();
    let mut told = Vec::new();
    for judged in before.judged.iter().filter(|judged| judged.content.is_ok()) {
        let name = judged.object.name.as_str();
        let (object, reason, why) = match current.get(name) {
            None => (&judged.object, DELETED, "It was deleted.".to_owned()),
            Some(next) => match &next.content {
                Ok(_) => continue,
                Err(refused) => (
                    &next.object,
                    "RefusedInUse",
                    format!("It cannot be used: {}.", refused.message),
                ),
            },
        };
        let mut lines = users(name, uses);
        if lines.is_empty() {
            continue;
        }
        if reason == DELETED && is_builtin(name) {
            lines = vec![REPLACED.to_owned()];
        }
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            action: "Stop".to_owned(),
            note: Some(cut(format!("{}. {why}", lines.join(". ")), MAX_NOTE)),
            secondary: None,
        };
        told.push((Arc::clone(object), event));
    }
    told
}
