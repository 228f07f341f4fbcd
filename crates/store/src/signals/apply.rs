//! The one transaction: records in; watermark, counters and outbox move together.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use yagura_event::Timestamp;
use yagura_event::lifetime::Lifetime;

use super::changes::{ChangeKind, note};
use super::count::{Origin, count, enqueue, open_signal};
use super::schema::{RESOLVED, signed, unsigned};
use super::windows::{self, Counted, Evicted, Window};
use super::{Excepted, Limits, SignalStore, StoreError, excepted};

/// The spool of signals that the operator opens by itself. It belongs to no node, so no agent can claim it.
const OWN_SPOOL: &str = "operator";

/// Spools of one node that are remembered. An agent begins a new one when it loses the old: those used longest ago are
/// forgotten, so that nobody fills the store by naming new ones.
const MAX_SPOOLS: i64 = 16;

/// A record of a spool.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Its sequence within the spool.
    pub sequence: u64,
    /// How many further sequences it stands for: those that follow, when they were lost together.
    pub further: u64,
    /// What it asks for.
    pub entry: Entry,
}

/// What a record asks for.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Count matches.
    Match(Box<Match>),
    /// Count what the operator finds about Yagura itself; no match of a rule.
    Finding(Box<Match>),
    /// Count what an exception held back.
    Excepted(Excepted),
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
    /// How urgent it is: 1 for info to 5 for critical.
    pub severity: u8,
    /// How long the group's signal takes matches, and how soon another one may follow.
    pub lifetime: Lifetime,
    /// The window that it counts in, across nodes; none: it is a detection by itself.
    pub window: Option<Window>,
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
    /// The watermark before it: records above it became durable now.
    pub before: u64,
    /// Records that became durable.
    pub fresh: u64,
    /// Matches in them.
    pub matches: u64,
    /// Records at or below the watermark.
    pub repeated: u64,
    /// Signals opened.
    pub opened: u64,
    /// Matches that came later than their window waits for.
    pub late: u64,
    /// What made room in windows for others.
    pub evicted: Evicted,
    /// The sequence that is missing: everything from there on was left out.
    pub gap: Option<u64>,
    /// Records of a spool never seen that come before its first one here: another store acknowledged them.
    pub unseen: u64,
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
    /// How urgent it is: 1 for info to 5 for critical.
    pub severity: u8,
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
        if spool == OWN_SPOOL {
            return Err(StoreError::ForeignSpool {
                spool: spool.to_owned(),
                owner: "none: it is the operator's own".to_owned(),
                node: node.to_owned(),
            });
        }
        let known = spool_of(&transaction, spool, node)?;
        let mut applied = Applied::default();
        let mut watermark = known;
        for record in records {
            let too_large = || StoreError::TooLarge("a sequence");
            let sequence = i64::try_from(record.sequence).map_err(|_beyond| too_large())?;
            let further = i64::try_from(record.further).map_err(|_beyond| too_large())?;
            let last = sequence.checked_add(further).ok_or_else(too_large)?;
            let expected = watermark.map_or(sequence.max(1), |watermark| watermark + 1);
            if applied.fresh == 0 {
                applied.before = unsigned(expected - 1);
            }
            if last < expected {
                applied.repeated += 1;
                continue;
            }
            if sequence > expected {
                applied.gap = Some(unsigned(expected));
                break;
            }
            match &record.entry {
                Entry::Match(found) | Entry::Finding(found) => {
                    if matches!(record.entry, Entry::Match(_)) {
                        applied.matches += found.count;
                    }
                    let origin = Origin {
                        node,
                        spool,
                        sequence,
                    };
                    take(&transaction, &self.limits, found, origin, now, &mut applied)?;
                }
                Entry::Excepted(found) => excepted::add(&transaction, found)?,
                Entry::Nothing => {}
            }
            watermark = Some(last);
            applied.fresh += 1;
        }
        if known.is_none() && applied.fresh > 0 {
            applied.unseen = applied.before;
        }
        if applied.fresh > 0 {
            transaction
                .prepare_cached(
                    "INSERT INTO spool (id, node, watermark, used) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET watermark = ?3, used = ?4",
                )?
                .execute(params![spool, node, watermark, now.0])?;
            if known.is_none() {
                transaction
                    .prepare_cached(
                        "DELETE FROM spool WHERE node = ?1 AND id NOT IN
                             (SELECT id FROM spool WHERE node = ?1 ORDER BY used DESC, id = ?2 DESC LIMIT ?3)",
                    )?
                    .execute(params![node, spool, MAX_SPOOLS])?;
            }
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
        let open = open_signal(&transaction, &found.rule, &found.key, false)?.map(|open| open.id);
        let observed = match open {
            Some(id) if found.failing == 0 => {
                transaction.execute(
                    "UPDATE signal SET state = ?2, resolved_at = ?3, last = ?3, closed_at = ?5, count = 0,
                         detail = ?4, revision = revision + 1 WHERE id = ?1",
                    params![id, RESOLVED, found.time.0, found.detail, now.0],
                )?;
                note(&transaction, id, ChangeKind::Resolved, now)?;
                enqueue(&transaction, &self.limits, id, now)?;
                Observed::Resolved
            }
            Some(id) => {
                let before: u8 =
                    transaction
                        .query_row("SELECT severity FROM signal WHERE id = ?", [id], |row| row.get(0))?;
                let changed = transaction.execute(
                    "UPDATE signal SET last = ?2, count = ?3, detail = ?4, severity = ?5,
                         revision = revision + 1
                     WHERE id = ?1 AND (count <> ?3 OR detail <> ?4 OR severity <> ?5)",
                    params![
                        id,
                        found.time.0,
                        signed(found.failing),
                        found.detail,
                        found.severity
                    ],
                )?;
                if found.severity > before {
                    note(&transaction, id, ChangeKind::Raised, now)?;
                }
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
                    severity: found.severity,
                    // Whether it fails is observed: no time passes for it.
                    lifetime: Lifetime::UNLIMITED,
                    window: None,
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

/// Counts a match in its signal, or first in its window: then what makes that hold is counted.
fn take(
    transaction: &Transaction<'_>,
    limits: &Limits,
    found: &Match,
    origin: Origin<'_>,
    now: Timestamp,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let opened = match &found.window {
        None => count(transaction, limits, found, origin, now)?,
        Some(window) => match windows::count(transaction, limits, window, found, &mut applied.evicted)? {
            Counted::Waits => false,
            Counted::Late => {
                applied.late += found.count;
                false
            }
            // What is counted across nodes is no node's.
            Counted::Detected(all) => count(transaction, limits, &all, Origin { node: "", ..origin }, now)?,
        },
    };
    applied.opened += u64::from(opened);
    Ok(())
}

/// Counts an entry of the operator's own under the next sequence of its own spool.
fn count_own(
    transaction: &Transaction<'_>,
    limits: &Limits,
    found: &Match,
    now: Timestamp,
) -> Result<Observed, StoreError> {
    let sequence = spool_of(transaction, OWN_SPOOL, "")?.unwrap_or(0) + 1;
    let origin = Origin {
        node: "",
        spool: OWN_SPOOL,
        sequence,
    };
    let opened = count(transaction, limits, found, origin, now)?;
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
