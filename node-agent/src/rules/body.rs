//! A rule as it comes over the wire, turned into what the compiler takes.

mod detect;

use yagura_event::severity::UnknownSeverity;
use yagura_proto::v1;
use yagura_rules::source::{
    ExceptionSource, JoinedSource, LetSource, MarkScope, MarkSource, Requirement, RuleSource, Selector,
    SelectorOp, SignalSource, Target, WhereSource,
};

/// The body says something that this agent does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// Its severity.
    #[error(transparent)]
    Severity(#[from] UnknownSeverity),
    /// Its target.
    #[error("unknown target {0:?}; use any, host or container")]
    Target(String),
    /// An operator of a selector.
    #[error("unknown operator {0:?} in a selector; use In, NotIn, Exists or DoesNotExist")]
    Operator(String),
    /// How matches become detections.
    #[error("more than one method of detection")]
    Methods,
    /// What a query measures.
    #[error("unknown measure {0:?} of a query; use count, distinct, sum or max")]
    Measure(String),
    /// What bears a mark.
    #[error("unknown scope {0:?} of a mark; use process, processTree, container or node")]
    MarkScope(String),
    /// How windows lie.
    #[error("unknown window {0:?}; use sliding, fixed or session")]
    Window(String),
}

/// The rule as the compiler takes it.
pub(super) fn source(body: &v1::RuleBody) -> Result<RuleSource, BodyError> {
    Ok(RuleSource {
        uid: body.uid.clone(),
        source: body.source.clone(),
        severity: body.severity.parse()?,
        title: body.title.clone(),
        where_: body.r#where.as_ref().map(scope).transpose()?.unwrap_or_default(),
        lets: body
            .r#let
            .iter()
            .map(|one| LetSource {
                name: one.name.clone(),
                value: one.value.clone(),
            })
            .collect(),
        exceptions: body
            .exceptions
            .iter()
            .map(|exception| ExceptionSource {
                name: exception.name.clone(),
                condition: exception.condition.clone(),
                expires: (exception.expires != 0).then_some(exception.expires),
            })
            .collect(),
        joined: body
            .joined
            .iter()
            .map(|joined| JoinedSource {
                uid: joined.uid.clone(),
                namespace: joined.namespace.clone(),
                condition: joined.condition.clone(),
                expires: (joined.expires != 0).then_some(joined.expires),
            })
            .collect(),
        detect: detect::source(body)?,
        mark: body.mark.as_ref().map(mark).transpose()?,
        silent: body.silent,
        signal: SignalSource {
            title: body.title.clone(),
            group_by: body.group_by.clone(),
            fields: body.fields.clone(),
        },
        ..RuleSource::new(&body.name, &body.condition)
    })
}

fn mark(mark: &v1::Mark) -> Result<MarkSource, BodyError> {
    Ok(MarkSource {
        name: mark.name.clone(),
        scope: MarkScope::named(&mark.scope).ok_or_else(|| BodyError::MarkScope(mark.scope.clone()))?,
        value: (!mark.value.is_empty()).then(|| mark.value.clone()),
        append: mark.append,
        ttl: mark.ttl,
    })
}

fn scope(scope: &v1::Where) -> Result<WhereSource, BodyError> {
    Ok(WhereSource {
        target: match scope.target.as_str() {
            "" | "any" => Target::Any,
            "host" => Target::Host,
            "container" => Target::Container,
            other => return Err(BodyError::Target(other.to_owned())),
        },
        namespaces: scope.namespaces.as_ref().map(selector).transpose()?,
        pods: scope.pods.as_ref().map(selector).transpose()?,
    })
}

fn selector(selector: &v1::Selector) -> Result<Selector, BodyError> {
    let requirement = |requirement: &v1::Requirement| {
        Ok(Requirement {
            key: requirement.key.clone(),
            operator: match requirement.operator.as_str() {
                "In" => SelectorOp::In,
                "NotIn" => SelectorOp::NotIn,
                "Exists" => SelectorOp::Exists,
                "DoesNotExist" => SelectorOp::DoesNotExist,
                other => return Err(BodyError::Operator(other.to_owned())),
            },
            values: requirement.values.clone(),
        })
    };
    Ok(Selector {
        labels: selector.match_labels.clone(),
        requirements: selector
            .match_expressions
            .iter()
            .map(requirement)
            .collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use yagura_proto::v1;
    use yagura_rules::source::{MarkScope, MarkSource};

    use super::{BodyError, source};

    fn body(scope: &str, value: &str) -> v1::RuleBody {
        v1::RuleBody {
            severity: "low".to_owned(),
            silent: true,
            mark: Some(v1::Mark {
                name: "written".to_owned(),
                scope: scope.to_owned(),
                value: value.to_owned(),
                append: true,
                ttl: 7,
            }),
            ..v1::RuleBody::default()
        }
    }

    #[test]
    fn a_mark_comes_as_it_was_sent() {
        for scope in MarkScope::ALL {
            let read = source(&body(scope.as_str(), "process.name")).unwrap();
            let expected = MarkSource {
                name: "written".to_owned(),
                scope,
                value: Some("process.name".to_owned()),
                append: true,
                ttl: 7,
            };
            assert_eq!((read.mark, read.silent), (Some(expected), true));
        }
        let without = source(&body("node", "")).unwrap();
        assert_eq!(without.mark.unwrap().value, None);
        let none = source(&v1::RuleBody {
            mark: None,
            silent: false,
            ..body("node", "")
        });
        let none = none.unwrap();
        assert_eq!((none.mark, none.silent), (None, false));
        assert_eq!(
            source(&body("pod", "")),
            Err(BodyError::MarkScope("pod".to_owned()))
        );
    }
}
