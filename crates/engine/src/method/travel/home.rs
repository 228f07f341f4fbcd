//! Where a group is at home.

use yagura_event::Timestamp;

use super::Visit;
use super::place::{Cell, Place};

/// In nanoseconds.
pub(super) const DAY: i64 = 24 * 3_600 * 1_000_000_000;
/// Places that a group remembers.
pub const MAX_PLACES: usize = 64;

fn day(time: Timestamp) -> i64 {
    time.0.div_euclid(DAY)
}

/// Days, as bits: the lowest is the day of the newest visit, the next the day before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days(pub(super) u64);

impl Days {
    /// Those that are over after `start` and not after `end`.
    pub(super) fn between(newest: Timestamp, start: Timestamp, end: Timestamp) -> Self {
        let newest = day(newest);
        // The first that ends after the start, and the first that does not end by the end.
        let (first, behind) = (day(start), day(end));
        let upto = |back: i64| match u32::try_from(back) {
            Ok(back) => u64::MAX.checked_shl(back).map_or(u64::MAX, |bits| !bits),
            Err(_) if back < 0 => 0,
            Err(_) => u64::MAX,
        };
        Self(upto(newest - first + 1) & !upto(newest - behind + 1))
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The same days, when the newest is so many days later.
    fn later(self, days: u32) -> Self {
        Self(self.0.checked_shl(days).unwrap_or(0))
    }
}

/// A place, and the days on which a group was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) cell: Cell,
    pub(super) days: Days,
}

/// The days of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Homes {
    /// On which it was anywhere.
    pub(super) days: Days,
    /// In order of their cells.
    pub(super) places: Vec<Home>,
}

impl Homes {
    /// Takes a visit; `newest` is the time of the newest before it.
    pub(super) fn see(&mut self, newest: Option<Timestamp>, visit: &Visit) {
        let today = day(visit.time);
        let last = newest.map_or(today, day);
        if today > last {
            let passed = u32::try_from(today - last).unwrap_or(u32::MAX);
            self.days = self.days.later(passed);
            for home in &mut self.places {
                home.days = home.days.later(passed);
            }
            self.places.retain(|home| home.days != Days::default());
        }
        let back = u32::try_from(last - today).unwrap_or(0);
        let bit = 1_u64.checked_shl(back).unwrap_or(0);
        self.days.0 |= bit;
        let cell = visit.place.cell();
        match self.places.binary_search_by_key(&cell, |home| home.cell) {
            Ok(place) => {
                if let Some(home) = self.places.get_mut(place) {
                    home.days.0 |= bit;
                }
            }
            Err(place) => self.places.insert(
                place,
                Home {
                    cell,
                    days: Days(bit),
                },
            ),
        }
        if self.places.len() > MAX_PLACES {
            // Of those with the fewest days, the one that is longest ago.
            let scarce = self.places.iter().enumerate().min_by_key(|(_, home)| {
                let ago = home.days.0.trailing_zeros();
                (home.days.count(), u32::MAX - ago)
            });
            if let Some((place, _)) = scarce {
                self.places.remove(place);
            }
        }
    }

    /// Whether the group was anywhere on one of the days.
    pub(super) fn is_known(&self, days: Days) -> bool {
        self.days.and(days).count() > 0
    }

    /// Whether it was in a place on `least` of the days.
    pub(super) fn is_home(&self, place: Place, days: Days, least: u32) -> bool {
        let found = self.places.binary_search_by_key(&place.cell(), |home| home.cell);
        let home = found.ok().and_then(|place| self.places.get(place));
        home.is_some_and(|home| home.days.and(days).count() >= least.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_that_end_in_between() {
        let at = |day: i64, hour: i64| Timestamp(day * DAY + hour * DAY / 24);
        // Day 7 ends after 7:12, and day 9 before 10:01.
        let days = Days::between(at(11, 5), at(7, 12), at(10, 1));
        assert_eq!(days, Days(0b1_1100));
        // A day that ends at the start is over; one that ends at the end counts.
        assert_eq!(Days::between(at(11, 5), at(8, 0), at(10, 0)), Days(0b1100));
        assert_eq!(Days::between(at(11, 5), at(11, 0), at(11, 5)), Days(0));
        let ever = Days::between(Timestamp(i64::MAX), Timestamp(i64::MIN), Timestamp(i64::MIN));
        assert_eq!(ever, Days(0));
    }
}
