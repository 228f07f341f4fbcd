//! Compares an object with what ships, and says how to make it the same.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde_json::{Map, Value};

use super::LABEL;
use super::bundle::{Item, Kind, Spec, USERS};
use crate::FIELD_MANAGER;

/// Whether the object says what ships, in all that is not the user's.
pub(super) fn is_as_shipped(kind: Kind, item: &Item, object: &DynamicObject) -> bool {
    let label = object
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(LABEL));
    label.is_some_and(|label| label == item.pack.as_str())
        && object
            .data
            .get("spec")
            .and_then(|spec| Spec::read(kind, spec))
            .is_some_and(|spec| spec == item.spec)
}

/// Members of `spec` that differ from what ships.
pub(super) fn differing(kind: Kind, item: &Item, object: &DynamicObject) -> Vec<String> {
    let wanted = item.spec.members();
    // What cannot be read is compared as it stands.
    let raw = || {
        let members = object.data.get("spec").and_then(Value::as_object);
        members.cloned().unwrap_or_default()
    };
    let found = object
        .data
        .get("spec")
        .and_then(|spec| Spec::read(kind, spec))
        .map_or_else(raw, |spec| spec.members());
    let names: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    names
        .into_iter()
        .filter(|name| !USERS.contains(&name.as_str()) && wanted.get(*name) != found.get(*name))
        .cloned()
        .collect()
}

/// The merge patch after which `spec` is exactly what ships. Applying alone takes back what was
/// changed, but leaves what somebody else added.
pub(super) fn correction(item: &Item, object: &DynamicObject) -> Value {
    let mut found = object
        .data
        .get("spec")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    for member in USERS {
        found.remove(member);
    }
    Value::Object(difference(&found, &item.spec.members()))
}

fn difference(found: &Map<String, Value>, wanted: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in wanted {
        match (found.get(name), value) {
            (Some(before), value) if before == value => {}
            (Some(Value::Object(before)), Value::Object(value)) => {
                patch.insert(name.clone(), Value::Object(difference(before, value)));
            }
            _ => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    patch
}

/// Who, beside this operator, owns members of `spec` that are not the user's.
pub(super) fn editors(object: &DynamicObject) -> BTreeSet<String> {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER))
        .filter(|entry| {
            let spec = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
            let mut owned = spec.and_then(Value::as_object).into_iter().flat_map(Map::keys);
            owned.any(|field| {
                field
                    .strip_prefix("f:")
                    .is_some_and(|member| !USERS.contains(&member))
            })
        })
        .map(|entry| entry.manager.clone().unwrap_or_else(|| "somebody".to_owned()))
        .collect()
}

/// Whether the operator put the label on the object: only then is it deleted when it is not wanted.
/// A copy that somebody makes of a shipped object has the label as well, but not from here.
pub(crate) fn is_labelled_by_us(object: &DynamicObject) -> bool {
    let labelled = object
        .metadata
        .labels
        .as_ref()
        .is_some_and(|labels| labels.contains_key(LABEL));
    let field = format!("f:{LABEL}");
    labelled
        && object.metadata.managed_fields.iter().flatten().any(|entry| {
            entry.manager.as_deref() == Some(FIELD_MANAGER)
                && entry.fields_v1.as_ref().is_some_and(|fields| {
                    let labels = &fields.0["f:metadata"]["f:labels"];
                    labels.get(&field).is_some()
                })
        })
}
