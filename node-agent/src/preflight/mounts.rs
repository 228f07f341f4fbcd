//! File systems of the kernel that tracing uses. The hooks in use need none of them; that one is
//! missing is worth knowing, not worth a warning.

use std::path::Path;

use rustix::fs::statfs;

use super::Finding;
use crate::bpf::SensorConfig;

/// Name, where it is mounted below the host's root, and its magic number.
const FILE_SYSTEMS: [(&str, &str, i64); 2] = [
    ("tracefs", "sys/kernel/tracing", 0x7472_6163),
    ("bpffs", "sys/fs/bpf", 0xcafe_4a11),
];

pub(super) fn findings(config: &SensorConfig) -> Vec<Finding> {
    FILE_SYSTEMS
        .into_iter()
        .map(|(name, path, magic)| {
            let path = config.host_root.join(path);
            let state = if is_mounted(&path, magic) {
                "mounted"
            } else {
                "not mounted"
            };
            Finding::good(
                name,
                format!("{state} at {}; no hook in use needs it", path.display()),
            )
        })
        .collect()
}

fn is_mounted(path: &Path, magic: i64) -> bool {
    statfs(path).is_ok_and(|found| found.f_type == magic)
}
