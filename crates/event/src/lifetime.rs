//! How long a signal takes matches of its group, and how soon another one may follow it. Pure.

use crate::Timestamp;

const HOUR: i64 = 3_600_000_000_000;

/// What a rule says about time, in nanoseconds. All of it is measured in the times of the matches
/// themselves, so a report that was held up for an hour leads to the same signals as one in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// A group opens at most one signal in this time: matches count on in the last one, whatever
    /// became of it.
    pub cooldown: i64,
    /// A signal that had no match for this long takes no more.
    pub keep_open: i64,
    /// A signal that was opened this long ago takes no more.
    pub max_duration: i64,
}

impl Lifetime {
    /// A signal that takes matches until somebody closes it, without a cooldown after that.
    pub const UNLIMITED: Self = Self {
        cooldown: 0,
        keep_open: i64::MAX,
        max_duration: i64::MAX,
    };
}

impl Default for Lifetime {
    /// A signal of a group a day, and another one as soon as somebody closed it.
    fn default() -> Self {
        Self {
            cooldown: 0,
            keep_open: 24 * HOUR,
            max_duration: 24 * HOUR,
        }
    }
}

/// A group's last signal, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSignal {
    /// Whether it takes matches as far as people are concerned.
    pub open: bool,
    /// When the match that opened it happened.
    pub opened: Timestamp,
    /// Time of its last match.
    pub last: Timestamp,
}

/// Where a match goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// Into the group's last signal.
    On,
    /// Into a new signal.
    New,
}

impl Lifetime {
    /// Where matches go whose first happened at `first`. One older than the signal's last is late,
    /// not the first after a silence.
    pub fn next(&self, latest: &LastSignal, first: Timestamp) -> Goes {
        let age = first.0.saturating_sub(latest.opened.0);
        let silence = first.0.saturating_sub(latest.last.0);
        let in_time = latest.open && silence <= self.keep_open && age < self.max_duration;
        if in_time || age < self.cooldown {
            Goes::On
        } else {
            Goes::New
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Lifetime = Lifetime {
        cooldown: 10,
        keep_open: 5,
        max_duration: 100,
    };

    fn next(open: bool, opened: i64, last: i64, first: i64) -> Goes {
        let latest = LastSignal {
            open,
            opened: Timestamp(opened),
            last: Timestamp(last),
        };
        LIFETIME.next(&latest, Timestamp(first))
    }

    #[test]
    fn an_open_signal_takes_matches_until_it_is_silent_or_old() {
        assert_eq!(next(true, 0, 50, 55), Goes::On);
        assert_eq!(next(true, 0, 50, 56), Goes::New);
        assert_eq!(next(true, 0, 98, 99), Goes::On);
        assert_eq!(next(true, 0, 99, 100), Goes::New);
    }

    #[test]
    fn within_the_cooldown_no_other_signal_follows() {
        assert_eq!(next(false, 0, 1, 9), Goes::On);
        assert_eq!(next(false, 0, 1, 10), Goes::New);
        assert_eq!(next(true, 0, 1, 9), Goes::On, "silent, but not cool yet");
    }

    #[test]
    fn what_comes_late_counts_where_it_belongs() {
        assert_eq!(next(true, 20, 90, 30), Goes::On);
        assert_eq!(next(true, 20, 90, 10), Goes::On, "before the opening");
        assert_eq!(next(true, 0, i64::MAX, i64::MIN), Goes::On);
    }

    #[test]
    fn without_limits_only_people_close() {
        let latest = |open| LastSignal {
            open,
            opened: Timestamp(0),
            last: Timestamp(0),
        };
        let far = Timestamp(i64::MAX - 1);
        assert_eq!(Lifetime::UNLIMITED.next(&latest(true), far), Goes::On);
        assert_eq!(Lifetime::UNLIMITED.next(&latest(false), Timestamp(0)), Goes::New);
    }
}
