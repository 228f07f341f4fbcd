//! The operator under the load of simulated agents, one run for each number of them.
//!
//! The agents are a program of the end-to-end tests (`e2e/src/bin/operator-load`), which has the clients that this one
//! does without. Each run gets an API server of its own on loopback.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::curves;
use crate::cache::Places;
use crate::cluster::Alone;
use crate::process::{output_beside_progress, shown_live};
use crate::progress::{say, step};
use crate::{image, install};

/// The account that the operator runs as.
const ACCOUNT: &str = "system:serviceaccount:yagura-system:yagura-operator";

/// Rules of the load: the first is changed, the next twenty have very many groups, the last very many matches.
const RULES: usize = 22;

/// What the chart would make, as far as the operator needs it outside of a cluster.
const BASE: &str = r"apiVersion: v1
kind: Namespace
metadata: {name: yagura-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: yagura-operator, namespace: yagura-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: yagura-agent, namespace: yagura-system}
---
apiVersion: v1
kind: Secret
metadata: {name: yagura-ca, namespace: yagura-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: yagura-trust-bundle, namespace: yagura-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: yagura-operator-bench}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: yagura-operator, namespace: yagura-system}]
";

/// One figure of a run, as the load prints it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Measured {
    /// How many agents there were.
    pub(super) agents: usize,
    /// What was measured.
    pub(super) name: String,
    /// The value.
    pub(super) value: f64,
    /// Its unit.
    pub(super) unit: String,
    /// How it came about.
    pub(super) note: String,
}

/// Writes a second in ten seconds in a row. The bucket refills with 20 a second and holds 20 more: 220 at the most. The lease does
/// not wait for it, and is renewed every three seconds.
const WRITES: f64 = (220.0 + 4.0) / 10.0;

/// A figure that is held to a bar; at every number of agents.
const BARS: &[(&str, f64)] = &[
    ("restart-to-ready", 60.0),
    ("restart-writes-peak", WRITES),
    ("quiet-processor", 100.0),
    ("quiet-writes", 1.0),
    ("change-to-all", 30.0),
    ("change-processor", 100.0),
    ("change-writes-peak", WRITES),
    ("matches-processor", 100.0),
    ("matches-writes-peak", WRITES),
    ("matches-uncounted", 0.0),
    ("groups-first-signal", 2.0),
    ("groups-processor", 100.0),
    ("groups-writes-peak", WRITES),
    // A hundred, and the one that counts on.
    ("groups-most-signals", 101.0),
    ("highest-memory", 1_024.0),
];

/// Runs the load for each number of agents, shows the figures, and draws the curves when there are several.
pub(super) fn run(places: &Places, agents: &[usize], json: bool) -> Result<()> {
    install::root("bench")?;
    let scratch = places.scratch("bench-operator");
    let build = |package: &str, binary: &str| {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(places.repository()).args([
            "build",
            "--locked",
            "--release",
            "--package",
            package,
            "--bin",
            binary,
        ]);
        cargo
    };
    step("build the operator and the load", || {
        shown_live(&mut build("yagura-operator", "yagura-operator"))?;
        shown_live(&mut build("yagura-e2e", "operator-load"))
    })?;
    let programs = image::target_folder(places)?.join("release");
    let mut figures = Vec::new();
    for count in agents {
        figures.extend(step(&format!("play {count} agents"), || {
            one_run(places, &scratch, &programs, *count)
        })?);
    }
    if agents.len() > 1 {
        let file = places.repository().join("docs/images/operator-load.svg");
        std::fs::write(&file, curves::draw(&figures))
            .with_context(|| format!("cannot write {}", file.display()))?;
        say(format!("       {}", file.display()))?;
    }
    show(&figures, json)
}

fn one_run(places: &Places, scratch: &Path, programs: &Path, agents: usize) -> Result<Vec<Measured>> {
    let alone = Alone::start(places, &scratch.join("api-server"), ACCOUNT)?;
    let folder = scratch.join("operator");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let kubectl = alone.kubectl();
    let definitions = places.repository().join("crds/generated");
    let definitions = definitions.to_str().context("the checkout's path is no text")?;
    kubectl.run(&["apply", "--server-side", "-f", definitions])?;
    kubectl.run(&[
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=60s",
    ])?;
    kubectl.apply(BASE)?;
    kubectl.apply(&(0..RULES).map(rule).collect::<String>())?;

    let mut load = Command::new("taskset");
    load.args(["--cpu-list", "0"])
        .arg(programs.join("operator-load"))
        .args(["--agents", &agents.to_string()])
        .arg("--operator")
        .arg(programs.join("yagura-operator"))
        .arg("--folder")
        .arg(&folder)
        .arg("--calls")
        .arg(alone.calls())
        .env("KUBECONFIG", alone.kubeconfig())
        .stdin(Stdio::null());
    let lines = output_beside_progress(&mut load)?;
    let figures: Vec<Measured> = lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("the load printed {line:?}")))
        .collect::<Result<_>>()?;
    ensure!(!figures.is_empty(), "the load printed nothing");
    Ok(figures)
}

fn rule(number: usize) -> String {
    format!(
        "---\napiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {{name: bench-rule-{number}}}\nspec:\n  \
         title: Rule {number} of a benchmark\n  description: Simulated agents say that it matches.\n  \
         remediation: None is needed.\n  severity: medium\n  source: workload\n  where: {{target: any}}\n  \
         condition: 'event.kind == \"process.exec\" && process.name == \"bench-{number}\"'\n  \
         signal: {{title: 'Bench {number}', groupBy: [process.name]}}\n"
    )
}

fn bar(name: &str) -> Option<f64> {
    BARS.iter().find(|(known, _)| *known == name).map(|(_, bar)| *bar)
}

fn show(figures: &[Measured], json: bool) -> Result<()> {
    if json {
        return figures.iter().try_for_each(|figure| {
            say(serde_json::to_string(figure).context("cannot write a figure as JSON")?)
        });
    }
    say(format!(
        "{:>6}  {:<22} {:>10} {:<11} {:>7}  {:<6} {}",
        "AGENTS", "FIGURE", "VALUE", "UNIT", "BAR", "HOLDS", "NOTE"
    ))?;
    figures.iter().try_for_each(|figure| {
        let bar = bar(&figure.name);
        let holds = bar.map_or("", |bar| if figure.value <= bar { "yes" } else { "no" });
        say(format!(
            "{:>6}  {:<22} {:>10.2} {:<11} {:>7}  {holds:<6} {}",
            figure.agents,
            figure.name,
            figure.value,
            figure.unit,
            bar.map_or_else(String::new, |bar| bar.to_string()),
            figure.note
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{BARS, Measured, bar};

    #[test]
    fn what_the_load_prints_is_read_and_held_to_its_bar() {
        let line =
            r#"{"agents": 10, "name": "quiet-writes", "value": 0.5, "unit": "/s", "note": "over 120 s"}"#;
        let figure: Measured = serde_json::from_str(line).unwrap();
        assert_eq!((figure.agents, bar(&figure.name)), (10, Some(1.0)));
        assert_eq!(bar("first-connect"), None);
        let mut names: Vec<&str> = BARS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BARS.len());
    }
}
