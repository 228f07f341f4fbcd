//! Tests that rules and checks carry.

use yagura_event::{Severity, Tree};

/// A test of a rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleTest {
    /// Its name.
    pub name: String,
    /// The events.
    pub events: Vec<TestEvent>,
    /// How many signals they make.
    pub signals: u64,
    /// How many of the events set the rule's mark; `None`: it does not matter.
    pub marks: Option<u64>,
    /// What is expected of each, in the order in which they open; empty: nothing, otherwise as many as there are signals.
    pub each: Vec<ExpectedSignal>,
}

impl RuleTest {
    /// A test whose events come a second apart, and that expects so many signals.
    pub fn new(name: &str, events: impl IntoIterator<Item = Tree>, signals: u64) -> Self {
        let event = |fields| TestEvent {
            fields,
            ..TestEvent::default()
        };
        Self {
            name: name.to_owned(),
            events: events.into_iter().map(event).collect(),
            signals,
            marks: None,
            each: Vec::new(),
        }
    }
}

/// An event of a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestEvent {
    /// A tree of fields with a `kind`.
    pub fields: Tree,
    /// When it happens, in nanoseconds from the test's start. `None`: a second after the event that is written before it;
    /// the first at the start.
    pub at: Option<i64>,
    /// How much later it arrives, in nanoseconds. Events are seen in the order in which they arrive.
    pub late: i64,
}

/// What a test expects of a signal; what is left out may be anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedSignal {
    /// How many matches it counts.
    pub count: Option<u64>,
    /// Values of fields that it is grouped by.
    pub group: Vec<(String, Tree)>,
    /// Its severity.
    pub severity: Option<Severity>,
    /// Its title.
    pub title: Option<String>,
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
