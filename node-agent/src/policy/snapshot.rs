//! The last active policy on disk, so that a restarted agent detects before it has a connection.
//!
//! The file is the stream that led to the policy: length-delimited messages as the operator sent
//! them, so that reading it back goes through the same checks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use prost::Message;
use yagura_proto::v1::subscribe_response::Message as Kind;
use yagura_proto::v1::{NamedLists, RuleBodies, SubscribeResponse};

use super::{Held, Policy, PolicyError};

/// A policy is a few MiB at most.
const MAX_BYTES: u64 = 256 << 20;

/// Bodies a message of the file.
const CHUNK: usize = 256;

/// The policy could not be written or read back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system refused.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file is cut short or is something else.
    #[error("{} is not a stored policy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        #[source]
        source: prost::DecodeError,
    },
    /// The parts of the file contradict each other.
    #[error("the policy stored in {} does not fit together", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// How.
        #[source]
        source: PolicyError,
    },
}

/// Replaces the stored policy. A crash leaves the old file or the new one.
pub fn save(path: &Path, policy: &Policy) -> Result<(), SnapshotError> {
    let mut content = Vec::new();
    let bodies = policy.bodies.chunks(CHUNK).map(|rules| {
        Kind::Bodies(RuleBodies {
            rules: rules.to_vec(),
        })
    });
    let lists = policy.lists.iter().map(|list| {
        Kind::Lists(NamedLists {
            lists: vec![list.clone()],
        })
    });
    for kind in lists.chain(bodies).chain([Kind::List(policy.list.clone())]) {
        let message = SubscribeResponse { message: Some(kind) };
        content.extend(message.encode_length_delimited_to_vec());
    }
    let draft = path.with_extension("new");
    write(&draft, &content)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|source| SnapshotError::File {
            path: path.to_owned(),
            source,
        })
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The stored policy, or `None` when there is none yet.
pub fn load(path: &Path) -> Result<Option<Policy>, SnapshotError> {
    let file = |source| SnapshotError::File {
        path: path.to_owned(),
        source,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            return Err(file(io::Error::other("larger than any policy")));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file(error)),
    }
    let content = fs::read(path).map_err(file)?;
    let mut rest = content.as_slice();
    let mut held = Held::default();
    let mut revision = String::new();
    while !rest.is_empty() {
        let message = SubscribeResponse::decode_length_delimited(&mut rest).map_err(|source| {
            SnapshotError::Damaged {
                path: path.to_owned(),
                source,
            }
        })?;
        match message.message {
            Some(Kind::Bodies(bodies)) => held.add(bodies),
            Some(Kind::Lists(lists)) => held.add_lists(lists),
            Some(Kind::List(list)) => {
                revision.clone_from(&list.revision);
                held.list(list)
            }
            _ => Ok(()),
        }
        .map_err(|source| inconsistent(path, source))?;
    }
    held.activate(&revision)
        .map(Some)
        .map_err(|source| inconsistent(path, source))
}

fn inconsistent(path: &Path, source: PolicyError) -> SnapshotError {
    SnapshotError::Inconsistent {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use yagura_proto::content;
    use yagura_proto::v1::{NamedList, NamedListRef, RuleBody, RuleList, RuleRef};

    use super::{Policy, SnapshotError, load, save};

    fn policy() -> Policy {
        let named = content::seal_list(NamedList {
            r#type: "string".to_owned(),
            values: vec!["a".to_owned()],
            ..NamedList::default()
        });
        let bodies: Vec<RuleBody> = (0..600)
            .map(|number| {
                content::seal(RuleBody {
                    uid: format!("uid-{number}"),
                    condition: "true".to_owned(),
                    lists: vec![NamedListRef {
                        name: "n".to_owned(),
                        hash: named.hash.clone(),
                    }],
                    ..RuleBody::default()
                })
            })
            .collect();
        let pairs = bodies.iter().map(|body| (body.uid.as_str(), body.hash.as_str()));
        let list = RuleList {
            revision: content::revision(pairs),
            epoch: 3,
            n: 4,
            rules: bodies
                .iter()
                .map(|body| RuleRef {
                    uid: body.uid.clone(),
                    hash: body.hash.clone(),
                })
                .collect(),
        };
        Policy {
            list,
            bodies,
            lists: vec![named],
            damaged: Vec::new(),
        }
    }

    #[test]
    fn a_policy_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        assert_eq!(load(&path).unwrap(), None);
        save(&path, &policy()).unwrap();
        assert_eq!(load(&path).unwrap(), Some(policy()));
    }

    #[test]
    fn a_file_that_was_cut_or_changed_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy");
        save(&path, &policy()).unwrap();
        let mut content = fs::read(&path).unwrap();
        fs::write(&path, &content[..content.len() / 2]).unwrap();
        assert!(load(&path).is_err());

        let at = content.windows(4).position(|part| part == b"true").unwrap();
        content[at] = b'T';
        fs::write(&path, &content).unwrap();
        let policy = load(&path).unwrap().unwrap();
        assert_eq!(policy.damaged.len(), 1);

        fs::write(&path, b"\xff\xff\xff\xff").unwrap();
        assert!(matches!(load(&path), Err(SnapshotError::Damaged { .. })));
    }
}
