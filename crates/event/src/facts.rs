//! What is configured on a node: collected first, judged later.

use crate::{Known, Text, Tree};

/// The facts of one node, without secrets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeFacts {
    /// Name of the node.
    pub node: Text,
    /// The kubelet; absent on a host without one.
    pub kubelet: Known<Kubelet>,
    /// Files whose mode and owner matter, by a stable key.
    pub files: Vec<FileFact>,
}

/// The version of [`NodeFacts`]' shape, sent with each document so that a check can tell a fact
/// that is absent from one that an older agent does not collect.
pub const NODE_FACTS_VERSION: u32 = 0;

/// How the kubelet runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kubelet {
    /// Flags of the running process as (name without dashes, value); a flag without a value is
    /// `true`, as the kubelet reads it. Values of flags that name secrets are not collected.
    pub flags: Vec<(Text, Text)>,
    /// The file that `--config` names.
    pub config_path: Known<Text>,
    /// Its content, limited to the members that checks read.
    pub config: Known<Tree>,
}

/// One file: where it is, and its mode and owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileFact {
    /// Stable key, such as `kubelet-config` or `kubelet-kubeconfig`.
    pub key: Text,
    /// Where it was looked for.
    pub path: Text,
    /// What was found: absent when there is no such file, unknown when it could not be read.
    pub stat: Known<FileStat>,
}

/// Mode and owner of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStat {
    /// Permission bits, `0o7777` at most.
    pub mode: u16,
    /// Owner's id.
    pub uid: u32,
    /// Group's id.
    pub gid: u32,
    /// Owner's name by the node's user database.
    pub owner: Known<Text>,
    /// Group's name by the node's group database.
    pub group: Known<Text>,
}
