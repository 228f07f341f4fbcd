//! The validating webhook: refuses what does not compile, with the compiler's own words.
//!
//! The reconcilers check the same again, so that a webhook that is away opens no hole. `review` is
//! pure; `listener` does TLS; this module serves.

mod connection;
mod listener;
mod review;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::context::Context;
use crate::index::SharedIndex;
use crate::metrics::Metrics;
use connection::{Bounds, Places};
use listener::TlsListener;

/// Longest request: two versions of the largest object that the API server takes (3 MiB).
const MAX_BODY: usize = 8 * 1024 * 1024;
/// Time for a request to arrive; the API server gives up after ten seconds by default.
const READ: Duration = Duration::from_secs(5);

/// The webhook could not be served.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The address is taken or not ours.
    #[error("cannot listen for the webhook on {address}")]
    Bind {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The server ended.
    #[error("the webhook's server ended")]
    Serve(#[source] io::Error),
}

/// Serves until the operator ends.
pub async fn run(context: Context) -> Result<(), AdmissionError> {
    let address = context.args.webhook_listen;
    let socket = TcpListener::bind(address)
        .await
        .map_err(|source| AdmissionError::Bind { address, source })?;
    let config = context.identity.server_config(&["h2", "http/1.1"]);
    let places = Places::new(Bounds::default(), context.metrics.clone());
    let listener = TlsListener::new(socket, config, places);
    let require_rule_tests = context.args.require_rule_tests;
    let router = router(context.metrics.clone(), context.index.clone(), require_rule_tests);
    axum::serve(listener, router)
        .with_graceful_shutdown(context.stop.cancelled_owned())
        .await
        .map_err(AdmissionError::Serve)
}

/// What requests are answered with.
#[derive(Clone)]
struct Reviews {
    metrics: Metrics,
    index: SharedIndex,
    require_rule_tests: bool,
}

fn router(metrics: Metrics, index: SharedIndex, require_rule_tests: bool) -> Router {
    Router::new()
        .route("/validate", post(validate))
        .with_state(Reviews {
            metrics,
            index,
            require_rule_tests,
        })
}

async fn validate(State(reviews): State<Reviews>, request: Request) -> Response {
    let Reviews {
        metrics,
        index,
        require_rule_tests,
    } = reviews;
    let body = match read(request).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let known = {
        let index = index.read();
        review::Known {
            shipped: index.shipped.clone(),
            rules: index.exceptions.rules.clone(),
            lists: index.lists.borrow().lists.clone(),
            uses: Arc::clone(&index.list_uses),
            require_rule_tests,
        }
    };
    // Compiling and the object's tests take milliseconds of a processor.
    match spawn_blocking(move || review::answer(&body, &known)).await {
        Ok(review::Answer { allowed, json }) => {
            metrics.reviews.inc([if allowed { "allowed" } else { "refused" }]);
            ([(header::CONTENT_TYPE, "application/json")], json).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a review ended abnormally");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The body of a request, within bounds of size and time.
async fn read(request: Request) -> Result<Bytes, (StatusCode, &'static str)> {
    let too_long = (StatusCode::PAYLOAD_TOO_LARGE, "a request has 8 MiB at the most");
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY) {
        return Err(too_long);
    }
    match timeout(READ, to_bytes(request.into_body(), MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_too_long_or_broken)) => Err(too_long),
        Err(_elapsed) => Err((StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time")),
    }
}
