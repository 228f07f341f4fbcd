//! Rules and exceptions as they are watched, joined and handed out.

use std::collections::BTreeMap;

use kube::core::DeserializeGuard;
use kube::core::object::HasStatus;
use kube::{Resource, ResourceExt as _};
use yagura_crds::exception::AnyException;
use yagura_crds::{ClusterException, DetectionRule, DetectionRuleStatus, Exception, ExceptionStatus};
use yagura_event::Timestamp;
use yagura_rules::detect::Scope;
use yagura_rules::source::JoinedSource;

use super::status::Pace;
use super::validate::{Invalid, Valid, validate};
use super::{apply, build};
use crate::content::Pack;
use crate::exception::join::Join;
use crate::exception::known::{Exceptions, KnownRule, Object};
use crate::index::SharedIndex;
use crate::signals::now;
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
    /// What is handed out, if it can run.
    runnable: Option<Runnable>,
}

/// A rule that can run.
#[derive(Debug)]
struct Runnable {
    rule: DetectionRule,
    valid: Valid,
    /// The exceptions that it was handed out with; none: it was not yet.
    carries: Option<Vec<JoinedSource>>,
}

/// All that was seen.
#[derive(Default)]
pub(super) struct Rules {
    entries: BTreeMap<String, Entry>,
    join: Join,
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
                match validate(rule) {
                    Err(invalid) => next.verdict = Err(invalid),
                    Ok(valid) => {
                        next.verdict = Ok(valid.warnings.clone());
                        next.scope = valid.windows.as_ref().map(|windows| windows.detect.scope);
                        next.runnable = Some(Runnable {
                            rule: rule.clone(),
                            valid,
                            carries: None,
                        });
                    }
                }
            }
        }
        let verdict = next.verdict.as_deref();
        next.pace = Pace::of(&next.status, generation, verdict, takes_name, now());
        match &next.runnable {
            Some(runnable) => {
                self.join.apply_rule(&uid, known(runnable));
            }
            None => {
                self.join.delete_rule(&uid);
            }
        }
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
        for (uid, entry) in &mut self.entries {
            let Some(runnable) = &mut entry.runnable else {
                served.push((uid, None));
                continue;
            };
            let carries = joined.carried.remove(uid).unwrap_or_default();
            if runnable.carries.as_ref() != Some(&carries) {
                served.push((uid, build::build(&runnable.rule, &runnable.valid, &carries)));
                runnable.carries = Some(carries);
            }
        }
        let mut index = index.write();
        index.exceptions = Exceptions {
            settled: true,
            rules: self.join.rules().cloned().collect(),
            judged: joined.judged,
        };
        for (uid, served) in served {
            apply::apply(&mut index, uid, served);
        }
        true
    }
}

/// What exceptions see of a rule.
fn known(runnable: &Runnable) -> KnownRule {
    let source = runnable.valid.source.clone();
    KnownRule {
        labels: runnable.rule.labels().clone(),
        exceptable: runnable.rule.spec.exceptable_in_effect(),
        hash: source.hash(),
        source,
    }
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
