//! What the agent shows and checks when it connects. Everything is read anew each time: trust
//! bundles rotate and tokens expire.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tonic::metadata::AsciiMetadataValue;
use tonic::metadata::errors::InvalidMetadataValue;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Uri};
use yagura_proto::content::certificate_fingerprint;

/// Bundles and tokens are a few KiB.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Certificates that are told to the operator.
const MAX_TRUSTED: usize = 64;

/// The operator's address does not serve.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It does not parse.
    #[error("{url:?} is not a URL of the form https://host:port")]
    Malformed {
        /// As given.
        url: String,
        /// What the parser says.
        #[source]
        source: tonic::codegen::http::uri::InvalidUri,
    },
    /// Neither https, nor http to this machine.
    #[error("{url:?} would send the token in clear text; use https://, or http:// to a loopback address")]
    ClearText {
        /// As given.
        url: String,
    },
}

/// What is needed to connect cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file is not there or not readable.
    #[error("cannot read {what} {}", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Larger than any such file.
    #[error("{what} {} is larger than 1 MiB", path.display())]
    TooLarge {
        /// What the file is for.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// The operator has not published its certificates yet, or the wrong folder is mounted.
    #[error("no certificate (*.crt or *.pem) in {} yet; the operator publishes them when it starts", path.display())]
    NoCertificate {
        /// The folder or file.
        path: PathBuf,
    },
    /// The token cannot be sent.
    #[error("the token in {} is empty or not a line of ASCII", path.display())]
    BadToken {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: InvalidMetadataValue,
    },
    /// The certificates or the name do not serve for TLS.
    #[error("cannot set up TLS with the certificates of {}", path.display())]
    Tls {
        /// Where the certificates come from.
        path: PathBuf,
        /// What the library says.
        #[source]
        source: tonic::transport::Error,
    },
    /// An https address needs certificates to trust.
    #[error("an https operator needs --ca FILE or FOLDER with the certificates to trust")]
    NoTrust,
}

/// Where the operator is and how to prove both sides' identity.
#[derive(Clone, Debug)]
pub struct Operator {
    uri: Uri,
    /// What this process calls itself, as long as it lives.
    instance: u128,
    /// Folder of certificates, or one file, that the operator's certificate must descend from.
    pub ca: Option<PathBuf>,
    /// File with the ServiceAccount token.
    pub token_file: Option<PathBuf>,
    /// Name to expect in the certificate, where it is not the URL's.
    pub tls_server_name: Option<String>,
}

impl Operator {
    /// Checks the address.
    pub fn new(url: &str) -> Result<Self, AddressError> {
        let uri: Uri = url.parse().map_err(|source| AddressError::Malformed {
            url: url.to_owned(),
            source,
        })?;
        let loopback = matches!(uri.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if loopback => {}
            _ => return Err(AddressError::ClearText { url: url.to_owned() }),
        }
        Ok(Self {
            uri,
            instance: rand::random(),
            ca: None,
            token_file: None,
            tls_server_name: None,
        })
    }

    /// The address, for messages.
    pub fn address(&self) -> &Uri {
        &self.uri
    }

    /// What this process calls itself with every call.
    pub(super) fn instance(&self) -> AsciiMetadataValue {
        AsciiMetadataValue::try_from(format!("{:032x}", self.instance)).expect("hexadecimal digits are ASCII")
    }

    /// The endpoint with its trust as it is on disk now.
    pub(super) fn endpoint(&self) -> Result<Endpoint, CredentialError> {
        let endpoint = Endpoint::from(self.uri.clone());
        if self.uri.scheme_str() != Some("https") {
            return Ok(endpoint);
        }
        let path = self.ca.as_deref().ok_or(CredentialError::NoTrust)?;
        let mut tls = ClientTlsConfig::new().ca_certificates(bundle(path)?.iter().map(Certificate::from_pem));
        if let Some(name) = &self.tls_server_name {
            tls = tls.domain_name(name);
        }
        endpoint.tls_config(tls).map_err(|source| CredentialError::Tls {
            path: path.to_owned(),
            source,
        })
    }

    /// Fingerprints of the certificates that would be trusted now, sorted; none where there are none to read.
    pub(super) fn trusted(&self) -> Vec<String> {
        let files = self.ca.as_deref().and_then(|path| bundle(path).ok());
        let mut trusted: Vec<String> = files
            .iter()
            .flatten()
            .flat_map(|pem| CertificateDer::pem_slice_iter(pem))
            .flatten()
            .take(MAX_TRUSTED)
            .map(|der| certificate_fingerprint(&der))
            .collect();
        trusted.sort_unstable();
        trusted.dedup();
        trusted
    }

    /// The value of the `authorization` header, if there is a token to show.
    pub(super) fn authorization(&self) -> Result<Option<AsciiMetadataValue>, CredentialError> {
        let Some(path) = &self.token_file else {
            return Ok(None);
        };
        let token = read("the token file", path)?;
        let token = String::from_utf8_lossy(&token);
        let mut value: AsciiMetadataValue =
            format!("Bearer {}", token.trim())
                .parse()
                .map_err(|source| CredentialError::BadToken {
                    path: path.clone(),
                    source,
                })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The PEM files of a folder, or the one file.
fn bundle(path: &Path) -> Result<Vec<Vec<u8>>, CredentialError> {
    let unreadable = |source| CredentialError::Read {
        what: "the trust bundle",
        path: path.to_owned(),
        source,
    };
    let mut certificates = Vec::new();
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            let pem = file
                .extension()
                .is_some_and(|extension| extension == "crt" || extension == "pem");
            if pem {
                certificates.push(read("the trust bundle", &file)?);
            }
        }
    } else {
        certificates.push(read("the trust bundle", path)?);
    }
    certificates.retain(|pem| pem.windows(10).any(|part| part == b"-----BEGIN"));
    if certificates.is_empty() {
        return Err(CredentialError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(certificates)
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, CredentialError> {
    let wrap = |source| CredentialError::Read {
        what,
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(wrap)?.len() > MAX_FILE_BYTES {
        return Err(CredentialError::TooLarge {
            what,
            path: path.to_owned(),
        });
    }
    fs::read(path).map_err(wrap)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{CredentialError, Operator};

    #[test]
    fn a_token_is_never_sent_in_clear_text_over_a_network() {
        assert!(Operator::new("https://operator:8443").is_ok());
        assert!(Operator::new("http://127.0.0.1:8443").is_ok());
        for url in ["http://operator:8443", "operator:8443", "ftp://x", "not a url"] {
            assert!(Operator::new(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_missing_token_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut operator = Operator::new("https://operator").unwrap();
        operator.token_file = Some(folder.path().join("token"));
        let error = operator.authorization().unwrap_err();
        assert!(error.to_string().contains("token"), "{error}");
        fs::write(folder.path().join("token"), "abc\n").unwrap();
        let value = operator.authorization().unwrap().unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer abc");
        fs::write(folder.path().join("token"), "a\nb").unwrap();
        assert!(matches!(
            operator.authorization(),
            Err(CredentialError::BadToken { .. })
        ));
    }

    #[test]
    fn an_empty_bundle_means_to_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut operator = Operator::new("https://operator").unwrap();
        assert!(matches!(operator.endpoint(), Err(CredentialError::NoTrust)));
        operator.ca = Some(folder.path().to_owned());
        fs::write(folder.path().join("ca.crt"), "").unwrap();
        assert!(matches!(
            operator.endpoint(),
            Err(CredentialError::NoCertificate { .. })
        ));
    }
}
