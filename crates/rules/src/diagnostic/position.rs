//! Lines and columns, in the text itself and in the file that it stands in.

/// A place as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The place of the byte at `offset` in `text`.
    pub fn of(text: &str, offset: u32) -> Self {
        let mut offset = (offset as usize).min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        Self {
            line: count(before.bytes().filter(|byte| *byte == b'\n').count()),
            column: count(before[line_start..].chars().count()),
        }
    }
}

/// Where a line of the text begins in the file that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineStart {
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in the file, from 1.
    pub column: u32,
}

/// Where a text stands in a file: for a block scalar of YAML, one entry a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Where each line of the text begins; lines beyond the last follow it directly.
    pub lines: Vec<LineStart>,
}

impl Origin {
    /// A text that begins at one place and has one line, or further lines that begin in the same column.
    pub fn at(line: u32, column: u32) -> Self {
        Self {
            lines: vec![LineStart { line, column }],
        }
    }

    /// The place in the file of the byte at `offset` in `text`.
    pub fn locate(&self, text: &str, offset: u32) -> Position {
        let within = Position::of(text, offset);
        let index = within.line as usize - 1;
        let start = match (self.lines.get(index), self.lines.last()) {
            (Some(start), _) => *start,
            (None, Some(last)) => {
                let beyond = index + 1 - self.lines.len();
                LineStart {
                    line: last
                        .line
                        .saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX)),
                    column: last.column,
                }
            }
            (None, None) => LineStart {
                line: within.line,
                column: 1,
            },
        };
        Position {
            line: start.line,
            column: start.column.saturating_add(within.column - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a\n  é == x";
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, 9), Position { line: 2, column: 7 });
        assert_eq!(Position::of(text, 5), Position { line: 2, column: 3 });
        assert_eq!(Position::of(text, 999), Position { line: 2, column: 9 });
    }

    #[test]
    fn a_block_scalar_shifts_each_line() {
        let origin = Origin {
            lines: vec![
                LineStart { line: 12, column: 5 },
                LineStart { line: 13, column: 5 },
            ],
        };
        assert_eq!(origin.locate("one\ntwo", 4), Position { line: 13, column: 5 });
        assert_eq!(
            origin.locate("one\ntwo\nsix", 9),
            Position { line: 14, column: 6 }
        );
        assert_eq!(
            Origin::default().locate("one\ntwo", 5),
            Position { line: 2, column: 2 }
        );
    }
}
