//! What must hold before a process says that it is ready.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// The conditions under which this process is ready: all of them must hold. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness(watch::Sender<BTreeMap<&'static str, bool>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(watch::channel(BTreeMap::new()).0)
    }
}

impl Readiness {
    /// Adds a condition that does not hold yet; its owner opens the gate.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        self.write(name, false);
        Gate {
            readiness: self.clone(),
            name,
        }
    }

    /// Names of the conditions that do not hold.
    pub fn missing(&self) -> Vec<&'static str> {
        self.0
            .borrow()
            .iter()
            .filter_map(|(name, open)| (!open).then_some(*name))
            .collect()
    }

    fn write(&self, name: &'static str, open: bool) {
        self.0.send_modify(|gates| {
            gates.insert(name, open);
        });
    }
}

/// One condition of a [`Readiness`].
#[derive(Clone, Debug)]
pub struct Gate {
    readiness: Readiness,
    name: &'static str,
}

impl Gate {
    /// The condition holds.
    pub fn open(&self) {
        self.readiness.write(self.name, true);
    }

    /// Waits until every other condition holds: for what must come last.
    pub async fn others(&self) {
        let mut gates = self.readiness.0.subscribe();
        let others = |gates: &BTreeMap<&'static str, bool>| {
            let mut others = gates.iter().filter(|(name, _)| **name != self.name);
            others.all(|(_, open)| *open)
        };
        // This gate holds a sender, so the channel cannot close meanwhile.
        gates.wait_for(others).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Readiness;

    #[test]
    fn ready_means_that_every_gate_is_open() {
        let readiness = Readiness::default();
        let lease = readiness.gate("lease");
        let store = readiness.gate("store");
        assert_eq!(readiness.missing(), ["lease", "store"]);
        lease.open();
        store.open();
        assert!(readiness.missing().is_empty());
    }

    #[tokio::test]
    async fn the_last_gate_waits_for_the_others() {
        let readiness = Readiness::default();
        let serving = readiness.gate("serving");
        let store = readiness.gate("store");
        let soon = Duration::from_millis(10);
        assert!(timeout(soon, serving.others()).await.is_err());
        store.open();
        timeout(Duration::from_secs(5), serving.others()).await.unwrap();
    }
}
