//! Windows across nodes: a group is read, takes its match and is written in the transaction that makes the match durable.

use rusqlite::{OptionalExtension, Transaction, params};
use yagura_engine::window::{Group, Outcome, Tuple};
use yagura_event::Timestamp;
use yagura_rules::detect::{CLUSTER_LATENESS, MAX_WITHIN, Threshold};

use super::apply::Match;
use super::schema::signed;
use super::{Limits, SignalStore, StoreError};

/// A match that counts in a window before it counts in a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What the window's state belongs to; it changes when the rule counts otherwise.
    pub state: String,
    /// What is counted.
    pub threshold: Threshold,
    /// Stands for the value that is told apart.
    pub value: u64,
}

/// What became of a match in its window.
pub(super) enum Counted {
    /// Its window does not hold yet.
    Waits,
    /// It came later than its group waits for.
    Late,
    /// So many, from the first to the last, are a detection.
    Detected(Box<Match>),
}

/// Counts a match in its window. `evicted` counts groups that were forgotten for it.
pub(super) fn count(
    transaction: &Transaction<'_>,
    limits: &Limits,
    window: &Window,
    found: &Match,
    evicted: &mut u64,
) -> Result<Counted, StoreError> {
    let known: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT body FROM window WHERE state = ? AND key = ?")?
        .query_row(params![window.state, found.key], |row| row.get(0))
        .optional()?;
    if known.is_none() {
        *evicted += make_room(transaction, limits, &window.state)?;
    }
    // One that cannot be read is of no use: counting begins anew.
    let group = known.and_then(|bytes| Group::decode(&window.threshold, &bytes).ok());
    let mut group = group.unwrap_or_default();
    let outcome = group.add(
        &window.threshold,
        Tuple {
            first: found.first,
            last: found.last,
            count: u32::try_from(found.count).unwrap_or(u32::MAX),
            value: window.value,
        },
    );
    if outcome == Outcome::Late {
        return Ok(Counted::Late);
    }
    let newest = group.newest().unwrap_or(found.last);
    transaction
        .prepare_cached(
            "INSERT INTO window (state, key, newest, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (state, key) DO UPDATE SET newest = ?3, body = ?4",
        )?
        .execute(params![window.state, found.key, newest.0, group.encode()])?;
    Ok(match outcome {
        Outcome::Waits | Outcome::Late => Counted::Waits,
        Outcome::Fires(fired) => Counted::Detected(Box::new(Match {
            count: fired.count,
            first: fired.first,
            last: fired.last,
            ..found.clone()
        })),
    })
}

/// Forgets the group without a match for longest when a rule has as many as it may.
fn make_room(transaction: &Transaction<'_>, limits: &Limits, state: &str) -> Result<u64, StoreError> {
    let groups: Option<i64> = transaction
        .prepare_cached("SELECT groups FROM window_size WHERE state = ?")?
        .query_row([state], |row| row.get(0))
        .optional()?;
    if groups.unwrap_or(0) < signed(limits.window_groups as u64) {
        return Ok(0);
    }
    let removed = transaction
        .prepare_cached(
            "DELETE FROM window WHERE state = ?1 AND key =
                 (SELECT key FROM window WHERE state = ?1 ORDER BY newest LIMIT 1)",
        )?
        .execute([state])?;
    Ok(removed as u64)
}

impl SignalStore {
    /// Forgets groups that are older than any window is long. Gives how many.
    pub fn forget_windows(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let before = now.0.saturating_sub(MAX_WITHIN + CLUSTER_LATENESS);
        let removed = self
            .connection
            .execute("DELETE FROM window WHERE newest < ?", [before])?;
        Ok(removed as u64)
    }
}
