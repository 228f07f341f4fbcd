//! The named lists at hand.

use std::collections::BTreeMap;

use yagura_proto::content;
use yagura_proto::v1::{NamedList, NamedLists, RuleBody, RuleFailure};

use super::PolicyError;

/// Bytes of all lists that wait or are used. Several times what an operator hands out, it bounds what a stream can store here.
const MAX_BYTES: usize = 32 << 20;
/// What a value takes beside its bytes.
const OF_A_VALUE: usize = 32;

/// Lists by hash.
#[derive(Debug, Default)]
pub(super) struct HeldLists {
    lists: BTreeMap<String, NamedList>,
    bytes: usize,
}

impl HeldLists {
    pub(super) fn hashes(&self) -> impl Iterator<Item = &String> {
        self.lists.keys()
    }

    /// Keeps lists for the rules that follow.
    pub(super) fn add(&mut self, lists: NamedLists) -> Result<(), PolicyError> {
        for list in lists.lists {
            self.keep(list);
        }
        if self.bytes > MAX_BYTES {
            return Err(PolicyError::TooManyLists);
        }
        Ok(())
    }

    fn keep(&mut self, list: NamedList) {
        self.bytes += bytes(&list);
        if let Some(before) = self.lists.insert(list.hash.clone(), list) {
            self.bytes -= bytes(&before);
        }
    }

    /// The lists that rules use; others are forgotten. Rules with a list that is not what its hash says are damaged like those whose
    /// own content is not.
    pub(super) fn of(
        &mut self,
        bodies: &mut Vec<RuleBody>,
        damaged: &mut Vec<RuleFailure>,
    ) -> Result<Vec<NamedList>, PolicyError> {
        let mut used: BTreeMap<&str, bool> = BTreeMap::new();
        for body in bodies.iter() {
            for named in &body.lists {
                let Some(list) = self.lists.get(&named.hash) else {
                    return Err(PolicyError::ListMissing {
                        name: named.name.clone(),
                        rule: body.uid.clone(),
                    });
                };
                used.entry(&named.hash)
                    .or_insert_with(|| content::is_sealed_list(list));
            }
        }
        let good: Vec<String> = used
            .iter()
            .filter(|(_, sealed)| **sealed)
            .map(|(hash, _)| (*hash).to_owned())
            .collect();
        let is_good = |hash: &String| good.binary_search(hash).is_ok();
        bodies.retain(|body| {
            let Some(named) = body.lists.iter().find(|named| !is_good(&named.hash)) else {
                return true;
            };
            damaged.push(RuleFailure {
                uid: body.uid.clone(),
                reason: "BodyDamaged".to_owned(),
                message: format!(
                    "the content of its list {:?} is not what its hash says",
                    named.name
                ),
            });
            false
        });
        // What is damaged must not be offered as held: it has to come again.
        self.lists.retain(|hash, _| is_good(hash));
        self.bytes = self.lists.values().map(bytes).sum();
        Ok(self.lists.values().cloned().collect())
    }
}

impl From<&[NamedList]> for HeldLists {
    fn from(lists: &[NamedList]) -> Self {
        let mut held = Self::default();
        for list in lists {
            held.keep(list.clone());
        }
        held
    }
}

fn bytes(list: &NamedList) -> usize {
    list.values.iter().map(|value| value.len() + OF_A_VALUE).sum()
}

#[cfg(test)]
mod tests {
    use yagura_proto::content;
    use yagura_proto::v1::{NamedList, NamedListRef, NamedLists, RuleBody};

    use super::{HeldLists, MAX_BYTES};
    use crate::policy::PolicyError;

    fn list(values: &[&str]) -> NamedList {
        content::seal_list(NamedList {
            r#type: "string".to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..NamedList::default()
        })
    }

    fn body(uid: &str, lists: &[&NamedList]) -> RuleBody {
        RuleBody {
            uid: uid.to_owned(),
            lists: lists
                .iter()
                .map(|list| NamedListRef {
                    name: "n".to_owned(),
                    hash: list.hash.clone(),
                })
                .collect(),
            ..RuleBody::default()
        }
    }

    #[test]
    fn lists_that_rules_use_are_kept_and_others_forgotten() {
        let (one, two) = (list(&["a"]), list(&["b"]));
        let mut held = HeldLists::default();
        held.add(NamedLists {
            lists: vec![one.clone(), two.clone()],
        })
        .unwrap();
        let mut bodies = vec![body("r", &[&one]), body("s", &[&one])];
        let mut damaged = Vec::new();
        assert_eq!(
            held.of(&mut bodies, &mut damaged).unwrap(),
            std::slice::from_ref(&one)
        );
        assert_eq!((bodies.len(), damaged.len()), (2, 0));
        assert!(held.hashes().eq([&one.hash]));
        let missing = held.of(&mut vec![body("r", &[&one, &two])], &mut damaged);
        assert!(matches!(missing, Err(PolicyError::ListMissing { rule, .. }) if rule == "r"));
    }

    #[test]
    fn rules_with_a_damaged_list_do_not_run_and_it_is_asked_for_again() {
        let (good, mut bad) = (list(&["a"]), list(&["b"]));
        bad.values.push("c".to_owned());
        let mut held = HeldLists::default();
        held.add(NamedLists {
            lists: vec![good.clone(), bad.clone()],
        })
        .unwrap();
        let mut bodies = vec![body("r", &[&good, &bad]), body("s", &[&good])];
        let mut damaged = Vec::new();
        assert_eq!(
            held.of(&mut bodies, &mut damaged).unwrap(),
            std::slice::from_ref(&good)
        );
        assert_eq!(bodies[0].uid, "s");
        assert_eq!((&*damaged[0].uid, &*damaged[0].reason), ("r", "BodyDamaged"));
        assert!(held.hashes().eq([&good.hash]));
    }

    #[test]
    fn lists_without_end_are_refused() {
        let mut held = HeldLists::default();
        let mut refused = None;
        for n in 0..2 * (MAX_BYTES >> 20) {
            let value = n.to_string().repeat(1 << 19);
            let lists = vec![list(&[&value])];
            refused = refused.or(held.add(NamedLists { lists }).err());
        }
        assert_eq!(refused, Some(PolicyError::TooManyLists));
    }
}
