//! The certificate authority and what it issues.

use jiff::civil::Date;
use jiff::{Span, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::TlsError;

/// Clocks of nodes may be behind by this much.
const BACKDATED_DAYS: i64 = 1;
const AUTHORITY_YEARS: i64 = 10;
/// A certificate is issued at every start, so it need not outlive a running process by far.
const LEAF_YEARS: i64 = 1;

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
}

impl Authority {
    /// Makes a new one.
    pub fn generate(today: &Zoned) -> Result<Self, TlsError> {
        let error = |source| TlsError::Make {
            what: "certificate authority",
            source,
        };
        let key = KeyPair::generate().map_err(error)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(error)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Yagura operator CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, today, AUTHORITY_YEARS);
        let certificate = params.self_signed(&key).map_err(error)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Issues a server certificate for DNS names and addresses.
    pub fn issue(&self, names: Vec<String>, today: &Zoned) -> Result<Leaf, rcgen::Error> {
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(&self.key)?)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "yagura-operator");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, today, LEAF_YEARS);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Leaf {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        })
    }
}

fn set_validity(params: &mut CertificateParams, today: &Zoned, years: i64) {
    let day = |date: Date| {
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    let today = today.date();
    params.not_before = day(today.saturating_sub(Span::new().days(BACKDATED_DAYS)));
    params.not_after = day(today.saturating_add(Span::new().years(years)));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Zoned;
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{RootCertStore, client::WebPkiServerVerifier};

    use super::Authority;

    #[test]
    fn what_the_authority_issues_is_trusted_for_its_names_only() {
        let today = Zoned::now();
        let authority = Authority::generate(&today).unwrap();
        let names = vec!["yagura-operator.sec.svc".to_owned(), "127.0.0.1".to_owned()];
        let leaf = authority.issue(names, &today).unwrap();

        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap())
            .unwrap();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
                .build()
                .unwrap();
        let certificate = CertificateDer::from(leaf.certificate);
        let verify = |name: &str| {
            use rustls::client::danger::ServerCertVerifier;
            let name = ServerName::try_from(name.to_owned()).unwrap();
            verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now())
        };
        assert!(verify("yagura-operator.sec.svc").is_ok());
        assert!(verify("127.0.0.1").is_ok());
        assert!(verify("kubernetes.default.svc").is_err());
    }

    #[test]
    fn the_key_is_not_shown() {
        let authority = Authority::generate(&Zoned::now()).unwrap();
        assert!(!format!("{authority:?}").contains("PRIVATE KEY"));
    }
}
