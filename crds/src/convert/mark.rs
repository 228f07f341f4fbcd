//! `spec.mark` as the compiler takes it.

use yagura_rules::source;

use super::{ConvertError, nanoseconds};
use crate::detection_rule::{Mark, MarkScope};

pub(super) fn source(mark: &Mark) -> Result<source::MarkSource, ConvertError> {
    Ok(source::MarkSource {
        name: mark.name.clone(),
        scope: match mark.scope {
            MarkScope::Process => source::MarkScope::Process,
            MarkScope::ProcessTree => source::MarkScope::ProcessTree,
            MarkScope::Container => source::MarkScope::Container,
            MarkScope::Node => source::MarkScope::Node,
        },
        value: mark.value.clone(),
        append: mark.append,
        ttl: nanoseconds("spec.mark.ttl", &mark.ttl)?,
    })
}
