//! What waits to be told, and what is due of it: pure. Everything here is also in the store, from
//! which the board is filled when the operator starts.

use std::collections::{BTreeMap, HashMap};

use yagura_event::{Severity, Timestamp};

use super::pace::{Circuit, Rate};
use super::route::{Route, Target};
use super::row::Row;
use super::subject::Stage;

/// Rows that wait for one receiver. More than signals can be open: what is beyond is refused when
/// it comes up, and counted.
pub const MOST_WAITING: usize = 20_000;
/// What a receiver did not take within this time of the first attempt is given up: a day.
pub const PATIENCE: i64 = 24 * 3_600 * 1_000_000_000;

/// A message that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Name of the route.
    pub route: String,
    /// Name of the receiver.
    pub receiver: String,
    /// What it is told.
    pub stage: Stage,
    /// The store's ids of the signals, those that wait longest first.
    pub signals: Vec<i64>,
    /// The group, unless the message carries several.
    pub group: Option<String>,
}

/// What is to be done about a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing waits, or a message is on its way.
    Nothing,
    /// Nothing before this time.
    At(Timestamp),
    /// Send this now.
    Send(Batch),
}

/// One receiver of one route.
#[derive(Debug, Default)]
struct Line {
    waiting: BTreeMap<i64, Row>,
    circuit: Circuit,
    rate: Rate,
    /// When a group's last message of a stage was sent.
    last: HashMap<(String, Stage), Timestamp>,
    busy: bool,
    /// Whether open signals are told again and again: such rows are due, but nothing waits.
    repeats: bool,
}

/// Everything that waits.
#[derive(Debug, Default)]
pub struct Board {
    lines: BTreeMap<(String, String), Line>,
}

impl Board {
    /// Puts a row on the board, or takes it off when nothing is due of it. False when there is no
    /// room for it.
    pub fn put(&mut self, row: Row) -> bool {
        let line = self.line(&row.route, &row.receiver);
        if row.due.is_none() {
            line.waiting.remove(&row.signal);
            return true;
        }
        if line.waiting.len() >= MOST_WAITING && !line.waiting.contains_key(&row.signal) {
            return false;
        }
        line.waiting.insert(row.signal, row);
        true
    }

    /// Whether one more row has room.
    pub fn has_room(&self, route: &str, receiver: &str) -> bool {
        self.lines
            .get(&(route.to_owned(), receiver.to_owned()))
            .is_none_or(|line| line.waiting.len() < MOST_WAITING)
    }

    /// Forgets receivers that are not among these any more.
    pub fn keep(&mut self, is_there: impl Fn(&str, &str) -> bool) {
        self.lines
            .retain(|(route, receiver), _| is_there(route, receiver));
    }

    /// How many rows wait for a receiver of the route.
    pub fn waiting_of(&self, route: &str) -> usize {
        let of_route = self.lines.iter().filter(|((name, _), _)| name == route);
        of_route.map(|(_, line)| line.waiting()).sum()
    }

    /// How many rows wait in all.
    pub fn waiting(&self) -> usize {
        self.lines.values().map(Line::waiting).sum()
    }

    /// Receivers for which something waits: route and receiver.
    pub fn receivers(&self) -> Vec<(String, String)> {
        let busy = |line: &Line| !line.waiting.is_empty();
        let lines = self.lines.iter().filter(|(_, line)| busy(line));
        lines.map(|(key, _)| key.clone()).collect()
    }

    /// The rows of a batch, as they stand now.
    pub fn rows(&self, batch: &Batch) -> Vec<Row> {
        let key = (batch.route.clone(), batch.receiver.clone());
        let line = self.lines.get(&key);
        batch
            .signals
            .iter()
            .filter_map(|signal| line?.waiting.get(signal).cloned())
            .collect()
    }

    /// What is to be done about a receiver now.
    pub fn next(&mut self, route: &Route, target: &Target, now: Timestamp) -> Next {
        let line = self.line(&route.name, &target.name);
        line.repeats = target.kind.refresh().is_some();
        if line.busy || line.waiting.is_empty() {
            return Next::Nothing;
        }
        if let Some(until) = line.circuit.open_until(now) {
            return Next::At(until);
        }
        let (messages, per) = (route.messages, route.per);
        let left = line.rate.left(messages, per, now);
        let blocked = (left == 0).then(|| line.rate.next(messages, per)).flatten();
        line.last.retain(|_, sent| now.since(*sent) < route.interval);
        let pace = Pace {
            blocked,
            // Once for all rows: a time zone is not asked for nothing.
            quiet: Severity::ALL.map(|severity| route.quiet.as_ref()?.until(now, severity)),
            interval: route.interval,
        };
        let mut earliest: Option<Timestamp> = None;
        let mut due: Vec<(&Row, Stage)> = Vec::new();
        for row in line.waiting.values() {
            let Some(stage) = row.wanted(target) else { continue };
            let at = pace.ready(row, stage, target, &line.last, now);
            if at <= now {
                due.push((row, stage));
            }
            earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
        }
        let Some((first, stage)) = due.iter().min_by_key(|(row, _)| (row.due, row.signal)).copied() else {
            return earliest.map_or(Next::Nothing, Next::At);
        };
        // The last message for a while carries everything that waits.
        let digest = target.kind.is_read() && left == 1;
        let mut members: Vec<&Row> = if digest || !target.kind.is_read() {
            due.iter()
                .filter(|(_, of)| *of == stage)
                .map(|(row, _)| *row)
                .collect()
        } else {
            // Who joins late does not wait for a message of its own.
            line.waiting
                .values()
                .filter(|row| row.group == first.group && row.wanted(target) == Some(stage))
                .filter(|row| pace.quiet(row, stage, target).is_none())
                .collect()
        };
        members.sort_by_key(|row| (row.due, row.signal));
        members.truncate(target.kind.most());
        Next::Send(Batch {
            route: route.name.clone(),
            receiver: target.name.clone(),
            stage,
            group: (!digest).then(|| first.group.clone()),
            signals: members.into_iter().map(|row| row.signal).collect(),
        })
    }

    /// The batch is on its way.
    pub fn started(&mut self, batch: &Batch) {
        self.line(&batch.route, &batch.receiver).busy = true;
    }

    /// The receiver took the batch. Returns its rows as they stand now, taken off the board: the
    /// caller stores them and puts back what is due again.
    pub fn delivered(&mut self, batch: &Batch, target: &Target, now: Timestamp) -> Vec<Row> {
        let line = self.line(&batch.route, &batch.receiver);
        line.busy = false;
        line.circuit.succeeded();
        if target.kind.is_limited() {
            line.rate.note(now);
        }
        if let Some(group) = &batch.group
            && target.kind.is_read()
        {
            line.last.insert((group.clone(), batch.stage), now);
        }
        line.take(batch)
    }

    /// The receiver did not take the batch and may later. Rows that were tried for too long are
    /// returned, taken off the board: the caller gives them up.
    pub fn failed(
        &mut self,
        batch: &Batch,
        asked: Option<i64>,
        jitter: f64,
        now: Timestamp,
    ) -> (Vec<Row>, Vec<Row>) {
        let line = self.line(&batch.route, &batch.receiver);
        line.busy = false;
        line.circuit.failed(now, asked, jitter);
        let (mut kept, mut expired) = (Vec::new(), Vec::new());
        for mut row in line.take(batch) {
            let tried = *row.tried.get_or_insert(now);
            if now.since(tried) >= PATIENCE {
                expired.push(row);
            } else {
                line.waiting.insert(row.signal, row.clone());
                kept.push(row);
            }
        }
        (kept, expired)
    }

    /// The receiver will never take this batch, but may take others. Returns its rows, taken off
    /// the board: the caller gives them up.
    pub fn refused(&mut self, batch: &Batch) -> Vec<Row> {
        let line = self.line(&batch.route, &batch.receiver);
        line.busy = false;
        line.take(batch)
    }

    fn line(&mut self, route: &str, receiver: &str) -> &mut Line {
        self.lines
            .entry((route.to_owned(), receiver.to_owned()))
            .or_default()
    }
}

impl Line {
    fn waiting(&self) -> usize {
        let is_told = |row: &&Row| row.told == Some(Stage::Open) && row.stage != Stage::Closed;
        let repeated = if self.repeats {
            self.waiting.values().filter(is_told).count()
        } else {
            0
        };
        self.waiting.len() - repeated
    }

    fn take(&mut self, batch: &Batch) -> Vec<Row> {
        let signals = batch.signals.iter();
        signals.filter_map(|signal| self.waiting.remove(signal)).collect()
    }
}

/// What holds rows back.
struct Pace {
    /// Until when the limit of messages does.
    blocked: Option<Timestamp>,
    /// Until when quiet hours do, by severity.
    quiet: [Option<Timestamp>; 5],
    interval: i64,
}

impl Pace {
    /// When a row may be told.
    fn ready(
        &self,
        row: &Row,
        stage: Stage,
        target: &Target,
        last: &HashMap<(String, Stage), Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        let mut at = row.due.unwrap_or(now);
        if target.kind.is_read()
            && let Some(sent) = last.get(&(row.group.clone(), stage))
        {
            at = at.max(sent.after(self.interval));
        }
        // A pager that is told of an end becomes quieter: nothing holds that back.
        let limited = target.kind.is_limited() && (stage == Stage::Open || target.kind.is_read());
        if limited && let Some(blocked) = self.blocked {
            at = at.max(blocked);
        }
        at.max(self.quiet(row, stage, target).unwrap_or(at))
    }

    /// The end of the quiet hours that hold the row back now.
    fn quiet(&self, row: &Row, stage: Stage, target: &Target) -> Option<Timestamp> {
        let held = stage == Stage::Open || target.kind.is_read();
        let place = usize::from(row.severity.rank()) - 1;
        self.quiet[place].filter(|_| held)
    }
}

#[cfg(test)]
mod tests;
