//! Fills an empty store from the signals that the API server still has.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::{Api, Client, CustomResourceExt};
use tracing::{info, warn};
use yagura_crds::SecuritySignal;
use yagura_crds::security_signal::TriageState;
use yagura_event::Timestamp;
use yagura_store::signals::Seed;

use super::detail::Detail;
use super::posture::{CHECK_KIND, store_key};
use super::{Ledger, LedgerError, annotations, now};

/// Objects asked for at a time.
const PAGE: u32 = 200;

/// The store could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Signals could not be listed.
    #[error("cannot list the signals that are there")]
    List(#[source] Box<kube::Error>),
    /// The store did not take them.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Fills the store if it is empty. Objects that this operator did not write are left out.
pub async fn seed(client: &Client, ledger: &Ledger) -> Result<(), SeedError> {
    if !ledger.with(|store| store.is_empty()).await? {
        return Ok(());
    }
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &SecuritySignal::api_resource());
    let mut params = ListParams::default().limit(PAGE);
    let (mut restored, mut left_out) = (0, 0);
    loop {
        let page = api
            .list(&params)
            .await
            .map_err(|error| SeedError::List(Box::new(error)))?;
        let found = page.items.len() as u64;
        let seeds: Vec<Seed> = page.items.into_iter().filter_map(read).collect();
        let taken = ledger.with(move |store| store.seed(&seeds, now())).await?;
        restored += taken;
        left_out += found - taken;
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params.continue_token = Some(next),
            _ => break,
        }
    }
    if restored > 0 {
        info!(restored, "filled the empty store from signals in the cluster");
    }
    if left_out > 0 {
        warn!(
            left_out,
            "signals in the cluster that this operator did not write, or two of a group"
        );
    }
    Ok(())
}

fn read(object: DynamicObject) -> Option<Seed> {
    let text = serde_json::to_value(object).ok()?;
    let signal: SecuritySignal = serde_json::from_value(text).ok()?;
    seed_of(signal)
}

/// What the object tells of its signal.
fn seed_of(signal: SecuritySignal) -> Option<Seed> {
    let notes = signal.metadata.annotations.unwrap_or_default();
    let labels = signal.metadata.labels.unwrap_or_default();
    let key = STANDARD.decode(notes.get(annotations::KEY)?).ok()?;
    let (spool, sequence) = notes.get(annotations::ANCHOR)?.rsplit_once('/')?;
    let mut status = signal.status?;
    let triage = serde_json::to_vec(&signal.spec.triage).ok()?;
    let samples = std::mem::take(&mut status.samples);
    status.incomplete.clear();
    let detail = Detail {
        spec: signal.spec.clone(),
        node: labels.get(yagura_crds::security_signal::NODE_LABEL).cloned(),
        status: status.clone(),
    };
    Some(Seed {
        rule: match signal.spec.rule.kind.as_str() {
            CHECK_KIND => store_key(&signal.spec.rule.name),
            // The uid of one of our own rules is what the store keeps it under.
            _ => signal.spec.rule.uid,
        },
        rule_name: signal.spec.rule.name,
        key,
        overflow: notes.get(annotations::OVERFLOW).is_some_and(|v| v == "true"),
        name: signal.metadata.name?,
        namespace: signal.metadata.namespace?,
        origin_namespace: status.origin_namespace,
        anchor: (spool.to_owned(), sequence.parse().ok()?),
        archived: signal.spec.triage.state == TriageState::Archived,
        under_review: signal.spec.triage.state == TriageState::UnderReview,
        triage,
        severity: status.severity_rank,
        opened: timestamp(&signal.spec.opened)?,
        first: timestamp(&status.first_seen)?,
        last: timestamp(&status.last_seen)?,
        count: u64::try_from(status.count).ok()?,
        resolved_at: status.resolved_at.as_ref().and_then(timestamp),
        detail: detail.to_bytes(),
        samples: samples
            .iter()
            .filter_map(|sample| serde_json::to_vec(sample).ok())
            .collect(),
    })
}

fn timestamp(time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time) -> Option<Timestamp> {
    i64::try_from(time.0.as_nanosecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use yagura_store::signals::Stored;

    use super::super::object::object;
    use super::super::object::tests::stored;
    use super::read;

    /// What the API server would hold after both applies.
    fn written(signal: &Stored) -> kube::api::DynamicObject {
        let object = object(signal).unwrap();
        let mut whole = object.identity;
        whole["status"] = object.status["status"].clone();
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_check_that_is_applied_again_finds_its_signals_by_its_name() {
        let mut object = written(&stored());
        object.data["spec"]["rule"] =
            serde_json::json!({"kind": "PostureCheck", "name": "no-host-path", "uid": "u", "generation": 2});
        assert_eq!(read(object).unwrap().rule, "PostureCheck/no-host-path");
    }

    #[test]
    fn a_written_signal_tells_everything_that_the_store_needs() {
        let signal = stored();
        let seed = read(written(&signal)).unwrap();
        assert_eq!(seed.key, signal.key);
        assert_eq!(seed.anchor, signal.anchor);
        assert_eq!(
            (seed.name, seed.namespace),
            (signal.name.clone(), signal.namespace.clone())
        );
        assert_eq!(
            (seed.count, seed.overflow, seed.archived),
            (signal.count, false, false)
        );
        assert_eq!(
            (seed.opened, seed.first, seed.last),
            (signal.opened, signal.first, signal.last)
        );
        assert_eq!(seed.samples.len(), signal.samples.len());
        let again = Stored {
            detail: seed.detail,
            samples: seed.samples,
            ..signal.clone()
        };
        assert_eq!(object(&again).unwrap(), object(&signal).unwrap());
    }

    #[test]
    fn an_object_of_somebody_else_is_left_out() {
        let mut object = written(&stored());
        object.metadata.annotations = None;
        assert!(read(object).is_none());
    }
}
