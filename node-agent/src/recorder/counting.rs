//! What rules count over time on this node, carried over restarts and changes of the rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use yagura_engine::{Changed, Detection, Detector, Match, Place};
use yagura_event::Timestamp;
use yagura_rules::Rule;
use yagura_telemetry::chain;

use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::rules::Active;

/// How often it is looked for what no match can belong to any more.
const FORGET: Duration = Duration::from_mins(1);

/// Counts matches until they are detections.
pub(super) struct Counting {
    detector: Detector,
    journal: Option<Journal>,
    metrics: Metrics,
    /// What the last process had counted, until the first rules are known.
    kept: Vec<Changed>,
    /// Time of the newest match.
    newest: Timestamp,
    forgotten: Instant,
}

impl Counting {
    pub(super) fn new(journal: Option<Journal>, metrics: Metrics) -> Self {
        let kept = journal.as_ref().map(Journal::kept_groups).transpose();
        let kept = kept.unwrap_or_else(|error| {
            tracing::error!(
                error = %chain(&error),
                "what rules had counted cannot be read: they begin anew"
            );
            None
        });
        Self {
            detector: if journal.is_some() {
                Detector::kept(Place::Node)
            } else {
                Detector::new(Place::Alone)
            },
            journal,
            metrics,
            kept: kept.unwrap_or_default(),
            newest: Timestamp(0),
            forgotten: Instant::now(),
        }
    }

    /// Goes on with other rules: those that count what they counted before keep it.
    pub(super) fn begin(&mut self, active: &Active) {
        self.detector
            .restore(rules(active), std::mem::take(&mut self.kept));
        self.forget(active);
        let Some(journal) = &self.journal else { return };
        let detects = rules(active).filter_map(|rule| rule.detect.as_ref());
        let states: Vec<&str> = detects.map(|detect| detect.state.as_str()).collect();
        if let Err(error) = journal.keep_states(&states) {
            tracing::warn!(error = %chain(&error), "what rules counted that are gone cannot be removed from the spool");
        }
    }

    /// Takes a match. Gives the detection that it completes.
    pub(super) fn take(&mut self, rule: &Rule, found: Match, time: Timestamp) -> Option<Detection> {
        self.newest = self.newest.max(time);
        let detection = self.detector.take(rule, found, time);
        if rule.detect.is_some() {
            let tally = self.detector.take_tally();
            self.metrics.window_taken.add(tally.taken);
            self.metrics.window_told.add(tally.told);
            self.metrics.window_left_out.add(tally.left_out);
            self.metrics.window_evicted.add(tally.evicted);
            self.metrics.window_evicted_values.add(tally.evicted_values);
        }
        detection
    }

    /// What changed since this was asked last, to be written with what came of it.
    pub(super) fn take_changed(&mut self) -> Vec<Changed> {
        let groups = i64::try_from(self.detector.groups()).unwrap_or(i64::MAX);
        self.metrics.window_groups.set(groups);
        self.detector.take_changed()
    }

    /// Forgets what no match can belong to any more, once a minute.
    pub(super) fn forget_now_and_then(&mut self, active: &Active) {
        if self.forgotten.elapsed() >= FORGET {
            self.forget(active);
        }
    }

    fn forget(&mut self, active: &Active) {
        self.forgotten = Instant::now();
        self.detector.forget(rules(active), self.newest);
    }
}

fn rules(active: &Active) -> impl Iterator<Item = &Rule> {
    active.rules.iter().map(|rule| Arc::as_ref(&rule.rule))
}
