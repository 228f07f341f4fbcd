//! Names of Linux capabilities (capabilities(7)), by bit.

/// Names of the capabilities, the one at index n for bit n (`include/uapi/linux/capability.h`).
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The name of the capability at the `n`th set bit, counted from the lowest.
///
/// A bit without a name, of a kernel newer than the list, is called `CAP_UNNAMED`.
pub fn nth_name(bits: u64, n: usize) -> Option<&'static str> {
    let bit = (0..64).filter(|bit| bits & (1 << bit) != 0).nth(n)?;
    Some(NAMES.get(bit).copied().unwrap_or("CAP_UNNAMED"))
}

/// The bit of a capability by its name.
pub fn bit(name: &[u8]) -> Option<u64> {
    NAMES
        .iter()
        .position(|known| known.as_bytes() == name)
        .map(|bit| 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_names_belong_together() {
        let bits = bit(b"CAP_CHOWN").unwrap() | bit(b"CAP_SYS_ADMIN").unwrap();
        assert_eq!(bits, 1 | 1 << 21);
        assert_eq!(nth_name(bits, 1), Some("CAP_SYS_ADMIN"));
        assert_eq!(nth_name(bits, 2), None);
        assert_eq!(nth_name(1 << 63, 0), Some("CAP_UNNAMED"));
    }
}
