//! The generated reference says what the compiler says. `UPDATE=1 cargo test -p yagura-ctl --test generated` rewrites
//! it.

use std::fs;
use std::path::Path;

#[test]
fn the_reference_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut stale = Vec::new();
    for file in yagura_ctl::reference::files() {
        let path = root.join(file.path);
        if fs::read_to_string(&path).is_ok_and(|content| content == file.content) {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &file.content).unwrap();
        } else {
            stale.push(file.path);
        }
    }
    assert!(
        stale.is_empty(),
        "stale: {stale:?}; run `cargo xtask gen` and commit the result"
    );
}
