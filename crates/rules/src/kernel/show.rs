//! Filters as text: a condition of the rule language that says the same, atom by atom.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use yagura_event::Registry;
use yagura_event::field::capability;
use yagura_event::field::kernel::KernelTest;

use super::Filter;
use super::atom::{Atom, Key, Range, Shape, Test};

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_open() {
            return f.write_str("true");
        }
        if self.groups.is_empty() {
            return f.write_str("false");
        }
        let alone = self.groups.len() == 1;
        for (index, group) in self.groups.iter().enumerate() {
            let or = if index > 0 { " || " } else { "" };
            let (open, close) = if alone || group.len() == 1 {
                ("", "")
            } else {
                ("(", ")")
            };
            write!(f, "{or}{open}")?;
            for (index, atom) in group.iter().enumerate() {
                let and = if index > 0 { " && " } else { "" };
                write!(f, "{and}{atom}")?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

impl Display for Atom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let field = Registry::workload().field(self.subject.field);
        let subject = if self.subject.base {
            format!("{}.base()", field.path)
        } else {
            field.path.to_owned()
        };
        let names = field
            .in_kernel
            .is_some_and(|known| known.test == KernelTest::Capabilities);
        match (&self.test, self.negated) {
            (Test::Present, false) => write!(f, "{subject} != null"),
            (Test::Present, true) => write!(f, "{subject} == null"),
            (Test::Is(true), false) => f.write_str(&subject),
            (Test::Is(true), true) => write!(f, "!{subject}"),
            (Test::Is(false), false) => write!(f, "{subject} == false"),
            (Test::Is(false), true) => write!(f, "{subject} != false"),
            (test, negated) => {
                let condition = match test {
                    Test::Numbers(ranges) => numbers(&subject, ranges),
                    Test::Bits { mask, .. } if names => capabilities(&subject, *mask),
                    Test::Bits { mask, all } => {
                        let function = if *all { "allOf" } else { "anyOf" };
                        format!("bits.{function}({subject}, {mask:#x})")
                    }
                    Test::Texts(keys) => texts(&subject, keys),
                    Test::Present | Test::Is(_) => subject,
                };
                match (negated, condition.strip_prefix('(')) {
                    (false, _) => f.write_str(&condition),
                    (true, Some(_)) => write!(f, "!{condition}"),
                    (true, None) => write!(f, "!({condition})"),
                }
            }
        }
    }
}

fn numbers(subject: &str, ranges: &[Range]) -> String {
    let single = ranges.iter().all(|range| range.min == range.max);
    if let ([_, _, ..], true) = (ranges, single) {
        let numbers: Vec<String> = ranges.iter().map(|range| range.min.to_string()).collect();
        return format!("{subject} in [{}]", numbers.join(", "));
    }
    let range = |Range { min, max }: &Range| match (*min, *max) {
        (min, max) if min == max => format!("{subject} == {min}"),
        (0, max) => format!("{subject} <= {max}"),
        (min, u64::MAX) => format!("{subject} >= {min}"),
        (min, max) => format!("({subject} >= {min} && {subject} <= {max})"),
    };
    any(&ranges.iter().map(range).collect::<Vec<_>>())
}

fn texts(subject: &str, keys: &BTreeSet<Key>) -> String {
    let of = |shape| keys.iter().filter(move |key| key.shape == shape);
    let whole: Vec<String> = of(Shape::Whole).map(|key| quoted(key.text.as_bytes())).collect();
    let whole = match whole.as_slice() {
        [] => None,
        [one] => Some(format!("{subject} == {one}")),
        many => Some(format!("{subject} in [{}]", many.join(", "))),
    };
    let call = |shape, function| {
        of(shape).map(move |key| format!("{subject}.{function}({})", quoted(key.text.as_bytes())))
    };
    let prefixes = call(Shape::Prefix, "startsWith");
    let suffixes = call(Shape::Suffix, "endsWith");
    any(&whole
        .into_iter()
        .chain(prefixes)
        .chain(suffixes)
        .collect::<Vec<_>>())
}

fn capabilities(subject: &str, mask: u64) -> String {
    let names: Vec<String> = capability::NAMES
        .into_iter()
        .filter(|name| capability::bit(name.as_bytes()).is_some_and(|bit| mask & bit != 0))
        .map(|name| format!("\"{name}\""))
        .collect();
    match names.as_slice() {
        [one] => format!("{one} in {subject}"),
        many => format!("[{}].intersects({subject})", many.join(", ")),
    }
}

fn any(alternatives: &[String]) -> String {
    match alternatives {
        [one] => one.clone(),
        many => format!("({})", many.join(" || ")),
    }
}

/// A text as the language writes it.
fn quoted(text: &[u8]) -> String {
    let plain = std::str::from_utf8(text)
        .ok()
        .filter(|text| !text.chars().any(char::is_control));
    if let Some(plain) = plain {
        return format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""));
    }
    let mut out = String::from("b\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => {
                out.push_str("\\x");
                let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
                out.extend(digits.into_iter().flatten());
            }
        }
    }
    out.push('"');
    out
}
