//! String and number literals.

use yagura_event::Text;

use super::{Lexer, Token};
use crate::diagnostic::{Code, Span};

impl Lexer<'_> {
    /// A string whose opening quote is next.
    pub(super) fn string(&mut self, raw: bool, bytes: bool) -> Option<Token> {
        let start = self.position;
        let quote = self.peek(0)?;
        let long = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        let width = if long { 3 } else { 1 };
        self.position += width;
        let mut value = Vec::new();
        loop {
            match self.peek(0) {
                None => return Some(self.unterminated(start)),
                Some(b'\n' | b'\r') if !long => return Some(self.unterminated(start)),
                Some(byte) if byte == quote && (!long || self.closes(quote)) => {
                    self.position += width;
                    return Some(Token::Str(Text::from(value)));
                }
                Some(b'\\') if !raw => self.escape(bytes, &mut value),
                Some(byte) => {
                    value.push(byte);
                    self.position += 1;
                }
            }
        }
    }

    fn closes(&self, quote: u8) -> bool {
        self.peek(1) == Some(quote) && self.peek(2) == Some(quote)
    }

    fn unterminated(&mut self, start: usize) -> Token {
        let span = Span::new(start, self.position);
        self.error(
            Code::UNTERMINATED_STRING,
            span,
            "the string has no closing quote".to_owned(),
            None,
        );
        // A string all the same, so that the parser does not stumble over it again.
        Token::Str(Text::default())
    }

    /// One escape, whose backslash is next.
    fn escape(&mut self, bytes: bool, value: &mut Vec<u8>) {
        let start = self.position;
        self.position += 1;
        let Some(kind) = self.peek(0) else { return };
        self.position += 1;
        let simple = match kind {
            b'a' => Some(7),
            b'b' => Some(8),
            b'f' => Some(12),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'v' => Some(11),
            b'\\' | b'\'' | b'"' | b'`' | b'?' => Some(kind),
            _ => None,
        };
        if let Some(byte) = simple {
            value.push(byte);
            return;
        }
        let number = match kind {
            b'x' | b'X' => self.digits(2, 16),
            b'u' if !bytes => self.digits(4, 16),
            b'U' if !bytes => self.digits(8, 16),
            b'0'..=b'3' => {
                self.position -= 1;
                self.digits(3, 8)
            }
            _ => None,
        };
        match (number, bytes) {
            (Some(number), true) if u8::try_from(number).is_ok() => value.extend(u8::try_from(number)),
            (Some(number), false) if char::from_u32(number).is_some() => {
                let character = char::from_u32(number).unwrap_or_default();
                value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => {
                // The rest of a character that is no escape belongs to the escape that is shown.
                while !self.source.is_char_boundary(self.position) {
                    self.position += 1;
                }
                let span = Span::new(start, self.position);
                let message = format!("`{}` is no escape", span.of(self.source).escape_debug());
                let help = "write `\\\\` for a backslash, or a raw string such as r\"\\d+\"";
                self.error(Code::BAD_ESCAPE, span, message, Some(help));
            }
        }
    }

    fn digits(&mut self, count: usize, radix: u32) -> Option<u32> {
        let digits = self.source.get(self.position..self.position + count)?;
        if !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
            return None;
        }
        self.position += count;
        u32::from_str_radix(digits, radix).ok()
    }

    /// A number whose first digit, or dot, is next.
    pub(super) fn number(&mut self) -> Token {
        let start = self.position;
        if self.peek(0) == Some(b'0') && matches!(self.peek(1), Some(b'x' | b'X')) {
            self.position += 2;
            self.skip_while(|byte| byte.is_ascii_hexdigit());
            let digits = self.source[start + 2..self.position].to_owned();
            self.unsigned_suffix();
            return self.finish_number(start, u64::from_str_radix(&digits, 16).ok().map(Token::Int));
        }
        self.skip_while(|byte| byte.is_ascii_digit());
        let whole = self.source[start..self.position].to_owned();
        let mut double = false;
        if self.peek(0) == Some(b'.') && self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) {
            double = true;
            self.position += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit()) {
                double = true;
                self.position += 1 + sign;
                self.skip_while(|byte| byte.is_ascii_digit());
            }
        }
        if double {
            let value = self.source[start..self.position]
                .parse::<f64>()
                .ok()
                .filter(|value| value.is_finite());
            return self.finish_number(start, value.map(Token::Double));
        }
        self.unsigned_suffix();
        let octal = whole.len() > 1 && whole.starts_with('0');
        self.finish_number(
            start,
            if octal {
                None
            } else {
                whole.parse().ok().map(Token::Int)
            },
        )
    }

    fn unsigned_suffix(&mut self) {
        if matches!(self.peek(0), Some(b'u' | b'U')) {
            self.position += 1;
        }
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&accept) {
            self.position += 1;
        }
    }

    /// The number, unless letters follow it directly or it has no value.
    fn finish_number(&mut self, start: usize, token: Option<Token>) -> Token {
        let end = self.position;
        self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if let (Some(token), true) = (token, end == self.position) {
            return token;
        }
        let span = Span::new(start, self.position);
        let text = span.of(self.source);
        let help = if text.len() > 1 && text.starts_with('0') {
            "write no leading zeros; mode(\"0644\") takes an octal mode"
        } else {
            "whole numbers go up to 18,446,744,073,709,551,615"
        };
        let shown: String = text.chars().take(40).collect();
        self.error(
            Code::BAD_NUMBER,
            span,
            format!("`{shown}` is no number"),
            Some(help),
        );
        Token::Int(0)
    }
}
