//! Reports as an agent of ours would not send them.

use yagura_proto::v1::report_request::Message;
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::value::Kind;
use yagura_proto::v1::{Fold, GroupPart, RecordBatch, ReportRequest, SpoolRecord, Value};

/// One match of a rule now, in a group that names a pod.
pub fn fold(rule: &str, pod: &str) -> Fold {
    fold_of(rule, "k8s.pod.uid", pod)
}

/// One match of a rule now, in the group of a field's value.
pub fn fold_of(rule: &str, field: &str, value: &str) -> Fold {
    let value = Value {
        kind: Some(Kind::Text(value.into())),
    };
    let now = now();
    Fold {
        rule_uid: rule.to_owned(),
        group: vec![GroupPart {
            field: field.to_owned(),
            value: Some(value),
        }],
        title: "A lie".to_owned(),
        count: 1,
        first: now,
        last: now,
        ..Fold::default()
    }
}

/// A batch of folds, numbered from `first` on.
pub fn batch(spool: &str, first: u64, folds: Vec<Fold>) -> ReportRequest {
    let records = (first..).zip(folds).map(|(sequence, fold)| SpoolRecord {
        sequence,
        record: Some(Record::Fold(fold)),
    });
    ReportRequest {
        message: Some(Message::Records(RecordBatch {
            spool: spool.to_owned(),
            records: records.collect(),
        })),
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanoseconds = since.map_or(0, |since| since.as_nanos());
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}
