//! The certificates between a peer and a trusted root, each with who issued it and where its status can be learned.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use rustls_webpki::VerifiedPath;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::der;

/// Only this is followed.
const SCHEME: &str = "http://";

/// A proved chain, without its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain(Vec<Link>);

/// One certificate of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    serial: Vec<u8>,
    is_authority: bool,
    /// The name of who issued it, in DER.
    issuer: Vec<u8>,
    /// The key of who issued it: a `SubjectPublicKeyInfo`, in DER.
    issuer_key: Vec<u8>,
    lists: Vec<String>,
    responders: Vec<String>,
    stapled: Option<Vec<u8>>,
}

impl Chain {
    /// Of a path that was verified; `stapled` is what came with the first certificate. Nothing where one cannot be read.
    pub(crate) fn of(path: &VerifiedPath<'_>, stapled: &[u8]) -> Option<Self> {
        let intermediates = path.intermediate_certificates().map(|certificate| certificate.der());
        let all: Vec<CertificateDer<'_>> = [path.end_entity().der()].into_iter().chain(intermediates).collect();
        let keys = all.iter().skip(1).map(|issuer| Some(read(issuer)?.public_key().raw.to_vec()));
        let keys = keys.chain([Some(key(path.anchor()))]);
        let links = all.iter().zip(keys).map(|(certificate, key)| Link::of(&read(certificate)?, key?));
        let mut links = links.collect::<Option<Vec<_>>>()?;
        links.first_mut()?.stapled = (!stapled.is_empty()).then(|| stapled.to_vec());
        Some(Self(links))
    }

    pub(super) fn links(&self) -> &[Link] {
        &self.0
    }
}

fn read<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(certificate).ok().map(|(_, certificate)| certificate)
}

/// An anchor has the content of its key alone.
fn key(anchor: &TrustAnchor<'_>) -> Vec<u8> {
    der::element(der::SEQUENCE, &[&anchor.subject_public_key_info])
}

impl Link {
    pub(super) fn of(certificate: &X509Certificate<'_>, issuer_key: Vec<u8>) -> Option<Self> {
        let mut link = Self {
            serial: serial(certificate.raw_serial()).to_vec(),
            is_authority: certificate.is_ca(),
            issuer: certificate.issuer().as_raw().to_vec(),
            issuer_key,
            lists: Vec::new(),
            responders: Vec::new(),
            stapled: None,
        };
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CRLDistributionPoints(points) => {
                    // RFC 5280 §4.2.1.13: lists of another issuer, or for some reasons alone, are not understood.
                    let whole = points.iter().filter(|point| point.reasons.is_none() && point.crl_issuer.is_none());
                    link.lists = whole.flat_map(|point| addresses(point.distribution_point.as_ref())).collect();
                }
                ParsedExtension::AuthorityInfoAccess(access) => {
                    let responders = access.accessdescs.iter();
                    let responders = responders.filter(|one| one.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP);
                    link.responders = responders.filter_map(|one| address(&one.access_location)).collect();
                }
                _ => {}
            }
        }
        Some(link)
    }

    pub(super) fn serial(&self) -> &[u8] {
        &self.serial
    }

    pub(super) fn is_authority(&self) -> bool {
        self.is_authority
    }

    pub(super) fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    pub(super) fn issuer_key(&self) -> &[u8] {
        &self.issuer_key
    }

    pub(super) fn lists(&self) -> &[String] {
        &self.lists
    }

    pub(super) fn responders(&self) -> &[String] {
        &self.responders
    }

    pub(super) fn stapled(&self) -> Option<&[u8]> {
        self.stapled.as_deref()
    }
}

/// Addresses of a distribution point that can be asked.
pub(super) fn addresses(point: Option<&DistributionPointName<'_>>) -> Vec<String> {
    match point {
        Some(DistributionPointName::FullName(names)) => names.iter().filter_map(address).collect(),
        Some(DistributionPointName::NameRelativeToCRLIssuer(_)) | None => Vec::new(),
    }
}

fn address(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(address) if address.to_ascii_lowercase().starts_with(SCHEME) => Some((*address).to_owned()),
        _ => None,
    }
}

/// A number without the zeros before it.
pub(super) fn serial(octets: &[u8]) -> &[u8] {
    &octets[octets.iter().take_while(|octet| **octet == 0).count()..]
}
