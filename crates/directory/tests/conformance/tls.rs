//! etcd with certificates on both sides, and with users.

use std::path::Path;

use crate::etcd_server::{EtcdServer, EtcdTlsFiles};
use directory::{EtcdSettings, EtcdTls, FOREST_DEFAULT, connect_etcd};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use zeroize::Zeroizing;

use crate::world::{founded, until};

pub(crate) struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a user of etcd, and its key.
    pub(crate) fn user(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A certificate and its key.
    pub(crate) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

pub(crate) fn server(folder: &Path, authority: &Authority) -> EtcdServer {
    let (certificate, key) = authority.issue("etcd.test");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        folder.join(name)
    };
    EtcdServer::start_tls(EtcdTlsFiles {
        certificate: file("server.crt", &certificate),
        key: file("server.key", &key),
        client_ca: file("ca.crt", &authority.pem),
    })
}

fn settings(server: &EtcdServer, ca: &Authority, identity: Option<(String, String)>) -> EtcdSettings {
    let identity = identity.map(|(certificate, key)| (certificate.into_bytes(), Zeroizing::new(key.into_bytes())));
    let tls = EtcdTls { ca: ca.pem.clone().into_bytes(), identity, domain_name: Some("etcd.test".into()) };
    EtcdSettings { tls: Some(tls), ..EtcdSettings::new(vec![server.endpoint()]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_passwords_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = server(folder.path(), &authority);
    let good = settings(&server, &authority, Some(authority.issue("mail1")));
    let directory = connect_etcd(good.clone(), FOREST_DEFAULT);
    let revision = founded(&*directory).await;

    let stranger = Authority::new();
    let refused = [
        ("no certificate", settings(&server, &authority, None)),
        ("a certificate of others", settings(&server, &authority, Some(stranger.issue("mail1")))),
        ("a server that is not believed", settings(&server, &stranger, Some(authority.issue("mail1")))),
    ];
    for (case, settings) in refused {
        assert!(connect_etcd(settings, FOREST_DEFAULT).snapshot().await.is_err(), "{case}");
    }

    let tls = good.tls.clone().unwrap();
    let (certificate, key) = tls.identity.unwrap();
    let with = etcd_client::TlsOptions::new()
        .ca_certificate(etcd_client::Certificate::from_pem(tls.ca))
        .identity(etcd_client::Identity::from_pem(certificate, key.as_slice()))
        .domain_name("etcd.test");
    let options = etcd_client::ConnectOptions::new().with_tls(with);
    let mut admin = etcd_client::Client::connect([server.endpoint()], Some(options)).await.unwrap();
    admin.user_add("root", "secret", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.auth_enable().await.unwrap();

    let user = |password: &str| Some(("root".to_owned(), Zeroizing::new(password.to_owned())));
    let known = connect_etcd(EtcdSettings { user: user("secret"), ..good.clone() }, FOREST_DEFAULT);
    assert_eq!(until(|| known.snapshot()).await.revision(), revision);
    let wrong = connect_etcd(EtcdSettings { user: user("guess"), ..good.clone() }, FOREST_DEFAULT);
    let error = wrong.snapshot().await.unwrap_err().to_string();
    assert!(!error.contains("guess"), "{error}");
    assert!(connect_etcd(good, FOREST_DEFAULT).snapshot().await.is_err());
}
