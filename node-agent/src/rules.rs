//! The rules that run, swapped as a whole.

mod body;
pub mod files;
mod shelf;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use yagura_engine::Strata;
use yagura_engine::strata::{Unordered, order};
use yagura_event::{EventKind, Registry};
use yagura_proto::v1::{RuleBody, RuleFailure};
use yagura_rules::{LANGUAGE_VERSION, Lists, Rule, RuleSource};

use crate::policy::Policy;
use shelf::Shelf;

/// A rule that runs.
#[derive(Debug)]
pub struct ActiveRule {
    /// The compiled rule.
    pub rule: Arc<Rule>,
    /// The hash under which its matches are reported.
    pub hash: String,
}

/// Rules that run together.
#[derive(Debug)]
pub struct Active {
    /// Finds the rules that match an event, by their place in `rules`.
    pub set: Strata,
    /// The rules, by their place in `set`.
    pub rules: Vec<ActiveRule>,
    /// Revision of the policy that they come from; empty for rules from files.
    pub revision: String,
    by_hash: HashMap<String, usize>,
}

impl Active {
    /// Makes rules run together.
    pub fn new(rules: Vec<ActiveRule>, revision: String) -> Self {
        let by_hash = rules
            .iter()
            .enumerate()
            .map(|(place, active)| (active.rule.hash.clone(), place))
            .collect();
        Self {
            by_hash,
            set: Strata::new(rules.iter().map(|active| Arc::clone(&active.rule))),
            rules,
            revision,
        }
    }
}

impl Active {
    /// The rule with the hash that the compiler gave it.
    pub fn find(&self, compiled_hash: &str) -> Option<&ActiveRule> {
        let place = self.by_hash.get(compiled_hash)?;
        self.rules.get(*place)
    }
}

/// The rules of this agent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rules(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    active: Mutex<Arc<Active>>,
    generation: AtomicU64,
}

impl Rules {
    /// Starts with these.
    pub fn new(active: Active) -> Self {
        Self(Arc::new(Shared {
            active: Mutex::new(Arc::new(active)),
            generation: AtomicU64::new(1),
        }))
    }

    /// Runs these instead. An event meets the old ones or the new ones, never some of both.
    pub fn swap(&self, active: Active) {
        let mut slot = self.0.active.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Arc::new(active);
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// What runs.
    pub fn active(&self) -> Arc<Active> {
        Arc::clone(&self.0.active.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What runs, kept by a reader that looks for every event.
    pub fn reader(&self) -> Reader {
        Reader {
            generation: self.0.generation.load(Ordering::Acquire),
            active: self.active(),
            rules: self.clone(),
        }
    }
}

/// Sees the rules that run without a lock, unless they changed.
#[derive(Debug)]
pub struct Reader {
    rules: Rules,
    active: Arc<Active>,
    generation: u64,
}

impl Reader {
    /// What runs.
    pub fn active(&mut self) -> &Arc<Active> {
        let generation = self.rules.0.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.active = self.rules.active();
            self.generation = generation;
        }
        &self.active
    }
}

/// Compiles a policy. What does not compile is left out and named with the reason, and so is what
/// could never match because no hook sees its events: `blind` has those kinds and why.
pub fn compile_policy(policy: &Policy, blind: &BTreeMap<EventKind, String>) -> (Active, Vec<RuleFailure>) {
    let mut failures = policy.damaged.clone();
    let mut rules = Vec::new();
    let lists = Shelf::new(&policy.lists);
    for body in &policy.bodies {
        match compile_body(body, &lists).and_then(|rule| can_match(rule, blind)) {
            Ok(rule) => rules.push(rule),
            Err(failure) => failures.push(failure),
        }
    }
    let (rules, unordered) = ordered(rules);
    failures.extend(unordered.into_iter().map(|(rule, why)| RuleFailure {
        uid: rule.rule.uid.clone(),
        reason: "MarksUnordered".to_owned(),
        message: why.to_string(),
    }));
    (Active::new(rules, policy.list.revision.clone()), failures)
}

/// Parts rules that can run together from those that have no place in the order of marks.
fn ordered(rules: Vec<ActiveRule>) -> (Vec<ActiveRule>, Vec<(ActiveRule, Unordered)>) {
    let compiled: Vec<Arc<Rule>> = rules.iter().map(|active| Arc::clone(&active.rule)).collect();
    let (mut run, mut unordered) = (Vec::new(), Vec::new());
    for (rule, place) in rules.into_iter().zip(order(&compiled)) {
        match place {
            Ok(_) => run.push(rule),
            Err(why) => unordered.push((rule, why)),
        }
    }
    (run, unordered)
}

fn can_match(rule: ActiveRule, blind: &BTreeMap<EventKind, String>) -> Result<ActiveRule, RuleFailure> {
    let mut reasons = rule.rule.kinds.iter().map(|kind| (kind, blind.get(&kind)));
    let Some((kind, Some(reason))) = reasons.next() else {
        return Ok(rule);
    };
    if reasons.any(|(_, reason)| reason.is_none()) {
        return Ok(rule);
    }
    Err(RuleFailure {
        uid: rule.rule.uid.clone(),
        reason: "MissingHook".to_owned(),
        message: format!("this node cannot see {kind}: {reason}"),
    })
}

fn compile_body(body: &RuleBody, lists: &Shelf<'_>) -> Result<ActiveRule, RuleFailure> {
    // The operator compiled the rule: where this agent cannot, the agent is the older one.
    let fail = |message: String| RuleFailure {
        uid: body.uid.clone(),
        reason: "AgentTooOld".to_owned(),
        message,
    };
    if body.language_version > LANGUAGE_VERSION {
        return Err(fail(format!(
            "the rule needs language version {}, this agent has {LANGUAGE_VERSION}; upgrade the agent",
            body.language_version
        )));
    }
    let source = body::source(body).map_err(|error| fail(error.to_string()))?;
    compile(&source, body.hash.clone(), &lists.of(body)).map_err(fail)
}

/// The error is what the compiler says, one finding a line.
fn compile(source: &RuleSource, hash: String, lists: &Lists) -> Result<ActiveRule, String> {
    let compiled = yagura_rules::compile(source, Registry::workload(), lists);
    compiled
        .rule
        .map(|rule| ActiveRule { rule, hash })
        .ok_or_else(|| {
            let errors: Vec<String> = compiled
                .diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.is_error())
                .map(|diagnostic| format!("{}: {diagnostic}", diagnostic.part))
                .collect();
            errors.join("\n")
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use yagura_event::EventKind;
    use yagura_proto::content::seal;
    use yagura_proto::v1::RuleBody;
    use yagura_rules::LANGUAGE_VERSION;

    use super::compile_policy;
    use crate::policy::Policy;

    fn body(uid: &str, condition: &str) -> RuleBody {
        RuleBody {
            uid: uid.to_owned(),
            name: uid.to_owned(),
            severity: "low".to_owned(),
            source: "workload".to_owned(),
            title: "t".to_owned(),
            condition: condition.to_owned(),
            language_version: LANGUAGE_VERSION,
            ..RuleBody::default()
        }
    }

    #[test]
    fn rules_run_with_the_lists_that_they_name_and_each_names_its_own() {
        use yagura_proto::content::seal_list;
        use yagura_proto::v1::{NamedList, NamedListRef};

        let list = |kind: &str, values: &[&str]| {
            seal_list(NamedList {
                r#type: kind.to_owned(),
                values: values.iter().map(|value| (*value).to_owned()).collect(),
                ..NamedList::default()
            })
        };
        let lists = vec![
            list("glob", &["/tmp/*"]),
            list("string", &["/tmp/*"]),
            list("later", &["x"]),
        ];
        let with = |uid: &str, list: &NamedList| RuleBody {
            lists: vec![NamedListRef {
                name: "n".to_owned(),
                hash: list.hash.clone(),
            }],
            ..body(uid, "process.executable in lists[\"n\"]")
        };
        let policy = Policy {
            bodies: [
                with("globs", &lists[0]),
                with("strings", &lists[1]),
                with("later", &lists[2]),
                body("none", "process.executable in lists[\"n\"]"),
                body("of-the-language", "process.name in lists[\"shells\"]"),
            ]
            .into_iter()
            .map(seal)
            .collect(),
            lists,
            ..Policy::default()
        };
        let (active, failures) = compile_policy(&policy, &BTreeMap::new());
        let running: Vec<&str> = active.rules.iter().map(|rule| rule.rule.uid.as_str()).collect();
        assert_eq!(running, ["globs", "strings", "of-the-language"]);
        assert_ne!(active.rules[0].rule.hash, active.rules[1].rule.hash);
        let failed: Vec<&str> = failures.iter().map(|failure| failure.uid.as_str()).collect();
        assert_eq!(failed, ["later", "none"]);
        assert!(
            failures[0].message.contains("no list of type"),
            "{}",
            failures[0].message
        );
        assert!(
            failures[1].message.contains("unknown list"),
            "{}",
            failures[1].message
        );
    }

    #[test]
    fn each_rule_that_cannot_run_says_why_and_the_others_run() {
        let newer = RuleBody {
            language_version: LANGUAGE_VERSION + 1,
            ..body("newer", "true")
        };
        let bodies = [
            body("runs", "event.kind == \"process.exec\" && process.name == \"sh\""),
            newer,
            body("unknown-field", "process.future == 1"),
            body(
                "blind",
                "event.kind == \"process.exit\" && process.exit_code == 1",
            ),
            body("half-blind", "process.name == \"sh\""),
        ];
        let policy = Policy {
            bodies: bodies.into_iter().map(seal).collect(),
            ..Policy::default()
        };
        let blind = BTreeMap::from([(EventKind::ProcessExit, "no such tracepoint".to_owned())]);
        let (active, failures) = compile_policy(&policy, &blind);
        let running: Vec<&str> = active.rules.iter().map(|rule| rule.rule.uid.as_str()).collect();
        assert_eq!(running, ["runs", "half-blind"]);
        let failed: Vec<(&str, &str)> = failures
            .iter()
            .map(|failure| (failure.uid.as_str(), failure.reason.as_str()))
            .collect();
        assert_eq!(
            failed,
            [
                ("newer", "AgentTooOld"),
                ("unknown-field", "AgentTooOld"),
                ("blind", "MissingHook")
            ]
        );
        assert!(
            failures[1].message.contains("unknown field process.future"),
            "{:?}",
            failures[1]
        );
        assert!(
            failures[2].message.contains("no such tracepoint"),
            "{:?}",
            failures[2]
        );
    }

    #[test]
    fn rules_that_wait_for_each_others_marks_say_so_and_the_others_run() {
        use yagura_proto::v1::Mark;

        let marking = |uid: &str, asks: &str, sets: &str| RuleBody {
            mark: Some(Mark {
                name: sets.to_owned(),
                scope: "process".to_owned(),
                ttl: 1_000_000_000,
                ..Mark::default()
            }),
            ..body(uid, &format!("has(process.marks[\"{asks}\"])"))
        };
        let bodies = [
            marking("a", "y", "x"),
            body("c", "has(process.marks[\"x\"])"),
            marking("b", "x", "y"),
        ];
        let policy = Policy {
            bodies: bodies.into_iter().map(seal).collect(),
            ..Policy::default()
        };
        let (active, failures) = compile_policy(&policy, &BTreeMap::new());
        let running: Vec<&str> = active.rules.iter().map(|rule| rule.rule.uid.as_str()).collect();
        assert_eq!(running, ["c"]);
        let failed: Vec<(&str, &str)> = failures
            .iter()
            .map(|failure| (failure.uid.as_str(), failure.reason.as_str()))
            .collect();
        assert_eq!(failed, [("a", "MarksUnordered"), ("b", "MarksUnordered")]);
        let expected = "a sets process.marks[\"x\"] for b sets process.marks[\"y\"] for a";
        assert!(failures[0].message.ends_with(expected), "{:?}", failures[0]);
    }
}
