//! From an execution to a SecuritySignal in a real cluster.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::agent::now;
use super::load::marked_time;
use super::report::Figure;
use super::stats::percentile;
use super::{Bench, MARKED_RULE, MARKED_RULE_NAME};
use crate::cluster::{self, Kubectl};
use crate::demo::{self, NAMESPACE};
use crate::image::Profile;
use crate::process::output;
use crate::progress::step;

/// Executions, each of which opens a signal; the cap on open signals of one rule and namespace.
const COUNT: u32 = 100;

/// Slow enough that the bucket of API writes, 20 a second and two for each signal, never is empty.
const RATE: u32 = 4;

pub(super) fn measure(bench: &Bench<'_>, figures: &mut Vec<Figure>) -> Result<()> {
    let stage = demo::own(bench.places, Profile::Release)?;
    let measured = demo::install(bench.places, &stage).and_then(|()| {
        step("time the way from an execution to a SecuritySignal", || {
            let measured = arrivals(bench, &stage.kubectl);
            clean(&stage.kubectl)?;
            measured
        })
    });
    if stage.started {
        cluster::down(bench.places)?;
    }
    let milliseconds = measured?;
    let at = |share| percentile(&milliseconds, share).context("no signal was seen");
    figures.push(Figure::at_most(
        "exec-to-signal-p99",
        at(0.99)?,
        "ms",
        1000.0,
        format!(
            "p50 {:.0} ms, {} signals opened at {RATE}/s",
            at(0.5)?,
            milliseconds.len()
        ),
    ));
    Ok(())
}

/// Milliseconds from before each marked execution to its signal in a watch.
fn arrivals(bench: &Bench<'_>, kubectl: &Kubectl) -> Result<Vec<f64>> {
    clean(kubectl)?;
    kubectl.apply(MARKED_RULE)?;
    let rule = format!("detectionrule/{MARKED_RULE_NAME}");
    kubectl.run(&["wait", "--for=condition=Programmed", &rule, "--timeout=60s"])?;
    let mut watch = Watch::start(kubectl)?;
    output(&mut bench.load(COUNT, Some(RATE), true)?)?;
    watch.first_seen(COUNT)
}

/// Removes the rule and its signals.
fn clean(kubectl: &Kubectl) -> Result<()> {
    let selector = format!("yagura.dev/rule={MARKED_RULE_NAME}");
    kubectl.run(&["delete", "detectionrule", MARKED_RULE_NAME, "--ignore-not-found"])?;
    kubectl
        .run(&["delete", "securitysignals", "-n", NAMESPACE, "-l", &selector])
        .map(drop)
}

/// A running `kubectl get --watch` and the marks it shows, each with the time at which it was read.
struct Watch {
    child: Child,
    marks: Receiver<(u128, u128)>,
}

impl Watch {
    fn start(kubectl: &Kubectl) -> Result<Self> {
        let mut command = kubectl.command();
        command.args([
            "get",
            "securitysignals",
            "-n",
            NAMESPACE,
            "--watch",
            "-o",
            "jsonpath={.spec.group}{\"\\n\"}",
        ]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start kubectl to watch signals")?;
        let output = child.stdout.take().context("kubectl has no output")?;
        let (sender, marks) = sync_channel(65_536);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let read = now();
                if let Some(started) = marked_time(&line)
                    && sender.send((started, read)).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { child, marks })
    }

    fn first_seen(&mut self, count: u32) -> Result<Vec<f64>> {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut seen = BTreeMap::new();
        while seen.len() < count as usize {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((started, read)) = self.marks.recv_timeout(left) else {
                break;
            };
            seen.entry(started).or_insert(read);
        }
        ensure!(
            seen.len() == count as usize,
            "{} of {count} signals came within 60 s of the last execution",
            seen.len()
        );
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of seconds at most")]
        let milliseconds = seen
            .iter()
            .map(|(started, read)| read.saturating_sub(*started) as f64 / 1e6)
            .collect();
        Ok(milliseconds)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The watch never ends by itself, and an error here must not hide the first one.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
