//! What something takes.

use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};

/// The best of so many rounds is what the code can do, the others what the machine did beside it.
const ROUNDS: usize = 21;

/// Milliseconds of one processor that something takes at best. Time in which others had the processor is not in it.
pub(crate) fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let begun = used();
        black_box(work());
        used() - begun
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Milliseconds of a processor that this thread has used.
fn used() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (i32::try_from(time.tv_sec), i32::try_from(time.tv_nsec));
    f64::from(seconds.unwrap()) * 1e3 + f64::from(nanoseconds.unwrap()) / 1e6
}
