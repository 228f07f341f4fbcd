//! What an agent reports.

use yagura_event::{Excepted, Fold, GroupKey, Loss, Record, Timestamp};

use super::{ConvertError, bounded, invalid, tree_from_message, tree_to_message};
use crate::v1;

/// Samples of a fold.
const MAX_SAMPLES: usize = 3;
/// Fields that a rule groups by.
const MAX_GROUP: usize = 32;
/// Bytes of a field path.
const MAX_PATH: usize = 256;
/// Bytes of a uid or hash.
const MAX_ID: usize = 253;
/// Bytes of an interpolated title.
const MAX_TITLE: usize = 4_096;
/// Bytes of a loss's cause.
const MAX_CAUSE: usize = 64;
/// Matches of a fold: one agent counts fewer in a year.
const MAX_COUNT: u64 = 1 << 40;

/// Reads a fold.
pub fn fold_from_message(fold: v1::Fold) -> Result<Fold, ConvertError> {
    bounded("the rule's uid", fold.rule_uid.len(), MAX_ID)?;
    bounded("the rule's hash", fold.rule_hash.len(), MAX_ID)?;
    bounded("the title", fold.title.len(), MAX_TITLE)?;
    bounded("the group", fold.group.len(), MAX_GROUP)?;
    bounded("the samples", fold.samples.len(), MAX_SAMPLES)?;
    if fold.rule_uid.is_empty() {
        return Err(ConvertError::Missing("the rule's uid"));
    }
    if fold.count == 0 {
        return Err(invalid("the count", &fold.count));
    }
    if fold.count > MAX_COUNT {
        return Err(ConvertError::TooLarge {
            field: "the count",
            limit: MAX_COUNT,
        });
    }
    if fold.first < 0 || fold.last < fold.first {
        return Err(invalid("the time of the last match", &fold.last));
    }
    let group = fold
        .group
        .into_iter()
        .map(|part| {
            bounded("a group field", part.field.len(), MAX_PATH)?;
            let value = part.value.ok_or(ConvertError::Missing("a group value"))?;
            Ok((part.field, tree_from_message(value)?))
        })
        .collect::<Result<_, ConvertError>>()?;
    let samples = fold
        .samples
        .into_iter()
        .map(|sample| {
            let fields = sample.fields.ok_or(ConvertError::Missing("a sample"))?;
            Ok(Record {
                time: Timestamp(sample.time),
                fields: tree_from_message(fields)?,
            })
        })
        .collect::<Result<_, ConvertError>>()?;
    Ok(Fold {
        rule: fold.rule_uid,
        rule_hash: fold.rule_hash,
        group: GroupKey(group),
        title: fold.title,
        count: fold.count,
        first: Timestamp(fold.first),
        last: Timestamp(fold.last),
        samples,
        incomplete: fold.incomplete,
        pending: fold.pending,
        case: fold
            .case_number
            .checked_sub(1)
            .and_then(|case| u8::try_from(case).ok()),
    })
}

/// Writes a fold.
pub fn fold_to_message(fold: &Fold) -> v1::Fold {
    v1::Fold {
        rule_uid: fold.rule.clone(),
        rule_hash: fold.rule_hash.clone(),
        group: fold
            .group
            .0
            .iter()
            .map(|(field, value)| v1::GroupPart {
                field: field.clone(),
                value: Some(tree_to_message(value)),
            })
            .collect(),
        title: fold.title.clone(),
        count: fold.count,
        first: fold.first.0,
        last: fold.last.0,
        samples: fold
            .samples
            .iter()
            .map(|sample| v1::Sample {
                time: sample.time.0,
                fields: Some(tree_to_message(&sample.fields)),
            })
            .collect(),
        incomplete: fold.incomplete,
        pending: fold.pending,
        case_number: fold.case.map_or(0, |case| u32::from(case) + 1),
    }
}

/// Reads what an exception held back.
pub fn excepted_from_message(excepted: v1::Excepted) -> Result<Excepted, ConvertError> {
    for (field, uid) in [
        ("the rule's uid", &excepted.rule_uid),
        ("the exception's uid", &excepted.exception_uid),
    ] {
        bounded(field, uid.len(), MAX_ID)?;
        if uid.is_empty() {
            return Err(ConvertError::Missing(field));
        }
    }
    if !(1..=MAX_COUNT).contains(&excepted.count) {
        return Err(invalid("the count", &excepted.count));
    }
    if excepted.last < 0 {
        return Err(invalid("the time of the last match", &excepted.last));
    }
    Ok(Excepted {
        rule: excepted.rule_uid,
        exception: excepted.exception_uid,
        count: excepted.count,
        last: Timestamp(excepted.last),
    })
}

/// Writes what an exception held back.
pub fn excepted_to_message(excepted: &Excepted) -> v1::Excepted {
    v1::Excepted {
        rule_uid: excepted.rule.clone(),
        exception_uid: excepted.exception.clone(),
        count: excepted.count,
        last: excepted.last.0,
    }
}

/// Reads a loss.
pub fn loss_from_message(loss: v1::Loss) -> Result<Loss, ConvertError> {
    bounded("the cause", loss.cause.len(), MAX_CAUSE)?;
    Ok(Loss {
        cause: loss.cause,
        matches: loss.matches.min(MAX_COUNT),
    })
}

/// Writes a loss.
pub fn loss_to_message(loss: &Loss) -> v1::Loss {
    v1::Loss {
        cause: loss.cause.clone(),
        matches: loss.matches,
        further_records: 0,
    }
}
