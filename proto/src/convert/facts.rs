//! Facts of a node.

use yagura_event::facts::{FileFact, FileStat, Kubelet, NODE_FACTS_VERSION, NodeFacts};
use yagura_event::{Known, Text, Tree};

use super::{ConvertError, bounded, tree_from_message, tree_to_message};
use crate::v1;

/// Files that facts are about.
const MAX_FILES: usize = 1_024;
/// Flags of a process.
const MAX_FLAGS: usize = 1_024;
/// Bytes of a name, path or flag value.
const MAX_TEXT: usize = 4_096;
/// Permission bits.
const MAX_MODE: u64 = 0o7777;

/// Reads facts.
pub fn facts_from_message(facts: v1::NodeFacts) -> Result<NodeFacts, ConvertError> {
    bounded("the node's name", facts.node.len(), 253)?;
    bounded("the files", facts.files.len(), MAX_FILES)?;
    let kubelet = match facts.kubelet {
        _ if facts.kubelet_unknown => Known::Unknown,
        None => Known::Absent,
        Some(kubelet) => Known::Present(kubelet_from(kubelet)?),
    };
    Ok(NodeFacts {
        node: Text::from(facts.node),
        kubelet,
        files: facts.files.into_iter().map(file_from).collect::<Result<_, _>>()?,
    })
}

fn kubelet_from(kubelet: v1::Kubelet) -> Result<Kubelet, ConvertError> {
    bounded("the kubelet's flags", kubelet.flags.len(), MAX_FLAGS)?;
    bounded("the kubelet's config path", kubelet.config_path.len(), MAX_TEXT)?;
    let flags = kubelet
        .flags
        .into_iter()
        .map(|flag| {
            bounded("a flag", flag.name.len().max(flag.value.len()), MAX_TEXT)?;
            Ok((Text::from(flag.name), Text::from(flag.value)))
        })
        .collect::<Result<_, ConvertError>>()?;
    let config = match kubelet.config.map(tree_from_message).transpose()? {
        None => Known::Absent,
        Some(Tree::Unknown) => Known::Unknown,
        Some(config) => Known::Present(config),
    };
    Ok(Kubelet {
        flags,
        config_path: named(kubelet.config_path),
        config,
    })
}

fn file_from(file: v1::FileFact) -> Result<FileFact, ConvertError> {
    bounded("a file's key", file.key.len(), MAX_TEXT)?;
    bounded("a file's path", file.path.len(), MAX_TEXT)?;
    let stat = match file.stat {
        _ if file.unknown => Known::Unknown,
        None => Known::Absent,
        Some(stat) => {
            let mode = u16::try_from(stat.mode)
                .ok()
                .filter(|mode| u64::from(*mode) <= MAX_MODE)
                .ok_or(ConvertError::TooLarge {
                    field: "a file's mode",
                    limit: MAX_MODE,
                })?;
            bounded("a file's owner", stat.owner.len().max(stat.group.len()), MAX_TEXT)?;
            Known::Present(FileStat {
                mode,
                uid: stat.uid,
                gid: stat.gid,
                owner: named(stat.owner),
                group: named(stat.group),
            })
        }
    };
    Ok(FileFact {
        key: Text::from(file.key),
        path: Text::from(file.path),
        stat,
    })
}

/// A name where empty means that there is none.
fn named(name: String) -> Known<Text> {
    if name.is_empty() {
        Known::Absent
    } else {
        Known::Present(Text::from(name))
    }
}

/// Writes facts.
pub fn facts_to_message(facts: &NodeFacts) -> v1::NodeFacts {
    v1::NodeFacts {
        version: NODE_FACTS_VERSION,
        node: facts.node.to_string(),
        kubelet_unknown: facts.kubelet.is_unknown(),
        kubelet: facts.kubelet.as_ref().map(kubelet_to).present(),
        files: facts.files.iter().map(file_to).collect(),
    }
}

fn kubelet_to(kubelet: &Kubelet) -> v1::Kubelet {
    v1::Kubelet {
        flags: kubelet
            .flags
            .iter()
            .map(|(name, value)| v1::Flag {
                name: name.to_string(),
                value: value.as_bytes().to_vec(),
            })
            .collect(),
        config_path: name_of(&kubelet.config_path),
        config: match &kubelet.config {
            Known::Present(config) => Some(tree_to_message(config)),
            Known::Unknown => Some(tree_to_message(&Tree::Unknown)),
            Known::Absent => None,
        },
    }
}

fn file_to(file: &FileFact) -> v1::FileFact {
    v1::FileFact {
        key: file.key.to_string(),
        path: file.path.as_bytes().to_vec(),
        unknown: file.stat.is_unknown(),
        stat: file
            .stat
            .as_ref()
            .map(|stat| v1::FileStat {
                mode: u32::from(stat.mode),
                uid: stat.uid,
                gid: stat.gid,
                owner: name_of(&stat.owner),
                group: name_of(&stat.group),
            })
            .present(),
    }
}

fn name_of(name: &Known<Text>) -> String {
    name.as_ref()
        .present()
        .map(ToString::to_string)
        .unwrap_or_default()
}
