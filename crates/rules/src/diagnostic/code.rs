//! The catalogue of diagnostics. Codes are stable: one is never given another meaning.

use std::fmt;

use super::Level;

/// What kind of mistake a diagnostic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Y{:04}", self.0)
    }
}

impl Code {
    /// Warnings are numbered from 100.
    pub fn level(self) -> Level {
        if self.0 >= 100 {
            Level::Warning
        } else {
            Level::Error
        }
    }

    /// Its entry in the catalogue.
    pub fn entry(self) -> Option<&'static Entry> {
        CATALOGUE.iter().find(|entry| entry.code == self)
    }
}

/// A diagnostic as the reference documents it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// What it means.
    pub meaning: &'static str,
    /// A condition that has the mistake.
    pub example: &'static str,
    /// What to do.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $meaning:literal, $example:literal, $help:literal;)*) => {
        impl Code {
            $(
                #[doc = $meaning]
                pub const $name: Self = Self($number);
            )*
        }

        /// Every diagnostic, by number.
        pub const CATALOGUE: &[Entry] = &[
            $(Entry { code: Code::$name, meaning: $meaning, example: $example, help: $help },)*
        ];
    };
}

catalogue! {
    TOO_LONG = 1, "The source is longer than 64 KiB.", "(a condition of more than 65,536 bytes)",
        "Split the rule, or move long lists into a named list.";
    TOO_MANY_TOKENS = 2, "The source has more than 20,000 tokens.", "(a list of more than 10,000 strings)",
        "Split the rule, or move long lists into a named list.";
    TOO_DEEP = 3, "Brackets are nested deeper than 64.", "((((((…))))))", "Give parts of the condition names with let.";
    CHAIN_TOO_LONG = 4, "More than 1,000 operators of one kind stand in a row.", "1 + 1 + 1 + …",
        "Use a list and `in`, or several rules.";
    UNEXPECTED_CHARACTER = 5, "A character has no meaning here.", "process.pid = 1", "Remove it; `==` compares.";
    UNTERMINATED_STRING = 6, "A string has no closing quote.", "process.name == \"bash", "Close it on the same line.";
    BAD_ESCAPE = 7, "An escape in a string is not one of the language.", "\"\\q\"",
        "Write `\\\\` for a backslash, or a raw string such as r\"\\d+\".";
    BAD_NUMBER = 8, "A number cannot be read.", "process.pid == 0123",
        "Write no leading zeros; mode(\"0644\") takes an octal mode.";
    UNEXPECTED = 10, "Something else was expected here.", "process.name ==", "Complete the expression.";
    UNCLOSED = 11, "A bracket is not closed.", "(process.pid == 1", "Add the missing bracket.";
    EMPTY = 12, "There is no expression.", "(an empty condition)", "Write a condition.";
    UNSUPPORTED_SYNTAX = 13, "The grammar has it, this version of the language does not.", "{\"a\": 1}",
        "Say it in another way.";
    UNKNOWN_NAME = 20, "No field, let or variable has that name.", "proces.name == \"sh\"", "Check the spelling.";
    UNKNOWN_FIELD = 21, "There is no such field.", "process.nmae == \"sh\"", "`yagura fields` lists them.";
    UNKNOWN_FUNCTION = 22, "There is no such function.", "process.name.beginsWith(\"s\")", "`yagura functions` lists them.";
    WRONG_ARGUMENT_COUNT = 23, "A function got too many or too few arguments.", "process.name.startsWith()",
        "See its signature.";
    WRONG_TYPE = 24, "A value has a type that does not fit here.", "process.pid.startsWith(\"1\")",
        "Use a value of the type that is wanted.";
    NOT_A_CONDITION = 25, "The result is not true or false.", "process.name", "Compare it with something.";
    NOT_A_VALUE = 26, "A group of fields is no value.", "process == \"sh\"", "Name one of its fields.";
    NEVER_EQUAL = 27, "Values of these types can never be equal, nor ordered.", "process.pid == \"1\"",
        "Compare values of the same type.";
    BAD_MACRO = 28, "A macro wants a variable and an expression.", "process.args.exists(\"-c\")",
        "Write list.exists(x, x == \"-c\").";
    MACROS_TOO_DEEP = 29, "Macros may be nested once.", "l.all(a, a.all(b, b.all(c, c)))", "Name the inner part differently.";
    PATTERN_NOT_LITERAL = 30, "A pattern must be written out.", "process.name.matches(process.arg0)",
        "Write the pattern as a string.";
    BAD_PATTERN = 31, "A pattern cannot be compiled.", "process.name.matches(\"(\")", "Correct the pattern.";
    BAD_LET = 32, "A name cannot be given.", "let: [{name: process, value: …}]",
        "Use a name that is no field, function, keyword or other let.";
    UNKNOWN_LIST = 33, "There is no such named list.", "process.name in lists[\"shels\"]",
        "Check the spelling, or make a ValueList of this name.";
    BAD_MODE = 34, "A file mode is no octal number.", "mode(\"rw-\")", "Write mode(\"0644\").";
    TOO_COSTLY = 35, "A rule may take more than 1,000,000 steps for one event, or a check more than 100,000,000 for one resource.",
        "(several macros in macros over long lists)", "Test cheaper fields, or fewer lists.";
    TOO_LARGE = 36, "With its let names written out the rule is too large.", "(let names that double each other)",
        "Use fewer let names in each other.";
    UNKNOWN_KIND = 37, "No event kind has that name.", "event.kind == \"process.start\"", "Check the spelling.";
    TOO_MANY_PARTS = 38, "The rule has more parts of one sort than it may: 64, or 256 Exception objects.", "(65 let names)", "Split the rule.";
    UNKNOWN_SOURCE = 39, "The rule's source of events is not known here.", "source: kubernets-audit",
        "Correct the name, or update what is too old to know it.";
    BAD_TEMPLATE = 40, "A title cannot be read.", "title: \"{{process.name\"", "Write {{field}}.";
    BAD_FIELD_LIST = 41, "A grouping or shown field is not one.", "groupBy: [process]", "Name a field.";
    BAD_THRESHOLD = 42, "A threshold cannot be counted.", "threshold: {count: 0, within: 300s}",
        "Count 1 to 1,000,000 matches, or 1 to 1,024 different values, within at most 24 hours.";
    GROUPED_TWICE = 43, "A rule with detect groups its signals as its windows are grouped.",
        "(detect with a threshold, and signal: {groupBy: [container.id]})",
        "Leave signal.groupBy out.";
    BAD_LITERAL = 44, "What is written out is not what the function reads.", "process.args.exists(a, ip(a) == ip(\"10.0.0\"))",
        "Write it in the form that the message names.";
    BAD_NEW_VALUE = 46, "New values cannot be found.", "newValue: {fields: [], learnFor: 24h}",
        "Name 1 to 5 fields; learn and remember for at most 90 days.";
    BAD_SEQUENCE = 47, "A sequence cannot be found.", "sequence: {within: 48h, steps: []}",
        "Name 1 to 10 steps that take up to 64 matches together, within at most 24 hours.";
    BAD_CORRELATION = 48, "Queries cannot be correlated.", "correlation: {queries: [], cases: []}",
        "Name 1 to 8 queries, and 1 to 8 cases that compare them with numbers and each other.";
    BAD_ANOMALY = 49, "What is usual cannot be learned.", "anomaly: {bucket: 7m}",
        "Use buckets that divide a day and an hour, or are hours, and numbers in the bounds that the message names.";
    BAD_MARK = 52, "A mark cannot be set, or not be asked for like this.", "process.marks[process.name] == true",
        "Set a mark by a name for at most 24 hours; ask for it by that name: process.marks[\"name\"].";
    MARK_CIRCLE = 53, "Rules wait for each other's marks, so that none of them can be asked first.",
        "(a rule that sets a and reads b, and another that sets b and reads a)",
        "Let one of them do without the other's mark.";
    UNUSED_LET = 100, "A let name is not used.", "let: [{name: a, value: \"1\"}]", "Remove it.";
    ALWAYS_TRUE = 101, "The condition holds for everything.", "true || process.pid == 1", "Check what was meant.";
    ALWAYS_FALSE = 102, "The condition never holds.", "process.name == \"a\" && false", "Check what was meant.";
    NO_KIND = 103, "No kind of event can meet the condition.",
        "event.kind == \"process.exec\" && process.exit_code == 1", "Check which kinds have the fields.";
    ABSENT_HOLDS = 104, "A negation holds for every event that lacks the field.",
        "event.kind == \"process.exec\" && process.exit_code != 0", "Add has(field) if that is not meant.";
    SLOW_PATTERN = 105, "A pattern is tried on every event: neither it nor the condition has a text that must be there.",
        "process.name.matches(\"^[a-z]{16}$\")", "Write out a part of the pattern, or test a name or path beside it.";
    UNSET_MARK = 110, "No rule sets a mark that a condition asks for.", "(process.marks[\"downloaded\"] among rules that set no such mark)",
        "Check the spelling and what bears the mark, or add the rule that sets it.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_are_used_once() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(Code::TOO_LONG.to_string(), "Y0001");
        assert_eq!(Code::UNUSED_LET.level(), Level::Warning);
        assert_eq!(Code::BAD_FIELD_LIST.entry().unwrap().code, Code::BAD_FIELD_LIST);
    }
}
