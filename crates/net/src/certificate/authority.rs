//! The organization's certificate authority, and the two kinds of certificates that its servers need.
//!
//! Keys of the authority and of nodes are ECDSA P-256. What STARTTLS shows is RSA 2048 (TA-35): printers and other
//! devices speak to it.

use std::collections::BTreeSet;
use std::time::Duration;

use authority::RoleGroup;
use envelope::{Domain, ObjectName, ServerName, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RevokedCertParams,
    RsaKeySize, SanType, SerialNumber,
};
use time::OffsetDateTime;

use super::identity::{
    BACKDATE, NodeIdentity, administrator_uris, authority_subject, forest_of, identity_uris, issuer_of, service_name,
    subject_of,
};
use super::{CertificateError, KeyedCertificate, PrivateKeyPem};
use crate::host::a_labels;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Validity of the authority: ten years, twice that of the longest that it issues.
pub const AUTHORITY_VALIDITY: Duration = DAY.saturating_mul(3653);
/// Validity of what services and administrators show inside the organization: eight weeks, never beyond their authority's. They
/// are renewed without a restart.
pub const IDENTITY_VALIDITY: Duration = DAY.saturating_mul(56);
/// Validity of what STARTTLS shows: five years (TA-35), never beyond their authority's.
pub const SERVER_CERTIFICATE_VALIDITY: Duration = DAY.saturating_mul(1826);

/// The authority of one forest. Whoever holds its key can be any server of it.
#[derive(Debug)]
pub struct CertificateAuthority {
    forest: Domain,
    pair: KeyedCertificate,
    issuer: Issuer<'static, KeyPair>,
    not_after: Timestamp,
    /// Certificates of authorities that are believed as well: one that comes after this one, or came before it.
    others: String,
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
        Ok(Self { forest, pair, issuer, not_after, others: String::new() })
    }

    /// The same, with other authorities of the forest that whoever is certified believes as well (PEM).
    #[must_use]
    pub fn with_others(self, others: String) -> Self {
        Self { others, ..self }
    }

    /// Whom those believe that are certified: this authority, and the others.
    #[must_use]
    pub fn trusted_pem(&self) -> String {
        format!("{}{}", self.pair.cert_pem, self.others)
    }

    /// Whether a certificate names this authority, or one of the same forest, as the one that issued it.
    #[must_use]
    pub fn is_issuer_of(&self, certificate_der: &[u8]) -> bool {
        self.pair
            .to_der()
            .is_ok_and(|own| issuer_of(certificate_der).is_some_and(|issuer| Some(issuer) == subject_of(&own)))
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
        let not_after = now.plus(IDENTITY_VALIDITY).min(self.not_after);
        let mut params = server_params(&identity.server, &identity.fqdn, now, not_after)?;
        for service in identity.services.iter().copied().map(Some).chain([None]) {
            let name = service_name(service, &identity.fqdn);
            params.subject_alt_names.push(SanType::DnsName(name.try_into()?));
        }
        for uri in identity_uris(&self.forest, identity) {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        self.sign(&params, &KeyPair::generate()?)
    }

    /// What an administrator in `groups` shows: good for what these may, and for nothing that a service does.
    ///
    /// # Errors
    /// [`CertificateError::Issue`].
    pub fn issue_administrator(
        &self,
        name: &ObjectName,
        groups: &BTreeSet<RoleGroup>,
        now: Timestamp,
    ) -> Result<KeyedCertificate, CertificateError> {
        let mut params = self.client_params(name.as_str(), now);
        let uris = administrator_uris(&self.forest, name, groups).into_iter();
        params.subject_alt_names =
            uris.map(|uri| Ok(SanType::URI(uri.try_into()?))).collect::<Result<_, CertificateError>>()?;
        self.sign(&params, &KeyPair::generate()?)
    }

    /// What is shown to etcd, which knows its users by their common name. It names no server and no administrator, so it opens
    /// no other door.
    ///
    /// # Errors
    /// [`CertificateError::Issue`].
    pub fn issue_for_etcd(&self, user: &str, now: Timestamp) -> Result<KeyedCertificate, CertificateError> {
        self.sign(&self.client_params(user, now), &KeyPair::generate()?)
    }

    fn client_params(&self, name: &str, now: Timestamp) -> CertificateParams {
        let mut params = validity(now, now.plus(IDENTITY_VALIDITY).min(self.not_after));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params
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

    /// A list (RFC 5280 §5, PEM) of certificates of this authority that are void, by their serial numbers.
    ///
    /// # Errors
    /// [`CertificateError::Issue`].
    pub fn revocation_list(&self, serials: &[Vec<u8>], now: Timestamp) -> Result<String, CertificateError> {
        let revoked = |serial: &Vec<u8>| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date(now),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date(now),
            // Whoever reads it has no other: it counts until it is replaced.
            next_update: date(self.not_after),
            crl_number: SerialNumber::from(now.as_millis()),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
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
pub(super) fn encodable(name: &Domain) -> Result<Domain, CertificateError> {
    a_labels(name).ok_or_else(|| CertificateError::Issue(format!("{name} is not a name in DNS")))
}

pub(super) fn validity(now: Timestamp, not_after: Timestamp) -> CertificateParams {
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
