//! A signal as two lines that fit a terminal, and whether a person asked for it.

use std::cmp::Reverse;
use std::io::{self, Write};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::args::{Filter, SignalState};
use crate::terminal::{Style, Terminal};

/// Over the first lines.
pub(super) const HEADER: &str = "SEVERITY  STATE        COUNT  LAST  TITLE";

/// Where the title begins.
const TITLE_COLUMN: usize = 36;

/// A signal as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    severity: String,
    state: &'static str,
    count: i64,
    last: Option<Timestamp>,
    title: String,
    name: String,
}

impl Row {
    pub(super) fn of(signal: &Value) -> Self {
        let text = |pointer| {
            plain(
                signal
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            )
        };
        Self {
            severity: text("/status/severity"),
            state: state(signal).as_str(),
            count: signal
                .pointer("/status/count")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
            last: time(signal, "/status/lastSeen"),
            title: text("/status/title"),
            name: format!("{}/{}", text("/metadata/namespace"), text("/metadata/name")),
        }
    }

    /// Two lines: what it is, and the name by which other commands take it.
    pub(super) fn write(&self, now: Timestamp, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
        let severity = format!("{:<8}", self.severity);
        let style = match self.severity.as_str() {
            "critical" | "high" => Style::Bad,
            "medium" => Style::Doubtful,
            _ => Style::Good,
        };
        let last = self.last.map_or_else(|| "-".to_owned(), |last| age(now, last));
        writeln!(
            out,
            "{}  {:<11}  {:>5}  {:>4}  {}",
            terminal.paint(style, &severity),
            self.state,
            count(self.count),
            last,
            cut(&self.title, terminal.width.saturating_sub(TITLE_COLUMN)),
        )?;
        writeln!(out, "  {}", self.name)
    }
}

/// How a list is sorted: what is most urgent first, then what matched last.
pub(super) fn urgency(signal: &Value) -> (Reverse<i64>, Reverse<Option<Timestamp>>, String) {
    let rank = signal.pointer("/status/severityRank").and_then(Value::as_i64);
    let name = Row::of(signal).name;
    (
        Reverse(rank.unwrap_or_default()),
        Reverse(time(signal, "/status/lastSeen")),
        name,
    )
}

/// Whether a signal in the cluster is asked for: by default those that somebody has to look at.
pub(super) fn fits(signal: &Value, filter: &Filter) -> bool {
    let wanted = match filter.state.as_slice() {
        [] => &[SignalState::Open, SignalState::UnderReview],
        states => states,
    };
    is_urgent(signal, filter) && wanted.contains(&state(signal))
}

/// Whether a signal of the history is asked for: by default every one.
pub(super) fn fits_past(signal: &Value, filter: &Filter) -> bool {
    let label = |name: &str| {
        let labels = signal.pointer("/metadata/labels");
        labels.and_then(|labels| labels.get(name)?.as_str())
    };
    let node = filter.node.as_deref();
    is_urgent(signal, filter)
        && (filter.state.is_empty() || filter.state.contains(&state(signal)))
        && node.is_none_or(|node| label(yagura_crds::security_signal::NODE_LABEL) == Some(node))
}

fn is_urgent(signal: &Value, filter: &Filter) -> bool {
    let rank = signal.pointer("/status/severityRank").and_then(Value::as_i64);
    filter
        .severity
        .is_none_or(|least| rank.unwrap_or_default() >= least.rank())
}

/// Where a signal stands: what people said, unless it ended by itself.
fn state(signal: &Value) -> SignalState {
    let triage = signal.pointer("/spec/triage/state").and_then(Value::as_str);
    let ended = signal.pointer("/history/state").and_then(Value::as_str);
    let resolved = signal
        .pointer("/status/resolvedAt")
        .is_some_and(|time| !time.is_null());
    match (triage, ended) {
        (_, Some("deleted")) => SignalState::Deleted,
        (Some("archived"), _) => SignalState::Archived,
        _ if resolved => SignalState::Resolved,
        (Some("underReview"), _) => SignalState::UnderReview,
        _ => SignalState::Open,
    }
}

pub(super) fn time(signal: &Value, pointer: &str) -> Option<Timestamp> {
    signal.pointer(pointer)?.as_str()?.parse().ok()
}

/// How long ago something was, in four characters at the most.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).max(SignedDuration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", (seconds / 86_400).min(999)),
    }
}

/// A number in five characters at the most.
fn count(count: i64) -> String {
    match count {
        ..100_000 => count.to_string(),
        100_000..10_000_000 => format!("{}k", count / 1_000),
        10_000_000..10_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", (count / 1_000_000_000).min(9_999)),
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// Text that processes may have chosen, without what would steer a terminal or turn its direction.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if steers {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::args::SignalSeverity;

    fn signal() -> Value {
        json!({
            "metadata": {
                "namespace": "shop", "name": "shell-in-container-0123456789abcdef",
                "labels": {"yagura.dev/node": "node-3"},
            },
            "spec": {"triage": {"state": "open"}},
            "status": {
                "severity": "high", "severityRank": 4, "count": 1_234_567,
                "lastSeen": "2026-11-24T12:00:00Z",
                "title": format!("Shell \u{1b}[31m\u{202e}{} in cart", "x".repeat(80)),
            },
        })
    }

    fn plain_terminal() -> Terminal {
        Terminal {
            colour: false,
            width: 80,
        }
    }

    #[test]
    fn the_first_line_fits_eighty_columns_and_the_second_names_it() {
        let mut out = Vec::new();
        let now = "2026-11-26T13:00:00Z".parse().unwrap();
        Row::of(&signal()).write(now, plain_terminal(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0].chars().count(), 80);
        assert!(
            lines[0].starts_with("high      open         1234k    2d  Shell \\u{1b}[31m\\u{202e}xxx"),
            "{}",
            lines[0]
        );
        assert_eq!(HEADER.find("TITLE"), lines[0].find("Shell"));
        assert_eq!(lines[1], "  shop/shell-in-container-0123456789abcdef");
    }

    #[test]
    fn what_nobody_has_to_look_at_is_shown_when_asked_for() {
        let mut archived = signal();
        archived["spec"]["triage"]["state"] = json!("archived");
        let mut resolved = signal();
        resolved["status"]["resolvedAt"] = json!("2026-11-24T13:00:00Z");
        let mut reviewed = signal();
        reviewed["spec"]["triage"]["state"] = json!("underReview");
        let usual = Filter::default();
        let fit = [&signal(), &reviewed, &archived, &resolved].map(|signal| fits(signal, &usual));
        assert_eq!(fit, [true, true, false, false]);
        let closed = Filter {
            state: vec![SignalState::Archived, SignalState::Resolved],
            ..Filter::default()
        };
        let fit = [&signal(), &reviewed, &archived, &resolved].map(|signal| fits(signal, &closed));
        assert_eq!(fit, [false, false, true, true]);
        assert!(fits_past(&archived, &usual));
    }

    #[test]
    fn a_severity_is_the_least_that_is_shown() {
        let at_least = |severity| Filter {
            severity: Some(severity),
            ..Filter::default()
        };
        assert!(fits(&signal(), &at_least(SignalSeverity::Low)));
        assert!(fits(&signal(), &at_least(SignalSeverity::High)));
        assert!(!fits(&signal(), &at_least(SignalSeverity::Critical)));
    }

    #[test]
    fn the_history_is_filtered_by_node_and_by_what_became_of_it() {
        let mut deleted = signal();
        deleted["history"] = json!({"state": "deleted"});
        let of = |node: &str, state: &[SignalState]| Filter {
            node: Some(node.to_owned()),
            state: state.to_vec(),
            ..Filter::default()
        };
        assert!(fits_past(&deleted, &of("node-3", &[])));
        assert!(fits_past(&deleted, &of("node-3", &[SignalState::Deleted])));
        assert!(!fits_past(&deleted, &of("node-3", &[SignalState::Archived])));
        assert!(!fits_past(&deleted, &of("node-4", &[])));
    }

    #[test]
    fn the_most_urgent_comes_first_and_then_the_latest() {
        let mut critical = signal();
        critical["status"]["severityRank"] = json!(5);
        let mut later = signal();
        later["status"]["lastSeen"] = json!("2026-11-25T12:00:00Z");
        let mut all = [signal(), later.clone(), critical.clone()];
        all.sort_by_cached_key(urgency);
        assert_eq!(all, [critical, later, signal()]);
    }

    #[test]
    fn numbers_and_ages_keep_their_columns() {
        for number in [0, 99_999, 100_000, 9_999_999, 10_000_000, 9_999_999_999, i64::MAX] {
            assert!(count(number).len() <= 5, "{number}: {}", count(number));
        }
        let now = Timestamp::MAX;
        assert_eq!(age(now, now), "0s");
        assert_eq!(age(now, Timestamp::MIN), "999d");
        assert_eq!(age(Timestamp::MIN, now), "0s");
    }
}
