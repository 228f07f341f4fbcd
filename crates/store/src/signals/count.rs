//! Counting a match: in the group's signal, in a new one, or in the rule's overflow signal.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use sha2::{Digest, Sha256};
use yagura_event::Timestamp;
use yagura_event::lifetime::{Goes, LastSignal, Lifetime};

use super::apply::Match;
use super::changes::{ChangeKind, note};
use super::schema::{LAPSED, OPEN, signed};
use super::{Limits, StoreError, due};

/// Samples kept of a signal.
const MAX_SAMPLES: i64 = 3;

/// The key of a rule's overflow signal; its `overflow` column keeps it apart from every group.
const OVERFLOW_KEY: &[u8] = b"";

/// From where an entry comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// Empty for the operator itself.
    pub(super) node: &'a str,
    pub(super) spool: &'a str,
    pub(super) sequence: i64,
}

/// A group's last signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    pub(super) id: i64,
    signal: LastSignal,
}

/// The group's signal that takes matches.
pub(super) fn open_signal(
    connection: &Connection,
    rule: &str,
    key: &[u8],
    overflow: bool,
) -> Result<Option<Latest>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT id, state, opened, last FROM signal
             WHERE rule = ? AND key = ? AND overflow = ? AND state = 0",
        )?
        .query_row(params![rule, key, overflow], latest)
        .optional()?)
}

/// The group's signal that takes matches, or else its newest.
fn last_signal(
    connection: &Connection,
    rule: &str,
    key: &[u8],
    overflow: bool,
) -> Result<Option<Latest>, StoreError> {
    if let Some(open) = open_signal(connection, rule, key, overflow)? {
        return Ok(Some(open));
    }
    Ok(connection
        .prepare_cached(
            "SELECT id, state, opened, last FROM signal
             WHERE rule = ? AND key = ? AND overflow = ? ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![rule, key, overflow], latest)
        .optional()?)
}

fn latest(row: &Row<'_>) -> rusqlite::Result<Latest> {
    Ok(Latest {
        id: row.get(0)?,
        signal: LastSignal {
            open: row.get::<_, i64>(1)? == OPEN,
            opened: Timestamp(row.get(2)?),
            last: Timestamp(row.get(3)?),
        },
    })
}

/// Counts on in the group's signal, or opens one, or the rule's overflow signal where the limits
/// are reached. True when a signal was opened.
pub(super) fn count(
    transaction: &Transaction<'_>,
    limits: &Limits,
    found: &Match,
    origin: Origin<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let last = last_signal(transaction, &found.rule, &found.key, false)?;
    if let Some(last) = last
        && found.lifetime.next(&last.signal, found.first) == Goes::On
    {
        count_on(transaction, limits, last.id, found, &found.detail, now)?;
        return Ok(false);
    }
    let overflow = is_full(transaction, limits, found, origin.node)?;
    match last {
        // Where nothing may be opened, an open signal is worth more than its age.
        Some(last) if last.signal.open && overflow => {
            count_on(transaction, limits, last.id, found, &found.detail, now)?;
            return Ok(false);
        }
        Some(last) if last.signal.open => {
            transaction
                .prepare_cached("UPDATE signal SET state = ? WHERE id = ?")?
                .execute([LAPSED, last.id])?;
        }
        _ => {}
    }
    if overflow && let Some(last) = last_signal(transaction, &found.rule, OVERFLOW_KEY, true)? {
        // The overflow signal stands for what has no signal: only people close it.
        let lifetime = Lifetime {
            cooldown: found.lifetime.cooldown,
            ..Lifetime::UNLIMITED
        };
        if lifetime.next(&last.signal, found.first) == Goes::On {
            count_on(transaction, limits, last.id, found, &found.overflow_detail, now)?;
            return Ok(false);
        }
    }
    let id = open(transaction, found, overflow, origin, now)?;
    add_samples(transaction, id, &found.samples)?;
    note(transaction, id, ChangeKind::Opened, now)?;
    enqueue(transaction, limits, id, now)?;
    Ok(true)
}

/// Counts in a signal that is there. One that turns out more urgent says from now on what this
/// match says.
fn count_on(
    transaction: &Transaction<'_>,
    limits: &Limits,
    id: i64,
    found: &Match,
    detail: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (before, severity): (i64, u8) = transaction
        .prepare_cached("SELECT count, severity FROM signal WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    transaction
        .prepare_cached(
            "UPDATE signal SET count = ?2, first = min(first, ?3), last = max(last, ?4),
                 incomplete = max(incomplete, ?5), revision = revision + 1 WHERE id = ?1",
        )?
        .execute(params![
            id,
            before.saturating_add(signed(found.count)),
            found.first.0,
            found.last.0,
            found.incomplete,
        ])?;
    if found.severity > severity {
        transaction
            .prepare_cached("UPDATE signal SET severity = ?2, detail = ?3 WHERE id = ?1")?
            .execute(params![id, found.severity, detail])?;
        note(transaction, id, ChangeKind::Raised, now)?;
    }
    add_samples(transaction, id, &found.samples)?;
    enqueue(transaction, limits, id, now)
}

fn is_full(
    transaction: &Transaction<'_>,
    limits: &Limits,
    found: &Match,
    node: &str,
) -> Result<bool, StoreError> {
    let in_place: u32 = transaction
        .prepare_cached(
            "SELECT count(*) FROM signal
             WHERE rule = ? AND namespace = ? AND state IN (0, 4) AND overflow = 0",
        )?
        .query_row(params![found.rule, found.namespace], |row| row.get(0))?;
    if in_place >= limits.open_per_rule_and_namespace {
        return Ok(true);
    }
    if !node.is_empty() {
        let of_node: u32 = transaction
            .prepare_cached("SELECT count(*) FROM signal WHERE node = ? AND state IN (0, 4)")?
            .query_row([node], |row| row.get(0))?;
        if of_node >= limits.open_per_node {
            return Ok(true);
        }
    }
    let in_all: u32 = transaction
        .prepare_cached("SELECT count(*) FROM signal WHERE state IN (0, 4)")?
        .query_row([], |row| row.get(0))?;
    Ok(in_all >= limits.open)
}

fn open(
    transaction: &Transaction<'_>,
    found: &Match,
    overflow: bool,
    origin: Origin<'_>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    // An overflow signal counts for all nodes, so it is no node's.
    let (key, namespace, detail, node) = if overflow {
        (
            OVERFLOW_KEY,
            &found.overflow_namespace,
            &found.overflow_detail,
            "",
        )
    } else {
        (&*found.key, &found.namespace, &found.detail, origin.node)
    };
    let previous: Option<i64> = transaction
        .prepare_cached(
            "SELECT id FROM signal WHERE rule = ? AND key = ? AND overflow = ? ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![found.rule, key, overflow], |row| row.get(0))
        .optional()?;
    let anchor = (origin.spool, origin.sequence);
    let name = free_name(transaction, found, key, anchor)?;
    transaction
        .prepare_cached(
            "INSERT INTO signal (rule, rule_name, key, overflow, name, namespace, anchor_spool,
                 anchor_sequence, previous, state, opened, first, last, count, restored,
                 incomplete, severity, detail, revision, writes, written_at, node)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 1, 0, ?, ?)",
        )?
        .execute(params![
            found.rule,
            found.rule_name,
            key,
            overflow,
            name,
            namespace,
            origin.spool,
            origin.sequence,
            previous,
            OPEN,
            found.first.0,
            found.first.0,
            found.last.0,
            signed(found.count),
            found.incomplete,
            found.severity,
            detail,
            now.0,
            node,
        ])?;
    Ok(transaction.last_insert_rowid())
}

/// The rule's name and a 64-bit hash of the whole identity; the next hash where another signal
/// has that name already.
fn free_name(
    transaction: &Transaction<'_>,
    found: &Match,
    key: &[u8],
    (spool, sequence): (&str, i64),
) -> Result<String, StoreError> {
    let mut taken = transaction.prepare_cached("SELECT 1 FROM signal WHERE name = ?")?;
    let mut attempt: u64 = 0;
    loop {
        let mut hasher = Sha256::new();
        for part in [found.rule.as_bytes(), key, spool.as_bytes()] {
            hasher.update(part.len().to_be_bytes());
            hasher.update(part);
        }
        hasher.update(sequence.to_be_bytes());
        hasher.update(attempt.to_be_bytes());
        let digest = hasher.finalize();
        let hash = digest[..8]
            .iter()
            .fold(0u64, |hash, byte| hash << 8 | u64::from(*byte));
        let name = format!("{}-{hash:016x}", found.rule_name);
        if !taken.exists([&name])? {
            return Ok(name);
        }
        attempt += 1;
    }
}

fn add_samples(transaction: &Transaction<'_>, id: i64, samples: &[Vec<u8>]) -> Result<(), StoreError> {
    let kept: i64 = transaction
        .prepare_cached("SELECT count(*) FROM sample WHERE signal = ?")?
        .query_row([id], |row| row.get(0))?;
    for (n, body) in (kept..MAX_SAMPLES).zip(samples) {
        transaction
            .prepare_cached("INSERT INTO sample (signal, n, body) VALUES (?, ?, ?)")?
            .execute(params![id, n, body])?;
    }
    Ok(())
}

/// The outbox's order: the first signal of a rule in a namespace, other signals that were never written, changes. A flood
/// of one rule's groups fills the outbox for minutes; what another rule finds must not wait behind it.
const FIRST_OF_ITS_RULE: i64 = 2;
const OPENING: i64 = 1;
const CHANGED: i64 = 0;

/// Puts the signal's newest state into the outbox, unless it waits there already or its object
/// left the cluster.
pub(super) fn enqueue(
    connection: &Connection,
    limits: &Limits,
    id: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (rule, namespace, writes, written_at, gone): (String, String, i64, i64, bool) = connection
        .prepare_cached("SELECT rule, namespace, writes, written_at, gone FROM signal WHERE id = ?")?
        .query_row([id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?;
    if gone {
        return Ok(());
    }
    let rank = if writes > 0 {
        CHANGED
    } else if is_first(connection, id, &rule, &namespace)? {
        FIRST_OF_ITS_RULE
    } else {
        OPENING
    };
    connection
        .prepare_cached(
            "INSERT INTO outbox (signal, opening, due) VALUES (?, ?, ?)
             ON CONFLICT (signal) DO NOTHING",
        )?
        .execute(params![id, rank, due(limits, writes, written_at, now)])?;
    Ok(())
}

/// Whether no other signal of the rule is open in the namespace.
fn is_first(connection: &Connection, id: i64, rule: &str, namespace: &str) -> Result<bool, StoreError> {
    let others = connection
        .prepare_cached(
            "SELECT 1 FROM signal WHERE rule = ? AND namespace = ? AND state IN (0, 4) AND id <> ?",
        )?
        .exists(params![rule, namespace, id])?;
    Ok(!others)
}
