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

/// From `offset` bytes into the text on, its characters stand one after the other in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// First byte of the piece in the text.
    pub offset: u32,
    /// Where that byte stands in the file.
    pub position: Position,
}

/// Where a text stands in a file. A block scalar of YAML is one piece a line; folding and escapes make more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The pieces by rising offset; lines beyond the last piece follow it directly, in the same column.
    pub pieces: Vec<Piece>,
}

impl Origin {
    /// A text that begins at one place and has one line, or further lines that begin in the same column.
    pub fn at(line: u32, column: u32) -> Self {
        Self {
            pieces: vec![Piece {
                offset: 0,
                position: Position { line, column },
            }],
        }
    }

    /// The place in the file of the byte at `offset` in `text`.
    pub fn locate(&self, text: &str, offset: u32) -> Position {
        let index = self.pieces.partition_point(|piece| piece.offset <= offset);
        let Some(piece) = index.checked_sub(1).and_then(|index| self.pieces.get(index)) else {
            return Position::of(text, offset);
        };
        let start = piece.offset as usize;
        let rest = text.get(start..).unwrap_or_default();
        let within = Position::of(rest, offset - piece.offset);
        Position {
            line: piece.position.line.saturating_add(within.line - 1),
            column: piece.position.column.saturating_add(within.column - 1),
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
    fn each_piece_has_a_place_of_its_own() {
        let piece = |offset, line, column| Piece {
            offset,
            position: Position { line, column },
        };
        let origin = Origin {
            pieces: vec![piece(0, 12, 5), piece(4, 14, 3)],
        };
        let text = "one two\nthree";
        assert_eq!(origin.locate(text, 2), Position { line: 12, column: 7 });
        assert_eq!(origin.locate(text, 5), Position { line: 14, column: 4 });
        assert_eq!(origin.locate(text, 8), Position { line: 15, column: 3 });
        assert_eq!(Origin::default().locate(text, 8), Position { line: 2, column: 1 });
    }
}
