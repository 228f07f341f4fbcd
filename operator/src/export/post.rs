//! An HTTP endpoint that takes batches.
//!
//! The client of the API server is an HTTP client with all that is needed here: TLS, a file of
//! certificates that is read again, timeouts. So it is used as one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use kube::{Client, Config};
use tokio::time::timeout;

use super::sink::SinkError;

/// A request that takes longer failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer says little; what is beyond is not read.
const MAX_ANSWER: usize = 64 << 10;

/// A token is shorter.
const MAX_TOKEN: u64 = 64 << 10;

/// Where batches are posted.
pub(super) struct Endpoint {
    client: Client,
    path: String,
    host: String,
    token_file: Option<PathBuf>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint at `url`, with `suffix` appended to its path.
    pub(super) fn new(
        url: &str,
        suffix: &str,
        token_file: Option<&Path>,
        ca: Option<&Path>,
    ) -> Result<Self, SinkError> {
        let unusable = |reason| SinkError::Address { reason };
        let uri: Uri = url.parse().map_err(|_secret| unusable("it is no URL"))?;
        let host = uri.host().ok_or_else(|| unusable("it has no host"))?.to_owned();
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(unusable("it begins neither with http:// nor with https://"));
        }
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(unusable(
                "it has a user in it; credentials belong into a token file",
            ));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = match suffix {
            "" => path.to_owned(),
            suffix => format!("{}{suffix}", uri.path().trim_end_matches('/')),
        };
        let base = Uri::builder()
            .scheme(uri.scheme_str().unwrap_or_default())
            .authority(uri.authority().map(ToString::to_string).unwrap_or_default())
            .path_and_query("/")
            .build()
            .map_err(|_secret| unusable("it is no URL"))?;
        let mut config = Config::new(base);
        config.read_timeout = Some(PATIENCE);
        config.default_retry = false;
        config.root_cert_file = ca.map(Path::to_owned);
        let client = Client::try_from(config).map_err(|source| SinkError::Client {
            host: host.clone(),
            source: Box::new(source),
        })?;
        let endpoint = Self {
            client,
            path,
            host,
            token_file: token_file.map(Path::to_owned),
        };
        endpoint.token()?;
        Ok(endpoint)
    }

    /// The header with the token as the file has it now: it may be replaced at any time. Editors and
    /// `echo` leave a line's end behind it.
    fn token(&self) -> Result<Option<HeaderValue>, SinkError> {
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let unusable = |source| SinkError::Token {
            path: path.clone(),
            source,
        };
        let mut token = String::new();
        let file = File::open(path).map_err(unusable)?;
        file.take(MAX_TOKEN)
            .read_to_string(&mut token)
            .map_err(unusable)?;
        let mut header = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_secret| unusable(io::Error::other("it holds no token")))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// Posts a body and gives what is answered to it.
    pub(super) async fn post(&self, content_type: &'static str, body: Vec<u8>) -> Result<Vec<u8>, SinkError> {
        let mut request = Request::post(&self.path)
            .header(CONTENT_TYPE, content_type)
            .body(Body::from(body))
            .map_err(|_secret| SinkError::Address {
                reason: "its path is none",
            })?;
        if let Some(token) = self.token()? {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let exchange = async {
            let response = self
                .client
                .send(request)
                .await
                .map_err(|source| SinkError::Unavailable {
                    host: self.host.clone(),
                    source: Box::new(source),
                })?;
            self.judge(response).await
        };
        timeout(PATIENCE, exchange).await.unwrap_or_else(|_elapsed| {
            Err(SinkError::Slow {
                host: self.host.clone(),
                seconds: PATIENCE.as_secs(),
            })
        })
    }

    async fn judge(&self, response: Response<Body>) -> Result<Vec<u8>, SinkError> {
        let status = response.status();
        let seconds = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        // The status says what became of the batch, whatever is said beside it.
        let answer = body.map_or_else(|_unread| Vec::new(), |body| body.to_bytes().to_vec());
        if status.is_success() {
            return Ok(answer);
        }
        let host = self.host.clone();
        let said: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
        let said = said.escape_debug().to_string();
        Err(match status {
            // Somebody has to look at the data, not at the endpoint.
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                SinkError::Refused { host, status, said }
            }
            _ => SinkError::Busy {
                host,
                status,
                said,
                retry_after: seconds.map(Duration::from_secs),
            },
        })
    }
}
