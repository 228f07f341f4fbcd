//! Owned values of any shape: evidence, configuration files and API objects.

use crate::Text;

/// A value that is owned and may be nested: what a signal shows of an event, a parsed
/// configuration file, or an API object below `resource.*`.
///
/// A missing map key is absent. [`Tree::Unknown`] marks what could not be learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Tree {
    /// JSON null; counts as absent in conditions.
    #[default]
    Null,
    /// Could not be learned: unreadable, cut off or not collected.
    Unknown,
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer, for values beyond `i64`.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// A byte string.
    Text(Text),
    /// A list.
    List(Vec<Tree>),
    /// A map, sorted by key; keys are unique.
    Map(Vec<(Text, Tree)>),
}

impl Tree {
    /// A map from pairs: sorted here, and the last of two equal keys wins.
    pub fn map(pairs: impl IntoIterator<Item = (Text, Self)>) -> Self {
        let mut sorted = std::collections::BTreeMap::new();
        sorted.extend(pairs);
        Self::Map(sorted.into_iter().collect())
    }

    /// The value under `key` of a map.
    pub fn get(&self, key: &[u8]) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        let index = pairs
            .binary_search_by(|(name, _)| name.as_bytes().cmp(key))
            .ok()?;
        Some(&pairs[index].1)
    }

    /// The value at a dotted path of map keys, such as `process.parent.name`.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |tree, key| tree.get(key.as_bytes()))
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(Text::from(text))
    }
}

impl From<bool> for Tree {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Tree {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Text> for Tree {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn a_map_is_sorted_and_the_last_of_equal_keys_wins() {
        let tree = Tree::map([
            ("b".into(), Tree::from(1)),
            ("a".into(), Tree::from(2)),
            ("b".into(), Tree::map([("c".into(), Tree::from(3))])),
        ]);
        assert_eq!(tree.get(b"a"), Some(&Tree::Int(2)));
        assert_eq!(tree.at("b.c"), Some(&Tree::Int(3)));
        assert_eq!(tree.at("b.d"), None);
        assert_eq!(tree.at("a.c"), None);
    }
}
