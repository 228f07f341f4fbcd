//! The two clocks that matter: the kernel stamps records with the boot clock, people read the
//! wall clock.

use rustix::time::{ClockId, clock_gettime};
use yagura_event::{ProcessId, Timestamp};

/// Nanoseconds in a tick of `USER_HZ`, the unit of process start times in `/proc`.
pub const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// Nanoseconds since boot, time asleep included.
pub fn boot() -> u64 {
    u64::try_from(nanoseconds(ClockId::Boottime)).unwrap_or(0)
}

/// What to add to a time of the boot clock to get one of the wall clock.
pub fn wall_offset() -> i64 {
    nanoseconds(ClockId::Realtime).saturating_sub(nanoseconds(ClockId::Boottime))
}

fn nanoseconds(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

/// A time of the boot clock as a time of the wall clock.
pub fn wall(boot: u64, offset: i64) -> Timestamp {
    Timestamp(i64::try_from(boot).unwrap_or(i64::MAX)).after(offset)
}

/// Identity of a process from what the kernel programs record.
pub fn process_id(tgid: u32, start: u64) -> ProcessId {
    ProcessId {
        pid: tgid,
        start_ticks: start / NANOSECONDS_PER_TICK,
    }
}
