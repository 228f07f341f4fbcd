//! What rules count over time on this node, beside the records that came of it.

use rusqlite::{Transaction, params};
use yagura_engine::Changed;

use super::{Spool, SpoolError, classify};

pub(super) fn write(transaction: &Transaction<'_>, groups: &[Changed]) -> rusqlite::Result<()> {
    for Changed { state, key, group } in groups {
        match group {
            Some(body) => transaction
                .prepare_cached(
                    "INSERT INTO window (state, key, body) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (state, key) DO UPDATE SET body = ?3",
                )?
                .execute(params![state, key, body])?,
            None => transaction
                .prepare_cached("DELETE FROM window WHERE state = ?1 AND key = ?2")?
                .execute(params![state, key])?,
        };
    }
    Ok(())
}

impl Spool {
    /// What was counted when the last process ended.
    pub fn kept_groups(&self) -> Result<Vec<Changed>, SpoolError> {
        let path = self.path.clone();
        self.groups().map_err(|source| classify(&path, source))
    }

    fn groups(&self) -> rusqlite::Result<Vec<Changed>> {
        let mut statement = self.connection.prepare("SELECT state, key, body FROM window")?;
        let groups = statement.query_map([], |row| {
            Ok(Changed {
                state: row.get(0)?,
                key: row.get::<_, Vec<u8>>(1)?.into_boxed_slice(),
                group: Some(row.get(2)?),
            })
        })?;
        groups.collect()
    }

    /// Forgets what is counted under states that no rule has any more.
    pub fn keep_states(&mut self, states: &[&str]) -> Result<(), SpoolError> {
        let path = self.path.clone();
        self.forget_others(states)
            .map_err(|source| classify(&path, source))
    }

    fn forget_others(&mut self, states: &[&str]) -> rusqlite::Result<()> {
        let known: Vec<String> = self
            .connection
            .prepare("SELECT DISTINCT state FROM window")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for state in known.iter().filter(|state| !states.contains(&state.as_str())) {
            self.connection
                .execute("DELETE FROM window WHERE state = ?1", [state])?;
        }
        Ok(())
    }
}
