//! Standard output: a thread of its own, so that a slow reader never holds up detection.

mod json;
mod table;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use tokio_util::sync::CancellationToken;
use yagura_event::{Event, FieldId, Fold, Record, Registry, Severity, Timestamp};

use crate::args::OutputFormat;
use crate::metrics::Metrics;
use crate::redact::{Clean, Redactor};

/// Lines that may wait: two seconds of a busy node, at about 1 KiB each.
const QUEUE: usize = 4_096;

/// What a line is about.
#[derive(Clone, Debug)]
pub enum Line {
    /// Something happened; no rule need have matched.
    Event(Event),
    /// A rule matched, once or several times.
    Signal(Box<Signal>),
    /// Events were lost before any rule saw them.
    Loss(Loss),
    /// Nobody watched this node before.
    Gap(Gap),
}

/// Events that no rule has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub cause: &'static str,
    /// How many.
    pub events: u64,
}

/// A time without an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last sign of the agent before.
    pub since: Timestamp,
    /// The start of this one.
    pub until: Timestamp,
    /// What explains it.
    pub explanation: Option<String>,
}

/// A fold with what a person wants to know of its rule.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Name of the rule.
    pub rule: String,
    /// How urgent it is.
    pub severity: Severity,
    /// The matches.
    pub fold: Clean<Fold>,
}

/// Hands lines to the thread that prints them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Printer {
    lines: SyncSender<Line>,
    metrics: Metrics,
}

impl Printer {
    /// Starts the thread. `closed` is cancelled when nobody reads any more. The thread ends when
    /// the last printer is dropped and every line was written.
    pub fn start(
        format: OutputFormat,
        redactor: Arc<Redactor>,
        metrics: &Metrics,
        closed: CancellationToken,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = sync_channel(QUEUE);
        let style = Style {
            format,
            colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            width: table::terminal_width(),
        };
        let view = View::new(format, redactor, metrics.clone());
        let thread = thread::Builder::new().name("output".to_owned()).spawn(move || {
            if let Err(error) = print(&receiver, &view, style, &mut io::stdout().lock())
                && error.kind() != io::ErrorKind::BrokenPipe
            {
                tracing::error!(%error, "cannot write to standard output");
            }
            closed.cancel();
        })?;
        let printer = Self {
            lines: sender,
            metrics: metrics.clone(),
        };
        Ok((printer, thread))
    }

    /// Prints a line, or counts that there was no room for it.
    pub fn print(&self, line: Line) {
        match self.lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(line) | TrySendError::Disconnected(line)) => {
                let kind = match line {
                    Line::Event(_) => "event",
                    Line::Signal(_) => "signal",
                    Line::Loss(_) => "loss",
                    Line::Gap(_) => "gap",
                };
                self.metrics.lines_dropped.inc([kind]);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Style {
    format: OutputFormat,
    colour: bool,
    width: usize,
}

/// What may be shown of a line.
#[derive(Debug)]
enum Shown {
    Event(Clean<Record>),
    Signal(Box<Signal>),
    Loss(Loss),
    Gap(Gap),
}

/// Makes lines fit to be shown.
#[derive(Debug)]
struct View {
    redactor: Arc<Redactor>,
    metrics: Metrics,
    /// Fields of an event beyond those that are always shown.
    fields: Vec<FieldId>,
}

impl View {
    fn new(format: OutputFormat, redactor: Arc<Redactor>, metrics: Metrics) -> Self {
        let registry = Registry::workload();
        let fields = match format {
            OutputFormat::Table => registry.find("process.args").into_iter().collect(),
            OutputFormat::Json => registry.fields().map(|(id, _)| id).collect(),
        };
        Self {
            redactor,
            metrics,
            fields,
        }
    }

    /// An event has not been through the redactor yet, a signal's fold has.
    fn of(&self, line: Line) -> Shown {
        match line {
            Line::Event(event) => {
                let record = Registry::workload().record(&event, &self.fields);
                let record = self.redactor.record(record);
                self.metrics.count_redacted(record.hidden());
                Shown::Event(record)
            }
            Line::Signal(signal) => Shown::Signal(signal),
            Line::Loss(loss) => Shown::Loss(loss),
            Line::Gap(gap) => Shown::Gap(gap),
        }
    }
}

fn print(lines: &Receiver<Line>, view: &View, style: Style, out: &mut impl Write) -> io::Result<()> {
    if style.format == OutputFormat::Table {
        table::header(style.colour, out)?;
    }
    out.flush()?;
    let mut buffer = Vec::new();
    while let Ok(first) = lines.recv() {
        let mut line = Some(first);
        // Whatever waits goes out in one write.
        while let Some(next) = line.take() {
            let next = view.of(next);
            match style.format {
                OutputFormat::Table => table::line(&next, style.colour, style.width, &mut buffer)?,
                OutputFormat::Json => json::line(&next, &mut buffer)?,
            }
            if buffer.len() < 64 << 10 {
                line = lines.try_recv().ok();
            }
        }
        out.write_all(&buffer)?;
        out.flush()?;
        buffer.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
