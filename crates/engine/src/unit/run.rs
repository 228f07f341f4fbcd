//! Running code.

use yagura_event::ValueRef;
use yagura_event::value::{Items, ListRef};
use yagura_rules::apply::apply;
use yagura_rules::expr::MacroKind;
use yagura_rules::limits;

use super::{Op, Range, Unit};
use crate::eval::{Subject, Truth, arithmetic, compare, index, is_member, is_null, select, truth};
use crate::literal::Found;

const VARIABLES: usize = limits::MACRO_DEPTH as usize;

/// Memory that evaluation uses again and again, so that an event costs no allocation.
#[derive(Debug, Default)]
pub struct Scratch {
    stack: Vec<ValueRef<'static>>,
    /// Results of predicates with the generation that they belong to.
    results: Vec<(u32, Truth)>,
    generation: u32,
    /// Rules that an event may match.
    pub(crate) found: Found,
    /// Memory of `process.command_line`.
    pub(crate) line: Vec<u8>,
}

impl Scratch {
    /// Forgets the results of the last event.
    pub(crate) fn begin(&mut self, unit: &Unit) {
        if self.results.len() != unit.predicate_count() || self.generation == u32::MAX {
            self.results.clear();
            self.results.resize(unit.predicate_count(), (0, Truth::Unknown));
            self.generation = 0;
        }
        self.generation += 1;
    }

    pub(crate) fn machine<'a, S: Subject>(&mut self, unit: &'a Unit, subject: &'a S) -> Machine<'a, '_, S> {
        let stack = emptied(std::mem::take(&mut self.stack));
        Machine {
            unit,
            subject,
            stack,
            variables: [ValueRef::Absent, ValueRef::Absent],
            scratch: self,
        }
    }
}

/// The same memory for values of another lifetime: collecting in place keeps the allocation.
fn emptied<'b>(mut values: Vec<ValueRef<'_>>) -> Vec<ValueRef<'b>> {
    values.clear();
    values.into_iter().map(|_| ValueRef::Absent).collect()
}

/// Evaluates code on one subject.
pub(crate) struct Machine<'a, 's, S> {
    unit: &'a Unit,
    subject: &'a S,
    stack: Vec<ValueRef<'a>>,
    variables: [ValueRef<'a>; VARIABLES],
    scratch: &'s mut Scratch,
}

impl<S> Drop for Machine<'_, '_, S> {
    fn drop(&mut self) {
        self.scratch.stack = emptied(std::mem::take(&mut self.stack));
    }
}

impl<'a, S: Subject> Machine<'a, '_, S> {
    /// The value of a piece of code.
    pub(crate) fn value(&mut self, range: Range) -> ValueRef<'a> {
        self.run(range);
        self.pop()
    }

    /// Whether a condition holds.
    pub(crate) fn truth(&mut self, range: Range) -> Truth {
        truth(&self.value(range))
    }

    fn pop(&mut self) -> ValueRef<'a> {
        self.stack.pop().unwrap_or_default()
    }

    fn pop_two(&mut self) -> (ValueRef<'a>, ValueRef<'a>) {
        let second = self.pop();
        (self.pop(), second)
    }

    fn push(&mut self, value: impl Into<ValueRef<'a>>) {
        self.stack.push(value.into());
    }

    fn top(&self) -> Truth {
        self.stack.last().map_or(Truth::False, truth)
    }

    fn run(&mut self, range: Range) {
        let unit = self.unit;
        let mut at = range.start;
        while at < range.end {
            let op = unit.ops[at as usize];
            at += 1;
            match op {
                Op::AndJump(to) if self.top() == Truth::False => at = to,
                Op::OrJump(to) if self.top() == Truth::True => at = to,
                Op::AndJump(_) | Op::OrJump(_) => {}
                Op::Branch(otherwise, end) => match truth(&self.pop()) {
                    Truth::True => {}
                    Truth::False => at = otherwise,
                    Truth::Unknown => {
                        self.push(Truth::Unknown);
                        at = end;
                    }
                },
                Op::Jump(to) => at = to,
                Op::Macro(kind, variable, end) => {
                    self.run_macro(kind, variable, Range { start: at, end });
                    at = end;
                }
                Op::Predicate(predicate) => {
                    let result = self.predicate(predicate);
                    self.push(result);
                }
                op => self.step(op),
            }
        }
    }

    fn predicate(&mut self, predicate: u32) -> Truth {
        let slot = predicate as usize;
        let (generation, result) = self.scratch.results[slot];
        if generation == self.scratch.generation {
            return result;
        }
        let result = self.truth(self.unit.predicates[slot]);
        self.scratch.results[slot] = (self.scratch.generation, result);
        result
    }

    /// An instruction that puts a value on the stack and goes on with the next one.
    fn step(&mut self, op: Op) {
        let unit = self.unit;
        match op {
            Op::Const(index) => self.push(&unit.constants[index as usize]),
            Op::Named(index) => {
                let list = ListRef {
                    // Others are no values, which the compiler made sure of.
                    items: Items::Texts(unit.named[index as usize].strings().unwrap_or_default()),
                    complete: true,
                };
                self.stack.push(ValueRef::List(list));
            }
            Op::Field(id) => {
                let value = self.subject.field(id);
                self.stack.push(value);
            }
            Op::Variable(level) => {
                let value = self
                    .variables
                    .get(usize::from(level))
                    .cloned()
                    .unwrap_or_default();
                self.stack.push(value);
            }
            Op::Member(id) => {
                let value = match self.pop() {
                    ValueRef::Object(object) => object.member(id),
                    ValueRef::Unknown => ValueRef::Unknown,
                    _ => ValueRef::Absent,
                };
                self.stack.push(value);
            }
            Op::Select(name) => {
                let base = self.pop();
                self.stack
                    .push(select(&base, unit.names[name as usize].as_bytes()));
            }
            Op::Index => {
                let (base, at) = self.pop_two();
                self.stack.push(index(&base, &at));
            }
            op => self.compute(op),
        }
    }

    /// An instruction that makes one value of others.
    fn compute(&mut self, op: Op) {
        let unit = self.unit;
        match op {
            Op::IsNull => {
                let value = self.pop();
                self.push(is_null(&value));
            }
            Op::Not => {
                let value = self.pop();
                self.push(!truth(&value));
            }
            Op::Truth => {
                let value = self.pop();
                self.push(truth(&value));
            }
            Op::Negate => {
                let value = self.pop();
                let negated = if matches!(value, ValueRef::Unknown) {
                    ValueRef::Unknown
                } else {
                    yagura_event::value::negate(&value)
                };
                self.stack.push(negated);
            }
            Op::Equal => {
                let (left, right) = self.pop_two();
                self.push(Truth::from(left.equals(&right)));
            }
            Op::Order(operator) => {
                let (left, right) = self.pop_two();
                self.push(compare(operator, &left, &right));
            }
            Op::In => {
                let (left, right) = self.pop_two();
                self.push(is_member(&left, &right));
            }
            Op::InSet(set) => {
                let result = match self.pop() {
                    ValueRef::Bytes(text) => Truth::from(unit.sets[set as usize].contains(&text[..])),
                    ValueRef::Unknown => Truth::Unknown,
                    _ => Truth::False,
                };
                self.push(result);
            }
            Op::InNamed(list) => {
                let list = &unit.named[list as usize];
                let result = match self.pop() {
                    ValueRef::Bytes(text) => Truth::from(list.holds(&text)),
                    ValueRef::Unknown if !list.is_empty() => Truth::Unknown,
                    _ => Truth::False,
                };
                self.push(result);
            }
            Op::Arithmetic(operator) => {
                let (left, right) = self.pop_two();
                self.stack.push(arithmetic(operator, &left, &right));
            }
            Op::Call(function, count) => {
                let start = self.stack.len().saturating_sub(usize::from(count));
                let result = apply(function, &self.stack[start..]);
                self.stack.truncate(start);
                self.stack.push(result);
            }
            Op::Matches(pattern) => {
                let result = match self.pop() {
                    ValueRef::Bytes(text) => Truth::from(unit.patterns[pattern as usize].is_match(&text)),
                    ValueRef::Unknown => Truth::Unknown,
                    _ => Truth::False,
                };
                self.push(result);
            }
            Op::List(count) => {
                let start = self.stack.len().saturating_sub(count as usize);
                let values: Vec<ValueRef<'a>> = self.stack.drain(start..).collect();
                self.stack.push(ValueRef::owned_list(values, true));
            }
            Op::And => {
                let (left, right) = self.pop_two();
                self.push(truth(&left).and(truth(&right)));
            }
            Op::Or => {
                let (left, right) = self.pop_two();
                self.push(truth(&left).or(truth(&right)));
            }
            // Taken by `run` and `step`.
            _ => {}
        }
    }

    fn run_macro(&mut self, kind: MacroKind, variable: u8, body: Range) {
        let list = match self.pop() {
            ValueRef::List(list) => list,
            ValueRef::Unknown => return self.push(Truth::Unknown),
            ValueRef::Absent | ValueRef::Null => ListRef {
                items: Items::Trees(&[]),
                complete: true,
            },
            // Not a list: no test over its elements holds, and there is nothing to filter or to map.
            _ => {
                let none = match kind {
                    MacroKind::Exists | MacroKind::All | MacroKind::ExistsOne => ValueRef::Bool(false),
                    MacroKind::Filter | MacroKind::Map => ValueRef::Absent,
                };
                return self.stack.push(none);
            }
        };
        let visited = list.len().min(limits::LIST_ELEMENTS);
        let complete = list.complete && visited == list.len();
        let outer = std::mem::take(&mut self.variables[usize::from(variable)]);
        let result = match kind {
            MacroKind::Exists | MacroKind::All => self
                .quantify(&list, visited, complete, kind, variable, body)
                .into(),
            MacroKind::ExistsOne => self.exactly_one(&list, visited, complete, variable, body).into(),
            MacroKind::Filter => {
                let mut kept = Vec::new();
                let mut known = complete;
                for at in 0..visited {
                    let element = list.get(at);
                    self.variables[usize::from(variable)] = element.clone();
                    match self.truth(body) {
                        Truth::True => kept.push(element),
                        Truth::False => {}
                        Truth::Unknown => known = false,
                    }
                }
                ValueRef::owned_list(kept, known)
            }
            MacroKind::Map => {
                let mut results = Vec::with_capacity(visited);
                for at in 0..visited {
                    self.variables[usize::from(variable)] = list.get(at);
                    let result = self.value(body);
                    results.push(result);
                }
                ValueRef::owned_list(results, complete)
            }
        };
        self.variables[usize::from(variable)] = outer;
        self.stack.push(result);
    }

    fn quantify(
        &mut self,
        list: &ListRef<'a>,
        visited: usize,
        complete: bool,
        kind: MacroKind,
        variable: u8,
        body: Range,
    ) -> Truth {
        let decisive = if kind == MacroKind::Exists {
            Truth::True
        } else {
            Truth::False
        };
        let mut result = if complete { !decisive } else { Truth::Unknown };
        for at in 0..visited {
            self.variables[usize::from(variable)] = list.get(at);
            match self.truth(body) {
                holds if holds == decisive => return decisive,
                Truth::Unknown => result = Truth::Unknown,
                _ => {}
            }
        }
        result
    }

    fn exactly_one(
        &mut self,
        list: &ListRef<'a>,
        visited: usize,
        complete: bool,
        variable: u8,
        body: Range,
    ) -> Truth {
        let mut known = complete;
        let mut found = 0;
        for at in 0..visited {
            self.variables[usize::from(variable)] = list.get(at);
            match self.truth(body) {
                Truth::True => found += 1,
                Truth::False => {}
                Truth::Unknown => known = false,
            }
            if found > 1 {
                return Truth::False;
            }
        }
        if known {
            Truth::from(found == 1)
        } else {
            Truth::Unknown
        }
    }
}
