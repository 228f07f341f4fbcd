//! Conditions, and what follows from them.

use yagura_rules::{Lists, RuleSource, compile};

use super::*;

/// The clauses that are looked for, each as `field[.member] what | …`.
fn clauses(condition: &str) -> Vec<String> {
    let compiled = compile(
        &RuleSource::new("r", condition),
        Registry::workload(),
        &Lists::default(),
    );
    let rule = compiled.rule.expect(condition);
    let shown = |literal: &Literal<'_>| {
        let Base::Field(field) = literal.place.base else {
            return format!("{literal:?}");
        };
        let path = Registry::workload().field(field).path;
        let member = literal
            .place
            .member
            .map(|member| format!(".{}", member.0))
            .unwrap_or_default();
        let wanted = match &literal.wanted {
            Wanted::Text(wanted) => {
                let case = if wanted.any_case { " any case" } else { "" };
                format!(
                    "{:?}{case} {}",
                    wanted.shape,
                    String::from_utf8_lossy(&wanted.text)
                )
            }
            other => format!("{other:?}"),
        };
        format!("{path}{member} {wanted}")
    };
    witness(&rule.program, rule.condition)
        .iter()
        .map(|clause| clause.iter().map(shown).collect::<Vec<_>>().join(" | "))
        .collect()
}

#[test]
fn a_conjunction_needs_each_of_its_parts_the_most_telling_first() {
    assert_eq!(
        clauses("process.executable.contains(\"x\") && process.name == \"nc\" && process.user.id == 7"),
        ["process.name Whole nc", "process.user.id Number(7)"]
    );
    assert_eq!(
        clauses("process.executable.contains(\"x\") && process.in_container"),
        ["process.in_container True", "process.executable Within x"]
    );
    assert_eq!(
        clauses("\"-e\" in process.args && !(process.name == \"nc\")"),
        ["process.args Whole -e"]
    );
    assert_eq!(
        clauses("!(!process.executable.base().startsWith(\"xmrig\") || process.pid == 1)"),
        ["process.executable Within xmrig"]
    );
    assert_eq!(
        clauses("process.ancestors.exists(a, a.name == \"nginx\" && process.tty.startsWith(\"pts\"))"),
        ["process.ancestors.1 Whole nginx"]
    );
    assert_eq!(
        clauses("process.command_line.endsWith(\"curl\") && process.name.istartsWith(\"BA\")"),
        [
            "process.name Prefix any case BA",
            "process.command_line Suffix curl",
        ]
    );
}

#[test]
fn an_alternative_needs_what_every_branch_has() {
    assert_eq!(
        clauses("process.name in [\"nc\", \"ncat\"] || process.executable.startsWith(\"/dev/shm/\")"),
        ["process.name Whole nc | process.name Whole ncat | process.executable Prefix /dev/shm/"]
    );
    assert_eq!(
        clauses("process.name == \"nc\" && process.pid == 7 || process.name == \"ncat\" && process.pid == 8"),
        [
            "process.name Whole nc | process.name Whole ncat",
            "process.pid Number(7) | process.pid Number(8)",
        ]
    );
    assert_eq!(
        clauses("process.name == \"nc\" || process.name != \"ncat\""),
        [""; 0]
    );
}

#[test]
fn numbers_truth_and_presence_are_needed_too() {
    for (condition, needed) in [
        (
            "process.pid in [5, 6]",
            "process.pid Number(5) | process.pid Number(6)",
        ),
        ("8 == process.pid", "process.pid Number(8)"),
        ("process.args_count > 3", "process.args_count AtLeast(4)"),
        ("3 >= process.args_count", "process.args_count AtMost(3)"),
        (
            "!(process.args_count >= 3) && process.pid < 3",
            "process.pid AtMost(2)",
        ),
        ("process.executable_memfd", "process.executable_memfd True"),
        (
            "process.executable_memfd == false",
            "process.executable_memfd False",
        ),
        ("!process.executable_memfd", "process.executable_memfd NotTrue"),
        ("process.tty != null", "process.tty Present"),
        ("!has(process.tty)", "process.tty Absent"),
        (
            "process.pid > 9223372036854775807",
            "process.pid AtLeast(9223372036854775807)",
        ),
    ] {
        assert_eq!(clauses(condition), [needed], "{condition}");
    }
}

#[test]
fn nothing_follows_from_what_may_hold_without_anything() {
    for condition in [
        "process.name != \"nc\"",
        "!(process.name == \"nc\" && process.tty == \"pts/0\")",
        "process.args.all(a, a == \"-e\")",
        "process.executable.startsWith(process.name)",
        "process.name.contains(\"\")",
        "event.kind == \"process.exec\"",
        "process.name in [\"nc\", process.tty]",
        "process.in_container ? process.name == \"nc\" : process.name == \"ncat\"",
        "process.name + \"x\" == \"ncx\"",
        "process.pid != 4",
        "process.args != null",
        "process.in_container || process.user.id == 0",
        "process.args.exists(a, a == null) || process.pid + 1 == 4",
    ] {
        assert_eq!(clauses(condition), [""; 0], "{condition}");
    }
}
