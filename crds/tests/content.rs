//! Everything that is shipped can be read, and fits the schema.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn shipped_content_has_no_faults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = vec![root.join("content")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 20, "{files:?}");
    for path in files {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let file = yagura_crds::source::read(&name, &fs::read_to_string(&path).unwrap());
        let faults: Vec<String> = file.faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        assert_eq!(file.documents.len(), 1, "{name}: one object a file");
        let stem = path.file_stem().unwrap();
        assert_eq!(
            file.documents[0].object.name(),
            stem,
            "{name}: named after its file"
        );
    }
}
