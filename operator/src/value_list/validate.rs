//! What the webhook says of a list: pure.

use yagura_crds::ValueList;
use yagura_rules::Lists;

use super::uses::Uses;
use crate::detection_rule::validate::Invalid;

/// Most faults and names that a message has.
const SHOWN: usize = 8;

/// Warnings, or why it is refused.
pub(crate) fn validate(list: &ValueList) -> Result<Vec<String>, Invalid> {
    let faults = match list.spec.list() {
        Ok(read) => {
            let again = list.spec.values.len() - read.len();
            return Ok(match again {
                0 => Vec::new(),
                1 => vec!["spec.values: 1 value is there twice".to_owned()],
                n => vec![format!("spec.values: {n} values are there before")],
            });
        }
        Err(faults) => faults,
    };
    let mut lines: Vec<String> = faults
        .iter()
        .take(SHOWN)
        .map(|fault| format!("spec.{fault}"))
        .collect();
    if faults.len() > SHOWN {
        lines.push("…".to_owned());
    }
    Err(Invalid::Object(lines.join("\n")))
}

/// What to say to those who delete a list.
///
/// It is let happen: whoever deletes a folder of rules and lists does it in some order, and so does whoever removes everything.
pub(crate) fn deletion(name: &str, uses: &Uses) -> Vec<String> {
    if is_builtin(name) {
        let goes_on = !users(name, uses).is_empty();
        return goes_on.then(|| REPLACED.to_owned()).into_iter().collect();
    }
    let warning = |users| format!("{users} until there is a ValueList {name} again");
    users(name, uses).into_iter().map(warning).collect()
}

/// What is said where a list of the language has the name of one that goes.
pub(super) const REPLACED: &str = "what uses it goes on with the list of the language that has its name";

/// Whether the language has a list of this name.
pub(super) fn is_builtin(name: &str) -> bool {
    !Lists::builtin().fingerprint(name).is_empty()
}

/// What does not run without a list, one line for rules and one for checks.
pub(super) fn users(name: &str, uses: &Uses) -> Vec<String> {
    let rules = told("rule", uses.by_rules(name));
    let checks = told("check", uses.by_checks(name));
    rules.into_iter().chain(checks).collect()
}

fn told<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > SHOWN { ", …" } else { "" };
    match names.len() {
        0 => None,
        1 => Some(format!("{what} {shown} uses it and does not run")),
        count => Some(format!("{count} {what}s use it ({shown}{more}) and do not run")),
    }
}
