//! `yagura lint`: every mistake in every object, with its place.

mod exceptions;
mod json;
mod marks;
mod sarif;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};

use yagura_crds::source::{self, Document, Fault, Object};
use yagura_rules::{Level, Position};

use crate::args::LintOutput;
use crate::compile::{compile, lists_of};
use crate::files::Source;
use crate::finding::{Counts, Finding, count};
use crate::terminal::{Style, Terminal};

/// What a run of `lint` found.
#[derive(Debug, Default)]
pub struct Report {
    /// Files that were read.
    pub files: usize,
    /// Objects in them that could be understood.
    pub objects: usize,
    /// What is wrong, by file and place.
    pub findings: Vec<Finding>,
}

/// Checks every object of the files, and how they refer to each other.
pub fn check(sources: &[Source]) -> Report {
    let mut report = Report {
        files: sources.len(),
        ..Report::default()
    };
    let mut references = References::default();
    let files: Vec<_> = sources
        .iter()
        .map(|source| (source, source::read(&source.name, &source.text)))
        .collect();
    let documents = || files.iter().flat_map(|(_, file)| &file.documents);
    let lists = lists_of(documents());
    let rules = exceptions::Rules::of(documents().map(|document| &document.object), &lists);
    let all = files
        .iter()
        .flat_map(|(source, file)| file.documents.iter().map(move |document| (*source, document)));
    report.findings.extend(marks::check(all, &lists));
    for (source, file) in files {
        report
            .findings
            .extend(file.faults.into_iter().map(|fault| of_fault(fault, source)));
        report.objects += file.documents.len();
        for document in &file.documents {
            report.findings.extend(compile(source, document, &lists).findings);
            report.findings.extend(rules.check(source, document, &lists));
            references.add(source, document, &mut report.findings);
        }
    }
    references.finish(&mut report.findings);
    sort(&mut report.findings);
    report
}

/// Brings findings into the order of files and lines.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (&a.file, a.start, &a.code).cmp(&(&b.file, b.start, &b.code)));
}

/// A fault in the shape of a file as a finding.
pub fn of_fault(fault: Fault, source: &Source) -> Finding {
    located(source, fault.position, Level::Error, None, fault.message, None)
}

/// A finding about an object for which it is refused.
pub fn of_object(source: &Source, position: Position, document: &Document, message: String) -> Finding {
    let object = (
        document.object.kind().to_owned(),
        document.object.name().to_owned(),
    );
    located(source, position, Level::Error, Some(object), message, None)
}

/// A finding that the files alone cannot decide.
fn doubt(source: &Source, position: Position, document: &Document, message: String, help: &str) -> Finding {
    let object = (
        document.object.kind().to_owned(),
        document.object.name().to_owned(),
    );
    located(
        source,
        position,
        Level::Warning,
        Some(object),
        message,
        Some(help.to_owned()),
    )
}

/// A finding about a place rather than about a span of a condition.
fn located(
    source: &Source,
    position: Position,
    level: Level,
    object: Option<(String, String)>,
    message: String,
    help: Option<String>,
) -> Finding {
    let line = source
        .text
        .lines()
        .nth(position.line as usize - 1)
        .unwrap_or_default();
    let shown: String = line.chars().take(100).collect();
    let shown = yagura_event::Text::from(shown.as_str()).to_string();
    let number = position.line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat((position.column as usize - 1).min(100));
    let mut rendered = format!(
        "{}: {message}\n{margin}--> {}:{}:{}\n{margin} |\n{number} | {shown}\n{margin} | {indent}^\n",
        level.as_str(),
        source.name,
        position.line,
        position.column,
    );
    if let Some(help) = &help {
        writeln!(rendered, "{margin} = help: {help}").expect("a string takes everything");
    }
    Finding {
        file: source.name.clone(),
        start: position,
        end: position,
        level,
        code: None,
        object,
        message,
        help,
        rendered,
    }
}

/// Names that objects have and names that they refer to.
#[derive(Default)]
struct References<'a> {
    seen: BTreeMap<(&'static str, String), (String, Position)>,
    checks: BTreeSet<String>,
    wanted: Vec<(&'a Source, Position, String, String)>,
}

impl<'a> References<'a> {
    fn add(&mut self, source: &'a Source, document: &Document, findings: &mut Vec<Finding>) {
        let exception = document.object.as_exception();
        let namespace = exception.and_then(|exception| exception.namespace);
        let name = match (namespace, document.object.name()) {
            (Some(namespace), name) => format!("{namespace}/{name}"),
            (None, name) => name.to_owned(),
        };
        let kind = document.object.kind();
        let position = document.position_of("metadata.name");
        if let Some((file, first)) = self.seen.get(&(kind, name.clone())) {
            findings.push(located(
                source,
                position,
                Level::Error,
                Some((kind.to_owned(), name.clone())),
                format!(
                    "{kind} {name} is at {file}:{}:{} already",
                    first.line, first.column
                ),
                Some("the one that is applied last would win: give one of them another name".to_owned()),
            ));
        } else {
            self.seen
                .insert((kind, name.clone()), (source.name.clone(), position));
        }
        match &document.object {
            Object::DetectionRule(_)
            | Object::Exception(_)
            | Object::ClusterException(_)
            | Object::ValueList(_) => {}
            Object::PostureCheck(_) => {
                self.checks.insert(name);
            }
            Object::PostureFramework(framework) => {
                for (r, requirement) in framework.spec.requirements.iter().enumerate() {
                    for (c, control) in requirement.controls.iter().enumerate() {
                        for (k, check) in control.checks.iter().enumerate() {
                            let path = format!("spec.requirements[{r}].controls[{c}].checks[{k}].name");
                            let position = document.position_of(&path);
                            self.wanted
                                .push((source, position, name.clone(), check.name.clone()));
                        }
                    }
                }
            }
        }
    }

    /// A check that is not among the files may be in the cluster already: a doubt, no mistake.
    fn finish(self, findings: &mut Vec<Finding>) {
        for (source, position, framework, check) in self.wanted {
            if !self.checks.contains(&check) {
                findings.push(located(
                    source,
                    position,
                    Level::Warning,
                    Some(("PostureFramework".to_owned(), framework)),
                    format!("no PostureCheck {check} is among these files"),
                    Some("name its file or folder, too, or see that the cluster has it".to_owned()),
                ));
            }
        }
    }
}

/// Shows a report.
pub fn write(
    report: &Report,
    output: LintOutput,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    match output {
        LintOutput::Human => write_human(report, terminal, out),
        LintOutput::Json => json::write(report, out),
        LintOutput::Sarif => sarif::write(report, out),
    }
}

fn write_human(report: &Report, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{}", painted(finding, terminal))?;
    }
    let Counts { errors, warnings } = Counts::of(&report.findings);
    let what = format!(
        "{} in {}",
        count(report.objects, "object"),
        count(report.files, "file")
    );
    let found = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    let style = match (errors, warnings) {
        (0, 0) => Style::Good,
        (0, _) => Style::Doubtful,
        _ => Style::Bad,
    };
    writeln!(out, "{what}: {}", terminal.paint(style, &found))
}

/// The finding with its first words in colour.
pub fn painted(finding: &Finding, terminal: Terminal) -> String {
    let style = if finding.is_error() {
        Style::Bad
    } else {
        Style::Doubtful
    };
    match finding.rendered.split_once(':') {
        Some((head, rest)) => format!("{}:{rest}", terminal.paint(style, head)),
        None => finding.rendered.clone(),
    }
}
