//! What follows from conditions, as text.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use yagura_event::{EventKind, Registry};

use super::{Extent, Filter, Hooks, KernelPart, Widened, kernel_part};
use crate::source::{DetectSource, MethodSource, Selector, SequenceSource, StepSource};
use crate::{ListType, Lists, NamedList, Rule, RuleSource, Target, compile};

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let names = NamedList::new(ListType::String, ["nc", "ncat"]).unwrap();
    let many: Vec<String> = (0..=super::KEYS).map(|n| format!("n{n}")).collect();
    let most = NamedList::new(ListType::String, many.iter().skip(1).map(String::as_str)).unwrap();
    let many = NamedList::new(ListType::String, many.iter().map(String::as_str)).unwrap();
    let globs = NamedList::new(ListType::Glob, ["/tmp/*"]).unwrap();
    Lists::default()
        .with("names", names)
        .with("many", many)
        .with("most", most)
        .with("globs", globs)
});

fn rule_of(source: &RuleSource) -> Arc<Rule> {
    let compiled = compile(source, Registry::workload(), &LISTS);
    compiled
        .rule
        .unwrap_or_else(|| panic!("{}: {:?}", source.condition, compiled.diagnostics))
}

fn part(condition: &str) -> KernelPart {
    kernel_part(&rule_of(&RuleSource::new("r", condition)))
}

fn of_exec(condition: &str) -> Filter {
    let part = part(condition);
    let (_, filter) = part.filters.into_iter().next().unwrap();
    filter
}

/// The filter of an exec, and whether it is all of the condition.
fn shown(condition: &str) -> (String, bool) {
    let filter = of_exec(condition);
    (filter.to_string(), filter.exact)
}

#[test]
fn tests_that_the_kernel_can_do_stay_as_they_are() {
    for condition in [
        "process.name == \"nc\"",
        "process.name in [\"nc\", \"ncat\"]",
        "process.name.startsWith(\"python\")",
        "process.executable.endsWith(\"/sh\")",
        "process.executable.base() == \"nc\"",
        "process.executable.base().startsWith(\"xmrig\")",
        "process.executable == b\"/a\\xff\\x09\\\"\"",
        "process.user.id == 0",
        "process.user.id in [0, 33]",
        "process.user.id >= 1000",
        "process.user.id <= 999",
        "(process.user.id >= 1000 && process.user.id <= 60000)",
        "bits.anyOf(process.executable_mode, 0xc00)",
        "bits.allOf(process.executable_mode, 0xc00)",
        "\"CAP_SYS_ADMIN\" in process.capabilities.effective",
        "[\"CAP_NET_RAW\", \"CAP_SYS_ADMIN\"].intersects(process.capabilities.effective)",
        "process.executable_memfd",
        "process.executable_deleted == false",
        "process.tty != null",
        "process.tty == null",
        "process.stdin.kind in [\"pipe\", \"socket\"]",
        "!(process.name == \"nc\")",
        "!(process.name in [\"nc\", \"ncat\"])",
        "!process.secure_exec",
        "process.name == \"nc\" && process.user.id == 0",
        "(process.name == \"nc\" && process.user.id == 0) || process.executable_memfd",
    ] {
        assert_eq!(shown(condition), (condition.to_owned(), true));
    }
}

#[test]
fn what_rules_tell_each_other_never_reaches_the_kernel() {
    for condition in [
        "process.name == \"nc\" && has(process.marks[\"a\"])",
        "process.name == \"nc\" && !(container.marks[\"a\"] == process.name)",
        "!has(host.marks[\"a\"]) && process.name == \"nc\"",
    ] {
        assert_eq!(shown(condition), ("process.name == \"nc\"".to_owned(), false));
    }
}

#[test]
fn what_says_the_same_is_written_in_one_way() {
    for (condition, filter) in [
        ("\"nc\" == process.name", "process.name == \"nc\""),
        ("10 > process.user.id", "process.user.id <= 9"),
        (
            "process.user.id < 1 || process.user.id == 1",
            "process.user.id <= 1",
        ),
        (
            "process.name == \"nc\" || process.name == \"ncat\" || process.name.startsWith(\"soc\")",
            "(process.name in [\"nc\", \"ncat\"] || process.name.startsWith(\"soc\"))",
        ),
        (
            "process.name in lists[\"names\"]",
            "process.name in [\"nc\", \"ncat\"]",
        ),
        ("has(process.tty)", "process.tty != null"),
        (
            "!(process.user.id == 0 || !process.executable_memfd)",
            "!(process.user.id == 0) && process.executable_memfd",
        ),
        (
            "process.capabilities.effective.intersects([\"CAP_BPF\"])",
            "\"CAP_BPF\" in process.capabilities.effective",
        ),
        (
            "process.user.id == 0 && (process.name == \"a\" || process.name == \"b\")",
            "process.name in [\"a\", \"b\"] && process.user.id == 0",
        ),
        (
            "process.name == \"a\" || process.name == \"a\" && process.user.id == 0",
            "process.name == \"a\"",
        ),
        (
            "event.kind == \"process.exec\" && process.name == \"a\"",
            "process.name == \"a\"",
        ),
    ] {
        assert_eq!(shown(condition), (filter.to_owned(), true), "{condition}");
    }
}

#[test]
fn what_the_kernel_cannot_tell_widens() {
    for (condition, filter) in [
        (
            "process.name == \"nc\" && \"-e\" in process.args",
            "process.name == \"nc\"",
        ),
        (
            "process.user.name == \"root\" && process.name == \"nc\"",
            "process.name == \"nc\"",
        ),
        ("process.name.contains(\"nc\")", "true"),
        ("process.name == \"nc\" || process.args_count == 2", "true"),
        (
            "process.executable.glob(\"/tmp/*\")",
            "process.executable.startsWith(\"/tmp/\")",
        ),
        ("!process.executable.glob(\"/tmp/*\")", "true"),
        ("process.executable in lists[\"globs\"]", "true"),
        ("process.name in lists[\"many\"]", "true"),
        ("process.name.startsWith(\"\")", "true"),
        ("process.user.id > -1", "true"),
        ("process.name < \"b\"", "true"),
        ("process.tty == \"pts/0\"", "true"),
        ("process.stdin.kind.startsWith(\"so\")", "true"),
        ("process.ancestors.exists(a, a.name == \"nginx\")", "true"),
        ("process.parent.name == \"nginx\"", "true"),
        (
            "process.executable_memfd ? process.name == \"a\" : process.name == \"b\"",
            "true",
        ),
        ("\"CAP_NONE\" in process.capabilities.effective", "true"),
        // The kernel may take a process that left its cgroup for one of the host.
        ("process.in_container", "true"),
        ("!process.in_container", "!process.in_container"),
        ("process.in_container == false", "process.in_container == false"),
    ] {
        assert_eq!(shown(condition), (filter.to_owned(), false), "{condition}");
    }
}

#[test]
fn texts_longer_than_what_is_compared_are_cut() {
    let long = "x".repeat(300);
    let cut = |text: &str| (text.to_owned(), false);
    assert_eq!(
        shown(&format!("process.executable == \"/{long}\"")),
        cut(&format!("process.executable.startsWith(\"/{}\")", &long[..255]))
    );
    assert_eq!(
        shown(&format!("process.executable.endsWith(\"/{long}\")")),
        cut(&format!("process.executable.endsWith(\"{}\")", &long[..128]))
    );
    let fifteen = &long[..15];
    assert!(of_exec(&format!("process.name == \"{fifteen}\"")).exact);
    assert_eq!(
        shown(&format!("process.name == \"{fifteen}y\"")),
        cut(&format!("process.name.startsWith(\"{fifteen}y\")"))
    );
    // The negation of what was cut would keep back too much.
    assert_eq!(shown(&format!("process.executable != \"/{long}\"")), cut("true"));
}

#[test]
fn each_kind_has_its_own_filter() {
    let shown = |condition: &str| {
        let mut out = String::new();
        for (kind, filter) in part(condition).filters {
            writeln!(out, "{kind}: {filter}").unwrap();
        }
        out
    };
    assert_eq!(
        shown("process.name == \"nc\" && process.executable_memfd"),
        "process.exec: process.name == \"nc\" && process.executable_memfd\n\
         process.fork: process.name == \"nc\"\nprocess.exit: true\n"
    );
    assert_eq!(
        shown("process.exit_signal == 9 || event.kind == \"process.fork\" && process.user.id == 0"),
        "process.fork: process.user.id == 0\nprocess.exit: process.exit_signal == 9\n"
    );
}

#[test]
fn extent_says_how_much_runs_in_the_kernel() {
    let extent = |source: &RuleSource| kernel_part(&rule_of(source)).extent();
    let source =
        |condition: &str| RuleSource::new("r", &format!("event.kind == \"process.exec\" && {condition}"));
    let full = source("process.name == \"nc\"");
    assert_eq!(extent(&full), Extent::Full);
    assert_eq!(
        extent(&source("process.name == \"nc\" && process.args_count > 1")),
        Extent::Partial
    );
    assert_eq!(extent(&source("process.args_count > 1")), Extent::None);
    let mut host = full.clone();
    host.where_.target = Target::Host;
    assert_eq!(extent(&host), Extent::Partial);
    assert_eq!(
        kernel_part(&rule_of(&host)).filters[0].1.to_string(),
        "process.in_container == false && process.name == \"nc\""
    );
    let mut labelled = full.clone();
    labelled.where_.pods = Some(Selector::default());
    assert_eq!(extent(&labelled), Extent::Partial);
    let mut inside = source("process.args_count > 1");
    inside.where_.target = Target::Container;
    assert_eq!(extent(&inside), Extent::None);
}

#[test]
fn every_step_of_a_sequence_passes() {
    let step = |name: &str| StepSource {
        condition: format!("process.name == {name:?}"),
        count: 1,
    };
    let mut source = RuleSource::new("r", "event.kind == \"process.exec\" && process.user.id == 0");
    source.detect = Some(DetectSource {
        group_by: vec!["host.name".to_owned()],
        method: MethodSource::Sequence(SequenceSource {
            within: 60_000_000_000,
            steps: vec![step("a"), step("b")],
            until: Some("process.executable_memfd".to_owned()),
        }),
    });
    let part = kernel_part(&rule_of(&source));
    let (_, filter) = &part.filters[0];
    for name in ["\"a\"", "\"b\"", "memfd"] {
        assert!(filter.is_open() || filter.to_string().contains(name), "{filter}");
    }
    assert!(!filter.is_open(), "{filter}");
}

#[test]
fn what_takes_too_many_groups_loses_tests_and_not_events() {
    // Eight alternatives in each of three tests would be 512 groups.
    let one = |subject: &str| {
        let tests: Vec<String> = (0..8)
            .map(|n| format!("({subject}.startsWith(\"{n}\") && process.user.id != {n})"))
            .collect();
        format!("({})", tests.join(" || "))
    };
    let condition = ["process.name", "process.executable", "process.executable.base()"]
        .map(one)
        .join(" && ");
    let filter = of_exec(&condition);
    assert_eq!(filter.groups.len(), 64);
    assert!(!filter.exact);
    let many: Vec<String> = (0..70)
        .map(|n| format!("(process.name == \"{n}\" && process.user.id == {n})"))
        .collect();
    assert_eq!(shown(&many.join(" || ")), ("true".to_owned(), false));
}

#[test]
fn lists_that_are_named_again_and_again_are_taken_so_often_as_there_is_room() {
    let test = |n: usize| format!("(process.name in lists[\"most\"] && process.user.id == {n})");
    let tests = |count: usize| (0..count).map(test).collect::<Vec<_>>().join(" || ");
    let room = super::LISTED / super::KEYS;
    assert!(of_exec(&tests(room)).exact);
    let filter = of_exec(&tests(room + 1));
    assert!(!filter.exact && !filter.is_open());
}

#[test]
fn a_hook_lets_pass_what_any_rule_may_match() {
    let parts = [
        part("event.kind == \"process.exec\" && process.name == \"nc\" && process.user.id == 0"),
        part("process.name == \"ncat\" && process.user.id == 0"),
        part("process.exit_code == 1"),
    ];
    let hooks = Hooks::join(&parts);
    let of = |kind| hooks.of(kind).unwrap();
    let exec = of(EventKind::ProcessExec);
    assert_eq!(
        exec.filter.to_string(),
        "process.name in [\"nc\", \"ncat\"] && process.user.id == 0"
    );
    assert_eq!((exec.rules.as_slice(), exec.filter.exact), (&[0, 1][..], true));
    let exit = of(EventKind::ProcessExit);
    assert!(exit.filter.is_open());
    assert_eq!(
        (exit.rules.as_slice(), exit.opened_by.as_slice()),
        (&[1, 2][..], &[1][..])
    );
    assert!(Hooks::join(&parts[2..]).of(EventKind::ProcessExec).is_none());
}

#[test]
fn a_hook_with_too_many_groups_keeps_one_atom_of_each_and_then_opens() {
    let many = |from: usize, to: usize, test: &dyn Fn(usize) -> String| -> Vec<KernelPart> {
        (from..to)
            .map(|n| part(&format!("event.kind == \"process.exec\" && {}", test(n))))
            .collect()
    };
    let pairs = many(0, 1_030, &|n| {
        format!("process.name == \"n{n}\" && process.user.id == {n}")
    });
    let hooks = Hooks::join(&pairs);
    let hook = hooks.of(EventKind::ProcessExec).unwrap();
    assert_eq!(hook.widened, Widened::SingleAtoms);
    assert_eq!(hook.filter.groups.len(), 1);
    assert_eq!(hook.filter.groups[0][0].keys(), 1_030);
    // Negations do not join.
    let negated = many(0, 1_030, &|n| format!("process.name != \"n{n}\""));
    let hooks = Hooks::join(&negated);
    let hook = hooks.of(EventKind::ProcessExec).unwrap();
    assert_eq!((hook.widened, hook.filter.is_open()), (Widened::Opened, true));
}
