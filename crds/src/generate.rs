//! Renders what is generated from the types: YAML of the definitions, the chart's copies and the
//! reference. `tests/generated.rs` compares them with the files.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Path from the root of the repository.
    pub path: String,
    /// Its content.
    pub content: String,
}

const HEADER: &str = "# Generated from the Rust types in crds/; `cargo xtask gen` rewrites it.\n";

/// Every file that is generated from the types.
pub fn files() -> Result<Vec<File>, serde_saphyr::ser::Error> {
    let mut files = Vec::new();
    let crds = crate::all();
    for crd in &crds {
        let name = &crd.spec.names.plural;
        files.push(File {
            path: format!("crds/generated/{name}.yaml"),
            content: format!("{HEADER}{}", yaml(crd)?),
        });
        files.push(File {
            path: format!("charts/yagura/templates/crds/{name}.yaml"),
            content: chart_copy(crd)?,
        });
    }
    files.push(File {
        path: "docs/reference/api.md".to_owned(),
        content: reference(&crds),
    });
    Ok(files)
}

fn yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    let mut text = serde_saphyr::to_string(crd)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Templates rather than Helm's `crds/` folder, so that an upgrade reaches them, and kept when the
/// release is uninstalled, so that people's objects stay.
fn chart_copy(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    let mut crd = crd.clone();
    crd.metadata
        .annotations
        .get_or_insert_default()
        .insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    // Descriptions speak of `{{field}}`, which Helm would take for its own.
    let body = yaml(&crd)?.replace("{{", "{{ \"{{\" }}");
    Ok(format!("{HEADER}{body}"))
}

fn reference(crds: &[CustomResourceDefinition]) -> String {
    let mut out = String::from(
        "# API reference\n\nGenerated from the Rust types in `crds/`; `cargo xtask gen` rewrites it.\n\nGroup `yagura.dev`, version `v1alpha1`.\n",
    );
    for crd in crds {
        let names = &crd.spec.names;
        let short = names.short_names.clone().unwrap_or_default().join(", ");
        let scope = crd.spec.scope.to_lowercase();
        write!(out, "\n## {}\n\n", names.kind).expect("a string takes everything");
        for version in &crd.spec.versions {
            let Some(root) = version
                .schema
                .as_ref()
                .and_then(|schema| schema.open_api_v3_schema.as_ref())
            else {
                continue;
            };
            writeln!(
                out,
                "{}\n\nScope: {scope}. Short name: `{short}`.\n",
                root.description.as_deref().unwrap_or_default()
            )
            .expect("a string takes everything");
            out.push_str("| field | type | what |\n|---|---|---|\n");
            for part in ["spec", "status"] {
                if let Some(schema) = root.properties.as_ref().and_then(|all| all.get(part)) {
                    fields(part, schema, &mut out);
                }
            }
        }
    }
    out
}

fn fields(path: &str, schema: &JSONSchemaProps, out: &mut String) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let message = rule.message.as_deref().unwrap_or(&rule.rule);
        row(path, "rule", message, out);
    }
    let required = schema.required.as_deref().unwrap_or_default();
    for (name, child) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        let mut what = child.description.clone().unwrap_or_default();
        if required.contains(name) {
            what.push_str(" Required.");
        }
        if let Some(default) = &child.default {
            let default = &default.0;
            // An empty object only says that the members' own defaults apply.
            if !default.as_object().is_some_and(serde_json::Map::is_empty) {
                write!(what, " Default: `{default}`.").expect("a string takes everything");
            }
        }
        row(&path, &type_of(child), &what, out);
        fields(&path, child, out);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &child.items {
            fields(&format!("{path}[]"), items, out);
        }
    }
}

fn row(path: &str, kind: &str, what: &str, out: &mut String) {
    let what = what.replace('\n', " ").replace('|', "\\|");
    writeln!(out, "| `{path}` | {kind} | {} |", what.trim()).expect("a string takes everything");
}

fn type_of(schema: &JSONSchemaProps) -> String {
    let mut text = if let Some(values) = &schema.enum_ {
        values
            .iter()
            .filter(|value| !value.0.is_null())
            .map(|value| format!("`{}`", value.0.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(", ")
    } else if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
        "object of any shape".to_owned()
    } else if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
        format!("map of {}", type_of(value))
    } else if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        format!("list of {}", type_of(items))
    } else {
        match (schema.type_.as_deref(), schema.format.as_deref()) {
            (Some("string"), Some("date-time")) => "time".to_owned(),
            (Some(kind), _) => kind.to_owned(),
            (None, _) => String::new(),
        }
    };
    let bounds = [
        schema.max_length.map(|n| format!("{n} bytes at most")),
        schema.max_items.map(|n| format!("{n} items at most")),
        schema.maximum.map(|n| format!("{n} at most")),
    ];
    for bound in bounds.into_iter().flatten() {
        write!(text, ", {bound}").expect("a string takes everything");
    }
    text
}
