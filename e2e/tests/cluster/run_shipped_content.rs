//! What ships in `content/` is accepted, runs, and finds what it says.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use yagura_e2e::rules::Rule;
use yagura_e2e::{Space, eventually, objects, signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn shipped_rules_run_on_every_node_and_report_a_shell() -> Result<()> {
    with_namespace(|space| async move {
        let rules = apply_folder(&space, "detections").await?;
        ensure!(!rules.is_empty(), "no rule ships");
        for object in rules {
            let name = object["metadata"]["name"]
                .as_str()
                .context("a rule has no name")?
                .to_owned();
            Rule { name, object }.programmed(&space).await?;
        }

        let pod = workload::sleeper(&space, "app").await?;
        workload::exec_tty(&space, &pod, &["sh"], "exit\n")
            .await?
            .success()?;
        let signal = signals::only_in(&space, &space.name, "shell-in-container").await?;
        ensure!(signal["status"]["description"].is_string() && signal["status"]["remediation"].is_string());
        ensure!(
            !signal["status"]["attack"]
                .as_array()
                .context("no ATT&CK ids")?
                .is_empty()
        );
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn the_shipped_framework_has_a_score() -> Result<()> {
    with_namespace(|space| async move {
        let checks = apply_folder(&space, "posture/checks").await?;
        let frameworks = apply_folder(&space, "posture/frameworks").await?;
        ensure!(!checks.is_empty() && !frameworks.is_empty(), "no framework ships");
        for framework in frameworks {
            let name = framework["metadata"]["name"]
                .as_str()
                .context("a framework has no name")?;
            eventually(&format!("{name} has a score"), || async {
                let object = objects::get(&space.client, "PostureFramework", None, name).await?;
                let accepted = objects::condition(&object, "Accepted")?;
                ensure!(accepted["status"] == "True", "{accepted}");
                let (score, coverage) = (&object["status"]["score"], &object["status"]["coverage"]);
                ensure!(
                    score.as_f64().is_some_and(|score| (0.0..=100.0).contains(&score)),
                    "{}",
                    object["status"]
                );
                ensure!(coverage["automated"].as_u64() > Some(0), "{coverage}");
                // Agents report the facts of their nodes, so that no check about them is in error.
                ensure!(
                    object["status"]["controls"]["error"] == 0,
                    "{}",
                    object["status"]["controls"]
                );
                Ok(())
            })
            .await?;
        }
        Ok(())
    })
    .await
}

/// Applies every file below a folder of `content/`, one object each.
async fn apply_folder(space: &Space, folder: &str) -> Result<Vec<Value>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("content")
        .join(folder);
    let mut applied = Vec::new();
    for path in files(&root)? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let object = objects::apply(space, &text)
            .await
            .with_context(|| path.display().to_string())?;
        applied.push(serde_json::to_value(object)?);
    }
    Ok(applied)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
