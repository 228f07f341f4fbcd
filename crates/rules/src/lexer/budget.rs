//! Bounds on nesting and on chains, counted token by token.

use super::Symbol;
use crate::limits;

/// A limit that a source exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// Brackets in brackets.
    Depth,
    /// Operators of one kind in a row.
    Chain,
}

/// How tightly an operator binds: a chain goes on until something that binds less tightly.
const LEVELS: usize = 8;

/// Counts of the operators that are open in each bracket.
#[derive(Debug)]
pub(super) struct Budget {
    frames: Vec<[u16; LEVELS]>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            frames: vec![[0; LEVELS]],
        }
    }
}

impl Budget {
    /// Counts one more symbol.
    pub(super) fn count(&mut self, symbol: Symbol, operand_before: bool) -> Result<(), Exceeded> {
        let level = match symbol {
            Symbol::Question => 0,
            Symbol::OrOr => 1,
            Symbol::AndAnd => 2,
            Symbol::Equal
            | Symbol::NotEqual
            | Symbol::Less
            | Symbol::LessEqual
            | Symbol::Greater
            | Symbol::GreaterEqual
            | Symbol::In => 3,
            Symbol::Plus => 4,
            Symbol::Minus if operand_before => 4,
            Symbol::Star | Symbol::Slash | Symbol::Percent => 5,
            Symbol::Not | Symbol::Minus => 6,
            Symbol::Dot => 7,
            // Between the two results of a conditional: both belong to its chain.
            Symbol::Colon => return Ok(()),
            Symbol::Comma => {
                if let Some(frame) = self.frames.last_mut() {
                    *frame = [0; LEVELS];
                }
                return Ok(());
            }
            Symbol::Open | Symbol::OpenList | Symbol::OpenMap => {
                // An index is a link of a chain like a dot, and so is a call of a call.
                if operand_before {
                    self.link(7)?;
                }
                if self.frames.len() > limits::DEPTH {
                    return Err(Exceeded::Depth);
                }
                self.frames.push([0; LEVELS]);
                return Ok(());
            }
            Symbol::Close | Symbol::CloseList | Symbol::CloseMap => {
                if self.frames.len() > 1 {
                    self.frames.pop();
                }
                return Ok(());
            }
        };
        self.link(level)
    }

    fn link(&mut self, level: usize) -> Result<(), Exceeded> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        frame[level] += 1;
        frame[level + 1..].fill(0);
        if frame[level] > limits::CHAIN {
            Err(Exceeded::Chain)
        } else {
            Ok(())
        }
    }
}
