//! How many matches each exception held back.

use rusqlite::{Transaction, params};
use yagura_event::Timestamp;

use super::schema::{signed, unsigned};
use super::{SignalStore, StoreError};

/// Matches that an exception held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excepted {
    /// Uid of the exception.
    pub exception: String,
    /// How many.
    pub count: u64,
    /// Time of the last.
    pub last: Timestamp,
}

impl SignalStore {
    /// What every exception held back, by uid.
    pub fn excepted(&self) -> Result<Vec<Excepted>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT exception, count, last FROM excepted ORDER BY exception")?;
        let rows = statement.query_map([], |row| {
            Ok(Excepted {
                exception: row.get(0)?,
                count: unsigned(row.get(1)?),
                last: Timestamp(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Begins with what the objects tell, where nothing is known: a store that was lost goes on from there. What belongs to
    /// none of them is forgotten.
    pub fn keep_excepted(&mut self, told: &[Excepted]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let mut known: Vec<String> = {
            let mut statement = transaction.prepare("SELECT exception FROM excepted")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for one in told {
            if one.count > 0 {
                transaction
                    .prepare_cached(
                        "INSERT INTO excepted (exception, count, last) VALUES (?1, ?2, ?3)
                         ON CONFLICT (exception) DO NOTHING",
                    )?
                    .execute(params![one.exception, signed(one.count), one.last.0])?;
            }
        }
        known.retain(|known| !told.iter().any(|one| one.exception == *known));
        for gone in known {
            transaction.execute("DELETE FROM excepted WHERE exception = ?", [gone])?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Forgets an exception.
    pub fn forget_excepted(&mut self, exception: &str) -> Result<(), StoreError> {
        self.connection
            .execute("DELETE FROM excepted WHERE exception = ?", [exception])?;
        Ok(())
    }
}

/// Counts what a record tells.
pub(super) fn add(transaction: &Transaction<'_>, found: &Excepted) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO excepted (exception, count, last) VALUES (?1, ?2, ?3)
             ON CONFLICT (exception) DO UPDATE SET
                 count = min(count, 9223372036854775807 - excluded.count) + excluded.count,
                 last = max(last, excluded.last)",
        )?
        .execute(params![found.exception, signed(found.count), found.last.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use yagura_event::Timestamp;

    use super::Excepted;
    use crate::signals::{Entry, Incoming, Limits, SignalStore};

    fn excepted(exception: &str, count: u64, last: i64) -> Excepted {
        Excepted {
            exception: exception.to_owned(),
            count,
            last: Timestamp(last),
        }
    }

    fn told(sequence: u64, found: Excepted) -> Incoming {
        Incoming {
            sequence,
            further: 0,
            entry: Entry::Excepted(found),
        }
    }

    #[test]
    fn a_record_counts_once_however_often_it_is_sent() {
        let mut store = SignalStore::in_memory(Limits::default()).unwrap();
        let batch = [told(1, excepted("a", 3, 7)), told(2, excepted("b", u64::MAX, 1))];
        for _ in 0..2 {
            store.apply("s", "n", batch.to_vec(), Timestamp(9)).unwrap();
        }
        let more = [told(3, excepted("a", 4, 5)), told(4, excepted("b", 9, 2))];
        store.apply("s", "n", more.to_vec(), Timestamp(9)).unwrap();
        let most = i64::MAX.unsigned_abs();
        assert_eq!(
            store.excepted().unwrap(),
            [excepted("a", 7, 7), excepted("b", most, 2)]
        );
        store.forget_excepted("b").unwrap();
        assert_eq!(store.excepted().unwrap(), [excepted("a", 7, 7)]);
    }

    #[test]
    fn nothing_counts_when_the_process_dies_before_the_commit() {
        let mut store = SignalStore::in_memory(Limits::default()).unwrap();
        let batch = [told(1, excepted("a", 3, 7))];
        store.die_before_commit(true);
        store.apply("s", "n", batch.to_vec(), Timestamp(9)).unwrap_err();
        store.die_before_commit(false);
        assert_eq!(store.excepted().unwrap(), []);
        store.apply("s", "n", batch.to_vec(), Timestamp(9)).unwrap();
        assert_eq!(store.excepted().unwrap(), [excepted("a", 3, 7)]);
    }

    #[test]
    fn a_lost_store_goes_on_from_the_objects_and_one_that_knows_more_keeps_that() {
        let mut store = SignalStore::in_memory(Limits::default()).unwrap();
        let batch = [told(1, excepted("known", 9, 9)), told(2, excepted("gone", 1, 1))];
        store.apply("s", "n", batch.to_vec(), Timestamp(9)).unwrap();
        let told = [
            excepted("known", 5, 5),
            excepted("lost", 4, 4),
            excepted("never", 0, 0),
        ];
        store.keep_excepted(&told).unwrap();
        assert_eq!(
            store.excepted().unwrap(),
            [excepted("known", 9, 9), excepted("lost", 4, 4)]
        );
    }
}
