//! A full disk is an error that harms nothing and ends when there is space again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use yagura_store::spool::{Entry, NewRecord, Position, Spool, SpoolConfig};

/// A file system of 2 MiB, unmounted when the test ends.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(at: &Path) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(at)
            .status()
            .expect("mount can be started");
        assert!(status.success(), "mount needs root");
        Self(at.to_owned())
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

fn record() -> NewRecord {
    NewRecord {
        body: vec![b'x'; 4_000],
        matches: 1,
        rank: 1,
    }
}

#[test]
#[ignore = "mounts a file system: needs root"]
fn a_full_disk_is_reported_and_writing_goes_on_when_there_is_space_root() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::mount(folder.path());
    let config = SpoolConfig {
        path: tiny.0.join("spool.db"),
        boot_id: "boot".to_owned(),
        limit_bytes: 64 << 20,
    };
    let mut spool = Spool::open(&config).unwrap();
    fs::write(tiny.0.join("ballast"), vec![0; 1 << 20]).unwrap();

    let mut written = 0;
    let error = loop {
        match spool.append(&[record()]) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 1_000, "the disk never filled");
    };
    assert!(error.is_full(), "{error:?}");
    assert!(spool.append(&[record()]).unwrap_err().is_full());
    assert_eq!(spool.last(), written, "a failed append takes no sequence");

    let batch = spool.read(Position::default(), usize::MAX).unwrap();
    assert_eq!(batch.records.len() as u64, written);

    fs::remove_file(tiny.0.join("ballast")).unwrap();
    spool.append(&[record()]).unwrap();
    assert_eq!(spool.last(), written + 1);
    let id = spool.id().to_owned();
    spool.acknowledge(&id, written).unwrap();

    drop(spool);
    let mut spool = Spool::open(&config).unwrap();
    let rest = spool.read(Position::default(), usize::MAX).unwrap().records;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].sequence, written + 1);
    assert!(matches!(rest[0].entry, Entry::Body(_)));
    drop(spool);
}
