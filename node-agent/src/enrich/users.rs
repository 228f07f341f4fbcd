//! Names of users: from the host's user database, and from a container's own.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
use yagura_event::{Known, Text, process::User};

/// Most bytes of a user database that are read.
const MOST_BYTES: u64 = 1024 * 1024;
/// Most users of one database.
const MOST_USERS: usize = 20_000;
/// Longest name, the limit of `useradd`.
const LONGEST_NAME: usize = 256;

/// Names by user id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    names: HashMap<u32, Text>,
}

impl Users {
    /// Reads the lines of a `passwd` file. The first entry of an id counts, as in the C library.
    pub fn parse(text: &[u8]) -> Self {
        let mut names = HashMap::new();
        for line in text.split(|byte| *byte == b'\n') {
            if names.len() >= MOST_USERS {
                break;
            }
            let mut fields = line.split(|byte| *byte == b':');
            let (Some(name), Some(_password), Some(id)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
            if let Some(id) = id
                && !name.is_empty()
                && name.len() <= LONGEST_NAME
            {
                names.entry(id).or_insert_with(|| Text::from(name));
            }
        }
        Self { names }
    }

    /// A user with its name; absent when the database does not have the id.
    pub fn user(&self, id: u32) -> User {
        User {
            id,
            name: self.names.get(&id).cloned().into(),
        }
    }

    /// The database of the container that the process is in, through its root directory. The
    /// container decides what is there, so nothing outside its root is reached, nothing but a
    /// regular file is read, and not more than a bounded part of it.
    pub fn of_process(proc: &Path, pid: u32) -> io::Result<Self> {
        let root = open(
            proc.join(format!("{pid}/root")),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let file = openat2(
            root,
            "etc/passwd",
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )?;
        read(file)
    }
}

fn read(file: OwnedFd) -> io::Result<Users> {
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(Users::parse(&text))
}

/// The host's database, read again when the file changes.
#[derive(Debug)]
pub struct HostUsers {
    path: PathBuf,
    modified: Option<SystemTime>,
    users: Option<Users>,
}

impl HostUsers {
    /// The database below `host_root`.
    pub fn new(host_root: &Path) -> Self {
        let mut users = Self {
            path: host_root.join("etc/passwd"),
            modified: None,
            users: None,
        };
        users.refresh();
        users
    }

    /// Reads the file again if it is not the one that was read last.
    pub fn refresh(&mut self) {
        let modified = fs::metadata(&self.path)
            .and_then(|metadata| metadata.modified())
            .ok();
        if modified.is_some() && modified == self.modified {
            return;
        }
        let opened = openat2(
            CWD,
            &self.path,
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::empty(),
        );
        self.users = opened.map_err(io::Error::from).and_then(read).ok();
        self.modified = modified;
    }

    /// A user with its name; unknown when the database cannot be read.
    pub fn user(&self, id: u32) -> User {
        self.users.as_ref().map_or(
            User {
                id,
                name: Known::Unknown,
            },
            |users| users.user(id),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use yagura_event::{Known, Text};

    use super::{HostUsers, Users};

    #[test]
    fn lines_that_are_not_entries_are_skipped() {
        let users =
            Users::parse(b"root:x:0:0::/root:/bin/sh\nbroken\n:x:1:1\ntoor:x:0:0\nweb:x:33:33:\xff\n");
        assert_eq!(users.user(0).name, Known::Present(Text::from("root")));
        assert_eq!(users.user(33).name, Known::Present(Text::from("web")));
        assert_eq!(users.user(1).name, Known::Absent);
    }

    #[test]
    fn the_host_database_is_read_again_when_it_changes() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("etc/passwd");
        let mut users = HostUsers::new(root.path());
        assert!(users.user(7).name.is_unknown());
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(&path, "seven:x:7:7\n").unwrap();
        users.refresh();
        assert_eq!(users.user(7).name, Known::Present(Text::from("seven")));
    }

    #[test]
    fn a_process_shows_the_database_of_its_root() {
        let users = Users::of_process(Path::new("/proc"), std::process::id());
        // Not allowed for every user in every sandbox; where it is, root has a name.
        if let Ok(users) = users {
            assert_eq!(users.user(0).name, Known::Present(Text::from("root")));
        }
    }
}
