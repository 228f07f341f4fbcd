//! From text to tokens, within the limits of the language.
//!
//! Size, count, nesting and chains are bounded here, so that everything after may rely on it.

use yagura_event::Text;

mod budget;
mod literal;

use crate::diagnostic::{Code, Part, Sink, Span};
use crate::limits;
use budget::{Budget, Exceeded};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A name; its text is that of its span.
    Ident,
    /// A whole number.
    Int(u64),
    /// A floating point number.
    Double(f64),
    /// A string or bytes literal.
    Str(Text),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// Anything else, as it is written.
    Symbol(Symbol),
    /// The end.
    End,
}

/// An operator or a bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    OrOr,
    AndAnd,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Not,
    Question,
    Colon,
    Comma,
    Dot,
    Open,
    Close,
    OpenList,
    CloseList,
    OpenMap,
    CloseMap,
}

impl Symbol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OrOr => "||",
            Self::AndAnd => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Star => "*",
            Self::Slash => "/",
            Self::Percent => "%",
            Self::Not => "!",
            Self::Question => "?",
            Self::Colon => ":",
            Self::Comma => ",",
            Self::Dot => ".",
            Self::Open => "(",
            Self::Close => ")",
            Self::OpenList => "[",
            Self::CloseList => "]",
            Self::OpenMap => "{",
            Self::CloseMap => "}",
        }
    }

    fn is_operator(self) -> bool {
        !matches!(self, Self::Close | Self::CloseList | Self::CloseMap)
    }
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) span: Span,
}

/// The tokens of `source`, ended by [`Token::End`]; `None` when a limit is exceeded.
pub(crate) fn lex(source: &str, part: Part, sink: &mut Sink) -> Option<Vec<Spanned>> {
    let mut lexer = Lexer {
        source,
        position: 0,
        tokens: Vec::new(),
        budget: Budget::default(),
        part,
        sink,
    };
    lexer.run()
}

struct Lexer<'s> {
    source: &'s str,
    position: usize,
    tokens: Vec<Spanned>,
    budget: Budget,
    part: Part,
    sink: &'s mut Sink,
}

impl Lexer<'_> {
    fn run(&mut self) -> Option<Vec<Spanned>> {
        if self.source.len() > limits::SOURCE_BYTES {
            let message = format!("the source has {} bytes, more than 65,536", self.source.len());
            let span = Span::new(limits::SOURCE_BYTES, limits::SOURCE_BYTES + 1);
            self.error(
                Code::TOO_LONG,
                span,
                message,
                Some("split the rule, or move long lists into a named list"),
            );
            return None;
        }
        loop {
            self.skip_space();
            let start = self.position;
            let Some(byte) = self.peek(0) else {
                let span = Span::new(start, start);
                self.tokens.push(Spanned {
                    token: Token::End,
                    span,
                });
                return Some(std::mem::take(&mut self.tokens));
            };
            let Some(token) = self.token(byte) else { continue };
            let span = Span::new(start, self.position);
            if self.tokens.len() >= limits::TOKENS {
                let help = "split the rule, or move long lists into a named list";
                self.error(
                    Code::TOO_MANY_TOKENS,
                    span,
                    "more than 20,000 tokens".to_owned(),
                    Some(help),
                );
                return None;
            }
            if let Token::Symbol(symbol) = token
                && let Err(exceeded) = self.budget.count(symbol, self.operand_before())
            {
                let (code, message) = match exceeded {
                    Exceeded::Depth => (Code::TOO_DEEP, "nested deeper than 64".to_owned()),
                    Exceeded::Chain => (
                        Code::CHAIN_TOO_LONG,
                        format!("more than 1,000 `{}` in a row", symbol.as_str()),
                    ),
                };
                self.error(
                    code,
                    span,
                    message,
                    Some("give parts of the condition names with let, or split the rule"),
                );
                return None;
            }
            self.tokens.push(Spanned { token, span });
        }
    }

    fn error(&mut self, code: Code, span: Span, message: String, help: Option<&str>) {
        self.sink
            .push(code, self.part, span, message, help.map(str::to_owned));
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.position + ahead).copied()
    }

    /// Whether what stands before could be an operand, which makes a minus a subtraction.
    fn operand_before(&self) -> bool {
        self.tokens.last().is_some_and(|last| match last.token {
            Token::Symbol(symbol) => !symbol.is_operator(),
            _ => true,
        })
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek(0) {
            if byte == b'/' && self.peek(1) == Some(b'/') {
                let rest = &self.source.as_bytes()[self.position..];
                self.position += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else if matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c') {
                self.position += 1;
            } else {
                return;
            }
        }
    }

    /// The next token; `None` when what stands there is none, which is reported.
    fn token(&mut self, byte: u8) -> Option<Token> {
        let quote_at = |ahead: usize| matches!(self.peek(ahead), Some(b'"' | b'\''));
        match byte {
            b'"' | b'\'' => self.string(false, false),
            b'r' | b'R' if quote_at(1) => self.prefixed_string(1, true, false),
            b'b' | b'B' if quote_at(1) => self.prefixed_string(1, false, true),
            b'r' | b'R' if matches!(self.peek(1), Some(b'b' | b'B')) && quote_at(2) => {
                self.prefixed_string(2, true, true)
            }
            b'b' | b'B' if matches!(self.peek(1), Some(b'r' | b'R')) && quote_at(2) => {
                self.prefixed_string(2, true, true)
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Some(self.word()),
            b'0'..=b'9' => Some(self.number()),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) && !self.operand_before() => {
                Some(self.number())
            }
            _ => self.symbol(byte),
        }
    }

    fn prefixed_string(&mut self, prefix: usize, raw: bool, bytes: bool) -> Option<Token> {
        self.position += prefix;
        self.string(raw, bytes)
    }

    fn word(&mut self) -> Token {
        let start = self.position;
        while self
            .peek(0)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.position += 1;
        }
        match &self.source[start..self.position] {
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            "null" => Token::Null,
            "in" => Token::Symbol(Symbol::In),
            _ => Token::Ident,
        }
    }

    fn symbol(&mut self, byte: u8) -> Option<Token> {
        let (symbol, length) = match (byte, self.peek(1)) {
            (b'|', Some(b'|')) => (Symbol::OrOr, 2),
            (b'&', Some(b'&')) => (Symbol::AndAnd, 2),
            (b'=', Some(b'=')) => (Symbol::Equal, 2),
            (b'!', Some(b'=')) => (Symbol::NotEqual, 2),
            (b'<', Some(b'=')) => (Symbol::LessEqual, 2),
            (b'>', Some(b'=')) => (Symbol::GreaterEqual, 2),
            (b'<', _) => (Symbol::Less, 1),
            (b'>', _) => (Symbol::Greater, 1),
            (b'+', _) => (Symbol::Plus, 1),
            (b'-', _) => (Symbol::Minus, 1),
            (b'*', _) => (Symbol::Star, 1),
            (b'/', _) => (Symbol::Slash, 1),
            (b'%', _) => (Symbol::Percent, 1),
            (b'!', _) => (Symbol::Not, 1),
            (b'?', _) => (Symbol::Question, 1),
            (b':', _) => (Symbol::Colon, 1),
            (b',', _) => (Symbol::Comma, 1),
            (b'.', _) => (Symbol::Dot, 1),
            (b'(', _) => (Symbol::Open, 1),
            (b')', _) => (Symbol::Close, 1),
            (b'[', _) => (Symbol::OpenList, 1),
            (b']', _) => (Symbol::CloseList, 1),
            (b'{', _) => (Symbol::OpenMap, 1),
            (b'}', _) => (Symbol::CloseMap, 1),
            _ => {
                self.unexpected_character(byte);
                // What was meant, so that what follows is read as it was meant too.
                return match byte {
                    b'=' => Some(Token::Symbol(Symbol::Equal)),
                    b'&' => Some(Token::Symbol(Symbol::AndAnd)),
                    b'|' => Some(Token::Symbol(Symbol::OrOr)),
                    _ => None,
                };
            }
        };
        self.position += length;
        Some(Token::Symbol(symbol))
    }

    fn unexpected_character(&mut self, byte: u8) {
        let start = self.position;
        let character = self.source[start..].chars().next().unwrap_or('\u{fffd}');
        self.position += character.len_utf8();
        let help = match byte {
            b'=' => Some("`==` compares"),
            b'&' => Some("`&&` is and"),
            b'|' => Some("`||` is or"),
            _ => None,
        };
        let message = format!("unexpected character {:?}", character.to_string());
        self.error(
            Code::UNEXPECTED_CHARACTER,
            Span::new(start, self.position),
            message,
            help,
        );
    }
}

#[cfg(test)]
mod tests;
