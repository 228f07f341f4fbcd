//! The operator's certificates: an authority of its own, published to who must trust it, and replaced in time.

mod authority;
mod publish;
mod rotate;
mod trust;

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::args::Args;

pub use authority::{Authority, CertificateError, Leaf};
pub use publish::Publisher;
pub use rotate::{Certificates, rotate};
pub use trust::{Lifetimes, Step, Trust};

/// Certificates could not be made, read or published.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key could not be made.
    #[error("cannot make the {what}")]
    Make {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// The stored authority cannot be used.
    #[error(
        "secret {secret} holds no usable certificate authority; delete its keys ca.crt and ca.key to have a new one made"
    )]
    Stored {
        /// Name of the secret.
        secret: String,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// The flags contradict each other.
    #[error("certificates cannot be replaced in time: {0}")]
    Lifetimes(&'static str),
    /// The API server refused a read or write.
    #[error("cannot {verb} {object}; does the chart's role allow it?")]
    Api {
        /// What was tried.
        verb: &'static str,
        /// Kind and name.
        object: String,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
    /// The certificate and key do not make a server.
    #[error("the server certificate does not fit its key")]
    Serve(#[from] rustls::Error),
}

/// What the operator shows to those who connect. Cheap to clone; all clones show the newest certificate.
#[derive(Clone, Debug)]
pub struct Identity {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// The certificate that new connections get.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown))
    }
}

impl Identity {
    /// An identity from an issued certificate.
    pub fn new(leaf: Leaf) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(Arc::new(certified(leaf)?))));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        Ok(Self {
            shown,
            config: Arc::new(config),
        })
    }

    /// Shows another certificate from the next connection on. Open connections stay.
    pub fn replace(&self, leaf: Leaf) -> Result<(), TlsError> {
        let leaf = Arc::new(certified(leaf)?);
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = leaf;
        Ok(())
    }

    /// A server's configuration that offers these application protocols, such as `h2`.
    pub fn server_config(&self, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }
}

fn certified(leaf: Leaf) -> Result<CertifiedKey, TlsError> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key));
    let chain = vec![CertificateDer::from(leaf.certificate)];
    Ok(CertifiedKey::from_der(chain, key, &ring::default_provider())?)
}

/// The names by which agents and the API server reach the operator.
pub fn names(args: &Args) -> Vec<String> {
    let Args {
        service, namespace, ..
    } = args;
    let mut names = vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.clone(),
    ];
    names.extend(args.tls_names.iter().filter(|name| !name.is_empty()).cloned());
    names
}
