//! One POST: no redirects, no pool, everything bounded.

use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use yagura_telemetry::chain;

use super::super::secrets::Secret;
use super::error::{Cause, SendError};
use super::tls;

const SECOND: i64 = 1_000_000_000;
/// An answer says little; what is beyond is not read.
const MOST_ANSWER: usize = 16 * 1024;

/// What is posted.
pub(super) struct Post<'a> {
    /// Where to; it may have a token in it.
    pub(super) url: &'a Secret,
    /// Headers beside the usual ones.
    pub(super) headers: Vec<(HeaderName, Secret)>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// Certificates instead of the public ones, in PEM.
    pub(super) ca: Option<&'a Secret>,
}

/// Posts, and takes any status of success for an answer.
pub(super) async fn post(sent: Post<'_>) -> Result<(), SendError> {
    let mut hidden: Vec<&Secret> = sent.headers.iter().map(|(_, value)| value).collect();
    hidden.push(sent.url);
    exchange(&sent).await.map_err(|error| error.without(&hidden))
}

async fn exchange(sent: &Post<'_>) -> Result<(), SendError> {
    let unusable = |what: &str| {
        SendError::new(
            Cause::Address,
            format!("the URL cannot be used: {what}; write https://host/path"),
        )
    };
    let uri: Uri = sent
        .url
        .expose()
        .parse()
        .map_err(|_secret| unusable("it is no URL"))?;
    let host = uri.host().ok_or_else(|| unusable("it has no host"))?;
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(unusable("it has a user in it; put credentials into a header"));
    }
    let (protected, usual) = match uri.scheme_str() {
        Some("https") => (true, 443),
        Some("http") => (false, 80),
        _ => return Err(unusable("it is neither http nor https")),
    };
    let port = uri.port_u16().unwrap_or(usual);
    let request = request(sent, &uri, host)?;
    let stream = tls::connect(host, port).await?;
    let response = if protected {
        let stream = tls::protect(stream, host, sent.ca).await?;
        answer(stream, request, host).await?
    } else {
        answer(stream, request, host).await?
    };
    judge(&response, host)
}

fn request(post: &Post<'_>, uri: &Uri, host: &str) -> Result<Request<Full<Bytes>>, SendError> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut request = Request::post(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("yagura/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &post.headers {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_secret| {
            SendError::new(
                Cause::Address,
                format!("the value of header {name} has characters that no header may have"),
            )
        })?;
        value.set_sensitive(true);
        if let Some(headers) = request.headers_mut() {
            headers.insert(name.clone(), value);
        }
    }
    request
        .body(Full::new(Bytes::from(post.body.clone())))
        .map_err(|_secret| SendError::new(Cause::Address, "the URL cannot be used".to_owned()))
}

/// Status, the pause that is asked for, and the beginning of the body.
struct Answer {
    status: StatusCode,
    retry_after: Option<i64>,
    text: String,
}

async fn answer<S>(stream: S, request: Request<Full<Bytes>>, host: &str) -> Result<Answer, SendError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: &(dyn std::error::Error + 'static)| {
        SendError::new(
            Cause::Unavailable,
            format!("{host} ended the exchange: {}", chain(error)),
        )
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // Ends with this function: the connection is polled as long as the answer is waited for.
    let work = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
        // Whatever the body is, the status says what became of the message.
        let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
        Ok(Answer {
            status,
            retry_after,
            text: text.unwrap_or_default(),
        })
    };
    tokio::pin!(connection);
    tokio::pin!(work);
    tokio::select! {
        answer = &mut work => answer,
        ended = &mut connection => match ended {
            Ok(()) => work.await,
            Err(error) => Err(broken(&error)),
        },
    }
}

/// The header in its form of seconds.
fn retry_after(response: &Response<Incoming>) -> Option<i64> {
    let seconds: i64 = response
        .headers()
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    (seconds >= 0).then(|| seconds.saturating_mul(SECOND))
}

fn judge(answer: &Answer, host: &str) -> Result<(), SendError> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let cause = match status.as_u16() {
        300..=399 => {
            let text = format!(
                "{host} answers {status}: redirects are not followed, write the URL that it leads to"
            );
            return Err(SendError::new(Cause::Address, text));
        }
        401 | 403..=405 | 407 | 410 => Cause::Denied,
        429 => Cause::Throttled,
        408 | 425 | 500..=599 => Cause::Unavailable,
        _ => Cause::Refused,
    };
    let said: String = answer.text.chars().take(200).collect();
    let said = if said.trim().is_empty() {
        String::new()
    } else {
        format!(": {}", said.trim())
    };
    let mut error = SendError::new(cause, format!("{host} answers {status}{said}"));
    error.retry_after = answer.retry_after;
    Err(error)
}
