//! From changes to rows, from rows to messages, and from answers back to rows.

use std::collections::{HashMap, HashSet};

use yagura_store::StoreError;
use yagura_store::signals::{Delivery, SignalStore};
use yagura_telemetry::chain;

use super::super::board::{Batch, Next};
use super::super::entry::Entry;
use super::super::follow::{Known, follow};
use super::super::message::Message;
use super::super::receiver::{self, Cause, SendError};
use super::super::route::{Route, Target};
use super::super::row::Row;
use super::super::stored::key;
use super::super::subject::{Stage, Subject};
use super::{CONSUMER, Done, Driver};
use crate::signals::{LedgerError, now, subject};

/// Changes that are followed at once.
const PAGE: u32 = 500;
/// Messages on their way at once, to all receivers together.
const MOST_SENDS: usize = 32;

impl Driver {
    /// Follows a page of changes. False when there are no more.
    pub(super) async fn follow(&mut self) -> Result<bool, LedgerError> {
        let page = self
            .context
            .signals
            .with(|store| {
                let position = store.position(CONSUMER)?.unwrap_or(0);
                let page = store.changes_since(position, PAGE)?;
                let mut deliveries = Vec::new();
                let ids: HashSet<i64> = page.changes.iter().map(|change| change.signal.id).collect();
                for id in ids {
                    deliveries.extend(store.deliveries_of(id)?);
                }
                Ok((position, page, deliveries))
            })
            .await?;
        let (position, page, deliveries) = page;
        if page.through == position {
            return Ok(false);
        }
        self.context
            .metrics
            .notification_drops
            .add(["missed"], page.missed);
        let subjects: HashMap<i64, Subject> = page
            .changes
            .iter()
            .filter_map(|change| Some((change.signal.id, subject(&change.signal)?)))
            .collect();
        let namespaces = {
            let index = self.context.index.read();
            let names = subjects.values().map(|subject| subject.origin.clone());
            names
                .map(|name| {
                    (
                        name.clone(),
                        index.namespaces.get(&name).cloned().unwrap_or_default(),
                    )
                })
                .collect()
        };
        let routes: Vec<&Route> = self.entries.values().filter_map(Entry::usable).collect();
        let known = Known {
            routes: &routes,
            deliveries,
            subjects,
            namespaces,
        };
        let followed = follow(&page.changes, &known, &self.board, now());
        self.context
            .metrics
            .notification_drops
            .add(["queue_full"], followed.refused);
        let stored: Vec<Delivery> = followed.rows.iter().map(Row::delivery).collect();
        self.context
            .signals
            .with(move |store| store.advance(CONSUMER, page.through, &stored, now()))
            .await?;
        for row in followed.rows {
            self.board.put(row);
        }
        Ok(true)
    }

    /// Sends what is due.
    pub(super) async fn dispatch(&mut self) -> Result<(), LedgerError> {
        for (name, receiver) in self.board.receivers() {
            if self.sends.len() >= MOST_SENDS {
                break;
            }
            let Some(route) = self.entries.get(&name).and_then(Entry::usable) else {
                continue;
            };
            let Some(target) = route.targets.get(&receiver) else {
                continue;
            };
            let Next::Send(batch) = self.board.next(route, target, now()) else {
                continue;
            };
            let target = target.clone();
            let ids = batch.signals.clone();
            let signals = self
                .context
                .signals
                .with(move |store| signals(store, &ids))
                .await?;
            if signals.is_empty() {
                // They left the history meanwhile.
                self.board.refused(&batch);
                continue;
            }
            let message = Message {
                stage: batch.stage,
                test: false,
                escalated: target.escalates() && batch.stage == Stage::Open,
                route: name.clone(),
                receiver: receiver.clone(),
                cluster: self.context.args.cluster_name.clone(),
                signals,
                at: jiff::Timestamp::now(),
            };
            self.board.started(&batch);
            let secrets = self.secrets.clone();
            self.sends.spawn(async move {
                let result = receiver::send(&target, &secrets, &message).await;
                Done::Sent {
                    batch,
                    target: Box::new(target),
                    result,
                }
            });
        }
        let waiting = i64::try_from(self.board.waiting()).unwrap_or(i64::MAX);
        self.context.metrics.waiting_notifications.set(waiting);
        Ok(())
    }

    /// Stores what became of a message.
    pub(super) async fn settle(
        &mut self,
        batch: Batch,
        target: &Target,
        result: Result<(), SendError>,
    ) -> Result<(), LedgerError> {
        let time = now();
        let metrics = self.context.metrics.clone();
        let kind = target.kind.as_str();
        let settled: Vec<i64> = match &result {
            Ok(()) => {
                metrics.sent_notifications.inc([kind]);
                self.board.delivered(&batch, target, time);
                batch.signals.clone()
            }
            Err(error) => {
                metrics.failed_notifications.inc([kind, error.cause.as_str()]);
                tracing::warn!(route = batch.route, receiver = batch.receiver, cause = error.cause.as_str(), error = %chain(error), "a receiver did not take a message");
                if error.cause == Cause::Refused {
                    metrics
                        .notification_drops
                        .add(["refused"], batch.signals.len() as u64);
                    self.board.refused(&batch);
                    batch.signals.clone()
                } else {
                    let jitter = rand::random::<f64>();
                    let (kept, expired) = self.board.failed(&batch, error.retry_after, jitter, time);
                    self.keep(&kept).await?;
                    metrics.notification_drops.add(["expired"], expired.len() as u64);
                    expired.iter().map(|row| row.signal).collect()
                }
            }
        };
        if let Some(entry) = self.entries.get_mut(&batch.route) {
            let outcome = entry.outcomes.entry(batch.receiver.clone()).or_default();
            match &result {
                Ok(()) => {
                    outcome.delivered = Some(time);
                    outcome.error = None;
                }
                Err(error) => outcome.error = Some(error.to_string()),
            }
        }
        let place = key(&batch.route, &batch.receiver);
        let (told, spec, stage) = (result.is_ok(), target.clone(), batch.stage);
        let rows = self
            .context
            .signals
            .with(move |store| {
                // As they stand now: the signals may have gone on while the message was on its way.
                let mut rows = Vec::new();
                for signal in settled {
                    let known = store.deliveries_of(signal)?;
                    let known = known.iter().find(|delivery| delivery.route == place);
                    let Some(mut row) = known.and_then(Row::of_delivery) else {
                        continue;
                    };
                    if told {
                        row.delivered(stage, &spec, time);
                    } else {
                        row.give_up(stage, &spec, time);
                    }
                    rows.push(row);
                }
                let stored: Vec<Delivery> = rows.iter().map(Row::delivery).collect();
                store.put_deliveries(&stored, time)?;
                Ok(rows)
            })
            .await?;
        self.context.signals.wake();
        for row in rows {
            self.board.put(row);
        }
        Ok(())
    }

    /// Stores since when rows are tried.
    async fn keep(&self, rows: &[Row]) -> Result<(), LedgerError> {
        let stored: Vec<Delivery> = rows.iter().map(Row::delivery).collect();
        self.context
            .signals
            .with(move |store| store.put_deliveries(&stored, now()))
            .await
    }
}

fn signals(store: &SignalStore, ids: &[i64]) -> Result<Vec<Subject>, StoreError> {
    let mut found = Vec::new();
    for id in ids {
        found.extend(store.signal(*id)?.and_then(|signal| subject(&signal)));
    }
    Ok(found)
}
