//! Which rules run on which node: one list per class of node, addressed by its content.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use kube::core::{Selector, SelectorExt};
use tokio::sync::watch;
use yagura_event::Severity;
use yagura_proto::content;
use yagura_proto::v1::{NamedList, RuleBody};
use yagura_rules::detect::Detect;
use yagura_store::signals::Lifetime;

/// What a signal says about the rule that raised it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMeta {
    /// Kind of the custom resource.
    pub kind: &'static str,
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: i64,
    /// How urgent its signals are.
    pub severity: Severity,
    /// What it watches, such as `workload`.
    pub source: String,
    /// Its title, without interpolation.
    pub title: String,
    /// What it is for, in Markdown.
    pub description: String,
    /// What to do when it matches, in Markdown.
    pub remediation: String,
    /// ATT&CK (tactic, technique); a technique may be missing.
    pub attack: Vec<(String, Option<String>)>,
    /// How long its signals take matches.
    pub lifetime: Lifetime,
    /// What it counts over time; none when each match is a detection.
    pub windows: Option<Windows>,
}

/// What a rule counts over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// How it counts.
    pub detect: Detect,
    /// The fields by which matches are grouped.
    pub fields: Vec<String>,
}

/// A rule that compiled and is enabled.
#[derive(Clone, Debug)]
pub struct ServedRule {
    /// For its signals.
    pub meta: Arc<RuleMeta>,
    /// What agents get, sealed by [`content::seal`].
    pub body: Arc<RuleBody>,
    /// The named lists that the body speaks of.
    pub lists: Vec<Arc<NamedList>>,
    /// The nodes that it runs on.
    pub nodes: Selector,
}

/// The rules of a class of nodes.
#[derive(Clone, Debug, Default)]
pub struct PolicySnapshot {
    /// Hash of the sorted (uid, hash) pairs.
    pub revision: String,
    /// Transitions of the operator's lease when the list was made.
    pub epoch: u64,
    /// Rises with every list of an epoch.
    pub n: u64,
    /// Sorted by uid.
    pub rules: Vec<Arc<RuleBody>>,
    /// The named lists that they use, each once, sorted by hash.
    pub lists: Vec<Arc<NamedList>>,
}

impl PolicySnapshot {
    /// Whether the list has this rule in this edit.
    pub fn holds(&self, rule: &RuleBody) -> bool {
        self.rules
            .binary_search_by(|held| held.uid.cmp(&rule.uid))
            .is_ok_and(|place| self.rules[place].hash == rule.hash)
    }

    /// Whether its rules use this named list.
    pub fn uses(&self, list: &NamedList) -> bool {
        self.lists
            .binary_search_by(|used| used.hash.cmp(&list.hash))
            .is_ok()
    }
}

/// Rules that were served lately and are no longer: what they matched before may still be on its
/// way from an agent's spool.
const MAX_RETIRED: usize = 1_000;

/// Lists that are kept by their revision, so that what an agent runs is known also while newer ones are on their way. Far
/// more than change while an agent that is connected takes one over.
const MAX_LISTS: usize = 256;

/// Rules, nodes and the list of each node. Pure: time, network and API are elsewhere.
#[derive(Debug, Default)]
pub struct Policy {
    epoch: u64,
    n: u64,
    rules: BTreeMap<String, ServedRule>,
    retired: VecDeque<ServedRule>,
    nodes: HashMap<String, PolicyNode>,
    /// Whether those are all there are.
    nodes_listed: bool,
    classes: Classes,
    /// The lists made last, the newest at the end.
    lists: VecDeque<Arc<PolicySnapshot>>,
}

/// The lists made since the rules changed last, by the places of their rules among all: a node that joins finds the
/// list of its class without a look at any other node.
type Classes = HashMap<Vec<usize>, Arc<PolicySnapshot>>;

#[derive(Debug)]
struct PolicyNode {
    labels: BTreeMap<String, String>,
    list: watch::Sender<Arc<PolicySnapshot>>,
    /// Uids of rules that it had and has no longer.
    lost: VecDeque<String>,
}

impl Policy {
    /// An index for lists of this epoch.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ..Self::default()
        }
    }

    /// Adds or replaces a rule, by uid. Nodes see the new list at once.
    pub fn apply_rule(&mut self, rule: ServedRule) {
        let uid = rule.meta.uid.clone();
        let before = self.rules.insert(uid, rule);
        let changed = before.as_ref().is_none_or(|before| {
            let now = &self.rules[&before.meta.uid];
            before.body.hash != now.body.hash || before.nodes != now.nodes
        });
        if let Some(before) = before
            && changed
        {
            self.retire(before);
        }
        if changed {
            self.rebuild();
        }
    }

    /// Takes a rule away: deleted, disabled, or it does not compile any more.
    pub fn delete_rule(&mut self, uid: &str) {
        if let Some(rule) = self.rules.remove(uid) {
            self.retire(rule);
            self.rebuild();
        }
    }

    /// Learns of a node or its new labels. No other node is looked at: thousands of them arrive when the operator starts.
    pub fn apply_node(&mut self, name: &str, labels: BTreeMap<String, String>) {
        if self.nodes.get(name).is_some_and(|node| node.labels == labels) {
            return;
        }
        // Labels that come and go must not pile lists up that no node has any more.
        if self.classes.len() > self.nodes.len() {
            self.classes.clear();
        }
        let list = self.list_for(&labels);
        if let Some(node) = self.nodes.get_mut(name) {
            node.labels = labels;
            node.hand_out(&list);
        } else {
            let node = PolicyNode {
                labels,
                list: watch::channel(list).0,
                lost: VecDeque::new(),
            };
            self.nodes.insert(name.to_owned(), node);
        }
    }

    /// Every node there is was learnt of once.
    pub fn nodes_are_listed(&mut self) {
        self.nodes_listed = true;
    }

    /// The nodes there are; none while they are not listed.
    pub fn nodes(&self) -> Option<impl Iterator<Item = &str>> {
        self.nodes_listed.then(|| self.nodes.keys().map(String::as_str))
    }

    /// Forgets a node.
    pub fn delete_node(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    /// The list of a node as it changes; none while the node is not known.
    pub fn watch(&self, node: &str) -> Option<watch::Receiver<Arc<PolicySnapshot>>> {
        Some(self.nodes.get(node)?.list.subscribe())
    }

    /// What a node's report of rule `uid` refers to: none when that rule is not and was not
    /// lately served to the node, whatever labels the node had then.
    pub fn rule_of_node(&self, node: &str, uid: &str) -> Option<&ServedRule> {
        let node = self.nodes.get(node)?;
        let had = node.lost.iter().any(|lost| lost == uid);
        self.rules
            .get(uid)
            .into_iter()
            .chain(self.retired.iter().rev().filter(|rule| rule.meta.uid == uid))
            .find(|rule| had || rule.nodes.matches(&node.labels))
    }

    /// Whether a rule that is or lately was served to a node carried this exception.
    pub fn carried(&self, node: &str, rule: &str, exception: &str) -> bool {
        let carries = |served: &ServedRule| {
            served.meta.uid == rule && served.body.joined.iter().any(|joined| joined.uid == exception)
        };
        self.rule_of_node(node, rule).is_some()
            && (self.rules.get(rule).is_some_and(carries) || self.retired.iter().any(carries))
    }

    /// The nodes that a served rule should run on, in no order.
    pub fn nodes_of_rule(&self, uid: &str) -> impl Iterator<Item = &str> {
        self.rules.get(uid).into_iter().flat_map(|rule| {
            self.nodes
                .iter()
                .filter(|(_, node)| rule.nodes.matches(&node.labels))
                .map(|(name, _)| name.as_str())
        })
    }

    /// The hash of a rule as it is served now.
    pub fn hash_of_rule(&self, uid: &str) -> Option<&str> {
        Some(&self.rules.get(uid)?.body.hash)
    }

    /// The hash of a rule in the list with this revision, if that was made lately and has the rule.
    pub fn hash_in_list(&self, revision: &str, uid: &str) -> Option<&str> {
        let list = self.lists.iter().rev().find(|list| list.revision == revision)?;
        let at = list.rules.binary_search_by(|rule| (*rule.uid).cmp(uid)).ok()?;
        Some(&list.rules[at].hash)
    }

    /// The revision that a node should run.
    pub fn revision_of_node(&self, node: &str) -> Option<String> {
        Some(self.nodes.get(node)?.list.borrow().revision.clone())
    }

    fn keep(&mut self, list: Arc<PolicySnapshot>) {
        self.lists.retain(|known| known.revision != list.revision);
        if self.lists.len() == MAX_LISTS {
            self.lists.pop_front();
        }
        // What it is asked for does not need the values of named lists, of which it would keep old ones.
        let list = if list.lists.is_empty() {
            list
        } else {
            Arc::new(PolicySnapshot {
                lists: Vec::new(),
                ..PolicySnapshot::clone(&list)
            })
        };
        self.lists.push_back(list);
    }

    /// How many lists are kept.
    #[cfg(test)]
    pub(super) fn lists_kept(&self) -> usize {
        self.lists.len()
    }

    fn retire(&mut self, mut rule: ServedRule) {
        // Nobody gets it any more.
        rule.lists = Vec::new();
        if self.retired.len() == MAX_RETIRED {
            self.retired.pop_front();
        }
        self.retired.push_back(rule);
    }

    /// The rules changed: makes the list of every class anew and hands it to the nodes whose list changed.
    fn rebuild(&mut self) {
        self.classes.clear();
        let mut nodes = std::mem::take(&mut self.nodes);
        for node in nodes.values_mut() {
            let list = self.list_for(&node.labels);
            node.hand_out(&list);
        }
        self.nodes = nodes;
    }

    /// The list of the class that these labels make.
    fn list_for(&mut self, labels: &BTreeMap<String, String>) -> Arc<PolicySnapshot> {
        let class: Vec<usize> = self
            .rules
            .values()
            .enumerate()
            .filter(|(_, rule)| rule.nodes.matches(labels))
            .map(|(place, _)| place)
            .collect();
        if let Some(list) = self.classes.get(&class) {
            return Arc::clone(list);
        }
        let rules: Vec<Arc<RuleBody>> = self
            .rules
            .values()
            .filter(|rule| rule.nodes.matches(labels))
            .map(|rule| Arc::clone(&rule.body))
            .collect();
        let named = self.rules.values().filter(|rule| rule.nodes.matches(labels));
        let named: BTreeMap<&str, &Arc<NamedList>> = named
            .flat_map(|rule| &rule.lists)
            .map(|list| (&*list.hash, list))
            .collect();
        let lists = named.into_values().cloned().collect();
        self.n += 1;
        let list = Arc::new(PolicySnapshot {
            revision: content::revision(rules.iter().map(|rule| (&*rule.uid, &*rule.hash))),
            epoch: self.epoch,
            n: self.n,
            rules,
            lists,
        });
        self.classes.insert(class, Arc::clone(&list));
        self.keep(Arc::clone(&list));
        list
    }
}

impl PolicyNode {
    /// The node's list from now on; whoever waits for it is woken only when it says something else.
    fn hand_out(&mut self, next: &Arc<PolicySnapshot>) {
        let lost = &mut self.lost;
        self.list.send_if_modified(|list| {
            let changed = list.revision != next.revision;
            if changed {
                lose(lost, list, next);
                *list = Arc::clone(next);
            }
            changed
        });
    }
}

/// Notes which rules of a list are not in the next one.
fn lose(lost: &mut VecDeque<String>, before: &PolicySnapshot, now: &PolicySnapshot) {
    for rule in &before.rules {
        // Both lists are sorted by uid.
        if now
            .rules
            .binary_search_by(|kept| kept.uid.cmp(&rule.uid))
            .is_err()
            && !lost.contains(&rule.uid)
        {
            if lost.len() == MAX_RETIRED {
                lost.pop_front();
            }
            lost.push_back(rule.uid.clone());
        }
    }
}
