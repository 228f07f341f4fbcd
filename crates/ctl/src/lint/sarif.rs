//! Findings as SARIF 2.1.0 (OASIS Static Analysis Results Interchange Format), for editors and code hosts.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Value, json};
use yagura_rules::CATALOGUE;

use super::Report;
use crate::finding::Finding;

/// Findings about the shape of a file have no code of the language.
const SHAPE: &str = "file";

pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let mut rules = vec![json!({
        "id": SHAPE,
        "shortDescription": {"text": "The file does not hold what it should."},
    })];
    rules.extend(CATALOGUE.iter().map(|entry| {
        json!({
            "id": entry.code.to_string(),
            "shortDescription": {"text": entry.meaning},
            "help": {"text": entry.help},
        })
    }));
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "yagura",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": report.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn result(finding: &Finding) -> Value {
    let text = match &finding.help {
        Some(help) => format!("{} ({help})", finding.message),
        None => finding.message.clone(),
    };
    json!({
        "ruleId": finding.code.as_deref().unwrap_or(SHAPE),
        "level": finding.level.as_str(),
        "message": {"text": text},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&finding.file)},
            "region": {
                "startLine": finding.start.line,
                "startColumn": finding.start.column,
                "endLine": finding.end.line,
                "endColumn": finding.end.column,
            },
        }}],
    })
}

/// A path as a relative URI reference, or as a `file:` URI when it is absolute (RFC 3986: what is neither unreserved
/// nor `/` is escaped).
fn uri(path: &str) -> String {
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a string takes everything");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("rules/a b.yaml"), "rules/a%20b.yaml");
        assert_eq!(uri("/srv/é.yaml"), "file:///srv/%C3%A9.yaml");
    }
}
