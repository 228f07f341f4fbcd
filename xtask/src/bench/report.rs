//! Figures and how they are shown: a table for people, one JSON line a figure for programs.

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::progress::say;

/// One measured value beside the bar it is held to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// What was measured, in the form `exec-to-output-p99`.
    pub(crate) name: &'static str,
    /// The value.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The highest value that is good enough, or the lowest where more is better; `null` when none is asked for.
    pub(crate) bar: Option<f64>,
    /// Whether it is; `null` also when the 95 % interval is wider than the bar, so that nothing is resolved.
    pub(crate) holds: Option<bool>,
    /// What the value is compared with, or the half width of its interval, in words.
    pub(crate) baseline: String,
}

impl Figure {
    /// A figure that holds when it is at most `bar`.
    pub(crate) fn at_most(
        name: &'static str,
        value: f64,
        unit: &'static str,
        bar: f64,
        baseline: String,
    ) -> Self {
        Self {
            name,
            value,
            unit,
            bar: Some(bar),
            holds: Some(value <= bar),
            baseline,
        }
    }

    /// A figure that holds when it is at least `bar`.
    pub(crate) fn at_least(
        name: &'static str,
        value: f64,
        unit: &'static str,
        bar: f64,
        baseline: String,
    ) -> Self {
        Self {
            holds: Some(value >= bar),
            ..Self::at_most(name, value, unit, bar, baseline)
        }
    }

    /// A figure that is shown beside others and held to nothing.
    pub(crate) fn plain(name: &'static str, value: f64, unit: &'static str, baseline: String) -> Self {
        Self {
            bar: None,
            holds: None,
            ..Self::at_most(name, value, unit, 0.0, baseline)
        }
    }

    /// A figure with an interval of `half_width` around it: not resolved when that is wider than the bar.
    pub(crate) fn resolved(self, half_width: f64) -> Self {
        let resolved = self.bar.filter(|bar| half_width <= *bar);
        Self {
            holds: resolved.map(|bar| self.value <= bar),
            ..self
        }
    }
}

/// Writes figures as a table or as JSON lines.
pub(crate) fn show(figures: &[Figure], json: bool) -> Result<()> {
    if json {
        return figures.iter().try_for_each(|figure| {
            say(serde_json::to_string(figure).context("cannot write a figure as JSON")?)
        });
    }
    say(format!(
        "{:<26} {:>10} {:<12} {:>7}  {:<13} {}",
        "FIGURE", "VALUE", "UNIT", "BAR", "HOLDS", "AGAINST"
    ))?;
    figures.iter().try_for_each(|figure| {
        let holds = match figure.holds {
            Some(true) => "yes",
            Some(false) => "no",
            None if figure.bar.is_none() => "",
            None => "not resolved",
        };
        let bar = figure.bar.map_or_else(String::new, |bar| bar.to_string());
        say(format!(
            "{:<26} {:>10.2} {:<12} {bar:>7}  {holds:<13} {}",
            figure.name, figure.value, figure.unit, figure.baseline
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_figure_with_an_interval_wider_than_its_bar_is_not_resolved() {
        let figure = Figure::at_most("storm", 1.0, "%", 3.0, String::new());
        assert_eq!(figure.clone().resolved(0.5).holds, Some(true));
        assert_eq!(figure.clone().resolved(4.0).holds, None);
        assert_eq!(Figure { value: 3.5, ..figure }.resolved(0.5).holds, Some(false));
    }

    #[test]
    fn more_is_better_where_a_bar_is_the_least() {
        let rate = |value| Figure::at_least("rate", value, "/s", 10.0, String::new()).holds;
        assert_eq!((rate(9.0), rate(10.0)), (Some(false), Some(true)));
    }
}
