//! Hashes of rules.

use sha2::{Digest, Sha256};
use yagura_event::Severity;

use super::{
    AnomalySource, CaseSource, ContentAnomalySource, CorrelationSource, DetectSource, ExceptionSource,
    JoinedSource, LetSource, MarkSource, MethodSource, NewValueSource, QuerySource, Requirement, RuleSource,
    Selector, SequenceSource, SignalSource, StepSource, ThresholdSource, WhereSource, WindowSource,
};

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
            mark,
            silent,
            signal,
            tests: _,
        } = self;
        let mut body = Body::default();
        body.number(u64::from(self.language_version()));
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
        body.detect(detect.as_ref(), Says::All);
        // Rules without one keep the hash that they had before there were marks.
        if let Some(mark) = mark {
            body.mark(mark);
        }
        if *silent {
            body.text("silent");
        }
        body.finish()
    }

    /// The hash of what decides which matches are counted together and when: what was counted under another one means
    /// something else. Exceptions, severity, titles and marks that it sets have no part in it.
    pub fn state(&self) -> String {
        let mut body = Body::default();
        body.number(u64::from(self.version_of_detection()));
        for text in [&self.name, &self.uid, &self.source, &self.condition] {
            body.text(text);
        }
        body.scope(&self.where_);
        body.lets(&self.lets);
        body.detect(self.detect.as_ref(), Says::Nothing);
        body.finish()
    }
}

/// Whether what is said of detections is part of a hash, or only what is remembered of matches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    All,
    Nothing,
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

    fn detect(&mut self, detect: Option<&DetectSource>, says: Says) {
        let Some(DetectSource { group_by, method }) = detect else {
            return self.text("every");
        };
        self.text(method.name().as_str());
        self.texts(group_by);
        match method {
            MethodSource::Threshold(threshold) => self.threshold(threshold),
            MethodSource::NewValue(new) => self.new_value(new),
            MethodSource::Sequence(sequence) => self.sequence(sequence),
            MethodSource::Correlation(correlation) => self.correlation(correlation, says),
            MethodSource::Anomaly(anomaly) => self.anomaly(anomaly),
            MethodSource::ContentAnomaly(content) => self.content(content),
        }
    }

    fn threshold(&mut self, threshold: &ThresholdSource) {
        let ThresholdSource {
            count,
            within,
            distinct,
            window,
        } = threshold;
        self.number(*count);
        self.number(within.cast_unsigned());
        self.texts(distinct.as_slice());
        self.text(window.as_str());
        if let WindowSource::Session { gap } = window {
            self.number(gap.cast_unsigned());
        }
    }

    fn new_value(&mut self, new: &NewValueSource) {
        let NewValueSource {
            fields,
            learn_for,
            learn_matches,
            forget_after,
        } = new;
        self.texts(fields);
        self.number(learn_for.cast_unsigned());
        self.number(*learn_matches);
        self.number(forget_after.cast_unsigned());
    }

    fn sequence(&mut self, sequence: &SequenceSource) {
        let SequenceSource { within, steps, until } = sequence;
        self.number(within.cast_unsigned());
        self.number(steps.len() as u64);
        for StepSource { condition, count } in steps {
            self.text(condition);
            self.number(*count);
        }
        self.texts(until.as_slice());
    }

    fn correlation(&mut self, correlation: &CorrelationSource, says: Says) {
        let CorrelationSource {
            within,
            queries,
            cases,
        } = correlation;
        self.number(within.cast_unsigned());
        self.number(queries.len() as u64);
        for QuerySource {
            name,
            condition,
            measure,
        } in queries
        {
            self.text(name);
            self.text(condition);
            self.text(measure.as_str());
            self.text(measure.field().map_or("", String::as_str));
        }
        if says == Says::Nothing {
            return;
        }
        self.number(cases.len() as u64);
        for CaseSource {
            when,
            severity,
            title,
        } in cases
        {
            self.text(when);
            self.text(severity.map_or("", Severity::as_str));
            self.text(title);
        }
    }

    fn anomaly(&mut self, anomaly: &AnomalySource) {
        let AnomalySource {
            bucket,
            history,
            learn_for,
            tolerance,
            min_count,
        } = anomaly;
        for length in [bucket, history, learn_for] {
            self.number(length.cast_unsigned());
        }
        self.number(*tolerance);
        self.number(*min_count);
    }

    fn content(&mut self, content: &ContentAnomalySource) {
        let ContentAnomalySource {
            field,
            similarity,
            similar,
            learn_for,
            learn_matches,
            forget_after,
        } = content;
        self.text(field);
        self.number(*similarity);
        self.number(*similar);
        self.number(learn_for.cast_unsigned());
        self.number(*learn_matches);
        self.number(forget_after.cast_unsigned());
    }

    fn mark(&mut self, mark: &MarkSource) {
        let MarkSource {
            name,
            scope,
            value,
            append,
            ttl,
        } = mark;
        self.text("mark");
        self.text(name);
        self.text(scope.as_str());
        self.texts(value.as_slice());
        self.number(u64::from(*append));
        self.number(ttl.cast_unsigned());
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
    use super::*;
    use crate::RuleTest;

    fn method(method: MethodSource) -> DetectSource {
        DetectSource {
            group_by: Vec::new(),
            method,
        }
    }

    #[test]
    fn a_rule_needs_the_language_that_has_all_it_says() {
        let rule = RuleSource::new("a", "true");
        assert_eq!(rule.language_version(), 1);
        let new = RuleSource {
            detect: Some(method(MethodSource::NewValue(NewValueSource::default()))),
            ..rule
        };
        assert_eq!(new.language_version(), crate::LANGUAGE_VERSION);
    }

    #[test]
    fn marks_need_the_language_that_has_them_and_change_no_rule_without() {
        let rule = RuleSource::new("a", "process.marks_of == \"process.mark\"");
        assert_eq!(rule.language_version(), 1);
        let mark = MarkSource {
            name: "m".to_owned(),
            ttl: 1,
            ..MarkSource::default()
        };
        let sets = RuleSource {
            mark: Some(mark.clone()),
            ..rule.clone()
        };
        let silent = RuleSource {
            silent: true,
            ..sets.clone()
        };
        let longer = RuleSource {
            mark: Some(MarkSource {
                ttl: 2,
                ..mark.clone()
            }),
            ..rule.clone()
        };
        let valued = RuleSource {
            mark: Some(MarkSource {
                value: Some("process.name".to_owned()),
                ..mark.clone()
            }),
            ..rule.clone()
        };
        let wider = RuleSource {
            mark: Some(MarkSource {
                scope: crate::MarkScope::ProcessTree,
                ..mark
            }),
            ..rule.clone()
        };
        let reads = RuleSource {
            exceptions: vec![ExceptionSource {
                condition: "has(container .marks[\"m\"])".to_owned(),
                ..ExceptionSource::default()
            }],
            ..rule.clone()
        };
        let all = [rule, sets, silent, longer, valued, wider, reads];
        assert!(all[1..].iter().all(|rule| rule.language_version() == 2));
        let mut hashes: Vec<String> = all.iter().map(RuleSource::hash).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), all.len());
        // A mark is set by matches, whatever is counted of them.
        let states: Vec<String> = all.iter().map(RuleSource::state).collect();
        assert!(states.iter().all(|state| *state == states[0]));
    }

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
        let other = [
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
    fn the_hash_follows_how_matches_become_detections() {
        let rule = RuleSource::new("a", "true");
        let threshold = |count| {
            let threshold = ThresholdSource {
                count,
                ..ThresholdSource::default()
            };
            method(MethodSource::Threshold(threshold))
        };
        let step = |condition: &str| StepSource {
            condition: condition.to_owned(),
            count: 1,
        };
        let sequence = |steps: Vec<StepSource>, until: Option<&str>| {
            method(MethodSource::Sequence(SequenceSource {
                within: 1,
                steps,
                until: until.map(str::to_owned),
            }))
        };
        let new_value = |fields: &[&str]| {
            method(MethodSource::NewValue(NewValueSource {
                fields: fields.iter().map(|field| (*field).to_owned()).collect(),
                ..NewValueSource::default()
            }))
        };
        let detects = [
            method(MethodSource::Anomaly(AnomalySource::default())),
            method(MethodSource::ContentAnomaly(ContentAnomalySource::default())),
            threshold(1),
            threshold(2),
            sequence(vec![step("a"), step("b")], None),
            sequence(vec![step("a")], Some("b")),
            new_value(&["a"]),
            new_value(&["a", "b"]),
        ];
        let with = |detect: &DetectSource| RuleSource {
            detect: Some(detect.clone()),
            ..rule.clone()
        };
        let mut hashes: Vec<String> = detects.iter().map(|detect| with(detect).hash()).collect();
        hashes.push(rule.hash());
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), detects.len() + 1);
    }

    #[test]
    fn what_a_case_says_is_no_part_of_the_state() {
        let with = |when: &str, severity, condition: &str| RuleSource {
            detect: Some(method(MethodSource::Correlation(CorrelationSource {
                within: 1,
                queries: vec![QuerySource {
                    condition: condition.to_owned(),
                    ..QuerySource::default()
                }],
                cases: vec![CaseSource {
                    when: when.to_owned(),
                    severity,
                    title: String::new(),
                }],
            }))),
            ..RuleSource::new("a", "true")
        };
        let rule = with("a > 1", None, "b");
        let said = with("a > 2", Some(Severity::High), "b");
        let other = with("a > 1", None, "c");
        assert_eq!(rule.state(), said.state());
        assert_ne!(rule.hash(), said.hash());
        assert_ne!(rule.state(), other.state());
        assert_eq!(rule.language_version(), 2);
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
            detect: Some(method(MethodSource::Threshold(ThresholdSource::default()))),
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
