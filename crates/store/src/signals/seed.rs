//! Signals read back from the API server into an empty store.

use rusqlite::params;
use yagura_event::Timestamp;

use super::schema::{ARCHIVED, OPEN, RESOLVED, signed};
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
    /// since the last write are not in them. Of two open signals of a group the first wins.
    pub fn seed(&mut self, seeds: &[Seed], now: Timestamp) -> Result<u64, StoreError> {
        let transaction = self.connection.transaction()?;
        let mut taken = 0;
        for seed in seeds {
            let state = if seed.archived {
                ARCHIVED
            } else if seed.resolved_at.is_some() {
                RESOLVED
            } else {
                OPEN
            };
            let inserted = transaction.execute(
                "INSERT OR IGNORE INTO signal (rule, rule_name, key, overflow, name, namespace,
                     origin_namespace, anchor_spool, anchor_sequence, state, opened, first, last,
                     count, restored, incomplete, resolved_at, detail, revision, writes, written_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?, 1, 1, ?)",
                params![
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
                    seed.detail,
                    now.0,
                ],
            )?;
            if inserted == 0 {
                continue;
            }
            taken += 1;
            let id = transaction.last_insert_rowid();
            for (n, body) in (0i64..3).zip(&seed.samples) {
                transaction.execute(
                    "INSERT INTO sample (signal, n, body) VALUES (?, ?, ?)",
                    params![id, n, body],
                )?;
            }
        }
        transaction.commit()?;
        Ok(taken)
    }
}
