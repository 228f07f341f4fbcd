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
use yagura_store::signals::{Triage, Triaged};
use yagura_telemetry::chain;

use super::{Ledger, LedgerError, now};
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
                    ledger.deleted(namespace, name).await?;
                }
            }
            Ok(Event::Apply(object)) => seen(ledger, &object).await?,
            Ok(Event::Delete(object)) => {
                let (namespace, name) = place_of(&object);
                ledger.deleted(namespace, name).await?;
            }
        }
    }
}

async fn seen(ledger: &Ledger, object: &DynamicObject) -> Result<(), LedgerError> {
    let said = object.data.pointer("/spec/triage");
    let state = said.and_then(|triage| triage.get("state")?.as_str());
    let (namespace, name) = place_of(object);
    let seen = Triaged {
        namespace,
        name,
        to: match state {
            Some("archived") => Triage::Archived,
            Some("underReview") => Triage::UnderReview,
            // Who is assigned looks.
            _ if said.is_some_and(|triage| triage["assignee"].is_string()) => Triage::UnderReview,
            _ => Triage::Open,
        },
        says: said.map_or_else(Vec::new, |triage| triage.to_string().into_bytes()),
    };
    ledger.triage(seen).await
}

fn place_of(object: &DynamicObject) -> (String, String) {
    let metadata = &object.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

impl Ledger {
    async fn triage(&self, seen: Triaged) -> Result<(), LedgerError> {
        self.with(move |store| store.triage(&seen, now())).await?;
        Ok(())
    }

    /// An object is not there any more.
    pub(super) async fn deleted(&self, namespace: String, name: String) -> Result<(), LedgerError> {
        self.triage(Triaged {
            namespace,
            name,
            to: Triage::Deleted,
            says: Vec::new(),
        })
        .await
    }

    async fn written_signals(&self) -> Result<HashSet<(String, String)>, LedgerError> {
        let written = self.with(|store| store.written_signals()).await?;
        Ok(written.into_iter().collect())
    }
}
