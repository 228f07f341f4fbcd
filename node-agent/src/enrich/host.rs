//! The node itself.

use std::{env, fs, io, path::Path};

use yagura_event::{Host, Text};

/// Reads what the kernel says about the host. `name` overrides the host's own name, as the node's
/// name does in Kubernetes.
pub fn read(proc: &Path, name: Option<&str>) -> io::Result<Host> {
    let line = |file: &str| {
        fs::read_to_string(proc.join("sys/kernel").join(file)).map(|text| Text::from(text.trim()))
    };
    Ok(Host {
        name: match name {
            Some(name) => Text::from(name),
            None => line("hostname")?,
        },
        boot_id: line("random/boot_id")?,
        kernel: line("osrelease")?,
    })
}

/// The node's name as the pod's environment gives it (the downward API sets `NODE_NAME`).
pub fn node_name() -> Option<String> {
    env::var("NODE_NAME").ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use yagura_event::Text;

    use super::read;

    #[test]
    fn the_host_has_a_name_a_boot_and_a_kernel() {
        let host = read(Path::new("/proc"), None).unwrap();
        assert_eq!(host.boot_id.len(), 36);
        assert!(!host.kernel.is_empty() && !host.name.is_empty());
        let host = read(Path::new("/proc"), Some("node-1")).unwrap();
        assert_eq!(host.name, Text::from("node-1"));
    }
}
