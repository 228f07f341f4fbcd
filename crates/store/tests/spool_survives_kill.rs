//! A process that is killed in the middle of writing loses nothing that it had committed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use yagura_store::spool::{NewRecord, Position, Spool, SpoolConfig};

const FOLDER: &str = "YAGURA_TEST_SPOOL_FOLDER";

fn config(folder: &std::path::Path) -> SpoolConfig {
    SpoolConfig {
        path: folder.join("spool.db"),
        boot_id: "boot".to_owned(),
        limit_bytes: 64 << 20,
    }
}

/// Runs only in the child: appends for ever and says what is committed.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut spool = Spool::open(&config(folder.as_ref())).unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        let body = format!("record {}", spool.last() + 1).into_bytes();
        spool
            .append(&[NewRecord {
                body,
                matches: 1,
                rank: 1,
            }])
            .unwrap();
        writeln!(out, "\ncommitted {}", spool.last()).unwrap();
    }
}

#[test]
fn committed_records_are_there_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for round in 1..=3_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut committed = 0;
        while committed < seen + 500 {
            let line = lines
                .next()
                .expect("the writer writes until it is killed")
                .unwrap();
            if let Some(number) = line.strip_prefix("committed ") {
                committed = number.parse().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let mut spool = Spool::open(&config(folder.path())).unwrap();
        let batch = spool.read(Position::default(), usize::MAX).unwrap();
        assert!(spool.last() >= committed, "round {round}");
        assert_eq!(batch.records.len() as u64, spool.last());
        for (index, record) in batch.records.iter().enumerate() {
            assert_eq!(record.sequence, index as u64 + 1);
        }
        seen = spool.last();
    }
}
