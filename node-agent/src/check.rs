//! `yagura-agent check`: prints what would run on this machine and what would not.

use std::io::{self, Write};

use serde_json::json;

use crate::{
    args::OutputFormat,
    preflight::{Finding, Report, Verdict},
};

/// Writes a report, as a table for people or as one JSON object a line.
pub fn write(report: &Report, format: OutputFormat, out: &mut impl Write) -> io::Result<()> {
    match format {
        OutputFormat::Table => table(report, out),
        OutputFormat::Json => report.findings.iter().try_for_each(|finding| {
            let line = json!({
                "subject": finding.subject,
                "verdict": finding.verdict.as_str(),
                "detail": finding.detail,
                "advice": finding.advice,
            });
            writeln!(out, "{line}")
        }),
    }
}

fn table(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let width = |of: fn(&Finding) -> usize| report.findings.iter().map(of).max().unwrap_or(0);
    let subject = width(|finding| finding.subject.len());
    let verdict = width(|finding| finding.verdict.as_str().len());
    for finding in &report.findings {
        writeln!(
            out,
            "{:<subject$}  {:<verdict$}  {}",
            finding.subject,
            finding.verdict.as_str(),
            finding.detail
        )?;
        if let Some(advice) = finding.advice {
            writeln!(out, "{:subject$}  {:verdict$}  → {advice}", "", "")?;
        }
    }
    let conclusion = match report.verdict() {
        Verdict::Good => "The agent runs here and sees everything.",
        Verdict::Degraded => "The agent runs here, with the limits named above.",
        Verdict::Blocking => "The agent does not run here; the reasons are named above.",
    };
    writeln!(out, "\n{conclusion}")
}

#[cfg(test)]
mod tests {
    use super::{Finding, OutputFormat, Report, Verdict, write};

    fn printed(format: OutputFormat) -> String {
        let report = Report {
            findings: vec![
                Finding {
                    subject: "btf".to_owned(),
                    verdict: Verdict::Good,
                    detail: "has every type".to_owned(),
                    advice: None,
                },
                Finding {
                    subject: "capabilities.CAP_BPF".to_owned(),
                    verdict: Verdict::Blocking,
                    detail: "is missing".to_owned(),
                    advice: Some("add BPF"),
                },
            ],
        };
        let mut out = Vec::new();
        write(&report, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_ends_with_what_it_means() {
        assert_eq!(
            printed(OutputFormat::Table),
            "\
btf                   ok        has every type
capabilities.CAP_BPF  blocking  is missing
                                → add BPF

The agent does not run here; the reasons are named above.
"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let text = printed(OutputFormat::Json);
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .collect::<Vec<_>>();
        assert_eq!(lines[1]["verdict"], "blocking");
        assert_eq!(lines[0]["advice"], serde_json::Value::Null);
    }
}
