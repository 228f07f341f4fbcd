//! A stored signal as the object in the cluster: pure, and never larger than 32 KiB.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use yagura_crds::security_signal::{
    NODE_LABEL, Notification, RULE_LABEL, SEVERITY_LABEL, SOURCE_LABEL, SignalSample,
};
use yagura_crds::{SecuritySignalSpec, SecuritySignalStatus};
use yagura_store::signals::Stored;

use super::annotations;
use super::detail::{Detail, time};
use super::text::cut;

/// An object's size as JSON.
const MAX_OBJECT: usize = 32 * 1_024;
/// What the API server adds: managed fields, uid, versions.
const ADDED: usize = 4 * 1_024;

/// Routes that a status shows, and bytes of what it says of one.
const MAX_NOTIFICATIONS: usize = 32;
const MAX_RESULT: usize = 256;

const API_VERSION: &str = "yagura.dev/v1alpha1";
const KIND: &str = "SecuritySignal";

/// The two applies of a signal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    /// Metadata and the identity in `spec`; `spec.triage` stays people's.
    pub(super) identity: Value,
    /// `status`.
    pub(super) status: Value,
}

/// The stored detail is not what this build writes.
#[derive(Debug, thiserror::Error)]
#[error("the stored detail of signal {name} cannot be read")]
pub(crate) struct UnreadableDetail {
    name: String,
    #[source]
    source: serde_json::Error,
}

/// A signal as others are told of it, whole.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    /// Its identity.
    pub(crate) spec: SecuritySignalSpec,
    /// What was observed.
    pub(crate) status: SecuritySignalStatus,
    /// The node that it is about.
    pub(crate) node: Option<String>,
}

/// What a stored signal says.
pub(crate) fn parts(signal: &Stored) -> Result<Parts, UnreadableDetail> {
    let (detail, status) = read(signal)?;
    let mut spec = detail.spec;
    spec.opened = time(signal.opened);
    Ok(Parts {
        spec,
        status,
        node: detail.node,
    })
}

fn read(signal: &Stored) -> Result<(Detail, SecuritySignalStatus), UnreadableDetail> {
    let unreadable = |source| UnreadableDetail {
        name: signal.name.clone(),
        source,
    };
    let detail: Detail = serde_json::from_slice(&signal.detail).map_err(unreadable)?;
    let mut status = status(signal, &detail);
    for sample in &signal.samples {
        let sample: SignalSample = serde_json::from_slice(sample).map_err(unreadable)?;
        status.samples.push(sample);
    }
    Ok((detail, status))
}

/// The object of a signal.
pub(super) fn object(signal: &Stored) -> Result<Object, UnreadableDetail> {
    shrunk(signal, MAX_OBJECT)
}

/// The object of a signal with everything given up that it can do without.
pub(super) fn smallest(signal: &Stored) -> Result<Object, UnreadableDetail> {
    shrunk(signal, 0)
}

/// The object, with as much given up as it takes to fit.
fn shrunk(signal: &Stored, fits: usize) -> Result<Object, UnreadableDetail> {
    let (detail, mut status) = read(signal)?;
    let identity = identity(signal, &detail);
    let taken = size(&identity) + ADDED;
    let mut steps = SHRINK.iter();
    while taken + size(&status) > fits {
        let Some(step) = steps.next() else { break };
        step(&mut status);
        mark(&mut status, CUT_MARK);
    }
    let status = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": signal.name, "namespace": signal.namespace},
        "status": status,
    });
    Ok(Object { identity, status })
}

const CUT_MARK: &str = "cut to 32 KiB";

/// What is given up for size, the least useful first.
const SHRINK: [fn(&mut SecuritySignalStatus); 6] = [
    |status| status.samples.truncate(1),
    |status| {
        for text in [&mut status.description, &mut status.remediation] {
            *text = cut(std::mem::take(text), 1_024);
        }
    },
    |status| status.samples.clear(),
    |status| {
        for resource in &mut status.resources {
            resource.labels.clear();
            resource.args.truncate(8);
            for arg in &mut resource.args {
                *arg = cut(std::mem::take(arg), 128);
            }
        }
    },
    |status| status.resources.truncate(8),
    |status| {
        for resource in &mut status.resources {
            resource.evidence.clear();
        }
    },
];

fn status(signal: &Stored, detail: &Detail) -> SecuritySignalStatus {
    let mut status = SecuritySignalStatus {
        count: i64::try_from(signal.count).unwrap_or(i64::MAX),
        first_seen: time(signal.first),
        last_seen: time(signal.last),
        resolved_at: signal.resolved_at.map(time),
        origin_namespace: signal.origin_namespace.clone(),
        // A store that was lost knows of the link only what the object said.
        previous: signal.previous.as_ref().map_or_else(
            || detail.status.previous.clone(),
            |(namespace, name)| Some(format!("{namespace}/{name}")),
        ),
        notifications: signal
            .told
            .iter()
            .take(MAX_NOTIFICATIONS)
            .filter_map(|told| told.route.split_once('/').map(|names| (names, told)))
            .map(|((route, receiver), told)| Notification {
                route: route.to_owned(),
                receiver: receiver.to_owned(),
                result: cut(told.result.clone(), MAX_RESULT),
                at: time(told.at),
            })
            .collect(),
        samples: Vec::new(),
        ..detail.status.clone()
    };
    if signal.incomplete {
        mark(&mut status, "a condition was decided by something unknown");
    }
    if signal.restored {
        mark(&mut status, "count restored: a lower bound");
    }
    status
}

fn mark(status: &mut SecuritySignalStatus, what: &str) {
    if !status.incomplete.iter().any(|known| known == what) {
        status.incomplete.push(what.to_owned());
    }
}

fn identity(signal: &Stored, detail: &Detail) -> Value {
    let labels = [
        (RULE_LABEL, Some(signal.rule_name.as_str())),
        (SEVERITY_LABEL, Some(detail.status.severity.as_str())),
        (SOURCE_LABEL, Some(detail.spec.source.as_str())),
        (NODE_LABEL, detail.node.as_deref()),
    ];
    let labels: serde_json::Map<String, Value> = labels
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(label_value(value?)?))))
        .collect();
    let (spool, sequence) = &signal.anchor;
    let mut notes = json!({
        annotations::KEY: STANDARD.encode(&signal.key),
        annotations::ANCHOR: format!("{spool}/{sequence}"),
    });
    if signal.overflow {
        notes[annotations::OVERFLOW] = json!("true");
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": signal.name,
            "namespace": signal.namespace,
            "labels": labels,
            "annotations": notes,
        },
        "spec": {
            "rule": detail.spec.rule,
            "source": detail.spec.source,
            "group": detail.spec.group,
            "opened": time(signal.opened),
        },
    })
}

/// The value, if it may be a label's.
fn label_value(value: &str) -> Option<&str> {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let bytes = value.as_bytes();
    let ends = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let fits =
        bytes.len() <= 63 && ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(|c| inner(*c));
    fits.then_some(value)
}

fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX / 2, |bytes| bytes.len())
}

#[cfg(test)]
pub(super) mod tests;
