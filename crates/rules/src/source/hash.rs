//! Hashes of rules.

use sha2::{Digest, Sha256};

use super::{
    DetectSource, ExceptionSource, JoinedSource, LetSource, Requirement, RuleSource, Selector, SignalSource,
    ThresholdSource, WhereSource, WindowSource,
};
use crate::LANGUAGE_VERSION;

impl RuleSource {
    /// The hash of what an agent runs: everything but description and tests, and the version of the language.
    /// Two rules with the same hash behave alike, wherever they are compiled.
    pub fn hash(&self) -> String {
        let Self {
            name,
            uid,
            source,
            severity,
            title: _,
            description: _,
            where_,
            lets,
            condition,
            exceptions,
            joined,
            detect,
            signal,
            tests: _,
        } = self;
        let mut body = Body::default();
        body.number(u64::from(LANGUAGE_VERSION));
        for text in [
            name,
            uid,
            source,
            severity.as_str(),
            condition,
            self.signal_title(),
        ] {
            body.text(text);
        }
        body.scope(where_);
        body.lets(lets);
        body.number(exceptions.len() as u64);
        for ExceptionSource {
            name,
            condition,
            expires,
        } in exceptions
        {
            body.text(name);
            body.text(condition);
            body.text(&expires.map_or_else(String::new, |seconds| seconds.to_string()));
        }
        body.number(joined.len() as u64);
        for JoinedSource {
            uid,
            namespace,
            condition,
            expires,
        } in joined
        {
            for text in [uid, namespace, condition] {
                body.text(text);
            }
            body.text(&expires.map_or_else(String::new, |seconds| seconds.to_string()));
        }
        let SignalSource {
            title: _,
            group_by,
            fields,
        } = signal;
        body.texts(group_by);
        body.texts(fields);
        body.detect(detect.as_ref());
        body.finish()
    }

    /// The hash of what decides which matches are counted together and when: what was counted under another one means
    /// something else. Exceptions, severity and titles have no part in it.
    pub fn state(&self) -> String {
        let mut body = Body::default();
        body.number(u64::from(LANGUAGE_VERSION));
        for text in [&self.name, &self.uid, &self.source, &self.condition] {
            body.text(text);
        }
        body.scope(&self.where_);
        body.lets(&self.lets);
        body.detect(self.detect.as_ref());
        body.finish()
    }
}

/// Feeds a hash in a form in which different contents are different bytes: each text after its length.
#[derive(Default)]
struct Body {
    hash: Sha256,
}

impl Body {
    fn number(&mut self, number: u64) {
        self.hash.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.hash.update(text.as_bytes());
    }

    fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    fn scope(
        &mut self,
        WhereSource {
            target,
            namespaces,
            pods,
        }: &WhereSource,
    ) {
        self.text(target.as_str());
        for selector in [namespaces, pods] {
            self.selector(selector.as_ref());
        }
    }

    fn lets(&mut self, lets: &[LetSource]) {
        self.number(lets.len() as u64);
        for LetSource { name, value } in lets {
            self.text(name);
            self.text(value);
        }
    }

    fn detect(&mut self, detect: Option<&DetectSource>) {
        let Some(DetectSource::Threshold(threshold)) = detect else {
            return self.text("every");
        };
        let ThresholdSource {
            count,
            within,
            group_by,
            distinct,
            window,
        } = threshold;
        self.text("threshold");
        self.number(*count);
        self.number(within.cast_unsigned());
        self.texts(group_by);
        self.texts(distinct.as_slice());
        self.text(window.as_str());
        if let WindowSource::Session { gap } = window {
            self.number(gap.cast_unsigned());
        }
    }

    fn selector(&mut self, selector: Option<&Selector>) {
        let Some(Selector { labels, requirements }) = selector else {
            return self.text("none");
        };
        self.text("some");
        self.number(labels.len() as u64);
        for (key, value) in labels {
            self.text(key);
            self.text(value);
        }
        self.number(requirements.len() as u64);
        for Requirement {
            key,
            operator,
            values,
        } in requirements
        {
            self.text(key);
            self.text(operator.as_str());
            self.texts(values);
        }
    }

    fn finish(self) -> String {
        let mut out = String::with_capacity(64);
        for byte in self.hash.finalize() {
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use yagura_event::Severity;

    use super::*;
    use crate::RuleTest;

    #[test]
    fn the_hash_follows_behaviour_and_nothing_else() {
        let rule = RuleSource::new("a", "true");
        let same = RuleSource {
            description: "prose".to_owned(),
            tests: vec![RuleTest::default()],
            ..rule.clone()
        };
        assert_eq!(rule.hash(), same.hash());
        assert_eq!(rule.hash().len(), 64);
        let threshold = |count| {
            Some(DetectSource::Threshold(ThresholdSource {
                count,
                ..ThresholdSource::default()
            }))
        };
        let other = [
            RuleSource {
                detect: threshold(1),
                ..rule.clone()
            },
            RuleSource {
                detect: threshold(2),
                ..rule.clone()
            },
            RuleSource {
                condition: "false".to_owned(),
                ..rule.clone()
            },
            RuleSource {
                severity: Severity::High,
                ..rule.clone()
            },
            RuleSource {
                joined: vec![JoinedSource::default()],
                ..rule.clone()
            },
            RuleSource {
                joined: vec![JoinedSource {
                    namespace: "shop".to_owned(),
                    ..JoinedSource::default()
                }],
                ..rule.clone()
            },
            RuleSource {
                where_: WhereSource {
                    pods: Some(Selector::default()),
                    ..WhereSource::default()
                },
                ..rule.clone()
            },
            RuleSource {
                signal: SignalSource {
                    group_by: vec!["ab".to_owned()],
                    ..SignalSource::default()
                },
                ..rule.clone()
            },
            RuleSource {
                signal: SignalSource {
                    group_by: vec!["a".to_owned(), "b".to_owned()],
                    ..SignalSource::default()
                },
                ..rule.clone()
            },
        ];
        let mut hashes: Vec<String> = other.iter().map(RuleSource::hash).collect();
        hashes.push(rule.hash());
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), other.len() + 1);
    }

    #[test]
    fn the_state_follows_what_is_counted_and_nothing_else() {
        let rule = RuleSource::new("a", "true");
        let same = RuleSource {
            severity: Severity::High,
            title: "other".to_owned(),
            exceptions: vec![ExceptionSource::default()],
            joined: vec![JoinedSource::default()],
            ..rule.clone()
        };
        assert_eq!(rule.state(), same.state());
        let counted = RuleSource {
            detect: Some(DetectSource::Threshold(ThresholdSource::default())),
            ..rule.clone()
        };
        let other = RuleSource {
            condition: "false".to_owned(),
            ..rule.clone()
        };
        assert_ne!(rule.state(), counted.state());
        assert_ne!(rule.state(), other.state());
    }
}
