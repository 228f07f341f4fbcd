//! Random rules of tests that the kernel can do, and events with what records carry.

use std::sync::Arc;

use proptest::prelude::*;
use yagura_event::field::capability;
use yagura_event::field::kernel::COMM_BYTES;
use yagura_event::process::{DescriptorKind, Executable, Process, User};
use yagura_event::{Container, Event, Known, Registry, Text};
use yagura_rules::{Rule, RuleSource, Target, compile};

use crate::random;

/// Texts around the lengths at which the kernel cuts, and what begins and ends as they do.
fn long(fill: char, lengths: &'static [usize]) -> impl Strategy<Value = String> + Clone {
    (prop::sample::select(lengths), prop::sample::select(vec!["", "x"])).prop_map(move |(length, end)| {
        let filled: String = std::iter::repeat_n(fill, length - end.len()).collect();
        format!("{filled}{end}")
    })
}

fn path() -> BoxedStrategy<String> {
    let word = prop::sample::select(random::TEXTS).prop_map(str::to_owned);
    let long = long('p', &[127, 128, 129, 255, 256, 257, 300]);
    prop_oneof![
        3 => word,
        1 => long.clone().prop_map(|long| format!("/{long}")),
        1 => long.clone().prop_map(|long| format!("/{long}/sh")),
        1 => long.prop_map(|long| format!("/bin/{long}")),
    ]
    .boxed()
}

/// The beginning or the end of a path.
fn piece() -> BoxedStrategy<String> {
    (path(), 0usize..310, any::<bool>())
        .prop_map(|(path, length, end)| {
            let at = length.min(path.len());
            let (front, back) = path.split_at(if end { path.len() - at } else { at });
            if end { back.to_owned() } else { front.to_owned() }
        })
        .boxed()
}

fn name() -> BoxedStrategy<String> {
    let word = prop::sample::select(random::TEXTS).prop_map(str::to_owned);
    prop_oneof![3 => word, 1 => long('n', &[14, 15, 16, 17])].boxed()
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// A test of something that the kernel knows at one of its hooks.
fn atom() -> BoxedStrategy<String> {
    let numbers = prop::sample::select(vec![
        "process.pid",
        "process.user.id",
        "process.real_user.id",
        "process.group.id",
        "process.login_user.id",
        "process.executable_mode",
        "process.executable_uid",
        "process.args_length",
        "process.exit_code",
        "process.exit_signal",
        "process.session_id",
        "process.namespaces.pid",
        "process.namespaces.mount",
    ]);
    let flags = prop::sample::select(vec![
        "process.executable_memfd",
        "process.executable_deleted",
        "process.executable_upper_layer",
        "process.secure_exec",
        "process.args_truncated",
        "process.in_container",
        "process.exit_core_dumped",
    ]);
    let subject = prop::sample::select(vec![
        ("process.name", false),
        ("process.executable", true),
        ("process.executable.base()", true),
    ]);
    let method = prop::sample::select(vec![
        "startsWith",
        "endsWith",
        "startsWith",
        "endsWith",
        "contains",
    ]);
    let order = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let text = |is_path: bool| {
        if is_path {
            prop_oneof![path(), piece()].boxed()
        } else {
            name()
        }
    };
    let equal = subject.clone().prop_flat_map(move |(subject, is_path)| {
        let texts = prop::collection::vec(text(is_path), 1..4);
        (Just(subject), texts, any::<bool>())
    });
    let stands = subject
        .prop_flat_map(move |(subject, is_path)| (Just(subject), text(is_path)))
        .prop_flat_map(move |(subject, text)| (Just(subject), method.clone(), Just(text)));
    let kinds = || prop::collection::vec(prop::sample::select(vec!["socket", "pipe", "file", "none"]), 1..3);
    let named = || {
        prop::collection::vec(
            prop::sample::select(vec!["CAP_CHOWN", "CAP_KILL", "CAP_BPF"]),
            1..3,
        )
    };
    let list = |words: &[&str]| {
        format!(
            "[{}]",
            words
                .iter()
                .map(|word| quoted(word))
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    prop_oneof![
        4 => equal.prop_map(|(subject, texts, single)| match texts.as_slice() {
            [text, ..] if single => format!("{subject} == {}", quoted(text)),
            texts => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("{subject} in [{}]", texts.join(", "))
            }
        }),
        4 => stands.prop_map(|(subject, method, text)| format!("{subject}.{method}({})", quoted(&text))),
        3 => (numbers.clone(), order, -1i64..4).prop_map(|(field, order, number)| format!("{field} {order} {number}")),
        1 => (numbers.clone(), prop::collection::vec(-1i64..4, 0..3))
            .prop_map(|(field, numbers)| format!("{field} in {numbers:?}")),
        1 => (numbers.clone(), prop::sample::select(vec!["anyOf", "allOf"]), 0i64..8)
            .prop_map(|(field, test, mask)| format!("bits.{test}({field}, {mask})")),
        1 => numbers.prop_map(|field| format!("{field} == null")),
        2 => flags.clone(). prop_map(str::to_owned),
        1 => (flags, any::<bool>()).prop_map(|(field, value)| format!("{field} == {value}")),
        1 => Just("process.tty != null".to_owned()),
        1 => kinds().prop_map(move |kinds| format!("process.stdin.kind in {}", list(&kinds))),
        1 => named().prop_map(move |names| format!("process.capabilities.effective.intersects({})", list(&names))),
        1 => named().prop_map(move |names| format!("{} in process.capabilities.effective", quoted(names[0]))),
        2 => prop::sample::select(vec![
            "process.executable.glob(\"/bin/*\")", "process.executable.glob(\"/**/sh\")",
            "process.executable.like(\"*pppx\")", "process.name.matches(\"^(ba|n)\")",
            "process.executable.base().matches(\"^p+x$\")",
            "process.name.imatches(\"^sh$\")", "process.executable.matches(\"(?m)^p\")",
            "event.kind == \"process.exec\"", "event.kind != \"process.exit\"",
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

/// A condition of tests that the kernel can do, and of any others.
pub(super) fn condition() -> BoxedStrategy<String> {
    let base = prop_oneof![6 => atom(), 1 => random::on_events(), 1 => random::needing_literals()];
    base.prop_recursive(3, 16, 4, |inner| {
        let many = || prop::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            3 => many().prop_map(|all| format!("({})", all.join(" && "))),
            2 => many().prop_map(|any| format!("({})", any.join(" || "))),
            2 => inner.clone().prop_map(|inner| format!("!({inner})")),
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
    .boxed()
}

pub(super) fn rule(condition: &str, target: Target) -> Option<Arc<Rule>> {
    let mut source = RuleSource::new(condition, condition);
    source.where_.target = target;
    compile(&source, Registry::workload(), &random::lists()).rule
}

pub(super) fn rules() -> BoxedStrategy<Vec<Arc<Rule>>> {
    let target = prop::sample::select(vec![Target::Any, Target::Any, Target::Host, Target::Container]);
    prop::collection::vec((condition(), target), 1..5)
        .prop_map(|all| {
            all.iter()
                .filter_map(|(condition, target)| rule(condition, *target))
                .collect()
        })
        .boxed()
}

fn knowable<T: std::fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Known<T>> {
    prop_oneof![1 => Just(Known::Absent), 1 => Just(Known::Unknown), 4 => value.prop_map(Known::Present)]
}

/// An event with what a record carries, as the agent decodes it.
pub(super) fn event() -> BoxedStrategy<Event> {
    let executable = (
        path(),
        0u16..8,
        0u32..4,
        knowable(any::<bool>()),
        any::<(bool, bool)>(),
    )
        .prop_map(|(path, mode, uid, overlay_upper, (memfd, deleted))| Executable {
            path: Text::from(path.as_str()),
            mode,
            uid,
            overlay_upper,
            memfd,
            deleted,
            ..Executable::default()
        });
    let stdin = prop::sample::select(vec![
        DescriptorKind::Socket,
        DescriptorKind::Pipe,
        DescriptorKind::Other,
    ]);
    let numbers = prop::array::uniform8(0u32..4);
    let capabilities = prop::sample::subsequence(vec!["CAP_CHOWN", "CAP_KILL", "CAP_BPF"], 0..=3);
    (
        crate::event(),
        (
            name(),
            knowable(executable),
            knowable(stdin),
            numbers,
            capabilities,
        ),
        any::<(bool, bool, bool)>(),
        (knowable(0u8..4), knowable(0u8..4)),
    )
        .prop_map(
            |(
                mut event,
                (name, executable, stdin, numbers, names),
                (contained, secure, tty),
                (code, signal),
            )| {
                event.container = contained.then(|| Arc::new(Container::default()));
                if let Some(exit) = &mut event.exit {
                    (exit.code, exit.signal) = (code, signal);
                }
                let process: &mut Process = Arc::make_mut(&mut event.process);
                // A name is never longer than what the kernel keeps of it.
                process.name = Text::from(&name.as_bytes()[..name.len().min(COMM_BYTES - 1)]);
                process.executable = executable;
                process.stdio[0] = stdin;
                process.secure_exec = secure;
                if tty {
                    process.tty = Known::Present(Text::from("pts/1"));
                }
                let [uid, real, gid, login, length, session, pids, mounts] = numbers;
                process.user.id = uid;
                process.real_user.id = real;
                process.gid = gid;
                process.args_length = length;
                process.session = session;
                process.pid_namespace = pids;
                process.mount_namespace = mounts;
                process.login_user = match login {
                    0 => Known::Absent,
                    1 => Known::Unknown,
                    id => Known::Present(User {
                        id,
                        name: Known::Unknown,
                    }),
                };
                process.capabilities_effective = names
                    .iter()
                    .filter_map(|name| capability::bit(name.as_bytes()))
                    .sum();
                event
            },
        )
        .boxed()
}
