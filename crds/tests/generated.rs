//! The generated files say what the types say. `UPDATE=1 cargo test -p yagura-crds --test generated`
//! rewrites them.

use std::fs;
use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let update = std::env::var_os("UPDATE").is_some();
    let mut stale = Vec::new();
    for file in yagura_crds::generate::files().unwrap() {
        let path = root.join(&file.path);
        if fs::read_to_string(&path).ok().as_deref() == Some(file.content.as_str()) {
            continue;
        }
        if update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.content).unwrap();
        } else {
            stale.push(file.path);
        }
    }
    assert!(
        stale.is_empty(),
        "stale: {stale:?}; run UPDATE=1 cargo test -p yagura-crds --test generated"
    );
}

#[test]
fn every_field_is_described_and_every_array_says_how_it_merges_and_ends() {
    let mut faults = Vec::new();
    for crd in yagura_crds::all() {
        let kind = &crd.spec.names.kind;
        for version in &crd.spec.versions {
            let root = version
                .schema
                .as_ref()
                .unwrap()
                .open_api_v3_schema
                .as_ref()
                .unwrap();
            for part in ["spec", "status"] {
                if let Some(schema) = root.properties.as_ref().unwrap().get(part) {
                    check(&format!("{kind}.{part}"), schema, &mut faults);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

fn check(path: &str, schema: &JSONSchemaProps, faults: &mut Vec<String>) {
    let kind = schema.type_.as_deref().unwrap_or_default();
    if kind == "array" {
        let merge = schema.x_kubernetes_list_type.as_deref();
        if merge.is_none() {
            faults.push(format!("{path}: no list type"));
        }
        if merge == Some("map") && schema.x_kubernetes_list_map_keys.is_none() {
            faults.push(format!("{path}: no list map keys"));
        }
        if schema.max_items.is_none() {
            faults.push(format!("{path}: no bound"));
        }
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        check(&format!("{path}[]"), items, faults);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(_)) = &schema.additional_properties
        && schema.max_properties.is_none()
    {
        faults.push(format!("{path}: no bound"));
    }
    for (name, child) in schema.properties.iter().flatten() {
        let path = format!("{path}.{name}");
        if child.description.as_deref().unwrap_or_default().is_empty() {
            faults.push(format!("{path}: no description"));
        }
        check(&path, child, faults);
    }
}

#[test]
fn the_charts_copies_survive_an_uninstall_and_helms_templates() {
    let files = yagura_crds::generate::files().unwrap();
    let copies: Vec<_> = files
        .iter()
        .filter(|file| file.path.starts_with("charts/"))
        .collect();
    assert_eq!(copies.len(), yagura_crds::all().len());
    for copy in copies {
        assert!(
            copy.content.contains("helm.sh/resource-policy: keep"),
            "{}",
            copy.path
        );
        let left = copy.content.replace("{{ \"{{\" }}", "");
        assert!(!left.contains("{{"), "{}: Helm would evaluate this", copy.path);
    }
}
