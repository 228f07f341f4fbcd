//! What every check says of every resource, by the object that a resource is part of: pure.
//!
//! Only what fails or cannot be judged is kept with its resource; the rest is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use yagura_crds::convert::text;
use yagura_crds::posture_check::ResourceType;
use yagura_crds::security_signal::SignalResource;
use yagura_engine::Scratch;
use yagura_engine::posture::{CheckStatus, Verdict};

use super::catalog::Active;
use super::resources::{Resource, identity};
use crate::conditions::cut;

/// Longest value of evidence.
const MAX_EVIDENCE: usize = 1_024;

/// An object that resources are part of: the type of its first resource, and its uid or the name
/// of its node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) kind: ResourceType,
    pub(super) id: String,
}

/// Results of one check on one object.
#[derive(Clone, Debug, Default)]
struct Results {
    pass: u64,
    not_applicable: u64,
    failing: Vec<SignalResource>,
    errors: Vec<SignalResource>,
}

/// Results of all checks on all objects.
#[derive(Debug, Default)]
pub(super) struct Findings {
    by_source: HashMap<Source, BTreeMap<String, Results>>,
    scratch: Scratch,
}

/// Results of one check on everything.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckFindings {
    pub(super) counts: CheckStatus,
    /// Resources that fail, by identity; of several with the same the first.
    pub(super) failing: BTreeMap<String, SignalResource>,
    /// Identities of resources that cannot be judged.
    pub(super) errors: BTreeSet<String>,
}

impl Findings {
    /// Judges an object's resources by these checks; results of other checks stay.
    pub(super) fn judge(
        &mut self,
        source: Source,
        resources: &[Resource],
        checks: &BTreeMap<String, Active>,
    ) {
        let entry = self.by_source.entry(source).or_default();
        for (name, check) in checks {
            let mut results = Results::default();
            for resource in resources
                .iter()
                .filter(|resource| resource.kind == check.resource)
            {
                let finding = check.judge.evaluate(&resource.tree, &mut self.scratch);
                let with_evidence = || {
                    let mut shown = resource.shown.clone();
                    shown.evidence = finding
                        .evidence
                        .iter()
                        .map(|(path, value)| (path.clone(), cut(text(value), MAX_EVIDENCE)))
                        .collect();
                    shown
                };
                match &finding.verdict {
                    Verdict::Pass => results.pass += 1,
                    Verdict::NotApplicable => results.not_applicable += 1,
                    Verdict::Fail => results.failing.push(with_evidence()),
                    Verdict::Error(_) => results.errors.push(with_evidence()),
                }
            }
            entry.insert(name.clone(), results);
        }
    }

    /// An object is gone.
    pub(super) fn forget(&mut self, source: &Source) {
        self.by_source.remove(source);
    }

    /// Keeps objects of a type only if they were listed.
    pub(super) fn retain(&mut self, kind: ResourceType, listed: &BTreeSet<String>) {
        self.by_source
            .retain(|source, _| source.kind != kind || listed.contains(&source.id));
    }

    /// Forgets the results of checks that are not evaluated any more.
    pub(super) fn retain_checks(&mut self, active: &BTreeMap<String, Active>) {
        for results in self.by_source.values_mut() {
            results.retain(|check, _| active.contains_key(check));
        }
    }

    /// What each check says of everything.
    pub(super) fn by_check(&self) -> BTreeMap<String, CheckFindings> {
        let mut all: BTreeMap<String, CheckFindings> = BTreeMap::new();
        for (check, results) in self.by_source.values().flatten() {
            let sum = all.entry(check.clone()).or_default();
            let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
            sum.counts = sum.counts.plus(CheckStatus {
                pass: results.pass,
                not_applicable: results.not_applicable,
                fail: count(results.failing.len()),
                error: count(results.errors.len()),
                excepted: 0,
            });
            for shown in &results.failing {
                sum.failing
                    .entry(identity(shown))
                    .or_insert_with(|| shown.clone());
            }
            sum.errors.extend(results.errors.iter().map(identity));
        }
        all
    }
}
