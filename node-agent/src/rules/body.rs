//! A rule as it comes over the wire, turned into what the compiler takes.

mod detect;

use yagura_event::severity::UnknownSeverity;
use yagura_proto::v1;
use yagura_rules::source::{
    ExceptionSource, JoinedSource, LetSource, Requirement, RuleSource, Selector, SelectorOp, SignalSource,
    Target, WhereSource,
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
        signal: SignalSource {
            title: body.title.clone(),
            group_by: body.group_by.clone(),
            fields: body.fields.clone(),
        },
        ..RuleSource::new(&body.name, &body.condition)
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
