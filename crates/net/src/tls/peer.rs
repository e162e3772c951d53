//! What is known about the other end of a TLS connection: for traces, protocol logs and decisions about partners.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use envelope::{Domain, Timestamp};
use rustls::{CommonState, ProtocolVersion};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use super::names::{CertificateName, name_covers};
use crate::digest::sha256;
use crate::revocation::{Chain, RevocationCheck, RevocationProblem};

/// The other end of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite as IANA names it, with underscores: `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// Key exchange group: `X25519MLKEM768`.
    pub key_exchange: &'static str,
    /// Its certificate, where it sent one.
    pub certificate: Option<PeerCertificate>,
    /// It wanted to see ours. Nobody who called us has.
    pub asked_for_ours: bool,
}

/// A certificate that a peer sent, and whether it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// X.500 name, `CN=mail.contoso.com, O=Contoso`.
    pub subject: Box<str>,
    /// X.500 name of who signed it.
    pub issuer: Box<str>,
    /// Whom it is for: the subject alternative name or, where there is none, the common name.
    pub names: Vec<CertificateName>,
    /// Over the whole certificate.
    pub fingerprint: Fingerprint,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// Whether it leads to a trusted root.
    pub trust: Trust,
    /// The way to that root, of a client's.
    pub(super) chain: Option<Arc<Chain>>,
    /// As it was sent.
    pub(super) der: Arc<[u8]>,
}

/// Whether a certificate leads to a trusted root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nobody asked.
    NotChecked,
    /// It does, and is within its dates.
    Trusted,
    /// It does not; why, in words.
    Untrusted(Box<str>),
}

/// SHA-256 over a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PeerCertificate {
    /// Reads what a peer sent. Nothing when it is no certificate.
    pub(super) fn parse(der: &CertificateDer<'_>, trust: Trust) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            subject: certificate.subject().to_string().into(),
            issuer: certificate.issuer().to_string().into(),
            names: names(&certificate),
            fingerprint: fingerprint(der),
            not_after: timestamp(certificate.validity().not_after),
            trust,
            chain: None,
            der: der.as_ref().into(),
        })
    }

    /// As it was sent, for whoever reads more of it.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whether a client's certificate has been revoked (TA-43), or nobody can tell.
    ///
    /// # Errors
    /// The problem.
    pub async fn check_revocation(&self, check: &RevocationCheck) -> Result<(), RevocationProblem> {
        match &self.chain {
            Some(chain) => check.check(chain, UnixTime::now()).await,
            None => Err(RevocationProblem::Unproved),
        }
    }

    /// Whether the certificate is trusted and for `domain` by TA-10: what makes a partner of a client (TA-43, TA-75).
    #[must_use]
    pub fn vouches_for(&self, domain: &Domain) -> bool {
        self.trust == Trust::Trusted && self.names.iter().any(|name| name_covers(name, domain))
    }
}

impl PeerTls {
    pub(super) fn of(connection: &CommonState, certificate: Option<PeerCertificate>) -> Self {
        Self {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "unknown",
            },
            cipher: connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown"),
            key_exchange: connection
                .negotiated_key_exchange_group()
                .and_then(|group| group.name().as_str())
                .unwrap_or("unknown"),
            certificate,
            asked_for_ours: false,
        }
    }
}

pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<CertificateName> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let Some(alternative) = alternative else {
        // TA-10: the common name counts only where there is no subject alternative name at all.
        let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        return common.map(|name| CertificateName::Dns(name.into())).collect();
    };
    let name = |general: &GeneralName<'_>| match general {
        GeneralName::DNSName(name) => Some(CertificateName::Dns((*name).into())),
        GeneralName::IPAddress(octets) => address(octets).map(CertificateName::Address),
        _ => None,
    };
    alternative.value.general_names.iter().filter_map(name).collect()
}

/// RFC 5280 §4.2.1.6: four or sixteen octets.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

pub(super) fn fingerprint(der: &[u8]) -> Fingerprint {
    Fingerprint(sha256(&[der]))
}

fn timestamp(time: ASN1Time) -> Timestamp {
    Timestamp::from_millis(u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1000))
}
