//! Spikes: more matches of a group in a while than at such times before.
//!
//! # Definition
//! Time is cut into buckets of [`Anomaly::bucket`], from the epoch on, in UTC; what is counted is the matches of each. A bucket
//! spikes when its count is greater than its **limit**.
//!
//! Let `b` be a bucket, and `e` the last one before it that is over whatever comes late: no match of `b` can come while one
//! of `e` is still waited for. So `e` lies `1 + lateness / bucket` buckets before `b`, rounded up.
//!
//! 1. A group is *known* since its first bucket with a match. One that had none in as many buckets in a row as
//!    [`Anomaly::history`] has is forgotten, and begins anew.
//! 2. `b` has no limit, and cannot spike, before [`Anomaly::learning`] is known up to the end of `e`. So a group never spikes that
//!    was not there before.
//! 3. The limit is drawn from a sample of the buckets up to `e`:
//!    - two weeks known: those in the same hour of the week, and one more on either side, of each week in the history;
//!    - else three days known: those in the same hour of the day, and one more on either side, of each day in the history;
//!    - else all in the history.
//!
//!    A bucket in which nothing matched counts 0. Those before the group was known are not in the sample.
//! 4. The limit is the quantile of the sample ([`Anomaly::quantile`], by the nearest rank), and [`Anomaly::tolerance`] times its
//!    median absolute deviation (with the lower median), but at least [`Anomaly::min_count`] less one, and at least 1.
//! 5. A bucket that spikes stands in later samples with its limit as its count: a spike does not teach that spikes are usual.
//!
//! # When it is told
//! The limit of a bucket is known with its first match, and its count only grows. So the match that makes the count greater than
//! the limit tells it, once for each bucket, and nothing has to wait for the bucket's end. Later matches of the bucket say that
//! it [grows](Outcome::Grows). Which buckets are told, and their limits, do not depend on the order in which matches come, as
//! long as none is late.
//!
//! # What it costs
//! 8 bytes for each bucket with a match. A level that rises for good is told until the limit has followed, which it does by the
//! tolerance only: with a tolerance of 0, or where nothing ever varied, it stays until the state is begun anew. Hours are those of
//! UTC: where clocks are set, habits move by an hour.

mod baseline;
mod encode;

use std::collections::VecDeque;

use yagura_event::Timestamp;
pub use yagura_rules::detect::Anomaly;

use baseline::Grid;

/// Most buckets that lateness keeps open beside the newest.
pub const MAX_OPEN: i64 = 32;

/// A bucket that spikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// When the bucket begins.
    pub start: Timestamp,
    /// Its matches up to now.
    pub count: u32,
    /// How many are usual at most.
    pub limit: u32,
}

/// What became of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its bucket does not spike, or is only learned.
    Waits,
    /// With it, its bucket spikes.
    Fires(Spike),
    /// Its bucket was told to spike, and has more matches now.
    Grows(Spike),
    /// It came later than the group waits for.
    Late,
}

/// A bucket that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Closed {
    index: i32,
    /// At most its limit; never 0.
    count: u32,
}

/// A bucket that matches may still come for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    count: u32,
    /// `None`: it cannot spike.
    limit: Option<u32>,
    told: bool,
}

/// What one rule remembers of one group of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Time of the newest match.
    newest: Option<i64>,
    /// The bucket since which the group is known; stale once the history is empty.
    since: Option<i32>,
    /// Those with matches, in order.
    closed: VecDeque<Closed>,
    /// The newest match's bucket and all before it that are open.
    open: VecDeque<Open>,
}

impl Group {
    /// Takes `count` matches at a time.
    pub fn add(&mut self, anomaly: &Anomaly, time: Timestamp, count: u32) -> Outcome {
        let grid = Grid::of(anomaly);
        let index = grid.index(time.0);
        let head = match self.newest {
            Some(newest) if time.0 < newest.saturating_sub(grid.lateness) => return Outcome::Late,
            Some(newest) => grid.index(newest),
            None => {
                self.open = (0..=grid.open).map(|_| Open::default()).collect();
                index
            }
        };
        self.newest = self.newest.max(Some(time.0));
        self.advance(anomaly, &grid, head, index);
        // What is not late lies at most that far back.
        let back = usize::try_from(head.max(index) - index).unwrap_or(usize::MAX);
        let Some(open) = self.open.iter_mut().nth_back(back) else {
            return Outcome::Late;
        };
        open.count = open.count.saturating_add(count);
        match open.limit {
            Some(limit) if open.count > limit => {
                let spike = Spike {
                    start: Timestamp(grid.start(index)),
                    count: open.count,
                    limit,
                };
                if std::mem::replace(&mut open.told, true) {
                    Outcome::Grows(spike)
                } else {
                    Outcome::Fires(spike)
                }
            }
            _ => Outcome::Waits,
        }
    }

    /// Time of the newest match.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest.map(Timestamp)
    }

    /// Opens the buckets after `head` up to `to`, and closes as many.
    fn advance(&mut self, anomaly: &Anomaly, grid: &Grid, mut head: i32, to: i32) {
        let mut steps = 0;
        while head < to {
            if let Some(over) = self.open.pop_front() {
                self.close(grid, head - grid.open, over);
            }
            head += 1;
            // The limit is what the buckets say that are closed now; one that will be closed again at once needs none.
            let stays = to - head <= grid.open;
            let limit = if stays {
                self.limit(anomaly, grid, head)
            } else {
                None
            };
            self.open.push_back(Open {
                limit,
                ..Open::default()
            });
            steps += 1;
            if steps > grid.open {
                // All that are open are empty from here on.
                head = head.max(to - grid.open - 1);
            }
        }
    }

    fn close(&mut self, grid: &Grid, index: i32, open: Open) {
        if open.count == 0 {
            return;
        }
        let forgotten = |last: &Closed| index - 1 - last.index >= grid.kept;
        if self.closed.back().is_none_or(forgotten) {
            self.closed.clear();
            self.since = Some(index);
        }
        self.closed.push_back(Closed {
            index,
            count: open.limit.map_or(open.count, |limit| open.count.min(limit)),
        });
        while self
            .closed
            .front()
            .is_some_and(|first| first.index <= index - grid.reach())
        {
            self.closed.pop_front();
        }
    }

    /// The limit of a bucket, when all are closed that its sample may have.
    fn limit(&self, anomaly: &Anomaly, grid: &Grid, bucket: i32) -> Option<u32> {
        let end = bucket - grid.open - 1;
        let (since, last) = (self.since?, self.closed.back()?);
        let known = end + 1 - since;
        if end - last.index >= grid.kept || known < grid.learning {
            return None;
        }
        let sample = grid.sample(&self.closed, bucket, since, end);
        Some(baseline::limit(anomaly, sample))
    }
}
