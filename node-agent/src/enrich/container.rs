//! Containers by cgroup, joined with their names once and again when the names change.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use yagura_event::{Container, Known};

use super::{
    cgroup_path::{Identity, parse},
    names::Names,
    users::Users,
};

/// Most cgroups that are remembered. The kernel side remembers fewer and tells a cgroup again
/// after it has forgotten it, so an active one is always here.
const MOST: usize = 32 * 1024;
/// How often a container's user database is tried: its first processes may be gone too soon.
const TRIES: u8 = 5;

/// A container that processes belong to.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` for a container that no cgroup names, such as a bare process id namespace.
    identity: Option<Identity>,
    joined: Mutex<Option<(u64, Arc<Container>)>>,
    users: OnceLock<Users>,
    tries: AtomicU8,
}

impl Slot {
    pub(super) fn new(identity: Option<Identity>) -> Arc<Self> {
        Arc::new(Self {
            identity,
            joined: Mutex::new(None),
            users: OnceLock::new(),
            tries: AtomicU8::new(0),
        })
    }

    /// Whether a cgroup names it.
    pub(super) fn is_named(&self) -> bool {
        self.identity.is_some()
    }

    /// The container with the names that are known now.
    pub(super) fn container(&self, names: &Names) -> Arc<Container> {
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = names.revision();
        if let Some((at, container)) = joined.as_ref()
            && *at == revision
        {
            return Arc::clone(container);
        }
        let container = Arc::new(match &self.identity {
            Some(identity) => names.join(identity),
            None => Container {
                id: Known::Unknown,
                runtime: Known::Unknown,
                name: Known::Unknown,
                image: Known::Unknown,
                image_digest: Known::Unknown,
                pod_uid: Known::Unknown,
                pod: Known::Unknown,
            },
        });
        *joined = Some((revision, Arc::clone(&container)));
        container
    }

    /// The container's user database, read through one of its processes; `None` when it cannot
    /// be read.
    pub(super) fn users(&self, proc: &Path, pid: u32) -> Option<&Users> {
        if self.users.get().is_none() && self.tries.load(Ordering::Relaxed) < TRIES {
            self.tries.fetch_add(1, Ordering::Relaxed);
            if let Ok(users) = Users::of_process(proc, pid) {
                return Some(self.users.get_or_init(|| users));
            }
        }
        self.users.get()
    }
}

/// What is known of cgroups.
#[derive(Debug)]
pub(super) struct Containers {
    by_cgroup: HashMap<u64, Cgroup>,
    unnamed: Arc<Slot>,
    clock: u64,
}

#[derive(Debug)]
struct Cgroup {
    container: Option<Arc<Slot>>,
    used: u64,
}

impl Containers {
    pub(super) fn new() -> Self {
        Self {
            by_cgroup: HashMap::new(),
            unnamed: Slot::new(None),
            clock: 0,
        }
    }

    /// The one container without a name.
    pub(super) fn unnamed(&self) -> Arc<Slot> {
        Arc::clone(&self.unnamed)
    }

    /// Learns a cgroup's path. When its front was `cut`, a pod that it does not name is unknown.
    pub(super) fn learn(&mut self, cgroup: u64, path: &[u8], cut: bool) -> Option<Arc<Slot>> {
        self.forget_oldest();
        self.clock += 1;
        let found = parse(path).map(|mut identity| {
            if cut && identity.pod_uid == Known::Absent {
                identity.pod_uid = Known::Unknown;
            }
            Slot::new(Some(identity))
        });
        let known = self.by_cgroup.entry(cgroup).or_insert(Cgroup {
            container: None,
            used: 0,
        });
        known.used = self.clock;
        // The same container keeps its slot, and with it what was joined to it.
        let same =
            known.container.as_ref().map(|slot| &slot.identity) == found.as_ref().map(|slot| &slot.identity);
        if !same {
            known.container = found;
        }
        known.container.clone()
    }

    /// The container whose cgroup this is; `None` for the host's and for one that is not known.
    pub(super) fn of_cgroup(&mut self, cgroup: u64) -> Option<Arc<Slot>> {
        self.clock += 1;
        let known = self.by_cgroup.get_mut(&cgroup)?;
        known.used = self.clock;
        known.container.clone()
    }

    /// Makes room: the eighth that was not used for longest goes.
    fn forget_oldest(&mut self) {
        if self.by_cgroup.len() < MOST {
            return;
        }
        let mut uses = self
            .by_cgroup
            .values()
            .map(|cgroup| cgroup.used)
            .collect::<Vec<_>>();
        let (_, limit, _) = uses.select_nth_unstable(MOST / 8);
        let limit = *limit;
        self.by_cgroup.retain(|_, cgroup| cgroup.used > limit);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use yagura_event::{Known, Pod, Text};

    use super::{Containers, MOST};
    use crate::enrich::Names;

    const PATH: &[u8] = b"/kubepods/pod1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_container_gets_its_names_when_they_arrive() {
        let names = Names::default();
        let mut containers = Containers::new();
        let slot = containers.learn(1, PATH, false).unwrap();
        assert!(slot.container(&names).pod.is_unknown());
        names.set_pod(Arc::new(Pod {
            uid: Text::from("1e2a7c54-9a0f-4f6e-8f6a-0c1d2e3f4a5b"),
            name: Text::from("cart"),
            ..Pod::default()
        }));
        let container = containers.of_cgroup(1).unwrap().container(&names);
        assert!(matches!(&container.pod, Known::Present(pod) if pod.name == Text::from("cart")));
        assert!(Arc::ptr_eq(&container, &slot.container(&names)));
    }

    #[test]
    fn a_path_without_its_front_leaves_the_pod_unknown() {
        let names = Names::default();
        let mut containers = Containers::new();
        let path = &PATH[PATH.len() - 65..];
        let cut = containers.learn(1, path, true).unwrap();
        assert!(cut.container(&names).pod_uid.is_unknown());
        let whole = containers.learn(2, path, false).unwrap();
        assert_eq!(whole.container(&names).pod_uid, Known::Absent);
    }

    #[test]
    fn the_number_of_cgroups_is_bounded_and_the_used_ones_stay() {
        let mut containers = Containers::new();
        containers.learn(u64::MAX, PATH, false);
        for cgroup in 0..MOST as u64 * 2 {
            containers.learn(cgroup, b"/system.slice/x.service", false);
            assert!(containers.of_cgroup(u64::MAX).is_some());
        }
        assert!(containers.by_cgroup.len() <= MOST);
    }
}
