//! Where the process spends its processor time, for whoever asks on loopback: `/debug/profile`.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::chain;

/// How long a profile is taken where nothing is said, and at most, in seconds.
const SECONDS: u64 = 10;
const MOST_SECONDS: u64 = 60;
/// Samples a second of processor time. No divisor of what periodic work runs at.
const FREQUENCY: i32 = 99;
/// Where unwinding from a signal handler may wait for a lock that the interrupted thread holds.
const NOT_UNWOUND: &[&str] = &["libc", "libgcc", "pthread", "vdso"];

/// The profile cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Whoever reaches the address may ask.
    #[error(
        "the profile would be shown on {0}, to whoever reaches it: choose a loopback address and forward a port to it"
    )]
    NotLoopback(SocketAddr),
    /// The address is taken or not ours.
    #[error("cannot listen on {address} for profiles")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The server ended by itself.
    #[error("the server for profiles failed")]
    Serve(#[source] std::io::Error),
}

/// A listener for those who want a profile. Nothing is sampled until somebody asks.
#[derive(Debug)]
pub struct Profile {
    listener: TcpListener,
}

impl Profile {
    /// Binds a loopback address.
    pub async fn bind(address: SocketAddr) -> Result<Self, ProfileError> {
        if !address.ip().is_loopback() {
            return Err(ProfileError::NotLoopback(address));
        }
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ProfileError::Listen { address, source })?;
        Ok(Self { listener })
    }

    /// The bound address; differs from the configured one when that had port 0.
    pub fn address(&self) -> Result<SocketAddr, ProfileError> {
        self.listener.local_addr().map_err(ProfileError::Serve)
    }

    /// Serves until `stop` completes.
    pub async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ProfileError> {
        let router = Router::new()
            .route("/debug/profile", get(profile))
            // There is one timer for the whole process.
            .with_state(Arc::new(Semaphore::new(1)));
        axum::serve(self.listener, router)
            .with_graceful_shutdown(stop)
            .await
            .map_err(ProfileError::Serve)
    }
}

async fn profile(
    State(turn): State<Arc<Semaphore>>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<String, (StatusCode, String)> {
    let refuse = |status, why: String| (status, why + "\n");
    let seconds = match asked.get("seconds").map(|text| text.parse()) {
        None => SECONDS,
        Some(Ok(seconds @ 1..=MOST_SECONDS)) => seconds,
        Some(_) => {
            let why = format!("seconds: a whole number from 1 to {MOST_SECONDS}");
            return Err(refuse(StatusCode::BAD_REQUEST, why));
        }
    };
    let Ok(_turn) = turn.try_acquire() else {
        let why = "another profile is being taken; try again later".to_owned();
        return Err(refuse(StatusCode::CONFLICT, why));
    };
    let failed = |error: pprof::Error| refuse(StatusCode::INTERNAL_SERVER_ERROR, chain(&error).to_string());
    let sampling = ProfilerGuardBuilder::default()
        .frequency(FREQUENCY)
        .blocklist(NOT_UNWOUND)
        .build()
        .map_err(failed)?;
    sleep(Duration::from_secs(seconds)).await;
    // Names of functions are read from the program's file, which takes a while.
    match spawn_blocking(move || folded(&sampling)).await {
        Ok(text) => text.map_err(failed),
        Err(error) => Err(refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            chain(&error).to_string(),
        )),
    }
}

/// The samples as folded stacks, the outermost function first: `thread;main;work 42`.
fn folded(sampling: &ProfilerGuard<'_>) -> Result<String, pprof::Error> {
    let Report { data, .. } = sampling.report().build()?;
    let mut stacks: BTreeMap<String, isize> = BTreeMap::new();
    for (frames, count) in data {
        let mut stack = frames.thread_name_or_id();
        // Each frame is a function with those that were inlined into it, the innermost first.
        for symbol in frames.frames.iter().rev().flat_map(|frame| frame.iter().rev()) {
            stack.push(';');
            stack.push_str(&symbol.name());
        }
        *stacks.entry(stack).or_default() += count;
    }
    let lines = stacks
        .into_iter()
        .map(|(stack, count)| format!("{stack} {count}\n"));
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Profile, ProfileError};
    use crate::admin::tests::get;

    #[inline(never)]
    fn burns_processor_time(stop: &AtomicBool) {
        let mut sum: u64 = 0;
        while !stop.load(Ordering::Relaxed) {
            for n in 0..10_000_u64 {
                sum = black_box(sum.wrapping_add(n));
            }
        }
    }

    #[tokio::test]
    async fn a_profile_names_what_takes_processor_time_and_one_is_taken_at_a_time() {
        let profile = Profile::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = profile.address().unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(profile.serve(async move {
            ended.await.ok();
        }));
        for seconds in ["0", "61", "-1", "soon"] {
            let answer = get(address, &format!("/debug/profile?seconds={seconds}")).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert!(answer.contains("from 1 to 60"), "{answer}");
        }

        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let busy = std::thread::Builder::new()
            .name("busy".to_owned())
            .spawn(move || burns_processor_time(&stopped))
            .unwrap();
        let both = tokio::join!(
            get(address, "/debug/profile?seconds=1"),
            get(address, "/debug/profile?seconds=1")
        );
        stop.store(true, Ordering::Relaxed);
        busy.join().unwrap();
        let (taken, refused) = if both.0.starts_with("HTTP/1.1 200") {
            both
        } else {
            (both.1, both.0)
        };
        assert!(refused.starts_with("HTTP/1.1 409"), "{refused}");
        let line = taken.lines().find(|line| line.contains("burns_processor_time"));
        let line = line.unwrap_or_else(|| panic!("{taken}"));
        assert!(line.starts_with("busy;"), "{line}");
        let (_, count) = line.rsplit_once(' ').unwrap();
        assert!(count.parse::<u64>().unwrap() > 0, "{line}");
        end.send(()).unwrap();
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn nobody_but_this_machine_may_ask() {
        let error = Profile::bind(([0, 0, 0, 0], 0).into()).await.unwrap_err();
        assert!(matches!(error, ProfileError::NotLoopback(_)), "{error}");
    }
}
