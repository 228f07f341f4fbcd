//! Metrics with typed names.
//!
//! A metric is declared as a constant [`Metric`] and registered once; what comes back is the only
//! handle to write it with. Label values are static strings, so no input can grow their number.

use std::fmt::Write as _;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry as Inner;

/// The declaration of a metric with `N` labels.
#[derive(Clone, Copy, Debug)]
pub struct Metric<const N: usize = 0> {
    /// `yagura_<component>_<noun>_<unit>`, with `_total` at the end of a counter.
    pub name: &'static str,
    /// What it counts or measures, a sentence.
    pub help: &'static str,
    /// Names of its labels.
    pub labels: [&'static str; N],
}

type Labels<const N: usize> = [(&'static str, &'static str); N];
type PlainCounter = prometheus_client::metrics::counter::Counter;
type PlainGauge = prometheus_client::metrics::gauge::Gauge;
type PlainHistogram = prometheus_client::metrics::histogram::Histogram;

/// A number that only rises.
#[derive(Clone, Debug, Default)]
pub struct Counter(PlainCounter);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.inc_by(n);
    }

    /// The total so far.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A number that rises and falls.
#[derive(Clone, Debug, Default)]
pub struct Gauge(PlainGauge);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.inc_by(n);
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// A distribution.
#[derive(Clone, Debug)]
pub struct Histogram(PlainHistogram);

impl Histogram {
    /// Adds one observation, in the metric's unit.
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }
}

/// Counters of one metric by the values of its labels.
#[derive(Clone, Debug)]
pub struct CounterFamily<const N: usize = 1> {
    labels: [&'static str; N],
    family: Family<Labels<N>, PlainCounter>,
}

impl<const N: usize> CounterFamily<N> {
    /// Adds one to the counter with these label values, in the order of their declaration.
    pub fn inc(&self, values: [&'static str; N]) {
        self.add(values, 1);
    }

    /// Adds `n`; 0 makes the counter visible.
    pub fn add(&self, values: [&'static str; N], n: u64) {
        self.family.get_or_create(&self.key(values)).inc_by(n);
    }

    /// The total so far.
    pub fn get(&self, values: [&'static str; N]) -> u64 {
        self.family.get_or_create(&self.key(values)).get()
    }

    fn key(&self, values: [&'static str; N]) -> Labels<N> {
        std::array::from_fn(|index| (self.labels[index], values[index]))
    }
}

/// One line of the reference.
#[derive(Clone, Debug)]
struct Entry {
    name: &'static str,
    kind: &'static str,
    labels: Vec<&'static str>,
    help: &'static str,
}

/// Every metric of a process.
#[derive(Debug, Default)]
pub struct Registry {
    inner: Inner,
    entries: Vec<Entry>,
}

impl Registry {
    /// Registers a counter.
    pub fn counter(&mut self, metric: &Metric) -> Counter {
        let counter = Counter::default();
        self.enter(metric, "counter");
        self.inner.register(
            family_name(metric.name),
            metric.help.trim_end_matches('.'),
            counter.0.clone(),
        );
        counter
    }

    /// Registers a counter with labels.
    pub fn counters<const N: usize>(&mut self, metric: &Metric<N>) -> CounterFamily<N> {
        let family = Family::default();
        self.enter(metric, "counter");
        self.inner.register(
            family_name(metric.name),
            metric.help.trim_end_matches('.'),
            family.clone(),
        );
        CounterFamily {
            labels: metric.labels,
            family,
        }
    }

    /// Registers a gauge.
    pub fn gauge(&mut self, metric: &Metric) -> Gauge {
        let gauge = Gauge::default();
        self.enter(metric, "gauge");
        self.inner
            .register(metric.name, metric.help.trim_end_matches('.'), gauge.0.clone());
        gauge
    }

    /// Registers a histogram with the upper bounds of its buckets.
    pub fn histogram(&mut self, metric: &Metric, buckets: &[f64]) -> Histogram {
        let histogram = Histogram(PlainHistogram::new(buckets.iter().copied()));
        self.enter(metric, "histogram");
        self.inner.register(
            metric.name,
            metric.help.trim_end_matches('.'),
            histogram.0.clone(),
        );
        histogram
    }

    /// Everything in the `OpenMetrics` text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.inner)?;
        Ok(text)
    }

    /// The registered metrics as a Markdown table, sorted by name.
    pub fn reference(&self) -> String {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| entry.name);
        let mut text = "| name | type | labels | what |\n|---|---|---|---|\n".to_owned();
        for entry in entries {
            let labels: Vec<String> = entry.labels.iter().map(|name| format!("`{name}`")).collect();
            writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                entry.name,
                entry.kind,
                labels.join(", "),
                entry.help
            )
            .expect("writing to a string does not fail");
        }
        text
    }

    fn enter<const N: usize>(&mut self, metric: &Metric<N>, kind: &'static str) {
        self.entries.push(Entry {
            name: metric.name,
            kind,
            labels: metric.labels.to_vec(),
            help: metric.help,
        });
    }
}

/// The encoder adds the suffix of counters itself.
fn family_name(name: &'static str) -> &'static str {
    name.strip_suffix("_total").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{Metric, Registry};

    #[test]
    fn what_is_registered_is_encoded_and_documented() {
        let mut registry = Registry::default();
        let refused = registry.counters(&Metric {
            name: "yagura_test_refused_streams_total",
            help: "Refused.",
            labels: ["cause"],
        });
        let open = registry.gauge(&Metric {
            name: "yagura_test_open_streams",
            help: "Open.",
            labels: [],
        });
        let waited = registry.histogram(
            &Metric {
                name: "yagura_test_wait_seconds",
                help: "Waited.",
                labels: [],
            },
            &[0.1, 1.0],
        );
        refused.inc(["audience"]);
        refused.add(["audience"], 2);
        open.set(4);
        open.add(-1);
        waited.observe(0.5);

        let text = registry.encode().unwrap();
        assert!(text.contains("yagura_test_refused_streams_total{cause=\"audience\"} 3\n"));
        assert!(text.contains("yagura_test_open_streams 3\n"));
        assert!(text.contains("yagura_test_wait_seconds_bucket{le=\"1.0\"} 1\n"));
        assert_eq!(refused.get(["audience"]), 3);
        assert_eq!(
            registry.reference().lines().nth(3).unwrap(),
            "| `yagura_test_refused_streams_total` | counter | `cause` | Refused. |"
        );
    }
}
