//! Checks a document against its kind's schema, as the API server does, but with every fault at
//! its place and with unknown members as faults.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use super::Fault;
use super::node::{Node, Value};

/// Most faults of one document; more help nobody.
const MAX_FAULTS: usize = 100;

/// Most items of a list of which it is told that two are the same.
const MAX_COMPARED: i64 = 4_096;

/// Longest name: names become label values.
const MAX_NAME: usize = 63;

/// Everything in which a document does not fit its definition, in the order of the text.
pub(super) fn check(root: &Node, crd: &CustomResourceDefinition) -> Vec<Fault> {
    let mut faults = Vec::new();
    name(root, &mut faults);
    let spec = crd
        .spec
        .versions
        .first()
        .and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref())
        .and_then(|schema| schema.properties.as_ref()?.get("spec"));
    match (spec, root.member("spec")) {
        (Some(schema), Some(node)) => value("spec", node, schema, &mut faults),
        (Some(_), None) => faults.push(root.fault("spec: missing".to_owned())),
        (None, _) => {}
    }
    if let Value::Map(members) = &root.value {
        for member in members {
            if faults.len() >= MAX_FAULTS {
                break;
            }
            // A file may come from `kubectl get -o yaml`: what the operator wrote says nothing here.
            let known = ["apiVersion", "kind", "metadata", "spec", "status"];
            if !known.contains(&member.key.as_str()) {
                faults.push(unknown(&member.key, &member.key, member.position, known));
            }
        }
    }
    faults.truncate(MAX_FAULTS);
    faults.sort_by_key(|fault| fault.position);
    faults
}

fn name(root: &Node, faults: &mut Vec<Fault>) {
    let Some(name) = root.text_at("metadata.name") else {
        let at = root.closest("metadata.name");
        faults.push(at.fault("metadata.name: missing, or no text".to_owned()));
        return;
    };
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.len() <= MAX_NAME
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(|c| edge(c) || c == '-' || c == '.');
    if !fits {
        faults.push(root.closest("metadata.name").fault(format!(
            "metadata.name: {name:?} is no name: lower-case letters, digits, - and . only, beginning and ending with a letter or digit, {MAX_NAME} at most"
        )));
    }
}

fn value(path: &str, node: &Node, schema: &JSONSchemaProps, faults: &mut Vec<Fault>) {
    if faults.len() >= MAX_FAULTS {
        return;
    }
    if node.value == Value::Null && schema.nullable == Some(true) {
        return;
    }
    let wanted = schema.type_.as_deref().unwrap_or_default();
    match (&node.value, wanted) {
        (Value::Map(_), "object") => object(path, node, schema, faults),
        (Value::List(items), "array") => list(path, node, items, schema, faults),
        (Value::Text(content), "string") => text(path, node, content, schema, faults),
        (Value::Number(number), "integer") if number.is_f64() => {
            faults.push(node.fault(format!("{path}: must be a whole number")));
        }
        (Value::Number(number), "integer" | "number") => {
            let found = number.as_f64().unwrap_or(f64::NAN);
            if schema.minimum.is_some_and(|least| found < least)
                || schema.maximum.is_some_and(|most| found > most)
            {
                let bound = |bound: Option<f64>| bound.map_or_else(|| "any".to_owned(), |n| n.to_string());
                faults.push(node.fault(format!(
                    "{path}: {number} is not between {} and {}",
                    bound(schema.minimum),
                    bound(schema.maximum)
                )));
            }
        }
        (Value::Bool(_), "boolean") | (_, "") => {}
        (found, wanted) => {
            let found = shape(found);
            let wanted = match wanted {
                "object" => "a map",
                "array" => "a list",
                "string" => "a text",
                "integer" => "an integer",
                "boolean" => "true or false",
                _ => "a number",
            };
            let help = if wanted == "a text" {
                ": put it in quotes"
            } else {
                ""
            };
            faults.push(node.fault(format!("{path}: must be {wanted}, not {found}{help}")));
        }
    }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Text(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}

fn object(path: &str, node: &Node, schema: &JSONSchemaProps, faults: &mut Vec<Fault>) {
    let Value::Map(members) = &node.value else { return };
    if let Some(most) = schema.max_properties
        && i64::try_from(members.len()).unwrap_or(i64::MAX) > most
    {
        faults.push(node.fault(format!("{path}: has {} members; {most} at most", members.len())));
    }
    let open = schema.x_kubernetes_preserve_unknown_fields == Some(true);
    for member in members {
        // To say what was meant costs more than to say that it is wrong.
        if faults.len() >= MAX_FAULTS {
            return;
        }
        let below = format!("{path}.{}", member.key);
        let known = schema.properties.as_ref();
        if let Some(property) = known.and_then(|known| known.get(&member.key)) {
            value(&below, &member.value, property, faults);
        } else if let Some(JSONSchemaPropsOrBool::Schema(additional)) = &schema.additional_properties {
            value(&below, &member.value, additional, faults);
        } else if !open {
            let known = known
                .into_iter()
                .flat_map(|known| known.keys().map(String::as_str));
            faults.push(unknown(&below, &member.key, member.position, known));
        }
    }
    for required in schema.required.iter().flatten() {
        if node.member(required).is_none() {
            faults.push(node.fault(format!("{path}.{required}: missing")));
        }
    }
}

fn list(path: &str, node: &Node, items: &[Node], schema: &JSONSchemaProps, faults: &mut Vec<Fault>) {
    let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
    if schema.max_items.is_some_and(|most| count > most)
        || schema.min_items.is_some_and(|least| count < least)
    {
        faults.push(node.fault(format!(
            "{path}: has {count} items; {} to {} are allowed",
            schema.min_items.unwrap_or_default(),
            schema.max_items.map_or_else(|| "any number".to_owned(), |most| most.to_string())
        )));
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item_schema)) = &schema.items {
        for (index, item) in items.iter().enumerate() {
            value(&format!("{path}[{index}]"), item, item_schema, faults);
        }
    }
    let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
    let set = schema.x_kubernetes_list_type.as_deref() == Some("set");
    // Each is compared with all before it. What is too long is refused in any case, and nobody reads on.
    let compared = schema.max_items.unwrap_or(i64::MAX).min(MAX_COMPARED);
    for (index, item) in items
        .iter()
        .enumerate()
        .take(usize::try_from(compared).unwrap_or_default())
    {
        let same = |other: &Node| {
            let equal_key =
                |key: &String| item.member(key).is_some() && item.member(key) == other.member(key);
            (set && item == other) || (!keys.is_empty() && keys.iter().all(equal_key))
        };
        if items[..index].iter().any(same) {
            let (path, at) = match keys.first().and_then(|key| Some((key, item.member(key)?))) {
                Some((key, at)) => (format!("{path}[{index}].{key}"), at),
                None => (format!("{path}[{index}]"), item),
            };
            faults.push(at.fault(format!("{path}: stands here twice")));
        }
    }
}

fn text(path: &str, node: &Node, content: &str, schema: &JSONSchemaProps, faults: &mut Vec<Fault>) {
    if let Some(values) = &schema.enum_ {
        let values: Vec<&str> = values.iter().filter_map(|value| value.0.as_str()).collect();
        if !values.contains(&content) {
            faults.push(node.fault(format!("{path}: {content:?} is none of {}", values.join(", "))));
        }
        return;
    }
    let count = i64::try_from(content.chars().count()).unwrap_or(i64::MAX);
    if schema.min_length.is_some_and(|least| count < least) {
        faults.push(node.fault(format!("{path}: must not be empty")));
    }
    if let Some(most) = schema.max_length
        && count > most
    {
        faults.push(node.fault(format!("{path}: has {count} characters; {most} at most")));
    }
    if let Some(pattern) = &schema.pattern
        && regex::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(content))
    {
        faults.push(node.fault(format!("{path}: {content:?} does not match {pattern}")));
    }
    if schema.format.as_deref() == Some("date-time") && content.parse::<jiff::Timestamp>().is_err() {
        faults.push(node.fault(format!(
            "{path}: {content:?} is no time; write one such as 2027-01-31T00:00:00Z"
        )));
    }
}

fn unknown<'a>(
    path: &str,
    key: &str,
    position: yagura_rules::diagnostic::Position,
    known: impl IntoIterator<Item = &'a str>,
) -> Fault {
    let closest = known
        .into_iter()
        .map(|name| (distance(key, name), name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let help = closest.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"));
    Fault {
        file: String::new(),
        position,
        message: format!("{path}: unknown field{help}"),
    }
}

/// How many letters must be changed, added or dropped; long names are compared by their beginnings.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
