//! Numbers of `detect` that make no sense.

use super::{
    MAX_BUCKET, MAX_BUCKETS, MAX_COUNT, MAX_DISTINCT, MAX_FIELDS, MAX_FORGET, MAX_HISTORY, MAX_QUERIES,
    MAX_SEQUENCE, MAX_STEPS, MAX_WITHIN, MIN_BUCKET,
};
use crate::diagnostic::{Code, Part, Place, Sink, Span};
use crate::source::{
    AnomalySource, ContentAnomalySource, CorrelationSource, MethodSource, NewValueSource, SequenceSource,
    ThresholdSource, WindowSource,
};

/// Says which are wrong.
pub(super) fn check(source: &MethodSource, sink: &mut Sink) {
    let code = match source {
        MethodSource::Threshold(_) => Code::BAD_THRESHOLD,
        MethodSource::NewValue(_) => Code::BAD_NEW_VALUE,
        MethodSource::Sequence(_) => Code::BAD_SEQUENCE,
        MethodSource::Correlation(_) => Code::BAD_CORRELATION,
        MethodSource::Anomaly(_) | MethodSource::ContentAnomaly(_) => Code::BAD_ANOMALY,
    };
    let mut wrong = |place, message: String, help: Option<&str>| {
        let part = Part::Detect(source.name(), place);
        sink.push(code, part, Span::default(), message, help.map(str::to_owned));
    };
    match source {
        MethodSource::Threshold(source) => threshold(source, &mut wrong),
        MethodSource::NewValue(source) => new_value(source, &mut wrong),
        MethodSource::Sequence(source) => sequence(source, &mut wrong),
        MethodSource::Correlation(source) => correlation(source, &mut wrong),
        MethodSource::Anomaly(source) => anomaly(source, &mut wrong),
        MethodSource::ContentAnomaly(source) => content(source, &mut wrong),
    }
}

fn threshold(source: &ThresholdSource, wrong: &mut impl FnMut(Place, String, Option<&str>)) {
    let most = if source.distinct.is_some() {
        MAX_DISTINCT
    } else {
        MAX_COUNT
    };
    if !(1..=most).contains(&source.count) {
        let message = format!("a threshold of {} is not between 1 and {most}", source.count);
        wrong(Place::Count, message, None);
    }
    within(source.within, wrong);
    if let WindowSource::Session { gap } = source.window
        && !(1..=source.within).contains(&gap)
    {
        let message = "the pause that ends a session is longer than the session may be, or none";
        let help = "let gap be at most as long as within";
        wrong(Place::Within, message.to_owned(), Some(help));
    }
}

fn within(within: i64, wrong: &mut impl FnMut(Place, String, Option<&str>)) {
    if !(1..=MAX_WITHIN).contains(&within) {
        let message = "the window is not between a nanosecond and 24 hours long".to_owned();
        wrong(Place::Within, message, None);
    }
}

fn new_value(source: &NewValueSource, wrong: &mut impl FnMut(Place, String, Option<&str>)) {
    let fields = source.fields.len();
    if !(1..=MAX_FIELDS).contains(&fields) {
        let message = format!("a value of {fields} fields is not one of 1 to {MAX_FIELDS}");
        wrong(Place::Field(0), message, None);
    }
    learning(source.learn_for, source.learn_matches, source.forget_after, wrong);
}

fn learning(
    learn_for: i64,
    learn_matches: u64,
    forget_after: i64,
    wrong: &mut impl FnMut(Place, String, Option<&str>),
) {
    if !(0..=MAX_FORGET).contains(&learn_for) {
        wrong(Place::LearnFor, "learning takes at most 90 days".to_owned(), None);
    }
    if learn_matches > MAX_COUNT {
        let message = format!("learning takes at most {MAX_COUNT} matches");
        wrong(Place::LearnMatches, message, None);
    }
    if !(1..=MAX_FORGET).contains(&forget_after) {
        let message = "values are remembered for more than nothing and at most 90 days".to_owned();
        wrong(Place::ForgetAfter, message, None);
    } else if forget_after < learn_for {
        let message = "values are forgotten before learning ends".to_owned();
        wrong(
            Place::ForgetAfter,
            message,
            Some("let forgetAfter be at least learnFor"),
        );
    }
}

fn sequence(source: &SequenceSource, wrong: &mut impl FnMut(Place, String, Option<&str>)) {
    within(source.within, wrong);
    let steps = source.steps.len();
    if !(1..=MAX_STEPS).contains(&steps) {
        let message = format!("a sequence of {steps} steps is not one of 1 to {MAX_STEPS}");
        wrong(Place::Step(0), message, None);
    }
    let mut sum = 0_u64;
    for (index, step) in source.steps.iter().take(MAX_STEPS).enumerate() {
        sum = sum.saturating_add(step.count);
        if step.count == 0 {
            let message = "a step takes at least one match".to_owned();
            wrong(Place::StepCount(index), message, Some("leave the step out"));
        } else if sum > MAX_SEQUENCE {
            let message =
                format!("up to this step the sequence takes {sum} matches, more than {MAX_SEQUENCE}");
            wrong(Place::StepCount(index), message, Some("count fewer of them"));
            return;
        }
    }
    if steps == 1 && sum == 1 {
        let message = "one match is no sequence".to_owned();
        wrong(Place::Step(0), message, Some("leave detect out, or add a step"));
    }
}

fn correlation(source: &CorrelationSource, wrong: &mut impl FnMut(Place, String, Option<&str>)) {
    within(source.within, wrong);
    let counts = [
        (Place::Query(0), "queries", source.queries.len()),
        (Place::Case(0), "cases", source.cases.len()),
    ];
    for (place, what, count) in counts {
        if !(1..=MAX_QUERIES).contains(&count) {
            let message = format!("a correlation has 1 to {MAX_QUERIES} {what}, not {count}");
            wrong(place, message, None);
        }
    }
}

/// An hour and a day, in nanoseconds.
const HOUR: i64 = 3_600 * 1_000_000_000;
const DAY: i64 = 24 * HOUR;

fn anomaly(source: &AnomalySource, wrong: &mut impl FnMut(Place, String, Option<&str>)) {
    let bucket = source.bucket;
    if !(MIN_BUCKET..=MAX_BUCKET).contains(&bucket) {
        wrong(
            Place::Bucket,
            "a bucket is between one minute and six hours long".to_owned(),
            None,
        );
        return;
    }
    if DAY % bucket != 0 || HOUR % bucket.min(HOUR) != 0 || bucket % HOUR.min(bucket) != 0 {
        let message = "the bucket divides no day and no hour, or is no number of hours".to_owned();
        wrong(Place::Bucket, message, Some("use 1m, 5m, 15m, 1h or 6h"));
    }
    let most = MAX_HISTORY.min(MAX_BUCKETS.saturating_mul(bucket));
    if !(DAY..=most).contains(&source.history) {
        let hours = most / HOUR;
        let message = format!("with such buckets the history is between 24 and {hours} hours long");
        wrong(Place::History, message, None);
    }
    if !(bucket..=source.history.max(bucket)).contains(&source.learn_for) {
        let message = "learning takes at least one bucket and at most the history".to_owned();
        wrong(Place::LearnFor, message, None);
    }
    if source.tolerance > 100 {
        wrong(Place::Tolerance, "a tolerance is at most 100".to_owned(), None);
    }
    if !(2..=MAX_COUNT).contains(&source.min_count) {
        let message = format!("fewer than 2 or more than {MAX_COUNT} matches cannot be asked for");
        wrong(Place::MinCount, message, None);
    }
}

fn content(source: &ContentAnomalySource, wrong: &mut impl FnMut(Place, String, Option<&str>)) {
    if !(1..=100).contains(&source.similarity) {
        wrong(
            Place::Similarity,
            "similarity is between 1 and 100 hundredths".to_owned(),
            None,
        );
    }
    if !(1..=MAX_COUNT).contains(&source.similar) {
        wrong(
            Place::Similar,
            format!("similar texts are between 1 and {MAX_COUNT}"),
            None,
        );
    }
    if source.learn_matches == 0 {
        wrong(
            Place::LearnMatches,
            "the first text of a group is always learned".to_owned(),
            None,
        );
    }
    learning(source.learn_for, source.learn_matches, source.forget_after, wrong);
}
