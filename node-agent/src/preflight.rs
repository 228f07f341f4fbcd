//! What would run on this kernel, and why not: the questions that a person has before, or after,
//! something does not work.
//!
//! Hooks are tried and not guessed from a version number: the programs are loaded and attached, a
//! process is run, and its events have to arrive.

mod mounts;
mod privileges;
mod trial;

use std::fs;

use crate::{
    bpf::{self, SensorConfig},
    enrich::hierarchy::Hierarchy,
};
use yagura_telemetry::chain;

/// What a finding means for the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It works.
    Good,
    /// The agent runs, but sees or knows less.
    Degraded,
    /// The agent does not run.
    Blocking,
}

impl Verdict {
    /// The lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Degraded => "degraded",
            Self::Blocking => "blocking",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable name, such as `btf` or `hook.exec`.
    pub subject: String,
    /// What it means.
    pub verdict: Verdict,
    /// What was found, or why it does not work.
    pub detail: String,
    /// What to do about it.
    pub advice: Option<&'static str>,
}

impl Finding {
    fn good(subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            verdict: Verdict::Good,
            detail: detail.into(),
            advice: None,
        }
    }

    fn bad(
        subject: impl Into<String>,
        verdict: Verdict,
        detail: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            subject: subject.into(),
            verdict,
            detail: detail.into(),
            advice: Some(advice),
        }
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order in which the agent needs them.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The worst verdict.
    pub fn verdict(&self) -> Verdict {
        self.findings
            .iter()
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(Verdict::Good)
    }
}

/// Looks at this machine, and tries the hooks. Takes a few seconds.
pub fn check(config: &SensorConfig) -> Report {
    let mut findings = vec![kernel(config)];
    findings.extend(types(config));
    findings.extend(privileges::findings(config));
    findings.push(cgroups(config));
    findings.extend(mounts::findings(config));
    findings.extend(trial::findings(config));
    Report { findings }
}

fn kernel(config: &SensorConfig) -> Finding {
    match fs::read_to_string(config.proc.join("sys/kernel/osrelease")) {
        Ok(release) => Finding::good("kernel", release.trim()),
        Err(error) => Finding::bad(
            "kernel",
            Verdict::Blocking,
            format!("{} cannot be read: {error}", config.proc.display()),
            "mount the host's root folder and name it with --host-root",
        ),
    }
}

/// The kernel's types, and a finding for each feature that they do not offer.
fn types(config: &SensorConfig) -> Vec<Finding> {
    let path = &config.load.btf;
    let resolved = match bpf::resolve_manifest(path) {
        Ok(resolved) => resolved,
        Err(error) => {
            return vec![Finding::bad(
                "btf",
                Verdict::Blocking,
                chain(&error).to_string(),
                "the kernel needs CONFIG_DEBUG_INFO_BTF=y, or give the path of its BTF with --btf",
            )];
        }
    };
    let mut findings = Vec::new();
    for (feature, members) in &resolved.missing {
        let required = resolved.blockers() == members.as_slice();
        findings.push(Finding::bad(
            format!("btf.{feature}"),
            if required {
                Verdict::Blocking
            } else {
                Verdict::Degraded
            },
            format!("the kernel's types lack {}", members.join(", ")),
            "report this kernel: its structures are named in a way that is not known yet",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::good(
            "btf",
            format!("{} has every type that is needed", path.display()),
        ));
    }
    findings
}

fn cgroups(config: &SensorConfig) -> Finding {
    match Hierarchy::detect(&config.proc) {
        Ok(hierarchy) => Finding::good(
            "cgroups",
            match hierarchy.controller() {
                Some(controller) => format!("version 1, containers by the {controller} controller"),
                None => "version 2".to_owned(),
            },
        ),
        Err(error) => Finding::bad(
            "cgroups",
            Verdict::Blocking,
            chain(&error).to_string(),
            "mount the host's root folder and name it with --host-root",
        ),
    }
}
