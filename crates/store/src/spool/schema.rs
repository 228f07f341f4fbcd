//! The spool's file: its tables and how the database keeps them.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Version of the tables, in the file's `user_version`.
const VERSION: i64 = 1;

/// A row's key is the run's number and the sequence in one integer, so that reading in order,
/// finding the last one and forgetting up to a watermark are all ranges of the primary key.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS run (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    boot   TEXT NOT NULL,
    acked  INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS record (
    key     INTEGER PRIMARY KEY,
    rank    INTEGER NOT NULL,
    matches INTEGER NOT NULL,
    body    BLOB,
    cause   TEXT,
    CHECK ((body IS NULL) <> (cause IS NULL))
);
CREATE INDEX IF NOT EXISTS record_by_rank ON record (rank, key) WHERE body IS NOT NULL;
CREATE TABLE IF NOT EXISTS unplaced (
    cause   TEXT PRIMARY KEY,
    matches INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS window (
    state TEXT NOT NULL,
    key   BLOB NOT NULL,
    body  BLOB NOT NULL,
    PRIMARY KEY (state, key)
) WITHOUT ROWID;
";

/// Opens the file for this process alone.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // An exclusive lock is the fence against a second agent, and spares the shared-memory file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Checkpoint every MiB. The log is reused, never shortened: on a disk that others have filled
    // it is the room that acknowledging needs.
    connection.pragma_update(None, "wal_autocheckpoint", 256)?;
    connection.pragma_update(None, "cache_size", -1024)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB),
            Some(format!(
                "its version is {version}, and this build reads up to {VERSION}"
            )),
        ));
    }
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(connection)
}
