//! From tokens to the syntax tree.
//!
//! Operators are parsed with a stack of their own; only brackets recurse, and the lexer bounds those. A mistake
//! is reported, and parsing goes on after the bracket or comma that ends what is wrong.

use yagura_event::Tree;

use crate::ast::{Ast, BinaryOp, Binder, BinderId, Node, NodeId};
use crate::diagnostic::{Code, Part, Sink, Span};
use crate::expr::MacroKind;
use crate::function::is_namespace;
use crate::lexer::{Spanned, Symbol, Token, lex};

/// Parses one expression.
pub(crate) fn parse(source: &str, part: Part, sink: &mut Sink) -> Option<Ast> {
    let tokens = lex(source, part, sink)?;
    let mut parser = Parser {
        source,
        tokens,
        position: 0,
        ast: Ast::default(),
        scopes: Vec::new(),
        reported: None,
        part,
        sink,
    };
    if matches!(parser.peek(), Token::End) {
        let span = Span::new(0, source.len());
        let help = Some("write a condition such as process.name == \"nc\"".to_owned());
        parser
            .sink
            .push(Code::EMPTY, part, span, "there is no expression".to_owned(), help);
        return None;
    }
    let root = parser.expression();
    if !matches!(parser.peek(), Token::End) {
        parser.unexpected("the end, or an operator");
    }
    parser.ast.root = Some(root);
    Some(parser.ast)
}

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<Spanned>,
    position: usize,
    ast: Ast,
    scopes: Vec<(String, BinderId)>,
    /// The token of the last mistake, so that one mistake is reported once.
    reported: Option<usize>,
    part: Part,
    sink: &'s mut Sink,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens
            .get(self.position)
            .map_or(&Token::End, |spanned| &spanned.token)
    }

    fn symbol(&self) -> Option<Symbol> {
        match self.peek() {
            Token::Symbol(symbol) => Some(*symbol),
            _ => None,
        }
    }

    fn span(&self) -> Span {
        self.tokens
            .get(self.position)
            .or(self.tokens.last())
            .map_or(Span::default(), |spanned| spanned.span)
    }

    fn last_span(&self) -> Span {
        self.position
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
            .map_or(Span::default(), |last| last.span)
    }

    fn bump(&mut self) {
        if self.position + 1 < self.tokens.len() {
            self.position += 1;
        }
    }

    fn eat(&mut self, symbol: Symbol) -> bool {
        let found = self.symbol() == Some(symbol);
        if found {
            self.bump();
        }
        found
    }

    fn report(&mut self, code: Code, span: Span, message: String, help: Option<&str>) {
        if self.reported.is_some_and(|reported| reported >= self.position) {
            return;
        }
        self.reported = Some(self.position);
        self.sink
            .push(code, self.part, span, message, help.map(str::to_owned));
    }

    fn unexpected(&mut self, expected: &str) {
        let span = self.span();
        let found = match self.peek() {
            Token::End => "the end".to_owned(),
            Token::Symbol(symbol) => format!("`{}`", symbol.as_str()),
            _ => {
                let text: String = span.of(self.source).chars().take(40).collect();
                format!("`{}`", text.escape_debug())
            }
        };
        self.report(
            Code::UNEXPECTED,
            span,
            format!("expected {expected}, found {found}"),
            None,
        );
    }

    /// Skips what follows a mistake, up to the bracket or comma that ends it.
    fn skip(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Token::End => return,
                Token::Symbol(Symbol::Open | Symbol::OpenList | Symbol::OpenMap) => depth += 1,
                Token::Symbol(Symbol::Close | Symbol::CloseList | Symbol::CloseMap) => {
                    if depth == 0 {
                        return;
                    }
                    depth -= 1;
                }
                Token::Symbol(Symbol::Comma) if depth == 0 => return,
                _ => {}
            }
            self.bump();
        }
    }

    fn error(&mut self, expected: &str) -> NodeId {
        self.unexpected(expected);
        let span = self.span();
        self.skip();
        self.ast.push(Node::Error, span)
    }

    /// `a ? b : c`, and everything that binds tighter.
    fn expression(&mut self) -> NodeId {
        let mut open: Vec<(NodeId, NodeId)> = Vec::new();
        let mut value = self.binary();
        while self.eat(Symbol::Question) {
            let then = self.binary();
            if !self.eat(Symbol::Colon) {
                let error = self.error("`:` of the conditional");
                open.push((value, then));
                value = error;
                break;
            }
            open.push((value, then));
            value = self.binary();
        }
        for (condition, then) in open.into_iter().rev() {
            let span = self.ast.span(condition).to(self.ast.span(value));
            value = self.ast.push(Node::Conditional(condition, then, value), span);
        }
        value
    }

    /// Operands with binary operators between them.
    fn binary(&mut self) -> NodeId {
        let mut value = self.operand();
        if binary_operator(self.symbol()).is_none() {
            return value;
        }
        let mut waiting: Vec<(NodeId, BinaryOp, u8)> = Vec::new();
        while let Some((operator, level)) = binary_operator(self.symbol()) {
            self.bump();
            while let Some((left, before, _)) = waiting.pop_if(|(_, _, before)| *before >= level) {
                value = self.join(left, before, value);
            }
            waiting.push((value, operator, level));
            value = self.operand();
        }
        while let Some((left, operator, _)) = waiting.pop() {
            value = self.join(left, operator, value);
        }
        value
    }

    fn join(&mut self, left: NodeId, operator: BinaryOp, right: NodeId) -> NodeId {
        let span = self.ast.span(left).to(self.ast.span(right));
        self.ast.push(Node::Binary(operator, left, right), span)
    }

    /// Prefix operators, a primary expression, and what is attached to it.
    fn operand(&mut self) -> NodeId {
        let first = self.position;
        while matches!(self.symbol(), Some(Symbol::Not | Symbol::Minus)) {
            self.bump();
        }
        let prefixes = first..self.position;
        let mut value = self.primary();
        loop {
            if self.eat(Symbol::Dot) {
                value = self.member(value);
            } else if self.eat(Symbol::OpenList) {
                let index = self.expression();
                self.close(Symbol::CloseList);
                let span = self.ast.span(value).to(self.last_span());
                value = self.ast.push(Node::Index(value, index), span);
            } else {
                break;
            }
        }
        for prefix in prefixes.rev() {
            let Spanned { token, span } = &self.tokens[prefix];
            let span = span.to(self.ast.span(value));
            let node = if *token == Token::Symbol(Symbol::Not) {
                Node::Not(value)
            } else {
                Node::Negate(value)
            };
            value = self.ast.push(node, span);
        }
        value
    }

    fn close(&mut self, symbol: Symbol) {
        if self.eat(symbol) {
            return;
        }
        if matches!(self.peek(), Token::End) {
            let span = self.span();
            self.report(
                Code::UNCLOSED,
                span,
                format!("missing `{}`", symbol.as_str()),
                None,
            );
            return;
        }
        self.unexpected(&format!("`{}`", symbol.as_str()));
        self.skip();
        while self.eat(Symbol::Comma) {
            self.skip();
        }
        self.eat(symbol);
    }

    /// `.name` or `.name(…)`, after the dot.
    fn member(&mut self, target: NodeId) -> NodeId {
        let name_span = self.span();
        let named = match self.peek() {
            // Words that the language keeps for itself may be members: resource.in, resource.null.
            Token::Ident | Token::Bool(_) | Token::Null | Token::Symbol(Symbol::In) => true,
            _ => false,
        };
        if !named {
            return self.error("the name of a member after `.`");
        }
        let name = name_span.of(self.source).to_owned();
        self.bump();
        let start = self.ast.span(target);
        if self.eat(Symbol::Open) {
            if let Some(kind) = MacroKind::named(&name) {
                return self.macro_call(kind, name_span, target);
            }
            let arguments = self.arguments(Symbol::Close);
            let span = start.to(self.last_span());
            return self.ast.push(
                Node::Call {
                    function: name,
                    name: name_span,
                    target: Some(target),
                    arguments,
                },
                span,
            );
        }
        self.ast
            .push(Node::Select(target, name, name_span), start.to(name_span))
    }

    /// `x, body)` of a macro, after the bracket.
    fn macro_call(&mut self, kind: MacroKind, name: Span, range: NodeId) -> NodeId {
        let variable_span = self.span();
        let comma_follows = self
            .tokens
            .get(self.position + 1)
            .is_some_and(|next| next.token == Token::Symbol(Symbol::Comma));
        if !matches!(self.peek(), Token::Ident) || !comma_follows {
            let message = format!("`{}` wants a variable and an expression", kind.as_str());
            let help = format!("write list.{}(x, …) with x in the expression", kind.as_str());
            self.report(Code::BAD_MACRO, name, message, Some(&help));
            self.skip();
            while self.eat(Symbol::Comma) {
                self.skip();
            }
            self.close(Symbol::Close);
            let span = self.ast.span(range).to(self.last_span());
            return self.ast.push(Node::Error, span);
        }
        let variable = variable_span.of(self.source).to_owned();
        self.bump();
        self.bump();
        let binder = BinderId(self.ast.binders.len());
        let level = u8::try_from(self.scopes.len()).unwrap_or(u8::MAX);
        self.ast.binders.push(Binder {
            name: variable.clone(),
            span: variable_span,
            range,
            level,
        });
        self.scopes.push((variable, binder));
        let body = self.expression();
        self.scopes.pop();
        self.close(Symbol::Close);
        let span = self.ast.span(range).to(self.last_span());
        self.ast.push(
            Node::Macro {
                kind,
                binder,
                range,
                body,
            },
            span,
        )
    }

    /// Expressions with commas between them, up to `end`.
    fn arguments(&mut self, end: Symbol) -> Vec<NodeId> {
        let mut arguments = Vec::new();
        if self.eat(end) {
            return arguments;
        }
        loop {
            arguments.push(self.expression());
            if !self.eat(Symbol::Comma) {
                break;
            }
            // Lists may end with a comma.
            if end == Symbol::CloseList && self.symbol() == Some(end) {
                break;
            }
        }
        self.close(end);
        arguments
    }

    fn primary(&mut self) -> NodeId {
        let span = self.span();
        let literal = match self.peek() {
            Token::Int(value) => i64::try_from(*value).map_or(Tree::Uint(*value), Tree::Int),
            Token::Double(value) => Tree::Double(*value),
            Token::Str(text) => Tree::Text(text.clone()),
            Token::Bool(value) => Tree::Bool(*value),
            Token::Null => Tree::Null,
            Token::Ident => return self.name(),
            Token::Symbol(Symbol::Open) => {
                self.bump();
                let value = self.expression();
                self.close(Symbol::Close);
                return value;
            }
            Token::Symbol(Symbol::OpenList) => {
                self.bump();
                let elements = self.arguments(Symbol::CloseList);
                return self.ast.push(Node::List(elements), span.to(self.last_span()));
            }
            Token::Symbol(Symbol::OpenMap) => {
                let message = "maps cannot be written in this version of the language".to_owned();
                self.report(Code::UNSUPPORTED_SYNTAX, span, message, None);
                self.bump();
                self.skip();
                while self.eat(Symbol::Comma) {
                    self.skip();
                }
                self.eat(Symbol::CloseMap);
                return self.ast.push(Node::Error, span);
            }
            Token::Symbol(_) | Token::End => return self.error("a value"),
        };
        self.bump();
        self.ast.push(Node::Literal(literal), span)
    }

    /// Whether `.name(` comes next.
    fn calls_member(&self) -> bool {
        let token = |ahead: usize| self.tokens.get(self.position + ahead).map(|next| &next.token);
        token(0) == Some(&Token::Symbol(Symbol::Dot))
            && token(1) == Some(&Token::Ident)
            && token(2) == Some(&Token::Symbol(Symbol::Open))
    }

    /// A name: a variable, a field, a `let`, or a function that is called.
    fn name(&mut self) -> NodeId {
        let mut span = self.span();
        let mut name = span.of(self.source).to_owned();
        self.bump();
        if is_namespace(&name) && self.calls_member() {
            self.bump();
            span = span.to(self.span());
            name = format!("{name}.{}", self.span().of(self.source));
            self.bump();
        }
        if self.eat(Symbol::Open) {
            let mut arguments = self.arguments(Symbol::Close);
            let whole = span.to(self.last_span());
            if name == "has" && arguments.len() == 1 {
                return self.ast.push(Node::Has(arguments.remove(0)), whole);
            }
            return self.ast.push(
                Node::Call {
                    function: name,
                    name: span,
                    target: None,
                    arguments,
                },
                whole,
            );
        }
        let bound = self
            .scopes
            .iter()
            .rev()
            .find(|(variable, _)| *variable == name)
            .map(|(_, binder)| *binder);
        let node = bound.map_or(Node::Ident(name), Node::Variable);
        self.ast.push(node, span)
    }
}

fn binary_operator(symbol: Option<Symbol>) -> Option<(BinaryOp, u8)> {
    Some(match symbol? {
        Symbol::OrOr => (BinaryOp::Or, 1),
        Symbol::AndAnd => (BinaryOp::And, 2),
        Symbol::Equal => (BinaryOp::Equal, 3),
        Symbol::NotEqual => (BinaryOp::NotEqual, 3),
        Symbol::Less => (BinaryOp::Less, 3),
        Symbol::LessEqual => (BinaryOp::LessEqual, 3),
        Symbol::Greater => (BinaryOp::Greater, 3),
        Symbol::GreaterEqual => (BinaryOp::GreaterEqual, 3),
        Symbol::In => (BinaryOp::In, 3),
        Symbol::Plus => (BinaryOp::Add, 4),
        Symbol::Minus => (BinaryOp::Subtract, 4),
        Symbol::Star => (BinaryOp::Multiply, 5),
        Symbol::Slash => (BinaryOp::Divide, 5),
        Symbol::Percent => (BinaryOp::Remainder, 5),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
