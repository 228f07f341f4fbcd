//! Which rule carries which exceptions: pure.
//!
//! The order decides who gets a place: those of the cluster first, then those of namespaces, older ones before younger ones.
//! A rule's own exceptions have places of their own. So an object may find no place, but takes none from another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use yagura_crds::exception::{AnyException, RuleSelector};
use yagura_rules::source::JoinedSource;
use yagura_rules::{Diagnostic, Lists, limits};

use super::known::{Judged, KnownRule, Object, Outcome, Refusal};
use crate::detection_rule::validate::explain;

/// `ClusterException`s that one rule carries.
const OF_CLUSTER: usize = 64;
/// Exceptions of namespaces that one rule carries.
const OF_NAMESPACES: usize = limits::JOINED - OF_CLUSTER;
/// Exceptions of one namespace that one rule carries.
const OF_NAMESPACE: usize = 8;
/// Places that one namespace has in all rules together.
const NAMESPACE_IN_ALL: usize = 64;
/// Exceptions of one namespace that are looked at: each costs a compilation beside every rule that it names.
const LOOKED_AT: usize = 128;

/// Rules and exceptions, and what the compiler said of them.
#[derive(Debug, Default)]
pub(crate) struct Join {
    rules: BTreeMap<String, Arc<KnownRule>>,
    exceptions: BTreeMap<String, Arc<Object>>,
    /// By uid of rule and exception: of which edit of both, and why they do not compile together.
    compiled: HashMap<(String, String), Compiled>,
    /// What conditions may name.
    lists: Lists,
    /// When the next exception expires, in seconds since the Unix epoch.
    next_expiry: Option<i64>,
}

#[derive(Clone, Debug)]
struct Compiled {
    hash: String,
    generation: Option<i64>,
    /// The lists that both ask for, as they were.
    uses: Vec<(String, String)>,
    mistake: Option<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// What each rule carries, by uid of the rule; rules that carry nothing are left out.
    pub(crate) carried: BTreeMap<String, Vec<JoinedSource>>,
    /// Names of the lists that these ask for, by uid of the rule.
    pub(crate) uses: BTreeMap<String, BTreeSet<String>>,
    /// What became of each exception, by uid.
    pub(crate) judged: BTreeMap<String, Arc<Judged>>,
}

/// Places that are taken.
#[derive(Default)]
struct Taken<'a> {
    of_cluster: HashMap<&'a str, usize>,
    of_namespaces: HashMap<&'a str, usize>,
    of_namespace: HashMap<(&'a str, &'a str), usize>,
    namespace_in_all: HashMap<&'a str, usize>,
    looked_at: HashMap<&'a str, usize>,
}

impl Join {
    /// A rule that compiles is there, or changed. True when that may matter to exceptions.
    pub(crate) fn apply_rule(&mut self, uid: &str, rule: KnownRule) -> bool {
        if self.rules.get(uid).is_some_and(|known| **known == rule) {
            return false;
        }
        self.rules.insert(uid.to_owned(), Arc::new(rule));
        true
    }

    /// Its labels changed, and nothing else. True when that may matter.
    pub(crate) fn relabel(&mut self, uid: &str, labels: &BTreeMap<String, String>) -> bool {
        let Some(rule) = self.rules.get_mut(uid) else {
            return false;
        };
        if rule.labels == *labels {
            return false;
        }
        Arc::make_mut(rule).labels.clone_from(labels);
        true
    }

    /// A rule is gone, or does not compile any more.
    pub(crate) fn delete_rule(&mut self, uid: &str) -> bool {
        self.compiled.retain(|(rule, _), _| rule != uid);
        self.rules.remove(uid).is_some()
    }

    /// An exception is there, or changed. True when it did: its own status is no change.
    pub(crate) fn apply_exception(&mut self, mut object: Object) -> bool {
        if let Some(known) = self.exceptions.get(&object.uid) {
            if known.generation == object.generation {
                return false;
            }
            object.told = known.told.clone();
        }
        self.exceptions.insert(object.uid.clone(), Arc::new(object));
        true
    }

    /// An exception is gone.
    pub(crate) fn delete_exception(&mut self, uid: &str) -> bool {
        self.compiled.retain(|(_, exception), _| exception != uid);
        self.exceptions.remove(uid).is_some()
    }

    /// There are other lists.
    pub(crate) fn relist(&mut self, lists: Lists) {
        self.lists = lists;
    }

    /// The rules.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Arc<KnownRule>> {
        self.rules.values()
    }

    /// Whether an exception expired since the last join.
    pub(crate) fn has_expired(&self, now: i64) -> bool {
        self.next_expiry.is_some_and(|next| next <= now)
    }

    /// Joins them; `now` is in seconds since the Unix epoch.
    pub(crate) fn join(&mut self, now: i64) -> Joined {
        let mut joined = Joined::default();
        let mut taken = Taken::default();
        let mut ordered: Vec<Arc<Object>> = self.exceptions.values().cloned().collect();
        ordered.sort_by(|a, b| {
            let key = |one: &Object| (one.namespace.is_some(), one.created);
            key(a).cmp(&key(b)).then_with(|| a.uid.cmp(&b.uid))
        });
        self.next_expiry = None;
        let rules = self.rules.clone();
        for object in &ordered {
            let outcome = match &object.exception {
                Err(_unreadable) => Outcome::default(),
                Ok(exception) if exception.expires.is_some_and(|end| end <= now) => Outcome {
                    expired: true,
                    ..Outcome::default()
                },
                Ok(exception) => {
                    let ends = self.next_expiry.into_iter().chain(exception.expires);
                    self.next_expiry = ends.min();
                    self.place(object, exception, &rules, &mut taken, &mut joined)
                }
            };
            let judged = Judged {
                object: Arc::clone(object),
                outcome,
            };
            joined.judged.insert(object.uid.clone(), Arc::new(judged));
        }
        joined
    }

    /// Finds an exception's places in the rules that it names.
    fn place<'a>(
        &mut self,
        object: &'a Object,
        exception: &AnyException,
        rules: &'a BTreeMap<String, Arc<KnownRule>>,
        taken: &mut Taken<'a>,
        joined: &mut Joined,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let looked_at = object.namespace.as_deref().map_or(0, |namespace| {
            let count = taken.looked_at.entry(namespace).or_default();
            *count += 1;
            *count
        });
        let mut missing: BTreeSet<&RuleSelector> = exception.rules.iter().collect();
        for (uid, rule) in rules {
            let name = &rule.source.name;
            if !exception.names(name, &rule.labels) {
                continue;
            }
            missing.retain(|selector| !selector.selects(name, &rule.labels));
            let refusal = if let Err(why) = exception.is_allowed_by(rule.exceptable) {
                Some(Refusal::NotExceptable(why))
            } else if looked_at > LOOKED_AT {
                let message =
                    format!("older exceptions of this namespace are {LOOKED_AT} already: delete some");
                Some(Refusal::Budget(message))
            } else if let Some(full) = taken.is_full(uid, object.namespace.as_deref()) {
                Some(Refusal::Budget(full))
            } else {
                self.mistake(uid, rule, object, exception).map(Refusal::Condition)
            };
            if let Some(refusal) = refusal {
                outcome.refused.push((name.clone(), refusal));
                continue;
            }
            taken.take(uid, object.namespace.as_deref());
            let carried = joined.carried.entry(uid.clone()).or_default();
            carried.push(exception.source());
            let compiled = self.compiled.get(&(uid.clone(), object.uid.clone()));
            let uses = compiled.into_iter().flat_map(|compiled| &compiled.uses);
            let names = uses.map(|(name, _)| name.clone());
            joined.uses.entry(uid.clone()).or_default().extend(names);
            outcome.carried.push(name.clone());
        }
        outcome.missing = missing.into_iter().map(ToString::to_string).collect();
        outcome.carried.sort_unstable();
        outcome.refused.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        outcome
    }

    /// Why the two do not compile together, if they do not.
    fn mistake(
        &mut self,
        uid: &str,
        rule: &KnownRule,
        object: &Object,
        exception: &AnyException,
    ) -> Option<String> {
        let key = (uid.to_owned(), object.uid.clone());
        if let Some(known) = self.compiled.get(&key)
            && known.hash == rule.hash
            && known.generation == object.generation
            && known
                .uses
                .iter()
                .all(|(name, fingerprint)| self.lists.fingerprint(name) == *fingerprint)
        {
            return known.mistake.clone();
        }
        let (diagnostics, names) = exception.beside(&rule.source, &self.lists);
        let uses = names.into_iter();
        let mistake = diagnostics.iter().any(Diagnostic::is_error).then(|| {
            explain(&diagnostics, |_| {
                ("spec.condition".to_owned(), &*exception.condition)
            })
        });
        let compiled = Compiled {
            hash: rule.hash.clone(),
            generation: object.generation,
            uses: uses
                .map(|name| {
                    let fingerprint = self.lists.fingerprint(&name);
                    (name, fingerprint)
                })
                .collect(),
            mistake: mistake.clone(),
        };
        self.compiled.insert(key, compiled);
        mistake
    }
}

impl<'a> Taken<'a> {
    /// Why there is no place in a rule, if there is none.
    fn is_full(&self, rule: &str, namespace: Option<&str>) -> Option<String> {
        let Some(namespace) = namespace else {
            let count = self.of_cluster.get(rule).copied().unwrap_or_default();
            return (count >= OF_CLUSTER)
                .then(|| format!("it carries {OF_CLUSTER} older ClusterExceptions, and no more"));
        };
        let own = self
            .of_namespace
            .get(&(rule, namespace))
            .copied()
            .unwrap_or_default();
        if own >= OF_NAMESPACE {
            return Some(format!(
                "it carries {OF_NAMESPACE} older exceptions of this namespace, and no more: put their conditions \
                 into one with ||, or delete some"
            ));
        }
        let all = self.namespace_in_all.get(namespace).copied().unwrap_or_default();
        if all >= NAMESPACE_IN_ALL {
            return Some(format!(
                "older exceptions of this namespace are in {NAMESPACE_IN_ALL} places of rules, and no more: name \
                 fewer rules, or delete some"
            ));
        }
        let others = self.of_namespaces.get(rule).copied().unwrap_or_default();
        (others >= OF_NAMESPACES).then(|| {
            format!(
                "it carries {OF_NAMESPACES} older exceptions of namespaces, and no more: ask for a ClusterException"
            )
        })
    }

    fn take(&mut self, rule: &'a str, namespace: Option<&'a str>) {
        match namespace {
            None => *self.of_cluster.entry(rule).or_default() += 1,
            Some(namespace) => {
                *self.of_namespaces.entry(rule).or_default() += 1;
                *self.of_namespace.entry((rule, namespace)).or_default() += 1;
                *self.namespace_in_all.entry(namespace).or_default() += 1;
            }
        }
    }
}
