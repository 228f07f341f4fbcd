//! Trying the hooks: load, attach, run a process, wait for its events.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use yagura_event::{Event, EventKind};
use yagura_telemetry::chain;

use super::{Finding, Verdict};
use crate::{
    bpf::{Hook, HookState, Sensor, SensorConfig},
    enrich::Names,
};

/// How long the events of a process that ran may take to arrive.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the sensor saw, as (kind, process id).
#[derive(Debug, Default)]
struct Seen {
    events: Mutex<BTreeSet<(EventKind, u32)>>,
    arrived: Condvar,
}

pub(super) fn findings(config: &SensorConfig) -> Vec<Finding> {
    let seen = Arc::new(Seen::default());
    let consumer = {
        let seen = Arc::clone(&seen);
        move |event: &Event| {
            seen.lock().insert((event.kind, event.process.id.pid));
            seen.arrived.notify_all();
        }
    };
    let sensor = match Sensor::start(config, Arc::new(Names::default()), consumer) {
        Ok(sensor) => sensor,
        Err(error) => {
            return vec![Finding::bad(
                "sensor",
                Verdict::Blocking,
                chain(&error).to_string(),
                "see the findings above",
            )];
        }
    };
    let hooks = sensor.hooks().to_vec();
    let arrived = act().map(|process| seen.wait_for(process));
    let mut findings = hooks
        .iter()
        .map(|hook| finding(hook, arrived.as_ref()))
        .collect::<Vec<_>>();
    findings.push(counters(sensor));
    findings
}

/// Runs a process that does nothing, and tells its process id.
fn act() -> std::io::Result<u32> {
    let mut child = Command::new("/proc/self/exe")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let process = child.id();
    child.wait()?;
    Ok(process)
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<(EventKind, u32)>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kinds of events of this process, when all have arrived or the deadline is over.
    fn wait_for(&self, process: u32) -> Vec<EventKind> {
        let until = Instant::now() + DEADLINE;
        let mut events = self.lock();
        loop {
            let kinds = EventKind::ALL
                .into_iter()
                .filter(|kind| events.contains(&(*kind, process)))
                .collect::<Vec<_>>();
            let left = until.saturating_duration_since(Instant::now());
            if kinds.len() == EventKind::ALL.len() || left.is_zero() {
                return kinds;
            }
            events = self
                .arrived
                .wait_timeout(events, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn finding(hook: &Hook, arrived: Result<&Vec<EventKind>, &std::io::Error>) -> Finding {
    let subject = format!("hook.{}", hook.kind);
    let degraded = |detail, advice| Finding::bad(subject.clone(), Verdict::Degraded, detail, advice);
    if let HookState::Failed(reason) = &hook.state {
        return degraded(
            format!("{} does not attach: {reason}", hook.hook),
            "without it the agent sees no events of this kind",
        );
    }
    match arrived {
        Ok(kinds) if kinds.iter().any(|kind| kind.as_str().ends_with(hook.kind)) => Finding::good(
            subject,
            format!("{} is attached, and an event was seen", hook.hook),
        ),
        Ok(_) => degraded(
            format!(
                "{} is attached, but no event arrived within {DEADLINE:?}",
                hook.hook
            ),
            "the kernel accepts this hook without calling it; report this kernel",
        ),
        Err(error) => degraded(
            format!(
                "{} is attached, but no process could be run to try it: {error}",
                hook.hook
            ),
            "mount /proc",
        ),
    }
}

/// Whether every hit of the trial is accounted for.
fn counters(sensor: Sensor) -> Finding {
    match sensor.stop() {
        Ok(counters) if counters.differences().is_empty() => {
            Finding::good("counters", "every hit is accounted for")
        }
        Ok(counters) => Finding::bad(
            "counters",
            Verdict::Degraded,
            counters.differences().join("; "),
            "report this kernel: events get lost without a trace",
        ),
        Err(error) => Finding::bad(
            "counters",
            Verdict::Degraded,
            chain(&error).to_string(),
            "report this kernel: the counters cannot be read",
        ),
    }
}
