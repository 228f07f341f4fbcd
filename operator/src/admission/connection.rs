//! Connections of the webhook: bounded in number, and ended when they are idle.
//!
//! The API server keeps few connections and ends them by itself after a minute and a half. Anybody else who can reach the
//! port can open many: when all places are taken, the one that was silent longest makes room, so that the API server
//! always gets in.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::metrics::Metrics;

/// What connections may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// At a time, after their handshake.
    pub(super) connections: usize,
    /// Without a byte; longer than what the API server waits itself, so that it never finds one closed.
    pub(super) idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 128,
            idle: Duration::from_mins(3),
        }
    }
}

/// The connections that are open.
#[derive(Clone, Debug)]
pub(super) struct Places {
    bounds: Bounds,
    metrics: Metrics,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    last: u64,
    by_id: HashMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    heard: Instant,
    close: CancellationToken,
}

impl Places {
    pub(super) fn new(bounds: Bounds, metrics: Metrics) -> Self {
        Self {
            bounds,
            metrics,
            open: Arc::default(),
        }
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Gives a connection a place; the most silent one loses its own when there is none.
    pub(super) fn take(&self, stream: TlsStream<TcpStream>) -> Connection {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.by_id.len() >= self.bounds.connections {
            let silent = open.by_id.iter().min_by_key(|(_, place)| place.heard);
            if let Some(id) = silent.map(|(id, _)| *id)
                && let Some(place) = open.by_id.remove(&id)
            {
                place.close.cancel();
                self.metrics.webhook_dropped_connections.inc(["too-many"]);
            }
        }
        open.last += 1;
        let id = open.last;
        let close = CancellationToken::new();
        let place = Place {
            heard: Instant::now(),
            close: close.clone(),
        };
        open.by_id.insert(id, place);
        drop(open);
        self.metrics.webhook_connections.add(1);
        Connection {
            stream,
            id,
            idle: Box::pin(sleep(self.bounds.idle)),
            closed: Box::pin(close.cancelled_owned()),
            places: self.clone(),
        }
    }

    fn heard(&self, id: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = open.by_id.get_mut(&id) {
            place.heard = Instant::now();
        }
    }
}

/// A connection with a place.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    id: u64,
    idle: Pin<Box<Sleep>>,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    places: Places,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.places.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.by_id.remove(&self.id);
        drop(open);
        self.places.metrics.webhook_connections.add(-1);
    }
}

impl Connection {
    /// Ready when the connection must end.
    fn poll_end(&mut self, task: &mut Context<'_>) -> Poll<()> {
        if self.closed.as_mut().poll(task).is_ready() {
            return Poll::Ready(());
        }
        if self.idle.as_mut().poll(task).is_ready() {
            self.places.metrics.webhook_dropped_connections.inc(["idle"]);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn active(&mut self) {
        self.places.heard(self.id);
        let idle = Instant::now() + self.places.bounds.idle;
        self.idle.as_mut().reset(idle);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.poll_end(task).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(task, buffer);
        if buffer.filled().len() > before {
            self.active();
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(task, bytes);
        if written.is_ready() {
            self.active();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
