//! The node's interface, and the kernel settings that pods and services need.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::layout::{Layout, NODE_ADDRESS, NODE_INTERFACE, POD_BRIDGE};
use crate::process::output;

/// Settings, by path below `/proc/sys`, and the value that the cluster needs.
const SETTINGS: &[(&str, &str)] = &[
    // Packets go from pod to node, and from pod to pod through a service.
    ("net/ipv4/ip_forward", "1"),
    // A service's translation must see packets between two pods on the same bridge.
    ("net/bridge/bridge-nf-call-iptables", "1"),
];

/// Creates the node's interface and changes the settings, noting what they were.
pub(crate) fn set_up(layout: &Layout) -> Result<()> {
    remember_settings(layout)?;
    for (setting, value) in SETTINGS {
        let file = Path::new("/proc/sys").join(setting);
        if !file.exists() && setting.starts_with("net/bridge") {
            output(Command::new("modprobe").arg("br_netfilter"))
                .context("the kernel has no br_netfilter, which services between pods need")?;
        }
        std::fs::write(&file, value).with_context(|| format!("cannot set {} to {value}", file.display()))?;
    }
    ip(&["link", "add", NODE_INTERFACE, "type", "bridge"])?;
    ip(&[
        "address",
        "add",
        &format!("{NODE_ADDRESS}/32"),
        "dev",
        NODE_INTERFACE,
    ])?;
    ip(&["link", "set", NODE_INTERFACE, "up"])
}

/// Removes interfaces and packet filter tables, and puts the settings back.
pub(crate) fn tear_down(layout: &Layout) -> Result<()> {
    for interface in [POD_BRIDGE, NODE_INTERFACE] {
        if Path::new("/sys/class/net").join(interface).exists() {
            ip(&["link", "delete", interface])?;
        }
    }
    if Path::new("/usr/sbin/nft").exists() {
        let tables = output(Command::new("/usr/sbin/nft").args(["list", "tables"]))?;
        for family in ["ip", "ip6"] {
            if tables
                .lines()
                .any(|line| line == format!("table {family} kube-proxy"))
            {
                output(Command::new("/usr/sbin/nft").args(["delete", "table", family, "kube-proxy"]))?;
            }
        }
    }
    restore_settings(layout)
}

fn ip(arguments: &[&str]) -> Result<()> {
    output(Command::new("/usr/sbin/ip").args(arguments)).map(drop)
}

/// One line a setting: its name, and the value before the cluster.
fn remember_settings(layout: &Layout) -> Result<()> {
    let file = layout.in_state("settings-before");
    let lines = SETTINGS.iter().filter_map(|(setting, _)| {
        let value = std::fs::read_to_string(Path::new("/proc/sys").join(setting)).ok()?;
        Some(format!("{setting} {}\n", value.trim()))
    });
    std::fs::write(&file, lines.collect::<String>())
        .with_context(|| format!("cannot write {}", file.display()))
}

fn restore_settings(layout: &Layout) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(layout.in_state("settings-before")) else {
        return Ok(());
    };
    for (setting, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        if SETTINGS.iter().any(|(known, _)| *known == setting) {
            let file = Path::new("/proc/sys").join(setting);
            std::fs::write(&file, value)
                .with_context(|| format!("cannot set {} back to {value}", file.display()))?;
        }
    }
    Ok(())
}
