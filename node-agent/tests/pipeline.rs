//! From events to records on disk: everything is counted, whatever happens on the way.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in what its tests share"
)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prost::Message;
use yagura_event::{Event, Registry as Fields, Timestamp, Tree, build_event};
use yagura_node_agent::bpf::Consumer;
use yagura_node_agent::journal::Journal;
use yagura_node_agent::judge::Judge;
use yagura_node_agent::metrics::Metrics;
use yagura_node_agent::recorder::Recorder;
use yagura_node_agent::redact::{Key, Redactor};
use yagura_node_agent::rules::{Active, ActiveRule, Rules};
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::{Excepted, Fold, SpoolRecord};
use yagura_rules::source::{
    DetectSource, ExceptionSource, JoinedSource, MarkScope, MarkSource, MethodSource, ThresholdSource,
};
use yagura_rules::{Lists, RuleSource, compile};
use yagura_store::spool::{Entry, Position, SpoolConfig};
use yagura_telemetry::Registry;

/// A pipeline without a kernel in front and an operator behind.
struct Pipeline {
    judge: Judge,
    recording: JoinHandle<()>,
    journal: Journal,
    metrics: Metrics,
    rules: Rules,
}

impl Pipeline {
    fn new(folder: &Path) -> Self {
        let journal = Journal::open(&SpoolConfig {
            path: folder.join("spool.db"),
            boot_id: "boot".to_owned(),
            limit_bytes: 64 << 20,
        })
        .unwrap();
        let metrics = Metrics::register(&mut Registry::default());
        let rules = Rules::new(active("first"));
        let redactor = Redactor::new(Key::new([5; Key::BYTES]), &[]).unwrap();
        let (recorder, recording) =
            Recorder::start(Some(journal.clone()), None, Arc::new(redactor), &metrics).unwrap();
        Self {
            judge: Judge::new(&rules, recorder, None, &metrics),
            recording,
            journal,
            metrics,
            rules,
        }
    }

    /// Ends as the agent does: nothing new comes, and what waits is flushed.
    fn finish(self) -> (Journal, Metrics) {
        drop(self.judge);
        self.recording.join().unwrap();
        (self.journal, self.metrics)
    }
}

/// A rule on shells that excepts root's.
fn active(hash: &str) -> Active {
    let mut source = RuleSource::new("shell", "process.name == \"sh\"");
    "uid-1".clone_into(&mut source.uid);
    source.signal.group_by = vec!["process.pid".to_owned()];
    source.exceptions = vec![ExceptionSource {
        name: "root".to_owned(),
        condition: "process.user.id == 0".to_owned(),
        expires: None,
    }];
    let rule = compile(&source, Fields::workload(), &Lists::builtin())
        .rule
        .unwrap();
    let rule = ActiveRule {
        rule,
        hash: hash.to_owned(),
    };
    Active::new(vec![rule], "revision".to_owned())
}

fn exec(name: &str, pid: i64, user: i64) -> Event {
    let tree = Tree::map([
        ("kind".into(), "process.exec".into()),
        ("process.name".into(), name.into()),
        ("process.pid".into(), pid.into()),
        ("process.user.id".into(), user.into()),
        (
            "process.args".into(),
            Tree::List(vec!["x".repeat(2_000).as_str().into()]),
        ),
    ]);
    build_event(&tree, Timestamp(1)).unwrap()
}

/// Folds, and matches in losses, of everything in the spool.
async fn spooled(journal: &Journal) -> (Vec<Fold>, u64) {
    let batch = journal.read(Position::default(), usize::MAX).await.unwrap();
    let mut folds = Vec::new();
    let mut lost = 0;
    for (index, record) in batch.records.into_iter().enumerate() {
        assert_eq!(record.sequence, index as u64 + 1, "sequences have no gaps");
        match record.entry {
            Entry::Body(body) => folds.push(Fold::decode(body.as_slice()).unwrap()),
            Entry::Loss { matches, .. } => lost += matches,
        }
    }
    (folds, lost)
}

#[tokio::test]
async fn every_match_is_spooled_excepted_or_shed() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::new(folder.path());
    for _ in 0..300 {
        pipeline.judge.event(&exec("sh", 1, 1000));
        pipeline.judge.event(&exec("sh", 2, 0));
        pipeline.judge.event(&exec("cat", 3, 1000));
    }
    let (journal, metrics) = pipeline.finish();
    assert_eq!(metrics.events.get(["matched"]), 600);
    assert_eq!(metrics.events.get(["unmatched"]), 300);
    assert_eq!(metrics.suppressed.get(["exception"]), 300);
    let kept = metrics.spooled.get();
    assert_eq!(metrics.matches.get(), kept + 300 + metrics.shed_in_all());

    let (folds, lost) = spooled(&journal).await;
    assert_eq!(folds.iter().map(|fold| fold.count).sum::<u64>(), kept);
    assert_eq!(lost, metrics.shed.get(["queue-full"]));
    assert_eq!(folds[0].count, 1, "the first match does not wait for others");
    assert!(
        folds
            .iter()
            .all(|fold| fold.samples.len() <= 3 && !fold.samples.is_empty())
    );
    assert_eq!(
        (folds[0].rule_uid.as_str(), folds[0].rule_hash.as_str()),
        ("uid-1", "first")
    );
}

#[tokio::test]
async fn what_exception_objects_hold_back_is_a_record_with_the_exact_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::new(folder.path());
    let mut source = RuleSource::new("shell", "process.name == \"sh\"");
    "uid-1".clone_into(&mut source.uid);
    let joined = |uid: &str, namespace: &str, condition: &str| JoinedSource {
        uid: uid.to_owned(),
        namespace: namespace.to_owned(),
        condition: condition.to_owned(),
        expires: None,
    };
    source.joined = vec![
        joined("everywhere", "", "process.pid == 1"),
        joined("of-shop", "shop", "process.pid == 2"),
    ];
    let rule = compile(&source, Fields::workload(), &Lists::builtin())
        .rule
        .unwrap();
    let hash = "h".to_owned();
    let active = Active::new(vec![ActiveRule { rule, hash }], "r".to_owned());
    pipeline.rules.swap(active);
    // More than there are places in the queue: none of them takes one.
    for time in 1..=10_000 {
        let mut event = exec("sh", 1, 0);
        event.time = Timestamp(time);
        pipeline.judge.event(&event);
    }
    let in_namespace = |namespace: &str| {
        let tree = Tree::map([
            ("kind".into(), "process.exec".into()),
            ("process.name".into(), "sh".into()),
            ("process.pid".into(), 2.into()),
            ("k8s.namespace.name".into(), namespace.into()),
        ]);
        build_event(&tree, Timestamp(7)).unwrap()
    };
    pipeline.judge.event(&in_namespace("shop"));
    pipeline.judge.event(&in_namespace("bank"));

    let (journal, metrics) = pipeline.finish();
    assert_eq!(metrics.suppressed.get(["exception"]), 10_001);
    assert_eq!(metrics.shed_in_all(), 0);
    let batch = journal.read(Position::default(), usize::MAX).await.unwrap();
    let mut told = Vec::new();
    let mut reported = 0;
    for record in batch.records {
        let Entry::Body(body) = record.entry else { continue };
        match SpoolRecord::decode(body.as_slice()) {
            Ok(SpoolRecord {
                record: Some(Record::Excepted(excepted)),
                ..
            }) => told.push(excepted),
            _ => reported += Fold::decode(body.as_slice()).unwrap().count,
        }
    }
    let sum = |uid: &str| {
        let of = told.iter().filter(|excepted| excepted.exception_uid == uid);
        let of: Vec<&Excepted> = of
            .inspect(|excepted| assert_eq!(excepted.rule_uid, "uid-1"))
            .collect();
        (
            of.iter().map(|excepted| excepted.count).sum::<u64>(),
            of.iter().map(|excepted| excepted.last).max(),
        )
    };
    assert_eq!(sum("everywhere"), (10_000, Some(10_000)));
    assert_eq!(sum("of-shop"), (1, Some(7)));
    assert_eq!(reported, 1, "the one in another namespace");
}

#[tokio::test]
async fn a_secret_in_an_exec_reaches_neither_the_disk_nor_the_wire() {
    const SECRETS: [&str; 3] = ["correct-horse-battery", "hunter2hunter2", "c3RhcGxlOnBhc3N3b3Jk"];
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::new(folder.path());
    let mut source = RuleSource::new("any", "process.command_line.contains(\"hunter2hunter2\")");
    "uid-2".clone_into(&mut source.uid);
    source.signal.group_by = vec!["process.command_line".to_owned()];
    source.signal.title = "Ran {{process.command_line}} with {{process.args}}".to_owned();
    let rule = compile(&source, Fields::workload(), &Lists::builtin())
        .rule
        .unwrap();
    let rule = ActiveRule {
        rule,
        hash: "h".to_owned(),
    };
    pipeline.rules.swap(Active::new(vec![rule], "r".to_owned()));
    let args = [
        format!("-p{}", SECRETS[0]),
        format!("--token={}", SECRETS[1]),
        format!("Authorization: Basic {}", SECRETS[2]),
    ];
    let args = args.iter().map(|arg| Tree::from(arg.as_str())).collect();
    let tree = Tree::map([
        ("kind".into(), "process.exec".into()),
        ("process.name".into(), "mysql".into()),
        ("process.args".into(), Tree::List(args)),
    ]);
    let event = build_event(&tree, Timestamp(1)).unwrap();
    for _ in 0..5 {
        pipeline.judge.event(&event);
    }
    let (journal, metrics) = pipeline.finish();

    // The condition saw the token; the rest of the agent does not show it.
    let (folds, _) = spooled(&journal).await;
    assert_eq!(folds.iter().map(|fold| fold.count).sum::<u64>(), 5);
    assert_eq!(
        folds.iter().filter(|fold| fold.group != folds[0].group).count(),
        0
    );
    assert!(metrics.redacted.get(["password"]) > 0 && metrics.redacted.get(["token"]) > 0);
    let on_the_wire: Vec<u8> = folds.iter().flat_map(Message::encode_to_vec).collect();
    drop(journal);
    let mut everywhere = vec![on_the_wire];
    for file in std::fs::read_dir(folder.path()).unwrap() {
        everywhere.push(std::fs::read(file.unwrap().path()).unwrap());
    }
    assert!(everywhere.len() > 1, "there is a spool");
    for bytes in everywhere {
        let text = String::from_utf8_lossy(&bytes);
        for secret in SECRETS {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn the_first_match_is_on_disk_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::new(folder.path());
    let mut usage = pipeline.journal.usage();
    let start = Instant::now();
    pipeline.judge.event(&exec("sh", 1, 1000));
    usage.wait_for(|usage| usage.records == 1).await.unwrap();
    // A timer of the fold would be a second; a busy machine takes a fraction of it.
    assert!(
        start.elapsed() < Duration::from_millis(900),
        "{:?}",
        start.elapsed()
    );
    pipeline.finish();
}

#[tokio::test]
async fn matches_are_reported_under_the_rule_that_they_matched() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::new(folder.path());
    pipeline.judge.event(&exec("sh", 1, 1000));
    pipeline.judge.event(&exec("sh", 1, 1000));
    pipeline.rules.swap(active("second"));
    pipeline.judge.event(&exec("sh", 1, 1000));
    let (journal, _) = pipeline.finish();
    let (folds, _) = spooled(&journal).await;
    let count = |hash: &str| {
        folds
            .iter()
            .filter(|fold| fold.rule_hash == hash)
            .map(|fold| fold.count)
            .sum::<u64>()
    };
    assert_eq!((count("first"), count("second")), (2, 1));
}

/// A rule on more than one `su` of a process within a minute.
fn counting(title: &str) -> Active {
    let mut source = RuleSource::new("su", "process.name == \"su\"");
    "uid-3".clone_into(&mut source.uid);
    title.clone_into(&mut source.title);
    source.detect = Some(DetectSource {
        group_by: vec!["process.pid".to_owned()],
        method: MethodSource::Threshold(ThresholdSource {
            count: 5,
            within: 60_000_000_000,
            ..ThresholdSource::default()
        }),
    });
    let compiled = compile(&source, Fields::workload(), &Lists::builtin());
    let rule = ActiveRule {
        rule: compiled.rule.unwrap(),
        hash: title.to_owned(),
    };
    Active::new(vec![rule], "revision".to_owned())
}

#[tokio::test]
async fn what_a_rule_counted_outlives_the_process_and_an_edit_of_its_title() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = 0;
    for (round, title) in ["first", "first", "second", "second"].into_iter().enumerate() {
        let mut pipeline = Pipeline::new(folder.path());
        pipeline.rules.swap(counting(title));
        for _ in 0..2 {
            pipeline.judge.event(&exec("su", 1, 1000));
            pipeline
                .judge
                .event(&exec("su", i64::try_from(round).unwrap() + 100, 1000));
        }
        let (journal, metrics) = pipeline.finish();
        told += metrics.window_told.get();
        assert_eq!((metrics.matches.get(), metrics.window_taken.get()), (4, 4));
        assert_eq!(metrics.spooled.get(), metrics.window_told.get());
        let (folds, _) = spooled(&journal).await;
        let count: u64 = folds.iter().map(|fold| fold.count).sum();
        assert_eq!(count, told, "round {round}");
        // The fifth is in the third round, which tells six: four that waited and its own.
        assert_eq!(told, [0, 0, 6, 8][round], "round {round}");
        drop(journal);
    }
}

/// A silent rule that marks what comes of a download, and one that tells of what of it reads keys.
fn marking() -> Active {
    let mut sets = RuleSource::new(
        "download",
        "event.kind == \"process.exec\" && process.name == \"curl\"",
    );
    sets.mark = Some(MarkSource {
        name: "download".to_owned(),
        scope: MarkScope::ProcessTree,
        value: Some("process.name".to_owned()),
        append: false,
        ttl: 60_000_000_000,
    });
    sets.silent = true;
    let mut asks = RuleSource::new(
        "keys",
        "process.name == \"cat\" && process.marks[\"download\"] == \"curl\"",
    );
    asks.signal.group_by = vec!["process.pid".to_owned()];
    let rules = [asks, sets].map(|source| ActiveRule {
        rule: compile(&source, Fields::workload(), &Lists::builtin())
            .rule
            .unwrap(),
        hash: source.name.clone(),
    });
    Active::new(rules.into(), "revision".to_owned())
}

fn lifecycle(kind: &str, time: i64, pid: i64, parent: i64, name: &str) -> Event {
    let parent = Tree::map([("pid".into(), parent.into())]);
    let tree = Tree::map([
        ("kind".into(), kind.into()),
        ("process.name".into(), name.into()),
        ("process.pid".into(), pid.into()),
        ("process.ancestors".into(), Tree::List(vec![parent])),
    ]);
    build_event(&tree, Timestamp(time)).unwrap()
}

#[tokio::test]
async fn what_one_rule_marks_another_finds_in_the_processes_that_come_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut pipeline = Pipeline::new(folder.path());
    pipeline.rules.swap(marking());
    let (fork, exec, exit) = ("process.fork", "process.exec", "process.exit");
    let second = 1_000_000_000;
    for event in [
        lifecycle(fork, 0, 10, 1, "sh"),
        lifecycle(fork, 1, 11, 10, "sh"),
        lifecycle(exec, 2, 10, 1, "curl"),
        // Started before, started after, a grandchild whose parent is gone, and nobody of them.
        lifecycle(exec, 3, 11, 10, "cat"),
        lifecycle(fork, 4, 12, 10, "curl"),
        lifecycle(exec, 5, 12, 10, "sh"),
        lifecycle(fork, 6, 13, 12, "sh"),
        lifecycle(exit, 7, 12, 10, "sh"),
        lifecycle(exec, 8, 13, 12, "cat"),
        lifecycle(exec, 9, 99, 1, "cat"),
        // The same process until the mark is over, and another one with its id.
        lifecycle(exec, 60 * second, 13, 12, "cat"),
        lifecycle(exec, 60 * second + 2, 13, 12, "cat"),
        lifecycle(exit, 60 * second + 3, 13, 12, "cat"),
        lifecycle(fork, 60 * second + 4, 13, 1, "sh"),
        lifecycle(exec, 60 * second + 5, 13, 1, "cat"),
    ] {
        pipeline.judge.event(&event);
    }
    let (journal, metrics) = pipeline.finish();
    assert_eq!(metrics.marks.get(), 1);
    assert_eq!(metrics.marks_evicted.get(), 0);
    assert_eq!(metrics.suppressed.get(["silent"]), 1);
    assert_eq!((metrics.matches.get(), metrics.spooled.get()), (3, 2));
    let (folds, _) = spooled(&journal).await;
    assert!(folds.iter().all(|fold| fold.rule_hash == "keys"), "{folds:?}");
    assert_eq!(folds.iter().map(|fold| fold.count).sum::<u64>(), 2);
    assert!(folds.iter().all(|fold| fold.group == folds[0].group), "{folds:?}");
    let times = (
        folds.iter().map(|fold| fold.first).min(),
        folds.iter().map(|fold| fold.last).max(),
    );
    assert_eq!(times, (Some(8), Some(60 * second)));
    // What rules tell each other stays on the node.
    let on_the_wire: Vec<u8> = folds.iter().flat_map(Message::encode_to_vec).collect();
    let shown = String::from_utf8_lossy(&on_the_wire);
    assert!(shown.contains("cat"), "{shown}");
    assert!(
        !shown.contains("marks") && !shown.contains("download") && !shown.contains("curl"),
        "{shown}"
    );
}

/// A file system of 64 MiB, unmounted at the end.
struct Tiny<'a>(&'a Path);

impl<'a> Tiny<'a> {
    fn mount(at: &'a Path) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(at)
            .status()
            .expect("mount can be started");
        assert!(status.success(), "mount needs root");
        Self(at)
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.0).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "nothing uses the file system"
        );
    }
}

#[tokio::test]
#[ignore = "mounts a file system: needs root"]
async fn a_full_disk_loses_what_memory_cannot_hold_and_says_how_much_root() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::mount(folder.path());
    let ballast = tiny.0.join("ballast");
    let mut pipeline = Pipeline::new(tiny.0);
    // Once it is gone there is room for all that waits: a full queue and the memory's share.
    std::fs::write(&ballast, vec![0; 62 << 20]).unwrap();

    // Each match is a group of its own with 2 KB of arguments: more than disk and memory hold.
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut pid = 0;
    while pipeline.metrics.shed.get(["disk-full"]) == 0 {
        assert!(Instant::now() < deadline, "the disk never filled");
        pid += 1;
        pipeline.judge.event(&exec("sh", pid, 1000));
        tokio::task::yield_now().await;
    }
    assert_eq!(pipeline.metrics.spool_failed.get(), 1);

    std::fs::remove_file(&ballast).unwrap();
    let (journal, metrics) = pipeline.finish();
    assert_eq!(metrics.spool_failed.get(), 0, "there is space again");
    assert_eq!(metrics.matches.get(), pid.unsigned_abs());
    assert_eq!(
        metrics.matches.get(),
        metrics.spooled.get() + metrics.shed_in_all()
    );
    let (folds, lost) = spooled(&journal).await;
    assert_eq!(
        folds.iter().map(|fold| fold.count).sum::<u64>(),
        metrics.spooled.get()
    );
    assert_eq!(lost, metrics.shed_in_all());
    drop(journal);
}
