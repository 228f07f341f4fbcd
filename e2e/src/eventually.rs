//! Waiting for a condition, never for a time.

use std::time::Duration;

use anyhow::{Result, anyhow};

/// How long a condition may take to come true.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// How often it is tried. The API server answers a get in about 2 ms.
const PERIOD: Duration = Duration::from_millis(100);

/// Tries `condition` until it is `Ok`, for at most [`DEADLINE`]; its last error says what was missing.
pub async fn eventually<T, C, F>(what: &str, condition: C) -> Result<T>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T>>,
{
    within(DEADLINE, what, condition).await
}

/// The same with another deadline.
pub async fn within<T, C, F>(deadline: Duration, what: &str, mut condition: C) -> Result<T>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T>>,
{
    let mut last = anyhow!("it was not tried once");
    let mut turns = tokio::time::interval(PERIOD);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let attempts = async {
        loop {
            turns.tick().await;
            match condition().await {
                Ok(value) => return value,
                Err(error) => last = error,
            }
        }
    };
    let outcome = tokio::time::timeout(deadline, attempts).await;
    outcome.map_err(|elapsed| last.context(format!("{what}: {elapsed} ({} s)", deadline.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_is_tried_until_it_holds() {
        let mut tries = 0;
        let value = within(DEADLINE, "counts", || {
            tries += 1;
            let now = tries;
            async move { if now == 3 { Ok(now) } else { Err(anyhow!("{now}")) } }
        });
        assert_eq!(value.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn the_last_reason_is_told_when_the_time_is_over() {
        let never = within(Duration::from_millis(20), "the moon", || async {
            Err::<(), _>(anyhow!("is not here"))
        });
        let text = format!("{:#}", never.await.unwrap_err());
        assert!(
            text.contains("the moon") && text.contains("is not here"),
            "{text}"
        );
    }
}
