//! Who a node or a person is, written into a certificate as URIs and read back from a peer's.
//!
//! `postroad://<forest>/server/<server>/service/<service>` for a server's service,
//! `postroad://<forest>/administrator/<name>` for an administrator, `…/administrator/<name>/role-group/<group>` for one in a role
//! group; names percent-encoded (RFC 3986 §2.1). A certificate is one or the other, never both: no service may administer, and
//! no administrator may hand in mail as a server.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use authority::RoleGroup;
use envelope::{Domain, ObjectName, ServerName, Service, Timestamp};
use rcgen::{DistinguishedName, DnType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::host::a_labels;

/// Certificates are valid from a little before they are made, for peers whose clock is slow.
pub const BACKDATE: Duration = Duration::from_secs(3600);

/// Who a certificate is issued to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// As the organization names it, which need not be how DNS does.
    pub server: ServerName,
    /// Its name in DNS.
    pub fqdn: Domain,
    /// What it may act as.
    pub services: BTreeSet<Service>,
}

/// Who a peer's certificate says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The forest it belongs to, in A-labels.
    pub forest: Domain,
    /// As the organization names it, which need not be how DNS does.
    pub server: ServerName,
    /// What it may act as. Services of a later version, unknown here, grant nothing and are left out.
    pub services: BTreeSet<Service>,
}

/// Whom an administrator's certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdministratorIdentity {
    /// The forest, in A-labels.
    pub forest: Domain,
    /// The person or tool, for logs.
    pub name: ObjectName,
    /// The role groups that it names. Those of a later version, unknown here, grant nothing and are left out.
    pub groups: BTreeSet<RoleGroup>,
}

/// Why a certificate is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Not an X.509 certificate.
    #[error("the peer's certificate cannot be read")]
    Unreadable,
    /// An ordinary certificate.
    #[error("the peer's certificate names no server of an organization")]
    Absent,
    /// It has a `postroad:` URI that is not one of ours.
    #[error("the peer's certificate has a malformed identity {0:?}")]
    Malformed(String),
    /// Its URIs name more than one server, administrator or forest.
    #[error("the peer's certificate names several servers or administrators")]
    Ambiguous,
    /// An administrator's, where a server's is needed.
    #[error("the peer's certificate is an administrator's, not a server's")]
    Administrator,
    /// A server's, where an administrator's is needed.
    #[error("the peer's certificate is a server's, not an administrator's")]
    Server,
}

const SCHEME: &str = "postroad:";

/// Who the peer is. Only for certificates that were verified against the organization's authority.
///
/// # Errors
/// [`IdentityError`]; [`IdentityError::Administrator`] for a person's.
pub fn parse_identity(certificate_der: &[u8]) -> Result<PeerIdentity, IdentityError> {
    match parse(certificate_der)? {
        Identity::Server(peer) => Ok(peer),
        Identity::Administrator(_) => Err(IdentityError::Administrator),
    }
}

/// Which administrator the peer is. Only for certificates that were verified against the organization's authority.
///
/// # Errors
/// [`IdentityError`]; [`IdentityError::Server`] for a server's, whatever its services are.
pub fn parse_administrator(certificate_der: &[u8]) -> Result<AdministratorIdentity, IdentityError> {
    match parse(certificate_der)? {
        Identity::Administrator(administrator) => Ok(administrator),
        Identity::Server(_) => Err(IdentityError::Server),
    }
}

/// What a certificate can be.
#[derive(PartialEq, Eq)]
enum Identity {
    Server(PeerIdentity),
    Administrator(AdministratorIdentity),
}

fn parse(certificate_der: &[u8]) -> Result<Identity, IdentityError> {
    let (_, certificate) = X509Certificate::from_der(certificate_der).map_err(|_| IdentityError::Unreadable)?;
    let alternative = certificate.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let uris = alternative.iter().flat_map(|extension| &extension.value.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(*uri),
        _ => None,
    });
    let mut found: Option<Identity> = None;
    for uri in uris {
        let identity = parse_uri(uri).ok_or_else(|| IdentityError::Malformed(uri.to_owned()))?;
        found = Some(match (found, identity) {
            (None, identity) => identity,
            (Some(Identity::Server(mut known)), Identity::Server(more))
                if known.forest == more.forest && known.server == more.server =>
            {
                known.services.extend(more.services);
                Identity::Server(known)
            }
            (Some(Identity::Administrator(mut known)), Identity::Administrator(more))
                if known.forest == more.forest && known.name == more.name =>
            {
                known.groups.extend(more.groups);
                Identity::Administrator(known)
            }
            (Some(_), _) => return Err(IdentityError::Ambiguous),
        });
    }
    found.ok_or(IdentityError::Absent)
}

fn parse_uri(uri: &str) -> Option<Identity> {
    let mut parts = uri.strip_prefix("postroad://")?.split('/');
    let forest = Domain::parse(parts.next()?).ok()?;
    let identity = match (parts.next()?, percent_decoded(parts.next()?)?) {
        ("server", server) => {
            let server = ServerName::parse(&server).ok()?;
            let ("service", service) = (parts.next()?, parts.next()?) else { return None };
            if service.is_empty() {
                return None;
            }
            Identity::Server(PeerIdentity { forest, server, services: BTreeSet::from_iter(service.parse::<Service>()) })
        }
        ("administrator", name) => {
            let groups = match (parts.next(), parts.next()) {
                (None, _) => BTreeSet::new(),
                (Some("role-group"), Some(group)) => BTreeSet::from_iter(percent_decoded(group)?.parse::<RoleGroup>()),
                _ => return None,
            };
            Identity::Administrator(AdministratorIdentity { forest, name: ObjectName::parse(&name).ok()?, groups })
        }
        _ => return None,
    };
    parts.next().is_none().then_some(identity)
}

/// One for the name, one for each role group.
pub(super) fn administrator_uris(forest: &Domain, name: &ObjectName, groups: &BTreeSet<RoleGroup>) -> Vec<String> {
    let own = format!("postroad://{forest}/administrator/{}", percent_encoded(name.as_str()));
    let groups = groups.iter().map(|group| format!("{own}/role-group/{}", percent_encoded(group.as_str())));
    std::iter::once(own.clone()).chain(groups).collect()
}

pub(super) fn identity_uris(forest: &Domain, identity: &NodeIdentity) -> impl Iterator<Item = String> {
    let server = percent_encoded(identity.server.as_str());
    identity.services.iter().map(move |service| format!("postroad://{forest}/server/{server}/service/{service}"))
}

/// The name by which a caller asks for a service of a server, `_transport._postroad.mail1.contoso.com`, or for any of them,
/// `_postroad.mail1.contoso.com`: no host has such a name, so no other certificate of that server is taken for it.
#[must_use]
pub fn service_name(service: Option<Service>, fqdn: &Domain) -> String {
    let host = a_labels(fqdn).unwrap_or_else(|| fqdn.clone());
    match service {
        Some(service) => format!("_{service}._postroad.{host}"),
        None => format!("_postroad.{host}"),
    }
}

/// The serial number of a certificate.
#[must_use]
pub fn serial_of(certificate_der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(certificate_der).ok()?;
    Some(certificate.raw_serial().to_vec())
}

/// When a certificate of ours was made. Only for certificates that were verified against the organization's authority.
#[must_use]
pub fn issued_at(certificate_der: &[u8]) -> Option<Timestamp> {
    validity(certificate_der).map(|(from, _)| from.plus(BACKDATE))
}

/// RFC 3986 §2.3: all but unreserved characters.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
        encoded
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

/// Subject of the authority: `CN=Postroad CA, OU=<forest>`.
pub(super) fn authority_subject(forest: &Domain) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "Postroad CA");
    name.push(DnType::OrganizationalUnitName, forest.as_str());
    name
}

/// From when until when a certificate is valid; `None` when it cannot be read.
#[must_use]
pub fn validity(certificate_der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(certificate_der).ok()?;
    let validity = certificate.validity();
    let moment = |seconds: i64| Some(Timestamp::from_millis(u64::try_from(seconds).ok()?.saturating_mul(1000)));
    Some((moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?))
}

/// When the first of the certificates in `pem` ends that is needed: a chain is as good as the first of its certificates that
/// ends. `None` where there is none.
#[must_use]
pub fn first_end(pem: &str) -> Option<Timestamp> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
    certificates.filter_map(|der| validity(&der)).map(|(_, end)| end).min()
}

/// The certificates in `pem`, each by itself.
#[must_use]
pub fn each_pem(pem: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let parts = pem.split_inclusive(END).filter_map(|part| {
        let begins = part.find("-----BEGIN CERTIFICATE-----")?;
        part.ends_with(END).then(|| format!("{}\n", &part[begins..]))
    });
    parts.collect()
}

/// Whom a certificate names as its issuer.
pub(super) fn issuer_of(certificate_der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(certificate_der).ok()?;
    Some(certificate.issuer().as_raw().to_vec())
}

/// Whom a certificate is for.
pub(super) fn subject_of(certificate_der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(certificate_der).ok()?;
    Some(certificate.subject().as_raw().to_vec())
}

/// The name in DNS of the server that a certificate is for: the first that is a host's.
#[must_use]
pub fn host_of(certificate_der: &[u8]) -> Option<Domain> {
    let (_, certificate) = X509Certificate::from_der(certificate_der).ok()?;
    let names = certificate.subject_alternative_name().ok()??.value.general_names.iter();
    let mut hosts = names.filter_map(|name| match name {
        GeneralName::DNSName(name) if !name.starts_with('_') => Domain::parse(name).ok(),
        _ => None,
    });
    hosts.next()
}

/// As whom etcd knows a service of a server.
#[must_use]
pub fn etcd_user(server: &ServerName, service: Service) -> String {
    format!("{}/{service}", server.as_str().to_lowercase())
}

/// As whom etcd knows whoever administers the organization.
pub const ETCD_ADMINISTRATOR: &str = "administrator";
/// As whom etcd knows whoever says what the others may (etcd's own name for it).
pub const ETCD_ROOT: &str = "root";

/// Forest and end of validity, out of an authority's certificate.
pub(super) fn forest_of(authority_der: &[u8]) -> Option<(Domain, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(authority_der).ok()?;
    let unit = certificate.subject().iter_organizational_unit().next()?;
    let forest = Domain::parse(unit.as_str().ok()?).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    certificate.is_ca().then_some((forest, Timestamp::from_millis(seconds.saturating_mul(1000))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_server_name_survives_its_uri(name in "\\PC{1,64}") {
            prop_assume!(ServerName::parse(&name).is_ok());
            let identity = NodeIdentity {
                server: ServerName::parse(&name).unwrap(),
                fqdn: Domain::parse("mail1.contoso.com").unwrap(),
                services: [Service::MailboxDelivery].into(),
            };
            let forest = Domain::parse("contoso.com").unwrap();
            let uri = identity_uris(&forest, &identity).next().unwrap();
            prop_assert!(uri.is_ascii());
            let Some(Identity::Server(read)) = parse_uri(&uri) else { panic!("{uri}") };
            prop_assert_eq!((read.forest, read.server.as_str()), (forest, name.as_str()));
            prop_assert_eq!(read.services, identity.services);
        }

        #[test]
        fn what_is_read_is_what_would_be_written(uri in "postroad://[a-zA-Z%0-9/._-]{0,60}|\\PC{0,80}") {
            // Nothing panics, and whatever is accepted means one server only.
            if let Some(Identity::Server(read)) = parse_uri(&uri) {
                let (forest, server) = (&read.forest, &read.server);
                let decoded = format!("postroad://{forest}/server/{server}/service/").to_lowercase();
                prop_assert!(percent_decoded(&uri).is_some_and(|text| text.to_lowercase().starts_with(&decoded)));
            }
        }
    }
}
