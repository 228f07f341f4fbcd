//! Impossible journeys: a group that is at two places, one after the other, faster than anybody travels.
//!
//! # Definition
//! A [`Visit`] is a match with a place, and, if known, the address that the place was found by. Visits are in order of their
//! time; those of one time are in order of arrival. Two that follow each other are a journey. It is impossible when all of these
//! hold:
//!
//! 1. Their addresses are not of one network: the same `/24` of IPv4, or `/48` of IPv6. So one address is never at two places, and
//!    an address that is told to be elsewhere since a database changed is no journey. What has no address is of no network.
//! 2. Their distance is at least [`Travel::distance`]: along a great circle of a sphere with the earth's mean radius, in whole metres,
//!    less the accuracy radius of both.
//! 3. That distance needs a speed of more than [`Travel::speed`] in the time between them. With no time between them,
//!    any distance does.
//! 4. No more than [`Travel::forget`] lies between them.
//! 5. With [`Travel::baseline`], the group is known, and not at home at both: see below.
//!
//! A visit is judged when it comes: the journey to it, and, where it comes late, the journey from it to the next. It is judged as if it
//! had come in time, as long as it is not later than [`Travel::lateness`]. A journey that was told is not taken back when a visit
//! turns up between its ends. A visit that is told twice, with the same time, place and address, is one.
//!
//! # Places where a group is at home
//! With a baseline of `n` days, a group is at home in a place when it was there on `n` different days, and known when it was
//! anywhere on one. Places are told apart by whole degrees of latitude and longitude, and days are those of UTC. For a journey that
//! ends at `t`, a day counts if it is over for good: its last late visit has come at `t`; and if it was not yet over at `t` less
//! [`Travel::forget`]. So who works by way of a distant gateway is told of on the first days, and not any more; whoever comes from
//! elsewhere is told of on the way there and on the way back.
//!
//! # What it costs
//! A group remembers the visits of its lateness and the one before them, up to [`MAX_VISITS`]: of more, the oldest are forgotten, and what
//! is later than all that are left is only judged against the next. Up to [`MAX_PLACES`] places are remembered with their days; of more, the one
//! is forgotten that was seen on the fewest days, so that many new places do not displace those where a group is at home.

mod encode;
mod home;
mod place;

use std::collections::VecDeque;
use std::net::IpAddr;

use yagura_event::Timestamp;
use yagura_rules::detect::CLUSTER_LATENESS;

pub use home::MAX_PLACES;
use home::{DAY, Days, Homes};
pub use place::Place;

/// Visits that a group remembers.
pub const MAX_VISITS: usize = 256;
/// Longest time that is remembered, in nanoseconds: 60 days.
pub const MAX_FORGET: i64 = 60 * DAY;
/// Greatest lateness, in nanoseconds: a day.
pub const MAX_LATENESS: i64 = DAY;

/// What an impossible journey is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Travel {
    /// The greatest speed that is possible, in kilometres an hour.
    pub speed: u32,
    /// The least distance, in kilometres.
    pub distance: u32,
    /// How long visits are remembered, in nanoseconds; at most [`MAX_FORGET`].
    pub forget: i64,
    /// How much later than the newest of its group a visit may come, in nanoseconds; at most [`MAX_LATENESS`].
    pub lateness: i64,
    /// Days on which a group has been in a place where it is at home, at least 1; `None`: all impossible journeys are told.
    pub baseline: Option<u32>,
}

impl Default for Travel {
    fn default() -> Self {
        Self {
            speed: 900,
            distance: 500,
            forget: 30 * DAY,
            lateness: CLUSTER_LATENESS,
            baseline: None,
        }
    }
}

impl Travel {
    /// How long after its newest visit a group may be forgotten, in nanoseconds: nothing of it matters any more.
    pub fn memory(&self) -> i64 {
        self.kept() + self.waits() + DAY
    }

    fn kept(&self) -> i64 {
        self.forget.clamp(0, MAX_FORGET)
    }

    fn waits(&self) -> i64 {
        self.lateness.clamp(0, MAX_LATENESS)
    }
}

/// A match with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// When.
    pub time: Timestamp,
    /// Where.
    pub place: Place,
    /// How far from there it may have been, in metres.
    pub accuracy: u32,
    /// From which address.
    pub address: Option<IpAddr>,
}

impl Visit {
    /// A visit, with its accuracy radius in kilometres; what is no radius is none.
    pub fn new(time: Timestamp, place: Place, radius: f64, address: Option<IpAddr>) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast gives the nearest number there is, and 0 for what is none"
        )]
        let accuracy = (radius * 1_000.0).round() as u32;
        Self {
            time,
            place,
            accuracy,
            address: address.map(|address| address.to_canonical()),
        }
    }
}

/// Two visits that one cannot have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The earlier visit.
    pub from: Visit,
    /// The later one.
    pub to: Visit,
    /// How far they are apart at least, in metres.
    pub metres: u32,
}

/// What became of a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is possible, as far as is known.
    Waits,
    /// Impossible journeys to it and from it, one or two, in order.
    Fires(Vec<Journey>),
    /// It came later than the group waits for.
    Late,
}

/// What one rule remembers of one group of matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// In order of time; those of one time in order of arrival.
    visits: VecDeque<Visit>,
    /// Days are those before the newest visit's.
    homes: Homes,
}

impl Group {
    /// Takes a visit.
    pub fn add(&mut self, travel: &Travel, visit: Visit) -> Outcome {
        let newest = self.newest();
        if newest.is_some_and(|newest| visit.time < newest.after(-travel.waits())) {
            return Outcome::Late;
        }
        let place = self.visits.partition_point(|other| other.time <= visit.time);
        let earlier = self.visits.range(..place).rev();
        if earlier
            .take_while(|other| other.time == visit.time)
            .any(|other| *other == visit)
        {
            return Outcome::Waits;
        }
        if travel.baseline.is_some() {
            self.homes.see(newest, &visit);
        }
        let before = place.checked_sub(1).and_then(|before| self.visits.get(before));
        let journeys = [
            before.and_then(|before| self.judge(travel, before, &visit)),
            self.visits
                .get(place)
                .and_then(|after| self.judge(travel, &visit, after)),
        ];
        self.visits.insert(place, visit);
        self.keep_bounded(travel);
        let journeys: Vec<Journey> = journeys.into_iter().flatten().collect();
        if journeys.is_empty() {
            Outcome::Waits
        } else {
            Outcome::Fires(journeys)
        }
    }

    /// Time of the newest visit.
    pub fn newest(&self) -> Option<Timestamp> {
        self.visits.back().map(|visit| visit.time)
    }

    /// The journey, if it is impossible.
    fn judge(&self, travel: &Travel, from: &Visit, to: &Visit) -> Option<Journey> {
        let nanoseconds = to.time.since(from.time);
        if nanoseconds > travel.kept() || is_one_network(from.address, to.address) {
            return None;
        }
        let metres = from.place.metres_to(to.place);
        let metres = metres.saturating_sub(from.accuracy).saturating_sub(to.accuracy);
        if u64::from(metres) < u64::from(travel.distance) * 1_000 {
            return None;
        }
        // Metres in nanoseconds against kilometres in an hour.
        let needed = i128::from(metres) * 3_600_000_000_000;
        let possible = i128::from(travel.speed) * 1_000 * i128::from(nanoseconds);
        if needed <= possible {
            return None;
        }
        if let Some(least) = travel.baseline {
            let days = self.counted_days(travel, to.time)?;
            let homes = &self.homes;
            if !homes.is_known(days)
                || [from, to]
                    .into_iter()
                    .all(|end| homes.is_home(end.place, days, least))
            {
                return None;
            }
        }
        Some(Journey {
            from: *from,
            to: *to,
            metres,
        })
    }

    /// The days that count for a journey that ends at `time`.
    fn counted_days(&self, travel: &Travel, time: Timestamp) -> Option<Days> {
        // A visit that was just taken may be newer than those that are remembered.
        let newest = self.newest().max(Some(time))?;
        Some(Days::between(
            newest,
            time.after(-travel.kept()),
            time.after(-travel.waits()),
        ))
    }

    /// Forgets what no visit that may still come follows, and stays within the bound.
    fn keep_bounded(&mut self, travel: &Travel) {
        let watermark = self.newest().map(|newest| newest.after(-travel.waits()));
        while self.visits.len() > MAX_VISITS
            || self
                .visits
                .get(1)
                .is_some_and(|second| Some(second.time) <= watermark)
        {
            self.visits.pop_front();
        }
    }
}

fn is_one_network(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (Some(IpAddr::V4(one)), Some(IpAddr::V4(other))) => one.octets()[..3] == other.octets()[..3],
        (Some(IpAddr::V6(one)), Some(IpAddr::V6(other))) => one.octets()[..6] == other.octets()[..6],
        _ => false,
    }
}
