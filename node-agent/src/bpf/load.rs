//! Loading and attaching the kernel programs.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfLoader, Endianness,
    maps::{MapData, PerCpuArray},
    programs::BtfTracePoint,
};
use thiserror::Error;
use yagura_node_agent_ebpf_common::{COUNTER_NAMES, MISSING, SLOTS_PER_CPU, Settings, kind};

use super::{
    btf::{Btf, BtfError},
    offsets::{self, Resolved},
    reader::Rings,
};
use crate::enrich::hierarchy::Hierarchy;

/// The kernel programs, as the build script made them; empty when it could not.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/yagura-node-agent-ebpf"));

/// Where kernels publish their types.
pub const DEFAULT_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Which program serves which kind of event, on which tracepoint.
const HOOKS: [(u32, &str, &str); 3] = [
    (kind::FORK, "process_fork", "sched_process_fork"),
    (kind::EXEC, "process_exec", "sched_process_exec"),
    (kind::EXIT, "process_exit", "sched_process_exit"),
];

/// Limits and places of the kernel side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadConfig {
    /// The kernel's type information.
    pub btf: PathBuf,
    /// Bytes of the ring for fork, exit and other small records; a power of two of whole pages.
    /// At about 100 bytes a record 1 MiB holds a tenth of a second of a fork bomb.
    pub lineage_ring: u32,
    /// Bytes of the ring for everything else. 4 MiB hold 100 executions with the longest
    /// arguments, or 8,000 ordinary ones.
    pub event_ring: u32,
    /// Executions that one cgroup may deliver in full at once, before `exec_rate` counts.
    pub exec_burst: u32,
    /// Executions per second that one cgroup may deliver in full; 0 means none beyond the burst.
    pub exec_rate: u32,
}

impl Default for LoadConfig {
    fn default() -> Self {
        Self {
            btf: PathBuf::from(DEFAULT_BTF),
            lineage_ring: 1 << 20,
            event_ring: 4 << 20,
            exec_burst: 20_000,
            exec_rate: 10_000,
        }
    }
}

/// Why the kernel side could not be started.
#[derive(Debug, Error)]
pub enum LoadError {
    /// This agent was built without the kernel programs.
    #[error(
        "this agent was built without its kernel programs; install Debian's rustc-web, cargo-web and \
         rust-web-src (or a rustup nightly with rust-src) and bpf-linker 0.13.0, then build it again"
    )]
    NoPrograms,
    /// The kernel's types cannot be had.
    #[error("the kernel's types are needed to find its data")]
    Btf(#[from] BtfError),
    /// The kernel lacks members that everything needs.
    #[error("this kernel's types lack what the sensor cannot do without: {}", .0.join(", "))]
    Members(Vec<String>),
    /// The loader could not use the kernel's types, the object or the maps.
    #[error(
        "the kernel refused the programs or their maps; the agent needs CAP_BPF, CAP_PERFMON and, before \
         Linux 5.11, CAP_SYS_RESOURCE"
    )]
    Loader(#[source] Box<aya::EbpfError>),
    /// The types were understood by the sensor but not by the loader.
    #[error("the loader cannot use the kernel's types in {}", path.display())]
    LoaderBtf {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: aya::BtfError,
    },
    /// A map of the object is missing or of another type than expected.
    #[error("map {name} of the kernel programs cannot be used")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: aya::maps::MapError,
    },
    /// None of the hooks could be attached.
    #[error("no hook could be attached: {0}")]
    NoHook(String),
}

/// How one kind of event is observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Kind of event, such as `exec`.
    pub kind: &'static str,
    /// What it hangs on, such as `tp_btf/sched_process_exec`.
    pub hook: String,
    /// Whether it runs, or why not.
    pub state: HookState,
}

/// Whether a hook runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    /// It is attached.
    Attached,
    /// It is not, for this reason.
    Failed(String),
}

/// Loaded and attached programs. Dropping them detaches everything.
pub(super) struct Loaded {
    pub(super) hooks: Vec<Hook>,
    pub(super) resolved: Resolved,
    pub(super) counters: PerCpuArray<MapData, [u64; COUNTER_NAMES.len()]>,
    /// Descriptors of the programs, by kind.
    programs: BTreeMap<u32, i32>,
    /// Misses of programs that were detached since.
    past: BTreeMap<u32, u64>,
    /// Keeps programs and links alive.
    ebpf: Ebpf,
}

/// Loads the programs for this kernel and attaches each; a hook that does not attach is reported
/// and does not stop the others.
pub(super) fn load(config: &LoadConfig, hierarchy: &Hierarchy) -> Result<(Loaded, Rings), LoadError> {
    if OBJECT.is_empty() {
        return Err(LoadError::NoPrograms);
    }
    let (resolved, settings) = prepare(config, hierarchy)?;
    let types =
        aya::Btf::parse_file(&config.btf, Endianness::default()).map_err(|source| LoadError::LoaderBtf {
            path: config.btf.clone(),
            source,
        })?;
    let settings = settings.to_bytes();
    let cpus = aya::util::nr_cpus().map_or(1, |cpus| u32::try_from(cpus).unwrap_or(u32::MAX));
    let mut ebpf = EbpfLoader::new()
        .btf(Some(&types))
        .override_global("OFFSETS", resolved.bytes.as_slice(), true)
        .override_global("SETTINGS", settings.as_slice(), true)
        .map_max_entries("LINEAGE", config.lineage_ring)
        .map_max_entries("EVENTS", config.event_ring)
        .map_max_entries("SCRATCH", cpus.saturating_mul(SLOTS_PER_CPU))
        .load(OBJECT)
        .map_err(|source| LoadError::Loader(Box::new(source)))?;

    let mut programs = BTreeMap::new();
    let hooks = HOOKS
        .into_iter()
        .map(|(number, program, tracepoint)| {
            let state = match attach(&mut ebpf, program, tracepoint, &types) {
                Ok(descriptor) => {
                    programs.insert(number, descriptor);
                    HookState::Attached
                }
                Err(error) => HookState::Failed(yagura_telemetry::chain(&error).to_string()),
            };
            Hook {
                kind: name_of(number),
                hook: format!("tp_btf/{tracepoint}"),
                state,
            }
        })
        .collect::<Vec<_>>();
    if programs.is_empty() {
        return Err(LoadError::NoHook(first_failure(&hooks)));
    }

    let rings = Rings {
        lineage: take(&mut ebpf, "LINEAGE")?,
        events: take(&mut ebpf, "EVENTS")?,
    };
    let loaded = Loaded {
        counters: take(&mut ebpf, "COUNTERS")?,
        hooks,
        resolved,
        programs,
        past: BTreeMap::new(),
        ebpf,
    };
    Ok((loaded, rings))
}

impl Loaded {
    /// How often the kernel skipped the program of a kind because it was already running. 0 on
    /// kernels that do not count it.
    pub(super) fn missed(&self, kind: u32) -> u64 {
        let Some(descriptor) = self.programs.get(&kind) else {
            return self.past.get(&kind).copied().unwrap_or(0);
        };
        let mut text = String::new();
        let read = File::open(format!("/proc/self/fdinfo/{descriptor}"))
            .and_then(|mut file| file.read_to_string(&mut text));
        if read.is_err() {
            return 0;
        }
        text.lines()
            .find_map(|line| line.strip_prefix("recursion_misses:"))
            .and_then(|count| count.trim().parse().ok())
            .unwrap_or(0)
    }
}

impl Loaded {
    /// Detaches every program. Its maps stay, and with them what was counted.
    pub(super) fn detach(&mut self) {
        for (number, program, _) in HOOKS {
            let missed = self.missed(number);
            self.past.insert(number, missed);
            let found: Option<&mut BtfTracePoint> = self
                .ebpf
                .program_mut(program)
                .and_then(|program| program.try_into().ok());
            if let Some(Err(error)) = found.map(BtfTracePoint::unload) {
                tracing::debug!(program, %error, "a program was not loaded any more");
            }
        }
        self.programs.clear();
    }
}

/// What the programs are told: where this kernel keeps its data, and how to behave.
fn prepare(config: &LoadConfig, hierarchy: &Hierarchy) -> Result<(Resolved, Settings), LoadError> {
    let kernel = Btf::read(&config.btf)?;
    let resolved = resolve_with_modules(&kernel, &config.btf);
    if !resolved.blockers().is_empty() {
        return Err(LoadError::Members(resolved.blockers().to_vec()));
    }
    let cgroup_subsystem = match hierarchy.controller() {
        None => MISSING,
        Some(controller) => {
            let name = format!("{controller}_cgrp_id");
            kernel
                .constant("cgroup_subsys_id", &name)
                .ok_or_else(|| LoadError::Members(vec![format!("cgroup_subsys_id.{name}")]))?
        }
    };
    let two_arguments = kernel.tracepoint_arguments("sched_process_exit") == Some(2);
    let settings = Settings {
        generation: 1,
        cgroup_subsystem,
        exit_tells_group: u32::from(two_arguments),
        exec_burst: config.exec_burst,
        exec_interval: 1_000_000_000_u32
            .checked_div(config.exec_rate)
            .map_or(u32::MAX, |ns| ns.max(1)),
    };
    Ok((resolved, settings))
}

fn attach(
    ebpf: &mut Ebpf,
    name: &str,
    tracepoint: &str,
    types: &aya::Btf,
) -> Result<i32, aya::programs::ProgramError> {
    let missing = || aya::programs::ProgramError::NotLoaded;
    let program: &mut BtfTracePoint = ebpf.program_mut(name).ok_or_else(missing)?.try_into()?;
    program.load(tracepoint, types)?;
    program.attach()?;
    Ok(std::os::fd::AsFd::as_fd(program.fd()?).as_raw_fd())
}

fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, LoadError>
where
    M: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
{
    let map = ebpf.take_map(name).ok_or(LoadError::Map {
        name,
        source: aya::maps::MapError::ElementNotFound,
    })?;
    M::try_from(map).map_err(|source| LoadError::Map { name, source })
}

fn name_of(kind: u32) -> &'static str {
    usize::try_from(kind)
        .ok()
        .and_then(|kind| kind::NAMES.get(kind))
        .copied()
        .unwrap_or("unknown")
}

fn first_failure(hooks: &[Hook]) -> String {
    hooks
        .iter()
        .find_map(|hook| match &hook.state {
            HookState::Failed(reason) => Some(format!("{}: {reason}", hook.hook)),
            HookState::Attached => None,
        })
        .unwrap_or_default()
}

/// Whether this agent was built with its kernel programs.
pub fn has_programs() -> bool {
    !OBJECT.is_empty()
}

/// What this kernel's types offer to the programs.
pub fn resolve_manifest(btf: &Path) -> Result<Resolved, BtfError> {
    Ok(resolve_with_modules(&Btf::read(btf)?, btf))
}

/// Distributions build overlayfs as a module, with types of its own next to the kernel's.
fn resolve_with_modules(kernel: &Btf<'_>, path: &Path) -> Resolved {
    let overlay = path.with_file_name("overlay");
    let modules = overlay
        .exists()
        .then(|| Btf::read_module(&overlay, kernel).ok())
        .flatten();
    offsets::resolve(kernel, modules.as_slice())
}
