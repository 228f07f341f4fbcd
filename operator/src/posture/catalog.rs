//! The checks and frameworks that there are, and what follows from them: pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt as _};
use yagura_crds::posture_check::{Mode, ResourceType};
use yagura_crds::{PostureCheck, PostureFramework, Severity};
use yagura_engine::posture::Judge;
use yagura_rules::Lists;
use yagura_store::signals::Lifetime;

use super::validate::{Valid, judge};
use crate::content::{Names, Pack};
use crate::detection_rule::validate::Invalid;
use crate::index::policy::RuleMeta;
use crate::signals::CHECK_KIND;

/// Checks and frameworks by name.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) checks: BTreeMap<String, CheckEntry>,
    pub(super) frameworks: BTreeMap<String, FrameworkEntry>,
    /// Names that the shipped content takes.
    pub(super) shipped: Names,
    /// What conditions may name.
    lists: Lists,
}

/// A check, and whether it can be evaluated.
#[derive(Debug)]
pub(super) struct CheckEntry {
    pub(super) edit: Edit,
    /// The pack whose check is not applied because this one has its name.
    pub(super) takes_name: Option<Pack>,
    pub(super) verdict: Result<Valid, Invalid>,
    /// What the lists that it asks for were when it was looked at, by their names.
    pub(super) uses: Uses,
    /// The object, if it can be read and names lists.
    object: Option<Box<PostureCheck>>,
    /// For its signals; unset for an object that cannot be read.
    pub(super) meta: Option<Arc<RuleMeta>>,
    pub(super) resource: Option<ResourceType>,
    pub(super) status: yagura_crds::PostureCheckStatus,
}

/// A framework.
#[derive(Debug)]
pub(super) struct FrameworkEntry {
    pub(super) edit: Edit,
    /// The pack whose framework is not applied because this one has its name.
    pub(super) takes_name: Option<Pack>,
    /// Unset, with the reason, for an object that cannot be read.
    pub(super) spec: Result<yagura_crds::PostureFrameworkSpec, String>,
    pub(super) status: yagura_crds::PostureFrameworkStatus,
}

/// Fingerprints of lists by name.
pub(super) type Uses = BTreeMap<String, String>;

/// Which edit of which object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) uid: String,
    pub(super) generation: Option<i64>,
}

impl Edit {
    fn of(object: &impl Resource) -> Self {
        Self {
            uid: object.meta().uid.clone().unwrap_or_default(),
            generation: object.meta().generation,
        }
    }
}

/// A check that is evaluated.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) edit: Edit,
    /// The lists that it was compiled with.
    pub(super) uses: Uses,
    pub(super) resource: ResourceType,
    pub(super) judge: Arc<Judge>,
}

impl Catalog {
    /// Takes a check over; whether anything but its status changed.
    pub(super) fn apply_check(&mut self, guard: &DeserializeGuard<PostureCheck>) -> bool {
        let edit = Edit::of(guard);
        let name = guard.name_any();
        let takes_name = self.shipped.taken_by("PostureCheck", guard.meta());
        if let Some(entry) = self.checks.get_mut(&name).filter(|entry| entry.edit == edit) {
            entry.takes_name = takes_name;
            return false;
        }
        let entry = match &guard.0 {
            Ok(check) => {
                let (verdict, uses) = judged(check, &self.lists);
                CheckEntry {
                    edit,
                    takes_name,
                    verdict,
                    object: (!uses.is_empty()).then(|| Box::new(check.clone())),
                    uses,
                    meta: Some(Arc::new(meta(check))),
                    resource: Some(check.spec.resource),
                    status: check.status.clone().unwrap_or_default(),
                }
            }
            Err(error) => CheckEntry {
                edit,
                takes_name,
                verdict: Err(Invalid::Object(format!(
                    "the object cannot be read: {}",
                    error.error
                ))),
                uses: Uses::new(),
                object: None,
                meta: None,
                resource: None,
                status: yagura_crds::PostureCheckStatus::default(),
            },
        };
        self.checks.insert(name, entry);
        true
    }

    /// Takes other lists over: checks that were compiled with what changed are compiled again. Whether there are such.
    pub(super) fn relist(&mut self, lists: Lists) -> bool {
        self.lists = lists;
        let mut changed = false;
        for entry in self.checks.values_mut() {
            let Some(check) = &entry.object else { continue };
            if entry.uses != fingerprints(entry.uses.keys(), &self.lists) {
                (entry.verdict, entry.uses) = judged(check, &self.lists);
                changed = true;
            }
        }
        changed
    }

    /// Names of the lists that checks ask for, by name of the check.
    pub(super) fn list_uses(&self) -> BTreeMap<String, BTreeSet<String>> {
        let using = self.checks.iter().filter(|(_, entry)| !entry.uses.is_empty());
        using
            .map(|(name, entry)| (name.clone(), entry.uses.keys().cloned().collect()))
            .collect()
    }

    /// Takes a framework over; whether anything but its status changed.
    pub(super) fn apply_framework(&mut self, guard: DeserializeGuard<PostureFramework>) -> bool {
        let edit = Edit::of(&guard);
        let name = guard.name_any();
        let takes_name = self.shipped.taken_by("PostureFramework", guard.meta());
        if let Some(entry) = self.frameworks.get_mut(&name).filter(|entry| entry.edit == edit) {
            entry.takes_name = takes_name;
            return false;
        }
        let (spec, status) = match guard.0 {
            Ok(framework) => (Ok(framework.spec), framework.status.unwrap_or_default()),
            Err(error) => (Err(error.error), yagura_crds::PostureFrameworkStatus::default()),
        };
        let entry = FrameworkEntry {
            edit,
            takes_name,
            spec,
            status,
        };
        self.frameworks.insert(name, entry);
        true
    }

    /// The checks that can be evaluated and that a framework refers to.
    pub(super) fn active(&self) -> BTreeMap<String, Active> {
        let wanted: BTreeSet<&str> = self.references().map(|reference| reference.check).collect();
        self.checks
            .iter()
            .filter(|(name, _)| wanted.contains(name.as_str()))
            .filter_map(|(name, entry)| {
                let judge = entry.verdict.as_ref().ok()?.judge.clone()?;
                let active = Active {
                    edit: entry.edit.clone(),
                    uses: entry.uses.clone(),
                    resource: entry.resource?,
                    judge,
                };
                Some((name.clone(), active))
            })
            .collect()
    }

    /// Whether failures of a check become signals: the lowest of its frameworks' limits applies.
    pub(super) fn raises_signals(&self, check: &str, severity: Severity) -> bool {
        self.references()
            .filter(|reference| reference.check == check)
            .map(|reference| reference.min_severity)
            .min()
            .is_some_and(|least| severity >= least)
    }

    /// The controls that a check proves, as `framework/control`.
    pub(super) fn controls(&self, check: &str) -> Vec<String> {
        self.references()
            .filter(|reference| reference.check == check)
            .map(|reference| format!("{}/{}", reference.framework, reference.control))
            .collect()
    }

    fn references(&self) -> impl Iterator<Item = Reference<'_>> {
        self.frameworks.iter().flat_map(|(framework, entry)| {
            let spec = entry.spec.as_ref().ok();
            spec.into_iter().flat_map(move |spec| {
                spec.requirements
                    .iter()
                    .flat_map(|requirement| &requirement.controls)
                    .flat_map(move |control| {
                        control.checks.iter().map(move |check| Reference {
                            framework,
                            control: &control.id,
                            check: &check.name,
                            min_severity: spec.signals.min_severity,
                        })
                    })
            })
        })
    }

    /// Whether a check is there and left to people.
    pub(super) fn is_manual(&self, check: &str) -> bool {
        let valid = self
            .checks
            .get(check)
            .and_then(|entry| entry.verdict.as_ref().ok());
        valid.is_some_and(|valid| valid.judge.is_none())
    }
}

/// A control's use of a check.
#[derive(Clone, Copy, Debug)]
struct Reference<'a> {
    framework: &'a str,
    control: &'a str,
    check: &'a str,
    min_severity: Severity,
}

/// What a control is judged by.
pub(super) fn is_manual(control: &yagura_crds::posture_framework::Control) -> bool {
    control.mode == Mode::Manual || control.checks.is_empty()
}

/// Whether a check can be evaluated, and the lists that it asks for.
fn judged(check: &PostureCheck, lists: &Lists) -> (Result<Valid, Invalid>, Uses) {
    let mut names = BTreeSet::new();
    let verdict = judge(check, lists, &mut names);
    (verdict, fingerprints(&names, lists))
}

fn fingerprints<'n>(names: impl IntoIterator<Item = &'n String>, lists: &Lists) -> Uses {
    let names = names.into_iter();
    names
        .map(|name| (name.clone(), lists.fingerprint(name)))
        .collect()
}

fn meta(check: &PostureCheck) -> RuleMeta {
    let spec = &check.spec;
    RuleMeta {
        kind: CHECK_KIND,
        uid: check.uid().unwrap_or_default(),
        name: check.name_any(),
        generation: check.metadata.generation.unwrap_or_default(),
        severity: spec.severity_in_effect().into(),
        source: "posture".to_owned(),
        title: spec.title.clone(),
        description: spec.description.clone(),
        remediation: spec.remediation.clone(),
        attack: Vec::new(),
        // A check fails until it passes: no time closes its signals.
        lifetime: Lifetime::UNLIMITED,
        windows: None,
    }
}
