//! Every event against every rule, on the sensor's thread.

use std::sync::Arc;

use yagura_engine::{Excepted, Memory};
use yagura_event::{Event, EventKind};

use crate::bpf::Consumer;
use crate::metrics::Metrics;
use crate::output::{Line, Printer};
use crate::recorder::{Found, Recorder};
use crate::rules::{Reader, Rules};

/// Why a match is counted and goes no further.
pub(crate) const EXCEPTION: &str = "exception";
/// The same of rules that only mark.
pub(crate) const SILENT: &str = "silent";

/// Judges events and hands matches on. Never waits.
#[derive(Debug)]
pub struct Judge {
    rules: Reader,
    memory: Memory,
    recorder: Recorder,
    printer: Option<Printer>,
    metrics: Metrics,
}

impl Judge {
    /// A judge by `rules`. `printer` is where executions are shown, matched or not.
    pub fn new(rules: &Rules, recorder: Recorder, printer: Option<Printer>, metrics: &Metrics) -> Self {
        Self {
            rules: rules.reader(),
            memory: Memory::default(),
            recorder,
            printer,
            metrics: metrics.clone(),
        }
    }
}

impl Consumer for Judge {
    fn event(&mut self, event: &Event) {
        let active = self.rules.active();
        let matches = active.set.evaluate(event, &mut self.memory);
        let outcome = if matches.is_empty() {
            "unmatched"
        } else {
            "matched"
        };
        self.metrics.events.inc([outcome]);
        self.metrics.matches.add(matches.len() as u64);
        self.metrics.count_marks(&mut self.memory);
        let mut shared = None;
        for found in matches {
            if let Some(excepted) = found.excepted {
                self.metrics.suppressed.inc([EXCEPTION]);
                if let Excepted::Joined(place) = excepted {
                    let rule = &active.rules[found.rule].rule;
                    self.recorder
                        .hold_back(&rule.uid, &rule.joined[place].uid, event.time);
                }
                continue;
            }
            if active.rules[found.rule].rule.silent {
                self.metrics.suppressed.inc([SILENT]);
                continue;
            }
            let event = shared.get_or_insert_with(|| Arc::new(event.clone()));
            self.recorder.record(Found {
                active: Arc::clone(active),
                found,
                event: Arc::clone(event),
            });
        }
        if let Some(printer) = &self.printer
            && event.kind == EventKind::ProcessExec
        {
            printer.print(Line::Event(event.clone()));
        }
    }
}
