//! What is lost, and how it is told.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::Command,
    sync::{Arc, Condvar, Mutex},
};

use yagura_event::{Event, EventKind, Text};
use yagura_node_agent::{
    bpf::{LoadConfig, Sensor},
    enrich::Names,
};

use crate::watch::{config, run};

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn counters_are_exact_when_the_rings_overflow_root() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let consumer = {
        let gate = Arc::clone(&gate);
        move |_: &Event| {
            let (open, opened) = &*gate;
            let mut open = open.lock().unwrap();
            while !*open {
                open = opened.wait(open).unwrap();
            }
        }
    };
    let load = LoadConfig {
        lineage_ring: 4096,
        event_ring: 4096,
        ..LoadConfig::default()
    };
    let sensor = Sensor::start(&config(load), Arc::new(Names::default()), consumer).unwrap();
    for _ in 0..100 {
        run(&mut Command::new("/bin/true"));
    }
    let (open, opened) = &*gate;
    *open.lock().unwrap() = true;
    opened.notify_all();
    let counters = sensor.stop().unwrap();
    assert_eq!(counters.differences(), [] as [String; 0], "{counters:#?}");
    let exec = counters.kind("exec").unwrap();
    assert!(exec.ring_full > 0 && exec.submitted > 0, "{exec:?}");
    assert!(counters.kind("exit").unwrap().ring_full > 0, "{counters:#?}");
    assert_eq!(
        counters.kind("exec_lineage").unwrap().seen,
        exec.ring_full + exec.scratch_busy + exec.throttled + exec.oversized
    );
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_cgroup_over_its_budget_still_tells_what_runs_root() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let consumer = {
        let seen = Arc::clone(&seen);
        move |event: &Event| {
            if event.kind == EventKind::ProcessExec {
                seen.lock().unwrap().push(event.clone());
            }
        }
    };
    let load = LoadConfig {
        exec_burst: 3,
        exec_rate: 0,
        ..LoadConfig::default()
    };
    let sensor = Sensor::start(&config(load), Arc::new(Names::default()), consumer).unwrap();
    for _ in 0..50 {
        run(&mut Command::new("/bin/true"));
    }
    let counters = sensor.stop().unwrap();
    assert_eq!(counters.differences(), [] as [String; 0], "{counters:#?}");
    let throttled = counters.kind("exec").unwrap().throttled;
    assert!(throttled >= 40, "{counters:#?}");
    let seen = seen.lock().unwrap();
    let mine = seen
        .iter()
        .filter(|event| {
            event
                .process
                .ancestors
                .first()
                .is_some_and(|parent| parent.id.pid == std::process::id())
        })
        .collect::<Vec<_>>();
    assert_eq!(mine.len(), 50);
    assert!(mine.iter().all(|event| event.process.name == Text::from("true")));
    assert!(
        mine.iter()
            .filter(|event| event.process.executable.is_unknown())
            .count()
            >= 40
    );
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn missing_or_cut_types_give_a_clear_error_root() {
    let start = |btf: &Path| {
        let load = LoadConfig {
            btf: btf.to_owned(),
            ..LoadConfig::default()
        };
        let error = Sensor::start(&config(load), Arc::new(Names::default()), |_: &Event| {})
            .expect_err("there are no types");
        let mut text = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            write!(text, "{error}: ").unwrap();
            cause = error.source();
        }
        text
    };
    let missing = start(Path::new("/nonexistent/vmlinux"));
    assert!(
        missing.contains("/nonexistent/vmlinux") && missing.contains("--btf"),
        "{missing}"
    );
    let whole = fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let mut cut = tempfile::NamedTempFile::new().unwrap();
    cut.write_all(&whole[..whole.len() / 2]).unwrap();
    let cut = start(cut.path());
    assert!(cut.contains("cut short"), "{cut}");
}
