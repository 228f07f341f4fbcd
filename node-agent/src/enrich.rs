//! From records to events: who did it, whose child it is, in which container and pod.
//!
//! [`Enricher`] belongs to the sensor's thread. It reads nothing from the disk while events flow,
//! with two bounded exceptions: the user database of a container that is new, and once a second
//! the names of the kubelet's log folders while a pod has no name.

pub mod cgroup_path;
pub mod clock;
mod container;
pub mod hierarchy;
mod image;
mod names;
mod snapshot;
mod table;
mod users;

use std::{path::PathBuf, sync::Arc};

use yagura_event::{
    Container, Event, EventKind, Exit, Host, Known, Origin, Outcome, Process, ProcessId, process::User,
};
use yagura_node_agent_ebpf_common::{ExecLineageRecord, ExecRecord, ExitRecord, ForkRecord, Header, flags};

pub use names::{ContainerNames, Names};
pub use users::{HostUsers, Users};

use crate::decode::{Decoded, ExecTail, Record};
use container::{Containers, Slot};
use hierarchy::Hierarchy;
use table::{Entry, Table};

/// Between two looks at what changes slowly: names of pods, the host's users.
const SLOW: u64 = 1_000_000_000;

/// What the enricher is told at its start.
#[derive(Clone, Debug)]
pub struct EnrichConfig {
    /// The host's `/proc`.
    pub proc: PathBuf,
    /// The host's root.
    pub host_root: PathBuf,
    /// The node.
    pub host: Arc<Host>,
    /// The hierarchy whose cgroups name containers.
    pub hierarchy: Hierarchy,
    /// Features of the kernel programs' manifest that this kernel cannot give.
    pub lost: Vec<&'static str>,
}

/// The process table, the containers, and the way from a record to an event.
#[derive(Debug)]
pub struct Enricher {
    config: EnrichConfig,
    names: Arc<Names>,
    table: Table,
    containers: Containers,
    users: HostUsers,
    /// Nanoseconds from the boot clock to the wall clock.
    offset: i64,
    next_slow: u64,
    pods_without_names: bool,
}

impl Enricher {
    /// Knows nothing yet; see [`Enricher::seed`].
    pub fn new(config: EnrichConfig, names: Arc<Names>) -> Self {
        Self {
            users: HostUsers::new(&config.host_root),
            config,
            names,
            table: Table::default(),
            containers: Containers::new(),
            offset: clock::wall_offset(),
            next_slow: 0,
            pods_without_names: true,
        }
    }

    /// Fills the table with the processes that are there. Their lineage is the chain of parents
    /// at this moment.
    pub fn seed(&mut self) {
        self.learn_pods();
        let found = match snapshot::read_all(&self.config.proc, self.offset, &self.users) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(proc = %self.config.proc.display(), %error, "running processes cannot be listed; their names are unknown");
                return;
            }
        };
        let host_namespace = snapshot::namespace(&self.config.proc.join("1"), "pid");
        let mut waiting = found;
        let mut pids = waiting.keys().copied().collect::<Vec<_>>();
        pids.sort_unstable();
        let mut chain = Vec::new();
        for pid in pids {
            // Parents first: up to one that is in the table already, then down again.
            let mut next = pid;
            while let Some(found) = waiting.remove(&next) {
                next = found.parent;
                chain.push(found);
            }
            while let Some(found) = chain.pop() {
                self.seed_one(found, host_namespace);
            }
        }
    }

    fn seed_one(&mut self, found: snapshot::Found, host_namespace: u32) {
        let mut process = found.process;
        let parent = self.table.live_id(found.parent);
        let lineage = self.table.lineage_below(parent.unwrap_or(ProcessId {
            pid: found.parent,
            start_ticks: 0,
        }));
        process.ancestors = lineage.ancestors;
        process.ancestors_complete = lineage.complete;
        let named = self
            .config
            .hierarchy
            .path(&found.cgroups)
            .and_then(|path| cgroup_path::parse(path.as_bytes()))
            .map(|identity| Slot::new(Some(identity)));
        let isolated =
            process.pid_namespace != 0 && host_namespace != 0 && process.pid_namespace != host_namespace;
        let container = named.or_else(|| isolated.then(|| self.containers.unnamed()));
        self.table.insert(Entry::new(process, container));
    }

    /// Live processes in the table.
    pub fn processes(&self) -> usize {
        self.table.len()
    }

    /// Sets what to add to a time of the boot clock to get one of the wall clock.
    pub fn set_clock(&mut self, offset: i64) {
        self.offset = offset;
    }

    /// Does what is due once in a while. `now` is a time of the boot clock.
    pub fn tick(&mut self, now: u64) {
        if now < self.next_slow {
            return;
        }
        self.next_slow = now.saturating_add(SLOW);
        self.users.refresh();
        if self.pods_without_names {
            self.learn_pods();
        }
    }

    /// Drops processes that are gone although no record said so. Called after records of exits
    /// were lost.
    pub fn sweep(&mut self) {
        match snapshot::pids(&self.config.proc) {
            Ok(alive) => self.table.retain(&alive),
            Err(error) => {
                tracing::warn!(%error, "processes cannot be listed after a loss; some that are gone stay in the table");
            }
        }
    }

    /// Takes a record in; gives the event that it reports, if it reports one.
    pub fn apply(&mut self, decoded: &Decoded<'_>) -> Option<Event> {
        let header = &decoded.header;
        match &decoded.record {
            Record::Fork(fork) => Some(self.fork(header, fork)),
            Record::Exec(exec, tail) => Some(self.exec(header, exec, tail)),
            Record::ExecLineage(exec) => Some(self.exec_without_details(header, exec)),
            Record::Exit(exit) => self.exit(header, *exit),
            Record::Cgroup(cgroup, path) => {
                let cut = header.flags & flags::CGROUP_TRUNCATED != 0;
                if self.containers.learn(cgroup.id, path, cut).is_some() {
                    self.learn_pods();
                }
                None
            }
        }
    }

    fn fork(&mut self, header: &Header, fork: &ForkRecord) -> Event {
        let id = clock::process_id(header.tgid, header.start);
        let parent = clock::process_id(fork.parent_tgid, fork.parent_start);
        let lineage = self.table.lineage_below(parent);
        let parent = self.table.get_mut(parent);
        let inherited = parent.as_ref().and_then(|parent| parent.container.clone());
        let orphan = parent.is_none();
        let mut process = parent.map_or_else(unknown_process, |parent| Process::clone(&parent.process));
        let container = self.container_of(header, inherited);
        process.id = id;
        process.name = image::name(&fork.comm);
        process.start = clock::wall(header.start, self.offset);
        process.ancestors = lineage.ancestors;
        process.ancestors_complete = lineage.complete;
        process.pid_namespace = fork.pid_namespace;
        process.secure_exec = false;
        process.gid = fork.egid;
        process.real_gid = fork.gid;
        if orphan || process.user.id != fork.euid {
            process.user = self.user(container.as_deref(), header.tgid, fork.euid);
        }
        if orphan || process.real_user.id != fork.uid {
            process.real_user = self.user(container.as_deref(), header.tgid, fork.uid);
        }
        self.table.insert(Entry::new(process, container));
        self.event(EventKind::ProcessFork, header, id, None)
    }

    fn exec(&mut self, header: &Header, exec: &ExecRecord, tail: &ExecTail<'_>) -> Event {
        let parent = clock::process_id(exec.parent_tgid, exec.parent_start);
        let (mut process, container) = self.before_exec(header, parent);
        let user = |id| self.user(container.as_deref(), header.tgid, id);
        image::apply(&mut process, header, exec, tail, &self.config.lost, user);
        let id = process.id;
        self.put(Entry::new(process, container));
        self.event(EventKind::ProcessExec, header, id, None)
    }

    fn exec_without_details(&mut self, header: &Header, exec: &ExecLineageRecord) -> Event {
        let parent = clock::process_id(exec.parent_tgid, exec.parent_start);
        let (old, container) = self.before_exec(header, parent);
        let process = Process {
            id: old.id,
            start: old.start,
            ancestors: old.ancestors,
            ancestors_complete: old.ancestors_complete,
            login_user: old.login_user,
            session: old.session,
            name: image::name(&exec.comm),
            gid: exec.egid,
            real_gid: old.real_gid,
            capabilities_effective: old.capabilities_effective,
            mount_namespace: old.mount_namespace,
            network_namespace: old.network_namespace,
            user: self.user(container.as_deref(), header.tgid, exec.euid),
            real_user: self.user(container.as_deref(), header.tgid, exec.uid),
            pid_namespace: exec.pid_namespace,
            ..unknown_process()
        };
        let id = process.id;
        self.put(Entry::new(process, container));
        self.event(EventKind::ProcessExec, header, id, None)
    }

    /// The process that executes, and its container after the call. One that is not in the
    /// table, because its fork was lost, descends from its parent of this moment.
    fn before_exec(&mut self, header: &Header, parent: ProcessId) -> (Process, Option<Arc<Slot>>) {
        let id = clock::process_id(header.tgid, header.start);
        if let Some(entry) = self.table.get_mut(id) {
            let process = Process::clone(&entry.process);
            let inherited = entry.container.clone();
            return (process, self.container_of(header, inherited));
        }
        let lineage = self.table.lineage_below(parent);
        let inherited = self
            .table
            .get_mut(parent)
            .and_then(|parent| parent.container.clone());
        let process = Process {
            id,
            start: clock::wall(header.start, self.offset),
            ancestors: lineage.ancestors,
            ancestors_complete: lineage.complete,
            ..Process::default()
        };
        (process, self.container_of(header, inherited))
    }

    /// A process that has exited already stays among the exited.
    fn put(&mut self, entry: Entry) {
        let id = entry.process.id;
        if self.table.has_exited(id) {
            if let Some(old) = self.table.get_mut(id) {
                *old = entry;
            }
        } else {
            self.table.insert(entry);
        }
    }

    fn exit(&mut self, header: &Header, exit: ExitRecord) -> Option<Event> {
        let id = clock::process_id(header.tgid, header.start);
        if self.table.exit(id).is_none() {
            if self.table.has_exited(id) {
                return None;
            }
            // It was never seen alive: an event nevertheless, with what the record says.
            let process = Process {
                id,
                start: clock::wall(header.start, self.offset),
                ..unknown_process()
            };
            let container = self.container_of(header, None);
            self.table.insert(Entry::new(process, container));
            self.table.exit(id);
        }
        let signal = u8::try_from(exit.status & 0x7f).unwrap_or(0);
        let code = u8::try_from((exit.status >> 8) & 0xff).unwrap_or(0);
        let exit = Exit {
            code: if signal == 0 {
                Known::Present(code)
            } else {
                Known::Absent
            },
            signal: if signal == 0 {
                Known::Absent
            } else {
                Known::Present(signal)
            },
            core_dumped: exit.status & 0x80 != 0,
        };
        Some(self.event(EventKind::ProcessExit, header, id, Some(exit)))
    }

    /// The container of a process: the one it belongs to already, or else the one that its cgroup
    /// or its process id namespace puts it in. Leaving a container's cgroup changes nothing.
    fn container_of(&mut self, header: &Header, inherited: Option<Arc<Slot>>) -> Option<Arc<Slot>> {
        if inherited.as_ref().is_some_and(|slot| slot.is_named()) {
            return inherited;
        }
        if let Some(named) = self.containers.of_cgroup(header.cgroup) {
            return Some(named);
        }
        let isolated = header.flags & flags::IN_CONTAINER != 0;
        inherited.or_else(|| isolated.then(|| self.containers.unnamed()))
    }

    fn user(&self, container: Option<&Slot>, pid: u32, id: u32) -> User {
        let Some(slot) = container else {
            return self.users.user(id);
        };
        slot.users(&self.config.proc, pid).map_or(
            User {
                id,
                name: Known::Unknown,
            },
            |users| users.user(id),
        )
    }

    fn event(&mut self, kind: EventKind, header: &Header, id: ProcessId, exit: Option<Exit>) -> Event {
        let (process, slot) = self.table.get_mut(id).map_or_else(
            || (Arc::new(unknown_process()), None),
            |entry| (Arc::clone(&entry.process), entry.container.clone()),
        );
        let container = slot.map(|slot| self.joined(&slot));
        Event {
            kind,
            time: clock::wall(header.ktime, self.offset),
            origin: Origin::Live,
            outcome: Outcome::Success,
            process,
            container,
            host: Arc::clone(&self.config.host),
            exit,
            marks: None,
        }
    }

    fn joined(&mut self, slot: &Slot) -> Arc<Container> {
        let container = slot.container(&self.names);
        if matches!(container.pod_uid, Known::Present(_)) && container.pod.is_unknown() {
            self.pods_without_names = true;
        }
        container
    }

    fn learn_pods(&mut self) {
        self.pods_without_names = false;
        if let Err(error) = self.names.learn_from_log_folders(&self.config.host_root) {
            tracing::debug!(%error, "the kubelet's log folders cannot be read");
        }
    }
}

impl snapshot::UserNames for HostUsers {
    fn user(&self, id: u32) -> User {
        HostUsers::user(self, id)
    }
}

/// A process of which nothing is known: its fields are unknown, not absent.
fn unknown_process() -> Process {
    Process {
        executable: Known::Unknown,
        args_truncated: true,
        working_directory: Known::Unknown,
        tty: Known::Unknown,
        login_user: Known::Unknown,
        stdio: [Known::Unknown; 3],
        ..Process::default()
    }
}

#[cfg(test)]
mod tests;
