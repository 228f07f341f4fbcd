//! Accepting connections: bounded in number and time until a call on them is authenticated.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tracing::debug;

use crate::context::Context;
use crate::metrics::Metrics;

/// What strangers may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections without an authenticated call at a time.
    pub(super) strangers: usize,
    /// Time for the TLS handshake.
    pub(super) handshake: Duration,
    /// Time from the handshake to the first authenticated call.
    pub(super) authentication: Duration,
}

impl Default for Bounds {
    /// A rollout of a thousand agents comes through in seconds, and a flood holds little memory.
    fn default() -> Self {
        Self {
            strangers: 256,
            handshake: Duration::from_secs(5),
            authentication: Duration::from_secs(15),
        }
    }
}

/// Pause after the system refuses to accept, for example for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What calls know of the connection they are on.
#[derive(Debug)]
pub(super) struct Peer {
    authenticated: AtomicBool,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Peer {
    /// A call on the connection is authenticated: it no longer counts as a stranger's.
    pub(super) fn authenticated(&self) {
        self.authenticated.store(true, Ordering::Relaxed);
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(permit);
    }
}

/// A connection after its handshake.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    deadline: Pin<Box<Sleep>>,
    metrics: Metrics,
}

impl Drop for Connection {
    fn drop(&mut self) {
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
        Pin::new(&mut self.stream).poll_read(task, buffer)
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
                    let connection = Connection {
                        stream,
                        peer: Arc::new(Peer {
                            authenticated: AtomicBool::new(false),
                            permit: Mutex::new(Some(permit)),
                        }),
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
