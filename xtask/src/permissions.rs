//! Least privilege, as it turned out: whether the operator used every permission that the chart gives it, and asked for
//! none that it lacks, while the end-to-end tests ran. The API server's audit log is the witness.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cache::Places;
use crate::cluster::{self, Kubectl};
use crate::process::output;
use crate::progress::say;

/// Who the operator is for the API server, after its namespace.
const OPERATOR: &str = ":yagura-operator";

/// A verb on a resource, as `patch yagura.dev/securitysignals/status`.
type Permission = String;

/// What the audit log says of the operator.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    used: BTreeSet<Permission>,
    refused: BTreeSet<Permission>,
}

/// Compares the chart's roles of the operator with what it asked the cluster's API server for.
pub(crate) fn check(places: &Places) -> Result<()> {
    let granted = granted(places)?;
    let mut asked = Asked::default();
    for log in logs(&cluster::audit_log(places))? {
        let text = std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
        read(&text, &mut asked);
    }
    ensure!(
        !asked.used.is_empty(),
        "the audit log names no request of the operator: the tests against the cluster did not run"
    );
    ensure!(
        asked.refused.is_empty(),
        "the operator asked for what its roles do not give: {}",
        list(&asked.refused)
    );
    let idle: BTreeSet<Permission> = granted.difference(&asked.used).cloned().collect();
    ensure!(
        idle.is_empty(),
        "the operator's roles give what no test saw it use: {}. Take it away, or add the test that needs it",
        list(&idle)
    );
    say(format!(
        "the operator used all {} permissions of its roles, and asked for no other",
        granted.len()
    ))
}

fn list(permissions: &BTreeSet<Permission>) -> String {
    permissions.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// What the chart's roles of the operator give.
fn granted(places: &Places) -> Result<BTreeSet<Permission>> {
    let chart = places.repository().join("charts").join("yagura");
    let rendered = output(
        Command::new(cluster::helm(places)?)
            .args(["template", "yagura", "--namespace", "yagura-system"])
            .args(["--show-only", "templates/operator/rbac.yaml"])
            .arg(chart),
    )?;
    let kubectl = Kubectl::new(cluster::kubectl_program(places)?, cluster::kubeconfig(places));
    let folder = places.scratch("permissions");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file = folder.join("rbac.yaml");
    std::fs::write(&file, rendered).with_context(|| format!("cannot write {}", file.display()))?;
    let objects = kubectl.run(&[
        "create",
        "--dry-run=client",
        "--validate=false",
        "--output=json",
        "--filename",
        &file.display().to_string(),
    ])?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    roles(&objects)
}

/// The permissions in a list of objects; kubectl prints one object after the other, or a list.
fn roles(objects: &str) -> Result<BTreeSet<Permission>> {
    let mut found = BTreeSet::new();
    for object in serde_json::Deserializer::from_str(objects).into_iter::<Value>() {
        let object = object.context("kubectl printed what is no JSON")?;
        let items = match object["items"].as_array() {
            Some(items) => items.clone(),
            None => vec![object],
        };
        for rule in items.iter().flat_map(|item| texts_of(&item["rules"])) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        found.insert(permission(verb, group, resource));
                    }
                }
            }
        }
    }
    Ok(found)
}

/// The current log and those that were rotated away.
fn logs(current: &Path) -> Result<Vec<PathBuf>> {
    let folder = current.parent().context("a log without a folder")?;
    let stem = current
        .file_stem()
        .context("a log without a name")?
        .to_string_lossy();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(stem.as_ref()) && name.ends_with(".log") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Adds what the operator asked for, one audit event a line. A line that was cut by the end of the file counts nothing.
fn read(log: &str, asked: &mut Asked) {
    for line in log.lines().filter(|line| line.contains(OPERATOR)) {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let ours = event["user"]["username"]
            .as_str()
            .is_some_and(|user| user.starts_with("system:serviceaccount:") && user.ends_with(OPERATOR));
        let target = &event["objectRef"];
        let (Some(verb), Some(resource)) = (event["verb"].as_str(), target["resource"].as_str()) else {
            continue;
        };
        if !ours {
            continue;
        }
        let resource = match target["subresource"].as_str() {
            Some(part) => format!("{resource}/{part}"),
            None => resource.to_owned(),
        };
        let group = target["apiGroup"].as_str().unwrap_or_default();
        let asked_for = permission(verb, group, &resource);
        if event["annotations"]["authorization.k8s.io/decision"] == "forbid" {
            asked.refused.insert(asked_for);
            continue;
        }
        // A server-side apply that makes its object needs both.
        if verb == "patch" && event["responseStatus"]["code"] == 201 {
            asked.used.insert(permission("create", group, &resource));
        }
        asked.used.insert(asked_for);
    }
}

fn permission(verb: &str, group: &str, resource: &str) -> Permission {
    if group.is_empty() {
        format!("{verb} {resource}")
    } else {
        format!("{verb} {group}/{resource}")
    }
}

fn texts_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    texts_of(value).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_gives_every_verb_on_every_resource() {
        let roles = roles(
            r#"{"kind": "List", "items": [{"kind": "Role", "rules": [
                {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["list"]},
                {"apiGroups": ["yagura.dev"], "resources": ["securitysignals/status"], "verbs": ["patch"]}]},
                {"kind": "RoleBinding"}]}"#,
        );
        let expected = [
            "list nodes",
            "list pods",
            "patch yagura.dev/securitysignals/status",
        ];
        assert_eq!(roles.unwrap(), expected.map(str::to_owned).into());
    }

    #[test]
    fn only_the_operators_requests_count_and_an_apply_may_create() {
        let log = r#"{"verb":"list","user":{"username":"admin"},"objectRef":{"resource":"pods"},"x":":yagura-operator"}
{"verb":"patch","user":{"username":"system:serviceaccount:a:yagura-operator"},"objectRef":{"apiGroup":"yagura.dev","resource":"nodesensors"},"responseStatus":{"code":201}}
{"verb":"get","user":{"username":"system:serviceaccount:a:yagura-operator"},"objectRef":{"resource":"secrets"},"annotations":{"authorization.k8s.io/decision":"forbid"}}
{"verb":"get","user":{"username":"system:serviceaccount:a:yagura-oper"#;
        let mut asked = Asked::default();
        read(log, &mut asked);
        let used = ["create yagura.dev/nodesensors", "patch yagura.dev/nodesensors"];
        assert_eq!(asked.used, used.map(str::to_owned).into());
        assert_eq!(asked.refused, ["get secrets".to_owned()].into());
    }
}
