//! One list: its values, and what is in it.

use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use yagura_event::Text;

use super::glob::Globs;
use super::network::Networks;
use super::sum::{sum, sums};
use crate::limits;

/// What the values of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListType {
    /// Strings, compared as they are.
    String,
    /// Patterns as `glob` takes them.
    Glob,
    /// Networks such as `10.0.0.0/8`, and single addresses.
    Cidr,
    /// SHA-256 sums in hexadecimal.
    Sha256,
}

impl ListType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::String, Self::Glob, Self::Cidr, Self::Sha256];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Glob => "glob",
            Self::Cidr => "cidr",
            Self::Sha256 => "sha256",
        }
    }
}

impl fmt::Display for ListType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a type that there is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownListType(pub String);

impl fmt::Display for UnknownListType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ListType::ALL.map(ListType::as_str).join(", ");
        write!(f, "there is no list of type {:?}; there are {names}", self.0)
    }
}

impl std::error::Error for UnknownListType {}

impl FromStr for ListType {
    type Err = UnknownListType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownListType(name.chars().take(60).collect()))
    }
}

/// What is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueFault {
    /// The value by its place; `None`: the list as a whole.
    pub index: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl ValueFault {
    fn whole(message: String) -> Self {
        Self { index: None, message }
    }
}

impl fmt::Display for ValueFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "values[{index}]: {}", self.message),
            None => write!(f, "values: {}", self.message),
        }
    }
}

/// A list that conditions may name. The order of its values means nothing, and a value that is there twice is there once.
pub struct NamedList {
    kind: ListType,
    digest: [u8; 32],
    count: usize,
    longest: usize,
    patterns: usize,
    members: Members,
}

enum Members {
    /// The values for those who visit them, and the same for those who look for one.
    Strings(Vec<Text>, HashSet<Text>),
    Globs(Globs),
    Networks(Networks),
    /// Sorted.
    Sums(Vec<[u8; 32]>),
}

impl NamedList {
    /// A list of strings that is part of the program.
    pub(super) fn of_strings<const N: usize>(values: [&str; N]) -> Self {
        let values: Vec<Text> = values.into_iter().map(Text::from).collect();
        Self {
            kind: ListType::String,
            digest: digest(ListType::String, &values),
            count: values.len(),
            longest: values.iter().map(Text::len).max().unwrap_or_default(),
            patterns: 0,
            members: Members::Strings(values.clone(), values.into_iter().collect()),
        }
    }

    /// A list of these values, or everything that is wrong with them; no more is told than a person reads.
    pub fn new<T: Into<Text>>(
        kind: ListType,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Self, Vec<ValueFault>> {
        let values: Vec<Text> = values.into_iter().map(Into::into).collect();
        let mut faults = bounds(&values);
        if !faults.is_empty() {
            return Err(faults);
        }
        let members = match kind {
            ListType::String => Ok(strings(&values)),
            ListType::Glob => Globs::new(&values, &mut faults).map(Members::Globs),
            ListType::Cidr => Networks::new(&values, &mut faults).map(Members::Networks),
            ListType::Sha256 => sums(&values, &mut faults).map(Members::Sums),
        };
        let (Ok(members), true) = (members, faults.is_empty()) else {
            return Err(faults);
        };
        let mut values = values;
        values.sort_unstable();
        values.dedup();
        Ok(Self {
            kind,
            digest: digest(kind, &values),
            count: values.len(),
            longest: values.iter().map(Text::len).max().unwrap_or_default(),
            patterns: match &members {
                Members::Globs(globs) => globs.patterns(),
                _ => 0,
            },
            members,
        })
    }

    /// What its values are.
    pub fn kind(&self) -> ListType {
        self.kind
    }

    /// How many different values it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has no value.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The length of its longest value, in bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// How many of its values had to be compiled into matchers.
    pub fn patterns(&self) -> usize {
        self.patterns
    }

    /// The SHA-256 of type and values: lists with the same have the same values.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The digest in hexadecimal.
    pub fn digest_hex(&self) -> String {
        hex(&self.digest)
    }

    /// Whether a text is in the list: one of its strings, matched by one of its globs, an address in one of its networks, or one of
    /// its sums.
    pub fn holds(&self, text: &[u8]) -> bool {
        match &self.members {
            Members::Strings(_, set) => set.contains(text),
            Members::Globs(globs) => globs.holds(text),
            Members::Networks(networks) => networks.holds(text),
            Members::Sums(sums) => sum(text).is_some_and(|sum| sums.binary_search(&sum).is_ok()),
        }
    }

    /// The values of a list of strings; `None` of any other: its values are not what is in it.
    pub fn strings(&self) -> Option<&[Text]> {
        match &self.members {
            Members::Strings(values, _) => Some(values),
            _ => None,
        }
    }

    /// What it may cost to look for a text of so many bytes, in steps of a byte.
    pub(crate) fn steps(&self, bytes: u64) -> u64 {
        match &self.members {
            Members::Strings(..) => bytes,
            // Nothing longer is an address or a sum.
            Members::Networks(_) | Members::Sums(_) => bytes.min(128),
            Members::Globs(globs) => bytes.saturating_mul(globs.passes()),
        }
    }
}

impl PartialEq for NamedList {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for NamedList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values of type {}", self.count, self.kind)
    }
}

fn bounds(values: &[Text]) -> Vec<ValueFault> {
    // As an object has them in JSON: in quotes, with a comma.
    let bytes: usize = values.iter().map(|value| value.len() + 3).sum();
    let mut faults = Vec::new();
    if values.len() > limits::LIST_VALUES {
        faults.push(ValueFault::whole(format!(
            "there are {}, more than {}: split the list",
            values.len(),
            limits::LIST_VALUES
        )));
    }
    if bytes > limits::LIST_BYTES {
        faults.push(ValueFault::whole(format!(
            "they take {bytes} bytes, more than {}: split the list",
            limits::LIST_BYTES
        )));
    }
    for (index, value) in values.iter().enumerate() {
        let message = if value.is_empty() {
            "it is empty".to_owned()
        } else if value.len() > limits::LIST_VALUE_BYTES {
            format!("it has more than {} bytes", limits::LIST_VALUE_BYTES)
        } else {
            continue;
        };
        tell(&mut faults, index, message);
    }
    faults
}

/// Notes what is wrong with a value, unless enough is noted already.
pub(super) fn tell(faults: &mut Vec<ValueFault>, index: usize, message: String) {
    if faults.len() < limits::DIAGNOSTICS {
        faults.push(ValueFault {
            index: Some(index),
            message,
        });
    }
}

fn strings(values: &[Text]) -> Members {
    let set: HashSet<Text> = values.iter().cloned().collect();
    let mut values: Vec<Text> = set.iter().cloned().collect();
    values.sort_unstable();
    Members::Strings(values, set)
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // A string takes everything.
            let _always_fits = write!(text, "{byte:02x}");
            text
        })
}

/// The digest of values that are sorted.
fn digest(kind: ListType, values: &[Text]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(kind.as_str());
    for value in values {
        // Lengths keep ("ab", "c") and ("a", "bc") apart.
        hasher.update((value.len() as u64).to_be_bytes());
        hasher.update(value.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(kind: ListType, values: &[&str]) -> NamedList {
        NamedList::new(kind, values.iter().copied()).unwrap()
    }

    fn faults(kind: ListType, values: &[&str]) -> Vec<String> {
        let faults = NamedList::new(kind, values.iter().copied()).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn order_and_repetition_mean_nothing() {
        let one = list(ListType::String, &["b", "a", "b"]);
        let two = list(ListType::String, &["a", "b"]);
        assert_eq!(one, two);
        assert_eq!(one.len(), 2);
        assert_eq!(one.strings().unwrap(), [Text::from("a"), Text::from("b")]);
        assert_ne!(one, list(ListType::String, &["ab"]));
        assert_ne!(one, list(ListType::Glob, &["a", "b"]));
        assert_eq!(two, NamedList::of_strings(["a", "b"]));
    }

    #[test]
    fn strings_are_compared_as_they_are() {
        let list = list(ListType::String, &["sh", "/bin/*"]);
        assert!(list.holds(b"sh") && list.holds(b"/bin/*"));
        assert!(!list.holds(b"SH") && !list.holds(b"/bin/sh") && !list.holds(b""));
    }

    #[test]
    fn a_sum_is_the_same_however_it_is_written() {
        let digits = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let list = list(
            ListType::Sha256,
            &[digits, &format!("sha256:{}", digits.to_uppercase())],
        );
        assert!(list.holds(digits.as_bytes()));
        assert!(list.holds(digits.to_uppercase().as_bytes()));
        assert!(list.holds(format!("sha256:{digits}").as_bytes()));
        assert!(!list.holds(&digits.as_bytes()[1..]) && !list.holds(format!("md5:{digits}").as_bytes()));
        assert!(list.strings().is_none());
        assert_eq!(
            faults(ListType::Sha256, &[digits, "abc", &digits.replace('9', "g")]),
            [
                "values[1]: it is no SHA-256: write its 64 hexadecimal digits",
                "values[2]: it is no SHA-256: write its 64 hexadecimal digits",
            ]
        );
    }

    #[test]
    fn a_list_is_bounded() {
        assert_eq!(faults(ListType::String, &["a", ""]), ["values[1]: it is empty"]);
        let long = "x".repeat(limits::LIST_VALUE_BYTES + 1);
        assert_eq!(
            faults(ListType::String, &[&long]),
            ["values[0]: it has more than 4096 bytes"]
        );
        let many: Vec<String> = (0..=limits::LIST_VALUES).map(|n| n.to_string()).collect();
        let refused = NamedList::new(ListType::String, many).unwrap_err();
        assert_eq!(
            refused[0].to_string(),
            "values: there are 50001, more than 50000: split the list"
        );
        let large: Vec<String> = (0..300).map(|n| format!("{n:04000}")).collect();
        let refused = NamedList::new(ListType::String, large).unwrap_err();
        assert_eq!(
            refused[0].to_string(),
            "values: they take 1200900 bytes, more than 921600: split the list"
        );
        let wrong = vec!["x"; 1_000];
        assert_eq!(
            NamedList::new(ListType::Sha256, wrong).unwrap_err().len(),
            limits::DIAGNOSTICS
        );
    }

    #[test]
    fn types_have_names() {
        for kind in ListType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!(
            "regex".parse::<ListType>().unwrap_err().to_string(),
            "there is no list of type \"regex\"; there are string, glob, cidr, sha256"
        );
    }
}
