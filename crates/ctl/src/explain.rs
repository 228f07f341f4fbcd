//! `yagura explain`: which part of a rule's condition holds on an event, and which does not; and what of it a kernel program could
//! evaluate.

mod json;
mod kernel;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use yagura_crds::TestValue;
use yagura_crds::convert::text;
use yagura_engine::Excepted;
use yagura_engine::explain::{Explanation, Step, explain};
use yagura_event::{Event, Registry, Timestamp, Tree, build_recorded_event};
use yagura_rules::{ExprId, KernelPart, Part, Span, kernel_part};

use crate::args::{self, ListOutput};
use crate::files::{self, shown};
use crate::replay::events::timestamp;
use crate::rules::{self, Loaded, RulesError};
use crate::terminal::{Style, Terminal};

/// Longest event, in bytes.
const MAX_EVENT: u64 = 1 << 20;
/// What is wrong with a time.
const NO_TIME: &str = "time is neither RFC 3339 nor a number of nanoseconds";
/// Longest source text and value in a line, in characters.
const MAX_SHOWN: usize = 160;

/// A rule cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The rule cannot be read.
    #[error("nothing was explained")]
    Read(#[source] files::ReadError),
    /// The rule cannot be run.
    #[error("nothing was explained")]
    Rules(#[source] RulesError),
    /// The event cannot be read.
    #[error("cannot read {path}")]
    Event {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds no event.
    #[error("{path} holds no event: {why}")]
    NoEvent {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// Explains what the rules of a file say of an event.
pub fn run(
    args: &args::Explain,
    terminal: Terminal,
    stdin: impl Read,
    out: &mut impl Write,
) -> Result<(), ExplainError> {
    let sources = files::read(std::slice::from_ref(&args.rule), io::empty()).map_err(ExplainError::Read)?;
    let loaded = rules::load(&sources).map_err(ExplainError::Rules)?;
    let event = event(&args.event, stdin)?;
    let parts: Vec<KernelPart> = loaded.iter().map(|loaded| kernel_part(&loaded.rule)).collect();
    write(args.output, &loaded, &parts, &event, terminal, out).map_err(ExplainError::Write)
}

fn write(
    output: ListOutput,
    all: &[Loaded],
    parts: &[KernelPart],
    event: &Event,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    for (index, (loaded, part)) in all.iter().zip(parts).enumerate() {
        let explanation = explain(&loaded.rule, event);
        match output {
            ListOutput::Table => {
                let separate = if index > 0 { "\n" } else { "" };
                write!(out, "{separate}")?;
                write_one(loaded, &explanation, terminal, out)?;
                kernel::write(part, out)?;
            }
            ListOutput::Json => json::write(loaded, &explanation, part, out)?,
        }
    }
    match output {
        _ if parts.len() < 2 => Ok(()),
        ListOutput::Table => kernel::write_together(parts, out),
        ListOutput::Json => json::write_together(parts, out),
    }
}

fn event(path: &Path, stdin: impl Read) -> Result<Event, ExplainError> {
    let unreadable = |source| ExplainError::Event {
        path: shown(path),
        source,
    };
    let no_event = |why: String| ExplainError::NoEvent {
        path: shown(path),
        why: yagura_event::Text::from(why.as_str()).to_string(),
    };
    let mut content = String::new();
    if path.as_os_str() == "-" {
        stdin.take(MAX_EVENT + 1).read_to_string(&mut content)
    } else {
        File::open(path).and_then(|file| file.take(MAX_EVENT + 1).read_to_string(&mut content))
    }
    .map_err(unreadable)?;
    if content.len() as u64 > MAX_EVENT {
        return Err(no_event(format!("it is longer than {MAX_EVENT} bytes")));
    }
    // JSON is YAML, too.
    let TestValue(mut members) =
        serde_saphyr::from_str(&content).map_err(|error| no_event(error.without_snippet().to_string()))?;
    // Which kind of line it is, and when it was, as replay has it.
    if let Some(kind) = members.remove("type")
        && kind != "event"
    {
        return Err(no_event(format!("it is of type {kind}")));
    }
    let time = match members.remove("time") {
        None => Timestamp(0),
        Some(time) => timestamp(&time).ok_or_else(|| no_event(NO_TIME.to_owned()))?,
    };
    build_recorded_event(&TestValue(members).to_tree(), time).map_err(|error| no_event(error.to_string()))
}

fn write_one(
    loaded: &Loaded,
    explanation: &Explanation,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    let name = terminal.paint(Style::Name, &loaded.rule.name);
    writeln!(out, "{name}: {}", verdict(loaded, explanation))?;
    write_steps(loaded, &explanation.condition, 1, terminal, out)?;
    if !explanation.target {
        writeln!(
            out,
            "  where.target is {}: not here",
            loaded.rule.where_.target.as_str()
        )?;
    }
    match explanation.selected {
        Some(true) => {}
        Some(false) => writeln!(
            out,
            "  where: the selectors do not choose this pod, or there is none"
        )?,
        None => writeln!(out, "  where: the pod's labels are unknown")?,
    }
    for held in &explanation.exceptions {
        let mut more = "";
        if held.expired {
            more = ", expired";
        } else if !held.reaches {
            more = ", of another namespace";
        }
        writeln!(out, "  exception {}{more}", exception(loaded, held.exception))?;
        write_steps(loaded, &held.steps, 2, terminal, out)?;
    }
    Ok(())
}

/// In one line, what the engine says.
fn verdict(loaded: &Loaded, explanation: &Explanation) -> String {
    let Some(found) = &explanation.found else {
        let holds = explanation.condition.first().and_then(|step| step.value) != Some(false);
        return if holds {
            "no match: the condition holds, but `where` does not".to_owned()
        } else {
            "no match: the condition does not hold".to_owned()
        };
    };
    if let Some(which) = found.excepted {
        return format!("a match, held back by exception {}", exception(loaded, which));
    }
    if found.incomplete {
        "a match, incomplete: something unknown decides".to_owned()
    } else if found.pending {
        "a match, if the pod turns out to be chosen".to_owned()
    } else {
        "a match".to_owned()
    }
}

fn exception(loaded: &Loaded, which: Excepted) -> String {
    let name = match which {
        Excepted::Own(index) => loaded.rule.exceptions.get(index).map(|one| &one.name),
        Excepted::Joined(index) => loaded.joined.get(index),
    };
    name.cloned().unwrap_or_default()
}

fn write_steps(
    loaded: &Loaded,
    steps: &[Step],
    indent: usize,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    for step in steps {
        let (style, value) = match step.value {
            Some(true) => (Style::Good, "true   "),
            Some(false) => (Style::Bad, "false  "),
            None => (Style::Doubtful, "unknown"),
        };
        let margin = "  ".repeat(indent + step.depth);
        let source = one_line(source_of(loaded, step.expr));
        let again = if step.repeated { "  (as above)" } else { "" };
        writeln!(out, "{margin}{}  {source}{again}", terminal.paint(style, value))?;
        for (field, value) in &step.fields {
            let path = Registry::workload().field(*field).path;
            let says = match value {
                Tree::Null => "is absent".to_owned(),
                Tree::Unknown => "is unknown".to_owned(),
                Tree::Text(text) => format!("is {:?}", one_line(&text.to_string())),
                other => format!("is {}", one_line(&text(other))),
            };
            writeln!(out, "{margin}           {path} {says}")?;
        }
    }
    Ok(())
}

/// An expression as it is written.
fn source_of(loaded: &Loaded, expr: ExprId) -> &str {
    let (part, span) = loaded
        .places
        .get(expr.index())
        .copied()
        .unwrap_or((Part::Condition, Span::default()));
    with_parentheses(loaded.source.text_of(part), span)
}

/// The text of a span with the parentheses that belong to it: spans leave out those at their ends.
fn with_parentheses(text: &str, span: Span) -> &str {
    let inner = span.of(text);
    let (mut open, mut missing) = (0_usize, 0_usize);
    let mut quote = None;
    let mut escaped = false;
    for byte in inner.bytes() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(end), _) if byte == end => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(') => open += 1,
            (None, b')') if open > 0 => open -= 1,
            (None, b')') => missing += 1,
            _ => {}
        }
    }
    let (mut start, mut end) = (span.start as usize, span.end as usize);
    for _ in 0..open {
        let rest = text.get(end..).unwrap_or_default();
        let after = rest.trim_start();
        if after.starts_with(')') {
            end += rest.len() - after.len() + 1;
        }
    }
    for _ in 0..missing {
        let before = text.get(..start).unwrap_or_default().trim_end();
        if before.ends_with('(') {
            start = before.len() - 1;
        }
    }
    text.get(start..end).unwrap_or(inner)
}

/// Text in one line that is not too long.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = words.join(" ");
    if let Some((end, _)) = line.char_indices().nth(MAX_SHOWN) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parentheses_at_the_ends_of_a_span_are_shown() {
        let of = |text: &'static str, start, end| with_parentheses(text, Span::new(start, end));
        assert_eq!(of("(a || b ) && c", 1, 14), "(a || b ) && c");
        assert_eq!(of("!( a || b ) && c", 0, 9), "!( a || b )");
        assert_eq!(of("a == \"(\" && b", 0, 8), "a == \"(\"");
        assert_eq!(of("(a)", 1, 2), "a");
        assert_eq!(of("a", 0, 9), "");
    }
}
