//! Follows what people do to signals: archived, opened again, deleted.

use std::collections::HashSet;
use std::pin::pin;

use futures::StreamExt;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, CustomResourceExt};
use tracing::warn;
use yagura_crds::SecuritySignal;
use yagura_store::signals::Triage;
use yagura_telemetry::chain;

use super::{Ledger, LedgerError};
use crate::context::Context;

/// Watches signals until the process stops.
pub async fn watch(context: Context) -> Result<(), LedgerError> {
    let stop = context.stop.clone();
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        failed = follow(&context) => failed,
    }
}

async fn follow(context: &Context) -> Result<(), LedgerError> {
    // As it is on the wire: an object that somebody broke must not stop the others.
    let api: Api<DynamicObject> = Api::all_with(context.client.clone(), &SecuritySignal::api_resource());
    let mut events = pin!(watcher(api, Config::default()).default_backoff());
    let ledger = &context.signals;
    let mut missing = HashSet::new();
    loop {
        let Some(event) = events.next().await else {
            continue;
        };
        match event {
            Err(error) => warn!(error = %chain(&error), "cannot watch signals; trying again"),
            // What was written before the list and is not in it was deleted meanwhile.
            Ok(Event::Init) => missing = ledger.written_signals().await?,
            Ok(Event::InitApply(object)) => {
                missing.remove(&place_of(&object));
                seen(ledger, &object).await?;
            }
            Ok(Event::InitDone) => {
                for (namespace, name) in missing.drain() {
                    ledger.triage(&namespace, &name, Triage::Deleted).await?;
                }
            }
            Ok(Event::Apply(object)) => seen(ledger, &object).await?,
            Ok(Event::Delete(object)) => {
                let (namespace, name) = place_of(&object);
                ledger.triage(&namespace, &name, Triage::Deleted).await?;
            }
        }
    }
}

async fn seen(ledger: &Ledger, object: &DynamicObject) -> Result<(), LedgerError> {
    let state = object.data.pointer("/spec/triage/state");
    let triage = match state.and_then(serde_json::Value::as_str) {
        Some("archived") => Triage::Archived,
        _ => Triage::Open,
    };
    let (namespace, name) = place_of(object);
    ledger.triage(&namespace, &name, triage).await
}

fn place_of(object: &DynamicObject) -> (String, String) {
    let metadata = &object.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

impl Ledger {
    pub(super) async fn triage(
        &self,
        namespace: &str,
        name: &str,
        triage: Triage,
    ) -> Result<(), LedgerError> {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        self.with(move |store| store.triage(&namespace, &name, triage))
            .await
    }

    async fn written_signals(&self) -> Result<HashSet<(String, String)>, LedgerError> {
        let written = self.with(|store| store.written_signals()).await?;
        Ok(written.into_iter().collect())
    }
}
