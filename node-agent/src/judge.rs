//! Every event against every rule, on the sensor's thread.

use std::sync::Arc;

use yagura_engine::{Excepted, Scratch};
use yagura_event::{Event, EventKind};

use crate::bpf::Consumer;
use crate::metrics::Metrics;
use crate::output::{Line, Printer};
use crate::recorder::{Found, Recorder};
use crate::rules::{Reader, Rules};

/// Why a match is counted and goes no further.
pub(crate) const EXCEPTION: &str = "exception";

/// Judges events and hands matches on. Never waits.
#[derive(Debug)]
pub struct Judge {
    rules: Reader,
    scratch: Scratch,
    recorder: Recorder,
    printer: Option<Printer>,
    metrics: Metrics,
}

impl Judge {
    /// A judge by `rules`. `printer` is where executions are shown, matched or not.
    pub fn new(rules: &Rules, recorder: Recorder, printer: Option<Printer>, metrics: &Metrics) -> Self {
        Self {
            rules: rules.reader(),
            scratch: Scratch::default(),
            recorder,
            printer,
            metrics: metrics.clone(),
        }
    }
}

impl Consumer for Judge {
    fn event(&mut self, event: &Event) {
        let active = self.rules.active();
        let matches = active.set.evaluate(event, &mut self.scratch);
        let outcome = if matches.is_empty() {
            "unmatched"
        } else {
            "matched"
        };
        self.metrics.events.inc([outcome]);
        self.metrics.matches.add(matches.len() as u64);
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
