//! How matches become detections, as agents get it.

use yagura_proto::v1;
use yagura_rules::source::{
    AnomalySource, CaseSource, ContentAnomalySource, CorrelationSource, DetectSource, MethodSource,
    NewValueSource, QuerySource, SequenceSource, StepSource, ThresholdSource, WindowSource,
};

/// Puts a method into a rule's body.
pub(super) fn put(source: &DetectSource, body: &mut v1::RuleBody) {
    let DetectSource { group_by, method } = source;
    match method {
        MethodSource::Threshold(source) => body.threshold = Some(threshold(group_by, source)),
        MethodSource::NewValue(source) => body.new_value = Some(new_value(group_by, source)),
        MethodSource::Sequence(source) => body.sequence = Some(sequence(group_by, source)),
        MethodSource::Correlation(source) => body.correlation = Some(correlation(group_by, source)),
        MethodSource::Anomaly(source) => body.anomaly = Some(anomaly(group_by, source)),
        MethodSource::ContentAnomaly(source) => body.content_anomaly = Some(content(group_by, source)),
    }
}

fn threshold(group_by: &[String], threshold: &ThresholdSource) -> v1::Threshold {
    let ThresholdSource {
        count,
        within,
        distinct,
        window,
    } = threshold;
    v1::Threshold {
        count: *count,
        within: *within,
        group_by: group_by.to_vec(),
        distinct: distinct.clone().unwrap_or_default(),
        window: window.as_str().to_owned(),
        gap: match window {
            WindowSource::Session { gap } => *gap,
            WindowSource::Sliding | WindowSource::Fixed => 0,
        },
    }
}

fn new_value(group_by: &[String], new: &NewValueSource) -> v1::NewValue {
    let NewValueSource {
        fields,
        learn_for,
        learn_matches,
        forget_after,
    } = new;
    v1::NewValue {
        group_by: group_by.to_vec(),
        fields: fields.clone(),
        learn_for: *learn_for,
        learn_matches: *learn_matches,
        forget_after: *forget_after,
    }
}

fn sequence(group_by: &[String], sequence: &SequenceSource) -> v1::Sequence {
    let SequenceSource { within, steps, until } = sequence;
    let step = |StepSource { condition, count }: &StepSource| v1::Step {
        condition: condition.clone(),
        count: *count,
    };
    v1::Sequence {
        group_by: group_by.to_vec(),
        within: *within,
        steps: steps.iter().map(step).collect(),
        until: until.clone().unwrap_or_default(),
    }
}

fn correlation(group_by: &[String], correlation: &CorrelationSource) -> v1::Correlation {
    let CorrelationSource {
        within,
        queries,
        cases,
    } = correlation;
    let query = |QuerySource {
                     name,
                     condition,
                     measure,
                 }: &QuerySource| v1::Query {
        name: name.clone(),
        condition: condition.clone(),
        measure: measure.as_str().to_owned(),
        field: measure.field().cloned().unwrap_or_default(),
    };
    let case = |CaseSource {
                    when,
                    severity,
                    title,
                }: &CaseSource| v1::Case {
        when: when.clone(),
        severity: severity.map_or("", yagura_event::Severity::as_str).to_owned(),
        title: title.clone(),
    };
    v1::Correlation {
        group_by: group_by.to_vec(),
        within: *within,
        queries: queries.iter().map(query).collect(),
        cases: cases.iter().map(case).collect(),
    }
}

fn anomaly(group_by: &[String], anomaly: &AnomalySource) -> v1::Anomaly {
    let AnomalySource {
        bucket,
        history,
        learn_for,
        tolerance,
        min_count,
    } = anomaly;
    v1::Anomaly {
        group_by: group_by.to_vec(),
        bucket: *bucket,
        history: *history,
        learn_for: *learn_for,
        tolerance: *tolerance,
        min_count: *min_count,
    }
}

fn content(group_by: &[String], content: &ContentAnomalySource) -> v1::ContentAnomaly {
    let ContentAnomalySource {
        field,
        similarity,
        similar,
        learn_for,
        learn_matches,
        forget_after,
    } = content;
    v1::ContentAnomaly {
        group_by: group_by.to_vec(),
        field: field.clone(),
        similarity: *similarity,
        similar: *similar,
        learn_for: *learn_for,
        learn_matches: *learn_matches,
        forget_after: *forget_after,
    }
}
