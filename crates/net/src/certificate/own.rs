//! Keys that a server makes for itself, with certificates that they sign themselves or requests for one by an authority; and what
//! an authority made of a request, found again by its key (TA-35, TA-38; RFC 2986).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use envelope::{Domain, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
    PublicKeyData, RsaKeySize, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

use super::authority::{SERVER_CERTIFICATE_VALIDITY, encodable, validity};
use super::{CertificateError, KeyedCertificate, PrivateKeyPem};

/// Certificates of one chain: more is no chain.
const CHAIN_MAX: usize = 10;
/// Names of one certificate.
const NAMES_MAX: usize = 100;

/// Whom a new certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// X.500 name: `C=US,O=Contoso,CN=mail.contoso.com`.
    pub subject: String,
    /// Its names in DNS.
    pub domains: Vec<Domain>,
    /// Bits of its key, RSA.
    pub key_size: KeySize,
}

/// Bits of an RSA key; fewer are weak, more take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySize {
    /// The documented default (TA-38).
    Bits2048,
    /// 3072
    Bits3072,
    /// 4096
    Bits4096,
}

impl KeySize {
    /// The size of so many bits; 1024, which is documented, is broken.
    #[must_use]
    pub const fn of(bits: u32) -> Option<Self> {
        match bits {
            0 | 2048 => Some(Self::Bits2048),
            3072 => Some(Self::Bits3072),
            4096 => Some(Self::Bits4096),
            _ => None,
        }
    }
}

/// A key, and a request for a certificate of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRequest {
    /// In PEM.
    pub request_pem: String,
    /// Its private key.
    pub key_pem: PrivateKeyPem,
}

/// What a request says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestNames {
    /// X.500 name.
    pub subject: Box<str>,
    /// In DER, for its digest.
    pub der: Vec<u8>,
}

impl Wanted {
    /// A certificate that its own key signed. Slow: a new RSA key.
    ///
    /// # Errors
    /// [`CertificateError::Issue`], for a name that is none.
    pub fn self_signed(&self, now: Timestamp) -> Result<KeyedCertificate, CertificateError> {
        let (params, key) = (self.params(now)?, self.key()?);
        let certificate = params.self_signed(&key)?;
        Ok(KeyedCertificate { cert_pem: certificate.pem(), key_pem: PrivateKeyPem::new(key.serialize_pem()) })
    }

    /// A request. Slow: a new RSA key.
    ///
    /// # Errors
    /// [`CertificateError::Issue`], for a name that is none.
    pub fn request(&self, now: Timestamp) -> Result<PendingRequest, CertificateError> {
        let (params, key) = (self.params(now)?, self.key()?);
        let request_pem = params.serialize_request(&key)?.pem()?;
        Ok(PendingRequest { request_pem, key_pem: PrivateKeyPem::new(key.serialize_pem()) })
    }

    fn key(&self) -> Result<KeyPair, CertificateError> {
        let size = match self.key_size {
            KeySize::Bits2048 => RsaKeySize::_2048,
            KeySize::Bits3072 => RsaKeySize::_3072,
            KeySize::Bits4096 => RsaKeySize::_4096,
        };
        Ok(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)?)
    }

    fn params(&self, now: Timestamp) -> Result<CertificateParams, CertificateError> {
        if self.domains.len() > NAMES_MAX {
            return Err(CertificateError::Issue(format!("a certificate has at most {NAMES_MAX} names")));
        }
        let mut params = validity(now, now.plus(SERVER_CERTIFICATE_VALIDITY));
        params.distinguished_name = distinguished_name(&self.subject)?;
        for domain in &self.domains {
            params.subject_alt_names.push(SanType::DnsName(encodable(domain)?.as_str().try_into()?));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params)
    }
}

/// `C=US,O=Woodgrove Bank,CN=mail.woodgrovebank.com`, in any case.
fn distinguished_name(text: &str) -> Result<DistinguishedName, CertificateError> {
    let mut name = DistinguishedName::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let wrong = || {
            let known = "C, O, OU, L, S, ST and CN";
            CertificateError::Issue(format!("{part:?} is no part of an X.500 name: write TYPE=VALUE, of {known}"))
        };
        let (kind, value) = part.split_once('=').ok_or_else(wrong)?;
        let kind = match kind.trim().to_ascii_uppercase().as_str() {
            "C" => DnType::CountryName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            "L" => DnType::LocalityName,
            "S" | "ST" => DnType::StateOrProvinceName,
            "CN" => DnType::CommonName,
            _ => return Err(wrong()),
        };
        name.push(kind, value.trim());
    }
    if name.iter().next().is_none() {
        return Err(CertificateError::Issue(
            "the name of whom it is for is empty: write CN=mail.contoso.com".to_owned(),
        ));
    }
    Ok(name)
}

impl PendingRequest {
    /// What the request says.
    ///
    /// # Errors
    /// [`CertificateError::Certificate`].
    pub fn names(&self) -> Result<RequestNames, CertificateError> {
        request_names(&self.request_pem)
    }

    /// Whether a certificate is for its key.
    ///
    /// # Errors
    /// [`CertificateError`], for a key or a certificate that is none.
    pub fn is_answered_by(&self, chain_pem: &str) -> Result<bool, CertificateError> {
        let key = KeyPair::from_pem(self.key_pem.expose()).map_err(|error| CertificateError::Key(error.to_string()))?;
        let wrong = |error: &dyn std::fmt::Display| CertificateError::Certificate(error.to_string());
        let der = CertificateDer::from_pem_slice(chain_pem.as_bytes()).map_err(|error| wrong(&error))?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| wrong(&error))?;
        Ok(certificate.public_key().raw == key.subject_public_key_info())
    }
}

/// What a request in PEM says.
///
/// # Errors
/// [`CertificateError::Certificate`].
pub fn request_names(request_pem: &str) -> Result<RequestNames, CertificateError> {
    let wrong = |error: &dyn std::fmt::Display| CertificateError::Certificate(error.to_string());
    let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(request_pem.as_bytes());
    let der = der.map_err(|error| wrong(&error))?.to_vec();
    let (_, request) = X509CertificationRequest::from_der(&der).map_err(|error| wrong(&error))?;
    Ok(RequestNames { subject: request.certification_request_info.subject.to_string().into(), der: der.clone() })
}

/// A chain as an authority gives it, PEM or DER, as PEM: who it is for first, nothing else.
///
/// # Errors
/// [`CertificateError::Certificate`], for what is none.
pub fn chain_of(octets: &[u8]) -> Result<String, CertificateError> {
    let wrong = |text: &str| CertificateError::Certificate(text.to_owned());
    let chain: Vec<CertificateDer<'static>> = match std::str::from_utf8(octets) {
        Ok(text) if text.contains("-----BEGIN") => {
            let read = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
            read.map_err(|error| wrong(&error.to_string()))?
        }
        _ => of_pkcs7(octets).unwrap_or_else(|| vec![CertificateDer::from(octets.to_vec())]),
    };
    if chain.is_empty() || chain.len() > CHAIN_MAX {
        return Err(wrong(
            "it holds no certificate, or more than a chain has: give it in PEM or DER, who it is for first",
        ));
    }
    for one in &chain {
        let read = X509Certificate::from_der(one);
        read.map_err(|_| {
            wrong(
                "it is no certificate in PEM or DER, and no PKCS #7 of certificates: `openssl pkcs12 -nodes` takes those of a PKCS #12 \
                 file out",
            )
        })?;
    }
    Ok(chain.iter().map(|one| pem("CERTIFICATE", one)).collect())
}

/// `signedData` (RFC 2315 §14: 1.2.840.113549.1.7.2).
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// The first optional part.
const CONTEXT_0: u8 = 0xa0;

/// The certificates of a PKCS #7 file without signatures, as authorities give them (RFC 2315 §9.1): they have no order, so those of
/// authorities go behind.
fn of_pkcs7(octets: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let whole = element(octets).filter(|whole| whole.tag == SEQUENCE)?;
    let kind = element(whole.content).filter(|kind| kind.tag == OBJECT_IDENTIFIER && kind.content == SIGNED_DATA)?;
    let signed = element(element(kind.after).filter(|part| part.tag == CONTEXT_0)?.content)?;
    // Version, digest algorithms, what is signed; then the certificates.
    let mut rest = signed.content;
    for _ in 0..3 {
        rest = element(rest)?.after;
    }
    let mut certificates = element(rest).filter(|part| part.tag == CONTEXT_0)?.content;
    let mut all = Vec::new();
    while let Some(one) = element(certificates).filter(|_| all.len() <= CHAIN_MAX) {
        all.push(CertificateDer::from(one.whole.to_vec()));
        certificates = one.after;
    }
    all.sort_by_key(|der| X509Certificate::from_der(der).is_ok_and(|(_, certificate)| certificate.is_ca()));
    Some(all)
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    /// Head and content.
    whole: &'a [u8],
    after: &'a [u8],
}

fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some(Element { tag, content, whole: &der[..der.len() - after.len()], after })
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::CertificateAuthority;

    fn wanted() -> Wanted {
        Wanted {
            subject: "c=US, o=Woodgrove Bank, cn=mail.woodgrovebank.com".to_owned(),
            domains: vec![Domain::parse("autodiscover.woodgrovebank.com").unwrap()],
            key_size: KeySize::Bits2048,
        }
    }

    #[test]
    fn a_request_is_answered_by_a_certificate_of_its_key_alone() {
        // TA-38
        let now = Timestamp::from_millis(1_795_335_330_250);
        let pending = wanted().request(now).unwrap();
        assert!(pending.request_pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        assert_eq!(&*pending.names().unwrap().subject, "C=US, O=Woodgrove Bank, CN=mail.woodgrovebank.com");
        let other = wanted().self_signed(now).unwrap();
        assert!(!pending.is_answered_by(&other.cert_pem).unwrap());
        let key = KeyPair::from_pem(pending.key_pem.expose()).unwrap();
        let own = wanted().params(now).unwrap().self_signed(&key).unwrap().pem();
        assert!(pending.is_answered_by(&own).unwrap());
        // As an authority gives it: a chain, in PEM or in DER.
        let authority = CertificateAuthority::create(&Domain::parse("contoso.com").unwrap(), now).unwrap();
        let chain = format!("Subject: mail\n{own}\n{}", authority.certificate_pem());
        let read = chain_of(chain.as_bytes()).unwrap();
        assert!(pending.is_answered_by(&read).unwrap() && read.matches("BEGIN CERTIFICATE").count() == 2, "{read}");
        let der = CertificateDer::from_pem_slice(own.as_bytes()).unwrap();
        assert_eq!(
            CertificateDer::from_pem_slice(chain_of(&der).unwrap().as_bytes()).unwrap(),
            CertificateDer::from_pem_slice(own.as_bytes()).unwrap()
        );
        // PKCS #7, the authority first.
        let wrap = |tag: u8, parts: &[&[u8]]| {
            let content = parts.concat();
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82, length[0], length[1]], &content[..]].concat()
        };
        let issuer = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
        let data = wrap(SEQUENCE, &[&[OBJECT_IDENTIFIER, 1, 0x2a]]);
        let signed = wrap(SEQUENCE, &[&[2, 1, 1], &[0x31, 0], &data, &wrap(CONTEXT_0, &[&issuer, &der])]);
        let kind = [&[OBJECT_IDENTIFIER, 9], &SIGNED_DATA[..]].concat();
        let file = wrap(SEQUENCE, &[&kind, &wrap(CONTEXT_0, &[&signed])]);
        let read = chain_of(&file).unwrap();
        assert!(pending.is_answered_by(&read).unwrap() && read.matches("BEGIN CERTIFICATE").count() == 2, "{read}");
        assert!(chain_of(&file[..file.len() - 1]).is_err());
        for wrong in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "30"] {
            assert!(chain_of(wrong.as_bytes()).is_err(), "{wrong}");
        }
        for wrong in ["", "contoso", "X=1", ","] {
            assert!(distinguished_name(wrong).is_err(), "{wrong}");
        }
    }
}
