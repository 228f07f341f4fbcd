//! Which cgroup hierarchy names containers: the unified one, or on a host with version 1 that of
//! one controller, because there every hierarchy has its own cgroups and ids.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Controllers of version 1 that container runtimes use, the best first. The kernel names their
/// constants likewise (`memory_cgrp_id`).
const CONTROLLERS: [&str; 6] = ["memory", "pids", "cpu", "cpuset", "devices", "freezer"];

/// A cgroup hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    controller: Option<&'static str>,
}

/// Why no hierarchy was found.
#[derive(Debug, Error)]
pub enum HierarchyError {
    /// The first process's membership cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No controller that runtimes use, and no unified hierarchy.
    #[error("{} names neither the unified hierarchy nor a controller that container runtimes use", .0.display())]
    None(PathBuf),
}

impl Hierarchy {
    /// Looks at the memberships of the first process. A controller that is attached to a
    /// hierarchy of version 1 wins over the unified hierarchy, where containers then are not.
    pub fn detect(proc: &Path) -> Result<Self, HierarchyError> {
        let path = proc.join("1/cgroup");
        let text = fs::read_to_string(&path).map_err(|source| HierarchyError::Read {
            path: path.clone(),
            source,
        })?;
        Self::choose(&text).ok_or(HierarchyError::None(path))
    }

    fn choose(memberships: &str) -> Option<Self> {
        let unified = Self { controller: None };
        CONTROLLERS
            .into_iter()
            .map(|controller| Self {
                controller: Some(controller),
            })
            .chain([unified])
            .find(|hierarchy| hierarchy.path(memberships).is_some())
    }

    /// The controller of version 1, or `None` for the unified hierarchy.
    pub fn controller(self) -> Option<&'static str> {
        self.controller
    }

    /// 1 or 2.
    pub fn version(self) -> u8 {
        if self.controller.is_some() { 1 } else { 2 }
    }

    /// The path of this hierarchy's cgroup in the text of `/proc/<pid>/cgroup`.
    pub fn path(self, memberships: &str) -> Option<&str> {
        memberships.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (_id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let here = match self.controller {
                None => controllers.is_empty(),
                Some(controller) => controllers.split(',').any(|name| name == controller),
            };
            here.then_some(path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Hierarchy;

    const HYBRID: &str = "12:cpu,cpuacct:/\n7:pids:/user.slice\n4:memory:/kubepods/x\n0::/init.scope\n";

    #[test]
    fn a_version_1_controller_wins_over_the_unified_hierarchy() {
        let hybrid = Hierarchy::choose(HYBRID).unwrap();
        assert_eq!(hybrid.controller(), Some("memory"));
        assert_eq!(hybrid.path(HYBRID), Some("/kubepods/x"));
        let unified = Hierarchy::choose("0::/init.scope\n").unwrap();
        assert_eq!((unified.controller(), unified.version()), (None, 2));
        assert_eq!(unified.path("0::/a:b\n"), Some("/a:b"));
        let without_memory = Hierarchy::choose("3:cpu,cpuacct:/x\n0::/\n").unwrap();
        assert_eq!(without_memory.controller(), Some("cpu"));
        assert_eq!(Hierarchy::choose("1:name=systemd:/\n"), None);
    }
}
