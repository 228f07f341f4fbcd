//! What the status needs and only the store knows.

use yagura_store::signals::RuleSummary;

use crate::signals::{Ledger, LedgerError};

/// What a rule found so far. Needs the store.
pub(super) async fn fetch(signals: &Ledger, uid: &str) -> Result<RuleSummary, LedgerError> {
    signals.summary(uid.to_owned()).await
}
