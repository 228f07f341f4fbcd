//! Flags and options among the arguments of a process.

use crate::value::{MapRef, Options};
use crate::{Event, Text, ValueRef};

/// Most flags that are listed; a search among more is unknown unless it finds.
const FLAGS: usize = 1_024;

/// Names of flags: `-la` gives `l` and `a`, `--all` and `--all=yes` give `all`. What follows `--` is no flag.
pub(super) fn flags(event: &Event) -> ValueRef<'_> {
    let process = &event.process;
    let mut names = names(&process.args);
    let list = names.by_ref().take(FLAGS).map(ValueRef::bytes).collect();
    let complete = names.next().is_none() && !process.args_truncated;
    ValueRef::owned_list(list, complete)
}

/// Options by name. What was cut may have given any of them another value.
pub(super) fn options(event: &Event) -> ValueRef<'_> {
    if event.process.args_truncated {
        return ValueRef::Unknown;
    }
    ValueRef::Map(MapRef::Options(Options(&event.process.args)))
}

fn names(args: &[Text]) -> impl Iterator<Item = &[u8]> {
    args.iter()
        .map(Text::as_bytes)
        .take_while(|arg| *arg != b"--")
        .flat_map(|arg| {
            let (long, short) = match arg.strip_prefix(b"--") {
                Some(long) => (long.split(|byte| *byte == b'=').next(), None),
                None => (None, arg.strip_prefix(b"-")),
            };
            let letters = short.unwrap_or_default();
            let end = letters
                .iter()
                .position(|byte| !byte.is_ascii_alphanumeric())
                .unwrap_or(letters.len());
            long.filter(|long| !long.is_empty())
                .into_iter()
                .chain(letters[..end].chunks(1))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Registry, Timestamp, Tree, build_event};

    fn flags(args: &[&str], truncated: bool) -> (Vec<String>, bool) {
        let args = Tree::List(args.iter().map(|arg| Tree::from(*arg)).collect());
        let tree = Tree::map([
            ("kind".into(), "process.exec".into()),
            ("process.args".into(), args),
            ("process.args_truncated".into(), truncated.into()),
        ]);
        let event = build_event(&tree, Timestamp(0)).unwrap();
        let registry = Registry::workload();
        let value = registry.read(registry.find("process.args_flags").unwrap(), &event);
        let ValueRef::List(list) = &value else {
            unreachable!("a list whatever the arguments are")
        };
        let complete = list.complete;
        let Some(Tree::List(names)) = value.to_tree() else {
            unreachable!("a list whatever the arguments are")
        };
        let shown = |name: &Tree| match name {
            Tree::Text(text) => text.to_string(),
            _ => unreachable!("flags are texts"),
        };
        (names.iter().map(shown).collect(), complete)
    }

    #[test]
    fn flags_lose_their_dashes_and_values() {
        let args = [
            "-la",
            "--all",
            "--color=auto",
            "-n=5",
            "file",
            "-",
            "a-b",
            "--=x",
            "--",
            "-z",
        ];
        let names = ["l", "a", "all", "color", "n"].map(str::to_owned);
        assert_eq!(flags(&args, false), (names.to_vec(), true));
        assert_eq!(flags(&[], false), (Vec::new(), true));
        assert_eq!(flags(&["-x"], true), (vec!["x".to_owned()], false));
    }

    #[test]
    fn more_flags_than_are_listed_leave_the_list_open() {
        let most = format!("-{}", "v".repeat(FLAGS));
        assert!(flags(&[&most], false).1);
        let (names, complete) = flags(&[&most, "--more"], false);
        assert_eq!((names.len(), complete), (FLAGS, false));
    }
}
