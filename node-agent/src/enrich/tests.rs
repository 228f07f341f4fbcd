//! Records in, events out.

use std::{fs, path::Path, sync::Arc};

use tempfile::TempDir;
use yagura_event::{Event, EventKind, Host, Known, Text};
use yagura_node_agent_ebpf_common::{CgroupRecord, ExecRecord, ExitRecord, ForkRecord, Header, flags, kind};

use super::{EnrichConfig, Enricher, Names, hierarchy::Hierarchy};
use crate::decode::{Decoded, ExecTail, Record};

const CONTAINER: &[u8] = b"/kubepods/burstable/pod1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct Scene {
    enricher: Enricher,
    _root: TempDir,
}

impl Scene {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path().join("proc");
        fs::create_dir_all(proc.join("1")).unwrap();
        fs::write(proc.join("1/cgroup"), "0::/init.scope\n").unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(
            root.path().join("etc/passwd"),
            "root:x:0:0::/:/bin/sh\nalice:x:1000:1000\n",
        )
        .unwrap();
        let config = EnrichConfig {
            hierarchy: Hierarchy::detect(&proc).unwrap(),
            proc,
            host_root: root.path().to_owned(),
            host: Arc::new(Host::default()),
            lost: Vec::new(),
        };
        Self {
            enricher: Enricher::new(config, Arc::new(Names::default())),
            _root: root,
        }
    }

    fn apply(&mut self, header: Header, record: Record<'_>) -> Option<Event> {
        self.enricher.apply(&Decoded { header, record })
    }

    fn fork(&mut self, parent: u32, child: u32) -> Event {
        let fork = ForkRecord {
            parent_start: start(parent),
            parent_tgid: parent,
            pid_namespace: 1,
            uid: 1000,
            gid: 1000,
            euid: 1000,
            egid: 1000,
            comm: *b"parent\0\0\0\0\0\0\0\0\0\0",
        };
        self.apply(header(kind::FORK, child), Record::Fork(fork)).unwrap()
    }

    fn exec(&mut self, pid: u32, path: &str, cgroup: u64) -> Event {
        let header = Header {
            cgroup,
            ..header(kind::EXEC, pid)
        };
        let tail = ExecTail {
            path: path.as_bytes(),
            cwd: b"/",
            args: b"prog\0-x\0",
        };
        self.apply(header, Record::Exec(exec(), tail)).unwrap()
    }
}

fn start(pid: u32) -> u64 {
    u64::from(pid) * 10_000_000
}

fn header(kind: u32, pid: u32) -> Header {
    Header {
        kind,
        size: 0,
        ktime: 5_000_000_000,
        start: start(pid),
        cgroup: 1,
        tgid: pid,
        tid: pid,
        cpu: 0,
        flags: 0,
        generation: 1,
        reserved: 0,
    }
}

fn exec() -> ExecRecord {
    let zeros = [0; ExecRecord::SIZE];
    let (record, _) = ExecRecord::take(&zeros).unwrap();
    ExecRecord {
        uid: 1000,
        login_uid: u32::MAX,
        mode: 0o100_755,
        links: 1,
        args_total: 8,
        stdin_type: 0o020_001,
        stdin_device: (136 << 20) | 1,
        tty: *b"pts1\0\0\0\0\0\0\0\0\0\0\0\0",
        comm: *b"prog\0\0\0\0\0\0\0\0\0\0\0\0",
        ..record
    }
}

#[test]
fn an_execution_is_an_event_with_user_and_lineage() {
    let mut scene = Scene::new();
    let orphan = scene.fork(100, 101);
    assert_eq!(orphan.process.user.name, Known::Present(Text::from("alice")));
    scene.exec(101, "/bin/sh", 1);
    scene.fork(101, 102);
    let event = scene.exec(102, "/usr/bin/id", 1);
    assert_eq!(event.kind, EventKind::ProcessExec);
    let process = &event.process;
    assert_eq!(process.id.start_ticks, 102);
    assert_eq!(process.name, Text::from("prog"));
    assert_eq!((&process.arg0, process.args.len()), (&Text::from("prog"), 1));
    assert_eq!(process.real_user.name, Known::Present(Text::from("alice")));
    assert_eq!(process.user.name, Known::Present(Text::from("root")));
    assert_eq!(process.login_user, Known::Absent);
    assert_eq!(process.tty, Known::Present(Text::from("pts/1")));
    assert_eq!(
        process.ancestors[0].executable,
        Known::Present(Text::from("/bin/sh"))
    );
    assert_eq!(process.ancestors[1].id.pid, 100);
    assert!(!process.ancestors_complete);
    assert_eq!(event.container, None);
}

#[test]
fn a_process_keeps_its_container_when_it_leaves_the_cgroup() {
    let mut scene = Scene::new();
    let cgroup = CgroupRecord {
        id: 77,
        reserved: 0,
        path_len: 0,
    };
    assert_eq!(
        scene.apply(header(kind::CGROUP, 1), Record::Cgroup(cgroup, CONTAINER)),
        None
    );
    scene.fork(100, 101);
    let inside = scene.exec(101, "/bin/sh", 77).container.unwrap();
    assert_eq!(
        inside.pod_uid,
        Known::Present(Text::from("1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b"))
    );
    assert!(inside.pod.is_unknown());
    let escaped = scene.exec(101, "/bin/sh", 1).container.unwrap();
    assert_eq!(escaped.id, inside.id);
    let child = scene.fork(101, 102).container.unwrap();
    assert_eq!(child.id, inside.id);
    assert_eq!(scene.exec(103, "/bin/sh", 1).container, None);
}

#[test]
fn a_bare_process_namespace_is_a_container_without_a_name_until_a_cgroup_names_it() {
    let mut scene = Scene::new();
    let isolated = Header {
        flags: flags::IN_CONTAINER | flags::PID_NAMESPACE,
        ..header(kind::EXEC, 101)
    };
    let event = scene
        .apply(isolated, Record::Exec(exec(), ExecTail::default()))
        .unwrap();
    assert!(event.container.unwrap().id.is_unknown());
    let cgroup = CgroupRecord {
        id: 77,
        reserved: 0,
        path_len: 0,
    };
    scene.apply(header(kind::CGROUP, 1), Record::Cgroup(cgroup, CONTAINER));
    let named = scene.exec(101, "/bin/sh", 77).container.unwrap();
    assert!(!named.id.is_unknown());
}

#[test]
fn an_exit_tells_code_or_signal_and_is_told_once() {
    let mut scene = Scene::new();
    scene.fork(100, 101);
    let exit = |status| Record::Exit(ExitRecord { status, reserved: 0 });
    let event = scene.apply(header(kind::EXIT, 101), exit(3 << 8)).unwrap();
    assert_eq!(event.exit.unwrap().code, Known::Present(3));
    assert_eq!(scene.apply(header(kind::EXIT, 101), exit(3 << 8)), None);
    let event = scene.apply(header(kind::EXIT, 200), exit(0x80 | 0x0b)).unwrap();
    let exit = event.exit.unwrap();
    assert_eq!(
        (exit.code, exit.signal, exit.core_dumped),
        (Known::Absent, Known::Present(11), true)
    );
    assert!(event.process.executable.is_unknown());
}

#[test]
fn the_table_starts_with_the_processes_that_are_there() {
    let proc = Path::new("/proc");
    let config = EnrichConfig {
        hierarchy: Hierarchy::detect(proc).unwrap(),
        proc: proc.to_owned(),
        host_root: "/".into(),
        host: Arc::new(Host::default()),
        lost: Vec::new(),
    };
    let mut enricher = Enricher::new(config, Arc::new(Names::default()));
    enricher.seed();
    assert!(enricher.processes() > 1);
    let me = enricher.table.live_id(std::process::id()).unwrap();
    let process = Arc::clone(&enricher.table.get_mut(me).unwrap().process);
    assert!(process.ancestors_complete, "{:?}", process.ancestors);
    assert_eq!(process.ancestors.last().unwrap().id.pid, 1);
}
