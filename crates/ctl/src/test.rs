//! `yagura test`: the tests that rules and checks carry, run by the engine that runs them in production.

mod junit;

use std::io::{self, Write};

use serde_json::json;
use yagura_crds::source;
use yagura_engine::testing::{run_check_tests, run_rule_tests};
use yagura_rules::Position;

use crate::args::TestOutput;
use crate::compile::{Program, compile, lists_of};
use crate::files::Source;
use crate::finding::{Finding, count};
use crate::lint;
use crate::terminal::{Style, Terminal};

/// What a run of `test` showed.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects with tests, or with something that keeps them from being tested.
    pub objects: Vec<Tested>,
    /// Mistakes for which objects could not be tested.
    pub findings: Vec<Finding>,
}

/// An object and what became of its tests.
#[derive(Debug)]
pub struct Tested {
    /// Name of the file.
    pub file: String,
    /// Kind of the object.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its tests in order.
    pub tests: Vec<Test>,
}

/// A test that ran.
#[derive(Debug)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub position: Position,
    /// Why it failed.
    pub failure: Option<String>,
}

impl Report {
    /// Whether everything could be tested and every test passed.
    pub fn passed(&self) -> bool {
        self.findings.is_empty() && self.failed() == 0
    }

    fn tests(&self) -> impl Iterator<Item = &Test> {
        self.objects.iter().flat_map(|object| &object.tests)
    }

    fn failed(&self) -> usize {
        self.tests().filter(|test| test.failure.is_some()).count()
    }
}

/// Runs the tests of every rule and check in the files.
pub fn run(sources: &[Source]) -> Report {
    let mut report = Report::default();
    let files: Vec<_> = sources
        .iter()
        .map(|source| (source, source::read(&source.name, &source.text)))
        .collect();
    let lists = lists_of(files.iter().flat_map(|(_, file)| &file.documents));
    for (source, file) in files {
        report
            .findings
            .extend(file.faults.into_iter().map(|fault| lint::of_fault(fault, source)));
        for document in &file.documents {
            let compiled = compile(source, document, &lists);
            report
                .findings
                .extend(compiled.findings.into_iter().filter(Finding::is_error));
            let outcomes = match &compiled.program {
                Some(Program::Rule(rule)) => run_rule_tests(&rule.written, &rule.lifetime, &rule.tests),
                Some(Program::Check(check, from)) => run_check_tests(check, &from.tests),
                None => continue,
            };
            let tests = outcomes.into_iter().enumerate().map(|(index, outcome)| Test {
                name: outcome.name,
                position: document.position_of(&format!("spec.tests[{index}]")),
                failure: outcome.failure.map(|failure| failure.to_string()),
            });
            report.objects.push(Tested {
                file: source.name.clone(),
                kind: document.object.kind(),
                name: document.object.name().to_owned(),
                tests: tests.collect(),
            });
        }
    }
    lint::sort(&mut report.findings);
    report
}

/// Shows a report.
pub fn write(
    report: &Report,
    output: TestOutput,
    verbose: bool,
    terminal: Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    match output {
        TestOutput::Human => write_human(report, verbose, terminal, out),
        TestOutput::Json => write_json(report, out),
        TestOutput::Junit => junit::write(report, out),
    }
}

fn write_human(report: &Report, verbose: bool, terminal: Terminal, out: &mut impl Write) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{}", lint::painted(finding, terminal))?;
    }
    for object in &report.objects {
        if object.tests.is_empty() {
            let mark = terminal.paint(Style::Doubtful, "none");
            writeln!(out, "{mark}  {} has no tests", object.name)?;
        }
        for test in &object.tests {
            let title = format!("{}: {}", object.name, test.name);
            if let Some(failure) = &test.failure {
                let Position { line, column } = test.position;
                writeln!(out, "{}  {title}", terminal.paint(Style::Bad, "FAIL"))?;
                writeln!(out, "      {}:{line}:{column}", object.file)?;
                for line in failure.lines() {
                    let indent = 6 + line.len() - line.trim_start().len();
                    writeln!(out, "{}", terminal.wrap(indent, line))?;
                }
            } else if verbose {
                writeln!(out, "{}  {title}", terminal.paint(Style::Good, "pass"))?;
            }
        }
    }
    let failed = report.failed();
    let total = report.tests().count();
    let result = format!("{} passed, {failed} failed", total - failed);
    let style = if report.passed() { Style::Good } else { Style::Bad };
    let what = format!(
        "{} of {}",
        count(total, "test"),
        count(report.objects.len(), "object")
    );
    write!(out, "{what}: {}", terminal.paint(style, &result))?;
    if !report.findings.is_empty() {
        let left_out = format!(
            "; {} kept objects from being tested",
            count(report.findings.len(), "error")
        );
        write!(out, "{}", terminal.paint(Style::Bad, &left_out))?;
    }
    writeln!(out)
}

fn write_json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for finding in &report.findings {
        let line = json!({
            "file": finding.file,
            "line": finding.start.line,
            "column": finding.start.column,
            "object": finding.object.as_ref().map(|(kind, name)| json!({"kind": kind, "name": name})),
            "test": null,
            "result": "error",
            "message": finding.message,
        });
        writeln!(out, "{line}")?;
    }
    for object in &report.objects {
        for test in &object.tests {
            let line = json!({
                "file": object.file,
                "line": test.position.line,
                "column": test.position.column,
                "object": {"kind": object.kind, "name": object.name},
                "test": test.name,
                "result": if test.failure.is_some() { "failed" } else { "passed" },
                "message": test.failure,
            });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
