//! Names of the host's users and groups.

use std::collections::HashMap;

use yagura_event::{Known, Text};

use super::HostRoot;

/// User and group databases have at most this size here.
const MAX_BYTES: u64 = 1 << 20;

/// Names by number, from the host's `/etc/passwd` and `/etc/group`.
pub(super) struct Accounts {
    users: Known<HashMap<u32, Text>>,
    groups: Known<HashMap<u32, Text>>,
}

impl Accounts {
    pub(super) fn read(root: Known<&HostRoot>) -> Self {
        let read = |path: &[u8]| root.and_then(|root| root.read(path, MAX_BYTES));
        let names = |path: &[u8]| read(path).map(|content| parse(&content));
        Self {
            users: names(b"/etc/passwd"),
            groups: names(b"/etc/group"),
        }
    }

    pub(super) fn user(&self, uid: u32) -> Known<Text> {
        name(&self.users, uid)
    }

    pub(super) fn group(&self, gid: u32) -> Known<Text> {
        name(&self.groups, gid)
    }
}

fn name(names: &Known<HashMap<u32, Text>>, id: u32) -> Known<Text> {
    names
        .as_ref()
        .and_then(|names| Known::from(names.get(&id).cloned()))
}

/// Lines of `name:password:id:…`; the first line of an id counts, as in the C library.
fn parse(content: &[u8]) -> HashMap<u32, Text> {
    let mut names = HashMap::new();
    for line in content.split(|byte| *byte == b'\n') {
        let mut parts = line.split(|byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        let id = parts.nth(1).and_then(|id| std::str::from_utf8(id).ok());
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            names.entry(id).or_insert_with(|| Text::from(name));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_first_line_of_an_id_counts_and_broken_lines_do_not() {
        let names = parse(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nbroken\n:x:\nkube:x:999:\n");
        assert_eq!(names.len(), 2);
        assert_eq!(names[&0].as_bytes(), b"root");
        assert_eq!(names[&999].as_bytes(), b"kube");
    }
}
