//! Signals read back from the API server into an empty store.

use rusqlite::{Connection, OptionalExtension, params};
use yagura_event::Timestamp;

use super::schema::{ARCHIVED, LAPSED, OPEN, RESOLVED, signed};
use super::{SignalStore, StoreError};

/// A signal as its object tells it.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Uid of the rule.
    pub rule: String,
    /// Name of the rule.
    pub rule_name: String,
    /// The full key of the group.
    pub key: Vec<u8>,
    /// Whether it is the rule's overflow signal.
    pub overflow: bool,
    /// Name of the object.
    pub name: String,
    /// Namespace of the object.
    pub namespace: String,
    /// The namespace it belongs to when that one did not take it.
    pub origin_namespace: Option<String>,
    /// The record that opened it.
    pub anchor: (String, u64),
    /// Whether it is archived.
    pub archived: bool,
    /// Whether somebody looks at it.
    pub under_review: bool,
    /// `spec.triage` as JSON.
    pub triage: Vec<u8>,
    /// How urgent it is: 1 for info to 5 for critical.
    pub severity: u8,
    /// When it was opened.
    pub opened: Timestamp,
    /// Time of the first match.
    pub first: Timestamp,
    /// Time of the last match.
    pub last: Timestamp,
    /// The last count that was written.
    pub count: u64,
    /// When everything passed again.
    pub resolved_at: Option<Timestamp>,
    /// What it says.
    pub detail: Vec<u8>,
    /// The first matches.
    pub samples: Vec<Vec<u8>>,
}

impl SignalStore {
    /// Fills the store with what the API server still has. Counts are marked restored: matches
    /// since the last write are not in them. Of several signals of a group that are to be looked
    /// at, the one opened last takes matches. Nobody is told: these are no news.
    pub fn seed(&mut self, seeds: &[Seed], now: Timestamp) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut taken = 0;
        for seed in seeds {
            if transaction
                .prepare_cached("SELECT 1 FROM signal WHERE name = ?")?
                .exists([&seed.name])?
            {
                continue;
            }
            let state = state_of(&transaction, seed)?;
            insert(&transaction, seed, state, now)?;
            taken += 1;
        }
        transaction.commit()?;
        Ok(taken)
    }
}

/// The state that it goes on with; an older open one of its group lapses for it.
fn state_of(connection: &Connection, seed: &Seed) -> Result<i64, StoreError> {
    if seed.archived {
        return Ok(ARCHIVED);
    }
    if seed.resolved_at.is_some() {
        return Ok(RESOLVED);
    }
    let other: Option<(i64, i64)> = connection
        .prepare_cached(
            "SELECT id, opened FROM signal WHERE rule = ? AND key = ? AND overflow = ? AND state = 0",
        )?
        .query_row(params![seed.rule, seed.key, seed.overflow], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match other {
        Some((_, opened)) if opened >= seed.opened.0 => Ok(LAPSED),
        Some((older, _)) => {
            connection.execute("UPDATE signal SET state = ? WHERE id = ?", [LAPSED, older])?;
            Ok(OPEN)
        }
        None => Ok(OPEN),
    }
}

fn insert(connection: &Connection, seed: &Seed, state: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO signal (rule, rule_name, key, overflow, name, namespace, origin_namespace,
                 anchor_spool, anchor_sequence, state, opened, first, last, count, restored,
                 incomplete, resolved_at, severity, triage, acknowledged_at, closed_at, detail,
                 revision, writes, written_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?, ?, ?, ?, ?, 1, 1, ?)",
        )?
        .execute(params![
            seed.rule,
            seed.rule_name,
            seed.key,
            seed.overflow,
            seed.name,
            seed.namespace,
            seed.origin_namespace,
            seed.anchor.0,
            signed(seed.anchor.1),
            state,
            seed.opened.0,
            seed.first.0,
            seed.last.0,
            signed(seed.count),
            seed.resolved_at.map(|time| time.0),
            seed.severity,
            seed.triage,
            seed.under_review.then_some(now.0),
            matches!(state, ARCHIVED | RESOLVED).then_some(now.0),
            seed.detail,
            now.0,
        ])?;
    let id = connection.last_insert_rowid();
    for (n, body) in (0i64..3).zip(&seed.samples) {
        connection
            .prepare_cached("INSERT INTO sample (signal, n, body) VALUES (?, ?, ?)")?
            .execute(params![id, n, body])?;
    }
    Ok(())
}
