//! Handshakes over loopback, good and bad.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::net::Ipv4Addr;
use std::time::SystemTime;

use envelope::{ServerName, Service, Severity, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::certificate::{CertificateAuthority, KeyedCertificate, NodeIdentity, PrivateKeyPem, self_signed_for_smtp};
use crate::stream::{CONNECT_TIMEOUT, Stream, connect};

/// An authority of the outside world, which signs anything.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn roots(&self) -> TrustedRoots {
        TrustedRoots::none().and_pem(&self.0.pem()).unwrap()
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> KeyedCertificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "common.contoso.com");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        KeyedCertificate { cert_pem: certificate.pem(), key_pem: PrivateKeyPem::new(key.serialize_pem()) }
    }

    fn issue_for(&self, names: &[&str]) -> KeyedCertificate {
        self.issue(|params| {
            params.subject_alt_names = CertificateParams::new(strings(names)).unwrap().subject_alt_names
        })
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn domain(text: &str) -> Domain {
    Domain::parse(text).unwrap()
}

async fn pair() -> (Stream, Stream) {
    let listener = crate::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let client = connect(listener.local(), None, CONNECT_TIMEOUT).await.unwrap();
    (client, listener.accept().await.unwrap())
}

type Handshake = Result<(Stream, PeerTls), TlsError>;

async fn shake(client: &TlsClient, server: &TlsServer, verification: &Verification) -> (Handshake, Handshake) {
    let (ours, theirs) = pair().await;
    let host = "mail.contoso.com".parse().unwrap();
    tokio::join!(client.connect(ours, &host, verification), server.accept(theirs))
}

/// Connects to a server that shows `certificate`, believing `roots`.
async fn verify(
    certificate: &KeyedCertificate,
    roots: TrustedRoots,
    verification: &Verification,
) -> Result<PeerTls, TlsError> {
    let server = TlsServer::new(certificate, ClientCertificates::Ignored).unwrap();
    let (ours, _theirs) = shake(&TlsClient::new(roots), &server, verification).await;
    ours.map(|(_, peer)| peer)
}

fn self_signed() -> KeyedCertificate {
    let now = Timestamp::from(SystemTime::now());
    self_signed_for_smtp(&ServerName::parse("MAIL1").unwrap(), &domain("mail.contoso.com"), now).unwrap()
}

#[tokio::test]
async fn encrypted_streams_carry_bytes_and_tell_who_is_there() {
    let authority = Authority::new();
    let server = TlsServer::new(&authority.issue_for(&["mail.contoso.com"]), ClientCertificates::Ignored).unwrap();
    let client = TlsClient::new(authority.roots());
    let (ours, theirs) = shake(&client, &server, &Verification::Domain(domain("mail.contoso.com"))).await;
    let ((mut ours, seen), (mut theirs, anonymous)) = (ours.unwrap(), theirs.unwrap());
    ours.write_all(b"EHLO again\r\n").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut received = String::new();
    theirs.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "EHLO again\r\n");
    assert!(ours.is_encrypted() && theirs.is_encrypted() && anonymous.certificate.is_none());
    assert_eq!((seen.version, seen.key_exchange), ("TLSv1.3", "X25519MLKEM768"));
    let certificate = seen.certificate.unwrap();
    assert_eq!((&*certificate.subject, &*certificate.issuer), ("CN=common.contoso.com", "CN=Test authority"));
    assert_eq!((certificate.trust, certificate.fingerprint.to_string().len()), (Trust::Trusted, 64));
}

#[tokio::test]
async fn opportunistic_tls_takes_any_certificate() {
    // TA-1, TA-8
    let peer = verify(&self_signed(), TrustedRoots::none(), &Verification::None).await.unwrap();
    let certificate = peer.certificate.unwrap();
    assert_eq!((certificate.trust, &*certificate.subject), (Trust::NotChecked, "CN=MAIL1"));
}

#[tokio::test]
async fn a_refused_certificate_says_what_is_wrong_with_it() {
    // TA-12, pain "LastError hides the real cause"
    let authority = Authority::new();
    let date = |year| rcgen::date_time_ymd(year, 1, 1);
    let wrong_name = |wanted: &str, presented: &str| CertificateProblem::WrongName {
        wanted: wanted.into(),
        presented: presented.into(),
    };
    for (certificate, verification, expected) in [
        (self_signed(), Verification::Chain, CertificateProblem::UnknownIssuer),
        (authority.issue(|params| params.not_after = date(2020)), Verification::Chain, CertificateProblem::Expired),
        (
            authority.issue(|params| params.not_before = date(3000)),
            Verification::Chain,
            CertificateProblem::NotYetValid,
        ),
        (
            authority.issue_for(&["a.example", "192.0.2.1"]),
            Verification::Domain(domain("contoso.com")),
            wrong_name("contoso.com", "a.example, [192.0.2.1]"),
        ),
    ] {
        let error = verify(&certificate, authority.roots(), &verification).await.unwrap_err();
        assert_eq!((error.severity(), error.status().to_string().as_str()), (Severity::Transient, "4.7.5"));
        let TlsError::Certificate { problem, certificate } = error else { panic!("{error}") };
        assert_eq!(problem, expected);
        assert!(matches!(certificate.unwrap().trust, Trust::Untrusted(_)));
    }
}

#[tokio::test]
async fn names_are_compared_as_documented() {
    let authority = Authority::new();
    let host = |text: &str| Verification::Host(text.parse().unwrap());
    let (is, under) = (|name| Verification::Domain(domain(name)), |name| Verification::Subdomains(domain(name)));
    for (names, verification, passes) in [
        // TA-10, TA-33: the certificate's wildcard covers one label.
        (vec!["mail.contoso.com"], is("mail.contoso.com"), true),
        (vec!["MAIL.Contoso.com"], is("mail.contoso.com"), true),
        (vec!["*.contoso.com"], is("mail.contoso.com"), true),
        (vec!["*.contoso.com"], is("contoso.com"), false),
        (vec!["*.contoso.com"], is("www.eu.contoso.com"), false),
        (vec!["other.example", "mail.contoso.com"], is("mail.contoso.com"), true),
        // TA-10: the connector's wildcard covers the domain and all below.
        (vec!["contoso.com"], under("contoso.com"), true),
        (vec!["a.b.contoso.com"], under("contoso.com"), true),
        (vec!["*.contoso.com"], under("contoso.com"), true),
        (vec!["notcontoso.com"], under("contoso.com"), false),
        // TA-10: the common name counts only where there is no subject alternative name.
        (vec![], is("common.contoso.com"), true),
        (vec!["other.example"], is("common.contoso.com"), false),
        // TA-21: exactly; addresses by iPAddress.
        (vec!["relay.contoso.com"], host("relay.contoso.com"), true),
        (vec!["*.contoso.com"], host("relay.contoso.com"), false),
        (vec!["192.0.2.7"], host("[192.0.2.7]"), true),
        (vec!["192.0.2.8"], host("[192.0.2.7]"), false),
        (vec![], host("[192.0.2.7]"), false),
        (vec!["2001:db8::7"], host("[2001:db8::7]"), true),
        // Internationalized names are compared in A-labels.
        (vec!["xn--mnchen-3ya.example"], is("münchen.example"), true),
    ] {
        let certificate = authority.issue_for(&names);
        let outcome = verify(&certificate, authority.roots(), &verification).await;
        assert_eq!(outcome.is_ok(), passes, "{names:?} {verification:?} {outcome:?}");
    }
}

#[tokio::test]
async fn client_certificates_are_taken_and_judged() {
    // TA-43, TA-75, TA-76
    let authority = Authority::new();
    let requested = ClientCertificates::Requested(authority.roots());
    let server = TlsServer::new(&authority.issue_for(&["mail.contoso.com"]), requested).unwrap();
    let plain = TlsClient::new(authority.roots());
    let partner = authority.issue_for(&["fabrikam.com"]);
    let server_only = authority.issue(|params| {
        params.subject_alt_names = vec![SanType::DnsName("fabrikam.com".try_into().unwrap())];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    for (shown, trusted) in [(partner, true), (server_only, true), (self_signed(), false)] {
        let client = plain.clone().with_certificate(&shown).unwrap();
        let (_, theirs) = shake(&client, &server, &Verification::Chain).await;
        let certificate = theirs.unwrap().1.certificate.unwrap();
        assert_eq!((certificate.trust == Trust::Trusted), trusted, "{certificate:?}");
        assert_eq!(certificate.vouches_for(&domain("fabrikam.com")), trusted);
        assert!(!certificate.vouches_for(&domain("contoso.com")));
    }
    let (_, theirs) = shake(&plain, &server, &Verification::Chain).await;
    assert!(theirs.unwrap().1.certificate.is_none());
}

#[tokio::test]
async fn nodes_of_one_organization_believe_each_other_and_nobody_else() {
    // Design §4
    let now = Timestamp::from(SystemTime::now());
    let organization = |forest| CertificateAuthority::create(&domain(forest), now).unwrap();
    let node = |authority: &CertificateAuthority, server| {
        let services = [Service::Transport].into();
        let identity =
            NodeIdentity { server: ServerName::parse(server).unwrap(), fqdn: domain("mail.contoso.com"), services };
        authority.issue(&identity, now).unwrap()
    };
    let (ours, others) = (organization("contoso.com"), organization("fabrikam.com"));
    let roots = TrustedRoots::none().and_pem(ours.certificate_pem()).unwrap();
    let server = TlsServer::new(&node(&ours, "MAIL1"), ClientCertificates::Requested(roots.clone())).unwrap();
    for (authority, trusted) in [(&ours, true), (&others, false)] {
        let client = TlsClient::new(roots.clone()).with_certificate(&node(authority, "MAIL2")).unwrap();
        let (connected, theirs) = shake(&client, &server, &Verification::Host(domain("mail.contoso.com").into())).await;
        assert!(connected.is_ok());
        assert_eq!(theirs.unwrap().1.certificate.unwrap().trust == Trust::Trusted, trusted);
    }
    let foreign = TlsServer::new(&node(&others, "MAIL1"), ClientCertificates::Ignored).unwrap();
    assert!(shake(&TlsClient::new(roots), &foreign, &Verification::Chain).await.0.is_err());
}

#[tokio::test]
async fn a_new_certificate_is_shown_from_the_next_handshake_on() {
    let authority = Authority::new();
    let server = TlsServer::new(&authority.issue_for(&["old.contoso.com"]), ClientCertificates::Ignored).unwrap();
    let client = TlsClient::new(authority.roots());
    let shown = async || {
        let (ours, _) = shake(&client, &server, &Verification::Chain).await;
        ours.unwrap().1.certificate.unwrap().names
    };
    assert_eq!(shown().await, [CertificateName::Dns("old.contoso.com".into())]);
    server.replace(&authority.issue_for(&["new.contoso.com"])).unwrap();
    assert_eq!(shown().await, [CertificateName::Dns("new.contoso.com".into())]);
}

#[tokio::test]
async fn the_server_learns_why_a_client_left() {
    let server = TlsServer::new(&self_signed(), ClientCertificates::Ignored).unwrap();
    let (_, theirs) = shake(&TlsClient::new(TrustedRoots::none()), &server, &Verification::Chain).await;
    // TLS 1.3: the client's alert comes after the server has finished its part of the handshake, or within it.
    let error = match theirs {
        Err(error) => error,
        Ok((mut stream, _)) => TlsError::from_io(stream.read(&mut [0; 1]).await.unwrap_err()),
    };
    assert_eq!(error.to_string(), "the peer ended TLS with the alert \"unknown ca\"");
}

#[tokio::test]
async fn a_peer_without_tls_and_a_peer_that_leaves_are_told_apart() {
    let client = TlsClient::new(TrustedRoots::none());
    let host: Host = "mail.contoso.com".parse().unwrap();
    let (ours, mut theirs) = pair().await;
    let (outcome, ()) = tokio::join!(client.connect(ours, &host, &Verification::None), async move {
        theirs.write_all(b"421 4.7.0 no TLS today, sorry\r\n").await.unwrap();
        let mut hello = [0; 1];
        theirs.read_exact(&mut hello).await.unwrap();
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, TlsError::Protocol(_)), "{error}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    let (ours, theirs) = pair().await;
    drop(theirs);
    let error = client.connect(ours, &host, &Verification::None).await.unwrap_err();
    assert!(matches!(error, TlsError::Connection(_)), "{error}");
}

#[tokio::test]
async fn tls_starts_once() {
    let server = TlsServer::new(&self_signed(), ClientCertificates::Ignored).unwrap();
    let client = TlsClient::new(TrustedRoots::none());
    let (ours, theirs) = shake(&client, &server, &Verification::None).await;
    let again = server.accept(theirs.unwrap().0).await.map(|_| ());
    assert!(matches!(again, Err(TlsError::Unusable(_))));
    let again = client.connect(ours.unwrap().0, &"a.example".parse().unwrap(), &Verification::None).await.map(|_| ());
    assert!(matches!(again, Err(TlsError::Unusable(_))));
}

#[test]
fn roots_are_certificates() {
    assert!(matches!(TrustedRoots::none().and_pem("nothing"), Err(RootsError::Empty)));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(TrustedRoots::none().and_pem(broken), Err(RootsError::Certificate(_))));
}
