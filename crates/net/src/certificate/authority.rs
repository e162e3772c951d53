//! The organization's certificate authority, and the two kinds of certificates that its servers need.
//!
//! Keys of the authority and of nodes are ECDSA P-256. What STARTTLS shows is RSA 2048 (TA-35): printers and other
//! devices speak to it.

use std::time::Duration;

use envelope::{Domain, ObjectName, ServerName, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use time::OffsetDateTime;

use super::identity::{
    BACKDATE, NodeIdentity, administrator_uri, authority_subject, forest_of, identity_uris, service_name,
};
use super::{CertificateError, KeyedCertificate, PrivateKeyPem};
use crate::host::a_labels;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Validity of the authority: ten years, twice that of what it issues.
pub const AUTHORITY_VALIDITY: Duration = DAY.saturating_mul(3653);
/// Validity of server certificates: five years (TA-35), never beyond their authority's.
pub const SERVER_CERTIFICATE_VALIDITY: Duration = DAY.saturating_mul(1826);

/// The authority of one forest. Whoever holds its key can be any server of it.
#[derive(Debug)]
pub struct CertificateAuthority {
    forest: Domain,
    pair: KeyedCertificate,
    issuer: Issuer<'static, KeyPair>,
    not_after: Timestamp,
}

impl CertificateAuthority {
    /// Makes a new authority for `forest`.
    ///
    /// # Errors
    /// [`CertificateError::Issue`].
    pub fn create(forest: &Domain, now: Timestamp) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = validity(now, now.plus(AUTHORITY_VALIDITY));
        params.distinguished_name = authority_subject(&encodable(forest)?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Self::load(KeyedCertificate { cert_pem: certificate.pem(), key_pem: PrivateKeyPem::new(key.serialize_pem()) })
    }

    /// Takes up an authority made earlier.
    ///
    /// # Errors
    /// [`CertificateError`] when certificate and key do not fit, or the certificate is not one that [`Self::create`] made.
    pub fn load(pair: KeyedCertificate) -> Result<Self, CertificateError> {
        pair.certified_key()?;
        let (forest, not_after) = forest_of(&pair.to_der()?)
            .ok_or_else(|| CertificateError::Certificate("it is not the authority of a forest".to_owned()))?;
        let key = KeyPair::from_pem(pair.key_pem.expose()).map_err(|error| CertificateError::Key(error.to_string()))?;
        let issuer = Issuer::from_ca_cert_pem(&pair.cert_pem, key)
            .map_err(|error| CertificateError::Certificate(error.to_string()))?;
        Ok(Self { forest, pair, issuer, not_after })
    }

    /// The forest it speaks for, in A-labels.
    #[must_use]
    pub fn forest(&self) -> &Domain {
        &self.forest
    }

    /// The authority's certificate: what the other servers trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pair.cert_pem
    }

    /// Certificate and key, to keep or to seal.
    #[must_use]
    pub fn keyed_certificate(&self) -> &KeyedCertificate {
        &self.pair
    }

    /// What a node shows on the implicit connector, as server and as client.
    ///
    /// # Errors
    /// [`CertificateError::Issue`].
    pub fn issue(&self, identity: &NodeIdentity, now: Timestamp) -> Result<KeyedCertificate, CertificateError> {
        let mut params = self.server_params(&identity.server, &identity.fqdn, now)?;
        for service in identity.services.iter().copied().map(Some).chain([None]) {
            let name = service_name(service, &identity.fqdn);
            params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
        }
        for uri in identity_uris(&self.forest, identity) {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        self.sign(&params, &KeyPair::generate()?)
    }

    /// What an administrator shows: good for looking at servers, and for nothing that a service does.
    ///
    /// # Errors
    /// [`CertificateError::Issue`].
    pub fn issue_administrator(&self, name: &ObjectName, now: Timestamp) -> Result<KeyedCertificate, CertificateError> {
        let mut params = validity(now, now.plus(SERVER_CERTIFICATE_VALIDITY).min(self.not_after));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.subject_alt_names = vec![SanType::URI(administrator_uri(&self.forest, name).try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        self.sign(&params, &KeyPair::generate()?)
    }

    /// What STARTTLS shows on a server of the organization (TA-35), trusted within it.
    ///
    /// # Errors
    /// [`CertificateError::Issue`].
    pub fn issue_for_smtp(
        &self,
        server: &ServerName,
        fqdn: &Domain,
        now: Timestamp,
    ) -> Result<KeyedCertificate, CertificateError> {
        self.sign(&self.server_params(server, fqdn, now)?, &rsa_key()?)
    }

    fn server_params(
        &self,
        server: &ServerName,
        fqdn: &Domain,
        now: Timestamp,
    ) -> Result<CertificateParams, CertificateError> {
        server_params(server, fqdn, now, now.plus(SERVER_CERTIFICATE_VALIDITY).min(self.not_after))
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Result<KeyedCertificate, CertificateError> {
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(KeyedCertificate { cert_pem: certificate.pem(), key_pem: PrivateKeyPem::new(key.serialize_pem()) })
    }
}

/// What STARTTLS shows where there is no authority: the self-signed certificate of TA-35.
///
/// # Errors
/// [`CertificateError::Issue`].
pub fn self_signed_for_smtp(
    server: &ServerName,
    fqdn: &Domain,
    now: Timestamp,
) -> Result<KeyedCertificate, CertificateError> {
    let params = server_params(server, fqdn, now, now.plus(SERVER_CERTIFICATE_VALIDITY))?;
    let key = rsa_key()?;
    let certificate = params.self_signed(&key)?;
    Ok(KeyedCertificate { cert_pem: certificate.pem(), key_pem: PrivateKeyPem::new(key.serialize_pem()) })
}

fn rsa_key() -> Result<KeyPair, CertificateError> {
    Ok(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?)
}

fn server_params(
    server: &ServerName,
    fqdn: &Domain,
    now: Timestamp,
    not_after: Timestamp,
) -> Result<CertificateParams, CertificateError> {
    let mut params = validity(now, not_after);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, server.as_str());
    let name = encodable(fqdn)?;
    params.subject_alt_names = vec![SanType::DnsName(name.as_str().try_into()?)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Certificates hold ASCII names only.
fn encodable(name: &Domain) -> Result<Domain, CertificateError> {
    a_labels(name).ok_or_else(|| CertificateError::Issue(format!("{name} is not a name in DNS")))
}

fn validity(now: Timestamp, not_after: Timestamp) -> CertificateParams {
    let backdate = u64::try_from(BACKDATE.as_millis()).expect("an hour");
    let mut params = CertificateParams::default();
    params.not_before = date(Timestamp::from_millis(now.as_millis().saturating_sub(backdate)));
    params.not_after = date(not_after);
    params
}

fn date(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX);
    // X.509 ends with the year 9999.
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::macros::datetime!(9999-12-31 23:59:59 UTC))
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        Self::Issue(error.to_string())
    }
}
