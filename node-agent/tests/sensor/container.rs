//! Which container a process belongs to.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use yagura_event::{EventKind, Known, Text};

use crate::watch::{DEADLINE, Watch, marker, path_of, run};

/// A cgroup that is removed again.
struct Cgroup(PathBuf);

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

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_cgroup_names_its_container_and_leaving_it_changes_nothing_root() {
    let watch = Watch::start();
    let id = "c0ffee".repeat(10) + "abcd";
    let cgroup = Cgroup::new(&id);
    let home = cgroup.0.parent().unwrap().parent().unwrap().parent().unwrap();
    let (inside, escaped) = (marker("inside"), marker("escaped"));
    // The first shell enters the cgroup, the second one runs in it and leaves.
    let script = format!(
        "echo $$ > {}/cgroup.procs; exec /bin/sh -c 'echo $$ > {}/cgroup.procs; exec /bin/true {escaped}' {inside}",
        cgroup.0.display(),
        home.display(),
    );
    run(Command::new("/bin/sh").args(["-c", &script]));
    for marker in [inside, escaped] {
        let event = watch.exec_with(marker.as_bytes());
        let container = event.container.as_ref().expect("its cgroup named a container");
        assert_eq!(container.id, Known::Present(Text::from(id.as_str())));
        assert_eq!(container.runtime, Known::Present(Text::from("docker")));
        assert_eq!(container.pod_uid, Known::Absent);
    }
    watch.finish();
}
