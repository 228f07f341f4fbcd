//! How matches become detections, as it comes over the wire.

use yagura_proto::v1;
use yagura_rules::source::{
    AnomalySource, CaseSource, ContentAnomalySource, CorrelationSource, DetectSource, MeasureSource,
    MethodSource, NewValueSource, QuerySource, SequenceSource, StepSource, ThresholdSource, WindowSource,
};

use super::BodyError;

/// The body's method, if it has one.
pub(super) fn source(body: &v1::RuleBody) -> Result<Option<DetectSource>, BodyError> {
    let mut found = Vec::new();
    if let Some(method) = &body.threshold {
        found.push((&method.group_by, threshold(method)?));
    }
    if let Some(method) = &body.new_value {
        found.push((&method.group_by, new_value(method)));
    }
    if let Some(method) = &body.sequence {
        found.push((&method.group_by, sequence(method)));
    }
    if let Some(method) = &body.correlation {
        found.push((&method.group_by, correlation(method)?));
    }
    if let Some(method) = &body.anomaly {
        found.push((&method.group_by, anomaly(method)));
    }
    if let Some(method) = &body.content_anomaly {
        found.push((&method.group_by, content(method)));
    }
    if found.len() > 1 {
        return Err(BodyError::Methods);
    }
    Ok(found.pop().map(|(group_by, method)| DetectSource {
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

fn anomaly(anomaly: &v1::Anomaly) -> MethodSource {
    MethodSource::Anomaly(AnomalySource {
        bucket: anomaly.bucket,
        history: anomaly.history,
        learn_for: anomaly.learn_for,
        tolerance: anomaly.tolerance,
        min_count: anomaly.min_count,
    })
}

fn content(content: &v1::ContentAnomaly) -> MethodSource {
    MethodSource::ContentAnomaly(ContentAnomalySource {
        field: content.field.clone(),
        similarity: content.similarity,
        similar: content.similar,
        learn_for: content.learn_for,
        learn_matches: content.learn_matches,
        forget_after: content.forget_after,
    })
}
