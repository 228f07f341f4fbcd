//! Results as `JUnit` XML, as build servers read it: a suite for each object, a case for each test.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Report;

pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="yagura" tests="{}" failures="{}" errors="{}">"#,
        report.tests().count() + report.findings.len(),
        report.failed(),
        report.findings.len(),
    )?;
    if !report.findings.is_empty() {
        let number = report.findings.len();
        writeln!(
            out,
            r#"  <testsuite name="objects" tests="{number}" failures="0" errors="{number}">"#
        )?;
        for finding in &report.findings {
            let name = finding
                .object
                .as_ref()
                .map_or(finding.file.as_str(), |(_, name)| name);
            let place = format!("{}:{}:{}", finding.file, finding.start.line, finding.start.column);
            writeln!(
                out,
                r#"    <testcase classname="objects" name="{}">"#,
                escape(name)
            )?;
            let message = escape(&finding.message);
            writeln!(
                out,
                r#"      <error message="{message}">{}</error>"#,
                escape(&place)
            )?;
            writeln!(out, "    </testcase>")?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    for object in &report.objects {
        let failed = object.tests.iter().filter(|test| test.failure.is_some()).count();
        let name = escape(&object.name);
        let number = object.tests.len();
        writeln!(
            out,
            r#"  <testsuite name="{name}" tests="{number}" failures="{failed}" errors="0">"#
        )?;
        for test in &object.tests {
            let case = format!(
                r#"    <testcase classname="{name}" name="{}""#,
                escape(&test.name)
            );
            match &test.failure {
                None => writeln!(out, "{case}/>")?,
                Some(failure) => {
                    let place = format!("{}:{}:{}", object.file, test.position.line, test.position.column);
                    writeln!(out, "{case}>")?;
                    let failure = escape(failure);
                    writeln!(
                        out,
                        r#"      <failure message="{failure}">{}</failure>"#,
                        escape(&place)
                    )?;
                    writeln!(out, "    </testcase>")?;
                }
            }
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

/// Text in an attribute or element: markup escaped, and characters that XML 1.0 cannot hold replaced.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => write!(escaped, "&#{};", c as u32).expect("a string takes everything"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn hostile_names_stay_text() {
        assert_eq!(
            escape("\"><x a='&'>\n\u{1b}é"),
            "&quot;&gt;&lt;x a='&amp;'&gt;&#10;\u{fffd}é"
        );
    }
}
