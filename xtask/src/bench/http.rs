//! One GET over plain HTTP on loopback.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// The body of a page on loopback; an answer other than 200 is an error.
pub(crate) fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .context("cannot set a time-out")?;
    // HTTP/1.0: the server closes after the body and does not chunk it.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").context("cannot send a request")?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .with_context(|| format!("cannot read {path} of {address}"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without a header")?;
    if head.split_whitespace().nth(1) != Some("200") {
        bail!(
            "{address}{path} answered {}",
            head.lines().next().unwrap_or_default()
        );
    }
    Ok(body.to_owned())
}
