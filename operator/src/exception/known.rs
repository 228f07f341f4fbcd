//! What is known of rules and exceptions, for the webhook, for agents' reports and for statuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_crds::ExceptionStatus;
use yagura_crds::detection_rule::Exceptable;
use yagura_crds::exception::AnyException;
use yagura_rules::RuleSource;

/// A rule that compiles.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownRule {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Who may hold back its matches.
    pub exceptable: Exceptable,
    /// The rule, without exceptions of others.
    pub source: RuleSource,
    /// Hash of `source`.
    pub hash: String,
}

/// Rules and exceptions as they were joined last.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// Whether every object that was there has been looked at.
    pub settled: bool,
    /// The rules.
    pub rules: Vec<Arc<KnownRule>>,
    /// The exceptions and what became of them, by uid.
    pub judged: BTreeMap<String, Arc<Judged>>,
}

/// An exception and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The object.
    pub object: Arc<Object>,
    /// What became of it.
    pub outcome: Outcome,
}

/// An object of either kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What it says, or why that cannot be read.
    pub exception: Result<AnyException, String>,
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its namespace; `None`: it is the cluster's.
    pub namespace: Option<String>,
    /// Its generation.
    pub generation: Option<i64>,
    /// When it was created, in seconds since the Unix epoch.
    pub created: i64,
    /// What its status said when it was seen first.
    pub told: ExceptionStatus,
}

/// What became of an exception.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its time is over.
    pub expired: bool,
    /// Names of the rules that carry it.
    pub carried: Vec<String>,
    /// Names of the rules that do not, and why.
    pub refused: Vec<(String, Refusal)>,
    /// Entries of `spec.rules` that no rule has.
    pub missing: Vec<String>,
}

/// Why a rule does not carry an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The rule forbids it.
    NotExceptable(&'static str),
    /// It does not compile beside the rule; the compiler's diagnostics with their places.
    Condition(String),
    /// There are too many already.
    Budget(String),
}

impl Refusal {
    /// Reason for the condition `Accepted`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotExceptable(_) => "NotExceptable",
            Self::Condition(_) => "InvalidCondition",
            Self::Budget(_) => "BudgetExceeded",
        }
    }

    /// Why, for a person.
    pub fn message(&self) -> &str {
        match self {
            Self::NotExceptable(why) => why,
            Self::Condition(why) | Self::Budget(why) => why,
        }
    }
}
