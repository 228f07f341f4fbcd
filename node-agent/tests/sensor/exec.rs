//! What an execution tells about the program and its process.

use std::{
    fs::{self, File},
    io::Write as _,
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, PermissionsExt as _},
        },
    },
    process::{Command, Stdio},
};

use yagura_event::{Known, Text, process::DescriptorKind};

use crate::watch::{Watch, marker, path_of, run};

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
        process.stdio[0].map(DescriptorKind::as_str),
        Known::Present("character-device")
    );
    assert_eq!(
        process.stdio[1].map(DescriptorKind::as_str),
        Known::Present("pipe")
    );
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

/// A mounted overlay that is unmounted again.
struct Overlay(tempfile::TempDir);

impl Overlay {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::copy("/bin/true", at("lower").join("shipped")).unwrap();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower").display(),
            at("upper").display(),
            at("work").display()
        );
        run(Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(at("merged")));
        Self(folder)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        run(Command::new("umount").arg(self.0.path().join("merged")));
    }
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn what_came_after_the_image_is_in_the_upper_layer_root() {
    let watch = Watch::start();
    let overlay = Overlay::mount();
    let merged = fs::canonicalize(overlay.0.path()).unwrap().join("merged");
    fs::copy("/bin/true", merged.join("dropped")).unwrap();
    for (name, upper) in [("shipped", false), ("dropped", true)] {
        let marker = marker(name);
        run(Command::new(merged.join(name)).arg(&marker));
        let event = watch.exec_with(marker.as_bytes());
        assert_eq!(path_of(&event), merged.join(name).to_string_lossy());
        let Known::Present(executable) = &event.process.executable else {
            panic!("{event:?}");
        };
        assert_eq!(executable.overlay_upper, Known::Present(upper), "{name}");
    }
    watch.finish();
}

#[test]
#[ignore = "needs root and a kernel with BTF"]
fn a_file_on_a_mount_that_hangs_nowhere_has_the_path_of_its_file_system_root() {
    let watch = Watch::start();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("place");
    let program = fs::canonicalize(folder.path()).unwrap().join("program");
    fs::write(&place, "").unwrap();
    fs::copy("/bin/true", &program).unwrap();
    run(Command::new("mount").arg("--bind").args([&program, &place]));
    let open = File::open(&place).unwrap();
    run(Command::new("umount").arg("--lazy").arg(&place));
    let marker = marker("detached");
    run(Command::new(format!("/proc/{}/fd/{}", std::process::id(), open.as_raw_fd())).arg(&marker));
    let event = watch.exec_with(marker.as_bytes());
    assert_eq!(path_of(&event), program.to_string_lossy());
    watch.finish();
}
