//! What a receiver is told, before it is put into the receiver's own form: pure.

use serde_json::{Value, json};
use yagura_event::Severity;

use super::subject::{Stage, Subject};

/// Signals that a message for people lists; the rest is counted.
pub const SHOWN: usize = 20;

/// A message to one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it tells.
    pub stage: Stage,
    /// Whether somebody only tries whether messages arrive.
    pub test: bool,
    /// Whether nobody took care of the signals for the time that the route gives.
    pub escalated: bool,
    /// Name of the route.
    pub route: String,
    /// Name of the receiver.
    pub receiver: String,
    /// Name of the cluster; empty when it has none.
    pub cluster: String,
    /// The signals, at least one.
    pub signals: Vec<Subject>,
    /// When it is sent.
    pub at: jiff::Timestamp,
}

impl Message {
    /// The most urgent of its signals.
    pub fn severity(&self) -> Severity {
        let severities = self.signals.iter().map(|signal| signal.severity);
        severities.max().unwrap_or(Severity::Info)
    }

    /// One line about everything, with nothing in it that could be taken for the end of one.
    pub fn headline(&self) -> String {
        let what = match self.signals.as_slice() {
            [only] => format!("{} ({})", only.title, only.origin),
            all => format!("{} signals: {}", all.len(), common(all)),
        };
        let lead = match (self.test, self.stage, self.escalated) {
            (true, _, _) => "TEST, nothing happened: ".to_owned(),
            (_, Stage::Closed, _) => "Over: ".to_owned(),
            (_, Stage::Acknowledged, _) => "Somebody looks: ".to_owned(),
            (_, Stage::Open, true) => format!(
                "[{}] Nobody looked yet: ",
                self.severity().as_str().to_uppercase()
            ),
            (_, Stage::Open, false) => format!("[{}] ", self.severity().as_str().to_uppercase()),
        };
        let place = if self.cluster.is_empty() {
            String::new()
        } else {
            format!(" in {}", self.cluster)
        };
        line(&format!("{lead}{what}{place}"), 512)
    }

    /// The signals that are listed, `most` at the most, and how many are not.
    pub fn shown(&self, most: usize) -> (&[Subject], usize) {
        let shown = self.signals.len().min(most);
        (&self.signals[..shown], self.signals.len() - shown)
    }

    /// What is told of a signal beside its title: name and value.
    pub fn facts(&self, signal: &Subject) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("Severity", signal.severity.as_str().to_owned()),
            ("Rule", signal.rule.clone()),
            ("Namespace", signal.origin.clone()),
            ("Resource", signal.resource.clone()),
            ("Node", signal.node.clone().unwrap_or_default()),
            ("Count", signal.count.to_string()),
            ("First seen", signal.first.to_string()),
            ("Last seen", signal.last.to_string()),
            ("Show", signal.command()),
        ];
        facts.retain(|(_, value)| !value.is_empty());
        for (_, value) in &mut facts {
            *value = line(value, 256);
        }
        facts
    }

    /// Everything, for machines.
    pub fn json(&self) -> Value {
        let signals: Vec<Value> = self
            .signals
            .iter()
            .map(|signal| signal.json(self.stage))
            .collect();
        json!({
            "version": 1,
            "test": self.test,
            "state": self.stage.as_str(),
            "escalated": self.escalated,
            "route": self.route,
            "receiver": self.receiver,
            "cluster": self.cluster,
            "severity": self.severity().as_str(),
            "title": self.headline(),
            "sentAt": self.at.to_string(),
            "signals": signals,
        })
    }
}

/// What several signals have in common.
fn common(signals: &[Subject]) -> String {
    let shared = |of: fn(&Subject) -> &str| {
        let first = of(signals.first()?);
        signals.iter().all(|signal| of(signal) == first).then_some(first)
    };
    match (shared(|signal| &signal.rule), shared(|signal| &signal.origin)) {
        (Some(rule), Some(namespace)) => format!("{rule} in {namespace}"),
        (Some(rule), None) => format!("{rule} in several namespaces"),
        (None, Some(namespace)) => format!("several rules in {namespace}"),
        (None, None) => "several rules in several namespaces".to_owned(),
    }
}

/// The text on one line of at most `most` bytes: what controls a terminal, a header or the
/// direction of writing is replaced.
pub fn line(text: &str, most: usize) -> String {
    let clean = |character: char| {
        let turns =
            matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let breaks = matches!(character, '\u{2028}' | '\u{2029}');
        if character.is_control() || turns || breaks {
            ' '
        } else {
            character
        }
    };
    crate::conditions::cut(text.chars().map(clean).collect(), most)
}

/// The same for a text of several lines.
pub fn lines(text: &str, most: usize) -> String {
    let kept: Vec<String> = text.lines().map(|text| line(text, most)).collect();
    crate::conditions::cut(kept.join("\n"), most)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use yagura_event::Severity;

    use super::super::subject::Stage::{self, Closed, Open};
    use super::super::subject::tests::subject;
    use super::{Message, SHOWN, line, lines};

    /// A message about signals with these names.
    pub(crate) fn message(stage: Stage, names: &[&str]) -> Message {
        Message {
            stage,
            test: false,
            escalated: false,
            route: "ops".to_owned(),
            receiver: "r".to_owned(),
            cluster: "prod-1".to_owned(),
            signals: names.iter().map(|name| subject(name, Severity::High)).collect(),
            at: jiff::Timestamp::from_second(1_700_000_060).unwrap(),
        }
    }

    #[test]
    fn the_headline_says_what_it_is_about() {
        let mut one = message(Open, &["a"]);
        assert_eq!(one.headline(), "[HIGH] Shell bash in cart (shop) in prod-1");
        one.escalated = true;
        assert_eq!(
            one.headline(),
            "[HIGH] Nobody looked yet: Shell bash in cart (shop) in prod-1"
        );
        one.test = true;
        assert!(one.headline().starts_with("TEST, nothing happened: "));
        let mut two = message(Closed, &["a", "b"]);
        two.cluster.clear();
        assert_eq!(two.headline(), "Over: 2 signals: shell-in-container in shop");
        two.signals[1].origin = "other".to_owned();
        assert_eq!(
            two.headline(),
            "Over: 2 signals: shell-in-container in several namespaces"
        );
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let names: Vec<String> = (0..25).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = message(Open, &names);
        let (shown, more) = message.shown(SHOWN);
        assert_eq!((shown.len(), more), (20, 5));
        assert_eq!(message.json()["signals"].as_array().unwrap().len(), 25);
    }

    proptest! {
        #[test]
        fn nothing_breaks_a_line(text in any::<String>()) {
            let clean = line(&text, 200);
            prop_assert!(clean.len() <= 200);
            let turns = |c: char| ('\u{202a}'..='\u{202e}').contains(&c);
            let clean = clean.chars().all(|c| !c.is_control() && !turns(c));
            prop_assert!(clean);
            prop_assert!(lines(&text, 300).chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
