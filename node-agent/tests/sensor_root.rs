//! The sensor on the running kernel: act, then wait for the event.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    },
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use yagura_event::{Event, EventKind, Host, Known, Text};
use yagura_node_agent::{
    bpf::{HookState, LoadConfig, Sensor, SensorConfig},
    enrich::Names,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// A running sensor and the events that it has seen.
struct Watch {
    sensor: Sensor,
    seen: Arc<(Mutex<Vec<Event>>, Condvar)>,
}

fn config(load: LoadConfig) -> SensorConfig {
    SensorConfig {
        load,
        host_root: "/".into(),
        proc: "/proc".into(),
        host: Arc::new(Host::default()),
    }
}

impl Watch {
    fn start() -> Self {
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
    fn wait(&self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
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
    fn exec_with(&self, argument: &[u8]) -> Event {
        let argument = Text::from(argument);
        self.wait(&format!("exec with {argument}"), |event| {
            event.kind == EventKind::ProcessExec && event.process.args.contains(&argument)
        })
    }

    #[track_caller]
    fn exit_of(&self, exec: &Event) -> Event {
        self.wait("exit", |event| {
            event.kind == EventKind::ProcessExit && event.process.id == exec.process.id
        })
    }

    /// Stops and checks that every record is accounted for.
    #[track_caller]
    fn finish(self) {
        let counters = self.sensor.stop().unwrap();
        assert_eq!(counters.differences(), [] as [String; 0], "{counters:#?}");
        assert!(
            counters.kinds.iter().all(|kind| kind.undecodable == 0),
            "{counters:#?}"
        );
    }
}

/// An argument that no other process has.
fn marker(name: &str) -> String {
    format!("yagura-{name}-{}", std::process::id())
}

fn path_of(event: &Event) -> String {
    let Known::Present(executable) = &event.process.executable else {
        panic!("the executable is known: {event:?}");
    };
    executable.path.to_string()
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn an_execution_is_described_in_full_root() {
    let watch = Watch::start();
    let folder = tempfile::tempdir().unwrap();
    let here = fs::canonicalize(folder.path()).unwrap();
    let program = here.join("program");
    fs::copy("/bin/true", &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    std::os::unix::fs::symlink(&program, here.join("link")).unwrap();
    let marker = marker("full");
    let hostile = b"line\nfeed\xff\x1b[2J";
    run(Command::new(here.join("link"))
        .arg(&marker)
        .arg(std::ffi::OsStr::from_bytes(hostile))
        .arg("")
        .current_dir(&here)
        .stdout(Stdio::piped()));

    let event = watch.exec_with(marker.as_bytes());
    let process = &event.process;
    let Known::Present(executable) = &process.executable else {
        panic!("{event:?}");
    };
    assert_eq!(executable.path, Text::from(program.as_os_str().as_bytes()));
    let metadata = fs::metadata(&program).unwrap();
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(executable.inode, metadata.ino());
    assert_eq!(executable.mode, 0o104_755);
    assert_eq!((executable.uid, executable.gid), (0, 0));
    assert!(!executable.memfd && !executable.deleted);
    assert_eq!(executable.overlay_upper, Known::Present(false));
    assert_eq!(process.name, Text::from("link"));
    assert_eq!(process.args[1], Text::from(&hostile[..]));
    assert_eq!(process.args[2], Text::from(""));
    assert!(!process.args_truncated);
    assert_eq!(
        process.working_directory,
        Known::Present(Text::from(here.as_os_str().as_bytes()))
    );
    assert_eq!(process.user.id, 0);
    assert_eq!(process.user.name, Known::Present(Text::from("root")));
    assert_eq!(
        process.stdio[0].map(|kind| kind.as_str()),
        Known::Present("character-device")
    );
    assert_eq!(process.stdio[1].map(|kind| kind.as_str()), Known::Present("pipe"));
    let namespace = |kind: &str| {
        let link = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        link.to_string_lossy()
            .replace(|c: char| !c.is_ascii_digit(), "")
            .parse::<u32>()
            .unwrap()
    };
    assert_eq!(process.pid_namespace, namespace("pid"));
    assert_eq!(process.mount_namespace, namespace("mnt"));
    assert_eq!(process.network_namespace, namespace("net"));
    assert_eq!(process.ancestors[0].id.pid, std::process::id());
    assert!(process.ancestors_complete);
    assert_eq!(event.container, None);

    let exit = watch.exit_of(&event);
    assert_eq!(exit.exit.unwrap().code, Known::Present(0));
    assert!(exit.time >= event.time && event.time >= process.start);
    watch.finish();
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn long_arguments_arrive_whole_and_longer_ones_are_cut_root() {
    let watch = Watch::start();
    let marker_whole = marker("whole");
    let long = "a".repeat(30 * 1024);
    run(Command::new("/bin/true").arg(&marker_whole).arg(&long));
    let event = watch.exec_with(marker_whole.as_bytes());
    assert_eq!(event.process.args[1], Text::from(long.as_str()));
    assert!(!event.process.args_truncated);
    assert_eq!(
        event.process.args_length as usize,
        "/bin/true".len() + marker_whole.len() + long.len() + 3
    );

    let marker_cut = marker("cut");
    run(Command::new("/bin/true")
        .arg(&marker_cut)
        .arg("b".repeat(100_000)));
    let event = watch.exec_with(marker_cut.as_bytes());
    assert!(event.process.args_truncated);
    assert!(event.process.args_length > 100_000);
    assert!(event.process.args[1].len() > 30_000);
    watch.finish();
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn memory_files_and_deleted_files_are_told_apart_root() {
    let watch = Watch::start();
    let program = fs::read("/bin/true").unwrap();
    let memory = rustix::fs::memfd_create("yagura test", rustix::fs::MemfdFlags::empty()).unwrap();
    let mut memory = File::from(memory);
    memory.write_all(&program).unwrap();
    let marker_memory = marker("memfd");
    run(Command::new(format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd())).arg(&marker_memory));
    let event = watch.exec_with(marker_memory.as_bytes());
    let Known::Present(executable) = &event.process.executable else {
        panic!("{event:?}");
    };
    assert!(executable.memfd, "{executable:?}");
    assert_eq!(executable.path, Text::from("/memfd:yagura test"));

    let folder = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(folder.path()).unwrap().join("gone");
    fs::copy("/bin/true", &path).unwrap();
    let open = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let marker_deleted = marker("deleted");
    run(Command::new(format!("/proc/{}/fd/{}", std::process::id(), open.as_raw_fd())).arg(&marker_deleted));
    let event = watch.exec_with(marker_deleted.as_bytes());
    let Known::Present(executable) = &event.process.executable else {
        panic!("{event:?}");
    };
    assert!(executable.deleted && !executable.memfd, "{executable:?}");
    assert_eq!(path_of(&event), path.to_string_lossy());
    watch.finish();
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_deep_path_is_resolved_and_one_that_is_too_deep_is_unknown_root() {
    let watch = Watch::start();
    let folder = tempfile::tempdir().unwrap();
    let mut path = fs::canonicalize(folder.path()).unwrap();
    for level in 0..200 {
        path.push(format!("level{level}"));
    }
    fs::create_dir_all(&path).unwrap();
    let program = path.join("true");
    fs::copy("/bin/true", &program).unwrap();
    let marker_deep = marker("deep");
    run(Command::new(&program).arg(&marker_deep));
    let event = watch.exec_with(marker_deep.as_bytes());
    assert_eq!(path_of(&event), program.to_string_lossy());

    for level in 0..150 {
        path.push(format!("l{level}"));
    }
    fs::create_dir_all(&path).unwrap();
    let program = path.join("true");
    fs::copy("/bin/true", &program).unwrap();
    let marker_deeper = marker("deeper");
    run(Command::new(&program).arg(&marker_deeper));
    let event = watch.exec_with(marker_deeper.as_bytes());
    assert!(
        event.process.executable.is_unknown(),
        "{:?}",
        event.process.executable
    );
    watch.finish();
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_script_is_its_interpreter_with_its_own_name_root() {
    let watch = Watch::start();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let marker = marker("script");
    let status = Command::new(&script).arg(&marker).status().unwrap();
    assert_eq!(status.code(), Some(3));
    let event = watch.exec_with(marker.as_bytes());
    let shell = fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(path_of(&event), shell.to_string_lossy());
    assert_eq!(event.process.name, Text::from("script"));
    assert_eq!(watch.exit_of(&event).exit.unwrap().code, Known::Present(3));
    watch.finish();
}

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

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_process_namespace_is_a_container_root() {
    let watch = Watch::start();
    let marker = marker("namespace");
    run(Command::new("unshare").args(["--pid", "--fork", "/bin/true", &marker]));
    let event = watch.wait("exec in a namespace", |event| {
        event.kind == EventKind::ProcessExec
            && path_of(event).ends_with("true")
            && event.process.args.contains(&Text::from(marker.as_str()))
    });
    let container = event.container.as_ref().expect("the kernel decides it");
    assert!(container.id.is_unknown());
    watch.finish();
}

/// A cgroup that is removed again.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn new(id: &str) -> Self {
        let memberships = fs::read_to_string("/proc/1/cgroup").unwrap();
        let root = if memberships.lines().any(|line| line.contains(":memory:")) {
            Path::new("/sys/fs/cgroup/memory")
        } else {
            Path::new("/sys/fs/cgroup")
        };
        let path = root.join("yagura-test").join("docker").join(id);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for path in self.0.ancestors().take(3) {
            let until = Instant::now() + DEADLINE;
            // The kernel frees the last process a moment after its end.
            while let Err(error) = fs::remove_dir(path) {
                if error.kind() == io::ErrorKind::NotFound || Instant::now() > until {
                    break;
                }
                std::thread::yield_now();
            }
        }
    }
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_cgroup_names_its_container_and_leaving_it_changes_nothing_root() {
    let watch = Watch::start();
    let id = "c0ffee".repeat(10) + "abcd";
    let cgroup = Cgroup::new(&id);
    let home = cgroup.0.parent().unwrap().parent().unwrap().parent().unwrap();
    let (inside, escaped) = (marker("inside"), marker("escaped"));
    let script = format!(
        "echo $$ > {}/cgroup.procs; /bin/true {inside}; echo $$ > {}/cgroup.procs; exec /bin/true {escaped}",
        cgroup.0.display(),
        home.display(),
    );
    run(Command::new("/bin/sh").args(["-c", "exec /bin/sh -c \"$0\"", &script]));
    for marker in [inside] {
        let event = watch.exec_with(marker.as_bytes());
        let container = event.container.as_ref().expect("its cgroup names a container");
        assert_eq!(container.id, Known::Present(Text::from(id.as_str())));
        assert_eq!(container.runtime, Known::Present(Text::from("docker")));
        assert_eq!(container.pod_uid, Known::Absent);
    }
    // The shell moved itself and executed nothing while inside, so it never belonged there.
    assert_eq!(watch.exec_with(escaped.as_bytes()).container, None);
    watch.finish();
}

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
            text.push_str(&format!("{error}: "));
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
