//! Tells a second agent of a node from one that comes back.
//!
//! An agent that connects again replaces its older stream, which the operator may not know to be dead yet. It is the
//! same process, or the older one's process is gone and nothing comes from its connection any more. A second agent is
//! another process while the older connection still speaks: only then is something wrong. The reasons are in
//! docs/decisions/0010.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;

use super::connection::Peer;
use crate::index::nodes::Call;

/// What an agent's process calls itself with every call: random, made when it starts.
const INSTANCE: &str = "yagura-instance";
/// Bytes of it that are kept.
const MAX_INSTANCE: usize = 64;

/// The process that a call says it comes from; empty where it says nothing that serves.
pub(super) fn instance(metadata: &MetadataMap) -> String {
    metadata
        .get(INSTANCE)
        .and_then(|value| value.to_str().ok())
        .filter(|text| text.len() <= MAX_INSTANCE)
        .unwrap_or_default()
        .to_owned()
}

/// The streams that are open, by node and call.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Mutex<HashMap<(String, Call), Open>>,
}

#[derive(Debug)]
struct Open {
    id: u64,
    instance: String,
    rival: CancellationToken,
}

/// One open stream, as far as it may turn out to have a rival.
#[derive(Debug)]
pub(super) struct Stream {
    node: String,
    call: Call,
    id: u64,
    peer: Option<Arc<Peer>>,
    rival: CancellationToken,
}

impl Streams {
    /// Enters a stream under the id of its session.
    pub(super) fn open(
        &self,
        node: &str,
        call: Call,
        id: u64,
        instance: String,
        peer: Option<Arc<Peer>>,
    ) -> Stream {
        let rival = CancellationToken::new();
        let entry = Open {
            id,
            instance,
            rival: rival.clone(),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |older: &Open| !older.instance.is_empty() && older.instance == entry.instance;
        match open.get(&(node.to_owned(), call)) {
            Some(older) if !same(older) => older.rival.cancel(),
            _ => {}
        }
        open.insert((node.to_owned(), call), entry);
        Stream {
            node: node.to_owned(),
            call,
            id,
            peer,
            rival,
        }
    }

    /// The stream ended by itself: a newer one has nothing to replace.
    pub(super) fn close(&self, stream: &Stream) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (stream.node.clone(), stream.call);
        if open.get(&key).is_some_and(|current| current.id == stream.id) {
            open.remove(&key);
        }
    }
}

impl Stream {
    /// After a stream was replaced: whether another process took over while this one's connection is alive. It takes
    /// at most `patience`, within which a live peer answers a ping.
    pub(super) async fn has_rival(&self, heard: u64, patience: Duration) -> bool {
        let Some(peer) = self.peer.as_ref().filter(|_| self.rival.is_cancelled()) else {
            return false;
        };
        timeout(patience, peer.heard_since(heard)).await.unwrap_or(false)
    }

    /// How much was heard on the stream's connection so far.
    pub(super) fn heard(&self) -> u64 {
        self.peer.as_ref().map_or(0, |peer| peer.heard())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_is_a_rival_and_the_same_one_is_not() {
        let streams = Streams::default();
        let open = |node: &str, call, id, instance: &str| streams.open(node, call, id, instance.into(), None);
        let first = open("n", Call::Report, 1, "a");
        let again = open("n", Call::Report, 2, "a");
        assert!(!first.rival.is_cancelled(), "it came back");
        let subscribe = open("n", Call::Subscribe, 3, "b");
        let elsewhere = open("m", Call::Report, 4, "b");
        assert!(!again.rival.is_cancelled(), "another call, another node");
        let other = open("n", Call::Report, 5, "b");
        assert!(again.rival.is_cancelled());
        // One that ended leaves nothing to be replaced; the end of an old one changes nothing.
        streams.close(&again);
        streams.close(&other);
        open("n", Call::Report, 6, "c");
        assert!(!other.rival.is_cancelled());
        // Who does not say who it is may be anybody.
        let silent = open("k", Call::Report, 7, "");
        open("k", Call::Report, 8, "");
        assert!(silent.rival.is_cancelled());
        assert!(!subscribe.rival.is_cancelled() && !elsewhere.rival.is_cancelled());
    }
}
