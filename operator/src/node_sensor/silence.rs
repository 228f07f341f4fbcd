//! When a node's silence matters, and who is told: pure, time is handed in.
//!
//! A node is silent when its agent has had no stream for a while and nothing explains it; some time later a signal
//! says so. When many are silent at once the cause is most likely one, and so is the signal. What a node was told about
//! stays told until its agent speaks again or the node is gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use yagura_event::Timestamp;

use super::excuse::{Cause, Excuse};

const SECOND: i64 = 1_000_000_000;

/// The longest pause of an agent before it connects again: after a start of the operator all of them may take it.
const JITTER: i64 = 30 * SECOND;

/// For how long an agent's pod may take to end and to be replaced. Longer than a slow pull of its image, and short
/// enough that an update which never comes to an end is not an excuse for ever.
const PATIENCE: i64 = 600 * SECOND;

/// Fewer silent nodes than this are told one by one, whatever part of the cluster they are.
const FEW: usize = 3;

/// More than this many in a hundred are told together.
const PERCENT: usize = 5;

/// How long silence may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Without a stream for this long, a node is not ready.
    pub(super) not_ready: i64,
    /// Not ready for this long, a signal says so.
    pub(super) signal: i64,
}

/// What is known of a node now.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its name.
    pub(super) node: String,
    /// Whether its agent has a stream.
    pub(super) connected: bool,
    /// When the operator last heard of it.
    pub(super) heard: Option<Timestamp>,
    /// What explains that it has none.
    pub(super) excuse: Option<Excuse>,
    /// What it looks like from here.
    pub(super) cause: Cause,
}

/// How a node's agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has a stream.
    Connected,
    /// It has none, for a short time.
    Waiting,
    /// It has none, and that is explained.
    Excused(Excuse),
    /// It has none.
    Silent(Cause),
}

/// Whom a signal is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// One node.
    Node(String),
    /// Many nodes, for one cause.
    Many(Cause),
}

/// What should be said of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saying {
    /// Of whom.
    pub(super) about: Subject,
    /// The silent nodes, sorted; none when the subject is silent no more.
    pub(super) nodes: BTreeSet<String>,
    /// Why, as far as it can be seen.
    pub(super) cause: Cause,
}

/// How a node was told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Alone,
    Together,
}

#[derive(Debug, Default)]
struct Node {
    /// Silence is counted from here, if this is later than everything else.
    from: Timestamp,
    /// Since when the agent's pod has been ending or starting.
    in_transit: Option<Timestamp>,
    told: Option<(Told, Cause)>,
}

/// The nodes and what was said about them.
#[derive(Debug)]
pub(super) struct Silence {
    times: Times,
    started: Timestamp,
    nodes: HashMap<String, Node>,
    /// What was said last; `None` where an earlier operator may have said something.
    said: BTreeMap<Subject, Option<Saying>>,
}

impl Silence {
    /// Begins to listen at `started`.
    pub(super) fn new(times: Times, started: Timestamp) -> Self {
        Self {
            times,
            started,
            nodes: HashMap::new(),
            said: Cause::ALL
                .into_iter()
                .map(|cause| (Subject::Many(cause), None))
                .collect(),
        }
    }

    /// Looks at all nodes. Those that are not among `seen` any more are forgotten.
    pub(super) fn look(&mut self, seen: &[Seen], now: Timestamp) -> HashMap<String, Standing> {
        let present: BTreeSet<&str> = seen.iter().map(|seen| seen.node.as_str()).collect();
        self.nodes.retain(|node, _| present.contains(node.as_str()));
        self.said.retain(|about, said| {
            let is_over = said.as_ref().is_some_and(|saying| saying.nodes.is_empty());
            !matches!(about, Subject::Node(name) if is_over && !present.contains(name.as_str()))
        });
        let standings: HashMap<String, Standing> = seen
            .iter()
            .map(|seen| (seen.node.clone(), self.standing(seen, now)))
            .collect();
        let silent = standings
            .values()
            .filter(|standing| matches!(standing, Standing::Silent(_)))
            .count();
        let many = silent >= FEW && silent * 100 > seen.len() * PERCENT;
        for (name, standing) in &standings {
            let Some(node) = self.nodes.get_mut(name) else {
                continue;
            };
            match (standing, &mut node.told) {
                (Standing::Connected, told) => *told = None,
                (Standing::Silent(cause), Some((_, said))) => *said = *cause,
                (Standing::Silent(cause), told)
                    if now.since(node.from) >= self.times.not_ready + self.times.signal =>
                {
                    let how = if many { Told::Together } else { Told::Alone };
                    *told = Some((how, *cause));
                }
                _ => {}
            }
        }
        standings
    }

    /// Whether a signal would be due that was not said yet: worth asking whether the API server, which knows what
    /// excuses a node, can be asked at all.
    pub(super) fn is_about_to_tell(&self, standings: &HashMap<String, Standing>) -> bool {
        standings.iter().any(|(name, standing)| {
            matches!(standing, Standing::Silent(_))
                && self.nodes.get(name).is_some_and(|node| node.told.is_none())
        })
    }

    fn standing(&mut self, seen: &Seen, now: Timestamp) -> Standing {
        if !self.nodes.contains_key(&seen.node) {
            self.said.entry(Subject::Node(seen.node.clone())).or_insert(None);
        }
        let node = self.nodes.entry(seen.node.clone()).or_default();
        if seen.connected {
            *node = Node {
                told: node.told,
                ..Node::default()
            };
            return Standing::Connected;
        }
        let heard = seen.heard.unwrap_or_default().max(self.started.after(JITTER));
        let excuse = seen.excuse.filter(|excuse| {
            if !excuse.is_transit() {
                return true;
            }
            let since = *node.in_transit.get_or_insert(now);
            now.since(since) < PATIENCE
        });
        node.from = node.from.max(heard);
        if excuse.is_some() {
            node.from = node.from.max(now);
        }
        match excuse {
            _ if now.since(heard) < self.times.not_ready => Standing::Waiting,
            Some(excuse) => Standing::Excused(excuse),
            None if now.since(node.from) < self.times.not_ready => Standing::Waiting,
            None => Standing::Silent(seen.cause),
        }
    }

    /// What should be said now and was not. Whoever said it tells with [`Silence::said`].
    pub(super) fn to_say(&self, standings: &HashMap<String, Standing>, now: Timestamp) -> Vec<Saying> {
        let mut together: BTreeMap<Cause, BTreeSet<String>> = BTreeMap::new();
        let mut sayings = Vec::new();
        for (name, node) in &self.nodes {
            let about = Subject::Node(name.clone());
            match node.told {
                Some((Told::Together, cause)) => {
                    together.entry(cause).or_default().insert(name.clone());
                }
                Some((Told::Alone, cause)) => sayings.push(Saying {
                    about,
                    nodes: [name.clone()].into(),
                    cause,
                }),
                None if standings.get(name) == Some(&Standing::Connected) => {
                    sayings.push(Saying::over(about, Cause::NotConnected));
                }
                // Whatever was said of it before holds until its agent speaks.
                None => {}
            }
        }
        for cause in Cause::ALL {
            let about = Subject::Many(cause);
            match together.remove(&cause) {
                Some(nodes) => sayings.push(Saying { about, nodes, cause }),
                None if self.knows_all(now) => sayings.push(Saying::over(about, cause)),
                None => {}
            }
        }
        let gone = self.said.keys().filter_map(|about| match about {
            Subject::Node(name) if !self.nodes.contains_key(name) => {
                Some(Saying::over(about.clone(), Cause::NotConnected))
            }
            _ => None,
        });
        sayings.extend(gone);
        sayings.retain(|saying| self.said.get(&saying.about).map(Option::as_ref) != Some(Some(saying)));
        sayings.sort_by(|a, b| a.about.cmp(&b.about));
        sayings
    }

    /// Whether every node that an earlier operator told of had the time to connect or to be told of again.
    fn knows_all(&self, now: Timestamp) -> bool {
        now.since(self.started) > JITTER + self.times.not_ready + self.times.signal
    }

    /// It was said.
    pub(super) fn said(&mut self, saying: Saying) {
        if let Subject::Node(name) = &saying.about
            && !self.nodes.contains_key(name)
        {
            self.said.remove(&saying.about);
            return;
        }
        self.said.insert(saying.about.clone(), Some(saying));
    }
}

impl Saying {
    /// That the subject is silent no more.
    fn over(about: Subject, cause: Cause) -> Self {
        Self {
            about,
            nodes: BTreeSet::new(),
            cause,
        }
    }
}

#[cfg(test)]
mod tests;
