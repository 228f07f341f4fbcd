//! Rules and exceptions as they are watched, joined and handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::core::object::HasStatus;
use kube::{Resource, ResourceExt as _};
use yagura_crds::exception::AnyException;
use yagura_crds::{ClusterException, DetectionRule, DetectionRuleStatus, Exception, ExceptionStatus};
use yagura_event::Timestamp;
use yagura_rules::Lists;
use yagura_rules::detect::Scope;
use yagura_rules::source::JoinedSource;

use super::build::Named;
use super::status::Pace;
use super::validate::{Invalid, Valid, judge};
use super::{apply, build};
use crate::content::Pack;
use crate::exception::join::Join;
use crate::exception::known::{Exceptions, KnownRule, Object};
use crate::index::SharedIndex;
use crate::signals::now;
use crate::value_list::shelf::Shelf;
use crate::watch::Change;

/// A change of what is watched.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken from the watch and used up at once"
)]
pub(super) enum Told {
    Rule(Change<DeserializeGuard<DetectionRule>>),
    Exception(Change<DeserializeGuard<Exception>>),
    ClusterException(Change<DeserializeGuard<ClusterException>>),
}

/// A rule that was seen.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) generation: Option<i64>,
    /// The pack whose rule is not applied because this one has its name.
    pub(super) takes_name: Option<Pack>,
    pub(super) enabled: bool,
    pub(super) verdict: Result<Vec<String>, Invalid>,
    /// Where its windows are, if it can run and has some.
    pub(super) scope: Option<Scope>,
    pub(super) status: DetectionRuleStatus,
    pub(super) pace: Pace,
    /// The object, if it can be read.
    rule: Option<DetectionRule>,
    /// What the lists that it asks for were when it was looked at, by their names.
    uses: Uses,
    /// What is handed out, if it can run.
    runnable: Option<Runnable>,
}

/// A rule that can run.
#[derive(Debug)]
struct Runnable {
    valid: Valid,
    /// The exceptions and lists that it was handed out with; none: it was not yet.
    carries: Option<(Vec<JoinedSource>, Vec<Named>)>,
}

/// Fingerprints of lists by name.
type Uses = BTreeMap<String, String>;

/// All that was seen.
#[derive(Default)]
pub(super) struct Rules {
    entries: BTreeMap<String, Entry>,
    join: Join,
    shelf: Arc<Shelf>,
    synced: Synced,
    /// Whether something changed since they were joined.
    changed: bool,
}

/// What has been told completely.
#[derive(Default)]
struct Synced {
    rules: bool,
    exceptions: bool,
    of_cluster: bool,
}

impl Rules {
    /// The rules by uid, for their statuses.
    pub(super) fn entries(&mut self) -> impl Iterator<Item = (&String, &mut Entry)> {
        self.entries.iter_mut()
    }

    /// Learns of a change. No client.
    pub(super) fn take(&mut self, index: &SharedIndex, told: Told) {
        let changed = match told {
            Told::Rule(Change::Apply(rule)) => self.rule(index, &rule),
            Told::Rule(Change::Delete(gone)) => {
                self.entries.remove(&gone.uid);
                index.write().policy.delete_rule(&gone.uid);
                self.join.delete_rule(&gone.uid)
            }
            Told::Rule(Change::Synced) => !std::mem::replace(&mut self.synced.rules, true),
            Told::Exception(Change::Apply(guard)) => {
                let object = read(&guard, Some(guard.namespace().unwrap_or_default()));
                self.join.apply_exception(object)
            }
            Told::ClusterException(Change::Apply(guard)) => {
                let object = read(&guard, None);
                self.join.apply_exception(object)
            }
            Told::Exception(Change::Delete(gone)) | Told::ClusterException(Change::Delete(gone)) => {
                self.join.delete_exception(&gone.uid)
            }
            Told::Exception(Change::Synced) => !std::mem::replace(&mut self.synced.exceptions, true),
            Told::ClusterException(Change::Synced) => !std::mem::replace(&mut self.synced.of_cluster, true),
        };
        self.changed |= changed;
    }

    /// Learns of other lists: what was compiled with what changed is compiled again.
    pub(super) fn relist(&mut self, lists: Arc<Shelf>) {
        self.shelf = lists;
        self.join.relist(self.shelf.lists.clone());
        self.changed = true;
        for (uid, entry) in &mut self.entries {
            if entry.uses.is_empty() || entry.uses == fingerprints(entry.uses.keys(), &self.shelf.lists) {
                continue;
            }
            let before = entry.verdict.clone();
            entry.judge(&self.shelf.lists);
            if entry.verdict != before {
                entry.pace.changed = Some(now());
            }
            entry.tell(uid, &mut self.join);
        }
    }

    /// validate: what a new or changed rule means. True when it is to be handed out anew.
    fn rule(&mut self, index: &SharedIndex, guard: &DeserializeGuard<DetectionRule>) -> bool {
        let (uid, name, generation) = (
            guard.uid().unwrap_or_default(),
            guard.name_any(),
            guard.meta().generation,
        );
        let takes_name = index.read().shipped.taken_by("DetectionRule", guard.meta());
        let before = self.entries.remove(&uid);
        let mut next = match before {
            Some(mut entry) if entry.generation == generation => {
                if entry.takes_name != takes_name {
                    entry.takes_name = takes_name;
                    entry.pace.changed = Some(now());
                }
                // Only its status or labels changed, by this operator most often.
                self.entries.insert(uid.clone(), entry);
                return self.join.relabel(&uid, guard.labels());
            }
            before => Entry {
                name,
                generation,
                takes_name,
                enabled: true,
                verdict: Ok(Vec::new()),
                scope: None,
                status: before.map(|entry| entry.status).unwrap_or_default(),
                pace: Pace::default(),
                rule: None,
                uses: Uses::new(),
                runnable: None,
            },
        };
        match &guard.0 {
            Err(error) => {
                let why = format!("the object cannot be read: {}", error.error);
                next.verdict = Err(Invalid::Object(why));
            }
            Ok(rule) => {
                next.enabled = rule.spec.enabled;
                if let Some(status) = &rule.status {
                    next.status = status.clone();
                }
                next.rule = Some(rule.clone());
                next.judge(&self.shelf.lists);
            }
        }
        let verdict = next.verdict.as_deref();
        next.pace = Pace::of(&next.status, generation, verdict, takes_name, now());
        next.tell(&uid, &mut self.join);
        self.entries.insert(uid, next);
        true
    }

    /// join → build → apply: hands out what changed, once everything that was there has been told. True from then on.
    pub(super) fn hand_out(&mut self, index: &SharedIndex, time: Timestamp) -> bool {
        let Synced {
            rules,
            exceptions,
            of_cluster,
        } = self.synced;
        if !(rules && exceptions && of_cluster) {
            return false;
        }
        let seconds = time.0.div_euclid(1_000_000_000);
        if !self.changed && !self.join.has_expired(seconds) {
            return true;
        }
        self.changed = false;
        let mut joined = self.join.join(seconds);
        let mut served = Vec::new();
        let mut uses = BTreeMap::new();
        for (uid, entry) in &mut self.entries {
            let Some(runnable) = &mut entry.runnable else {
                if !entry.uses.is_empty() {
                    uses.insert(entry.name.clone(), entry.uses.keys().cloned().collect());
                }
                served.push((uid, None));
                continue;
            };
            let exceptions = joined.carried.remove(uid).unwrap_or_default();
            let mut names: BTreeSet<String> = entry.uses.keys().cloned().collect();
            names.extend(joined.uses.remove(uid).into_iter().flatten());
            let body_of = |name: &String| Some((name.clone(), Arc::clone(self.shelf.bodies.get(name)?)));
            let lists: Vec<Named> = names.iter().filter_map(body_of).collect();
            if !names.is_empty() {
                uses.insert(entry.name.clone(), names);
            }
            let carries = (exceptions, lists);
            if runnable.carries.as_ref() != Some(&carries)
                && let Some(rule) = &entry.rule
            {
                served.push((uid, build::build(rule, &runnable.valid, &carries.0, &carries.1)));
                runnable.carries = Some(carries);
            }
        }
        let mut index = index.write();
        index.exceptions = Exceptions {
            settled: true,
            rules: self.join.rules().cloned().collect(),
            judged: joined.judged,
        };
        if index.list_uses.rules != uses {
            Arc::make_mut(&mut index.list_uses).rules = uses;
        }
        for (uid, served) in served {
            apply::apply(&mut index, uid, served);
        }
        true
    }
}

impl Entry {
    /// Decides whether the rule can run.
    fn judge(&mut self, lists: &Lists) {
        let Some(rule) = &self.rule else {
            return;
        };
        let mut uses = BTreeSet::new();
        let valid = judge(rule, lists, &mut uses);
        self.uses = fingerprints(&uses, lists);
        self.scope = None;
        self.runnable = None;
        self.verdict = valid.map(|valid| {
            let warnings = valid.warnings.clone();
            self.scope = valid.windows.as_ref().map(|windows| windows.detect.scope);
            self.runnable = Some(Runnable { valid, carries: None });
            warnings
        });
    }

    /// Tells exceptions of the rule, or that it does not run.
    fn tell(&self, uid: &str, join: &mut Join) {
        match (&self.rule, &self.runnable) {
            (Some(rule), Some(runnable)) => {
                let source = runnable.valid.source.clone();
                let known = KnownRule {
                    labels: rule.labels().clone(),
                    exceptable: rule.spec.exceptable_in_effect(),
                    hash: source.hash(),
                    source,
                };
                join.apply_rule(uid, known);
            }
            _ => {
                join.delete_rule(uid);
            }
        }
    }
}

/// What lists of these names are.
fn fingerprints<'n>(names: impl IntoIterator<Item = &'n String>, lists: &Lists) -> Uses {
    let names = names.into_iter();
    names
        .map(|name| (name.clone(), lists.fingerprint(name)))
        .collect()
}

/// An exception as it is joined.
fn read<K>(guard: &DeserializeGuard<K>, namespace: Option<String>) -> Object
where
    K: Resource + HasStatus<Status = ExceptionStatus>,
    AnyException: for<'a> From<&'a K>,
{
    let meta = guard.meta();
    Object {
        uid: meta.uid.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        namespace,
        generation: meta.generation,
        created: meta
            .creation_timestamp
            .as_ref()
            .map_or(0, |time| time.0.as_second()),
        told: guard
            .0
            .as_ref()
            .ok()
            .and_then(K::status)
            .cloned()
            .unwrap_or_default(),
        exception: guard
            .0
            .as_ref()
            .map(AnyException::from)
            .map_err(|error| format!("the object cannot be read: {}", error.error)),
    }
}
