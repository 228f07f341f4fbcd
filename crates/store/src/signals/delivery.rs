//! Who was told about a signal, and who is to be told: one row for each signal and route. Where a
//! route has several receivers, each is one here, under a name of its own.
//!
//! What a route is and how it tells people is the caller's; its own state is opaque bytes here.

use rusqlite::{Connection, OptionalExtension, Row, params};
use yagura_event::Timestamp;

use super::count::enqueue;
use super::{Limits, SignalStore, StoreError};

/// Where a signal stands with one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The signal's id in the store.
    pub signal: i64,
    /// The route's name.
    pub route: String,
    /// When there is something to do next; none when nothing is left.
    pub due: Option<Timestamp>,
    /// Attempts since the last that succeeded.
    pub attempts: u32,
    /// The last result as the signal's status shows it, such as `delivered`; none before the first.
    pub result: Option<String>,
    /// When that was.
    pub at: Option<Timestamp>,
    /// What the caller keeps.
    pub state: Vec<u8>,
}

/// What a signal's status says of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The route's name.
    pub route: String,
    /// The last result.
    pub result: String,
    /// When that was.
    pub at: Timestamp,
}

const COLUMNS: &str = "signal, route, due, attempts, result, at, state";

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        signal: row.get(0)?,
        route: row.get(1)?,
        due: row.get::<_, Option<i64>>(2)?.map(Timestamp),
        attempts: row.get(3)?,
        result: row.get(4)?,
        at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        state: row.get(6)?,
    })
}

/// Stores a delivery, and has the signal's object written when what it shows changed. One of a
/// signal that left the history is left out.
pub(super) fn put(
    connection: &Connection,
    limits: &Limits,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    let known = connection
        .prepare_cached("SELECT 1 FROM signal WHERE id = ?")?
        .exists([delivery.signal])?;
    if !known {
        return Ok(());
    }
    let shown: Option<Option<String>> = connection
        .prepare_cached("SELECT result FROM delivery WHERE signal = ? AND route = ?")?
        .query_row(params![delivery.signal, delivery.route], |row| row.get(0))
        .optional()?;
    connection
        .prepare_cached(
            "INSERT INTO delivery (signal, route, due, attempts, result, at, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (signal, route) DO UPDATE SET due = ?3, attempts = ?4, result = ?5, at = ?6, state = ?7",
        )?
        .execute(params![
            delivery.signal,
            delivery.route,
            delivery.due.map(|due| due.0),
            delivery.attempts,
            delivery.result,
            delivery.at.map(|at| at.0),
            delivery.state,
        ])?;
    if shown.flatten() != delivery.result {
        connection
            .prepare_cached("UPDATE signal SET revision = revision + 1 WHERE id = ?")?
            .execute([delivery.signal])?;
        enqueue(connection, limits, delivery.signal, now)?;
    }
    Ok(())
}

impl SignalStore {
    /// The deliveries that are due, the longest due first, `limit` at most.
    pub fn due_deliveries(&self, now: Timestamp, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        self.deliveries(
            "WHERE due <= ? ORDER BY due, signal, route LIMIT ?",
            params![now.0, limit],
        )
    }

    /// When the next delivery is due.
    pub fn next_delivery(&self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(due) FROM delivery WHERE due IS NOT NULL")?
            .query_row([], |row| row.get(0))?;
        Ok(due.map(Timestamp))
    }

    /// All deliveries of a signal, by route.
    pub fn deliveries_of(&self, signal: i64) -> Result<Vec<Delivery>, StoreError> {
        self.deliveries("WHERE signal = ? ORDER BY route", params![signal])
    }

    /// Stores deliveries in one transaction.
    pub fn put_deliveries(&mut self, deliveries: &[Delivery], now: Timestamp) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for delivery in deliveries {
            put(&transaction, &self.limits, delivery, now)?;
        }
        Ok(transaction.commit()?)
    }

    /// Forgets what is still to be told through a route that is gone.
    pub fn forget_route(&mut self, route: &str) -> Result<(), StoreError> {
        self.connection
            .execute("UPDATE delivery SET due = NULL WHERE route = ?", [route])?;
        Ok(())
    }

    /// What the signal's status says, by route.
    pub(super) fn told(&self, signal: i64) -> Result<Vec<Told>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT route, result, at FROM delivery
             WHERE signal = ? AND result IS NOT NULL AND at IS NOT NULL ORDER BY route",
        )?;
        let rows = statement.query_map([signal], |row| {
            Ok(Told {
                route: row.get(0)?,
                result: row.get(1)?,
                at: Timestamp(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn deliveries(&self, tail: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM delivery {tail}"))?;
        let rows = statement.query_map(values, delivery)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
