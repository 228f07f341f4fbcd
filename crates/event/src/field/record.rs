//! Events as signals show them: chosen fields as one tree.

use super::{FieldId, Registry};
use crate::{Event, Record, Text, Tree};

impl Registry {
    /// The values of the fields in `ids`, and of those that are shown unasked, as far as they are present.
    pub fn record(&self, event: &Event, ids: &[FieldId]) -> Record {
        let mut pairs = Vec::new();
        for (id, field) in self.fields() {
            if !field.shown && !ids.contains(&id) {
                continue;
            }
            match self.read(id, event).to_tree() {
                None | Some(Tree::Null) => {}
                Some(value) => pairs.push((field.path, value)),
            }
        }
        Record {
            time: event.time,
            fields: nest(&pairs),
        }
    }
}

/// A tree of the values, nested by the segments of their paths. Where one path is the start of another, the
/// longer one wins: the value of an object stands in its members.
pub(super) fn nest(pairs: &[(&str, Tree)]) -> Tree {
    let mut here: Vec<(Text, Tree)> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (path, _) in pairs {
        let first = path.split('.').next().unwrap_or_default();
        if seen.contains(&first) {
            continue;
        }
        seen.push(first);
        let below: Vec<(&str, Tree)> = pairs
            .iter()
            .filter_map(|(path, value)| {
                let rest = path.strip_prefix(first)?.strip_prefix('.')?;
                Some((rest, value.clone()))
            })
            .collect();
        let value = if below.is_empty() {
            pairs
                .iter()
                .find(|(path, _)| *path == first)
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        } else {
            nest(&below)
        };
        here.push((Text::from(first), value));
    }
    Tree::map(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, build_event};

    #[test]
    fn a_record_nests_by_the_segments_of_names() {
        let tree = Tree::map([
            ("kind".into(), "process.exec".into()),
            ("process.name".into(), "bash".into()),
            ("process.parent.name".into(), "nginx".into()),
            ("process.arg0".into(), "-bash".into()),
        ]);
        let event = build_event(&tree, Timestamp(7)).unwrap();
        let registry = Registry::workload();
        let record = registry.record(&event, &[registry.find("process.arg0").unwrap()]);
        assert_eq!(record.time, Timestamp(7));
        assert_eq!(record.fields.at("process.name"), Some(&"bash".into()));
        assert_eq!(record.fields.at("process.parent.name"), Some(&"nginx".into()));
        assert_eq!(record.fields.at("process.arg0"), Some(&"-bash".into()));
        assert_eq!(record.fields.at("process.session_id"), None);
        assert_eq!(record.fields.at("container"), None);
    }
}
