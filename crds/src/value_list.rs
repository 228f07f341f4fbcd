//! `ValueList`: named values that rules and checks look things up in.

#![expect(
    unreachable_pub,
    reason = "the schema's derive repeats the struct inside a function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use yagura_rules::lists::ValueFault;
use yagura_rules::{Lists, NamedList};

/// Values under a name.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "yagura.dev",
    version = "v1alpha1",
    kind = "ValueList",
    plural = "valuelists",
    shortname = "vl",
    category = "yagura",
    doc = "Values under a name, which conditions look things up in: `process.name in lists[\"name\"]`. What uses a list is compiled again when it changes, and does not run while it is missing.",
    status = "ValueListStatus",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 63").message("a name is at most 63 characters"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Entries", type_ = "integer", json_path = ".status.entries", description = "Different values in it"),
    printcolumn(name = "Accepted", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].status", description = "Whether conditions may use it"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Accepted')].reason", priority = 1),
    printcolumn(name = "Rules", type_ = "integer", json_path = ".status.rules", description = "Detection rules that use it"),
    printcolumn(name = "Checks", type_ = "integer", json_path = ".status.checks", description = "Posture checks that use it"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ValueListSpec {
    /// What the values are, and where they come from; Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 8192))]
    pub description: String,
    /// What the values are.
    #[serde(rename = "type", default)]
    pub kind: ListType,
    /// The values, in any order. All together have at most 900 KiB, with three bytes more for each. Apply a
    /// long list with `kubectl apply --server-side`: without, kubectl keeps a second copy in an annotation.
    #[serde(default)]
    #[schemars(
        length(max = 50000),
        inner(length(min = 1, max = 4096)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub values: Vec<String>,
}

/// What the values of a list are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ListType {
    /// Strings, compared as they are.
    #[default]
    String,
    /// Globs as the function `glob` takes them: `*` stays within a path segment, `**` does not.
    Glob,
    /// Networks such as `10.0.0.0/8`, and single addresses: a text is in the list when it is an address in
    /// one of them.
    Cidr,
    /// SHA-256 sums in hexadecimal, in any case, with or without `sha256:` in front.
    Sha256,
}

impl From<ListType> for yagura_rules::ListType {
    fn from(kind: ListType) -> Self {
        match kind {
            ListType::String => Self::String,
            ListType::Glob => Self::Glob,
            ListType::Cidr => Self::Cidr,
            ListType::Sha256 => Self::Sha256,
        }
    }
}

/// What became of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValueListStatus {
    /// `Accepted`: whether conditions may use the list, and what is wrong with it when not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// How many different values it has.
    #[serde(default)]
    pub entries: u32,
    /// How many detection rules use it, themselves or by an exception that they carry.
    #[serde(default)]
    pub rules: u32,
    /// How many posture checks use it.
    #[serde(default)]
    pub checks: u32,
}

impl ValueListSpec {
    /// The list as conditions use it, or everything that is wrong with it.
    pub fn list(&self) -> Result<NamedList, Vec<ValueFault>> {
        NamedList::new(self.kind.into(), self.values.iter().map(String::as_str))
    }
}

/// The lists that conditions may name when these objects are all there are.
pub fn known<'a>(objects: impl IntoIterator<Item = &'a ValueList>) -> Lists {
    objects.into_iter().fold(Lists::builtin(), |lists, object| {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        match object.spec.list() {
            Ok(list) => lists.with(name, list),
            Err(faults) => lists.with_unusable(name, &summary(&faults)),
        }
    })
}

/// What is wrong with a list, for those who use it.
pub fn summary(faults: &[ValueFault]) -> String {
    match faults {
        [] => String::new(),
        [fault] => fault.to_string(),
        [fault, others @ ..] => format!("{fault} (and {} more)", others.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yagura_rules::limits;

    use super::{ValueList, ValueListSpec, known, summary};

    #[test]
    fn a_list_hides_the_one_of_the_language_even_when_it_cannot_be_used() {
        let object = |values: &[&str]| {
            let mut object = ValueList::new("shells", ValueListSpec::default());
            object.spec.values = values.iter().map(|value| (*value).to_owned()).collect();
            object
        };
        let fingerprint = |objects: &[ValueList]| known(objects).fingerprint("shells");
        assert_ne!(fingerprint(&[]), fingerprint(&[object(&["sh"])]));
        assert_eq!(
            fingerprint(&[object(&["", ""])]),
            "!values[0]: it is empty (and 1 more)"
        );
        assert_eq!(summary(&[]), "");
    }

    #[test]
    fn a_list_is_read_by_its_type() {
        let spec = |json| serde_json::from_value::<ValueListSpec>(json).unwrap();
        let strings = spec(json!({"values": ["10.0.0.0/8"]})).list().unwrap();
        assert!(!strings.holds(b"10.1.2.3"));
        let networks = spec(json!({"type": "cidr", "values": ["10.0.0.0/8"]}))
            .list()
            .unwrap();
        assert!(networks.holds(b"10.1.2.3"));
        let faults = spec(json!({"type": "cidr", "values": ["10.0.0.0/8", "ten"]})).list();
        assert_eq!(faults.unwrap_err()[0].index, Some(1));
        assert!(spec(json!({"type": "glob"})).list().unwrap().is_empty());
    }

    #[test]
    fn the_schema_has_the_bounds_of_the_language() {
        use kube::CustomResourceExt as _;
        let crd = serde_json::to_value(ValueList::crd()).unwrap();
        let values = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/values")
            .unwrap();
        assert_eq!(values["maxItems"], limits::LIST_VALUES);
        assert_eq!(values["items"]["maxLength"], limits::LIST_VALUE_BYTES);
    }
}
