//! One budget for all writes to the API server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// A token bucket that every writer shares; waits are served in order of arrival. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WriteBudget {
    interval: Duration,
    burst: u32,
    /// When the bucket was or will be full.
    full_at: Arc<Mutex<Instant>>,
}

impl WriteBudget {
    /// A bucket that refills `per_second` and holds as many, so that a second of quiet is saved.
    pub fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        Self {
            interval: Duration::from_secs(1) / per_second,
            burst: per_second,
            full_at: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Waits for the right to one write.
    pub async fn take(&self) {
        let mut full_at = self.full_at.lock().await;
        let after = (*full_at).max(Instant::now()) + self.interval;
        // The bucket is empty when it will take a whole burst to fill: wait while holding the
        // lock, so that others wait behind this one.
        sleep_until(after - self.interval * self.burst).await;
        *full_at = after;
    }

    /// Waits until half of the bucket is there: for writes that nobody waits for, before each [`Self::take`]. Whoever
    /// has something urgent to write then always finds the other half.
    pub async fn spare(&self) {
        loop {
            let full_at = *self.full_at.lock().await;
            let half_full_at = full_at - self.interval * (self.burst / 2);
            if half_full_at <= Instant::now() {
                return;
            }
            // Others may have taken some meanwhile.
            sleep_until(half_full_at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::WriteBudget;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rate_holds_after_it() {
        let budget = WriteBudget::new(20);
        let start = Instant::now();
        for _ in 0..20 {
            budget.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..40 {
            budget.take().await;
        }
        let waited = start.elapsed();
        assert!(
            waited >= Duration::from_millis(1_950) && waited <= Duration::from_millis(2_050),
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn writes_that_can_wait_leave_half_of_the_bucket_to_others() {
        let budget = WriteBudget::new(20);
        let start = Instant::now();
        for _ in 0..50 {
            budget.spare().await;
            budget.take().await;
        }
        // They have the whole rate while nobody else writes.
        let waited = start.elapsed();
        assert!(
            waited >= Duration::from_millis(1_900) && waited <= Duration::from_millis(2_050),
            "{waited:?}"
        );
        let urgent = Instant::now();
        for _ in 0..9 {
            budget.take().await;
        }
        assert_eq!(urgent.elapsed(), Duration::ZERO);
    }
}
