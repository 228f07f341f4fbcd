//! What a rule says that its author hardly meant, although it can be run.

use yagura_event::{KindSet, Registry};

use crate::check::Checker;
use crate::diagnostic::Code;
use crate::expr::ExprId;
use crate::reach::reach;
use crate::searched;

/// Warns about conditions that are decided before any event comes; gives the kinds that can meet it.
pub(super) fn of_condition(checker: &mut Checker<'_>, registry: &Registry, condition: ExprId) -> KindSet {
    let reach = reach(&checker.program, condition, registry);
    if checker.sink.has_errors() {
        // What is wrong explains what never holds.
        return reach.possible;
    }
    let (part, span) = checker.place(condition);
    if reach.always {
        checker.error(
            Code::ALWAYS_TRUE,
            part,
            span,
            "this always holds".to_owned(),
            Some("check what was meant".to_owned()),
        );
    } else if reach.never {
        checker.error(
            Code::ALWAYS_FALSE,
            part,
            span,
            "this never holds".to_owned(),
            Some("check what was meant".to_owned()),
        );
    } else if registry.has_kinds() && reach.possible.is_empty() {
        let help = Some("`yagura fields` says which kinds have a field".to_owned());
        checker.error(
            Code::NO_KIND,
            part,
            span,
            "no kind of event can meet this".to_owned(),
            help,
        );
    } else if let Some((negation, kind)) = reach.by_absence {
        let (part, span) = checker.place(negation);
        let message = format!("this holds for every {kind}, which lacks the field");
        checker.error(
            Code::ABSENT_HOLDS,
            part,
            span,
            message,
            Some("add has(field) if that is not meant".to_owned()),
        );
    }
    reach.possible
}

/// Warns about an exception that is decided before any event comes: one that always holds switches its rule off.
pub(super) fn of_exception(checker: &mut Checker<'_>, registry: &Registry, condition: ExprId) {
    if checker.sink.has_errors() {
        return;
    }
    let reach = reach(&checker.program, condition, registry);
    let (part, span) = checker.place(condition);
    if reach.always {
        let message = "this always holds: the rule reports nothing".to_owned();
        let help = Some("check what was meant".to_owned());
        checker.error(Code::ALWAYS_TRUE, part, span, message, help);
    } else if reach.never || (registry.has_kinds() && reach.possible.is_empty()) {
        let message = "this never holds: it excepts nothing".to_owned();
        let help = Some("check what was meant".to_owned());
        checker.error(Code::ALWAYS_FALSE, part, span, message, help);
    }
}

/// Warns about patterns that are tried on every event, because no text tells beforehand that it cannot match.
pub(super) fn of_patterns(checker: &mut Checker<'_>, registry: &Registry, condition: ExprId) {
    if checker.sink.has_errors() || !registry.has_kinds() {
        return;
    }
    for pattern in searched::unaided(&checker.program, registry, condition) {
        let (part, span) = checker.place(pattern);
        let message = "this is tried on every event: no text has to be there for it to match".to_owned();
        let help = "write out a part of the pattern, or test a name or path beside it";
        checker.error(Code::SLOW_PATTERN, part, span, message, Some(help.to_owned()));
    }
}
