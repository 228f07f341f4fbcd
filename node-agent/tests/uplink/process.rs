//! The agent as a process on the running kernel: what people see, and what survives `kill -9`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use yagura_proto::v1::RuleBody;
use yagura_proto::v1::spool_record::Record;

use super::operator::{Behaviour, Operator};

/// Longer than starting takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running agent; killed at the end of the test if it still runs.
struct Process {
    child: Child,
    log: Receiver<String>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_yagura-agent"))
            .arg("run")
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = lines(BufReader::new(child.stderr.take().unwrap()));
        Self { child, log }
    }

    /// Waits for a log line.
    fn logged(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .log
                .recv_timeout(left)
                .expect("the agent logs what is waited for");
            if line.contains(text) {
                return;
            }
        }
    }

    fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.child.stdout.take().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lines(reader: impl BufRead + Send + 'static) -> Receiver<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's log is short, and a full queue would stop the agent"
    )]
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    receiver
}

/// A program of its own name, so that nothing else on the machine matches.
fn program(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    fs::copy("/bin/true", &path).unwrap();
    path
}

/// Runs a program that was just written: another test's fork may still hold it open for writing.
fn run(program: &Path, args: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Command::new(program).args(args).status() {
            Ok(status) => return assert!(status.success()),
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                assert!(Instant::now() < deadline, "{error}");
                std::thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
#[ignore = "loads programs into the running kernel: needs root"]
fn a_matching_exec_is_one_line_whatever_its_arguments_root() {
    let folder = tempfile::tempdir().unwrap();
    let rule = folder.path().join("rule.yaml");
    fs::write(
        &rule,
        "apiVersion: yagura.dev/v1alpha1\nkind: DetectionRule\nmetadata: {name: marker}\nspec:\n  \
         title: t\n  severity: high\n  condition: event.kind == \"process.exec\" && process.name == \"ygmarker\"\n  \
         signal: {title: 'Ran {{process.command_line}}', groupBy: [process.pid]}\n",
    )
    .unwrap();
    let marker = program(folder.path(), "ygmarker");
    // A folder of its own, which no agent before kept a sign of life in.
    let state = folder.path().join("state");
    let mut agent = Process::start(&[
        "--rules",
        rule.to_str().unwrap(),
        "--state-dir",
        state.to_str().unwrap(),
        "--only-signals",
    ]);
    agent.logged("watching");
    run(&marker, &["first\nsecond\x1b[2J"]);
    run(&marker, &[&"x".repeat(30 << 10)]);
    let mut output = agent.output();
    let mut text = String::new();
    for _ in 0..3 {
        output.read_line(&mut text).unwrap();
    }
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("TIME"), "{text}");
    for line in &lines[1..] {
        assert!(line.contains(" high     marker "), "{line}");
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains('\x1b'), "{line}");
    }
    agent.signal(Signal::TERM);
    assert_eq!(agent.child.wait().unwrap().code(), Some(0));
}

/// Sum of the matches in the operator's records, and the sequences.
fn counted(operator: &Operator) -> (u64, Vec<u64>) {
    let records = operator.records();
    let count = records.iter().map(|record| match &record.record {
        Some(Record::Fold(fold)) => fold.count,
        _ => 0,
    });
    (
        count.sum(),
        records.iter().map(|record| record.sequence).collect(),
    )
}

fn policy() -> Behaviour {
    Behaviour {
        policy: vec![yagura_proto::content::seal(RuleBody {
            uid: "uid-1".to_owned(),
            name: "marker".to_owned(),
            severity: "high".to_owned(),
            source: "workload".to_owned(),
            title: "t".to_owned(),
            condition: "event.kind == \"process.exec\" && process.name == \"ygkilled\"".to_owned(),
            group_by: vec!["process.pid".to_owned()],
            language_version: yagura_rules::LANGUAGE_VERSION,
            ..RuleBody::default()
        })],
        ..Behaviour::default()
    }
}

/// An agent that reports to `operator`, with everything of its own in `folder`.
fn reporting_to(operator: &Operator, folder: &Path, more: &[&str]) -> Process {
    let (trust, token) = (folder.join("ca.crt"), folder.join("token"));
    fs::write(&trust, operator.certificate()).unwrap();
    fs::write(&token, "token").unwrap();
    let (url, state) = (operator.url(), folder.join("state"));
    let args = [
        "--operator",
        &url,
        "--tls-server-name=operator.test",
        "--ca",
        trust.to_str().unwrap(),
        "--token-file",
        token.to_str().unwrap(),
        "--state-dir",
        state.to_str().unwrap(),
    ];
    Process::start(&[&args, more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_watched_says_why_to_the_operator() {
    let operator = Operator::start(policy()).await;
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("btf");
    fs::write(&broken, [0x9f, 0xeb, 1, 0, 24]).unwrap();
    let agent = reporting_to(&operator, folder.path(), &["--btf", broken.to_str().unwrap()]);
    agent.logged("this node cannot be watched");
    let ack = tokio::time::timeout(PATIENCE, operator.policy_ack())
        .await
        .unwrap();
    assert_eq!(ack.failures[0].reason, "MissingHook");
    assert!(ack.failures[0].message.contains("types"), "{:?}", ack.failures[0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "loads programs into the running kernel: needs root"]
async fn a_killed_agent_reports_what_it_had_seen_exactly_once_root() {
    const RUNS: u64 = 20;
    let deaf = Operator::start(Behaviour {
        mute: true,
        ..policy()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let marker = program(folder.path(), "ygkilled");
    let start = |operator: &Operator| reporting_to(operator, folder.path(), &[]);
    let agent = start(&deaf);
    tokio::time::timeout(PATIENCE, deaf.policy_ack())
        .await
        .expect("the policy is activated");
    for _ in 0..RUNS {
        run(&marker, &[]);
    }
    let deadline = Instant::now() + PATIENCE;
    while counted(&deaf).0 < RUNS {
        assert!(
            Instant::now() < deadline,
            "every match is spooled and sent: {:?}",
            counted(&deaf)
        );
        tokio::task::yield_now().await;
    }
    agent.signal(Signal::KILL);
    drop(agent);

    let operator = Operator::start(policy()).await;
    let agent = start(&operator);
    let deadline = Instant::now() + PATIENCE;
    while counted(&operator).0 < RUNS {
        assert!(
            Instant::now() < deadline,
            "the rest is sent: {:?}",
            counted(&operator)
        );
        tokio::task::yield_now().await;
    }
    let (count, sequences) = counted(&operator);
    assert_eq!(count, RUNS);
    let expected: Vec<u64> = (1..=sequences.len() as u64).collect();
    assert_eq!(sequences, expected);
    assert_eq!(operator.hellos()[0].held.len(), 1, "the policy survived too");

    // A match of the new process goes on in the same run, and SIGTERM hands it over.
    agent.logged("watching");
    run(&marker, &[]);
    agent.signal(Signal::TERM);
    let deadline = Instant::now() + PATIENCE;
    while counted(&operator).0 < RUNS + 1 {
        assert!(
            Instant::now() < deadline,
            "the last one is handed over: {:?}",
            counted(&operator)
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "loads programs into the running kernel: needs root"]
async fn a_secret_of_a_real_process_leaves_the_agent_nowhere_root() {
    const SECRET: &str = "correct-horse-battery-staple";
    let mut behaviour = policy();
    behaviour.policy = vec![yagura_proto::content::seal(RuleBody {
        uid: "uid-1".to_owned(),
        name: "marker".to_owned(),
        severity: "high".to_owned(),
        source: "workload".to_owned(),
        title: "Ran {{process.command_line}}".to_owned(),
        // A part of it: the rule itself is kept on disk as it came.
        condition: r#"event.kind == "process.exec" && process.name == "ygsecret" && process.command_line.contains("horse-battery")"#
            .to_owned(),
        group_by: vec!["process.command_line".to_owned()],
        language_version: yagura_rules::LANGUAGE_VERSION,
        ..RuleBody::default()
    })];
    // Nothing is acknowledged, so that the spool keeps it.
    behaviour.mute = true;
    let operator = Operator::start(behaviour).await;
    let folder = tempfile::tempdir().unwrap();
    let marker = program(folder.path(), "ygsecret");
    let mut agent = reporting_to(
        &operator,
        folder.path(),
        &["--output", "json", "--redact", "employee-[0-9]+"],
    );
    let mut output = agent.output();
    tokio::time::timeout(PATIENCE, operator.policy_ack())
        .await
        .expect("the policy is activated");
    run(&marker, &[&format!("--password={SECRET}"), "employee-4711", "-v"]);
    let deadline = Instant::now() + PATIENCE;
    while counted(&operator).0 < 1 {
        assert!(Instant::now() < deadline, "the match is sent");
        tokio::task::yield_now().await;
    }
    agent.signal(Signal::TERM);
    let mut printed = String::new();
    output.read_to_string(&mut printed).unwrap();
    assert!(
        printed.contains("ygsecret") && printed.contains("[redacted:password]"),
        "{printed}"
    );
    assert!(printed.contains("[redacted:custom]"), "{printed}");

    let sent = format!("{:?}", operator.records());
    let mut everywhere = vec![printed.into_bytes(), sent.into_bytes()];
    everywhere.extend(operator.records().iter().map(prost::Message::encode_to_vec));
    for file in fs::read_dir(folder.path().join("state")).unwrap() {
        everywhere.push(fs::read(file.unwrap().path()).unwrap());
    }
    for bytes in everywhere {
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains(SECRET) && !text.contains("employee-4711"),
            "{text}"
        );
    }
}
