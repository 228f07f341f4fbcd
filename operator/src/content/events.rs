//! What people are told, in the cluster, about their edits of shipped objects.

use kube::runtime::events::{Event, EventType};

use super::bundle::{Key, Kind};
use crate::conditions::cut;

/// Longest note that the API server takes.
const MAX_NOTE: usize = 1_024;
/// Most members and editors that a note names.
const SHOWN: usize = 8;

/// An edit was taken back.
pub(super) fn reverted(key: &Key, by: &[String], members: &[String]) -> Event {
    let note = format!(
        "What {} wrote to {} is taken back: this object ships with Yagura. {}",
        listed(by.iter().map(String::as_str)),
        listed(members.iter().map(String::as_str)),
        instead(key.kind)
    );
    event("EditReverted", "Revert", note)
}

/// A shipped object that somebody deleted is there again.
pub(super) fn restored(key: &Key) -> Event {
    let note = format!(
        "It was deleted and is there again: this object ships with Yagura. {}",
        instead(key.kind)
    );
    event("Restored", "Create", note)
}

/// What to do instead.
fn instead(kind: Kind) -> &'static str {
    match kind {
        Kind::Rule => {
            "To switch it off set spec.enabled to false; to change its severity, where it applies or what it \
             excepts set spec.overrides; to change anything else copy it under another name without the label \
             yagura.dev/bundle, and switch this one off. The value content.packs of the chart removes whole packs."
        }
        Kind::Check => {
            "To change its severity set spec.overrides; to change anything else copy it under another name without \
             the label yagura.dev/bundle, and refer to the copy from a framework of yours. The value content.packs \
             of the chart removes whole packs."
        }
        Kind::Framework => {
            "Copy it under another name without the label yagura.dev/bundle, and change the copy. The value \
             content.packs of the chart removes whole packs."
        }
    }
}

fn event(reason: &str, action: &str, note: String) -> Event {
    Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        action: action.to_owned(),
        note: Some(cut(note, MAX_NOTE)),
        secondary: None,
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    let more = if all.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|name| cut((*name).to_owned(), 64))
        .collect();
    format!("{}{more}", shown.join(", "))
}
