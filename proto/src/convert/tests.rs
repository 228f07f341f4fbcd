//! Every domain value survives the wire, and nothing from the wire is more than an error.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use yagura_event::facts::{FileFact, FileStat, Kubelet, NodeFacts};
use yagura_event::{Excepted, Fold, GroupKey, Known, Loss, Pod, Record, Text, Timestamp, Tree};

use super::*;
use crate::v1;

fn text() -> impl Strategy<Value = Text> {
    vec(any::<u8>(), 0..12).prop_map(Text::from)
}

fn name() -> impl Strategy<Value = Text> {
    "[a-z0-9.-]{1,20}".prop_map(Text::from)
}

fn known<T: std::fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Known<T>> {
    value.prop_flat_map(|value| {
        prop_oneof![
            Just(Known::Present(value)),
            Just(Known::Absent),
            Just(Known::Unknown)
        ]
    })
}

fn optional<T: std::fmt::Debug + Clone>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Known<T>> {
    proptest::option::of(value).prop_map(Known::from)
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        Just(Tree::Unknown),
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::Int),
        any::<u64>().prop_map(Tree::Uint),
        (-1e300..1e300f64).prop_map(Tree::Double),
        text().prop_map(Tree::Text),
    ];
    leaf.prop_recursive(6, 64, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Tree::List),
            vec((text(), inner), 0..5).prop_map(Tree::map),
        ]
    })
}

fn fold() -> impl Strategy<Value = Fold> {
    let samples = vec((any::<i64>(), tree()), 0..4);
    let group = vec(("[a-z.]{1,20}", tree()), 0..4);
    let head = ("[a-z0-9-]{1,36}", "[a-f0-9]{0,64}", ".{0,40}");
    let numbers = (1..1u64 << 40, 0..i64::MAX / 2, 0..i64::MAX / 2);
    (head, group, numbers, samples, any::<(bool, bool, Option<u8>)>()).prop_map(
        |((rule, rule_hash, title), group, (count, first, length), samples, flags)| Fold {
            rule,
            rule_hash,
            group: GroupKey(group),
            title,
            count,
            first: Timestamp(first),
            last: Timestamp(first + length),
            samples: samples
                .into_iter()
                .map(|(time, fields)| Record {
                    time: Timestamp(time),
                    fields,
                })
                .collect(),
            incomplete: flags.0,
            pending: flags.1,
            case: flags.2,
        },
    )
}

fn facts() -> impl Strategy<Value = NodeFacts> {
    // A configuration that is unknown as a whole is Known::Unknown, never a present unknown.
    let config = known(tree().prop_filter("unknown", |tree| *tree != Tree::Unknown));
    let kubelet =
        (vec((name(), text()), 0..4), optional(name()), config).prop_map(|(flags, config_path, config)| {
            Kubelet {
                flags,
                config_path,
                config,
            }
        });
    let stat = (
        0..0o10000u16,
        any::<(u32, u32)>(),
        optional(name()),
        optional(name()),
    )
        .prop_map(|(mode, (uid, gid), owner, group)| FileStat {
            mode,
            uid,
            gid,
            owner,
            group,
        });
    let file = (name(), text(), known(stat)).prop_map(|(key, path, stat)| FileFact { key, path, stat });
    (name(), known(kubelet), vec(file, 0..4)).prop_map(|(node, kubelet, files)| NodeFacts {
        node,
        kubelet,
        files,
    })
}

fn pod() -> impl Strategy<Value = Pod> {
    let labels = || {
        proptest::collection::btree_map("[a-z/.]{1,20}", "[a-z]{0,10}", 0..5).prop_map(|labels| {
            let labels = labels.into_iter();
            Known::Present(labels.map(|(k, v)| (Text::from(k), Text::from(v))).collect())
        })
    };
    let names = (name(), name(), name());
    (names, labels(), labels(), optional((name(), name()))).prop_map(
        |((uid, name, namespace), labels, namespace_labels, owner)| Pod {
            uid,
            name,
            namespace,
            labels,
            namespace_labels,
            owner,
        },
    )
}

proptest! {
    #[test]
    fn a_value_survives_the_wire(tree in tree()) {
        let bytes = tree_to_message(&tree).encode_to_vec();
        let message = v1::Value::decode(&*bytes).unwrap();
        prop_assert_eq!(tree_from_message(message), Ok(tree));
    }

    #[test]
    fn a_fold_survives_the_wire(fold in fold()) {
        let bytes = fold_to_message(&fold).encode_to_vec();
        let message = v1::Fold::decode(&*bytes).unwrap();
        prop_assert_eq!(fold_from_message(message), Ok(fold));
    }

    #[test]
    fn facts_survive_the_wire(facts in facts()) {
        let bytes = facts_to_message(&facts).encode_to_vec();
        let message = v1::NodeFacts::decode(&*bytes).unwrap();
        prop_assert_eq!(facts_from_message(message), Ok(facts));
    }

    #[test]
    fn a_pod_survives_the_wire(pod in pod()) {
        let bytes = pod_to_message(&pod, Vec::new()).encode_to_vec();
        let message = v1::Pod::decode(&*bytes).unwrap();
        prop_assert_eq!(pod_from_message(&message), Ok(pod));
    }

    #[test]
    fn a_loss_survives_the_wire(cause in "[a-z-]{0,20}", matches in 0..1u64 << 40) {
        let loss = Loss { cause, matches };
        prop_assert_eq!(loss_from_message(loss_to_message(&loss)), Ok(loss));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in vec(any::<u8>(), 0..512)) {
        if let Ok(message) = v1::SpoolRecord::decode(&*bytes)
            && let Some(v1::spool_record::Record::Fold(fold)) = message.record
        {
            fold_from_message(fold).ok();
        }
        if let Ok(message) = v1::Value::decode(&*bytes) {
            tree_from_message(message).ok();
        }
        if let Ok(message) = v1::NodeFacts::decode(&*bytes) {
            facts_from_message(message).ok();
        }
        if let Ok(message) = v1::Pod::decode(&*bytes) {
            pod_from_message(&message).ok();
        }
    }
}

fn nested(depth: usize) -> v1::Value {
    (1..depth).fold(tree_to_message(&Tree::Null), |inner, _| v1::Value {
        kind: Some(v1::value::Kind::List(v1::ValueList { items: vec![inner] })),
    })
}

#[test]
fn what_is_nested_too_deep_is_refused_and_never_sent() {
    assert!(tree_from_message(nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        tree_from_message(nested(MAX_DEPTH + 1)),
        Err(ConvertError::TooDeep)
    );
    let deep = (0..100).fold(Tree::Null, |inner, _| Tree::List(vec![inner]));
    assert!(tree_from_message(tree_to_message(&deep)).is_ok());
}

#[test]
fn a_value_of_too_many_parts_is_refused() {
    let wide = Tree::List(vec![Tree::Null; MAX_NODES]);
    let error = tree_from_message(tree_to_message(&wide)).unwrap_err();
    assert!(matches!(error, ConvertError::TooLarge { .. }), "{error}");
}

#[test]
fn a_fold_that_says_nothing_or_too_much_is_refused_by_name() {
    let good = v1::Fold {
        rule_uid: "u".into(),
        count: 1,
        ..v1::Fold::default()
    };
    assert!(fold_from_message(good.clone()).is_ok());
    let bad = [
        (
            v1::Fold {
                count: 0,
                ..good.clone()
            },
            "count",
        ),
        (
            v1::Fold {
                count: u64::MAX,
                ..good.clone()
            },
            "count",
        ),
        (
            v1::Fold {
                rule_uid: String::new(),
                ..good.clone()
            },
            "uid",
        ),
        (
            v1::Fold {
                first: 2,
                last: 1,
                ..good.clone()
            },
            "time",
        ),
        (
            v1::Fold {
                title: "x".repeat(5_000),
                ..good.clone()
            },
            "title",
        ),
        (
            v1::Fold {
                samples: vec![v1::Sample::default(); 4],
                ..good
            },
            "samples",
        ),
    ];
    for (fold, field) in bad {
        let error = fold_from_message(fold).unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn what_an_exception_held_back_survives_the_wire_and_is_bounded() {
    let excepted = Excepted {
        rule: "r".to_owned(),
        exception: "e".to_owned(),
        count: 3,
        last: Timestamp(5),
    };
    let message = excepted_to_message(&excepted);
    assert_eq!(excepted_from_message(message.clone()), Ok(excepted));
    let wrong = [
        v1::Excepted {
            count: 0,
            ..message.clone()
        },
        v1::Excepted {
            count: u64::MAX,
            ..message.clone()
        },
        v1::Excepted {
            last: -1,
            ..message.clone()
        },
        v1::Excepted {
            rule_uid: String::new(),
            ..message.clone()
        },
        v1::Excepted {
            exception_uid: "x".repeat(300),
            ..message
        },
    ];
    for message in wrong {
        assert!(excepted_from_message(message.clone()).is_err(), "{message:?}");
    }
}
