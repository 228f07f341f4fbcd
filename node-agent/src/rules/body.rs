//! A rule as it comes over the wire, turned into what the compiler takes.

use yagura_event::severity::UnknownSeverity;
use yagura_proto::v1;
use yagura_rules::source::{
    CaseSource, CorrelationSource, DetectSource, ExceptionSource, JoinedSource, LetSource, MeasureSource,
    MethodSource, NewValueSource, QuerySource, Requirement, RuleSource, Selector, SelectorOp, SequenceSource,
    SignalSource, StepSource, Target, ThresholdSource, WhereSource, WindowSource,
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
    #[error("more than one of threshold, new_value, sequence and correlation")]
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
        detect: detect(body)?,
        signal: SignalSource {
            title: body.title.clone(),
            group_by: body.group_by.clone(),
            fields: body.fields.clone(),
        },
        ..RuleSource::new(&body.name, &body.condition)
    })
}

fn detect(body: &v1::RuleBody) -> Result<Option<DetectSource>, BodyError> {
    let (group_by, method) = match (
        &body.threshold,
        &body.new_value,
        &body.sequence,
        &body.correlation,
    ) {
        (None, None, None, None) => return Ok(None),
        (Some(threshold), None, None, None) => (&threshold.group_by, self::threshold(threshold)?),
        (None, Some(new), None, None) => (&new.group_by, new_value(new)),
        (None, None, Some(sequence), None) => (&sequence.group_by, self::sequence(sequence)),
        (None, None, None, Some(all)) => (&all.group_by, correlation(all)?),
        _ => return Err(BodyError::Methods),
    };
    Ok(Some(DetectSource {
        group_by: group_by.clone(),
        method,
    }))
}

fn threshold(threshold: &v1::Threshold) -> Result<MethodSource, BodyError> {
    Ok(MethodSource::Threshold(ThresholdSource {
        count: threshold.count,
        within: threshold.within,
        distinct: (!threshold.distinct.is_empty()).then(|| threshold.distinct.clone()),
        window: match threshold.window.as_str() {
            "sliding" => WindowSource::Sliding,
            "fixed" => WindowSource::Fixed,
            "session" => WindowSource::Session { gap: threshold.gap },
            other => return Err(BodyError::Window(other.to_owned())),
        },
    }))
}

fn new_value(new: &v1::NewValue) -> MethodSource {
    MethodSource::NewValue(NewValueSource {
        fields: new.fields.clone(),
        learn_for: new.learn_for,
        learn_matches: new.learn_matches,
        forget_after: new.forget_after,
    })
}

fn sequence(sequence: &v1::Sequence) -> MethodSource {
    let step = |step: &v1::Step| StepSource {
        condition: step.condition.clone(),
        count: step.count,
    };
    MethodSource::Sequence(SequenceSource {
        within: sequence.within,
        steps: sequence.steps.iter().map(step).collect(),
        until: (!sequence.until.is_empty()).then(|| sequence.until.clone()),
    })
}

fn correlation(all: &v1::Correlation) -> Result<MethodSource, BodyError> {
    let query = |query: &v1::Query| {
        let field = query.field.clone();
        Ok(QuerySource {
            name: query.name.clone(),
            condition: query.condition.clone(),
            measure: match query.measure.as_str() {
                "count" => MeasureSource::Count,
                "distinct" => MeasureSource::Distinct(field),
                "sum" => MeasureSource::Sum(field),
                "max" => MeasureSource::Max(field),
                other => return Err(BodyError::Measure(other.to_owned())),
            },
        })
    };
    let case = |case: &v1::Case| {
        let severity = (!case.severity.is_empty()).then(|| case.severity.parse());
        Ok::<_, BodyError>(CaseSource {
            when: case.when.clone(),
            severity: severity.transpose()?,
            title: case.title.clone(),
        })
    };
    Ok(MethodSource::Correlation(CorrelationSource {
        within: all.within,
        queries: all.queries.iter().map(query).collect::<Result<_, BodyError>>()?,
        cases: all.cases.iter().map(case).collect::<Result<_, _>>()?,
    }))
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
