//! What an execution costs from the kernel's bytes to the end of all rules. Prints one JSON line a figure;
//! `cargo xtask bench engine` runs it and holds the figures to their bars.
//!
//! Measured is what the agent's thread does with a record, on one processor: [`Decoded`] is made of its bytes, the
//! [`Enricher`] makes it an event with its lineage, its container and its user in the process table, and
//! [`RuleSet::evaluate`] meets it with the rules. Reading the ring is not in it, nor is sending what matched. Rules and
//! executions are those of `crates/engine/benches`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends where something is wrong"
)]

use std::fs;
use std::hint::black_box;
use std::sync::Arc;

use tempfile::TempDir;
use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Event, Host};
use yagura_node_agent::decode::Decoded;
use yagura_node_agent::enrich::hierarchy::Hierarchy;
use yagura_node_agent::enrich::{EnrichConfig, Enricher, Names};
use yagura_node_agent_ebpf_common::{CgroupRecord, ExecRecord, ForkRecord, Header, flags, kind};

#[path = "../../crates/engine/benches/engine/clock.rs"]
mod clock;
#[path = "../../crates/engine/benches/engine/generate.rs"]
mod generate;
#[path = "../../crates/engine/benches/engine/tuned.rs"]
mod tuned;

use clock::best;
use generate::Execution;

/// Different executions; one in a thousand of them matches.
const EVENTS: usize = 5_000;
/// The cgroup of the container, and that of the host.
const CONTAINER: u64 = 4_711;
const HOST: u64 = 1;
const CONTAINER_PATH: &[u8] = b"/kubepods/burstable/pod1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Processes that execute in turn, each with four ancestors of its own.
const PROCESSES: u32 = 500;
/// The parent of the first process.
const NOBODY: u32 = 0;

fn main() {
    // `cargo test` asks for a list of tests.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let mut node = Node::new();
    let executions = generate::executions(EVENTS);
    let records: Vec<Vec<u8>> = (0..)
        .zip(&executions)
        .map(|(number, execution)| node.processes(number, execution))
        .collect();
    let events: Vec<Event> = records.iter().map(|bytes| node.event(bytes)).collect();
    let (_, rules) = tuned::tuned(10_000, &events);
    drop(events);
    let alone = best(|| {
        for bytes in &records {
            black_box(node.event(bytes));
        }
    });
    say("records-no-rules", alone);
    for (name, count) in [("records-1k-rules", 1_000), ("records-10k-rules", 10_000)] {
        let set = RuleSet::new(rules[..count].iter().map(Arc::clone));
        say(name, met(&mut node, &records, &set));
    }
}

fn say(name: &str, milliseconds: f64) {
    let rate = f64::from(u32::try_from(EVENTS).unwrap()) * 1_000.0 / milliseconds;
    println!(
        "{{\"name\":\"{name}\",\"value\":{},\"unit\":\"events/s\"}}",
        rate.round()
    );
}

/// Milliseconds for all records. That one in a thousand matches is what the figure is about, so it is made sure of.
fn met(node: &mut Node, records: &[Vec<u8>], set: &RuleSet) -> f64 {
    let mut scratch = Scratch::default();
    let matching = records
        .iter()
        .filter(|bytes| !set.evaluate(&node.event(bytes), &mut scratch).is_empty())
        .count();
    assert_eq!(matching, EVENTS / 1_000);
    best(|| {
        for bytes in records {
            let event = node.event(bytes);
            black_box(set.evaluate(&event, &mut scratch));
        }
    })
}

/// A node with a process table.
struct Node {
    enricher: Enricher,
    _root: TempDir,
}

impl Node {
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
        let mut node = Self {
            enricher: Enricher::new(config, Arc::new(Names::default())),
            _root: root,
        };
        let path = CONTAINER_PATH;
        let cgroup = CgroupRecord {
            id: CONTAINER,
            reserved: 0,
            path_len: u32::try_from(path.len()).unwrap(),
        };
        let bytes = record(header(kind::CGROUP, 1, false), &[&cgroup.to_bytes(), path]);
        node.take(&bytes);
        node
    }

    /// Gives the record of an execution, in one of the processes in turn. The first one in each starts it and its ancestors.
    fn processes(&mut self, number: u32, execution: &Execution) -> Vec<u8> {
        let first = 10 + number % PROCESSES * 10;
        let pid = first + 9;
        let nearest = first + u32::try_from(execution.ancestors.len()).unwrap() - 1;
        if number < PROCESSES {
            let mut parent = NOBODY;
            for (pid, (name, executable, user)) in (first..).zip(execution.ancestors.iter().rev()) {
                self.fork(parent, pid);
                let ancestor = Execution {
                    name,
                    executable: executable.clone(),
                    args: Vec::new(),
                    directory: "/",
                    user: *user,
                    terminal: false,
                    container: false,
                    ancestors: Vec::new(),
                };
                self.take(&executed(parent, pid, &ancestor));
                parent = pid;
            }
            self.fork(parent, pid);
        }
        executed(nearest, pid, execution)
    }

    fn fork(&mut self, parent: u32, child: u32) {
        let (fork, _) = ForkRecord::take(&[0; ForkRecord::SIZE]).unwrap();
        let fork = ForkRecord {
            parent_start: start(parent),
            parent_tgid: parent,
            pid_namespace: 1,
            ..fork
        };
        self.take(&record(header(kind::FORK, child, false), &[&fork.to_bytes()]));
    }

    fn event(&mut self, bytes: &[u8]) -> Event {
        self.take(bytes).unwrap()
    }

    fn take(&mut self, bytes: &[u8]) -> Option<Event> {
        self.enricher.apply(&Decoded::try_from(bytes).unwrap())
    }
}

fn start(pid: u32) -> u64 {
    u64::from(pid) * 10_000_000
}

fn header(kind: u32, pid: u32, container: bool) -> Header {
    Header {
        kind,
        size: 0,
        ktime: 5_000_000_000,
        start: start(pid),
        cgroup: if container { CONTAINER } else { HOST },
        tgid: pid,
        tid: pid,
        cpu: 0,
        flags: if container { flags::IN_CONTAINER } else { 0 },
        generation: 1,
        reserved: 0,
    }
}

/// The bytes as the kernel writes them.
fn record(header: Header, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let size = u32::try_from(Header::SIZE + body.len()).unwrap();
    [&Header { size, ..header }.to_bytes()[..], &body].concat()
}

fn executed(parent: u32, pid: u32, execution: &Execution) -> Vec<u8> {
    let mut args = vec![execution.name];
    args.extend(&execution.args);
    let args = args.join("\0") + "\0";
    let length = |text: &str| u32::try_from(text.len()).unwrap();
    let padded = |text: &str| {
        let mut bytes = [0; 16];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes
    };
    let (exec, _) = ExecRecord::take(&[0; ExecRecord::SIZE]).unwrap();
    let exec = ExecRecord {
        parent_start: start(parent),
        parent_tgid: parent,
        uid: execution.user,
        euid: execution.user,
        login_uid: u32::MAX,
        mode: 0o100_755,
        links: 1,
        args_total: length(&args),
        path_len: length(&execution.executable),
        cwd_len: length(execution.directory),
        args_len: length(&args),
        tty: padded(if execution.terminal { "pts0" } else { "" }),
        comm: padded(execution.name),
        ..exec
    };
    let tail = [execution.executable.as_str(), execution.directory, &args].concat();
    record(
        header(kind::EXEC, pid, execution.container),
        &[&exec.to_bytes(), tail.as_bytes()],
    )
}
