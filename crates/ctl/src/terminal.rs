//! How text reaches a person: colour where it is wanted, lines of a width that fits.

/// How standard output looks to whoever reads it.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether colour is wanted.
    pub colour: bool,
    /// Characters that fit into a line.
    pub width: usize,
}

/// What a piece of text stands for.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// Something is wrong.
    Bad,
    /// Something is doubtful.
    Doubtful,
    /// Something is right.
    Good,
    /// A name that the eye looks for.
    Name,
}

impl Terminal {
    /// Colour only on a terminal that has it and unless `NO_COLOR` is set to something; the width from `COLUMNS`,
    /// otherwise 80.
    pub fn detect(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let width = variable("COLUMNS")
            .and_then(|columns| columns.parse().ok())
            .unwrap_or(80);
        Self {
            colour: is_terminal && !set("NO_COLOR") && !dumb,
            width: width.clamp(40, 200),
        }
    }

    /// The text, coloured where that is wanted.
    pub fn paint(self, style: Style, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match style {
            Style::Bad => "1;31",
            Style::Doubtful => "1;33",
            Style::Good => "32",
            Style::Name => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// The words of `text` in lines that fit, each begun by `indent` spaces. A word that fits nowhere stands alone.
    pub fn wrap(self, indent: usize, text: &str) -> String {
        let mut out = String::new();
        let mut column = 0;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if column == 0 || column + 1 + length > self.width {
                if column > 0 {
                    out.push('\n');
                }
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            } else {
                out.push(' ');
                column += 1;
            }
            out.push_str(word);
            column += length;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(is_terminal: bool, variables: &[(&str, &str)]) -> Terminal {
        Terminal::detect(is_terminal, |name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_is_for_terminals_whose_owner_wants_it() {
        assert!(detect(true, &[]).colour);
        assert!(detect(true, &[("NO_COLOR", "")]).colour);
        assert!(!detect(true, &[("NO_COLOR", "1")]).colour);
        assert!(!detect(true, &[("TERM", "dumb")]).colour);
        assert!(!detect(false, &[]).colour);
        assert_eq!(detect(false, &[]).paint(Style::Bad, "no"), "no");
        assert_eq!(detect(true, &[]).paint(Style::Bad, "no"), "\x1b[1;31mno\x1b[0m");
    }

    #[test]
    fn lines_fit() {
        assert_eq!(detect(false, &[("COLUMNS", "1")]).width, 40);
        let terminal = Terminal {
            colour: false,
            width: 40,
        };
        let wrapped = terminal.wrap(4, "one two three four five six seven eight nine ten");
        assert_eq!(
            wrapped,
            "    one two three four five six seven\n    eight nine ten"
        );
    }
}
