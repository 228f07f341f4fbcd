//! What must hold before a process says that it is ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The conditions under which this process is ready: all of them must hold. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, bool>>>);

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
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates
            .iter()
            .filter_map(|(name, open)| (!open).then_some(*name))
            .collect()
    }

    fn write(&self, name: &'static str, open: bool) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, open);
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

    /// The condition does not hold any more.
    pub fn close(&self) {
        self.readiness.write(self.name, false);
    }
}

#[cfg(test)]
mod tests {
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
        lease.close();
        assert_eq!(readiness.missing(), ["lease"]);
    }
}
