//! Accepting connections: bounded in number and time until a call on them is authenticated.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use tracing::debug;

use crate::context::Context;
use crate::metrics::Metrics;

/// What connections may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections without an authenticated call at a time.
    pub(super) strangers: usize,
    /// Time for the TLS handshake.
    pub(super) handshake: Duration,
    /// Time from the handshake to the first authenticated call.
    pub(super) authentication: Duration,
    /// Between two pings, and from a ping to its answer: a peer that does not answer is gone.
    pub(super) ping: Duration,
}

impl Default for Bounds {
    /// A rollout of a thousand agents comes through in seconds, and a flood holds little memory.
    fn default() -> Self {
        Self {
            strangers: 256,
            handshake: Duration::from_secs(5),
            authentication: Duration::from_secs(15),
            ping: Duration::from_secs(10),
        }
    }
}

/// Pause after the system refuses to accept, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections of one node at a time: an agent has one, and another while it connects anew.
const MAX_OF_NODE: usize = 4;
/// Nodes beyond which those without a connection are forgotten; there are no more than a cluster has.
const MAX_NODES: usize = 1_024;

/// What calls know of the connection they are on.
#[derive(Debug)]
pub(super) struct Peer {
    authenticated: AtomicBool,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// Cancelled when the connection must end.
    close: CancellationToken,
    /// Reads that brought something, and whether there will be more.
    heard: AtomicU64,
    gone: AtomicBool,
    news: Notify,
}

impl Peer {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        Self {
            authenticated: AtomicBool::new(false),
            permit: Mutex::new(Some(permit)),
            close: CancellationToken::new(),
            heard: AtomicU64::new(0),
            gone: AtomicBool::new(false),
            news: Notify::new(),
        }
    }

    /// How often something was heard on the connection.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    /// Waits until something more is heard than `before`, or the connection ends: then whether it was.
    pub(super) async fn heard_since(&self, before: u64) -> bool {
        loop {
            let news = self.news.notified();
            if self.heard() > before {
                return true;
            }
            if self.gone.load(Ordering::Acquire) {
                return false;
            }
            news.await;
        }
    }

    /// A call on the connection is authenticated: it no longer counts as a stranger's.
    fn authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(permit);
    }
}

/// The connections of each node's agent, by the calls that were authenticated on them.
#[derive(Debug)]
pub(super) struct Peers {
    by_node: Mutex<HashMap<String, Vec<Weak<Peer>>>>,
    metrics: Metrics,
}

impl Peers {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            by_node: Mutex::default(),
            metrics,
        }
    }

    /// A call of the node is authenticated on a connection. The oldest one of too many ends: it has no stream that
    /// was not replaced.
    pub(super) fn authenticated(&self, node: &str, peer: &Arc<Peer>) {
        peer.authenticated();
        let mut by_node = self.by_node.lock().unwrap_or_else(PoisonError::into_inner);
        if by_node.len() >= MAX_NODES && !by_node.contains_key(node) {
            by_node.retain(|_, open| open.iter().any(|known| known.strong_count() > 0));
        }
        let open = by_node.entry(node.to_owned()).or_default();
        open.retain(|known| {
            let known = known
                .upgrade()
                .filter(|known| !known.gone.load(Ordering::Acquire));
            known.is_some_and(|known| !Arc::ptr_eq(&known, peer))
        });
        open.push(Arc::downgrade(peer));
        if open.len() > MAX_OF_NODE
            && let Some(oldest) = open.remove(0).upgrade()
        {
            self.metrics.dropped_connections.inc(["too-many-of-node"]);
            oldest.close.cancel();
        }
    }
}

/// A connection after its handshake.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    deadline: Pin<Box<Sleep>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    metrics: Metrics,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.peer.gone.store(true, Ordering::Release);
        self.peer.news.notify_waiters();
        self.metrics.open_connections.add(-1);
    }
}

impl Connected for Connection {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stranger = !self.peer.authenticated.load(Ordering::Relaxed);
        if stranger && self.deadline.as_mut().poll(task).is_ready() {
            self.metrics.dropped_connections.inc(["not-authenticated"]);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.closed.as_mut().poll(task).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(task, buffer);
        if buffer.filled().len() > before {
            self.peer.heard.fetch_add(1, Ordering::AcqRel);
            self.peer.news.notify_waiters();
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

/// Connections as they complete their handshake, until the process stops.
pub(super) fn incoming(
    context: &Context,
    listener: TcpListener,
    bounds: Bounds,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let (ready, connections) = mpsc::channel(16);
    let acceptor = TlsAcceptor::from(context.identity.server_config(&["h2"]));
    let metrics = context.metrics.clone();
    let stop = context.stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = accept(listener, acceptor, metrics, ready, bounds) => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    metrics: Metrics,
    ready: mpsc::Sender<io::Result<Connection>>,
    bounds: Bounds,
) {
    let strangers = Arc::new(Semaphore::new(bounds.strangers));
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        // Whoever is one too many waits in the listener's queue: an agent that is turned away would come back with another
        // handshake, and thousands of them would keep the operator busy with those alone.
        let Ok(permit) = Arc::clone(&strangers).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                metrics.dropped_connections.inc(["accept"]);
                debug!(%error, "cannot accept");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (acceptor, metrics, ready) = (acceptor.clone(), metrics.clone(), ready.clone());
        handshakes.spawn(async move {
            stream.set_nodelay(true).ok();
            match timeout(bounds.handshake, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    metrics.open_connections.add(1);
                    let peer = Arc::new(Peer::new(permit));
                    let connection = Connection {
                        stream,
                        closed: Box::pin(peer.close.clone().cancelled_owned()),
                        peer,
                        deadline: Box::pin(sleep(bounds.authentication)),
                        metrics,
                    };
                    // The receiver is gone only when the server ends.
                    ready.send(Ok(connection)).await.ok();
                }
                Ok(Err(error)) => {
                    debug!(%error, "handshake failed");
                    metrics.dropped_connections.inc(["handshake"]);
                }
                Err(_) => metrics.dropped_connections.inc(["handshake-timeout"]),
            }
        });
    }
}
