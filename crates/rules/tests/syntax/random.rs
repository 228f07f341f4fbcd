//! Random expressions by CEL's grammar, some with a token too many, too few or elsewhere. The seed is part of
//! the test: what fails once fails always.

/// Numbers by the `SplitMix64` generator.
pub(crate) struct Random(u64);

/// Deeper expressions are leaves.
const DEPTH: u32 = 3;

const NAMES: &[&str] = &["a", "b", "process", "args", "x1", "_y", "size", "bits", "kinds"];

const LITERALS: &[&str] = &[
    "0",
    "1",
    "42",
    "0x1f",
    "7u",
    "1.5",
    "2e3",
    ".25",
    "true",
    "false",
    "null",
    "\"\"",
    "\"sh\"",
    "'a b'",
    "r\"\\d+\"",
    "\"\\n\\x41\\u00e9\\101\"",
    "b\"\\xff\"",
    "'''it's'''",
    "\"\"\"two \"words\" \"\"\"",
    "\"é\"",
];

const OPERATORS: &[&str] = &[
    "||", "&&", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%",
];

/// What is a macro where it is called with a dot.
pub(crate) const MACROS: &[&str] = &["exists", "all", "exists_one", "filter", "map"];

/// What a mutation puts in.
const STRAY: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "?",
    ":",
    "!",
    "-",
    "&&",
    "==",
    "in",
    "a",
    "1",
    "\"s\"",
    "true",
    "=",
    "&",
    "#",
    "@",
    "'",
    "\\",
    "for",
    "007",
    "18446744073709551615",
    "0X1F",
    "rb'x'",
    "\"\\q\"",
    "1x",
];

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    /// The tokens of an expression; of every second one, not quite.
    pub(crate) fn expression(&mut self) -> Vec<&'static str> {
        let mut tokens = Vec::new();
        self.conditional(0, &mut tokens);
        if self.below(2) == 0 {
            for _ in 0..=self.below(2) {
                self.mutate(&mut tokens);
            }
        }
        tokens
    }

    fn mutate(&mut self, tokens: &mut Vec<&'static str>) {
        if tokens.is_empty() {
            return;
        }
        let place = self.below(tokens.len());
        match self.below(4) {
            0 => {
                tokens.remove(place);
            }
            1 => tokens.insert(place, tokens[place]),
            2 => {
                let other = self.below(tokens.len());
                tokens.swap(place, other);
            }
            _ => tokens[place] = self.one(STRAY),
        }
    }

    fn conditional(&mut self, depth: u32, tokens: &mut Vec<&'static str>) {
        self.binary(depth, tokens);
        if self.below(8) == 0 {
            tokens.push("?");
            self.binary(depth, tokens);
            tokens.push(":");
            self.binary(depth, tokens);
        }
    }

    fn binary(&mut self, depth: u32, tokens: &mut Vec<&'static str>) {
        self.unary(depth, tokens);
        for _ in 0..[0, 0, 1, 2][self.below(4)] {
            tokens.push(self.one(OPERATORS));
            self.unary(depth, tokens);
        }
    }

    fn unary(&mut self, depth: u32, tokens: &mut Vec<&'static str>) {
        let prefix = self.one(&["", "", "", "", "!", "-"]);
        if !prefix.is_empty() {
            tokens.extend(std::iter::repeat_n(prefix, 1 + self.below(2)));
        }
        self.primary(depth, tokens);
        for _ in 0..self.below(3) {
            self.attached(depth, tokens);
        }
    }

    fn primary(&mut self, depth: u32, tokens: &mut Vec<&'static str>) {
        match if depth < DEPTH {
            self.below(10)
        } else {
            self.below(6)
        } {
            0..3 => tokens.push(self.one(NAMES)),
            3..6 => tokens.push(self.one(LITERALS)),
            6 => {
                tokens.push("(");
                self.conditional(depth + 1, tokens);
                tokens.push(")");
            }
            7 => {
                tokens.push("[");
                self.list(depth, tokens);
                tokens.push("]");
            }
            8 => {
                tokens.push(self.one(NAMES));
                tokens.push("(");
                self.list(depth, tokens);
                tokens.push(")");
            }
            _ => {
                tokens.extend(["has", "(", self.one(NAMES), ".", self.one(NAMES), ")"]);
            }
        }
    }

    fn attached(&mut self, depth: u32, tokens: &mut Vec<&'static str>) {
        match if depth < DEPTH { self.below(5) } else { 0 } {
            0 | 1 => tokens.extend([".", self.one(NAMES)]),
            2 => {
                tokens.push("[");
                self.conditional(depth + 1, tokens);
                tokens.push("]");
            }
            3 => {
                tokens.extend([".", self.one(NAMES), "("]);
                self.list(depth, tokens);
                tokens.push(")");
            }
            _ => {
                tokens.extend([".", self.one(MACROS), "(", self.one(NAMES), ","]);
                self.conditional(depth + 1, tokens);
                tokens.push(")");
            }
        }
    }

    fn list(&mut self, depth: u32, tokens: &mut Vec<&'static str>) {
        for element in 0..self.below(4) {
            if element > 0 {
                tokens.push(",");
            }
            self.conditional(depth + 1, tokens);
        }
    }
}
