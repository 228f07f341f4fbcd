//! Many globs at once.
//!
//! What has no wildcard is looked up by hash, and so is the text before the first wildcard of all others: only those whose beginning
//! fits are tried, all of one beginning by one automaton.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use regex::bytes::Regex;
use yagura_event::Text;

use super::named::{ValueFault, tell};
use crate::limits;
use crate::pattern::{Syntax, compile, translate};

/// Bytes that mean something in a glob.
const WILD: &[u8] = b"*?[\\";
/// Bytes of a beginning that count.
const BEGINNING: usize = 64;

pub(super) struct Globs {
    exact: HashSet<Text>,
    beginnings: HashMap<Box<[u8]>, Rest>,
    /// The lengths of the beginnings.
    lengths: Vec<usize>,
    patterns: usize,
}

/// What may follow a beginning.
enum Rest {
    Anything,
    Matching(Regex),
}

impl Globs {
    pub(super) fn new(values: &[Text], faults: &mut Vec<ValueFault>) -> Result<Self, ()> {
        let mut exact = HashSet::new();
        let mut groups: BTreeMap<&[u8], BTreeSet<String>> = BTreeMap::new();
        let mut open: BTreeSet<&[u8]> = BTreeSet::new();
        let mut bytes = 0;
        for (index, value) in values.iter().enumerate() {
            let glob = value.as_bytes();
            let Some(wild) = glob.iter().position(|byte| WILD.contains(byte)) else {
                exact.insert(value.clone());
                continue;
            };
            if &glob[wild..] == b"**" && wild <= BEGINNING {
                open.insert(&glob[..wild]);
                continue;
            }
            match translate(glob, Syntax::Glob, false) {
                Ok(pattern) => {
                    bytes += glob.len();
                    groups
                        .entry(&glob[..wild.min(BEGINNING)])
                        .or_default()
                        .insert(pattern);
                }
                Err(message) => tell(faults, index, message),
            }
        }
        let patterns = groups.values().map(BTreeSet::len).sum();
        if patterns > limits::LIST_PATTERNS || bytes > limits::LIST_PATTERN_BYTES {
            faults.push(ValueFault {
                index: None,
                message: format!(
                    "{patterns} globs have wildcards other than ** at their end, and {bytes} bytes; {} and {} bytes are \
                     the most: split the list, or write fewer wildcards",
                    limits::LIST_PATTERNS,
                    limits::LIST_PATTERN_BYTES
                ),
            });
        }
        if !faults.is_empty() {
            return Err(());
        }
        let mut beginnings: HashMap<Box<[u8]>, Rest> = HashMap::new();
        for (beginning, patterns) in groups {
            let one_of: Vec<String> = patterns.iter().map(|one| format!("(?:{one})")).collect();
            match compile(&one_of.join("|"), limits::LIST_REGEX_BYTES) {
                Ok(regex) => {
                    beginnings.insert(beginning.into(), Rest::Matching(regex));
                }
                Err(message) => faults.push(ValueFault {
                    index: None,
                    message: format!(
                        "the globs that begin with {:?} are too much together: {message}",
                        String::from_utf8_lossy(beginning)
                    ),
                }),
            }
        }
        for beginning in open {
            beginnings.insert(beginning.into(), Rest::Anything);
        }
        let lengths: BTreeSet<usize> = beginnings.keys().map(|beginning| beginning.len()).collect();
        if faults.is_empty() {
            Ok(Self {
                exact,
                beginnings,
                lengths: lengths.into_iter().collect(),
                patterns,
            })
        } else {
            Err(())
        }
    }

    /// Whether one of them matches the whole text.
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        let rest_fits = |length: &usize| match self.beginnings.get(&text[..*length]) {
            Some(Rest::Anything) => true,
            Some(Rest::Matching(regex)) => regex.is_match(text),
            None => false,
        };
        let mut lengths = self.lengths.iter().take_while(|length| **length <= text.len());
        self.exact.contains(text) || lengths.any(rest_fits)
    }

    /// How many matchers there are for, at the most.
    pub(super) fn patterns(&self) -> usize {
        self.patterns
    }

    /// How often a text may be read.
    pub(super) fn passes(&self) -> u64 {
        1 + self.lengths.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(values: &[&str]) -> Result<Globs, Vec<ValueFault>> {
        let values: Vec<Text> = values.iter().copied().map(Text::from).collect();
        let mut faults = Vec::new();
        Globs::new(&values, &mut faults).map_err(|()| faults)
    }

    #[test]
    fn a_list_says_what_its_globs_say_one_by_one() {
        let long = format!("/{}/**", "d".repeat(80));
        let values = [
            "/tmp/*",
            "/tmp/**/x",
            "/dev/shm/**",
            "/usr/bin/true",
            "/usr/bin/[a-c]*",
            "**/.ssh/*",
            "*.sh",
            "**",
            "/opt/**",
            "/opt/*/bin",
            "a\\*b",
            "/dev/sd[!a-c]",
            &long,
        ];
        let texts = [
            "",
            "/tmp/",
            "/tmp/a",
            "/tmp/a/b",
            "/tmp/a/x",
            "/tmp/x",
            "/dev/shm",
            "/dev/shm/",
            "/dev/shm/a/b",
            "/usr/bin/true",
            "/usr/bin/truer",
            "/usr/bin/cat",
            "/usr/bin/dd",
            "/root/.ssh/id",
            ".ssh/id",
            "x.sh",
            "d/x.sh",
            "/opt/a/bin",
            "/opt/a/bin/b",
            "a*b",
            "axb",
            "/dev/sdd",
            "/dev/sda",
            &long.replace("**", "e"),
            &long.replace("/**", ""),
        ];
        // Every pair, and every list without one of them, so that no glob hides behind another.
        for left in values {
            for right in values {
                let list = globs(&[left, right]).unwrap();
                for text in texts {
                    let expected = [left, right].iter().any(|glob| {
                        let source = translate(glob.as_bytes(), Syntax::Glob, false).unwrap();
                        let regex = compile(&source, limits::REGEX_BYTES).unwrap();
                        regex.is_match(text.as_bytes())
                    });
                    assert_eq!(list.holds(text.as_bytes()), expected, "{left} {right} {text:?}");
                }
            }
        }
        assert!(globs(&["/tmp/*"]).unwrap().holds(b"/tmp/\xff"));
    }

    #[test]
    fn globs_that_are_none_are_named() {
        let faults = globs(&["/tmp/*", "[a", "[z-a]"]).err().unwrap();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "values[1]: a `[` has no `]`",
                "values[2]: the range z-a is backwards"
            ]
        );
    }

    #[test]
    fn matchers_are_bounded_and_what_needs_none_is_not_counted() {
        let plain: Vec<String> = (0..5_000).map(|n| format!("/opt/{n}/**")).collect();
        let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
        assert_eq!(globs(&plain).unwrap().patterns(), 0);
        let wild: Vec<String> = (0..=limits::LIST_PATTERNS)
            .map(|n| format!("/opt/*/{n}"))
            .collect();
        let wild: Vec<&str> = wild.iter().map(String::as_str).collect();
        let fault = globs(&wild).err().unwrap().remove(0).to_string();
        assert!(fault.starts_with("values: 513 globs have wildcards"), "{fault}");
        let most = globs(&wild[1..]).unwrap();
        assert_eq!(most.patterns(), limits::LIST_PATTERNS);
        assert!(most.holds(b"/opt/x/7") && !most.holds(b"/opt/x/y/7"));
    }
}
