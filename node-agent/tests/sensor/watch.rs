//! A sensor whose events can be waited for.

use std::{
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use yagura_event::{Event, EventKind, Host, Known, Text};
use yagura_node_agent::{
    bpf::{HookState, LoadConfig, Sensor, SensorConfig},
    enrich::Names,
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A running sensor and the events that it has seen.
pub(crate) struct Watch {
    sensor: Sensor,
    seen: Arc<(Mutex<Vec<Event>>, Condvar)>,
}

pub(crate) fn config(load: LoadConfig) -> SensorConfig {
    SensorConfig {
        load,
        host_root: "/".into(),
        proc: "/proc".into(),
        host: Arc::new(Host::default()),
    }
}

impl Watch {
    pub(crate) fn start() -> Self {
        let seen = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let consumer = {
            let seen = Arc::clone(&seen);
            move |event: &Event| {
                let (events, arrived) = &*seen;
                events.lock().unwrap().push(event.clone());
                arrived.notify_all();
            }
        };
        let names = Arc::new(Names::default());
        let sensor = Sensor::start(&config(LoadConfig::default()), names, consumer).unwrap();
        for hook in sensor.hooks() {
            assert_eq!(hook.state, HookState::Attached, "{}", hook.hook);
        }
        Self { sensor, seen }
    }

    /// Waits for an event.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let until = Instant::now() + DEADLINE;
        let (events, arrived) = &*self.seen;
        let mut events = events.lock().unwrap();
        loop {
            if let Some(event) = events.iter().find(|event| wanted(event)) {
                return event.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no event of {what} among {}", events.len());
            events = arrived.wait_timeout(events, left).unwrap().0;
        }
    }

    /// Waits for an execution with this argument.
    #[track_caller]
    pub(crate) fn exec_with(&self, argument: &[u8]) -> Event {
        let argument = Text::from(argument);
        self.wait(&format!("exec with {argument}"), |event| {
            event.kind == EventKind::ProcessExec && event.process.args.contains(&argument)
        })
    }

    #[track_caller]
    pub(crate) fn exit_of(&self, exec: &Event) -> Event {
        self.wait("exit", |event| {
            event.kind == EventKind::ProcessExit && event.process.id == exec.process.id
        })
    }

    /// Stops and checks that every record is accounted for.
    #[track_caller]
    pub(crate) fn finish(self) {
        let counters = self.sensor.stop().unwrap();
        assert_eq!(counters.differences(), [] as [String; 0], "{counters:#?}");
        assert!(
            counters.kinds.iter().all(|kind| kind.undecodable == 0),
            "{counters:#?}"
        );
    }
}

/// An argument that no other process has.
pub(crate) fn marker(name: &str) -> String {
    format!("yagura-{name}-{}", std::process::id())
}

pub(crate) fn path_of(event: &Event) -> String {
    let Known::Present(executable) = &event.process.executable else {
        panic!("the executable is known: {event:?}");
    };
    executable.path.to_string()
}

pub(crate) fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
