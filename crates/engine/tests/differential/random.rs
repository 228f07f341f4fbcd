//! Random conditions, as text, so that the whole compiler takes part.

use proptest::prelude::*;
use yagura_rules::{ListType, Lists, NamedList};

/// Texts that events and conditions have in common, so that tests sometimes hold.
pub(crate) const TEXTS: &[&str] = &[
    "",
    "sh",
    "SH",
    "bash",
    "/bin/sh",
    "/usr/bin/bash",
    "a b",
    "2",
    "-c",
    "--c=sh",
    "8.8.8.8",
    "::ffff:10.0.0.1",
    "10.1.2.3/8",
    "1h30m",
    "500m",
    "1.5Gi",
    "1e3",
    "-1.5s",
    "2026-01-31T12:00:00.5+01:00",
    "1970-01-01T00:00:01Z",
    "L2Jpbi9zaA==",
];

/// Lists that conditions name.
pub(crate) fn lists() -> Lists {
    let list = |kind, values: &[&str]| NamedList::new(kind, values.iter().copied()).unwrap();
    Lists::none()
        .with(
            "texts",
            list(ListType::String, &["sh", "2", "8.8.8.8", "/bin/sh"]),
        )
        .with("globs", list(ListType::Glob, &["/bin/*", "/usr/**", "?h", "-*"]))
        .with("networks", list(ListType::Cidr, &["8.0.0.0/8", "10.0.0.1"]))
        .with("nothing", list(ListType::String, &[]))
}

/// Members of resources.
pub(crate) const MEMBERS: &[&str] = &["a", "b", "c", "d"];

fn literal() -> BoxedStrategy<String> {
    prop::sample::select(TEXTS)
        .prop_map(|text| format!("{text:?}"))
        .boxed()
}

fn small() -> BoxedStrategy<String> {
    (-1i64..4).prop_map(|value| value.to_string()).boxed()
}

/// The values that conditions are made of.
struct Leaves {
    text: BoxedStrategy<String>,
    number: BoxedStrategy<String>,
    list: BoxedStrategy<String>,
    truth: BoxedStrategy<String>,
    any: BoxedStrategy<String>,
    time: BoxedStrategy<String>,
}

fn pick(choices: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(choices).prop_map(str::to_owned).boxed()
}

fn texts(leaves: &Leaves) -> BoxedStrategy<String> {
    let base = prop_oneof![3 => leaves.text.clone(), 1 => literal()];
    base.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|text| format!("{text}.base()")),
            inner.clone().prop_map(|text| format!("{text}.dir()")),
            inner.clone().prop_map(|text| format!("{text}.trim()")),
            inner.clone().prop_map(|text| format!("base64.decode({text})")),
            inner.clone().prop_map(|text| format!("{text}.lowerAscii()")),
            inner.clone().prop_map(|text| format!("{text}.upperAscii()")),
            (inner.clone(), small()).prop_map(|(text, at)| format!("{text}.split(\"/\")[{at}]")),
            (inner.clone(), inner).prop_map(|(left, right)| format!("({left} + {right})")),
        ]
    })
    .boxed()
}

fn numbers(leaves: &Leaves) -> BoxedStrategy<String> {
    let base = prop_oneof![3 => leaves.number.clone(), 1 => small()];
    let (text, list) = (leaves.text.clone(), leaves.list.clone());
    base.prop_recursive(2, 6, 2, move |inner| {
        let operator = prop::sample::select(vec!["+", "-", "*", "/", "%"]);
        prop_oneof![
            3 => (inner.clone(), operator, inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            1 => inner.clone().prop_map(|number| format!("(-{number})")),
            1 => (inner.clone(), inner).prop_map(|(left, right)| format!("bits.and({left}, {right})")),
            1 => text.clone().prop_map(|text| format!("size({text})")),
            1 => list.clone().prop_map(|list| format!("size({list})")),
            1 => text.clone().prop_map(|text| format!("int({text})")),
        ]
    })
    .boxed()
}

fn times(leaves: &Leaves) -> BoxedStrategy<String> {
    let text = leaves.text.clone();
    let base = prop_oneof![
        2 => text.clone().prop_map(|text| format!("timestamp({text})")),
        1 => leaves.time.clone(),
        1 => pick(&["timestamp(\"2026-01-31T12:00:00Z\")", "timestamp(\"1970-01-01T00:00:00Z\")"]),
    ]
    .boxed();
    prop_oneof![
        2 => base.clone(),
        1 => (base, prop::sample::select(vec!["+", "-"]), text)
            .prop_map(|(time, operator, text)| format!("({time} {operator} duration({text}))")),
    ]
    .boxed()
}

fn durations(leaves: &Leaves) -> BoxedStrategy<String> {
    let one = prop_oneof![
        2 => leaves.text.clone().prop_map(|text| format!("duration({text})")),
        1 => pick(&["duration(\"90m\")", "duration(\"-1500ms\")", "duration(\"0\")", "duration(\"2000000h\")"]),
    ]
    .boxed();
    prop_oneof![
        2 => one.clone(),
        1 => (one.clone(), prop::sample::select(vec!["+", "-"]), one)
            .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
        1 => (times(leaves), times(leaves)).prop_map(|(left, right)| format!("({left} - {right})")),
    ]
    .boxed()
}

fn conditions(leaves: &Leaves) -> BoxedStrategy<String> {
    let (text, number, list) = (texts(leaves), numbers(leaves), leaves.list.clone());
    let any = prop_oneof![leaves.any.clone(), text.clone(), number.clone()].boxed();
    let order = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let method = prop::sample::select(vec![
        "startsWith",
        "endsWith",
        "contains",
        "iequals",
        "istartsWith",
        "iendsWith",
        "icontains",
    ]);
    let pattern = prop::sample::select(vec![
        "matches(\"^/?b\")",
        "imatches(\"SH$\")",
        "glob(\"/**/*sh\")",
        "glob(\"?h\")",
        "like(\"*b*\")",
        "ilike(\"S*\")",
    ]);
    let quantifier = || prop::sample::select(vec!["exists", "all", "exists_one"]);
    let body = prop_oneof![
        literal().prop_map(|text| format!("e == {text}")),
        literal().prop_map(|text| format!("e != {text}")),
        literal().prop_map(|text| format!("e.startsWith({text})")),
        leaves.text.clone().prop_map(|text| format!("e == {text}")),
        leaves.list.clone().prop_map(|list| format!("e in {list}")),
        leaves
            .list
            .clone()
            .prop_map(|list| format!("{list}.exists(f, f == e)")),
    ];
    let words = prop::collection::vec(literal(), 0..10).prop_map(|words| format!("[{}]", words.join(", ")));
    let base = prop_oneof![
        2 => leaves.truth.clone(),
        4 => (text.clone(), order(), text.clone()).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        2 => (number.clone(), prop::sample::select(vec!["anyOf", "allOf"]), number.clone())
            .prop_map(|(left, test, right)| format!("bits.{test}({left}, {right})")),
        2 => text.clone().prop_map(|text| format!("isPublic({text})")),
        1 => (durations(leaves), order(), durations(leaves))
            .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        1 => (times(leaves), order(), times(leaves))
            .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        1 => leaves.text.clone().prop_map(|text| format!("has(timestamp({text}))")),
        1 => leaves.text.clone().prop_map(|text| format!("has(quantity({text}))")),
        1 => (leaves.text.clone(), order(), prop::sample::select(vec!["1", "0.5", "-1n", "1Ki", "1536Mi"]))
            .prop_map(|(text, operator, amount)| format!("quantity({text}) {operator} quantity({amount:?})")),
        1 => (leaves.text.clone(), order(), leaves.number.clone())
            .prop_map(|(text, operator, number)| format!("quantity({text}) {operator} quantity({number})")),
        2 => (text.clone(), prop::sample::select(vec!["10.0.0.0/8", "0.0.0.0/0", "::/0", "::ffff:8.8.8.0/120", "8.8.8.8"]))
            .prop_map(|(text, network)| format!("cidr({network:?}).containsIP({text})")),
        1 => (leaves.text.clone(), text.clone())
            .prop_map(|(network, text)| format!("cidr({network}).containsIP({text})")),
        1 => (leaves.text.clone(), leaves.text.clone()).prop_map(|(left, right)| format!("ip({left}) == ip({right})")),
        1 => leaves.text.clone().prop_map(|text| format!("ip({text}) in [ip(\"8.8.8.8\"), ip(\"10.0.0.1\")]")),
        1 => leaves.text.clone().prop_map(|text| format!("has(cidr({text}))")),
        4 => (number.clone(), order(), number).prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        10 => (text.clone(), method, prop_oneof![3 => literal(), 1 => text.clone()])
            .prop_map(|(text, method, other)| format!("{text}.{method}({other})")),
        2 => (text.clone(), pattern).prop_map(|(text, pattern)| format!("{text}.{pattern}")),
        2 => (text.clone(), words.clone()).prop_map(|(text, words)| format!("{text} in {words}")),
        2 => (text.clone(), prop::sample::select(vec!["texts", "globs", "networks", "nothing"]))
            .prop_map(|(text, name)| format!("{text} in lists[{name:?}]")),
        1 => list.clone().prop_map(|list| format!("{list}.exists(e, e in lists[\"globs\"])")),
        1 => list.clone().prop_map(|list| format!("{list}.intersects(lists[\"texts\"])")),
        2 => (text, list.clone()).prop_map(|(text, list)| format!("{text} in {list}")),
        2 => any.clone().prop_map(|any| format!("has({any})")),
        2 => any.prop_map(|any| format!("{any} == null")),
        2 => (list.clone(), words).prop_map(|(list, words)| format!("{list}.intersects({words})")),
        1 => (list.clone(), list.clone()).prop_map(|(left, right)| format!("{left} == {right}")),
        4 => (list.clone(), quantifier(), body.clone())
            .prop_map(|(list, quantifier, body)| format!("{list}.{quantifier}(e, {body})")),
        1 => (list.clone(), body, small()).prop_map(|(list, body, size)| format!("size({list}.filter(e, {body})) == {size}")),
        1 => (list, literal()).prop_map(|(list, text)| format!("{text} in {list}.map(e, e + \"h\")")),
    ];
    base.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} && {right})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} || {b} || {c})")),
            inner.clone().prop_map(|inner| format!("!({inner})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
    .boxed()
}

/// A condition of a rule.
pub(crate) fn on_events() -> BoxedStrategy<String> {
    let ancestors = prop_oneof![
        literal()
            .prop_map(|text| format!("process.ancestors.exists(a, a.name == {text} && {text} in a.args)")),
        literal().prop_map(|text| format!("process.ancestors.all(a, a.name != {text})")),
        literal().prop_map(|text| format!("process.ancestors[1].name == {text}")),
    ];
    conditions(&Leaves {
        text: pick(&["process.name", "process.executable", "process.tty", "process.parent.name", "container.name", "process.args_options[\"c\"]", "process.marks[\"m\"]"]),
        number: pick(&["process.pid", "process.exit_code", "process.args_count"]),
        list: pick(&["process.args", "process.args_flags", "process.parent.args", "host.marks[\"l\"]", "[\"sh\", process.name, process.tty]"]),
        truth: prop_oneof![
            2 => pick(&["process.args_truncated", "process.in_container", "event.kind == \"process.exec\"", "true"]),
            2 => ancestors,
        ]
        .boxed(),
        any: pick(&["process.tty", "process.executable", "process.parent", "process.ancestors", "process.exit_code", "process.marks[\"m\"]"]),
        time: pick(&["process.start", "event.time", "event.time - age(process.start)"]),
    })
}

/// A condition of a rule from which follows that certain values have to be there, in ways that rules are written.
pub(crate) fn needing_literals() -> BoxedStrategy<String> {
    let text = || {
        pick(&[
            "process.name",
            "process.executable",
            "process.command_line",
            "process.tty",
            "process.parent.name",
            "process.args[0]",
        ])
    };
    let number = || {
        pick(&[
            "process.pid",
            "process.args_count",
            "process.exit_code",
            "process.executable_uid",
        ])
    };
    let truth = || {
        pick(&[
            "process.in_container",
            "process.args_truncated",
            "process.executable_memfd",
            "process.exit_core_dumped",
        ])
    };
    let maybe = || {
        pick(&[
            "process.tty",
            "process.executable",
            "process.exit_code",
            "process.parent.executable",
            "process.args",
        ])
    };
    let list = || pick(&["process.args", "process.args_flags", "process.parent.args"]);
    let words =
        || prop::collection::vec(literal(), 1..10).prop_map(|words| format!("[{}]", words.join(", ")));
    let part = prop::sample::select(vec![
        "",
        "",
        "",
        ".base()",
        ".dir()",
        ".trim()",
        ".lowerAscii()",
        ".upperAscii()",
    ]);
    let text = (text(), part)
        .prop_map(|(text, part)| format!("{text}{part}"))
        .boxed();
    let method = || {
        prop::sample::select(vec![
            "startsWith",
            "endsWith",
            "contains",
            "iequals",
            "istartsWith",
            "iendsWith",
            "icontains",
        ])
    };
    let quantifier = || prop::sample::select(vec!["exists", "exists", "exists_one", "all"]);
    let member = || pick(&["a.name", "a.executable", "a.name.upperAscii()"]);
    let atom = prop_oneof![
        3 => (text.clone(), literal()).prop_map(|(text, word)| format!("{text} == {word}")),
        3 => (text.clone(), method(), literal()).prop_map(|(text, method, word)| format!("{text}.{method}({word})")),
        2 => (text.clone(), words()).prop_map(|(text, words)| format!("{text} in {words}")),
        2 => (text.clone(), pick(&[
            "matches(\"^/?b\")", "matches(\"(^s|ba)h\")", "matches(\"/(usr|bin)/(ba)?sh\")", "imatches(\"SH$\")",
            "imatches(\"^b?a\")", "glob(\"/**/*sh\")", "glob(\"/{bin,usr}/*\")", "like(\"/b*\")", "ilike(\"S*\")",
            "matches(\"(?-u:\\\\xff)|[ab]\")", "matches(\"\")",
        ])).prop_map(|(text, pattern)| format!("{text}.{pattern}")),
        1 => text.prop_map(|text| format!("{text} in lists[\"texts\"]")),
        2 => (number(), pick(&["==", "!=", "<", "<=", ">", ">="]), small()).prop_map(|(number, operator, bound)| {
            format!("{number} {operator} {bound}")
        }),
        1 => (small(), pick(&["==", "<", "<=", ">", ">="]), number()).prop_map(|(bound, operator, number)| {
            format!("{bound} {operator} {number}")
        }),
        1 => (number(), small(), small()).prop_map(|(number, one, other)| format!("{number} in [{one}, {other}]")),
        1 => (number(), small(), literal()).prop_map(|(number, one, other)| format!("{number} in [{one}, {other}]")),
        2 => (pick(&["", "!", "!!"]), truth(), pick(&["", " == true", " == false"])).prop_map(|(not, truth, equal)| {
            format!("{not}({truth}{equal})")
        }),
        2 => (maybe(), pick(&["== null", "!= null"])).prop_map(|(value, null)| format!("{value} {null}")),
        1 => (list(), quantifier(), pick(&["== null", "!= null", "== true", "== 2"]))
            .prop_map(|(list, quantifier, test)| format!("{list}.{quantifier}(e, e {test})")),
        1 => (quantifier(), pick(&["a.executable != null", "a.user.id == 0", "a.user.id < 1", "a.args == null"]))
            .prop_map(|(quantifier, test)| format!("process.ancestors.{quantifier}(a, {test})")),
        1 => (literal(), list()).prop_map(|(word, list)| format!("{word} in {list}")),
        1 => (list(), words()).prop_map(|(list, words)| format!("{words}.intersects({list})")),
        1 => (list(), quantifier(), method(), literal())
            .prop_map(|(list, quantifier, method, word)| format!("{list}.{quantifier}(e, e.{method}({word}))")),
        1 => (quantifier(), member(), literal(), literal()).prop_map(|(quantifier, member, word, other)| {
            format!("process.ancestors.{quantifier}(a, {member} == {word} && process.name != {other})")
        }),
        1 => (quantifier(), literal(), method()).prop_map(|(quantifier, word, method)| {
            format!("process.ancestors.exists(a, a.args.{quantifier}(b, b.{method}({word})))")
        }),
    ];
    atom.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left} && {right})")),
            3 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} || {b} || {c})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("!(!({a}) || !({b}))")),
            1 => inner.prop_map(|inner| format!("!({inner})")),
        ]
    })
    .boxed()
}

/// A condition of a check.
pub(crate) fn on_resources() -> BoxedStrategy<String> {
    const PATHS: &[&str] = &[
        "resource.a",
        "resource.b",
        "resource.c",
        "resource.d",
        "resource.a.b",
        "resource.b.a",
        "resource.c[1]",
        "resource.d[\"a\"]",
        "resource.a.b.c",
        "resource[\"b\"]",
    ];
    conditions(&Leaves {
        text: pick(PATHS),
        number: pick(PATHS),
        list: prop_oneof![3 => pick(PATHS), 1 => pick(&["[\"sh\", resource.a, resource.b.a]"])].boxed(),
        truth: pick(PATHS),
        any: pick(PATHS),
        time: prop::sample::select(PATHS)
            .prop_map(|path| format!("timestamp({path})"))
            .boxed(),
    })
}
