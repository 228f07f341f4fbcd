//! Lineage holds what was true at fork time, and memory is bounded.

use std::collections::HashSet;

use yagura_event::{Process, ProcessId, Text};

use super::{Entry, MOST_ANCESTORS, MOST_EXITED, Table};

fn id(pid: u32) -> ProcessId {
    ProcessId {
        pid,
        start_ticks: u64::from(pid) * 10,
    }
}

fn most() -> u32 {
    u32::try_from(MOST_ANCESTORS).unwrap()
}

fn fork(table: &mut Table, parent: ProcessId, child: ProcessId, name: &str) {
    let lineage = table.lineage_below(parent);
    table.insert(Entry::new(
        Process {
            id: child,
            name: Text::from(name),
            ancestors: lineage.ancestors,
            ancestors_complete: lineage.complete,
            ..Process::default()
        },
        None,
    ));
}

fn names(table: &mut Table, process: ProcessId) -> Vec<String> {
    let process = &table.get_mut(process).unwrap().process;
    process
        .ancestors
        .iter()
        .map(|ancestor| ancestor.name.to_string())
        .collect()
}

#[test]
fn a_double_fork_hides_nothing() {
    let mut table = Table::default();
    fork(&mut table, id(0), id(1), "init");
    fork(&mut table, id(1), id(10), "server");
    fork(&mut table, id(10), id(11), "middle");
    fork(&mut table, id(11), id(12), "daemon");
    table.exit(id(11)).unwrap();
    table.exit(id(10)).unwrap();
    assert_eq!(names(&mut table, id(12)), ["middle", "server", "init"]);
    assert!(table.get_mut(id(12)).unwrap().process.ancestors_complete);
    assert!(table.exit(id(11)).is_none(), "a second exit is a repeat");
    assert!(table.has_exited(id(11)));
}

#[test]
fn an_unknown_parent_is_said_to_be_unknown() {
    let mut table = Table::default();
    fork(&mut table, id(77), id(78), "orphan");
    let process = &table.get_mut(id(78)).unwrap().process;
    assert_eq!(process.ancestors[0].id, id(77));
    assert!(process.ancestors[0].executable.is_unknown());
    assert!(!process.ancestors_complete);
}

#[test]
fn a_reused_process_id_is_another_process() {
    let mut table = Table::default();
    fork(&mut table, id(1), id(5), "old");
    let reused = ProcessId {
        pid: 5,
        start_ticks: 9999,
    };
    fork(&mut table, id(1), reused, "new");
    assert_eq!(table.get_mut(reused).unwrap().process.name, Text::from("new"));
    assert_eq!(table.get_mut(id(5)).unwrap().process.name, Text::from("old"));
    assert_eq!(table.len(), 1);
    assert!(table.exit(id(5)).is_none(), "the exit of the old one is late");
    assert_eq!(table.len(), 1);
}

#[test]
fn deep_lineage_is_cut_and_said_to_be() {
    let mut table = Table::default();
    fork(&mut table, id(0), id(1), "1");
    for pid in 2..=most() + 2 {
        fork(&mut table, id(pid - 1), id(pid), &pid.to_string());
    }
    let deepest = id(most() + 2);
    let process = &table.get_mut(deepest).unwrap().process;
    assert_eq!(process.ancestors.len(), MOST_ANCESTORS);
    assert!(!process.ancestors_complete);
    let whole = &table.get_mut(id(most() + 1)).unwrap().process;
    assert!(whole.ancestors_complete);
}

#[test]
fn the_exited_are_bounded_and_the_living_stay() {
    let mut table = Table::default();
    let last = u32::try_from(MOST_EXITED).unwrap() * 2;
    for pid in 1..=last {
        fork(&mut table, id(0), id(pid), "x");
    }
    for pid in 1..last {
        table.exit(id(pid)).unwrap();
    }
    assert_eq!(table.exited.len(), MOST_EXITED);
    assert!(!table.has_exited(id(1)));
    assert!(table.get_mut(id(last)).is_some());
    table.retain(&HashSet::new());
    assert_eq!(table.len(), 0);
}
