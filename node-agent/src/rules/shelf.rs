//! The named lists of a policy, each compiled once.

use std::collections::BTreeMap;
use std::sync::Arc;

use yagura_proto::v1;
use yagura_proto::v1::RuleBody;
use yagura_rules::{Lists, NamedList};

/// Lists by hash, or why this agent cannot use one.
pub(super) struct Shelf<'p>(BTreeMap<&'p str, Result<Arc<NamedList>, String>>);

impl<'p> Shelf<'p> {
    pub(super) fn new(lists: &'p [v1::NamedList]) -> Self {
        let compiled = lists
            .iter()
            .map(|list| (&*list.hash, compile(list).map(Arc::new)));
        Self(compiled.collect())
    }

    /// What a rule means by its names.
    pub(super) fn of(&self, body: &RuleBody) -> Lists {
        let named = body.lists.iter();
        named.fold(Lists::builtin(), |lists, named| match self.0.get(&*named.hash) {
            Some(Ok(list)) => lists.with(&named.name, Arc::clone(list)),
            Some(Err(why)) => lists.with_unusable(&named.name, why),
            None => lists.with_unusable(&named.name, "it was not sent"),
        })
    }
}

/// The operator compiled it: where this agent cannot, the agent is the older one.
fn compile(list: &v1::NamedList) -> Result<NamedList, String> {
    let kind = list
        .r#type
        .parse()
        .map_err(|error: yagura_rules::lists::UnknownListType| error.to_string())?;
    NamedList::new(kind, list.values.iter().map(String::as_str))
        .map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())
}
