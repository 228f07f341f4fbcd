//! Which node this is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use yagura_event::{Host, Text};

/// The node's identity cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}; is /proc mounted?", path.display())]
pub struct HostError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The node, called `name` or else by its host name.
pub fn identify(name: Option<&str>) -> Result<Host, HostError> {
    let read = |path: &str| {
        fs::read_to_string(Path::new(path))
            .map(|text| text.trim().to_owned())
            .map_err(|source| HostError {
                path: PathBuf::from(path),
                source,
            })
    };
    let name = match name {
        Some(name) => name.to_owned(),
        None => read("/proc/sys/kernel/hostname")?,
    };
    Ok(Host {
        name: Text::from(name),
        boot_id: Text::from(read("/proc/sys/kernel/random/boot_id")?),
        kernel: Text::from(read("/proc/sys/kernel/osrelease")?),
    })
}

#[cfg(test)]
mod tests {
    use super::identify;

    #[test]
    fn this_machine_has_a_name_a_boot_and_a_kernel() {
        let host = identify(None).unwrap();
        assert!(!host.name.is_empty() && !host.kernel.is_empty());
        assert_eq!(host.boot_id.len(), 36);
        assert_eq!(identify(Some("node-7")).unwrap().name.as_bytes(), b"node-7");
    }
}
