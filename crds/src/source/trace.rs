//! Finds each piece of a scalar's value in the text it was written as, whatever the style: block
//! scalars drop indentation, folded and flow scalars join lines, quotes have escapes.

use saphyr_parser::ScalarStyle;
use yagura_rules::diagnostic::{Origin, Position};

/// From `offset` bytes into the value on, characters stand one after the other from `position` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) offset: usize,
    pub(super) position: Position,
}

/// Finds bytes of rising character indexes without counting from the beginning each time.
#[derive(Debug)]
pub(super) struct Cursor<'text> {
    text: &'text str,
    byte: usize,
    character: usize,
}

impl<'text> Cursor<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        Self {
            text,
            byte: 0,
            character: 0,
        }
    }

    /// The byte of the character with this index.
    pub(super) fn seek(&mut self, character: usize) -> usize {
        if character < self.character {
            (self.byte, self.character) = (0, 0);
        }
        for c in self.text[self.byte..].chars().take(character - self.character) {
            self.byte += c.len_utf8();
        }
        self.character = character;
        self.byte
    }
}

/// Reads the written form.
struct Reader<'text> {
    rest: std::str::Chars<'text>,
    position: Position,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += 1;
        }
        Some(c)
    }

    fn skip_spaces(&mut self, most: usize) {
        for _ in 0..most {
            if self.peek() != Some(' ') {
                break;
            }
            self.take();
        }
    }
}

/// The pieces of `value`, which is written at the beginning of `written`, at `position`.
pub(super) fn pieces(written: &str, position: Position, style: ScalarStyle, value: &str) -> Vec<Piece> {
    let mut reader = Reader {
        rest: written.chars(),
        position,
    };
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let mut indent = 0;
    if block {
        if matches!(reader.peek(), Some('|' | '>')) {
            while reader.take().is_some_and(|c| c != '\n') {}
        }
        let width = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let first = |text: &str| text.lines().find(|line| !line.trim().is_empty()).map_or(0, width);
        // The reader may stand behind the first line's indentation already.
        let column = reader.position.column as usize - 1;
        indent = (first(reader.rest.as_str()) + column).saturating_sub(first(value));
        reader.skip_spaces(indent.saturating_sub(column));
    } else if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
        reader.take();
    }

    let mut pieces: Vec<Piece> = Vec::new();
    let mut expected = None;
    for (offset, c) in value.char_indices() {
        let Some(at) = find(&mut reader, style, c) else {
            break;
        };
        if expected != Some(at) {
            pieces.push(Piece { offset, position: at });
        }
        if c == '\n' && block {
            reader.skip_spaces(indent);
        }
        // A line break ends a piece: what follows stands on another line.
        expected = (c != '\n').then_some(Position {
            line: at.line,
            column: at.column + 1,
        });
    }
    pieces
}

/// Finds the next character of the value; where it stands.
fn find(reader: &mut Reader<'_>, style: ScalarStyle, wanted: char) -> Option<Position> {
    loop {
        let at = reader.position;
        let next = reader.peek()?;
        if style == ScalarStyle::DoubleQuoted && next == '\\' {
            if escape(reader) {
                return Some(at);
            }
            // An escaped line break and the indentation after it stand for nothing.
            reader.skip_spaces(usize::MAX);
            continue;
        }
        if style == ScalarStyle::SingleQuoted && next == '\'' {
            reader.take();
            reader.take();
            return Some(at);
        }
        if next == wanted {
            reader.take();
            return Some(at);
        }
        if next.is_whitespace() {
            // Indentation, or a line break that folding made a space of or dropped.
            reader.take();
        } else if wanted.is_whitespace() {
            return Some(at);
        } else {
            return None;
        }
    }
}

/// Reads an escape of a double-quoted text; whether it stands for a character, which an escaped
/// line break does not.
fn escape(reader: &mut Reader<'_>) -> bool {
    reader.take();
    let digits = match reader.take() {
        Some('\n') => return false,
        Some('\r') => {
            reader.take();
            return false;
        }
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        _ => 0,
    };
    for _ in 0..digits {
        reader.take();
    }
    true
}

/// The pieces as diagnostics take them.
pub(super) fn origin(pieces: &[Piece]) -> Origin {
    Origin {
        pieces: pieces
            .iter()
            .map(|piece| yagura_rules::diagnostic::Piece {
                offset: u32::try_from(piece.offset).unwrap_or(u32::MAX),
                position: piece.position,
            })
            .collect(),
    }
}
