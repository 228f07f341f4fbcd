//! What the sensor lost, told as it grows: a loss is a result like any other.

use std::collections::BTreeMap;

use crate::bpf::CounterSnapshot;

/// The sensor's losses as far as they were told.
#[derive(Debug, Default)]
pub struct SensorLosses {
    told: BTreeMap<&'static str, u64>,
}

impl SensorLosses {
    /// What was lost since it was told last, by cause; empty when nothing was.
    pub fn news(&self, now: &CounterSnapshot) -> Vec<(&'static str, u64)> {
        now.lost_by_cause()
            .into_iter()
            .map(|(cause, lost)| {
                (
                    cause,
                    lost.saturating_sub(self.told.get(cause).copied().unwrap_or(0)),
                )
            })
            .filter(|(_, lost)| *lost > 0)
            .collect()
    }

    /// These were told.
    pub fn told(&mut self, news: &[(&'static str, u64)]) {
        for (cause, lost) in news {
            *self.told.entry(cause).or_default() += lost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SensorLosses;
    use crate::bpf::{CounterSnapshot, KindCounts};

    fn snapshot(ring_full: u64, missed: u64) -> CounterSnapshot {
        let exec = KindCounts {
            kind: "exec",
            ring_full,
            ..KindCounts::default()
        };
        let exit = KindCounts {
            kind: "exit",
            missed,
            ..KindCounts::default()
        };
        CounterSnapshot {
            kinds: vec![exec, exit],
            foreign: 0,
        }
    }

    #[test]
    fn each_loss_is_told_once_and_again_only_as_it_grows() {
        let mut losses = SensorLosses::default();
        assert_eq!(losses.news(&snapshot(0, 0)), []);
        let news = losses.news(&snapshot(3, 1));
        assert_eq!(news, [("sensor-missed", 1), ("sensor-ring-full", 3)]);
        // There was no room to tell it: it is still news.
        assert_eq!(losses.news(&snapshot(3, 1)), news);
        losses.told(&news);
        assert_eq!(losses.news(&snapshot(3, 1)), []);
        assert_eq!(losses.news(&snapshot(5, 1)), [("sensor-ring-full", 2)]);
    }
}
