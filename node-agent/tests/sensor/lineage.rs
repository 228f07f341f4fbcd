//! Parents, children and ends.

use std::process::{Command, Stdio};

use yagura_event::{EventKind, Known};

use crate::watch::{Watch, marker};

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_double_fork_keeps_its_lineage_root() {
    let watch = Watch::start();
    let marker = marker("orphan");
    // The middle shell is gone before the last program runs: it waits for the end of a pipe that
    // only the middle shell holds.
    let script = format!("sh -c '(read line; /bin/true {marker}; true) <&3 3<&- 2>/dev/null & exit 0' 3<&0");
    let mut outer = Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let input = outer.stdin.take().unwrap();
    assert!(outer.wait().unwrap().success());
    drop(input);
    let event = watch.exec_with(marker.as_bytes());
    let ancestors = &event.process.ancestors;
    assert!(ancestors.len() >= 3, "{ancestors:?}");
    assert!(
        ancestors
            .iter()
            .any(|ancestor| ancestor.id.pid == std::process::id()),
        "{ancestors:?}"
    );
    assert!(event.process.ancestors_complete);
    let parent = watch.wait("fork of the orphan", |found| {
        found.kind == EventKind::ProcessFork && found.process.id == event.process.id
    });
    assert_eq!(parent.process.ancestors[0].id, ancestors[0].id);
    watch.finish();
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_signal_ends_a_process_root() {
    let watch = Watch::start();
    let marker = marker("signal");
    let mut child = Command::new("/bin/sh")
        .args(["-c", "kill -9 $$", &marker])
        .spawn()
        .unwrap();
    child.wait().unwrap();
    let event = watch.exec_with(marker.as_bytes());
    let exit = watch.exit_of(&event).exit.unwrap();
    assert_eq!((exit.code, exit.signal), (Known::Absent, Known::Present(9)));
    watch.finish();
}

/// The process tree needs to know of executions, forks and exits. Nothing else is asked of the kernel, and nothing once the
/// sensor has ended.
#[test]
#[ignore = "needs root and a kernel with BTF"]
fn no_more_is_attached_than_the_process_tree_needs_root() {
    assert_eq!(attached(), 0);
    let watch = Watch::start();
    assert_eq!(attached(), 3);
    drop(watch);
    assert_eq!(attached(), 0);
}

/// How many links to programs in the kernel this process holds (`bpf_link_show_fdinfo`, kernel/bpf/syscall.c).
fn attached() -> usize {
    let infos = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    infos
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .filter(|info| info.lines().any(|line| line.starts_with("link_type:")))
        .count()
}
