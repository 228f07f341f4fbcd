//! Trying the hooks: load, attach, run a process, wait for its events.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use yagura_event::{Event, EventKind, Text};
use yagura_telemetry::chain;

use super::{Finding, Verdict};
use crate::{
    bpf::{Hook, HookState, Sensor, SensorConfig},
    enrich::Names,
};

/// How long the events of a process that ran may take to arrive.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the sensor saw. The process that is run to try the hooks is known by an argument: its
/// process id is another one for the agent in a container than for the kernel.
#[derive(Debug)]
struct Seen {
    marker: Text,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Process id of the trial's process, as soon as it is seen.
    process: Option<u32>,
    events: BTreeSet<(u32, EventKind)>,
}

pub(super) fn findings(config: &SensorConfig) -> Vec<Finding> {
    let marker = format!("trial-of-{}", std::process::id());
    let seen = Arc::new(Seen {
        marker: Text::from(marker.as_str()),
        state: Mutex::default(),
        arrived: Condvar::new(),
    });
    let consumer = {
        let seen = Arc::clone(&seen);
        move |event: &Event| seen.take(event)
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
    let arrived = act(&marker).map(|()| seen.wait());
    let mut findings = hooks
        .iter()
        .map(|hook| finding(hook, arrived.as_ref()))
        .collect::<Vec<_>>();
    findings.push(counters(sensor));
    findings
}

/// Runs a process that does nothing.
fn act(marker: &str) -> std::io::Result<()> {
    Command::new("/proc/self/exe")
        .args(["--version", marker])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map(|_status| ())
}

impl Seen {
    fn take(&self, event: &Event) {
        let mut state = self.lock();
        let process = event.process.id.pid;
        state.events.insert((process, event.kind));
        if event.kind == EventKind::ProcessExec && event.process.args.contains(&self.marker) {
            state.process = Some(process);
        }
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kinds of events of the process, when all have arrived or the deadline is over.
    fn wait(&self) -> Vec<EventKind> {
        let until = Instant::now() + DEADLINE;
        let mut state = self.lock();
        loop {
            let kinds = EventKind::ALL
                .into_iter()
                .filter(|kind| {
                    state
                        .process
                        .is_some_and(|process| state.events.contains(&(process, *kind)))
                })
                .collect::<Vec<_>>();
            let left = until.saturating_duration_since(Instant::now());
            if kinds.len() == EventKind::ALL.len() || left.is_zero() {
                return kinds;
            }
            state = self
                .arrived
                .wait_timeout(state, left)
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
