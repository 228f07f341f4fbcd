//! Limits of the language, so that a rule's author cannot spend the memory, stack or time of those who compile
//! and run it.

/// Longest source of one condition or `let`, in bytes.
pub const SOURCE_BYTES: usize = 64 * 1024;
/// Most tokens in one source.
pub const TOKENS: usize = 20_000;
/// Deepest nesting of brackets.
pub const DEPTH: usize = 64;
/// Most operators of one kind in a row, such as `a.b.c` or `1 + 1 + 1`.
pub const CHAIN: u16 = 1_000;
/// Most `let` names, exceptions, grouping fields or shown fields of one rule, each.
pub const PARTS: usize = 64;
/// Most Exception objects that one rule carries, beside its own exceptions.
pub const JOINED: usize = 256;
/// Highest cost of the condition of one Exception object, in steps of a byte. It has no part in the cost of the rule:
/// whoever writes an exception can neither use up what the rule may cost nor what other exceptions may.
pub const JOINED_COST: u64 = 200_000;
/// Most nodes of the condition of one Exception object once `let` names are written out.
pub const JOINED_NODES: u64 = 1_000;
/// Most patterns that the condition of one Exception object adds to a rule.
pub const JOINED_PATTERNS: usize = 2;
/// Memory of one compiled pattern of an Exception object, in bytes.
pub const JOINED_REGEX_BYTES: usize = 128 << 10;
/// Longest title template, in bytes.
pub const TITLE_BYTES: usize = 1_024;
/// Memory of one compiled regular expression, in bytes.
pub const REGEX_BYTES: usize = 1 << 20;
/// Most different patterns of one rule: each takes time and memory to compile.
pub const PATTERNS: usize = 64;
/// Deepest nesting of macros such as `exists` in each other.
pub const MACRO_DEPTH: u8 = 2;
/// Most elements of a list that a macro visits; those beyond count as unknown.
pub const LIST_ELEMENTS: usize = 1_024;
/// Longest string that an operator or function derives, in bytes; a longer one is unknown.
pub const DERIVED_BYTES: usize = 64 * 1024;
/// Longest text of which functions are calculated by the compiler, in bytes. Lists have a quarter of it in elements.
pub const FOLDED: usize = 256;
/// Highest cost of one rule for one event, in steps of a byte.
pub const COST: u64 = 1_000_000;
/// Highest cost of one check for one resource, in steps of a byte. Resources are judged when they change, not a
/// thousand times a second, and lists in lists are what they are made of.
pub const CHECK_COST: u64 = 100_000_000;
/// Most nodes of one rule once its `let` names are written out.
pub const EXPANDED_NODES: u64 = 50_000;
/// Most diagnostics for one rule; those beyond are not kept.
pub const DIAGNOSTICS: usize = 50;
/// Most values of one named list.
pub const LIST_VALUES: usize = 50_000;
/// Longest value of a named list, in bytes.
pub const LIST_VALUE_BYTES: usize = 4_096;
/// All values of one named list together, in bytes, with three more for each: what an object may hold.
pub const LIST_BYTES: usize = 900 << 10;
/// Most globs of one named list for which a matcher must be compiled.
pub const LIST_PATTERNS: usize = 512;
/// Those globs together, in bytes.
pub const LIST_PATTERN_BYTES: usize = 64 << 10;
/// Memory of one compiled matcher of a named list, in bytes.
pub const LIST_REGEX_BYTES: usize = 4 << 20;
/// Most values of one mark.
pub const MARK_VALUES: usize = 64;
/// Longest value of a mark, in bytes; that of a longer one is unknown.
pub const MARK_VALUE_BYTES: usize = 256;
