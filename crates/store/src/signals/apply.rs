//! The one transaction: records in; watermark, counters and outbox move together.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use yagura_event::Timestamp;

use super::schema::{OPEN, RESOLVED, signed, unsigned};
use super::{Limits, SignalStore, StoreError, due};

/// Samples kept of a signal.
const MAX_SAMPLES: i64 = 3;

/// The spool of signals that the operator opens by itself.
const OWN_SPOOL: &str = "operator";

/// The key of a rule's overflow signal; its `overflow` column keeps it apart from every group.
const OVERFLOW_KEY: &[u8] = b"";

/// A record of a spool.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its sequence within the spool.
    pub sequence: u64,
    /// What it asks for.
    pub entry: Entry,
}

/// What a record asks for.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Count matches.
    Match(Box<Match>),
    /// Nothing but to move the watermark: a loss, or a record that was refused.
    Nothing,
}

/// Matches of one group.
#[derive(Clone, Debug)]
pub struct Match {
    /// Uid of the rule.
    pub rule: String,
    /// Name of the rule: the start of the signal's name.
    pub rule_name: String,
    /// What distinguishes the group from every other of the rule.
    pub key: Vec<u8>,
    /// Where the signal belongs.
    pub namespace: String,
    /// Where the rule's overflow signal belongs.
    pub overflow_namespace: String,
    /// How many.
    pub count: u64,
    /// Time of the first.
    pub first: Timestamp,
    /// Time of the last.
    pub last: Timestamp,
    /// Whether something unknown decided.
    pub incomplete: bool,
    /// What the signal says if it is opened now.
    pub detail: Vec<u8>,
    /// What the overflow signal says if it is opened now.
    pub overflow_detail: Vec<u8>,
    /// The first matches.
    pub samples: Vec<Vec<u8>>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The spool's watermark after it: acknowledge up to here.
    pub watermark: u64,
    /// Records that became durable.
    pub fresh: u64,
    /// Matches in them.
    pub matches: u64,
    /// Records at or below the watermark.
    pub repeated: u64,
    /// Signals opened.
    pub opened: u64,
    /// The sequence that is missing: everything from there on was left out.
    pub gap: Option<u64>,
}

/// What the operator found by itself about one key of a check.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Uid of the check.
    pub rule: String,
    /// Name of the check.
    pub rule_name: String,
    /// What it is about, such as a namespace.
    pub key: Vec<u8>,
    /// Where the signal belongs.
    pub namespace: String,
    /// Where the check's overflow signal belongs.
    pub overflow_namespace: String,
    /// How many resources fail; 0 resolves the open signal.
    pub failing: u64,
    /// When it was evaluated.
    pub time: Timestamp,
    /// What the signal says now; replaces what it said.
    pub detail: Vec<u8>,
    /// What the overflow signal says if it is opened now.
    pub overflow_detail: Vec<u8>,
}

/// What became of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// A signal was opened.
    Opened,
    /// The open signal changed.
    Changed,
    /// The open signal was resolved.
    Resolved,
    /// Nothing to do.
    Unchanged,
}

impl SignalStore {
    /// Applies a batch of one spool in one transaction. Records at or below the watermark are
    /// ignored. Of a spool never seen, the first record sets where it starts: with a store that
    /// was lost, what was acknowledged before cannot be asked for again.
    pub fn apply(
        &mut self,
        spool: &str,
        node: &str,
        records: Vec<Incoming>,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = spool_of(&transaction, spool, node)?;
        let mut applied = Applied::default();
        let mut watermark = known;
        for record in records {
            let sequence =
                i64::try_from(record.sequence).map_err(|_too_large| StoreError::TooLarge("a sequence"))?;
            let expected = watermark.map_or(sequence.max(1), |watermark| watermark + 1);
            if sequence < expected {
                applied.repeated += 1;
                continue;
            }
            if sequence > expected {
                applied.gap = Some(unsigned(expected));
                break;
            }
            if let Entry::Match(found) = &record.entry {
                applied.matches += found.count;
                let opened = count(&transaction, &self.limits, found, spool, sequence, now)?;
                applied.opened += u64::from(opened);
            }
            watermark = Some(sequence);
            applied.fresh += 1;
        }
        if applied.fresh > 0 {
            transaction
                .prepare_cached(
                    "INSERT INTO spool (id, node, watermark) VALUES (?1, ?2, ?3)
                     ON CONFLICT (id) DO UPDATE SET watermark = ?3",
                )?
                .execute(params![spool, node, watermark])?;
        }
        #[cfg(test)]
        if self.dies_before_commit {
            return Err(StoreError::TooLarge("the patience of this test"));
        }
        transaction.commit()?;
        applied.watermark = unsigned(watermark.unwrap_or(0));
        Ok(applied)
    }

    /// Applies what the operator found by itself: opens, changes or resolves one signal.
    pub fn observe(&mut self, found: &Observation, now: Timestamp) -> Result<Observed, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let open = open_signal(&transaction, &found.rule, &found.key, false)?;
        let observed = match open {
            Some(id) if found.failing == 0 => {
                transaction.execute(
                    "UPDATE signal SET state = ?2, resolved_at = ?3, last = ?3, count = 0,
                         detail = ?4, revision = revision + 1 WHERE id = ?1",
                    params![id, RESOLVED, found.time.0, found.detail],
                )?;
                enqueue(&transaction, &self.limits, id, now)?;
                Observed::Resolved
            }
            Some(id) => {
                let changed = transaction.execute(
                    "UPDATE signal SET last = ?2, count = ?3, detail = ?4, revision = revision + 1
                     WHERE id = ?1 AND (count <> ?3 OR detail <> ?4)",
                    params![id, found.time.0, signed(found.failing), found.detail],
                )?;
                if changed > 0 {
                    enqueue(&transaction, &self.limits, id, now)?;
                    Observed::Changed
                } else {
                    Observed::Unchanged
                }
            }
            None if found.failing == 0 => Observed::Unchanged,
            None => {
                let entry = Match {
                    rule: found.rule.clone(),
                    rule_name: found.rule_name.clone(),
                    key: found.key.clone(),
                    namespace: found.namespace.clone(),
                    overflow_namespace: found.overflow_namespace.clone(),
                    count: found.failing,
                    first: found.time,
                    last: found.time,
                    incomplete: false,
                    detail: found.detail.clone(),
                    overflow_detail: found.overflow_detail.clone(),
                    samples: Vec::new(),
                };
                count_own(&transaction, &self.limits, &entry, now)?
            }
        };
        transaction.commit()?;
        Ok(observed)
    }

    /// Counts something that the operator found by itself and that happens again and again, in its group's open signal
    /// or in one that it opens.
    pub fn incident(&mut self, found: &Match, now: Timestamp) -> Result<Observed, StoreError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let observed = count_own(&transaction, &self.limits, found, now)?;
        transaction.commit()?;
        Ok(observed)
    }
}

/// Counts an entry of the operator's own under the next sequence of its own spool.
fn count_own(
    transaction: &Transaction<'_>,
    limits: &Limits,
    found: &Match,
    now: Timestamp,
) -> Result<Observed, StoreError> {
    let sequence = spool_of(transaction, OWN_SPOOL, "")?.unwrap_or(0) + 1;
    let opened = count(transaction, limits, found, OWN_SPOOL, sequence, now)?;
    transaction.execute(
        "INSERT INTO spool (id, node, watermark) VALUES (?1, '', ?2)
         ON CONFLICT (id) DO UPDATE SET watermark = ?2",
        params![OWN_SPOOL, sequence],
    )?;
    Ok(if opened {
        Observed::Opened
    } else {
        Observed::Changed
    })
}

/// The watermark of a spool; refuses one that another node sent first.
fn spool_of(connection: &Connection, spool: &str, node: &str) -> Result<Option<i64>, StoreError> {
    let known: Option<(String, i64)> = connection
        .prepare_cached("SELECT node, watermark FROM spool WHERE id = ?")?
        .query_row([spool], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match known {
        Some((owner, _)) if owner != node => Err(StoreError::ForeignSpool {
            spool: spool.to_owned(),
            owner,
            node: node.to_owned(),
        }),
        known => Ok(known.map(|(_, watermark)| watermark)),
    }
}

fn open_signal(
    connection: &Connection,
    rule: &str,
    key: &[u8],
    overflow: bool,
) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT id FROM signal WHERE rule = ? AND key = ? AND overflow = ? AND state = 0")?
        .query_row(params![rule, key, overflow], |row| row.get(0))
        .optional()?)
}

/// Counts on in the group's open signal, or opens one, or the rule's overflow signal where the
/// limits are reached. True when a signal was opened.
fn count(
    transaction: &Transaction<'_>,
    limits: &Limits,
    found: &Match,
    spool: &str,
    sequence: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if let Some(id) = open_signal(transaction, &found.rule, &found.key, false)? {
        count_on(transaction, limits, id, found, now)?;
        return Ok(false);
    }
    let overflow = is_full(transaction, limits, found)?;
    if overflow && let Some(id) = open_signal(transaction, &found.rule, OVERFLOW_KEY, true)? {
        count_on(transaction, limits, id, found, now)?;
        return Ok(false);
    }
    let id = open(transaction, found, overflow, spool, sequence, now)?;
    add_samples(transaction, id, &found.samples)?;
    enqueue(transaction, limits, id, now)?;
    Ok(true)
}

fn count_on(
    transaction: &Transaction<'_>,
    limits: &Limits,
    id: i64,
    found: &Match,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before: i64 = transaction
        .prepare_cached("SELECT count FROM signal WHERE id = ?")?
        .query_row([id], |row| row.get(0))?;
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
    add_samples(transaction, id, &found.samples)?;
    enqueue(transaction, limits, id, now)
}

fn is_full(transaction: &Transaction<'_>, limits: &Limits, found: &Match) -> Result<bool, StoreError> {
    let in_place: u32 = transaction
        .prepare_cached(
            "SELECT count(*) FROM signal WHERE rule = ? AND namespace = ? AND state = 0 AND overflow = 0",
        )?
        .query_row(params![found.rule, found.namespace], |row| row.get(0))?;
    if in_place >= limits.open_per_rule_and_namespace {
        return Ok(true);
    }
    let in_all: u32 = transaction
        .prepare_cached("SELECT count(*) FROM signal WHERE state = 0")?
        .query_row([], |row| row.get(0))?;
    Ok(in_all >= limits.open)
}

fn open(
    transaction: &Transaction<'_>,
    found: &Match,
    overflow: bool,
    spool: &str,
    sequence: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let (key, namespace, detail) = if overflow {
        (OVERFLOW_KEY, &found.overflow_namespace, &found.overflow_detail)
    } else {
        (&*found.key, &found.namespace, &found.detail)
    };
    let previous: Option<i64> = transaction
        .prepare_cached(
            "SELECT id FROM signal WHERE rule = ? AND key = ? AND overflow = ? ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![found.rule, key, overflow], |row| row.get(0))
        .optional()?;
    let anchor = (spool, sequence);
    let name = free_name(transaction, found, key, anchor)?;
    transaction
        .prepare_cached(
            "INSERT INTO signal (rule, rule_name, key, overflow, name, namespace, anchor_spool,
                 anchor_sequence, previous, state, opened, first, last, count, restored,
                 incomplete, detail, revision, writes, written_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, 1, 0, ?)",
        )?
        .execute(params![
            found.rule,
            found.rule_name,
            key,
            overflow,
            name,
            namespace,
            spool,
            sequence,
            previous,
            OPEN,
            found.first.0,
            found.first.0,
            found.last.0,
            signed(found.count),
            found.incomplete,
            detail,
            now.0,
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

/// Puts the signal's newest state into the outbox, unless it waits there already.
fn enqueue(
    transaction: &Transaction<'_>,
    limits: &Limits,
    id: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (writes, written_at): (i64, i64) = transaction
        .prepare_cached("SELECT writes, written_at FROM signal WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    transaction
        .prepare_cached(
            "INSERT INTO outbox (signal, opening, due) VALUES (?, ?, ?)
             ON CONFLICT (signal) DO NOTHING",
        )?
        .execute(params![id, writes == 0, due(limits, writes, written_at, now)])?;
    Ok(())
}
