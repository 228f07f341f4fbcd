//! In which order rules are asked, so that a mark is set before a rule asks for it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use yagura_rules::{MarkName, Rule};

/// Most rules that build on each other, from the first that sets a mark to the last that asks for one.
pub const MAX_STRATA: usize = 16;

/// Why a rule has no place in the order. It does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unordered {
    /// Each of these rules sets a mark that the next one asks for, and the last one one that the first asks for. The rule is
    /// the first of them.
    Circle(Vec<Link>),
    /// It would come after more than [`MAX_STRATA`] others that build on each other.
    TooDeep,
}

/// A rule of a circle and the mark that it sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The rule.
    pub rule: String,
    /// The mark that it sets, as it is asked for.
    pub mark: String,
}

impl fmt::Display for Unordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Circle(links) = self else {
            return write!(
                f,
                "more than {MAX_STRATA} rules build on each other's marks up to this one"
            );
        };
        f.write_str("rules wait for each other's marks: ")?;
        for Link { rule, mark } in links {
            write!(f, "{rule} sets {mark} for ")?;
        }
        f.write_str(links.first().map_or("", |first| &first.rule))
    }
}

/// The stratum of each rule, from 0. A rule that asks for a mark that it sets itself sees what was set before the event.
pub fn order(rules: &[Arc<Rule>]) -> Vec<Result<usize, Unordered>> {
    let graph = Graph::new(rules);
    let mut circles: HashMap<usize, Vec<usize>> = HashMap::new();
    // Only rules that never come to rest can be in one.
    for (rule, level) in graph.levels(&circles).into_iter().enumerate() {
        if level >= MAX_STRATA
            && let Some(circle) = graph.circle(rule)
        {
            circles.insert(rule, circle);
        }
    }
    let levels = graph.levels(&circles);
    levels
        .into_iter()
        .enumerate()
        .map(|(rule, level)| match circles.get(&rule) {
            Some(circle) => Err(Unordered::Circle(graph.links(circle))),
            None if level >= MAX_STRATA => Err(Unordered::TooDeep),
            None => Ok(level),
        })
        .collect()
}

/// Which rules set which marks, and which ask for them.
struct Graph<'r> {
    rules: &'r [Arc<Rule>],
    setters: HashMap<&'r MarkName, Vec<usize>>,
    readers: HashMap<&'r MarkName, Vec<usize>>,
}

impl<'r> Graph<'r> {
    fn new(rules: &'r [Arc<Rule>]) -> Self {
        let mut setters: HashMap<&MarkName, Vec<usize>> = HashMap::new();
        let mut readers: HashMap<&MarkName, Vec<usize>> = HashMap::new();
        for (place, rule) in rules.iter().enumerate() {
            if let Some(mark) = &rule.mark {
                setters.entry(&mark.name).or_default().push(place);
            }
            for name in &rule.reads {
                readers.entry(name).or_default().push(place);
            }
        }
        Self {
            rules,
            setters,
            readers,
        }
    }

    /// How many rules come before each at least; [`MAX_STRATA`] stands for any more. Those in circles count for nobody.
    fn levels(&self, circles: &HashMap<usize, Vec<usize>>) -> Vec<usize> {
        let mut levels = vec![0_usize; self.rules.len()];
        for _ in 0..=MAX_STRATA {
            let mut changed = false;
            for (name, readers) in &self.readers {
                let setters = self.setters.get(name).map_or(&[][..], Vec::as_slice);
                for reader in readers {
                    let others = setters
                        .iter()
                        .filter(|setter| *setter != reader && !circles.contains_key(setter));
                    let below = others.filter_map(|setter| levels.get(*setter)).max().copied();
                    let at_least = below.map_or(0, |below| (below + 1).min(MAX_STRATA));
                    if let Some(level) = levels.get_mut(*reader)
                        && *level < at_least
                    {
                        *level = at_least;
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        levels
    }

    /// The shortest circle that begins with a rule.
    fn circle(&self, rule: usize) -> Option<Vec<usize>> {
        let mut came_from: HashMap<usize, usize> = HashMap::new();
        let mut waiting = VecDeque::from([rule]);
        while let Some(at) = waiting.pop_front() {
            let name = self.rules.get(at)?.mark.as_ref().map(|mark| &mark.name);
            let readers = name.and_then(|name| self.readers.get(name));
            for next in readers.into_iter().flatten().copied().filter(|next| *next != at) {
                if next == rule {
                    let mut circle = vec![at];
                    while let Some(before) = circle.last().and_then(|last| came_from.get(last)) {
                        circle.push(*before);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if let Entry::Vacant(first) = came_from.entry(next) {
                    first.insert(at);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    fn links(&self, circle: &[usize]) -> Vec<Link> {
        let rules = circle.iter().filter_map(|place| self.rules.get(*place));
        let link = |rule: &Arc<Rule>| {
            let mark = rule.mark.as_ref().map(|mark| shown(&mark.name));
            Link {
                rule: rule.name.clone(),
                mark: mark.unwrap_or_default(),
            }
        };
        rules.map(link).collect()
    }
}

/// A mark as it is asked for.
pub fn shown(MarkName { bearer, name }: &MarkName) -> String {
    format!("{}[\"{name}\"]", bearer.path())
}
