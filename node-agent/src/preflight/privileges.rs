//! What the agent is allowed to do.

use std::fs;

use super::{Finding, Verdict};
use crate::bpf::SensorConfig;

/// A capability with its number, what it is needed for, and what is without it.
const NEEDED: [(&str, u32, Verdict, &str); 4] = [
    (
        "CAP_BPF",
        39,
        Verdict::Blocking,
        "needed to load programs and maps: add BPF to the container's capabilities, or run as root",
    ),
    (
        "CAP_PERFMON",
        38,
        Verdict::Blocking,
        "needed to attach programs that read kernel memory: add PERFMON to the container's capabilities, \
         or run as root",
    ),
    (
        "CAP_SYS_PTRACE",
        19,
        Verdict::Degraded,
        "needed to see what processes run that were there before the agent, and the users of containers: \
         add SYS_PTRACE to the container's capabilities, or run as root",
    ),
    (
        "CAP_DAC_READ_SEARCH",
        2,
        Verdict::Degraded,
        "needed to read configuration that only its owner may read: add DAC_READ_SEARCH to the container's \
         capabilities, or run as root",
    ),
];
/// Gives what the first two give, as kernels before 5.8 knew nothing finer.
const CAP_SYS_ADMIN: u32 = 21;
/// The parent of the kernel's own threads, which only the host's processes show, always as number 2.
const KERNEL_THREADS: &str = "kthreadd";

pub(super) fn findings(config: &SensorConfig) -> Vec<Finding> {
    let effective = fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| capabilities(&status));
    let mut findings = match effective {
        None => vec![Finding::bad(
            "capabilities",
            Verdict::Degraded,
            "/proc/self/status does not tell them",
            "mount /proc",
        )],
        Some(set) => missing(set),
    };
    findings.push(process_ids(config));
    findings
}

fn missing(set: u64) -> Vec<Finding> {
    let has = |number: u32| set & (1 << number) != 0;
    let findings = NEEDED
        .into_iter()
        .filter(|(_, number, verdict, _)| {
            !(has(*number) || *verdict == Verdict::Blocking && has(CAP_SYS_ADMIN))
        })
        .map(|(name, _, verdict, advice)| {
            Finding::bad(format!("capabilities.{name}"), verdict, "is missing", advice)
        })
        .collect::<Vec<_>>();
    if findings.is_empty() {
        let names = NEEDED.map(|(name, ..)| name).join(", ");
        return vec![Finding::good("capabilities", names)];
    }
    findings
}

/// The set of effective capabilities in the text of a status file.
fn capabilities(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The kernel side names processes as the host counts them.
fn process_ids(config: &SensorConfig) -> Finding {
    let second = config.proc.join("2/comm");
    match fs::read_to_string(&second) {
        Ok(name) if name.trim_end() == KERNEL_THREADS => {
            Finding::good("processes", format!("{} shows the host's", config.proc.display()))
        }
        _ => Finding::bad(
            "processes",
            Verdict::Degraded,
            format!("{} shows those of a container, or nothing", config.proc.display()),
            "set hostPID: true on the pod, or mount the host's /proc below --host-root",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, capabilities, missing};

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let all = capabilities("Name:\tx\nCapEff:\t000001ffffffffff\n").unwrap();
        assert_eq!(missing(all)[0].verdict, Verdict::Good);
        let without_bpf = all & !(1 << 39) & !(1 << 21);
        let findings = missing(without_bpf);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].subject, "capabilities.CAP_BPF");
        assert_eq!(findings[0].verdict, Verdict::Blocking);
        assert!(findings[0].advice.unwrap().contains("BPF"));
        assert_eq!(missing(all & !(1 << 39))[0].verdict, Verdict::Good);
        assert_eq!(missing(0).len(), 4);
        assert_eq!(capabilities("CapEff:\tx\n"), None);
    }
}
