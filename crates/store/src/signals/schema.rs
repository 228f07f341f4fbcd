//! Tables, and how an older file becomes current.

use std::path::Path;

use rusqlite::Connection;

use super::StoreError;

/// States of a signal as stored.
pub(super) const OPEN: i64 = 0;
pub(super) const ARCHIVED: i64 = 1;
pub(super) const DELETED: i64 = 2;
pub(super) const RESOLVED: i64 = 3;
/// Still to be looked at, but it takes no more matches.
pub(super) const LAPSED: i64 = 4;

/// Each step leads from the schema of its index to the next.
pub(super) const STEPS: [&str; 6] = [FIRST, LIFE, NODES, EXCEPTED, WINDOWS, EXPIRY];

/// The schema that the first build wrote.
pub(super) const FIRST: &str = "
CREATE TABLE spool (
    id TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    -- Everything up to and including this sequence is durable.
    watermark INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE signal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    rule_name TEXT NOT NULL,
    -- The full key of the group; the name carries only a hash.
    key BLOB NOT NULL,
    overflow INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    -- The namespace it belongs to when that one did not take it.
    origin_namespace TEXT,
    -- The record that opened the group.
    anchor_spool TEXT NOT NULL,
    anchor_sequence INTEGER NOT NULL,
    previous INTEGER,
    state INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    restored INTEGER NOT NULL,
    incomplete INTEGER NOT NULL,
    resolved_at INTEGER,
    detail BLOB NOT NULL,
    -- Rises with every change, so that a write knows whether it is still the newest.
    revision INTEGER NOT NULL,
    writes INTEGER NOT NULL,
    written_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX signal_open ON signal (rule, key, overflow) WHERE state = 0;
CREATE INDEX signal_group ON signal (rule, key, overflow, id);
CREATE INDEX signal_place ON signal (rule, namespace) WHERE state = 0;

CREATE TABLE sample (
    signal INTEGER NOT NULL REFERENCES signal (id),
    n INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (signal, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    signal INTEGER PRIMARY KEY REFERENCES signal (id),
    opening INTEGER NOT NULL,
    due INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_order ON outbox (opening DESC, due);
";

/// What becomes of a signal after it was opened, and who is told.
const LIFE: &str = "
ALTER TABLE signal ADD COLUMN severity INTEGER NOT NULL DEFAULT 0;
-- What people wrote into spec.triage.
ALTER TABLE signal ADD COLUMN triage BLOB NOT NULL DEFAULT x'';
ALTER TABLE signal ADD COLUMN acknowledged_at INTEGER;
-- When it was archived, deleted or resolved.
ALTER TABLE signal ADD COLUMN closed_at INTEGER;
-- The operator is taking its object out of the cluster: the deletion is nobody's triage.
ALTER TABLE signal ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0;
-- Its object is not in the cluster any more.
ALTER TABLE signal ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
UPDATE signal SET gone = 1 WHERE state = 2;
UPDATE signal SET closed_at = last WHERE state IN (1, 2, 3);
DROP INDEX signal_place;
CREATE INDEX signal_place ON signal (rule, namespace) WHERE state IN (0, 4);
CREATE INDEX signal_closed ON signal (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE change (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    signal INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE consumer (
    name TEXT PRIMARY KEY,
    -- It has read all changes up to and including this one.
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    signal INTEGER NOT NULL REFERENCES signal (id),
    route TEXT NOT NULL,
    due INTEGER,
    attempts INTEGER NOT NULL,
    result TEXT,
    at INTEGER,
    state BLOB NOT NULL,
    PRIMARY KEY (signal, route)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery (due) WHERE due IS NOT NULL;
";

/// Which node opened a signal, and which of its spools is in use: both are bounded for each node.
const NODES: &str = "
ALTER TABLE signal ADD COLUMN node TEXT NOT NULL DEFAULT '';
UPDATE signal SET node = coalesce((SELECT node FROM spool WHERE spool.id = anchor_spool), '') WHERE overflow = 0;
CREATE INDEX signal_node ON signal (node) WHERE state IN (0, 4);
ALTER TABLE spool ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
CREATE INDEX spool_node ON spool (node, used);
";

/// What exceptions held back.
const EXCEPTED: &str = "
CREATE TABLE excepted (
    -- Uid of the exception.
    exception TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What rules count over time across nodes.
const WINDOWS: &str = "
CREATE TABLE window (
    state TEXT NOT NULL,
    key BLOB NOT NULL,
    -- Time of the newest match.
    newest INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (state, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX window_age ON window (state, newest);

-- How many groups a state has; counting them takes too long for each new one.
CREATE TABLE window_size (
    state TEXT PRIMARY KEY,
    groups INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER window_in AFTER INSERT ON window BEGIN
    INSERT INTO window_size (state, groups) VALUES (new.state, 1)
        ON CONFLICT (state) DO UPDATE SET groups = groups + 1;
END;
CREATE TRIGGER window_out AFTER DELETE ON window BEGIN
    UPDATE window_size SET groups = groups - 1 WHERE state = old.state;
    DELETE FROM window_size WHERE state = old.state AND groups <= 0;
END;
";

/// Until when a group matters: not all rules look back over the same time. Groups of before are windows, of at most a day.
const EXPIRY: &str = "
ALTER TABLE window ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;
UPDATE window SET expires = newest + 86520000000000;
CREATE INDEX window_expiry ON window (expires);
";

/// Brings the file to the current schema, or refuses one of a later build.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let known = signed(STEPS.len() as u64);
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source,
        })?;
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (index, step) in STEPS.iter().enumerate().skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", signed(index as u64 + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

/// A stored number that never was negative.
pub(super) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// A count as a column holds it; one beyond stays at the end of the range.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
