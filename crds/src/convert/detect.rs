//! `spec.detect` as the compiler takes it.

use yagura_rules::source::{
    DetectSource, MethodSource, NewValueSource, SequenceSource, StepSource, ThresholdSource, WindowSource,
};

use super::{ConvertError, nanoseconds};
use crate::detection_rule::{Detect, NewValue, Sequence, Threshold, Window};

pub(super) fn source(detect: &Detect) -> Result<DetectSource, ConvertError> {
    let Detect {
        threshold,
        new_value,
        sequence,
    } = detect;
    let (group_by, method) = match (threshold, new_value, sequence) {
        (Some(threshold), None, None) => (&threshold.group_by, self::threshold(threshold)?),
        (None, Some(new), None) => (&new.group_by, self::new_value(new)?),
        (None, None, Some(sequence)) => (&sequence.group_by, self::sequence(sequence)?),
        _ => return Err(ConvertError::Methods),
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
    let step = |step: &crate::detection_rule::Step| StepSource {
        condition: step.condition.clone(),
        count: u64::from(step.count),
    };
    Ok(MethodSource::Sequence(SequenceSource {
        within: nanoseconds("spec.detect.sequence.within", &sequence.within)?,
        steps: sequence.steps.iter().map(step).collect(),
        until: sequence.until.clone(),
    }))
}
