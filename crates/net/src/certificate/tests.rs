//! Authority, identities and files.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use ::authority::RoleGroup;
use envelope::{Domain, ObjectName, ServerName, Service, Timestamp};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

/// 2026-01-01T00:00:00Z
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

fn identity(server: &str, services: &[Service]) -> NodeIdentity {
    NodeIdentity {
        server: ServerName::parse(server).unwrap(),
        fqdn: domain("mail1.contoso.com"),
        services: services.iter().copied().collect(),
    }
}

#[test]
fn services_are_written_and_read_alike() {
    for service in Service::ALL {
        assert_eq!(service.to_string().parse(), Ok(service));
    }
    assert!("Transport".parse::<Service>().is_err());
}

#[test]
fn an_issued_identity_is_read_back_whatever_the_server_is_called() {
    let authority = CertificateAuthority::create(&domain("contoso.com"), NOW).unwrap();
    for server in ["MAIL1", "Mail/1 ?%&", "Göteborg 2"] {
        let wanted = identity(server, &[Service::Transport, Service::Admin]);
        let issued = authority.issue(&wanted, NOW).unwrap();
        let read = parse_identity(&issued.to_der().unwrap()).unwrap();
        assert_eq!((read.forest.as_str(), read.server.as_str()), ("contoso.com", server));
        assert_eq!(read.services, wanted.services);
    }
}

#[test]
fn an_administrator_is_no_server_and_a_server_no_administrator() {
    let authority = CertificateAuthority::create(&domain("contoso.com"), NOW).unwrap();
    for (name, groups) in [
        ("anna", vec![]),
        ("Anna / Müller ?%&", vec![RoleGroup::ServerManagement, RoleGroup::ViewOnlyOrganizationManagement]),
    ] {
        let groups: BTreeSet<RoleGroup> = groups.into_iter().collect();
        let issued = authority.issue_administrator(&ObjectName::parse(name).unwrap(), &groups, NOW);
        let issued = issued.unwrap().to_der().unwrap();
        let read = parse_administrator(&issued).unwrap();
        assert_eq!((read.forest.as_str(), read.name.as_str()), ("contoso.com", name));
        assert_eq!(read.groups, groups);
        assert_eq!(parse_identity(&issued), Err(IdentityError::Administrator));
    }
    let server = authority.issue(&identity("MAIL1", &Service::ALL), NOW).unwrap().to_der().unwrap();
    assert_eq!(parse_administrator(&server), Err(IdentityError::Server));
}

#[test]
fn an_issued_certificate_is_for_both_ends_and_never_outlives_its_authority() {
    let authority = CertificateAuthority::create(&domain("contoso.com"), NOW).unwrap();
    let nearly_over = NOW.plus(AUTHORITY_VALIDITY - BACKDATE);
    let issued = authority.issue(&identity("MAIL1", &[Service::Transport]), nearly_over).unwrap();
    let der = issued.to_der().unwrap();
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && usage.client_auth && !certificate.is_ca());
    let authority_end = i64::try_from(NOW.plus(AUTHORITY_VALIDITY).as_millis() / 1000).unwrap();
    assert_eq!(certificate.validity().not_after.timestamp(), authority_end);
}

#[test]
fn an_authority_is_taken_up_again_and_nothing_else_is_one() {
    let authority = CertificateAuthority::create(&domain("münchen.example"), NOW).unwrap();
    let again = CertificateAuthority::load(authority.keyed_certificate().clone()).unwrap();
    assert_eq!(
        (again.forest().as_str(), again.certificate_pem()),
        ("xn--mnchen-3ya.example", authority.certificate_pem())
    );
    assert!(again.issue(&identity("MAIL1", &[Service::Transport]), NOW).is_ok());
    let node = authority.issue(&identity("MAIL1", &[Service::Transport]), NOW).unwrap();
    assert!(matches!(CertificateAuthority::load(node), Err(CertificateError::Certificate(_))));
}

#[test]
fn what_starttls_shows_is_rsa_and_no_identity() {
    // TA-35
    let authority = CertificateAuthority::create(&domain("contoso.com"), NOW).unwrap();
    let (server, fqdn) = (ServerName::parse("MAIL1").unwrap(), domain("mail1.contoso.com"));
    let own = self_signed_for_smtp(&server, &fqdn, NOW).unwrap();
    for issued in [authority.issue_for_smtp(&server, &fqdn, NOW).unwrap(), own] {
        let der = issued.to_der().unwrap();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=MAIL1");
        assert_eq!(certificate.public_key().algorithm.algorithm.to_id_string(), "1.2.840.113549.1.1.1");
        assert_eq!(parse_identity(&der), Err(IdentityError::Absent));
    }
}

/// A self-signed certificate with these URIs: what an attacker or a later version might show.
fn with_uris(uris: &[&str]) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())).collect();
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

#[test]
fn identities_are_parsed_strictly() {
    let read = |uris: &[&str]| parse_identity(&with_uris(uris));
    let one = "postroad://contoso.com/server/M1/service/transport";
    for (second, expected) in [
        ("postroad://contoso.com/server/M2/service/admin", IdentityError::Ambiguous),
        ("postroad://fabrikam.com/server/M1/service/admin", IdentityError::Ambiguous),
    ] {
        assert_eq!(read(&[one, second]), Err(expected));
    }
    for wrong in [
        "postroad:contoso.com/server/M1/service/transport",
        "postroad://contoso.com/server/M1/service/transport/more",
        "postroad://contoso.com/server/M1/service/",
        "postroad://contoso.com/server/M1",
        "postroad://contoso.com/server//service/transport",
        "postroad://contoso.com/server/M%2/service/transport",
        "postroad://contoso.com/server/%ff/service/transport",
        "postroad:///server/M1/service/transport",
    ] {
        assert_eq!(read(&[one, wrong]), Err(IdentityError::Malformed(wrong.to_owned())));
    }
    assert_eq!(read(&["https://contoso.com/server/M1/service/transport"]), Err(IdentityError::Absent));
    assert_eq!(parse_identity(b"no certificate"), Err(IdentityError::Unreadable));
    // A service of a later version grants nothing here and breaks nothing.
    let later = read(&[one, "postroad://contoso.com/server/m1/service/web"]).unwrap();
    assert_eq!(later.services, [Service::Transport].into());
}

#[test]
fn files_are_read_back_and_keys_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("certificates/transport");
    let authority = CertificateAuthority::create(&domain("contoso.com"), NOW).unwrap();
    let first = authority.issue(&identity("MAIL1", &[Service::Transport]), NOW).unwrap();
    let second = authority.issue(&identity("MAIL1", &[Service::Transport]), NOW).unwrap();
    for issued in [&first, &second] {
        issued.save_to(&place).unwrap();
        assert_eq!(&KeyedCertificate::load_from(&place).unwrap(), issued);
    }
    let mode = std::fs::metadata(place.join("key.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 2, "nothing is left lying about");
    // A key of another certificate is noticed when it is read, not in the first handshake.
    std::fs::write(place.join("key.pem"), first.key_pem.expose()).unwrap();
    assert!(matches!(KeyedCertificate::load_from(&place), Err(CertificateError::Mismatch)));
    assert!(!format!("{first:?}").contains("PRIVATE KEY"));
}
