//! Kernel file systems that every node's init system mounts, and that this machine may lack.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::layout::Layout;

/// Type, and where it belongs.
const NEEDED: &[(&str, &str)] = &[("tracefs", "/sys/kernel/tracing"), ("bpf", "/sys/fs/bpf")];

/// Mounts what is missing, noting what that was.
pub(crate) fn mount_missing(layout: &Layout) -> Result<()> {
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(kind, place)| !is_mounted(kind, place))
        .collect();
    let note = layout.in_state("mounted");
    let text = missing
        .iter()
        .flat_map(|(_, place)| [*place, "\n"])
        .collect::<String>();
    std::fs::write(&note, text).with_context(|| format!("cannot write {}", note.display()))?;
    for (kind, place) in missing {
        mount(
            *kind,
            *place,
            *kind,
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
            None,
        )
        .with_context(|| format!("cannot mount {kind} at {place}"))?;
    }
    Ok(())
}

/// Unmounts what [`mount_missing`] mounted.
pub(crate) fn unmount_again(layout: &Layout) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(layout.in_state("mounted")) else {
        return Ok(());
    };
    for (kind, place) in NEEDED
        .iter()
        .filter(|(_, place)| text.lines().any(|line| line == *place))
    {
        if is_mounted(kind, place) {
            unmount(*place, UnmountFlags::DETACH).with_context(|| format!("cannot unmount {place}"))?;
        }
    }
    Ok(())
}

fn is_mounted(kind: &str, place: &str) -> bool {
    std::fs::read_to_string("/proc/self/mounts").is_ok_and(|table| {
        table.lines().any(|line| {
            let mut words = line.split(' ').skip(1);
            words
                .next()
                .is_some_and(|point| Path::new(point) == Path::new(place))
                && words.next() == Some(kind)
        })
    })
}
