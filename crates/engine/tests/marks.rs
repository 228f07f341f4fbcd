//! Marks as they are kept, against a reference that remembers everything; and their bounds.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use yagura_engine::marks::{
    MAX_CONTAINERS, MAX_MARKS, MAX_PROCESS_BYTES, MAX_PROCESSES, MAX_VALUE_BYTES, MAX_VALUES, Marks,
};
use yagura_event::{Bearer, Event, EventKind, Registry, Text, Timestamp, Tree, build_event};
use yagura_rules::{Lists, Mark, MarkScope, MarkSource, RuleSource, compile};

const SECOND: i64 = 1_000_000_000;

fn mark(name: &str, scope: MarkScope, value: Option<&str>, append: bool, seconds: i64) -> Mark {
    let source = RuleSource {
        mark: Some(MarkSource {
            name: name.to_owned(),
            scope,
            value: value.map(str::to_owned),
            append,
            ttl: seconds * SECOND,
        }),
        ..RuleSource::new("r", "process.pid == 1")
    };
    let compiled = compile(&source, Registry::workload(), &Lists::default());
    compiled.rule.unwrap().mark.clone().unwrap()
}

fn event(time: i64, kind: EventKind, pid: i64, parent: i64, name: &str, container: Option<&str>) -> Event {
    let mut fields = vec![
        ("kind".into(), kind.as_str().into()),
        ("process.pid".into(), pid.into()),
        ("process.name".into(), name.into()),
        (
            "process.ancestors".into(),
            Tree::List(vec![Tree::map([("pid".into(), parent.into())])]),
        ),
    ];
    fields.extend(container.map(|id| ("container.id".into(), id.into())));
    build_event(&Tree::map(fields), Timestamp(time)).unwrap()
}

/// A mark that was set, for the reference.
#[derive(Clone)]
struct Put {
    mark: Mark,
    value: Tree,
    until: i64,
    inherited_until: i64,
}

/// Remembers everything that was ever set on whom, and looks through all of it.
#[derive(Default)]
struct Reference {
    processes: BTreeMap<i64, Vec<Put>>,
    containers: BTreeMap<String, Vec<Put>>,
    node: Vec<Put>,
}

impl Reference {
    fn begin(&mut self, now: i64, act: &Act) {
        if act.kind != EventKind::ProcessFork || act.pid == act.parent {
            return;
        }
        let of_parent = self.processes.get(&act.parent).cloned().unwrap_or_default();
        let taken = of_parent.iter().enumerate().filter_map(|(place, put)| {
            let later = &of_parent[place..];
            let mut same = later.iter().filter(|other| other.mark.name == put.mark.name);
            let stands = put.mark.append || same.all(|other| other.value == put.value);
            (stands && now < put.inherited_until).then(|| Put {
                until: put.inherited_until,
                ..put.clone()
            })
        });
        let taken = taken.collect();
        self.processes.insert(act.pid, taken);
    }

    fn set(&mut self, mark: &Mark, now: i64, act: &Act) {
        let put = Put {
            value: mark.value.map_or(Tree::Bool(true), |_| act.name.into()),
            until: now + mark.ttl,
            inherited_until: if mark.inherited { now + mark.ttl } else { i64::MIN },
            mark: mark.clone(),
        };
        match (mark.name.bearer, act.container) {
            (Bearer::Process, _) => self.processes.entry(act.pid).or_default().push(put),
            (Bearer::Host, _) => self.node.push(put),
            (Bearer::Container, Some(id)) => self.containers.entry(id.to_owned()).or_default().push(put),
            (Bearer::Container, None) => {}
        }
    }

    fn end(&mut self, act: &Act) {
        if act.kind == EventKind::ProcessExit {
            self.processes.remove(&act.pid);
        }
    }

    fn read(&self, now: i64, act: &Act) -> [Vec<(Text, Tree)>; 3] {
        let none = Vec::new();
        let container = act.container.and_then(|id| self.containers.get(id));
        [
            look(self.processes.get(&act.pid).unwrap_or(&none), now),
            look(container.unwrap_or(&none), now),
            look(&self.node, now),
        ]
    }
}

/// The values of all that was put, by name; lists in order of their values.
fn look(puts: &[Put], now: i64) -> Vec<(Text, Tree)> {
    let mut by_name: BTreeMap<Text, Vec<&Put>> = BTreeMap::new();
    for put in puts {
        by_name.entry(put.mark.name.name.clone()).or_default().push(put);
    }
    let mut read = Vec::new();
    for (name, puts) in by_name {
        let last = puts[puts.len() - 1];
        let tree = if last.mark.append {
            let mut living: Vec<&Tree> = puts
                .iter()
                .filter(|put| now < put.until)
                .map(|put| &put.value)
                .collect();
            living.sort_by_key(|tree| format!("{tree:?}"));
            living.dedup();
            (!living.is_empty()).then(|| Tree::List(living.into_iter().cloned().collect()))
        } else {
            let mut run = puts.iter().rev().take_while(|put| put.value == last.value);
            run.any(|put| now < put.until).then(|| last.value.clone())
        };
        read.extend(tree.map(|tree| (name, tree)));
    }
    read
}

fn sorted(marks: &[(Text, Tree)]) -> Vec<(Text, Tree)> {
    let sort = |tree: &Tree| match tree {
        Tree::List(values) => {
            let mut values = values.clone();
            values.sort_by_key(|value| format!("{value:?}"));
            Tree::List(values)
        }
        other => other.clone(),
    };
    marks
        .iter()
        .map(|(name, tree)| (name.clone(), sort(tree)))
        .collect()
}

#[derive(Clone, Debug)]
struct Act {
    /// Seconds since the one before.
    pause: i64,
    kind: EventKind,
    pid: i64,
    parent: i64,
    name: &'static str,
    container: Option<&'static str>,
    /// Which marks a match sets.
    sets: Vec<usize>,
}

fn act(marks: usize) -> impl Strategy<Value = Act> {
    let kind = prop_oneof![
        4 => Just(EventKind::ProcessExec),
        3 => Just(EventKind::ProcessFork),
        1 => Just(EventKind::ProcessExit),
    ];
    (
        0_i64..4,
        kind,
        1_i64..5,
        1_i64..5,
        prop::sample::select(vec!["a", "b", "c"]),
        prop::sample::select(vec![None, Some("c1"), Some("c2")]),
        prop::collection::vec(0..marks, 0..3),
    )
        .prop_map(|(pause, kind, pid, parent, name, container, sets)| Act {
            pause,
            kind,
            pid,
            parent,
            name,
            container,
            sets,
        })
}

#[test]
fn marks_are_what_a_reference_says_that_remembers_everything() {
    let name = Some("process.name");
    let marks = [
        mark("flag", MarkScope::Process, None, false, 4),
        mark("flag", MarkScope::ProcessTree, None, false, 7),
        mark("last", MarkScope::Process, name, false, 9),
        mark("last", MarkScope::ProcessTree, name, false, 5),
        mark("all", MarkScope::ProcessTree, name, true, 6),
        mark("all", MarkScope::Process, name, true, 9),
        mark("image", MarkScope::Container, name, false, 8),
        mark("tools", MarkScope::Container, name, true, 5),
        mark("node", MarkScope::Node, name, true, 3),
    ];
    let config = ProptestConfig::with_cases(2_000);
    proptest!(config, |(acts in prop::collection::vec(act(marks.len()), 1..40))| {
        let (mut kept, mut reference) = (Marks::default(), Reference::default());
        let mut now = 0;
        for act in &acts {
            now += act.pause * SECOND;
            let event = event(now, act.kind, act.pid, act.parent, act.name, act.container);
            kept.begin(&event);
            reference.begin(now, act);
            for place in &act.sets {
                kept.set(&marks[*place], &event);
                reference.set(&marks[*place], now, act);
            }
            let read = kept.of(&event).unwrap_or_default();
            let read = Bearer::ALL.map(|bearer| sorted(read.of(bearer)));
            prop_assert_eq!(read, reference.read(now, act), "after {:?}", act);
            kept.end(&event);
            reference.end(act);
        }
        prop_assert_eq!(kept.take_tally().evicted, 0);
    });
}

fn exec(time: i64, pid: i64, name: &str) -> Event {
    event(time, EventKind::ProcessExec, pid, 0, name, None)
}

#[test]
fn a_bearer_has_so_many_marks_and_a_mark_so_many_values() {
    let mut marks = Marks::default();
    let event = exec(0, 1, "a");
    for number in 0..MAX_MARKS {
        let seconds = i64::try_from(100 + number).unwrap();
        marks.set(
            &mark(&format!("m{number}"), MarkScope::Process, None, false, seconds),
            &event,
        );
    }
    assert_eq!(marks.take_tally().evicted, 0);
    marks.set(&mark("more", MarkScope::Process, None, false, 50), &event);
    assert_eq!(marks.take_tally().evicted, 1);
    let read = marks.of(&event).unwrap().process;
    assert_eq!(read.len(), MAX_MARKS);
    assert!(
        !read.iter().any(|(name, _)| name.as_bytes() == b"m0"),
        "what ends first makes room"
    );
    // What is over makes room without a loss.
    marks.set(
        &mark("later", MarkScope::Process, None, false, 50),
        &exec(60 * SECOND, 1, "a"),
    );
    assert_eq!(marks.take_tally().evicted, 0);

    let all = mark("all", MarkScope::Process, Some("process.name"), true, 100);
    for number in 0..=MAX_VALUES {
        marks.set(&all, &exec(0, 2, &number.to_string()));
    }
    assert_eq!(marks.take_tally().evicted, 1);
    let read = marks.of(&exec(0, 2, "a")).unwrap().process;
    let Tree::List(values) = &read[0].1 else {
        panic!("{read:?}")
    };
    assert_eq!((values.len(), &values[0]), (MAX_VALUES, &"1".into()));
}

#[test]
fn a_value_that_is_too_long_is_unknown() {
    let mut marks = Marks::default();
    let last = mark("last", MarkScope::Node, Some("process.name"), false, 100);
    for (length, expected) in [
        (MAX_VALUE_BYTES, None),
        (MAX_VALUE_BYTES + 1, Some(Tree::Unknown)),
    ] {
        let name = "x".repeat(length);
        let event = exec(0, 1, &name);
        marks.set(&last, &event);
        let expected = expected.unwrap_or_else(|| Tree::from(name.as_str()));
        assert_eq!(marks.of(&event).unwrap().host, [("last".into(), expected)]);
    }
}

#[test]
fn as_many_bear_marks_as_there_is_room_for_and_who_changed_longest_ago_makes_it() {
    let flag = mark("flag", MarkScope::ProcessTree, None, false, 1_000);
    let mut marks = Marks::default();
    let most = i64::try_from(MAX_PROCESSES).unwrap();
    marks.set(&flag, &exec(0, 1, "a"));
    // What is taken over takes room, too.
    for pid in 2..=most {
        marks.begin(&event(0, EventKind::ProcessFork, pid, 1, "a", None));
    }
    marks.set(&flag, &exec(0, 1, "a"));
    assert_eq!((marks.bearers(), marks.take_tally().evicted), (MAX_PROCESSES, 0));
    marks.set(&flag, &exec(0, most + 1, "a"));
    assert_eq!((marks.bearers(), marks.take_tally().evicted), (MAX_PROCESSES, 1));
    assert!(marks.of(&exec(0, 1, "a")).is_some() && marks.of(&exec(0, 2, "a")).is_none());

    let image = mark("image", MarkScope::Container, None, false, 10);
    for number in 0..=MAX_CONTAINERS {
        let container = format!("c{number}");
        marks.set(
            &image,
            &event(0, EventKind::ProcessExec, 1, 0, "a", Some(&container)),
        );
    }
    assert_eq!(marks.take_tally().evicted, 1);
    // A minute later all that is over is gone.
    marks.begin(&exec(1_001 * SECOND, 1, "a"));
    assert_eq!(marks.bearers(), 0);
}

#[test]
fn what_marks_take_in_bytes_is_bounded_and_given_back() {
    let all = mark("all", MarkScope::Process, Some("process.name"), true, 100);
    let mut marks = Marks::default();
    let long = "x".repeat(MAX_VALUE_BYTES - 3);
    let mut pid = 0;
    let evicted = |marks: &mut Marks| marks.take_tally().evicted;
    while evicted(&mut marks) == 0 {
        pid += 1;
        assert!(
            usize::try_from(pid).unwrap() < MAX_PROCESSES,
            "bytes are not bounded"
        );
        for number in 0..MAX_VALUES {
            marks.set(&all, &exec(0, pid, &format!("{number:03}{long}")));
        }
    }
    let each = MAX_VALUES * MAX_VALUE_BYTES;
    let most = MAX_PROCESS_BYTES / each;
    assert!(
        marks.bearers() <= most && marks.bearers() > most / 2,
        "{}",
        marks.bearers()
    );
    // Who ends gives all of it back: as many others find room.
    for gone in 1..=pid {
        marks.end(&event(0, EventKind::ProcessExit, gone, 0, "a", None));
    }
    assert_eq!(marks.bearers(), 0);
    for number in 0..MAX_VALUES {
        for other in 0..i64::try_from(most / 2).unwrap() {
            marks.set(&all, &exec(0, other, &format!("{number:03}{long}")));
        }
    }
    assert_eq!(evicted(&mut marks), 0);
}
