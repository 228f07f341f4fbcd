//! The operator's certificates: an authority of its own, published to who must trust it.

mod authority;
mod publish;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::args::Args;

pub use authority::{Authority, Leaf};
pub use publish::establish;

/// Certificates could not be made, read or published.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key could not be made.
    #[error("cannot make the {what}")]
    Make {
        /// Which.
        what: &'static str,
        /// What the library says.
        #[source]
        source: rcgen::Error,
    },
    /// The stored authority cannot be used.
    #[error(
        "secret {secret} holds no usable certificate authority; delete its keys ca.crt and ca.key to have a new one made"
    )]
    Stored {
        /// Name of the secret.
        secret: String,
        /// What the library says.
        #[source]
        source: rcgen::Error,
    },
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

/// What the operator shows to those who connect. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ServerConfig>,
}

impl Identity {
    /// An identity from an issued certificate.
    pub fn new(leaf: Leaf) -> Result<Self, TlsError> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf.key));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(leaf.certificate)], key)?;
        Ok(Self {
            config: Arc::new(config),
        })
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
