//! What of this node can be seen: the sensor, or the reason why there is none.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use yagura_event::EventKind;
use yagura_telemetry::chain;

use crate::bpf::{CounterSnapshot, Hook, HookState, Sensor, SensorError};

/// Characters of a reason: a verifier's log is much longer, and stands in the agent's own log.
const MAX_REASON: usize = 256;

/// A kind of event and how it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The kind, such as `process.exec`.
    pub kind: EventKind,
    /// The hook that sees it, or why none does.
    pub hook: Result<String, String>,
}

/// The sensor of this agent, as long as it runs.
#[derive(Debug)]
pub struct Sight {
    sensor: Mutex<Option<Sensor>>,
    watched: Vec<Watched>,
    /// Whether there was a sensor to begin with.
    started: bool,
}

impl Sight {
    /// Through a sensor that runs.
    pub fn of(sensor: Sensor) -> Self {
        Self {
            watched: sensor.hooks().iter().filter_map(watched).collect(),
            sensor: Mutex::new(Some(sensor)),
            started: true,
        }
    }

    /// None: the sensor did not start.
    pub fn none(error: &SensorError) -> Self {
        let reason = shorten(&chain(error).to_string());
        let watched = EventKind::ALL.map(|kind| Watched {
            kind,
            hook: Err(reason.clone()),
        });
        Self {
            sensor: Mutex::new(None),
            watched: watched.to_vec(),
            started: false,
        }
    }

    /// Each kind of event and how it is seen.
    pub fn watched(&self) -> &[Watched] {
        &self.watched
    }

    /// Kinds of events that are not seen, with the reason.
    pub fn blind(&self) -> BTreeMap<EventKind, String> {
        self.watched
            .iter()
            .filter_map(|watched| Some((watched.kind, watched.hook.clone().err()?)))
            .collect()
    }

    /// What the sensor counted, while it runs.
    pub fn counters(&self) -> Option<CounterSnapshot> {
        self.lock().as_ref()?.counters().ok()
    }

    /// Whether the sensor ended although nobody took it.
    pub fn is_lost(&self) -> bool {
        self.started && !self.lock().as_ref().is_some_and(Sensor::is_running)
    }

    /// The sensor, for stopping it.
    pub fn take(&self) -> Option<Sensor> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Sensor>> {
        self.sensor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records of the kernel side that are no event by themselves are left out.
fn watched(hook: &Hook) -> Option<Watched> {
    let kind = format!("process.{}", hook.kind).parse().ok()?;
    Some(Watched {
        kind,
        hook: match &hook.state {
            HookState::Attached => Ok(hook.hook.clone()),
            HookState::Failed(reason) => Err(shorten(reason)),
        },
    })
}

fn shorten(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use yagura_event::EventKind;

    use super::{Watched, watched};
    use crate::bpf::{Hook, HookState};

    #[test]
    fn a_hook_is_named_for_the_event_that_it_sees() {
        let hook = |kind, state| Hook {
            kind,
            hook: "tp_btf/x".to_owned(),
            state,
        };
        assert_eq!(
            watched(&hook("exec", HookState::Attached)),
            Some(Watched {
                kind: EventKind::ProcessExec,
                hook: Ok("tp_btf/x".to_owned())
            })
        );
        let failed = watched(&hook("exit", HookState::Failed("x".repeat(10_000)))).unwrap();
        assert_eq!(failed.hook.unwrap_err().len(), 256);
        assert_eq!(watched(&hook("cgroup", HookState::Attached)), None);
    }
}
