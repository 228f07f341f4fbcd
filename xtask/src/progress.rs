//! What a person sees while something takes long: one line a step, with its duration.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// Writes one line to standard output.
pub(crate) fn say(line: impl AsRef<str>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", line.as_ref())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Runs one step: a spinner with the elapsed time on a terminal, and a line with the duration when it ends.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    let spinner = std::io::stderr().is_terminal().then(|| {
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            spinner.set_style(style);
        }
        spinner.set_message(name.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(120));
        spinner
    });
    let outcome = work();
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    let mark = if outcome.is_ok() { "ok    " } else { "failed" };
    say(format!("{mark} {name} ({})", seconds(started.elapsed())))?;
    outcome.with_context(|| format!("cannot {name}"))
}

/// A duration as people say it: `0.4 s`, `12.3 s`, `3 min 5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_speech() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 5 s");
    }

    #[test]
    fn a_failed_step_names_itself_in_the_error() {
        let outcome: Result<()> = step("sharpen the knife", || anyhow::bail!("no stone"));
        assert_eq!(
            format!("{:#}", outcome.unwrap_err()),
            "cannot sharpen the knife: no stone"
        );
    }
}
