//! Rules and checks as people write them, whatever version of the API they come from.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use yagura_event::{Severity, Tree};

use crate::LANGUAGE_VERSION;

/// A name for a part of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetSource {
    /// The name.
    pub name: String,
    /// The expression; it may use earlier names.
    pub value: String,
}

/// A condition under which a rule's match is not reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionSource {
    /// Its name.
    pub name: String,
    /// When it holds.
    pub condition: String,
    /// When it ends, in seconds since the Unix epoch; `None`: never.
    pub expires: Option<i64>,
}

/// An Exception object that a rule carries: written by somebody else than the rule, and limited on its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinedSource {
    /// Uid of the object.
    pub uid: String,
    /// The namespace whose workloads alone it reaches; empty: all, and hosts.
    pub namespace: String,
    /// When it holds. It may use the rule's `let` names.
    pub condition: String,
    /// When it ends, in seconds since the Unix epoch; `None`: never.
    pub expires: Option<i64>,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// Hosts and containers.
    #[default]
    Any,
    /// What runs outside containers.
    Host,
    /// What runs in containers.
    Container,
}

impl Target {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Host => "host",
            Self::Container => "container",
        }
    }
}

/// How a requirement of a selector compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorOp {
    /// The label has one of the values.
    In,
    /// It has none of them, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl SelectorOp {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

/// One requirement of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it compares.
    pub operator: SelectorOp,
    /// What it is compared with.
    pub values: Vec<String>,
}

/// A selector of labels, as Kubernetes has them. An empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels with exactly these values.
    pub labels: BTreeMap<String, String>,
    /// Further requirements; all have to hold.
    pub requirements: Vec<Requirement>,
}

/// Where a rule applies. Nodes are selected by whoever hands out rules, and are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhereSource {
    /// Hosts, containers or both.
    pub target: Target,
    /// Labels of namespaces; none selects everything, hosts too.
    pub namespaces: Option<Selector>,
    /// Labels of pods; none selects everything, hosts too.
    pub pods: Option<Selector>,
}

/// What becomes of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalSource {
    /// Title with `{{field}}` in it; the rule's own title when it is empty.
    pub title: String,
    /// Fields whose values make a signal of their own. Empty: all matches of the rule are one signal.
    pub group_by: Vec<String>,
    /// Fields that a signal shows beyond those it always shows.
    pub fields: Vec<String>,
}

/// A test of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleTest {
    /// Its name.
    pub name: String,
    /// The events, in order: trees of fields with a `kind`.
    pub events: Vec<Tree>,
    /// How many signals they make.
    pub signals: u64,
}

/// A detection rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSource {
    /// Name, unique among the rules that are loaded together.
    pub name: String,
    /// Uid of the object; empty where rules come from files.
    pub uid: String,
    /// Where its events come from: `workload`.
    pub source: String,
    /// How urgent a match is.
    pub severity: Severity,
    /// The rule's title, which a signal without one of its own bears.
    pub title: String,
    /// What it is about. Prose: no part of what agents get.
    pub description: String,
    /// Where it applies.
    pub where_: WhereSource,
    /// Names for parts of the condition.
    pub lets: Vec<LetSource>,
    /// When it matches.
    pub condition: String,
    /// When it does not after all.
    pub exceptions: Vec<ExceptionSource>,
    /// Exception objects, asked after the rule's own.
    pub joined: Vec<JoinedSource>,
    /// What becomes of matches.
    pub signal: SignalSource,
    /// Its tests: no part of what agents get.
    pub tests: Vec<RuleTest>,
}

impl RuleSource {
    /// A rule of that name and condition, of medium severity and with everything else empty.
    pub fn new(name: &str, condition: &str) -> Self {
        Self {
            name: name.to_owned(),
            uid: String::new(),
            source: "workload".to_owned(),
            severity: Severity::Medium,
            title: name.to_owned(),
            description: String::new(),
            where_: WhereSource::default(),
            lets: Vec::new(),
            condition: condition.to_owned(),
            exceptions: Vec::new(),
            joined: Vec::new(),
            signal: SignalSource::default(),
            tests: Vec::new(),
        }
    }

    /// The title that signals get.
    pub fn signal_title(&self) -> &str {
        if self.signal.title.is_empty() {
            &self.title
        } else {
            &self.signal.title
        }
    }

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
        body.text(where_.target.as_str());
        for selector in [&where_.namespaces, &where_.pods] {
            body.selector(selector.as_ref());
        }
        body.number(lets.len() as u64);
        for LetSource { name, value } in lets {
            body.text(name);
            body.text(value);
        }
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

/// What a test of a check expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The resource passes.
    Pass,
    /// It fails.
    Fail,
    /// It cannot be judged.
    Error,
    /// The check does not apply to it.
    NotApplicable,
}

/// A test of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckTest {
    /// Its name.
    pub name: String,
    /// The resource.
    pub resource: Tree,
    /// What comes out.
    pub expect: Expected,
}

/// A posture check.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSource {
    /// Name.
    pub name: String,
    /// How urgent a failure is.
    pub severity: Severity,
    /// The type of resource it judges.
    pub resource: String,
    /// Names for parts of the conditions.
    pub lets: Vec<LetSource>,
    /// When it applies; `None`: always.
    pub applies_when: Option<String>,
    /// When a resource passes.
    pub pass: String,
    /// What is shown with a finding.
    pub evidence: Vec<String>,
    /// Values that a framework may replace: `parameters.name`.
    pub parameters: BTreeMap<String, Tree>,
    /// Its tests.
    pub tests: Vec<CheckTest>,
}

impl CheckSource {
    /// A check of that name and condition with everything else empty.
    pub fn new(name: &str, resource: &str, pass: &str) -> Self {
        Self {
            name: name.to_owned(),
            severity: Severity::Medium,
            resource: resource.to_owned(),
            lets: Vec::new(),
            applies_when: None,
            pass: pass.to_owned(),
            evidence: Vec::new(),
            parameters: BTreeMap::new(),
            tests: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
