//! What ships in `content/` is there once the chart is installed, is accepted, runs, and finds what it says.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use yagura_e2e::objects::SHIPPED;
use yagura_e2e::rules::Rule;
use yagura_e2e::{Space, eventually, objects, signals, with_namespace, workload};

#[tokio::test]
#[ignore = "needs the one-node cluster: cargo xtask test"]
async fn shipped_rules_run_on_every_node_and_report_a_shell() -> Result<()> {
    with_namespace(|space| async move {
        for object in shipped(&space, "DetectionRule", "detections").await? {
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
        shipped(&space, "PostureCheck", "posture/checks").await?;
        for framework in shipped(&space, "PostureFramework", "posture/frameworks").await? {
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

/// Waits for every object of a kind that `content/` has, as the operator applied it.
async fn shipped(space: &Space, kind: &str, folder: &str) -> Result<Vec<Value>> {
    let mut wanted = names(&content().join(folder))?;
    wanted.sort();
    ensure!(!wanted.is_empty(), "no {kind} ships");
    eventually(&format!("every {kind} of {folder} is applied"), || async {
        let found = objects::list(&space.client, kind, None, SHIPPED).await?;
        let mut names: Vec<&str> = found
            .iter()
            .filter_map(|object| object["metadata"]["name"].as_str())
            .collect();
        names.sort_unstable();
        ensure!(names == wanted, "{names:?} instead of {wanted:?}");
        Ok(found)
    })
    .await
}

fn content() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("content")
}

/// Files are named after their objects.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(names(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            let stem = path.file_stem().context("a file without a name")?;
            found.push(stem.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}
