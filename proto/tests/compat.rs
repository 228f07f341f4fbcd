//! What peers of other builds send can be read: fields keep their numbers, unknown ones are passed
//! over.

use prost::Message;
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::subscribe_request::Message as Request;
use yagura_proto::v1::value::Kind;
use yagura_proto::v1::{
    Ack, Fold, Hello, NamedLists, PodUpdate, RuleList, SpoolRecord, SubscribeRequest, Value,
};

/// A field that no build knows: number 1000, length-delimited, two bytes.
const UNKNOWN: &[u8] = &[0xc2, 0x3e, 0x02, 0xaa, 0xbb];

/// Bytes of the first protocol by hand: a changed number or type fails here.
#[test]
fn bytes_of_the_first_protocol_still_mean_the_same() {
    let hello = Hello::decode(&b"\x08\x01\x12\x03\x30.1\x18\x01\x22\x01n\x3a\x01h"[..]).unwrap();
    let expected = Hello {
        protocol: 1,
        agent_version: "0.1".into(),
        language_version: 1,
        node_name: "n".into(),
        held: vec!["h".into()],
        ..Hello::default()
    };
    assert_eq!(hello, expected);

    let record =
        b"\x08\x07\x12\x14\x0a\x01u\x22\x01t\x28\x03\x30\x01\x38\x02\x42\x06\x08\x05\x12\x02\x08\x01";
    let record = SpoolRecord::decode(&record[..]).unwrap();
    let Some(Record::Fold(fold)) = record.record else {
        panic!("no fold");
    };
    assert_eq!((record.sequence, &*fold.rule_uid, &*fold.title), (7, "u", "t"));
    assert_eq!((fold.count, fold.first, fold.last), (3, 1, 2));
    assert_eq!(fold.samples[0].time, 5);
    let fields = fold.samples[0].fields.as_ref().unwrap();
    assert_eq!(fields.kind, Some(Kind::Null(true)));

    let ack = Ack::decode(&b"\x0a\x01s\x10\x09"[..]).unwrap();
    assert_eq!((&*ack.spool, ack.sequence), ("s", 9));
    let list = RuleList::decode(&b"\x0a\x01r\x10\x02\x18\x03\x22\x06\x0a\x01u\x12\x01h"[..]).unwrap();
    assert_eq!((&*list.revision, list.epoch, list.n), ("r", 2, 3));
    assert_eq!((&*list.rules[0].uid, &*list.rules[0].hash), ("u", "h"));
    let lists = NamedLists::decode(&b"\x0a\x0a\x0a\x01h\x12\x01t\x1a\x02ab"[..]).unwrap();
    assert_eq!((&*lists.lists[0].hash, &*lists.lists[0].r#type), ("h", "t"));
    assert_eq!(lists.lists[0].values, ["ab"]);
    let pods = PodUpdate::decode(&b"\x08\x01\x1a\x01u"[..]).unwrap();
    assert!(pods.full && pods.deletes == ["u"]);
}

#[test]
fn fields_of_a_later_build_are_passed_over() {
    let fold = Fold {
        rule_uid: "u".into(),
        count: 3,
        ..Fold::default()
    };
    let bytes = [&fold.encode_to_vec(), UNKNOWN].concat();
    assert_eq!(Fold::decode(&*bytes).unwrap(), fold);
}

#[test]
fn a_message_of_a_later_build_is_one_without_content() {
    assert_eq!(SubscribeRequest::decode(UNKNOWN).unwrap().message, None);
    assert_eq!(Value::decode(UNKNOWN).unwrap().kind, None);
    let known = SubscribeRequest {
        message: Some(Request::Hello(Hello::default())),
    };
    assert_eq!(SubscribeRequest::decode(&*known.encode_to_vec()).unwrap(), known);
}
