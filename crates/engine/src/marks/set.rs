//! The marks that one bearer has.

use yagura_event::{Text, Timestamp, Tree};
use yagura_rules::{Mark, limits};

/// Most marks of one bearer.
pub const MAX_MARKS: usize = 32;
/// Most values of one mark.
pub const MAX_VALUES: usize = limits::MARK_VALUES;
/// Longest value, in bytes; that of a longer one is unknown.
pub const MAX_VALUE_BYTES: usize = limits::MARK_VALUE_BYTES;

/// Bytes that a mark and a value take beside their texts.
const OVERHEAD: usize = 64;

/// Marks by name, sorted.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    marks: Vec<(Text, Kept)>,
}

#[derive(Clone, Debug)]
struct Kept {
    /// Whether it is a list.
    list: bool,
    /// At least one, the one that was set last at the end.
    values: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Value {
    tree: Tree,
    /// From then on it is over.
    until: Timestamp,
    /// The same for processes that take it over: they do so only before.
    inherited_until: Timestamp,
}

/// When what is not taken over is over for others.
const NEVER: Timestamp = Timestamp(i64::MIN);

impl Value {
    fn lives(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl Kept {
    fn lives(&self, now: Timestamp) -> bool {
        self.values.iter().any(|value| value.lives(now))
    }

    /// When the last of it is over.
    fn until(&self) -> Timestamp {
        let ends = self.values.iter().map(|value| value.until);
        ends.max().unwrap_or_default()
    }
}

impl Set {
    /// Puts a value in. Gives how many others had to make room.
    pub(super) fn put(&mut self, mark: &Mark, tree: Tree, now: Timestamp) -> u64 {
        let until = now.after(mark.ttl);
        let mut value = Value {
            tree: bounded(tree),
            until,
            inherited_until: if mark.inherited { until } else { NEVER },
        };
        let name = &mark.name.name;
        let mut evicted = 0;
        if self.find(name).is_err() {
            evicted += self.make_room(now);
        }
        let place = self.find(name).unwrap_or_else(|place| {
            let kept = Kept {
                list: mark.append,
                values: Vec::new(),
            };
            self.marks.insert(place, (name.clone(), kept));
            place
        });
        let Some((_, kept)) = self.marks.get_mut(place) else {
            return evicted;
        };
        if kept.list != mark.append {
            kept.list = mark.append;
            kept.values.clear();
        }
        if let Some(same) = kept.values.iter().position(|known| known.tree == value.tree) {
            let known = kept.values.remove(same);
            // One that was set for longer stays for longer.
            value.until = value.until.max(known.until);
            value.inherited_until = value.inherited_until.max(known.inherited_until);
        }
        if !mark.append {
            kept.values.clear();
        }
        kept.values.push(value);
        if kept.values.len() > MAX_VALUES {
            kept.values.retain(|value| value.lives(now));
        }
        if kept.values.len() > MAX_VALUES {
            kept.values.remove(0);
            evicted += 1;
        }
        evicted
    }

    /// The values by name.
    pub(super) fn read(&self, now: Timestamp) -> Vec<(Text, Tree)> {
        let mut read = Vec::new();
        for (name, kept) in &self.marks {
            let mut values = kept.values.iter().filter(|value| value.lives(now));
            let tree = if kept.list {
                let values: Vec<Tree> = values.map(|value| value.tree.clone()).collect();
                (!values.is_empty()).then_some(Tree::List(values))
            } else {
                values.next().map(|value| value.tree.clone())
            };
            read.extend(tree.map(|tree| (name.clone(), tree)));
        }
        read
    }

    /// What a process takes over that is started now; `None`: all of it.
    pub(super) fn inherited(&self, now: Timestamp) -> Option<Self> {
        let all = self.marks.iter().flat_map(|(_, kept)| &kept.values);
        let goes_over = |value: &Value| now < value.inherited_until;
        if all
            .clone()
            .all(|value| goes_over(value) && value.until == value.inherited_until)
        {
            return None;
        }
        let taken = |value: &Value| {
            goes_over(value).then(|| Value {
                until: value.inherited_until,
                ..value.clone()
            })
        };
        let marks = self.marks.iter().filter_map(|(name, kept)| {
            let values: Vec<Value> = kept.values.iter().filter_map(taken).collect();
            let list = kept.list;
            (!values.is_empty()).then(|| (name.clone(), Kept { list, values }))
        });
        Some(Self {
            marks: marks.collect(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// How many marks are not over.
    pub(super) fn living(&self, now: Timestamp) -> u64 {
        self.marks.iter().filter(|(_, kept)| kept.lives(now)).count() as u64
    }

    /// What it takes of the bytes of all bearers together.
    pub(super) fn bytes(&self) -> usize {
        let of_value = |value: &Value| match &value.tree {
            Tree::Text(text) => OVERHEAD + text.len(),
            _ => OVERHEAD,
        };
        let of_mark = |(name, kept): &(Text, Kept)| {
            OVERHEAD + name.len() + kept.values.iter().map(of_value).sum::<usize>()
        };
        self.marks.iter().map(of_mark).sum()
    }

    fn find(&self, name: &Text) -> Result<usize, usize> {
        self.marks.binary_search_by(|(known, _)| known.cmp(name))
    }

    /// Makes room for one more mark: of those that are over, or of the one that is over first.
    fn make_room(&mut self, now: Timestamp) -> u64 {
        if self.marks.len() < MAX_MARKS {
            return 0;
        }
        self.marks.retain(|(_, kept)| kept.lives(now));
        if self.marks.len() < MAX_MARKS {
            return 0;
        }
        let places = 0..self.marks.len();
        let first = places.min_by_key(|place| self.marks.get(*place).map(|(_, kept)| kept.until()));
        if let Some(first) = first {
            self.marks.remove(first);
        }
        1
    }
}

/// A value that is too long to be kept is not known any more.
fn bounded(tree: Tree) -> Tree {
    match tree {
        Tree::Text(text) if text.len() > MAX_VALUE_BYTES => Tree::Unknown,
        tree => tree,
    }
}
