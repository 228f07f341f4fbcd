//! From matches to records: folded, written to the spool, printed.
//!
//! One thread. A match that opens a group leaves at once; repeats wait for the next second. What
//! the spool cannot take waits in bounded memory and is tried again; beyond the bound it is shed
//! and counted, and the count is told as a loss when the spool works again.

mod counting;
mod held;
mod losses;
mod writer;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use prost::Message as _;
use yagura_engine::Match;
use yagura_engine::fold::{Folder, Sent};
use yagura_event::{Event, Excepted, Fold, Timestamp};
use yagura_proto::convert::{excepted_to_message, fold_to_message};
use yagura_proto::v1::spool_record::Record;
use yagura_proto::v1::{Gap, SpoolRecord};
use yagura_store::spool::NewRecord;

use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::output::{Line, Loss, Printer, Signal};
use crate::redact::{Clean, Redactor};
use crate::rules::Active;
use counting::Counting;
use held::Held;
pub use losses::SensorLosses;
use writer::Writer;

/// Matches that may wait: half a second of 8,000 a second.
const QUEUE: usize = 4_096;

/// Matches taken from the queue before what they became is written.
const BATCH: usize = 256;

/// How often folds whose second is over are looked for, while there are any.
const FLUSH: Duration = Duration::from_millis(200);

/// How long the thread sleeps when nothing waits.
const IDLE: Duration = Duration::from_mins(1);

/// How often the operator is told what exceptions held back.
const TELL_HELD: Duration = Duration::from_secs(5);

/// Rank of a record that opens a group, above that of any repeat whatever its severity.
const FIRST: u8 = 8;

/// Why matches never reached the recorder.
const QUEUE_FULL: &str = "queue-full";

/// Every cause of a match that is given up before the spool.
pub(crate) const SHED_CAUSES: [&str; 4] = [
    QUEUE_FULL,
    writer::DISK_FULL,
    writer::SPOOL_ERROR,
    writer::SPOOL_FULL,
];

/// A match on its way.
#[derive(Debug)]
pub struct Found {
    /// The rules that were active.
    pub active: Arc<Active>,
    /// Which of them matched, and how.
    pub found: Match,
    /// What it matched.
    pub event: Arc<Event>,
}

/// What is handed in.
enum Work {
    Match(Found),
    /// Events that no rule has seen, by cause.
    Lost(Vec<(&'static str, u64)>),
    /// A record that is ready.
    Record(NewRecord),
    /// An exception held something back, for the first time since that was told.
    Held,
}

/// Where matches are handed in. Cheap to clone; the recorder ends when the last is dropped.
#[derive(Clone, Debug)]
pub struct Recorder {
    work: SyncSender<Work>,
    lost: Arc<AtomicU64>,
    held: Arc<Held>,
    metrics: Metrics,
}

impl Recorder {
    /// Starts the thread. Without a journal there is no operator: what concerns all nodes is counted here, and printing is
    /// all that happens.
    pub fn start(
        journal: Option<Journal>,
        printer: Option<Printer>,
        redactor: Arc<Redactor>,
        metrics: &Metrics,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let held = Arc::new(Held::default());
        let worker = Worker {
            counting: Counting::new(journal.clone(), metrics.clone()),
            folder: Folder::default(),
            active: None,
            records: Vec::new(),
            writer: journal.map(|journal| Writer::new(journal, metrics.clone())),
            printer,
            redactor,
            metrics: metrics.clone(),
            lost: Arc::clone(&lost),
            held: Arc::clone(&held),
            held_told: None,
            start: Instant::now(),
            flushed: Instant::now(),
        };
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || worker.run(&receiver))?;
        let recorder = Self {
            work: sender,
            lost,
            held,
            metrics: metrics.clone(),
        };
        Ok((recorder, thread))
    }

    /// Hands a match in, or counts that there was no room for it.
    pub fn record(&self, found: Found) {
        match self.work.try_send(Work::Match(found)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                self.metrics.shed.inc([QUEUE_FULL]);
            }
        }
    }

    /// Counts a match that an Exception object held back. Never waits, and loses nothing.
    pub fn hold_back(&self, rule: &str, exception: &str, time: Timestamp) {
        if self.held.count(rule, exception, time) {
            // With a full queue the recorder is awake, and looks by itself.
            self.work.try_send(Work::Held).ok();
        }
    }

    /// Hands in events that were lost before any rule saw them. False when there is no room now.
    pub fn lose(&self, losses: Vec<(&'static str, u64)>) -> bool {
        self.work.try_send(Work::Lost(losses)).is_ok()
    }

    /// Hands in that nobody watched this node for a while. False when there is no room now.
    pub fn gap(&self, gap: Gap) -> bool {
        let record = SpoolRecord {
            sequence: 0,
            record: Some(Record::Gap(gap)),
        };
        // It never gives way: there is one for each start of the agent.
        let record = NewRecord {
            body: record.encode_to_vec(),
            matches: 0,
            rank: u8::MAX,
        };
        self.work.try_send(Work::Record(record)).is_ok()
    }
}

struct Worker {
    counting: Counting,
    folder: Folder,
    /// The rules that the folded matches are of.
    active: Option<Arc<Active>>,
    /// Records of this round.
    records: Vec<NewRecord>,
    writer: Option<Writer>,
    printer: Option<Printer>,
    redactor: Arc<Redactor>,
    metrics: Metrics,
    lost: Arc<AtomicU64>,
    held: Arc<Held>,
    /// When it was told what exceptions held back.
    held_told: Option<Instant>,
    /// Folding needs a clock that nobody sets.
    start: Instant,
    /// When folds were last looked at.
    flushed: Instant,
}

impl Worker {
    fn run(mut self, work: &Receiver<Work>) {
        loop {
            let waits = self.folder.groups() > 0
                || self.writer.as_ref().is_some_and(Writer::has_work)
                || self.lost.load(Ordering::Relaxed) > 0
                || !self.held.is_empty();
            match work.recv_timeout(if waits { FLUSH } else { IDLE }) {
                Ok(first) => {
                    self.work(first);
                    for next in work.try_iter().take(BATCH - 1) {
                        self.work(next);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.flush();
            if self.held_told.is_none_or(|told| told.elapsed() >= TELL_HELD) {
                self.tell_held();
            }
            self.write();
        }
        for fold in self.folder.drain() {
            self.keep(fold, 0);
        }
        self.tell_held();
        self.write();
        if let Some(writer) = &mut self.writer {
            writer.finish(Instant::now());
        }
    }

    /// Looks at every group, and so not at every match.
    fn flush(&mut self) {
        if self.flushed.elapsed() < FLUSH {
            return;
        }
        self.flushed = Instant::now();
        for fold in self.folder.flush(self.now()) {
            self.keep(fold, 0);
        }
        if let Some(active) = &self.active {
            self.counting.forget_now_and_then(active);
        }
    }

    /// Tells what exceptions held back.
    fn tell_held(&mut self) {
        let held = self.held.take();
        if held.is_empty() {
            return;
        }
        self.held_told = Some(Instant::now());
        if self.writer.is_some() {
            self.records.extend(held.iter().map(held_back));
        }
    }

    fn now(&self) -> Timestamp {
        let elapsed = self.start.elapsed().as_nanos();
        Timestamp(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }

    fn work(&mut self, work: Work) {
        match work {
            Work::Match(found) => self.take(found),
            Work::Lost(losses) => {
                for (cause, events) in losses {
                    if let Some(writer) = &mut self.writer {
                        writer.lose(cause, events);
                    }
                    if let Some(printer) = &self.printer {
                        printer.print(Line::Loss(Loss { cause, events }));
                    }
                }
            }
            Work::Record(record) => {
                if self.writer.is_some() {
                    self.records.push(record);
                }
            }
            // It is looked for after each round.
            Work::Held => {}
        }
    }

    fn take(&mut self, found: Found) {
        let Found { active, found, event } = found;
        if !self
            .active
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, &active))
        {
            // What was folded under the old rules goes out under their hashes.
            for fold in self.folder.drain() {
                self.keep(fold, 0);
            }
            self.counting.begin(&active);
            self.active = Some(Arc::clone(&active));
        }
        let place = found.rule;
        let rule = &active.rules[place].rule;
        let Some(detection) = self.counting.take(rule, found, event.time) else {
            return;
        };
        let record = || active.set.record(place, &event);
        if let Some(Sent { fold, first }) = self.folder.add(rule, detection, self.now(), record) {
            self.keep(fold, if first { FIRST } else { 0 });
        }
    }

    /// Prepares a fold for the spool and prints it. From here on it shows no secret.
    fn keep(&mut self, mut fold: Fold, rank: u8) {
        let Some(rule) = self
            .active
            .as_ref()
            .and_then(|active| active.find(&fold.rule_hash))
        else {
            return;
        };
        fold.rule_hash.clone_from(&rule.hash);
        let severity = rule.rule.severity_of(fold.case);
        let fold = self.redactor.fold(fold);
        self.metrics.count_redacted(fold.hidden());
        if self.writer.is_some() {
            self.records.push(spooled(&fold, rank + severity.rank()));
        } else {
            self.metrics.spooled.add(fold.get().count);
        }
        if let Some(printer) = &self.printer {
            printer.print(Line::Signal(Box::new(Signal {
                rule: rule.rule.name.clone(),
                severity,
                fold,
            })));
        }
    }

    fn write(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let groups = self.counting.take_changed();
        if let Some(writer) = &mut self.writer {
            writer.lose(QUEUE_FULL, lost);
            writer.write(std::mem::take(&mut self.records), groups, Instant::now());
        }
    }
}

/// A record of a fold that may leave the node.
fn spooled(fold: &Clean<Fold>, rank: u8) -> NewRecord {
    NewRecord {
        body: fold_to_message(fold.get()).encode_to_vec(),
        matches: fold.get().count,
        rank,
    }
}

/// A record of what an exception held back. It is the first to give way when the spool is full, and no match is lost with it.
fn held_back(excepted: &Excepted) -> NewRecord {
    let record = SpoolRecord {
        sequence: 0,
        record: Some(Record::Excepted(excepted_to_message(excepted))),
    };
    NewRecord {
        body: record.encode_to_vec(),
        matches: 0,
        rank: 0,
    }
}
