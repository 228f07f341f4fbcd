//! Lines for people: one a signal or execution, as wide as the terminal, whatever bytes are in it.

use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::Timestamp as Instant;
use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;
use yagura_event::{Record, Severity, Text, Timestamp, Tree};

use super::{Gap, Shown, Signal};

/// Columns of a line where the output is no terminal, and of the narrowest one.
pub(super) const WIDTH: usize = 80;

/// No line is wider, whatever the terminal says.
const MAX_WIDTH: usize = 400;

const RULE_WIDTH: usize = 24;
const RESET: &str = "\x1b[0m";

pub(super) fn header(colour: bool, out: &mut impl Write) -> io::Result<()> {
    let (bold, reset) = if colour { ("\x1b[1m", RESET) } else { ("", "") };
    writeln!(
        out,
        "{bold}{:<8} {:<8} {:<RULE_WIDTH$} {:>5} WHAT{reset}",
        "TIME", "SEVERITY", "RULE", "COUNT"
    )
}

pub(super) fn line(line: &Shown, colour: bool, width: usize, out: &mut impl Write) -> io::Result<()> {
    let (paint, text) = match line {
        Shown::Signal(signal) => (paint(signal.severity), of_signal(signal, width)),
        Shown::Event(event) => ("\x1b[2m", of_event(event.get(), width)),
        Shown::Loss(loss) => {
            let text = format!(
                "{} events were lost before any rule saw them: {}",
                loss.events, loss.cause
            );
            ("\x1b[33m", cut(&format!("-------- {text}"), width))
        }
        Shown::Gap(gap) => ("\x1b[33m", cut(&of_gap(gap), width)),
    };
    if colour {
        writeln!(out, "{paint}{text}{RESET}")
    } else {
        writeln!(out, "{text}")
    }
}

fn of_signal(signal: &Signal, width: usize) -> String {
    let rule = cut(&escape(&signal.rule), RULE_WIDTH);
    let fold = signal.fold.get();
    let line = format!(
        "{} {:<8} {rule:<RULE_WIDTH$} {:>5} {}",
        clock(fold.last),
        signal.severity.as_str(),
        fold.count,
        escape(&fold.title),
    );
    cut(&line, width)
}

fn of_gap(gap: &Gap) -> String {
    let seconds = gap.until.since(gap.since).max(0) / 1_000_000_000;
    let why = match &gap.explanation {
        Some(explanation) => format!(" ({})", escape(explanation)),
        None => String::new(),
    };
    format!("{} nobody watched for {seconds} s before{why}", clock(gap.until))
}

/// An execution has no rule: its process and arguments take the space.
fn of_event(event: &Record, width: usize) -> String {
    let pid = match event.fields.at("process.pid") {
        Some(Tree::Int(pid)) => *pid,
        _ => 0,
    };
    let text = |path: &str| match event.fields.at(path) {
        Some(Tree::Text(text)) => Some(text),
        _ => None,
    };
    let nothing = Text::default();
    let program = text("process.executable")
        .or_else(|| text("process.name"))
        .unwrap_or(&nothing);
    let mut line = format!("{} exec     {pid:>7} {program}", clock(event.time));
    let args = match event.fields.at("process.args") {
        Some(Tree::List(args)) => args.as_slice(),
        _ => &[],
    };
    for arg in args {
        let Tree::Text(arg) = arg else { continue };
        // Bytes are no fewer than columns; what is beyond is cut anyway.
        if line.len() > 4 * width {
            break;
        }
        write!(line, " {arg}").expect("writing to a string does not fail");
    }
    cut(&line, width)
}

/// Titles and names hold bytes of containers. What is already escaped stays as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    yagura_event::text::write_escaped(text.as_bytes(), &mut escaped)
        .expect("writing to a string does not fail");
    escaped
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width - 1).collect();
    cut.push('…');
    cut
}

/// Columns of the terminal that standard output is, if it is one.
pub(super) fn terminal_width() -> usize {
    let columns = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    columns.clamp(WIDTH, MAX_WIDTH)
}

fn clock(time: Timestamp) -> String {
    Instant::from_nanosecond(i128::from(time.0)).map_or_else(
        |_out_of_range| "--:--:--".to_owned(),
        |time| time.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string(),
    )
}

fn paint(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "\x1b[1;31m",
        Severity::High => "\x1b[31m",
        Severity::Medium => "\x1b[33m",
        Severity::Low => "\x1b[36m",
        Severity::Info => "",
    }
}
