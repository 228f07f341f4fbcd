//! Accepts TLS connections; a slow handshake holds up no other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::connection::{Connection, Places};

/// Handshakes at the same time. The API server keeps its connections, so there are few; others
/// wait in the kernel's queue.
const MAX_HANDSHAKES: usize = 32;
/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Pause after the kernel refused a connection, for want of descriptors most often.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener whose connections have shaken hands.
pub(super) struct TlsListener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    places: Places,
    slots: Arc<Semaphore>,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(super) fn new(socket: TcpListener, config: Arc<ServerConfig>, places: Places) -> Self {
        Self {
            socket,
            places,
            acceptor: TlsAcceptor::from(config),
            slots: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            handshakes: JoinSet::new(),
        }
    }

    fn begin(&mut self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        let acceptor = self.acceptor.clone();
        let metrics = self.places.metrics().clone();
        self.handshakes.spawn(async move {
            let shaken = timeout(HANDSHAKE, acceptor.accept(stream)).await;
            drop(slot);
            match shaken {
                Ok(Ok(stream)) => Some((stream, peer)),
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "TLS handshake of the webhook failed");
                    metrics.webhook_dropped_connections.inc(["handshake"]);
                    None
                }
                Err(_elapsed) => {
                    tracing::debug!(%peer, "TLS handshake of the webhook took too long");
                    metrics.webhook_dropped_connections.inc(["handshake-timeout"]);
                    None
                }
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let slots = Arc::clone(&self.slots);
            tokio::select! {
                Some(done) = self.handshakes.join_next(), if !self.handshakes.is_empty() => {
                    if let Ok(Some((stream, peer))) = done {
                        return (self.places.take(stream), peer);
                    }
                }
                (slot, accepted) = async {
                    // The semaphore is never closed.
                    let slot = slots.acquire_owned().await.ok();
                    (slot, self.socket.accept().await)
                } => match (slot, accepted) {
                    (Some(slot), Ok((stream, peer))) => self.begin(stream, peer, slot),
                    (_, Err(error)) => {
                        tracing::warn!(%error, "the webhook cannot accept a connection");
                        self.places.metrics().webhook_dropped_connections.inc(["accept"]);
                        sleep(PAUSE).await;
                    }
                    (None, Ok(_)) => {}
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.socket.local_addr()
    }
}
