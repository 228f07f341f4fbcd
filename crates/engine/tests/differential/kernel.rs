//! The kernel part of random rules only widens: what matches passes, on values as the kernel has them.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use yagura_engine::{RuleSet, Scratch};
use yagura_event::field::kernel::{BASE_BYTES, COMM_BYTES, END_BYTES, FRONT_BYTES, KernelTest, Precision};
use yagura_event::{Event, FieldId, Known, Registry, ValueRef};
use yagura_rules::kernel::{Atom, Filter, Hooks, Key, Shape, Subject, Test};
use yagura_rules::{KernelPart, Rule, RuleSource, Target, compile, kernel_part};

use crate::{config, random};

mod generate;

use generate::{condition, event, rule, rules};

/// What a kernel program finds at its hook.
struct Hook<'e> {
    event: &'e Event,
    /// Fields that this kernel cannot give, and those whose truth it misses, by the places of their bits.
    lost: u64,
    missed: u64,
}

impl Hook<'_> {
    fn passes(&self, filter: &Filter) -> bool {
        filter
            .groups
            .iter()
            .any(|group| group.iter().all(|atom| self.holds(atom)))
    }

    /// Whether an atom holds: one about what could not be found out always does.
    fn holds(&self, atom: &Atom) -> bool {
        match self.value(atom.subject) {
            ValueRef::Unknown => true,
            value => self.test(atom, &value) != atom.negated,
        }
    }

    fn value(&self, subject: Subject) -> ValueRef<'_> {
        let registry = Registry::workload();
        let known = registry.field(subject.field).in_kernel.unwrap();
        assert!(
            known.kinds.contains(self.event.kind),
            "a test of what the hook does not have"
        );
        if bit(self.lost, subject.field) {
            return ValueRef::Unknown;
        }
        match registry.read(subject.field, self.event) {
            ValueRef::Bool(true) if known.precision == Precision::TrueIsSure => {
                ValueRef::Bool(!bit(self.missed, subject.field))
            }
            ValueRef::Bytes(path) if subject.base => {
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
                ValueRef::Bytes(name.to_vec().into())
            }
            value => value,
        }
    }

    fn test(&self, atom: &Atom, value: &ValueRef<'_>) -> bool {
        let test = Registry::workload()
            .field(atom.subject.field)
            .in_kernel
            .unwrap()
            .test;
        let front = match (test, atom.subject.base) {
            (KernelTest::Path, true) => BASE_BYTES,
            (KernelTest::Path, false) => FRONT_BYTES,
            _ => COMM_BYTES,
        };
        let end = if test == KernelTest::Path {
            END_BYTES
        } else {
            COMM_BYTES
        };
        match (&atom.test, value) {
            (Test::Present, value) => value.is_present(),
            (Test::Is(wanted), ValueRef::Bool(value)) => value == wanted,
            (Test::Numbers(ranges), ValueRef::Int(number)) => {
                let number = u64::try_from(*number).unwrap();
                ranges
                    .iter()
                    .any(|range| range.min <= number && number <= range.max)
            }
            (Test::Bits { mask, all }, ValueRef::Int(number)) => {
                has_bits(u64::try_from(*number).unwrap(), *mask, *all)
            }
            (Test::Bits { mask, all }, ValueRef::List(_)) => {
                has_bits(self.event.process.capabilities_effective, *mask, *all)
            }
            (Test::Texts(keys), ValueRef::Bytes(found)) => keys.iter().any(|Key { shape, text: key }| {
                let key = key.as_bytes();
                let width = if *shape == Shape::Suffix { end } else { front };
                assert!(key.len() <= width, "longer than what is compared");
                // What the program has of the value: no more than fits into the key of a map.
                let start = &found[..found.len().min(front)];
                match shape {
                    Shape::Whole => start == key,
                    Shape::Prefix => start.starts_with(key),
                    Shape::Suffix => found[found.len().saturating_sub(end)..].ends_with(key),
                }
            }),
            (_, value) => {
                assert!(value.is_absent(), "{atom}: {value:?}");
                false
            }
        }
    }
}

fn has_bits(value: u64, mask: u64, all: bool) -> bool {
    if all {
        value & mask == mask
    } else {
        value & mask != 0
    }
}

fn bit(bits: u64, field: FieldId) -> bool {
    bits >> (field.0 % 64) & 1 == 1
}

/// What user space makes of a kernel that does not have everything: the fields are unknown there, too.
fn without_lost(event: &Event, lost: u64) -> (Event, u64) {
    let registry = Registry::workload();
    let id = |path: &str| registry.find(path).unwrap();
    let is_lost = |path: &str| bit(lost, id(path));
    let mut event = event.clone();
    let process = Arc::make_mut(&mut event.process);
    let mut kept = 0u64;
    let mut keep = |path: &str| kept |= 1 << (id(path).0 % 64);
    if is_lost("process.tty") {
        process.tty = Known::Unknown;
        keep("process.tty");
    }
    if is_lost("process.stdin.kind") {
        process.stdio[0] = Known::Unknown;
        keep("process.stdin.kind");
    }
    (event, kept)
}

/// A rule that matches although its kernel part, or that of all rules together, keeps the event back.
fn narrows(rules: &[Arc<Rule>], parts: &[KernelPart], event: &Event, hook: &Hook<'_>) -> Option<String> {
    let set = RuleSet::new(rules.iter().map(Arc::clone));
    let together = Hooks::join(parts);
    let matches = set.evaluate_all(event, &mut Scratch::default());
    let of = |part: &KernelPart| {
        let found = part.filters.iter().find(|(kind, _)| *kind == event.kind);
        found.map(|(_, filter)| filter.clone())
    };
    for (index, (rule, part)) in rules.iter().zip(parts).enumerate() {
        let found = matches.iter().find(|found| found.rule == index);
        let filter = of(part);
        let passes = filter.as_ref().is_some_and(|filter| hook.passes(filter));
        if found.is_some() && !passes {
            return Some(format!("{} does not pass {filter:?}: {event:?}", rule.name));
        }
        // What says it is all of the rule is.
        let exact = filter.as_ref().is_some_and(|filter| filter.exact);
        if exact && passes && found.is_none() {
            return Some(format!("{} is not all of {}: {event:?}", filter?, rule.name));
        }
    }
    let passes = together
        .of(event.kind)
        .is_some_and(|found| hook.passes(&found.filter));
    if !matches.is_empty() && !passes {
        return Some(format!("together they keep back {event:?}"));
    }
    None
}

fn parts(rules: &[Arc<Rule>]) -> Vec<KernelPart> {
    rules.iter().map(|rule| kernel_part(rule)).collect()
}

/// Twice what `PROPTEST_CASES` or the default says: several rules are compiled for each.
fn few() -> Config {
    Config {
        cases: Config::default().cases.saturating_mul(2),
        ..config()
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn kernel_part_only_widens(rules in rules(), event in event(), lost in any::<(u64, u64)>(), missed: u64) {
        let (event, lost) = without_lost(&event, lost.0 & lost.1);
        let hook = Hook { event: &event, lost, missed };
        prop_assert_eq!(narrows(&rules, &parts(&rules), &event, &hook), None);
    }

    /// The text of a filter is a condition of which the kernel says what it says of the filter.
    #[test]
    fn the_text_of_a_filter_is_a_condition(condition in condition(), event in event(), lost: u64) {
        let Some(rule) = rule(&condition, Target::Any) else { return Ok(()) };
        for (kind, filter) in kernel_part(&rule).filters {
            if filter.is_open() || filter.groups.is_empty() || kind != event.kind {
                continue;
            }
            let text = filter.to_string();
            let again = RuleSource::new("r", &format!("event.kind == {:?} && ({text})", kind.as_str()));
            let again = compile(&again, Registry::workload(), &random::lists());
            let Some(again) = again.rule else { panic!("{text}: {:?}", again.diagnostics) };
            let again = kernel_part(&again);
            let (_, found) = again.filters.first().unwrap();
            let (event, lost) = without_lost(&event, lost);
            let hook = Hook { event: &event, lost, missed: 0 };
            // A negated range takes two groups where it stood in one, which may be too many.
            prop_assert!(found.is_open() || hook.passes(found) == hook.passes(&filter), "{} and {}", text, found);
        }
    }
}

/// Filters keep back events in numbers, or the comparison would compare nothing; and one that keeps back more than it may
/// is noticed.
#[test]
fn kernel_parts_keep_events_back() {
    let mut runner = TestRunner::deterministic();
    let (mut compiled, mut usable, mut exact, mut kept, mut noticed) = (0, 0, 0, 0, 0);
    for _ in 0..600 {
        let rules = rules().new_tree(&mut runner).unwrap().current();
        let event = event().new_tree(&mut runner).unwrap().current();
        let hook = Hook {
            event: &event,
            lost: 0,
            missed: 0,
        };
        for rule in rules {
            let mut part = kernel_part(&rule);
            compiled += 1;
            usable += usize::from(part.filters.iter().any(|(_, filter)| !filter.is_open()));
            exact += usize::from(part.filters.iter().any(|(_, filter)| filter.exact));
            let Some((_, filter)) = part.filters.iter_mut().find(|(kind, _)| *kind == event.kind) else {
                continue;
            };
            kept += usize::from(!hook.passes(filter));
            filter.groups.pop();
            noticed += usize::from(narrows(&[rule], &[part], &event, &hook).is_some());
        }
    }
    println!(
        "{compiled} rules, {usable} with a filter, {exact} exact, {kept} events kept back, {noticed} noticed"
    );
    assert!(compiled > 800, "only {compiled} rules compile");
    assert!(usable * 2 > compiled, "only {usable} of {compiled} have a filter");
    assert!(exact * 10 > compiled, "only {exact} of {compiled} are exact");
    assert!(kept > 100, "only {kept} events are kept back");
    assert!(noticed > 100, "only {noticed} mistakes are noticed");
}
