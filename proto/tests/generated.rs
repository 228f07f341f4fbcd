//! The committed Rust of the protocol is what its definition generates.
//!
//! `UPDATE=1 cargo test -p yagura-proto --test generated` rewrites it.

use std::path::Path;

#[test]
fn generated_code_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = std::env::temp_dir().join(format!("yagura-proto-{}", std::process::id()));
    std::fs::create_dir_all(&out).unwrap();
    let set = protox::compile(["agent/v1/agent.proto"], [root]).unwrap();
    tonic_prost_build::configure()
        .out_dir(&out)
        .btree_map(".")
        .build_transport(true)
        .compile_fds(set)
        .unwrap();
    let fresh = std::fs::read_to_string(out.join("yagura.agent.v1.rs")).unwrap();
    std::fs::remove_dir_all(&out).unwrap();

    let committed = root.join("src/generated/yagura.agent.v1.rs");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&committed, &fresh).unwrap();
    }
    let found = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        found == fresh,
        "{} is stale; run: cargo xtask gen",
        committed.display()
    );
}
