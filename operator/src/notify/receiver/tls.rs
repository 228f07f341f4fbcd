//! Connections to receivers, in the clear or over TLS.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use yagura_telemetry::chain;

use super::super::secrets::Secret;
use super::error::{Cause, SendError};

/// A connection that takes longer does not come.
const CONNECT: Duration = Duration::from_secs(10);

static PUBLIC: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    config(roots)
});

fn config(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Connects to a host, whose name may be an address with or without brackets.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, SendError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let failed = |error: &dyn std::fmt::Display| {
        SendError::new(
            Cause::Connect,
            format!("cannot connect to {host}:{port}: {error}"),
        )
    };
    match timeout(CONNECT, TcpStream::connect((bare, port))).await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true).map_err(|error| failed(&error))?;
            Ok(stream)
        }
        Ok(Err(error)) => Err(failed(&error)),
        Err(_elapsed) => Err(SendError::new(
            Cause::Timeout,
            format!("cannot connect to {host}:{port} within {} s", CONNECT.as_secs()),
        )),
    }
}

/// Protects a connection. `ca` replaces the public certificates.
pub(super) async fn protect(
    stream: TcpStream,
    host: &str,
    ca: Option<&Secret>,
) -> Result<TlsStream<TcpStream>, SendError> {
    let config = match ca {
        None => Arc::clone(&PUBLIC),
        Some(pem) => config(roots(pem)?),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare).map_err(|error| {
        SendError::new(
            Cause::Address,
            format!("{host} is no name that a certificate can have: {error}"),
        )
    })?;
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| SendError::new(Cause::Tls, format!("no TLS with {host}: {}", chain(&error))))
}

fn roots(pem: &Secret) -> Result<RootCertStore, SendError> {
    let unusable = |what: String| {
        SendError::new(
            Cause::Secret,
            format!("the certificates in ca cannot be used: {what}"),
        )
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.expose().as_bytes()) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("there is none in PEM".to_owned()));
    }
    Ok(roots)
}
