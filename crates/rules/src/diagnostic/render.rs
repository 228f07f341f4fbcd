//! Diagnostics as compilers show them.

use yagura_event::Text;

use super::{Diagnostic, Origin, Position};

/// Longest piece of a line that is shown, in characters.
const SHOWN: usize = 100;

/// The diagnostic with the line it is about and a mark below the place.
///
/// `name` is the file's name or the object's, `text` the part that the diagnostic counts from, `origin` where
/// that part stands in the file.
pub fn render(diagnostic: &Diagnostic, name: &str, text: &str, origin: &Origin) -> String {
    let place = origin.locate(text, diagnostic.span.start);
    let within = Position::of(text, diagnostic.span.start);
    let line = text.lines().nth(within.line as usize - 1).unwrap_or_default();
    let column = within.column as usize - 1;
    let marked = diagnostic
        .span
        .of(text)
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        .max(1);

    // A line of 64 KiB is shown around the place only.
    let skip = if column > SHOWN - 20 { column - 20 } else { 0 };
    let shown: String = line.chars().skip(skip).take(SHOWN).collect();
    let escaped = Text::from(shown.as_str()).to_string();
    let prefix: String = shown.chars().take(column - skip).collect();
    let indent = Text::from(prefix).to_string().chars().count();

    let gutter = place.line.to_string();
    let margin = " ".repeat(gutter.len());
    let mark = "^".repeat(marked.min(SHOWN.saturating_sub(column - skip)).max(1));
    let mut out = format!(
        "{level}[{code}]: {message}\n{margin}--> {name}:{line_number}:{column_number}\n{margin} |\n\
         {gutter} | {escaped}\n{margin} | {indent}{mark}",
        level = diagnostic.level().as_str(),
        code = diagnostic.code,
        message = diagnostic.message,
        line_number = place.line,
        column_number = place.column,
        indent = " ".repeat(indent),
    );
    if let Some(help) = &diagnostic.help {
        out.extend(["\n", &margin, " = help: ", help]);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Part, Span};

    fn diagnostic(start: usize, end: usize) -> Diagnostic {
        Diagnostic {
            code: Code::UNKNOWN_FIELD,
            part: Part::Condition,
            span: Span::new(start, end),
            message: "unknown field process.nmae".to_owned(),
            help: Some("did you mean process.name?".to_owned()),
        }
    }

    #[test]
    fn the_place_is_shown_and_marked() {
        let text = "true &&\n  process.nmae == \"sh\"";
        let origin = Origin::at(7, 5);
        assert_eq!(
            render(&diagnostic(10, 22), "rule.yaml", text, &origin),
            "error[Y0021]: unknown field process.nmae\n \
             --> rule.yaml:8:7\n  \
              |\n\
             8 |   process.nmae == \"sh\"\n  \
              |   ^^^^^^^^^^^^\n  \
              = help: did you mean process.name?\n"
        );
    }

    #[test]
    fn a_hostile_line_stays_short_and_harmless() {
        let text = format!("{}\u{1b}[2J", "x".repeat(60_000));
        let shown = render(
            &diagnostic(60_000, 60_004),
            "rule.yaml",
            &text,
            &Origin::default(),
        );
        assert!(shown.len() < 500);
        assert!(!shown.contains('\u{1b}'));
    }
}
