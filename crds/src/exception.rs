//! `Exception` and `ClusterException`: what is not to be reported, why, and until when.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]
#![expect(clippy::duplicated_attributes, reason = "printer columns share their types")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use yagura_event::Registry;
use yagura_rules::source::JoinedSource;
use yagura_rules::{Code, Diagnostic, Lists, Part, RuleSource};

use crate::detection_rule::Exceptable;

/// Holds back matches of rules in the workloads of its namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "Exception",
    plural = "exceptions",
    shortname = "exc",
    category = "yagura",
    namespaced,
    doc = "What of the workloads of its namespace is not to be reported, why, and until when. What it holds back is counted in its status.",
    status = "ExceptionStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Rules",
        type_ = "string",
        json_path = ".spec.rules",
        description = "Rules that it names"
    ),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status",
        description = "Whether a rule carries it"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].reason"
    ),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expires"),
    printcolumn(
        name = "Matched",
        type_ = "integer",
        json_path = ".status.matched",
        description = "Matches that it held back"
    ),
    printcolumn(
        name = "Last",
        type_ = "date",
        json_path = ".status.lastMatched",
        description = "Time since the last of them"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionSpec {
    /// Why this is harmless or wanted.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Whom to ask. A comment: who wrote the object is in its managed fields and in the audit log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub author: String,
    /// Until when it holds matches back.
    pub expires: Time,
    /// The rules it is for, each by its name or by a label such as `team=shop`. A rule has to allow
    /// it: `spec.exceptable` of the rule.
    #[schemars(
        length(min = 1, max = 32),
        inner(
            length(min = 1, max = 381),
            regex(
                pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?|[A-Za-z0-9]([-A-Za-z0-9./_]*[A-Za-z0-9])?=([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?)?)$"
            )
        ),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub rules: Vec<String>,
    /// Which of their matches, in the rule language; it may use the `let` names of the rule. What
    /// is unknown is not excepted.
    #[schemars(length(min = 1, max = 4096))]
    pub condition: String,
    /// What becomes of them.
    #[serde(default)]
    pub effect: Effect,
}

/// Holds back matches of rules anywhere.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "ClusterException",
    plural = "clusterexceptions",
    shortname = "cexc",
    category = "yagura",
    doc = "What is not to be reported, on whatever node and in whatever namespace, why, and until when. What it holds back is counted in its status.",
    status = "ExceptionStatus",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 63").message("a name is at most 63 characters"),
    printcolumn(name = "Rules", type_ = "string", json_path = ".spec.rules", description = "Rules that it names"),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].status", description = "Whether a rule carries it"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].reason"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expires"),
    printcolumn(name = "Matched", type_ = "integer", json_path = ".status.matched", description = "Matches that it held back"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastMatched", description = "Time since the last of them"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterExceptionSpec {
    /// Why this is harmless or wanted.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// Whom to ask. A comment: who wrote the object is in its managed fields and in the audit log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub author: String,
    /// Until when it holds matches back; left out: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// The rules it is for, each by its name or by a label such as `team=shop`. A rule has to allow
    /// it: `spec.exceptable` of the rule.
    #[schemars(
        length(min = 1, max = 32),
        inner(
            length(min = 1, max = 381),
            regex(
                pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?|[A-Za-z0-9]([-A-Za-z0-9./_]*[A-Za-z0-9])?=([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?)?)$"
            )
        ),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub rules: Vec<String>,
    /// Which of their matches, in the rule language; it may use the `let` names of the rule. What
    /// is unknown is not excepted.
    #[schemars(length(min = 1, max = 4096))]
    pub condition: String,
    /// What becomes of them.
    #[serde(default)]
    pub effect: Effect,
}

/// What becomes of a match that is excepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It is counted and not reported.
    #[default]
    Suppress,
}

/// What became of an exception.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionStatus {
    /// `Accepted`: whether rules carry it, and why those that it names and that do not, do not.
    /// `Expired`: whether its time is over, so that it does nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// How many rules carry it.
    #[serde(default)]
    pub rules: u32,
    /// How many matches it held back, as far as agents have told.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub matched: i64,
    /// Time of the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_matched: Option<Time>,
}

/// An exception of either kind, as rules carry it.
#[derive(Clone, Debug, PartialEq)]
pub struct AnyException {
    /// Uid of the object; empty in a file.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its namespace; `None`: it is the cluster's.
    pub namespace: Option<String>,
    /// The rules it is for.
    pub rules: Vec<RuleSelector>,
    /// Which of their matches.
    pub condition: String,
    /// When it ends, in seconds since the Unix epoch; `None`: never.
    pub expires: Option<i64>,
}

impl From<&Exception> for AnyException {
    fn from(exception: &Exception) -> Self {
        let spec = &exception.spec;
        Self {
            namespace: Some(exception.metadata.namespace.clone().unwrap_or_default()),
            ..Self::new(
                &exception.metadata,
                &spec.rules,
                &spec.condition,
                Some(&spec.expires),
            )
        }
    }
}

impl From<&ClusterException> for AnyException {
    fn from(exception: &ClusterException) -> Self {
        let spec = &exception.spec;
        Self::new(
            &exception.metadata,
            &spec.rules,
            &spec.condition,
            spec.expires.as_ref(),
        )
    }
}

impl AnyException {
    fn new(metadata: &ObjectMeta, rules: &[String], condition: &str, expires: Option<&Time>) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            namespace: None,
            rules: rules.iter().map(|text| RuleSelector::read(text)).collect(),
            condition: condition.to_owned(),
            expires: expires.map(|time| time.0.as_second()),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self.namespace {
            Some(_) => "Exception",
            None => "ClusterException",
        }
    }

    /// Whether it names a rule.
    pub fn names(&self, rule: &str, labels: &BTreeMap<String, String>) -> bool {
        self.rules.iter().any(|selector| selector.selects(rule, labels))
    }

    /// Whether a rule lets itself be excepted by it; otherwise why not.
    pub fn is_allowed_by(&self, exceptable: Exceptable) -> Result<(), &'static str> {
        match (exceptable, &self.namespace) {
            (Exceptable::Namespace, _) | (Exceptable::Cluster, None) => Ok(()),
            (Exceptable::Cluster, Some(_)) => {
                Err("its spec.exceptable is cluster: only a ClusterException may hold back its matches")
            }
            (Exceptable::Never, _) => Err(
                "its spec.exceptable is never: no Exception or ClusterException may hold back its matches",
            ),
        }
    }

    /// What the compiler says of it beside a rule that compiles.
    pub fn diagnostics(&self, rule: &RuleSource, lists: &Lists) -> Vec<Diagnostic> {
        self.beside(rule, lists).0
    }

    /// What the compiler says of it beside a rule that compiles, and the named lists that it and the rule ask for.
    pub fn beside(&self, rule: &RuleSource, lists: &Lists) -> (Vec<Diagnostic>, BTreeSet<String>) {
        let beside = RuleSource {
            joined: vec![self.source()],
            ..rule.clone()
        };
        let compiled = yagura_rules::compile(&beside, Registry::workload(), lists);
        let of_exception = |diagnostic: &Diagnostic| matches!(diagnostic.part, Part::Joined(_));
        let diagnostics = compiled.diagnostics.into_iter().filter(of_exception).collect();
        (diagnostics, compiled.lists)
    }

    /// What the compiler says of it while none of its rules is known: names that are no fields may be names that its rules
    /// give to parts of their conditions, and come second.
    pub fn diagnostics_alone(&self, lists: &Lists) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let any = RuleSource::new("any", "event.kind == \"process.exec\"");
        self.diagnostics(&any, lists)
            .into_iter()
            .partition(|diagnostic| diagnostic.code != Code::UNKNOWN_NAME)
    }

    /// As the compiler takes it, beside the rule.
    pub fn source(&self) -> JoinedSource {
        JoinedSource {
            uid: self.uid.clone(),
            namespace: self.namespace.clone().unwrap_or_default(),
            condition: self.condition.clone(),
            expires: self.expires,
        }
    }
}

/// By which an exception names rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleSelector {
    /// The name of one.
    Name(String),
    /// Key and value of a label.
    Label(String, String),
}

impl RuleSelector {
    /// Reads an entry of `spec.rules`.
    pub fn read(text: &str) -> Self {
        match text.split_once('=') {
            Some((key, value)) => Self::Label(key.to_owned(), value.to_owned()),
            None => Self::Name(text.to_owned()),
        }
    }

    /// Whether it names a rule.
    pub fn selects(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Name(wanted) => wanted == name,
            Self::Label(key, value) => labels.get(key) == Some(value),
        }
    }
}

impl fmt::Display for RuleSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Label(key, value) => write!(f, "with the label {key}={value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AnyException, Exception, RuleSelector};
    use crate::detection_rule::Exceptable;

    #[test]
    fn rules_are_named_by_name_or_by_label() {
        let labels = [("team".to_owned(), "shop".to_owned())].into();
        let selects = |text: &str| RuleSelector::read(text).selects("shell", &labels);
        assert!(selects("shell") && selects("team=shop"));
        assert!(!selects("she") && !selects("team=sho") && !selects("team=") && !selects("other=shop"));
    }

    #[test]
    fn an_exception_is_read_with_its_namespace_and_to_the_second() {
        let exception: Exception = serde_json::from_value(serde_json::json!({
            "apiVersion": "yagura.dev/v1alpha1", "kind": "Exception", "metadata": {"name": "e", "namespace": "shop"},
            "spec": {"reason": "r", "expires": "1970-01-01T00:01:00Z", "rules": ["shell", "team=shop"], "condition": "true"},
        }))
        .unwrap();
        let read = AnyException::from(&exception);
        assert_eq!(
            (read.expires, read.namespace.as_deref()),
            (Some(60), Some("shop"))
        );
        assert_eq!(
            read.rules,
            [
                RuleSelector::Name("shell".into()),
                RuleSelector::Label("team".into(), "shop".into())
            ]
        );
    }

    #[test]
    fn a_rule_says_who_may_except_it() {
        let of = |namespace: Option<&str>| AnyException {
            uid: String::new(),
            name: "e".to_owned(),
            namespace: namespace.map(str::to_owned),
            rules: Vec::new(),
            condition: String::new(),
            expires: None,
        };
        let allowed = |exceptable| [Some("shop"), None].map(|of_| of(of_).is_allowed_by(exceptable).is_ok());
        assert_eq!(allowed(Exceptable::Namespace), [true, true]);
        assert_eq!(allowed(Exceptable::Cluster), [false, true]);
        assert_eq!(allowed(Exceptable::Never), [false, false]);
    }
}
