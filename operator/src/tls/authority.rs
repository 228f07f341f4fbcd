//! The certificate authority and what it issues.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::parse_x509_certificate;
use yagura_proto::content::certificate_fingerprint;

/// Clocks of nodes may be behind by this much.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);

/// A certificate or key is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One could not be made or read.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// What is stored is no certificate.
    #[error("there is no certificate where one should be")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// Its times cannot be read.
    #[error("the certificate does not say how long it is valid")]
    Validity,
}

/// A certificate authority: both parts in PEM.
#[derive(Clone)]
pub struct Authority {
    /// Its certificate: what others trust.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl std::fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// A server certificate with its key, in DER.
pub struct Leaf {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// Its key in PKCS #8.
    pub key: Vec<u8>,
    /// When it ends.
    pub expires: Timestamp,
}

impl Authority {
    /// Makes a new one.
    pub fn generate(now: Timestamp, lifetime: SignedDuration) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        // The time tells two authorities apart where somebody looks at them.
        params.distinguished_name.push(
            DnType::CommonName,
            format!("Yagura operator CA {}", now.as_second()),
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, now + lifetime);
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Issues a server certificate for DNS names and addresses. It does not outlive the authority.
    pub fn issue(
        &self,
        names: Vec<String>,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> Result<Leaf, CertificateError> {
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(&self.key)?)?;
        let key = KeyPair::generate()?;
        let expires = self.expires()?.min(now + lifetime);
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "yagura-operator");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, expires);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Leaf {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
            expires,
        })
    }

    /// When its certificate ends.
    pub fn expires(&self) -> Result<Timestamp, CertificateError> {
        let der = self.der()?;
        let (_, certificate) =
            parse_x509_certificate(&der).map_err(|_not_x509| CertificateError::Validity)?;
        let seconds = certificate.validity().not_after.timestamp();
        Timestamp::from_second(seconds).map_err(|_beyond_time| CertificateError::Validity)
    }

    /// By which agents name it.
    pub fn fingerprint(&self) -> Result<String, CertificateError> {
        Ok(certificate_fingerprint(&self.der()?))
    }

    fn der(&self) -> Result<CertificateDer<'static>, CertificateError> {
        Ok(CertificateDer::from_pem_slice(self.certificate.as_bytes())?)
    }
}

fn set_validity(params: &mut CertificateParams, from: Timestamp, until: Timestamp) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let after_epoch = |time: Timestamp| Duration::from_secs(u64::try_from(time.as_second()).unwrap_or(0));
    params.not_before = epoch + after_epoch(from - BACKDATED);
    params.not_after = epoch + after_epoch(until);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{RootCertStore, client::WebPkiServerVerifier};

    use super::Authority;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    #[test]
    fn what_the_authority_issues_is_trusted_for_its_names_and_its_time_only() {
        let now = Timestamp::now();
        let authority = Authority::generate(now, HOUR * 10).unwrap();
        let names = vec!["yagura-operator.sec.svc".to_owned(), "127.0.0.1".to_owned()];
        let leaf = authority.issue(names, now, HOUR).unwrap();

        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap())
            .unwrap();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
                .build()
                .unwrap();
        let certificate = CertificateDer::from(leaf.certificate);
        let verify_at = |name: &str, time: Timestamp| {
            use rustls::client::danger::ServerCertVerifier;
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let time = std::time::Duration::from_secs(u64::try_from(time.as_second()).unwrap());
            let time = UnixTime::since_unix_epoch(time);
            verifier.verify_server_cert(&certificate, &[], &name, &[], time)
        };
        assert!(verify_at("yagura-operator.sec.svc", now).is_ok());
        assert!(verify_at("127.0.0.1", now).is_ok());
        assert!(verify_at("kubernetes.default.svc", now).is_err());
        assert!(
            verify_at("127.0.0.1", now - HOUR * 20).is_ok(),
            "a node's clock is behind"
        );
        assert!(verify_at("127.0.0.1", now + HOUR * 2).is_err());
    }

    #[test]
    fn a_certificate_does_not_outlive_its_authority() {
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::generate(now, HOUR * 2).unwrap();
        assert_eq!(authority.expires().unwrap(), now + HOUR * 2);
        let issue = |lifetime| authority.issue(vec!["x".to_owned()], now, lifetime).unwrap();
        assert_eq!(issue(HOUR).expires, now + HOUR);
        assert_eq!(issue(HOUR * 5).expires, now + HOUR * 2);
    }

    #[test]
    fn the_key_is_not_shown() {
        let authority = Authority::generate(Timestamp::now(), HOUR).unwrap();
        assert!(!format!("{authority:?}").contains("PRIVATE KEY"));
    }
}
