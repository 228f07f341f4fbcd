//! The whole of Yagura on one machine, from nothing to signals on the screen.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cache::Places;
use crate::cluster::{self, BUSYBOX_IMAGE, Before, Kubectl};
use crate::image::{self, Profile};
use crate::install;
use crate::process::{output, wait_until};
use crate::progress::{say, seconds, step};

pub(crate) const NAMESPACE: &str = "yagura-system";
const VICTIM_NAMESPACE: &str = "shop";
const VICTIM: &str = "cart";

/// The label on what ships with Yagura.
const SHIPPED: &str = "yagura.dev/bundle";

/// How long one thing may take to happen in the cluster.
const PATIENCE: Duration = Duration::from_mins(3);

/// What somebody does who got into a container: look around, bring a program, run it from /tmp, look for others.
/// Nothing of it does harm, and nothing leaves the pod.
const ATTACK: &str = "id; cp /bin/busybox /tmp/echo; /tmp/echo miner started; nc -w 1 127.0.0.1 1; exit 0";

/// Where the demo takes place.
pub(crate) struct Stage {
    pub(crate) kubectl: Kubectl,
    helm: PathBuf,
    kubeconfig: PathBuf,
    /// Whether the cluster was started by this run, so that it is for this run to stop it.
    pub(crate) started: bool,
}

/// Runs the demo; `kubeconfig` names an existing cluster to use instead of our own.
pub(crate) fn run(places: &Places, keep: bool, kubeconfig: Option<PathBuf>) -> Result<()> {
    let started = Instant::now();
    let ours = kubeconfig.is_none();
    let stage = if let Some(file) = kubeconfig {
        existing(places, file)?
    } else {
        install::root("demo")?;
        own(places, Profile::Dev)?
    };
    let shown = install(places, &stage).and_then(|()| watch_attack(&stage.kubectl));
    if shown.is_err() {
        // The reason of a failure is gone with the cluster, so it is said before.
        explain(&stage.kubectl)?;
    }
    let stop = stage.started && !keep;
    if stop {
        cluster::down(places)?;
    }
    shown?;
    say(format!("\nThe demo took {}.", seconds(started.elapsed())))?;
    if stop {
        return say("`cargo xtask demo --keep` leaves everything running to look around.");
    }
    look_around(&stage, ours)
}

/// Builds the images and starts our own cluster with them.
pub(crate) fn own(places: &Places, profile: Profile) -> Result<Stage> {
    image::run(places, profile)?;
    let before = cluster::up(places)?;
    for archive in image::archives(places) {
        cluster::load_image(places, &archive)?;
    }
    let kubeconfig = cluster::kubeconfig(places);
    Ok(Stage {
        kubectl: Kubectl::new(cluster::kubectl_program(places)?, kubeconfig.clone()),
        helm: cluster::helm(places)?,
        kubeconfig,
        started: before == Before::Down,
    })
}

fn existing(places: &Places, kubeconfig: PathBuf) -> Result<Stage> {
    if !kubeconfig.is_file() {
        bail!("--kubeconfig {}: there is no such file", kubeconfig.display());
    }
    let program = |name: &str, build: fn(&Places) -> Result<PathBuf>| match cluster::on_path(name) {
        Some(path) => Ok(path),
        None => build(places),
    };
    Ok(Stage {
        kubectl: Kubectl::new(program("kubectl", cluster::kubectl_program)?, kubeconfig.clone()),
        helm: program("helm", cluster::helm)?,
        kubeconfig,
        started: false,
    })
}

/// Installs the chart, whose operator applies the shipped content, and waits until every node runs the rules.
pub(crate) fn install(places: &Places, stage: &Stage) -> Result<()> {
    let Stage {
        kubectl,
        helm,
        kubeconfig,
        ..
    } = stage;
    let root = places.repository();
    step(
        "create the namespace, with the Pod Security label that agents need",
        || {
            kubectl.apply(&namespace(
                NAMESPACE,
                "{pod-security.kubernetes.io/enforce: privileged}",
            ))
        },
    )?;
    step("helm install yagura charts/yagura", || {
        let mut helm = Command::new(helm);
        helm.current_dir(root)
            .args([
                "upgrade",
                "--install",
                "yagura",
                "charts/yagura",
                "--namespace",
                NAMESPACE,
            ])
            .args(["--create-namespace", "--wait", "--timeout", "180s"])
            .arg("--kubeconfig")
            .arg(kubeconfig);
        output(&mut helm).map(drop)
    })?;
    step(
        "wait until the operator applied the shipped rules and checks",
        || {
            let frameworks = || kubectl.run(&["get", "postureframeworks", "-l", SHIPPED, "-o", "name"]);
            // The framework comes last.
            if wait_until(PATIENCE, || Ok(!frameworks()?.trim().is_empty()))? {
                return Ok(());
            }
            bail!("they are not there after {}", seconds(PATIENCE))
        },
    )?;
    step("wait until every node runs the rules", || {
        kubectl
            .run(&[
                "wait",
                "--for=condition=Programmed",
                "detectionrules",
                "--all",
                "--timeout=120s",
            ])
            .map(drop)
    })
}

fn namespace(name: &str, labels: &str) -> String {
    format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {labels}}}\n")
}

/// Attacks a workload, waits for what comes of it, and prints it.
fn watch_attack(kubectl: &Kubectl) -> Result<()> {
    step("start a workload", || {
        kubectl.apply(&namespace(VICTIM_NAMESPACE, "{}"))?;
        kubectl.apply(&format!(
            "apiVersion: v1\nkind: Pod\n\
             metadata: {{name: {VICTIM}, namespace: {VICTIM_NAMESPACE}}}\nspec:\n  containers:\n  - name: {VICTIM}\n    \
             image: {BUSYBOX_IMAGE}\n    imagePullPolicy: IfNotPresent\n    command: [sleep, infinity]\n"
        ))?;
        let pod = format!("pod/{VICTIM}");
        kubectl
            .run(&[
                "wait",
                "-n",
                VICTIM_NAMESPACE,
                "--for=condition=Ready",
                &pod,
                "--timeout=120s",
            ])
            .map(drop)
    })?;
    step(
        "open a shell in it, as an attacker would, and run something from /tmp",
        || attack(kubectl),
    )?;
    let attacked = Instant::now();
    step("wait for the signals", || {
        let signals = || kubectl.run(&["get", "securitysignals", "-n", VICTIM_NAMESPACE, "-o", "name"]);
        if wait_until(PATIENCE, || Ok(signals()?.contains("shell-in-container")))? {
            return Ok(());
        }
        bail!("no signal after {}", seconds(PATIENCE))
    })?;
    let took = attacked.elapsed();
    step("wait until each of them says what it is about", || {
        let told = || {
            let shown = "jsonpath={range .items[*]}{.metadata.name}={.status.severity} {end}";
            kubectl.run(&["get", "securitysignals", "-A", "-o", shown])
        };
        // A signal's object is there before its status.
        if wait_until(PATIENCE, || {
            Ok(told()?.split_whitespace().all(|signal| !signal.ends_with('=')))
        })? {
            return Ok(());
        }
        bail!("a signal has no status after {}", seconds(PATIENCE))
    })?;
    step("wait for the posture score", || {
        let score = || {
            kubectl.run(&[
                "get",
                "postureframeworks",
                "-o",
                "jsonpath={.items[*].status.score}",
            ])
        };
        if wait_until(PATIENCE, || Ok(!score()?.trim().is_empty()))? {
            return Ok(());
        }
        bail!("no score after {}", seconds(PATIENCE))
    })?;
    say(format!(
        "\nThe first signal was there {} after the attack ended:\n",
        seconds(took)
    ))?;
    for command in [
        "get securitysignals -A",
        "get postureframeworks",
        "get detectionrules",
        "get nodesensors",
    ] {
        say(format!("$ kubectl {command}"))?;
        let arguments: Vec<&str> = command.split(' ').collect();
        say(kubectl.run(&arguments)?)?;
    }
    Ok(())
}

/// A shell with a terminal needs a terminal here, which `script` makes also where nobody sits.
fn attack(kubectl: &Kubectl) -> Result<()> {
    let mut exec = kubectl.command();
    exec.args(["exec", "-it", "-n", VICTIM_NAMESPACE, VICTIM, "--", "sh", "-c"]);
    let mut words: Vec<String> = vec![quoted(&exec.get_program().to_string_lossy())];
    words.extend(exec.get_args().map(|word| quoted(&word.to_string_lossy())));
    words.push(quoted(ATTACK));
    output(Command::new("script").args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]))
        .map(drop)
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn explain(kubectl: &Kubectl) -> Result<()> {
    say("\nWhat the cluster says:")?;
    for arguments in [
        &["get", "pods", "-A", "-o", "wide"][..],
        &["get", "events", "-n", NAMESPACE, "--sort-by=.lastTimestamp"],
        &[
            "logs",
            "-n",
            NAMESPACE,
            "-l",
            "app.kubernetes.io/instance=yagura",
            "--all-containers",
            "--prefix",
            "--tail=30",
        ],
        &[
            "get",
            "nodesensors,detectionrules,postureframeworks,securitysignals",
            "-A",
        ],
    ] {
        match kubectl.run(arguments) {
            Ok(text) => say(text)?,
            Err(error) => say(format!("{error:#}"))?,
        }
    }
    Ok(())
}

fn look_around(stage: &Stage, ours: bool) -> Result<()> {
    let folder = |program: &Path| {
        program
            .parent()
            .map(|folder| folder.display().to_string())
            .unwrap_or_default()
    };
    say(format!(
        "\nLook around:\n\n  export KUBECONFIG={} PATH={}:{}:$PATH\n  \
         kubectl get securitysignals -A\n  \
         kubectl get securitysignals -n {VICTIM_NAMESPACE} -o yaml\n  \
         kubectl get drule,pfw,sensors\n  \
         kubectl logs -n {NAMESPACE} deployment/yagura-operator\n  \
         kubectl exec -it -n {VICTIM_NAMESPACE} {VICTIM} -- sh      # try something yourself",
        stage.kubeconfig.display(),
        folder(stage.kubectl.program()),
        folder(&stage.helm),
    ))?;
    say(if ours {
        "\nStop it, leaving nothing behind:\n\n  cargo xtask cluster down".to_owned()
    } else {
        format!(
            "\nRemove it:\n\n  helm uninstall yagura -n {NAMESPACE}; kubectl delete namespace {NAMESPACE} {VICTIM_NAMESPACE}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        let word = "it's; $HOME `x` \"y\"";
        let printed =
            output(Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))])).unwrap();
        assert_eq!(printed, word);
    }
}
