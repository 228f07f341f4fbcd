//! Findings as JSON, one object a line.

use std::io::{self, Write};

use serde_json::json;

use super::Report;

pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for finding in &report.findings {
        let object = finding
            .object
            .as_ref()
            .map(|(kind, name)| json!({"kind": kind, "name": name}));
        let line = json!({
            "file": finding.file,
            "line": finding.start.line,
            "column": finding.start.column,
            "endLine": finding.end.line,
            "endColumn": finding.end.column,
            "level": finding.level.as_str(),
            "code": finding.code,
            "object": object,
            "message": finding.message,
            "help": finding.help,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
