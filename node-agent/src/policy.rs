//! The rules that the operator wants to run here.
//!
//! [`Held`] follows the operator's stream: bodies, then a list, then the order to switch. Nothing
//! changes until that order, and what it names is checked against the hashes before it counts.

mod lists;
pub mod snapshot;

use std::collections::BTreeMap;

use yagura_proto::content;
use yagura_proto::v1::{NamedList, NamedLists, RuleBodies, RuleBody, RuleFailure, RuleList};

use lists::HeldLists;

/// Rules that a node runs at most. Far beyond any policy, it bounds what a stream can store here.
const MAX_RULES: usize = 20_000;

/// The operator sent something that does not fit together. The session ends, and the next one
/// begins by telling the operator what is held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// More than a node can run.
    #[error("the operator sent more than {MAX_RULES} rules")]
    TooMany,
    /// More lists than a node can look things up in.
    #[error("the operator sent named lists that are too large together")]
    TooManyLists,
    /// The list's revision is not the hash of its entries.
    #[error("the list {revision:?} does not have the content that its revision says")]
    ListDamaged {
        /// The revision as sent.
        revision: String,
    },
    /// Switching to a list that is not the last one sent.
    #[error("the operator activated {wanted:?}, but the last list was {last:?}")]
    NotTheLast {
        /// The revision as ordered.
        wanted: String,
        /// The revision of the last list; empty when there was none.
        last: String,
    },
    /// The list names rules whose bodies never came.
    #[error("{count} rules of list {revision:?} were never sent, the first is {first:?}")]
    BodiesMissing {
        /// The list's revision.
        revision: String,
        /// How many.
        count: usize,
        /// Uid of the first.
        first: String,
    },
    /// The rules name lists that never came.
    #[error("the list {name:?} of rule {rule:?} was never sent")]
    ListMissing {
        /// Its name.
        name: String,
        /// Uid of the rule that names it.
        rule: String,
    },
}

/// A list with the bodies it names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// The list.
    pub list: RuleList,
    /// The bodies, in the order of the list.
    pub bodies: Vec<RuleBody>,
    /// The named lists that they use, sorted by hash.
    pub lists: Vec<NamedList>,
    /// Rules of the list whose body is not what its hash says.
    pub damaged: Vec<RuleFailure>,
}

/// What came down the stream so far.
#[derive(Debug, Default)]
pub struct Held {
    bodies: BTreeMap<String, RuleBody>,
    lists: HeldLists,
    list: Option<RuleList>,
}

impl Held {
    /// Hashes of the bodies and named lists at hand, for the hello.
    pub fn hashes(&self) -> Vec<String> {
        self.bodies.keys().chain(self.lists.hashes()).cloned().collect()
    }

    /// Keeps named lists for the rules that follow.
    pub fn add_lists(&mut self, lists: NamedLists) -> Result<(), PolicyError> {
        self.lists.add(lists)
    }

    /// Keeps bodies for the list that follows.
    pub fn add(&mut self, bodies: RuleBodies) -> Result<(), PolicyError> {
        for body in bodies.rules {
            self.bodies.insert(body.hash.clone(), body);
        }
        if self.bodies.len() > 2 * MAX_RULES {
            return Err(PolicyError::TooMany);
        }
        Ok(())
    }

    /// Takes the list that will be activated.
    pub fn list(&mut self, list: RuleList) -> Result<(), PolicyError> {
        if list.rules.len() > MAX_RULES {
            return Err(PolicyError::TooMany);
        }
        let entries = list
            .rules
            .iter()
            .map(|rule| (rule.uid.as_str(), rule.hash.as_str()));
        if content::revision(entries) != list.revision {
            return Err(PolicyError::ListDamaged {
                revision: list.revision,
            });
        }
        self.list = Some(list);
        Ok(())
    }

    /// The policy to switch to. Bodies that it does not name are forgotten.
    pub fn activate(&mut self, revision: &str) -> Result<Policy, PolicyError> {
        let list = match &self.list {
            Some(list) if list.revision == revision => list.clone(),
            other => {
                return Err(PolicyError::NotTheLast {
                    wanted: revision.to_owned(),
                    last: other
                        .as_ref()
                        .map_or_else(String::new, |list| list.revision.clone()),
                });
            }
        };
        let missing: Vec<_> = list
            .rules
            .iter()
            .filter(|rule| !self.bodies.contains_key(&rule.hash))
            .collect();
        if let Some(first) = missing.first() {
            return Err(PolicyError::BodiesMissing {
                revision: list.revision.clone(),
                count: missing.len(),
                first: first.uid.clone(),
            });
        }
        let named: std::collections::BTreeSet<&str> =
            list.rules.iter().map(|rule| rule.hash.as_str()).collect();
        self.bodies.retain(|hash, _| named.contains(hash.as_str()));

        let mut policy = Policy::default();
        for rule in &list.rules {
            let Some(body) = self.bodies.get(&rule.hash) else {
                continue;
            };
            if body.uid != rule.uid || !content::is_sealed(body) {
                policy.damaged.push(damaged(body, &rule.uid));
            } else {
                policy.bodies.push(body.clone());
            }
        }
        policy.list = list;
        policy.lists = self.lists.of(&mut policy.bodies, &mut policy.damaged)?;
        // A damaged body must not be offered as held: it has to come again.
        for failure in &policy.damaged {
            self.bodies.retain(|_, body| body.uid != failure.uid);
        }
        Ok(policy)
    }

    /// Starts from what was active when the agent ended.
    pub fn restore(policy: &Policy) -> Self {
        Self {
            bodies: policy
                .bodies
                .iter()
                .map(|body| (body.hash.clone(), body.clone()))
                .collect(),
            lists: HeldLists::from(&policy.lists[..]),
            list: Some(policy.list.clone()),
        }
    }
}

/// A newer operator's body may have fields that this build drops when it reads: then its hash
/// cannot be right, and it is not damage but age that keeps it from running.
fn damaged(body: &RuleBody, uid: &str) -> RuleFailure {
    let ours = yagura_rules::LANGUAGE_VERSION;
    let (reason, message) = if body.language_version > ours {
        (
            "AgentTooOld",
            format!(
                "the rule needs language version {}, this agent has {ours}",
                body.language_version
            ),
        )
    } else {
        (
            "BodyDamaged",
            "the rule's content is not what its hash says".to_owned(),
        )
    };
    RuleFailure {
        uid: uid.to_owned(),
        reason: reason.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use yagura_proto::content;
    use yagura_proto::v1::{RuleBodies, RuleBody, RuleList, RuleRef};

    use super::{Held, PolicyError};

    fn body(uid: &str, condition: &str) -> RuleBody {
        content::seal(RuleBody {
            uid: uid.to_owned(),
            condition: condition.to_owned(),
            ..RuleBody::default()
        })
    }

    fn list(bodies: &[RuleBody]) -> RuleList {
        let pairs = bodies.iter().map(|body| (body.uid.as_str(), body.hash.as_str()));
        RuleList {
            revision: content::revision(pairs),
            rules: bodies
                .iter()
                .map(|body| RuleRef {
                    uid: body.uid.clone(),
                    hash: body.hash.clone(),
                })
                .collect(),
            ..RuleList::default()
        }
    }

    #[test]
    fn bodies_a_list_and_the_order_make_a_policy() {
        let (a, b) = (body("a", "true"), body("b", "false"));
        let mut held = Held::default();
        held.add(RuleBodies {
            rules: vec![a.clone(), b.clone()],
        })
        .unwrap();
        let both = list(&[a.clone(), b.clone()]);
        held.list(both.clone()).unwrap();
        assert_eq!(held.activate(&both.revision).unwrap().bodies, [a.clone(), b]);

        // The next list needs no body again, and what it leaves out is forgotten.
        let one = list(std::slice::from_ref(&a));
        held.list(one.clone()).unwrap();
        assert_eq!(
            held.activate(&one.revision).unwrap().bodies,
            std::slice::from_ref(&a)
        );
        assert_eq!(held.hashes(), [a.hash]);
    }

    #[test]
    fn nothing_is_activated_that_does_not_fit_together() {
        let a = body("a", "true");
        let wanted = list(std::slice::from_ref(&a));
        let mut held = Held::default();
        assert!(matches!(held.activate("x"), Err(PolicyError::NotTheLast { .. })));
        held.list(wanted.clone()).unwrap();
        assert_eq!(
            held.activate(&wanted.revision),
            Err(PolicyError::BodiesMissing {
                revision: wanted.revision.clone(),
                count: 1,
                first: "a".to_owned()
            })
        );
        let mut lying = wanted;
        lying.revision = "0".repeat(64);
        assert!(matches!(held.list(lying), Err(PolicyError::ListDamaged { .. })));
    }

    #[test]
    fn a_body_that_is_not_what_its_hash_says_does_not_run_and_is_asked_for_again() {
        let mut a = body("a", "true");
        a.condition = "false".to_owned();
        let b = body("b", "true");
        let wanted = list(&[a.clone(), b.clone()]);
        let mut held = Held::default();
        held.add(RuleBodies {
            rules: vec![a.clone(), b.clone()],
        })
        .unwrap();
        held.list(wanted.clone()).unwrap();
        let policy = held.activate(&wanted.revision).unwrap();
        assert_eq!(policy.bodies, std::slice::from_ref(&b));
        assert_eq!(policy.damaged[0].reason, "BodyDamaged");
        assert_eq!(held.hashes(), [b.hash]);

        a.language_version = u32::MAX;
        held.add(RuleBodies { rules: vec![a] }).unwrap();
        let policy = held.activate(&wanted.revision).unwrap();
        assert_eq!(policy.damaged[0].reason, "AgentTooOld");
    }
}
