//! Windows across nodes: a group is read, takes its match and is written in the transaction that makes the match durable.

use rusqlite::{OptionalExtension, Transaction, params};
use yagura_engine::window::{Input, Outcome, State};
use yagura_event::Timestamp;
use yagura_rules::detect::{Method, Steps};

use super::apply::Match;
use super::schema::signed;
use super::{Limits, SignalStore, StoreError};

/// A match that counts in a window before it counts in a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What the window's state belongs to; it changes when the rule counts otherwise.
    pub state: String,
    /// What is looked for.
    pub method: Method,
    /// Stand for the values that are told apart.
    pub values: Vec<u64>,
    /// The text that is compared, if one is.
    pub text: Vec<u8>,
    /// The steps of a sequence, or the queries, that it belongs to.
    pub steps: Steps,
    /// What each case of the rule says; empty: the match says it.
    pub cases: Vec<CaseSays>,
}

/// What a signal says when a case of its rule is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseSays {
    /// Rank of its severity.
    pub severity: u8,
    /// See [`Match::detail`].
    pub detail: Vec<u8>,
}

/// What was forgotten because there was too much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Groups of a rule.
    pub groups: u64,
    /// Values of a group.
    pub values: u64,
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

/// Counts a match in its window. `evicted` counts what was forgotten for it.
pub(super) fn count(
    transaction: &Transaction<'_>,
    limits: &Limits,
    window: &Window,
    found: &Match,
    evicted: &mut Evicted,
) -> Result<Counted, StoreError> {
    let known: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT body FROM window WHERE state = ? AND key = ?")?
        .query_row(params![window.state, found.key], |row| row.get(0))
        .optional()?;
    if known.is_none() {
        evicted.groups += make_room(transaction, limits, &window.state)?;
    }
    // One that cannot be read is of no use: counting begins anew.
    let state = known.and_then(|bytes| State::decode(&window.method, &bytes).ok());
    let mut state = state.unwrap_or_else(|| State::new(&window.method));
    let taken = state.add(
        &window.method,
        &Input {
            first: found.first,
            last: found.last,
            count: u32::try_from(found.count).unwrap_or(u32::MAX),
            values: &window.values,
            text: &window.text,
            steps: window.steps,
        },
    );
    evicted.values += taken.evicted;
    if taken.outcome == Outcome::Late {
        return Ok(Counted::Late);
    }
    if taken.changed {
        let newest = state.newest(&window.method).unwrap_or(found.last);
        let expires = newest.after(window.method.remembers());
        transaction
            .prepare_cached(
                "INSERT INTO window (state, key, newest, expires, body) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (state, key) DO UPDATE SET newest = ?3, expires = ?4, body = ?5",
            )?
            .execute(params![
                window.state,
                found.key,
                newest.0,
                expires.0,
                state.encode()
            ])?;
    }
    Ok(match taken.outcome {
        Outcome::Waits | Outcome::Late => Counted::Waits,
        Outcome::Fires(fired) => {
            let mut told = Match {
                count: fired.count,
                first: fired.first,
                last: fired.last,
                ..found.clone()
            };
            let case = taken.case.and_then(|case| window.cases.get(usize::from(case)));
            if let Some(case) = case {
                told.severity = case.severity;
                told.detail.clone_from(&case.detail);
            }
            Counted::Detected(Box::new(told))
        }
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
    /// Forgets groups that no match from `now` on has anything to do with. Gives how many.
    pub fn forget_windows(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let removed = self
            .connection
            .execute("DELETE FROM window WHERE expires < ?", [now.0])?;
        Ok(removed as u64)
    }
}
