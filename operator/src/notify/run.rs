//! The driver: follows signals and routes, sends what is due, stores what became of it.
//!
//! A message is stored as told after its receiver took it: when the operator ends in between, it is
//! sent once more, under the same key.

mod deliver;

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use kube::core::DeserializeGuard;
use kube::{Api, ResourceExt as _};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use yagura_crds::notification_route::RouteTest;
use yagura_crds::{NotificationRoute, NotificationRouteStatus};
use yagura_event::Timestamp;
use yagura_telemetry::chain;

use super::board::{Batch, Board};
use super::entry::Entry;
use super::receiver::SendError;
use super::route::Target;
use super::row::Row;
use super::secrets::Secrets;
use super::stored::key;
use super::test;
use crate::context::Context;
use crate::signals::{LedgerError, now};
use crate::status::write;
use crate::watch::{Change, changes};

/// How often changes of signals are looked for.
const TICK: Duration = Duration::from_millis(500);
/// How often Secrets are looked for.
const LOOK: i64 = 20_000_000_000;
/// A status that takes longer is written later.
const WRITE: Duration = Duration::from_secs(10);
/// Under this name the store keeps how far signals were followed.
const CONSUMER: &str = "notifications";

/// What ended.
enum Done {
    Sent {
        batch: Batch,
        target: Box<Target>,
        result: Result<(), SendError>,
    },
    Tested {
        route: String,
        test: RouteTest,
    },
    Wrote {
        route: String,
        /// What was written; none when it was not.
        status: Option<Box<NotificationRouteStatus>>,
    },
}

struct Driver {
    context: Context,
    secrets: Secrets,
    entries: BTreeMap<String, Entry>,
    board: Board,
    sends: JoinSet<Done>,
    looked: Option<Timestamp>,
    /// Whether a status is being written.
    writing: bool,
}

/// From now on every change is told of: what happened before notifications were there is no news.
/// Runs before anything can open a signal.
pub async fn prepare(context: &Context) -> Result<(), LedgerError> {
    context
        .signals
        .with(|store| {
            if store.position(CONSUMER)?.is_some() {
                return Ok(());
            }
            let latest = store.latest_change()?;
            store.advance(CONSUMER, latest, &[], now())
        })
        .await
}

/// Runs until the operator ends.
pub async fn run(context: Context) -> Result<(), LedgerError> {
    let stop = context.stop.clone();
    let mut driver = Driver {
        secrets: Secrets::new(&context.args.notification_secrets),
        entries: BTreeMap::new(),
        board: Board::default(),
        sends: JoinSet::new(),
        looked: None,
        writing: false,
        context,
    };
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = driver.work() => ended,
    }
}

impl Driver {
    async fn work(&mut self) -> Result<(), LedgerError> {
        let api: Api<DeserializeGuard<NotificationRoute>> = Api::all(self.context.client.clone());
        let mut routes = pin!(changes(api));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut synced = false;
        loop {
            tokio::select! {
                Some(change) = routes.next() => match change {
                    Change::Apply(route) => self.learn(&route).await?,
                    Change::Delete(gone) => {
                        self.entries.remove(&gone.name);
                        self.forget().await?;
                    }
                    Change::Synced if !synced => {
                        synced = true;
                        self.fill().await?;
                    }
                    Change::Synced => {}
                },
                Some(done) = self.sends.join_next() => {
                    match done {
                        Ok(Done::Sent { batch, target, result }) => self.settle(batch, &target, result).await?,
                        Ok(Done::Tested { route, test }) => self.answered(&route, test),
                        Ok(Done::Wrote { route, status }) => self.wrote(&route, status.map(|status| *status)),
                        Err(error) => return Err(LedgerError::Task(error)),
                    }
                    self.dispatch().await?;
                }
                _ = tick.tick(), if synced => {
                    while self.follow().await? {}
                    self.dispatch().await?;
                    self.look().await;
                }
            }
        }
    }

    async fn learn(&mut self, route: &DeserializeGuard<NotificationRoute>) -> Result<(), LedgerError> {
        let name = route.name_any();
        let before = self.entries.remove(&name);
        let mut entry = Entry::new(route, before, now());
        if let Some(request) = entry.request().map(str::to_owned) {
            self.test(&entry, request);
            entry.testing = true;
        }
        self.entries.insert(name, entry);
        self.looked = None;
        self.forget().await
    }

    /// Reads what waited when the operator ended.
    async fn fill(&mut self) -> Result<(), LedgerError> {
        let waiting = self
            .context
            .signals
            .with(|store| store.due_deliveries(Timestamp(i64::MAX), u32::MAX))
            .await?;
        for row in waiting.iter().filter_map(Row::of_delivery) {
            self.board.put(row);
        }
        self.forget().await
    }

    /// Gives up what waits for receivers that are not there any more.
    async fn forget(&mut self) -> Result<(), LedgerError> {
        let entries = &self.entries;
        let stays = |route: &str, receiver: &str| {
            entries.get(route).is_some_and(|entry| match &entry.route {
                Ok(known) => entry.enabled && known.targets.contains_key(receiver),
                // It may be put right.
                Err(_) => true,
            })
        };
        let waiting = self.board.receivers();
        let gone: Vec<(String, String)> = waiting
            .into_iter()
            .filter(|(route, receiver)| !stays(route, receiver))
            .collect();
        self.board.keep(stays);
        if gone.is_empty() {
            return Ok(());
        }
        let lost = gone.len() as u64;
        self.context.metrics.notification_drops.add(["route_gone"], lost);
        self.context
            .signals
            .with(move |store| {
                gone.iter()
                    .try_for_each(|(route, receiver)| store.forget_route(&key(route, receiver)))
            })
            .await
    }

    /// Starts to answer a test.
    fn test(&mut self, entry: &Entry, request: String) {
        let targets = match &entry.route {
            Ok(route) => Ok(route.targets.values().cloned().collect::<Vec<_>>()),
            Err(invalid) => Err(invalid.to_string()),
        };
        let route = entry.name.clone();
        let (secrets, cluster) = (self.secrets.clone(), self.context.args.cluster_name.clone());
        let home = self.context.signals.home().to_owned();
        self.sends.spawn(async move {
            let test = test::answer(targets, &secrets, &route, &cluster, &home, request).await;
            Done::Tested { route, test }
        });
    }

    fn answered(&mut self, route: &str, test: RouteTest) {
        if let Some(entry) = self.entries.get_mut(route) {
            entry.testing = false;
            entry.test = Some(test);
        }
    }

    /// Looks for missing Secrets, and begins to write a status that is due.
    async fn look(&mut self) {
        let time = now();
        if self.looked.is_none_or(|looked| time.since(looked) >= LOOK) {
            self.looked = Some(time);
            for entry in self.entries.values_mut() {
                entry.missing = self.secrets.first_missing(&entry.references).await;
            }
        }
        if self.writing {
            return;
        }
        let due = self.entries.values().find_map(|entry| {
            let next = entry.next_status(self.board.waiting_of(&entry.name), time)?;
            Some((entry.name.clone(), next))
        });
        let Some((route, status)) = due else { return };
        // Beside the deliveries: they go on when the API server does not answer.
        self.writing = true;
        let context = self.context.clone();
        self.sends.spawn(async move {
            let write = write::<DeserializeGuard<NotificationRoute>>(&context, &route, &status);
            let written = match timeout(WRITE, write).await {
                Ok(Ok(())) => true,
                // Its deletion is on the way through the watch.
                Ok(Err(error)) if error.is_gone() => false,
                Ok(Err(error)) => {
                    context.metrics.controller_errors.inc([error.category()]);
                    tracing::warn!(route, error = %chain(&error), "status of a route not written");
                    false
                }
                Err(_elapsed) => {
                    context.metrics.controller_errors.inc(["status_write"]);
                    tracing::warn!(route, "status of a route not written in time");
                    false
                }
            };
            Done::Wrote {
                route,
                status: written.then(|| Box::new(status)),
            }
        });
    }

    fn wrote(&mut self, route: &str, status: Option<NotificationRouteStatus>) {
        self.writing = false;
        if let Some(entry) = self.entries.get_mut(route) {
            entry.looked_at(now(), status);
        }
    }
}
