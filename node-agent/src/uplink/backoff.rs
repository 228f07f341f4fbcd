//! How long to wait before the next try.

use std::time::Duration;

use rand::Rng;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// After a refusal nothing changes until somebody upgrades one of the two sides.
const REFUSED: Duration = Duration::from_mins(5);

/// Exponential backoff with jitter, so that the agents of a cluster do not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The operator answered: the next failure is a first one again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The wait after a failure: between a half and the whole of what doubles each time.
    pub(super) fn after_failure(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        jitter(whole)
    }

    /// The wait after the operator said that it will not serve this agent.
    pub(super) fn after_refusal() -> Duration {
        jitter(REFUSED)
    }
}

fn jitter(whole: Duration) -> Duration {
    whole.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::{Backoff, FIRST, LONGEST};

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_an_answer() {
        let mut backoff = Backoff::default();
        let mut whole = FIRST;
        for _ in 0..10 {
            let wait = backoff.after_failure();
            assert!(wait <= whole && wait >= whole / 2);
            whole = (whole * 2).min(LONGEST);
        }
        assert_eq!(whole, LONGEST);
        backoff.reset();
        assert!(backoff.after_failure() <= FIRST);
    }
}
