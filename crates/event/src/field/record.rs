//! Events as signals show them: chosen fields as one tree.

use super::{FieldId, Registry};
use crate::{Event, Record, Text, Tree};

/// The field with the process tree.
const ANCESTORS: &str = "process.ancestors";

impl Registry {
    /// The values of the fields in `ids`, and of those that are shown unasked, as far as they are present.
    ///
    /// The process tree is always in it: as the names of the ancestors, nearest first, which is what a person reads
    /// at a glance and stays small; in full where `process.ancestors` is asked for.
    pub fn record(&self, event: &Event, ids: &[FieldId]) -> Record {
        let mut pairs = Vec::new();
        for (id, field) in self.fields() {
            if !field.shown && !ids.contains(&id) {
                continue;
            }
            match self.shown(id, event) {
                None | Some(Tree::Null) => {}
                Some(value) => pairs.push((field.path, value)),
            }
        }
        if !event.process.ancestors.is_empty() && !pairs.iter().any(|(path, _)| *path == ANCESTORS) {
            let names = event
                .process
                .ancestors
                .iter()
                .map(|ancestor| Tree::Text(ancestor.name.clone()));
            pairs.push((ANCESTORS, Tree::List(names.collect())));
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
    fn the_process_tree_is_shown_by_names_unless_asked_for() {
        let ancestor =
            |name: &str| Tree::map([("name".into(), name.into()), ("args".into(), Tree::List(vec![]))]);
        let tree = Tree::map([
            ("kind".into(), "process.exec".into()),
            ("process.name".into(), "sh".into()),
            (
                "process.ancestors".into(),
                Tree::List(vec![ancestor("runc"), ancestor("containerd-shim")]),
            ),
        ]);
        let event = build_event(&tree, Timestamp(7)).unwrap();
        let registry = Registry::workload();
        let shown = registry.record(&event, &[]);
        let names = Tree::List(vec!["runc".into(), "containerd-shim".into()]);
        assert_eq!(shown.fields.at("process.ancestors"), Some(&names));
        let asked = registry.record(&event, &[registry.find(ANCESTORS).unwrap()]);
        let Some(Tree::List(ancestors)) = asked.fields.at("process.ancestors") else {
            panic!("{asked:?}");
        };
        assert_eq!(ancestors[1].at("name"), Some(&"containerd-shim".into()));
    }

    #[test]
    fn values_of_options_stay_in_the_arguments() {
        let tree = Tree::map([
            ("kind".into(), "process.exec".into()),
            (
                "process.args".into(),
                Tree::List(vec!["-u".into(), "me:secret".into()]),
            ),
        ]);
        let event = build_event(&tree, Timestamp(7)).unwrap();
        let registry = Registry::workload();
        let options = registry.find("process.args_options").unwrap();
        assert!(registry.read(options, &event).is_present());
        assert_eq!(registry.shown(options, &event), None);
        let record = registry.record(&event, &[options]);
        assert_eq!(record.fields.at("process.args_options"), None);
    }

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
