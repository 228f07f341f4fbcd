//! Which pods and namespaces a rule applies to.

use yagura_event::{Event, Known, Text};
use yagura_rules::WhereSource;
use yagura_rules::source::{Requirement, Selector, SelectorOp};

/// Whether a rule's selectors choose an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// They do not.
    No,
    /// They do.
    Yes,
    /// The labels are not known yet; until then they count as chosen.
    Pending,
}

/// Whether the selectors of a rule choose an event. What runs outside of pods has no labels to be chosen by.
pub(crate) fn selects(where_: &WhereSource, event: &Event) -> Selected {
    if where_.namespaces.is_none() && where_.pods.is_none() {
        return Selected::Yes;
    }
    let Some(container) = event.container.as_deref() else {
        return Selected::No;
    };
    let pod = match &container.pod {
        Known::Present(pod) => pod,
        Known::Absent => return Selected::No,
        Known::Unknown => return Selected::Pending,
    };
    let mut result = Selected::Yes;
    for (selector, labels) in [
        (&where_.pods, &pod.labels),
        (&where_.namespaces, &pod.namespace_labels),
    ] {
        let Some(selector) = selector else { continue };
        match labels {
            Known::Unknown => result = Selected::Pending,
            Known::Present(labels) if fits(selector, labels) => {}
            Known::Absent if fits(selector, &[]) => {}
            Known::Present(_) | Known::Absent => return Selected::No,
        }
    }
    result
}

fn fits(selector: &Selector, labels: &[(Text, Text)]) -> bool {
    let value = |key: &str| {
        let index = labels
            .binary_search_by(|(name, _)| name.as_bytes().cmp(key.as_bytes()))
            .ok()?;
        Some(labels[index].1.as_bytes())
    };
    selector
        .labels
        .iter()
        .all(|(key, wanted)| value(key) == Some(wanted.as_bytes()))
        && selector.requirements.iter().all(
            |Requirement {
                 key,
                 operator,
                 values,
             }| {
                let found = value(key);
                let listed = found.is_some_and(|found| values.iter().any(|value| value.as_bytes() == found));
                match operator {
                    SelectorOp::In => listed,
                    SelectorOp::NotIn => !listed,
                    SelectorOp::Exists => found.is_some(),
                    SelectorOp::DoesNotExist => found.is_none(),
                }
            },
        )
}

#[cfg(test)]
mod tests {
    use yagura_event::{Timestamp, Tree, build_event};

    use super::*;

    fn event(labels: Option<&[(&str, &str)]>) -> Event {
        let mut fields = vec![("kind".into(), "process.exec".into())];
        match labels {
            Some(labels) => {
                let labels = labels
                    .iter()
                    .map(|(key, value)| (Text::from(*key), Tree::from(*value)));
                fields.push(("k8s.pod.labels".into(), Tree::map(labels)));
            }
            None => fields.push(("k8s.pod.labels".into(), Tree::Unknown)),
        }
        build_event(&Tree::map(fields), Timestamp(0)).unwrap()
    }

    fn requirement(operator: SelectorOp, values: &[&str]) -> WhereSource {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let requirement = Requirement {
            key: "app".to_owned(),
            operator,
            values,
        };
        let pods = Selector {
            requirements: vec![requirement],
            ..Selector::default()
        };
        WhereSource {
            pods: Some(pods),
            ..WhereSource::default()
        }
    }

    #[test]
    fn requirements_read_labels_as_kubernetes_does() {
        let cart = event(Some(&[("app", "cart"), ("tier", "web")]));
        let none = event(Some(&[]));
        let cases = [
            (SelectorOp::In, &["cart", "shop"][..], Selected::Yes, Selected::No),
            (SelectorOp::In, &["shop"][..], Selected::No, Selected::No),
            (SelectorOp::NotIn, &["cart"][..], Selected::No, Selected::Yes),
            (SelectorOp::Exists, &[][..], Selected::Yes, Selected::No),
            (SelectorOp::DoesNotExist, &[][..], Selected::No, Selected::Yes),
        ];
        for (operator, values, on_cart, on_none) in cases {
            let where_ = requirement(operator, values);
            assert_eq!(selects(&where_, &cart), on_cart, "{operator:?} {values:?}");
            assert_eq!(selects(&where_, &none), on_none, "{operator:?} {values:?}");
        }
    }

    #[test]
    fn unknown_labels_are_pending_and_hosts_are_never_selected() {
        let where_ = requirement(SelectorOp::Exists, &[]);
        assert_eq!(selects(&where_, &event(None)), Selected::Pending);
        let host = build_event(&Tree::map([("kind".into(), "process.exec".into())]), Timestamp(0)).unwrap();
        assert_eq!(selects(&where_, &host), Selected::No);
        assert_eq!(selects(&WhereSource::default(), &host), Selected::Yes);
    }
}
