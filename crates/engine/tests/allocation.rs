//! An event that matches nothing costs no allocation.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail a test like the tests themselves"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use yagura_engine::{RuleSet, Scratch};
use yagura_event::{Event, Registry, Text, Timestamp, Tree, build_event};
use yagura_rules::{LetSource, Lists, RuleSource, Target, compile};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts per thread.
struct Counting;

#[expect(
    unsafe_code,
    reason = "counting allocations is only possible as the global allocator"
)]
// SAFETY: every call is passed on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // At the end of a thread the counter is gone, and nobody reads it any more.
        let _gone = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer comes from `alloc` above, which is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

fn rules() -> RuleSet {
    let conditions = [
        "event.kind == \"process.exec\" && process.name in lists[\"shells\"] && process.tty != null",
        "process.executable.startsWith(\"/dev/shm/\") || process.executable.glob(\"/tmp/**/x\")",
        "process.args.exists(a, a.contains(\"base64\") || a.matches(\"^-+d(ecode)?$\"))",
        "process.ancestors.exists(a, a.name == \"nginx\" && \"-g\" in a.args) && process.user.id == 0",
        "process.name.icontains(\"XMRIG\") || process.executable.base().iendsWith(\"miner\")",
        "process.executable_memfd || process.executable_upper_layer && container.image.name != \"build\"",
        "process.capabilities.effective.intersects([\"CAP_SYS_ADMIN\", \"CAP_BPF\"]) && process.pid < 5",
        "k8s.pod.labels[\"app\"] == \"cart\" && size(process.args) > 100",
        "process.command_line.contains(\"curl\") || process.command_line.matches(\"(wget|nc) .*-e$\")",
        "process.command_line.iendsWith(\"/HOME/X\") && size(process.command_line) > 1000",
        "process.pid in [1, 2, 3] || process.args_count >= 17 || process.user.id < 0",
        "!process.executable_memfd && process.tty == null && process.in_container == false",
        "(process.pid % 2 == 0 ? process.stdin.kind : process.stdout.kind) == \"socket\" && process.pid == 1",
    ];
    RuleSet::new(conditions.iter().map(|condition| {
        let mut source = RuleSource::new(condition, "held");
        source.lets = vec![LetSource {
            name: "held".to_owned(),
            value: (*condition).to_owned(),
        }];
        source.where_.target = Target::Any;
        compile(&source, Registry::workload(), &Lists::default())
            .rule
            .unwrap()
    }))
}

fn event(name: &str) -> Event {
    let list = |values: &[&str]| Tree::List(values.iter().map(|value| Tree::from(*value)).collect());
    let parent = Tree::map([
        ("name".into(), "systemd".into()),
        ("args".into(), list(&["--user"])),
    ]);
    let fields: [(&str, Tree); 8] = [
        ("kind", "process.exec".into()),
        ("process.name", name.into()),
        ("process.pid", 4711.into()),
        ("process.executable", "/usr/bin/ls".into()),
        ("process.tty", "pts/0".into()),
        ("process.args", list(&["-l", "--color", "/home"])),
        ("process.ancestors", Tree::List(vec![parent])),
        ("container.id", "c1".into()),
    ];
    build_event(
        &Tree::map(fields.map(|(name, value)| (Text::from(name), value))),
        Timestamp(0),
    )
    .unwrap()
}

#[test]
fn an_event_that_matches_nothing_allocates_nothing() {
    let set = rules();
    let mut scratch = Scratch::default();
    let (silent, loud) = (event("ls"), event("bash"));
    // The first events fill what is kept: the stack, and the caches of regular expressions.
    assert_eq!(set.evaluate(&silent, &mut scratch), vec![]);
    assert_eq!(set.evaluate(&loud, &mut scratch).len(), 1);
    let mut found = 0;
    let count = allocations(|| {
        for _ in 0..1_000 {
            found += set.evaluate(&silent, &mut scratch).len();
        }
    });
    assert_eq!((found, count), (0, 0));
    assert!(
        allocations(|| found += set.evaluate(&loud, &mut scratch).len()) > 0,
        "the counter counts"
    );
    assert_eq!(found, 1);
}
