//! What the operator asked of the API server, by the API server's own audit log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// The log of all calls.
pub(crate) struct Calls {
    log: PathBuf,
}

/// The calls of some time.
#[derive(Debug, Default)]
pub(crate) struct Period {
    seconds: f64,
    /// By verb and resource; `patch nodesensors/status`.
    by_kind: BTreeMap<String, u64>,
    /// Writes by second.
    writes: BTreeMap<i64, u64>,
    /// All but watches by second.
    all: BTreeMap<i64, u64>,
}

impl Calls {
    /// Calls as the API server logs them in a file.
    pub(crate) fn new(log: PathBuf) -> Self {
        Self { log }
    }

    /// The calls that began since then.
    pub(crate) fn since(&self, from: SystemTime) -> Result<Period> {
        let text = std::fs::read_to_string(&self.log).context("cannot read the audit log")?;
        let from = Timestamp::try_from(from)?;
        let elapsed = Timestamp::now().duration_since(from);
        let mut period = Period {
            seconds: elapsed.as_secs_f64(),
            ..Period::default()
        };
        for line in text.lines() {
            // The last line may be half written.
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            period.add(&event, from);
        }
        Ok(period)
    }
}

impl Period {
    fn add(&mut self, event: &Value, from: Timestamp) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let verb = text(&event["verb"]);
        let Ok(began) = text(&event["requestReceivedTimestamp"]).parse::<Timestamp>() else {
            return;
        };
        if began < from || verb == "watch" || event["stage"] != "ResponseComplete" {
            return;
        }
        let object = &event["objectRef"];
        let mut resource = text(&object["resource"]);
        if let Some(below) = object["subresource"].as_str() {
            resource = format!("{resource}/{below}");
        }
        let second = began.as_second();
        *self.all.entry(second).or_default() += 1;
        // A review is asked with `create`, but nothing is kept of it.
        let writes = matches!(
            verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ) && !resource.ends_with("reviews");
        if writes {
            *self.writes.entry(second).or_default() += 1;
        }
        *self.by_kind.entry(format!("{verb} {resource}")).or_default() += 1;
    }

    /// Writes a second, on the average.
    pub(crate) fn writes_per_second(&self) -> f64 {
        float(self.writes.values().sum()) / self.seconds
    }

    /// Writes a second in the worst ten seconds: the bucket holds a second's worth, which one second may show twice.
    pub(crate) fn worst_writes(&self) -> f64 {
        worst(&self.writes, 10)
    }

    /// Calls of every kind but watches in the worst second.
    pub(crate) fn worst_second(&self) -> f64 {
        worst(&self.all, 1)
    }

    /// How many calls of a kind, such as `create tokenreviews`.
    pub(crate) fn of(&self, kind: &str) -> u64 {
        self.by_kind.get(kind).copied().unwrap_or_default()
    }

    /// The kinds of calls, most frequent first, for a person.
    pub(crate) fn shown(&self) -> String {
        let mut kinds: Vec<(&String, &u64)> = self.by_kind.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown: Vec<String> = kinds
            .into_iter()
            .take(6)
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        shown.join(", ")
    }
}

/// The highest rate in so many seconds in a row.
fn worst(by_second: &BTreeMap<i64, u64>, seconds: i64) -> f64 {
    let most = by_second
        .keys()
        .map(|first| by_second.range(*first..first + seconds).map(|(_, n)| n).sum())
        .max();
    let seconds = Duration::from_secs(seconds.unsigned_abs()).as_secs_f64();
    float(most.unwrap_or(0)) / seconds
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Period;

    #[test]
    fn reviews_are_calls_and_no_writes() {
        let mut period = Period {
            seconds: 10.0,
            ..Period::default()
        };
        let mut add = |verb: &str, resource: &str, at: &str| {
            let event = json!({"verb": verb, "stage": "ResponseComplete", "requestReceivedTimestamp": at,
                "objectRef": {"resource": resource}});
            period.add(&event, "2026-01-01T00:00:00Z".parse().unwrap());
        };
        add("create", "tokenreviews", "2026-01-01T00:00:01.5Z");
        add("patch", "nodesensors", "2026-01-01T00:00:01.6Z");
        add("patch", "nodesensors", "2026-01-01T00:00:05Z");
        add("patch", "nodesensors", "2025-12-31T23:59:59Z");
        assert!((period.writes_per_second() - 0.2).abs() < 1e-9);
        assert!((period.worst_second() - 2.0).abs() < 1e-9);
        assert_eq!(period.of("patch nodesensors"), 2);
    }
}
