//! What the webhook says of an exception: pure. The reconciler decides by the same functions when it joins exceptions and
//! rules.

use std::sync::Arc;

use yagura_crds::exception::AnyException;
use yagura_rules::{Diagnostic, Lists};

use super::known::KnownRule;
use crate::detection_rule::validate::{Invalid, one_line_each};

/// Warnings, or why it is refused: it does not compile beside a rule that it names, or every rule that it names is known and
/// forbids it.
pub(crate) fn validate(
    exception: &AnyException,
    rules: &[Arc<KnownRule>],
    lists: &Lists,
) -> Result<Vec<String>, Invalid> {
    let mut warnings = Vec::new();
    let mut allowing = Vec::new();
    let mut forbidding = Vec::new();
    for rule in rules {
        if exception.names(&rule.source.name, &rule.labels) {
            match exception.is_allowed_by(rule.exceptable) {
                Ok(()) => allowing.push(rule),
                Err(why) => forbidding.push(format!("rule {}: {why}", rule.source.name)),
            }
        }
    }
    let mut unknown = 0;
    for (index, selector) in exception.rules.iter().enumerate() {
        let known = rules
            .iter()
            .any(|rule| selector.selects(&rule.source.name, &rule.labels));
        if !known {
            unknown += 1;
            warnings.push(format!(
                "spec.rules[{index}]: there is no DetectionRule {selector} that compiles; it is looked for again when rules change"
            ));
        }
    }
    if allowing.is_empty() && unknown == 0 {
        return Err(Invalid::Object(format!("spec.rules: {}", forbidding.join("\n"))));
    }
    warnings.extend(forbidding.into_iter().map(|why| format!("spec.rules: {why}")));
    let place = |_| ("spec.condition".to_owned(), &*exception.condition);
    if allowing.is_empty() {
        let (wrong, doubtful) = exception.diagnostics_alone(lists);
        if wrong.iter().any(Diagnostic::is_error) {
            return Err(Invalid::compiled(&wrong, place));
        }
        warnings.extend(one_line_each(&doubtful, place));
    }
    for rule in allowing {
        let diagnostics = exception.diagnostics(&rule.source, lists);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(match Invalid::compiled(&diagnostics, place) {
                Invalid::Condition(found) => {
                    Invalid::Condition(format!("beside rule {}:\n{found}", rule.source.name))
                }
                other => other,
            });
        }
    }
    Ok(warnings)
}
