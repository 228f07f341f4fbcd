//! Fields of the process that an event is about.

use std::borrow::Cow;
use std::sync::Arc;

use super::convert::{Mismatch, flag, known, text, texts, time, whole};
use super::kernel::{EXEC, EXEC_FORK, InKernel, KernelTest, Stage};
use super::object::{ancestors, parent, set_ancestors};
use super::{Field, ObjectKind, Scalar, Type};
use super::{arguments, capability};
use crate::process::{DescriptorKind, Executable, Process, User};
use crate::value::{Items, ListRef};
use crate::{Event, EventKind, Known, Timestamp, Tree, ValueRef};

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        "process.pid",
        Type::INT,
        "4711",
        "Process id in the initial pid namespace.",
        |event| event.process.id.pid.into(),
        |event, tree| whole(tree).map(|pid| process(event).id.pid = pid),
    )
    .in_kernel(InKernel::new(&EventKind::ALL, KernelTest::Number, Stage::Header, "task_struct.tgid"))
    .of_one_node()
    .shown(),
    Field::new(
        "process.name",
        Type::STRING,
        "bash",
        "Base name of the path given to exec, at most 15 bytes; an applet or a script has its own name here.",
        |event| (&event.process.name).into(),
        |event, tree| text(tree).map(|name| process(event).name = name),
    )
    .in_kernel(InKernel::new(EXEC_FORK, KernelTest::Comm, Stage::Task, "task_struct.comm"))
    .shown(),
    Field::new(
        "process.executable",
        Type::STRING,
        "/usr/bin/bash",
        "Resolved path of the file that the process runs, as its own mount namespace names it.",
        |event| event.process.executable.as_ref().map(|executable| &executable.path).into(),
        |event, tree| match tree {
            Tree::Null | Tree::Unknown => {
                known(tree, |_| Ok(Executable::default())).map(|none| process(event).executable = none)
            }
            other => text(other).map(|path| executable(event).path = path),
        },
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Path, Stage::Path, "mm_struct.exe_file, from its dentry up to the root of its mounts"))
    .unknowable()
    .shown(),
    Field::new(
        "process.executable_mode",
        Type::INT,
        "mode(\"4755\")",
        "Permission bits of the executable.",
        |event| event.process.executable.as_ref().map(|executable| executable.mode & 0o7777).into(),
        |event, tree| whole(tree).map(|mode| executable(event).mode = mode),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Inode, "inode.i_mode, without the type"))
    .unknowable(),
    Field::new(
        "process.executable_uid",
        Type::INT,
        "0",
        "User id that owns the executable.",
        |event| event.process.executable.as_ref().map(|executable| executable.uid).into(),
        |event, tree| whole(tree).map(|uid| executable(event).uid = uid),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Inode, "inode.i_uid"))
    .unknowable(),
    Field::new(
        "process.executable_gid",
        Type::INT,
        "0",
        "Group id that owns the executable.",
        |event| event.process.executable.as_ref().map(|executable| executable.gid).into(),
        |event, tree| whole(tree).map(|gid| executable(event).gid = gid),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Inode, "inode.i_gid"))
    .unknowable(),
    Field::new(
        "process.executable_inode",
        Type::INT,
        "262401",
        "Inode number of the executable.",
        |event| event.process.executable.as_ref().map(|executable| executable.inode).into(),
        |event, tree| whole(tree).map(|inode| executable(event).inode = inode),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Inode, "inode.i_ino"))
    .unknowable(),
    Field::new(
        "process.executable_upper_layer",
        Type::BOOL,
        "true",
        "Whether the executable lies in the writable layer of the container: it came after the image.",
        |event| event.process.executable.as_ref().and_then(|executable| executable.overlay_upper).into(),
        |event, tree| known(tree, flag).map(|upper| executable(event).overlay_upper = upper),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Flag, Stage::Inode, "ovl_inode.__upperdentry"))
    .unknowable()
    .shown(),
    Field::new(
        "process.executable_memfd",
        Type::BOOL,
        "true",
        "Whether the executable is an anonymous file in memory (memfd_create).",
        |event| event.process.executable.as_ref().map(|executable| executable.memfd).into(),
        |event, tree| flag(tree).map(|memfd| executable(event).memfd = memfd),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Flag, Stage::BaseName, "dentry.d_name of a file without a directory"))
    .unknowable()
    .shown(),
    Field::new(
        "process.executable_deleted",
        Type::BOOL,
        "true",
        "Whether the executable had no name any more when it was run.",
        |event| event.process.executable.as_ref().map(|executable| executable.deleted).into(),
        |event, tree| flag(tree).map(|deleted| executable(event).deleted = deleted),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Flag, Stage::BaseName, "inode.i_nlink, dentry.d_hash"))
    .unknowable(),
    Field::new(
        "process.arg0",
        Type::STRING,
        "-bash",
        "The program's own name as the caller gave it, which need not be true.",
        |event| (&event.process.arg0).into(),
        |event, tree| text(tree).map(|arg0| process(event).arg0 = arg0),
    ),
    Field::new(
        "process.args",
        Type::STRINGS,
        "[\"-c\", \"id\"]",
        "Arguments, without the program's own name; a search in a list that was cut is unknown unless it finds.",
        |event| {
            let items = Items::Texts(&event.process.args);
            ValueRef::List(ListRef { items, complete: !event.process.args_truncated })
        },
        |event, tree| texts(tree).map(|args| process(event).args = args),
    )
    .shown(),
    Field::derived(
        "process.args_count",
        Type::INT,
        "2",
        "Number of arguments; unknown when they were cut.",
        |event| {
            if event.process.args_truncated {
                ValueRef::Unknown
            } else {
                ValueRef::uint(event.process.args.len() as u64)
            }
        },
    )
    .unknowable(),
    Field::new(
        "process.args_length",
        Type::INT,
        "30720",
        "Length of all arguments before any cut.",
        |event| event.process.args_length.into(),
        |event, tree| whole(tree).map(|length| process(event).args_length = length),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Task, "mm_struct.arg_end less arg_start"))
    .unit("bytes"),
    Field::new(
        "process.args_truncated",
        Type::BOOL,
        "false",
        "Whether the arguments were cut.",
        |event| event.process.args_truncated.into(),
        |event, tree| flag(tree).map(|cut| process(event).args_truncated = cut),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Flag, Stage::Task, "mm_struct.arg_end less arg_start; not the number of arguments").true_is_sure()),
    Field::derived(
        "process.args_flags",
        Type::STRINGS,
        "[\"l\", \"a\", \"color\"]",
        "Names of the flags among the arguments, without dashes and values: those of -la --color=auto are l, a and color. None after --.",
        arguments::flags,
    ),
    Field::derived(
        "process.args_options",
        Type::One(Scalar::StringMap),
        "process.args_options[\"output\"] == \"/tmp/x\"",
        "Values of the options among the arguments, by name without dashes: from --n=v, --n v, -n=v and -n v. A value begins with no dash, and may really be the next operand; the v of -abc v is under abc and under c; of several values the last counts. None after --. Signals do not show it: process.args is there, without secrets.",
        arguments::options,
    )
    .unknowable(),
    Field::derived(
        "process.command_line",
        Type::STRING,
        "bash -c id",
        "The program's own name and its arguments, joined by spaces.",
        command_line,
    ),
    Field::new(
        "process.working_directory",
        Type::STRING,
        "/root",
        "Working directory.",
        |event| event.process.working_directory.as_ref().into(),
        |event, tree| known(tree, text).map(|path| process(event).working_directory = path),
    )
    .unknowable()
    .shown(),
    Field::new(
        "process.tty",
        Type::STRING,
        "pts/0",
        "Controlling terminal; absent when the process has none.",
        |event| event.process.tty.as_ref().into(),
        |event, tree| known(tree, text).map(|tty| process(event).tty = tty),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Presence, Stage::Task, "signal_struct.tty"))
    .unknowable()
    .shown(),
    Field::new(
        "process.user.id",
        Type::INT,
        "0",
        "Effective user id in the initial user namespace.",
        |event| event.process.user.id.into(),
        |event, tree| whole(tree).map(|id| process(event).user.id = id),
    )
    .in_kernel(InKernel::new(EXEC_FORK, KernelTest::Number, Stage::Task, "cred.euid"))
    .shown(),
    Field::new(
        "process.user.name",
        Type::STRING,
        "root",
        "Effective user's name.",
        |event| event.process.user.name.as_ref().into(),
        |event, tree| known(tree, text).map(|name| process(event).user.name = name),
    )
    .unknowable()
    .shown(),
    Field::new(
        "process.real_user.id",
        Type::INT,
        "1000",
        "Real user id in the initial user namespace.",
        |event| event.process.real_user.id.into(),
        |event, tree| whole(tree).map(|id| process(event).real_user.id = id),
    )
    .in_kernel(InKernel::new(EXEC_FORK, KernelTest::Number, Stage::Task, "cred.uid")),
    Field::new(
        "process.real_user.name",
        Type::STRING,
        "alice",
        "Real user's name.",
        |event| event.process.real_user.name.as_ref().into(),
        |event, tree| known(tree, text).map(|name| process(event).real_user.name = name),
    )
    .unknowable(),
    Field::new(
        "process.group.id",
        Type::INT,
        "0",
        "Effective group id.",
        |event| event.process.gid.into(),
        |event, tree| whole(tree).map(|gid| process(event).gid = gid),
    )
    .in_kernel(InKernel::new(EXEC_FORK, KernelTest::Number, Stage::Task, "cred.egid")),
    Field::new(
        "process.real_group.id",
        Type::INT,
        "1000",
        "Real group id.",
        |event| event.process.real_gid.into(),
        |event, tree| whole(tree).map(|gid| process(event).real_gid = gid),
    )
    .in_kernel(InKernel::new(EXEC_FORK, KernelTest::Number, Stage::Task, "cred.gid")),
    Field::new(
        "process.login_user.id",
        Type::INT,
        "1000",
        "Id of the user that logged in; absent for what no login started.",
        |event| event.process.login_user.as_ref().map(|user| user.id).into(),
        |event, tree| known(tree, whole).map(|id| set_login_user(event, id)),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Task, "task_struct.loginuid"))
    .unknowable(),
    Field::derived(
        "process.login_user.name",
        Type::STRING,
        "alice",
        "Name of the user that logged in.",
        |event| event.process.login_user.as_ref().and_then(|user| user.name.as_ref()).into(),
    )
    .unknowable(),
    Field::new(
        "process.capabilities.effective",
        Type::STRINGS,
        "[\"CAP_SYS_ADMIN\"]",
        "Effective capabilities by name.",
        |event| {
            let items = Items::Capabilities(event.process.capabilities_effective);
            ValueRef::List(ListRef { items, complete: true })
        },
        set_capabilities,
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Capabilities, Stage::Task, "cred.cap_effective")),
    Field::new(
        "process.secure_exec",
        Type::BOOL,
        "true",
        "Whether exec gained privileges from a set-user-id or set-group-id file.",
        |event| event.process.secure_exec.into(),
        |event, tree| flag(tree).map(|secure| process(event).secure_exec = secure),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Flag, Stage::Task, "linux_binprm.secureexec")),
    Field::new(
        "process.stdin.kind",
        Type::STRING,
        "socket",
        "What descriptor 0 is: file, directory, pipe, socket, terminal, character-device, block-device or other.",
        |event| event.process.stdio[0].map(DescriptorKind::as_str).into(),
        |event, tree| known(tree, descriptor).map(|kind| process(event).stdio[0] = kind),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Word, Stage::Task, "inode.i_mode and i_rdev of descriptor 0"))
    .unknowable(),
    Field::new(
        "process.stdout.kind",
        Type::STRING,
        "socket",
        "What descriptor 1 is.",
        |event| event.process.stdio[1].map(DescriptorKind::as_str).into(),
        |event, tree| known(tree, descriptor).map(|kind| process(event).stdio[1] = kind),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Word, Stage::Task, "inode.i_mode and i_rdev of descriptor 1"))
    .unknowable(),
    Field::new(
        "process.stderr.kind",
        Type::STRING,
        "socket",
        "What descriptor 2 is.",
        |event| event.process.stdio[2].map(DescriptorKind::as_str).into(),
        |event, tree| known(tree, descriptor).map(|kind| process(event).stdio[2] = kind),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Word, Stage::Task, "inode.i_mode and i_rdev of descriptor 2"))
    .unknowable(),
    Field::new(
        "process.start",
        Type::TIMESTAMP,
        "age(process.start) < duration(\"30s\")",
        "When the process started, by the node's clock; running another program does not change it.",
        |event| match event.process.start {
            Timestamp(0) => ValueRef::Absent,
            Timestamp(nanoseconds) => nanoseconds.into(),
        },
        |event, tree| time(tree).map(|start| process(event).start = start),
    ),
    Field::new(
        "process.session_id",
        Type::INT,
        "4700",
        "Session id in the initial pid namespace.",
        |event| event.process.session.into(),
        |event, tree| whole(tree).map(|session| process(event).session = session),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Task, "signal_struct.pids[PIDTYPE_SID]"))
    .of_one_node(),
    Field::new(
        "process.namespaces.pid",
        Type::INT,
        "4026531836",
        "Inode number of the pid namespace.",
        |event| event.process.pid_namespace.into(),
        |event, tree| whole(tree).map(|inode| process(event).pid_namespace = inode),
    )
    .in_kernel(InKernel::new(EXEC_FORK, KernelTest::Number, Stage::Task, "pid_namespace.ns.inum")),
    Field::new(
        "process.namespaces.mount",
        Type::INT,
        "4026531841",
        "Inode number of the mount namespace.",
        |event| event.process.mount_namespace.into(),
        |event, tree| whole(tree).map(|inode| process(event).mount_namespace = inode),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Task, "mnt_namespace.ns.inum")),
    Field::new(
        "process.namespaces.network",
        Type::INT,
        "4026531840",
        "Inode number of the network namespace.",
        |event| event.process.network_namespace.into(),
        |event, tree| whole(tree).map(|inode| process(event).network_namespace = inode),
    )
    .in_kernel(InKernel::new(EXEC, KernelTest::Number, Stage::Task, "net.ns.inum")),
    Field::new(
        "process.ancestors",
        Type::List(Scalar::Object(ObjectKind::Ancestor)),
        "process.ancestors.exists(a, a.name == \"nginx\")",
        "The processes that this one descends from, nearest first, as recorded at fork time.",
        ancestors,
        set_ancestors,
    )
    .unknowable(),
    Field::new(
        "process.ancestors_complete",
        Type::BOOL,
        "true",
        "Whether the lineage reaches the first process.",
        |event| event.process.ancestors_complete.into(),
        |event, tree| flag(tree).map(|complete| process(event).ancestors_complete = complete),
    ),
    Field::derived(
        "process.parent",
        Type::One(Scalar::Object(ObjectKind::Ancestor)),
        "process.parent != null",
        "The process that started this one.",
        parent,
    )
    .unknowable(),
];

fn process(event: &mut Event) -> &mut Process {
    Arc::make_mut(&mut event.process)
}

fn executable(event: &mut Event) -> &mut Executable {
    let process = process(event);
    if !matches!(process.executable, Known::Present(_)) {
        process.executable = Known::Present(Executable::default());
    }
    match &mut process.executable {
        Known::Present(executable) => executable,
        Known::Absent | Known::Unknown => unreachable!("set to a present one just above"),
    }
}

fn set_login_user(event: &mut Event, id: Known<u32>) {
    process(event).login_user = id.map(|id| User {
        id,
        name: Known::Absent,
    });
}

fn descriptor(tree: &Tree) -> Result<DescriptorKind, Mismatch> {
    const KINDS: [DescriptorKind; 8] = [
        DescriptorKind::File,
        DescriptorKind::Directory,
        DescriptorKind::Pipe,
        DescriptorKind::Socket,
        DescriptorKind::Terminal,
        DescriptorKind::CharacterDevice,
        DescriptorKind::BlockDevice,
        DescriptorKind::Other,
    ];
    let name = text(tree)?;
    KINDS
        .into_iter()
        .find(|kind| kind.as_str().as_bytes() == name.as_bytes())
        .ok_or(Mismatch(
            "file, directory, pipe, socket, terminal, character-device, block-device or other",
        ))
}

fn set_capabilities(event: &mut Event, tree: &Tree) -> Result<(), Mismatch> {
    let mut bits = 0;
    for name in texts(tree)? {
        bits |= capability::bit(name.as_bytes())
            .ok_or(Mismatch("names of capabilities such as CAP_SYS_ADMIN"))?;
    }
    process(event).capabilities_effective = bits;
    Ok(())
}

fn command_line(event: &Event) -> ValueRef<'_> {
    let mut line = Vec::new();
    event.process.write_command_line(&mut line);
    ValueRef::Bytes(Cow::Owned(line))
}
