//! `spec.detect` as the compiler takes it.

use yagura_rules::source::{
    AnomalySource, CaseSource, ContentAnomalySource, CorrelationSource, DetectSource, MeasureSource,
    MethodSource, NewValueSource, QuerySource, SequenceSource, StepSource, ThresholdSource, WindowSource,
};

use super::{ConvertError, nanoseconds};
use crate::detection_rule::{
    self, Anomaly, ContentAnomaly, Correlation, Detect, NewValue, Query, Sequence, Threshold, Window,
};

/// `overridden`: the severity of the rule stands for all its cases.
pub(super) fn source(detect: &Detect, overridden: bool) -> Result<DetectSource, ConvertError> {
    let Detect {
        threshold,
        new_value,
        sequence,
        correlation,
        anomaly,
        content_anomaly,
    } = detect;
    let mut found = Vec::new();
    if let Some(method) = threshold {
        found.push((&method.group_by, self::threshold(method)?));
    }
    if let Some(method) = new_value {
        found.push((&method.group_by, self::new_value(method)?));
    }
    if let Some(method) = sequence {
        found.push((&method.group_by, self::sequence(method)?));
    }
    if let Some(method) = correlation {
        found.push((&method.group_by, correlation_of(method, overridden)?));
    }
    if let Some(method) = anomaly {
        found.push((&method.group_by, self::anomaly(method)?));
    }
    if let Some(method) = content_anomaly {
        found.push((&method.group_by, content(method)?));
    }
    let only = found.len() == 1;
    let Some((group_by, method)) = found.pop().filter(|_| only) else {
        return Err(ConvertError::Methods);
    };
    Ok(DetectSource {
        group_by: group_by.clone(),
        method,
    })
}

fn threshold(threshold: &Threshold) -> Result<MethodSource, ConvertError> {
    let gap = || match &threshold.gap {
        Some(gap) => nanoseconds("spec.detect.threshold.gap", gap),
        None => Ok(0),
    };
    Ok(MethodSource::Threshold(ThresholdSource {
        count: u64::from(threshold.count),
        within: nanoseconds("spec.detect.threshold.within", &threshold.within)?,
        distinct: threshold.distinct.clone(),
        window: match threshold.window {
            Window::Sliding => WindowSource::Sliding,
            Window::Fixed => WindowSource::Fixed,
            Window::Session => WindowSource::Session { gap: gap()? },
        },
    }))
}

fn new_value(new: &NewValue) -> Result<MethodSource, ConvertError> {
    Ok(MethodSource::NewValue(NewValueSource {
        fields: new.fields.clone(),
        learn_for: nanoseconds("spec.detect.newValue.learnFor", &new.learn_for)?,
        learn_matches: u64::from(new.learn_matches),
        forget_after: nanoseconds("spec.detect.newValue.forgetAfter", &new.forget_after)?,
    }))
}

fn sequence(sequence: &Sequence) -> Result<MethodSource, ConvertError> {
    let step = |step: &detection_rule::Step| StepSource {
        condition: step.condition.clone(),
        count: u64::from(step.count),
    };
    Ok(MethodSource::Sequence(SequenceSource {
        within: nanoseconds("spec.detect.sequence.within", &sequence.within)?,
        steps: sequence.steps.iter().map(step).collect(),
        until: sequence.until.clone(),
    }))
}

fn correlation_of(all: &Correlation, overridden: bool) -> Result<MethodSource, ConvertError> {
    let query = |query: &Query| {
        let measure = match (&query.distinct, &query.sum, &query.max) {
            (None, None, None) => MeasureSource::Count,
            (Some(field), None, None) => MeasureSource::Distinct(field.clone()),
            (None, Some(field), None) => MeasureSource::Sum(field.clone()),
            (None, None, Some(field)) => MeasureSource::Max(field.clone()),
            _ => return Err(ConvertError::Measures(query.name.clone())),
        };
        Ok(QuerySource {
            name: query.name.clone(),
            condition: query.condition.clone(),
            measure,
        })
    };
    let case = |case: &detection_rule::Case| CaseSource {
        when: case.when.clone(),
        severity: case.severity.filter(|_| !overridden).map(Into::into),
        title: case.title.clone(),
    };
    Ok(MethodSource::Correlation(CorrelationSource {
        within: nanoseconds("spec.detect.correlation.within", &all.within)?,
        queries: all.queries.iter().map(query).collect::<Result<_, _>>()?,
        cases: all.cases.iter().map(case).collect(),
    }))
}

fn anomaly(anomaly: &Anomaly) -> Result<MethodSource, ConvertError> {
    Ok(MethodSource::Anomaly(AnomalySource {
        bucket: nanoseconds("spec.detect.anomaly.bucket", &anomaly.bucket)?,
        history: nanoseconds("spec.detect.anomaly.history", &anomaly.history)?,
        learn_for: nanoseconds("spec.detect.anomaly.learnFor", &anomaly.learn_for)?,
        tolerance: u64::from(anomaly.tolerance),
        min_count: u64::from(anomaly.min_count),
    }))
}

fn content(content: &ContentAnomaly) -> Result<MethodSource, ConvertError> {
    Ok(MethodSource::ContentAnomaly(ContentAnomalySource {
        field: content.field.clone(),
        similarity: u64::from(content.similarity),
        similar: u64::from(content.similar),
        learn_for: nanoseconds("spec.detect.contentAnomaly.learnFor", &content.learn_for)?,
        learn_matches: u64::from(content.learn_matches),
        forget_after: nanoseconds("spec.detect.contentAnomaly.forgetAfter", &content.forget_after)?,
    }))
}
