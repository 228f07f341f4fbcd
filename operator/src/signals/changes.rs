//! What happened to signals, for whoever passes it on.

use yagura_store::signals::Changes;

use super::{Ledger, LedgerError, now};

impl Ledger {
    /// The changes after a position, in order.
    pub async fn changes_since(&self, position: i64, limit: u32) -> Result<Changes, LedgerError> {
        self.with(move |store| store.changes_since(position, limit)).await
    }

    /// How far a consumer has read; none for one that never did.
    pub async fn position(&self, consumer: &str) -> Result<Option<i64>, LedgerError> {
        let consumer = consumer.to_owned();
        self.with(move |store| store.position(&consumer)).await
    }

    /// Moves a consumer's position.
    pub async fn advance(&self, consumer: &str, through: i64) -> Result<(), LedgerError> {
        let consumer = consumer.to_owned();
        self.with(move |store| store.advance(&consumer, through, &[], now()))
            .await
    }
}
