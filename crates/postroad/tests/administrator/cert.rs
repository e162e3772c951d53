//! `postroad cert`: the layout that services read, and who may read its files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use net::{KeyedCertificate, Service, parse_administrator, parse_identity};
use testkit::etcd::{EtcdCluster, EtcdTlsFiles};
use walk::files;

use crate::support::Desk;

const ISSUE: &str = "cert issue --ca keys --server BERLIN1 --fqdn berlin1.contoso.example --path identity";

mod walk {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// Files below `folder` with their permissions.
    pub(super) fn files(folder: &Path) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let name = path.strip_prefix(folder).unwrap().display().to_string();
                        found.push((name, path.metadata().unwrap().mode() & 0o777));
                    }
                }
            }
        }
        found.sort();
        found
    }
}

fn mode(desk: &Desk, name: &str) -> u32 {
    fs::metadata(desk.path(name)).unwrap().mode() & 0o777
}

#[test]
fn an_authority_is_made_once() {
    let desk = Desk::new();
    let said = desk.done("cert init --forest contoso.example --path keys");
    assert!(said.contains("postroad cert issue --ca keys"), "{said}");
    let expected = [("ca/cert.pem", 0o600), ("ca/key.pem", 0o600), ("organization.key", 0o600)];
    assert_eq!(files(&desk.path("keys")), expected.map(|(name, mode)| (name.to_owned(), mode)));
    assert_eq!((mode(&desk, "keys"), mode(&desk, "keys/ca")), (0o700, 0o700));
    let before = fs::read(desk.path("keys/ca/key.pem")).unwrap();
    assert!(desk.refused("cert init --forest contoso.example --path keys").contains("is there already"));
    assert_eq!(fs::read(desk.path("keys/ca/key.pem")).unwrap(), before);
}

#[test]
fn a_server_gets_what_its_services_read() {
    let desk = Desk::new();
    desk.done("cert init --forest contoso.example --path keys");
    desk.done(ISSUE);
    let services = ["frontend-transport", "mailbox-delivery", "mailbox-submission", "smtp", "transport"];
    let mut expected = vec![("ca.pem".to_owned(), 0o600), ("organization.key".to_owned(), 0o600)];
    for service in services {
        expected.push((format!("{service}/cert.pem"), 0o600));
        expected.push((format!("{service}/key.pem"), 0o600));
        if service != "smtp" {
            let own = ["ca.pem", "etcd/cert.pem", "etcd/key.pem"];
            expected.extend(own.map(|name| (format!("{service}/{name}"), 0o600)));
        }
    }
    expected.sort();
    assert_eq!(files(&desk.path("identity")), expected);
    assert_eq!(mode(&desk, "identity"), 0o700);
    let same = |one: &str, other: &str| fs::read(desk.path(one)).unwrap() == fs::read(desk.path(other)).unwrap();
    assert!(same("keys/ca/cert.pem", "identity/ca.pem"));
    assert!(same("keys/organization.key", "identity/organization.key"));
    let transport = KeyedCertificate::load_from(&desk.path("identity/transport")).unwrap();
    let identity = parse_identity(&transport.to_der().unwrap()).unwrap();
    assert_eq!((identity.server.as_str(), identity.forest.as_str()), ("BERLIN1", "contoso.example"));
    assert_eq!(identity.services, BTreeSet::from([Service::Transport]));
}

#[test]
fn an_administrator_gets_a_certificate_beside_those_of_a_server() {
    let desk = Desk::new();
    desk.done("cert init --forest contoso.example --path keys");
    desk.done(ISSUE);
    let before = files(&desk.path("identity"));
    let said = desk.done("cert issue --ca keys --administrator anna --path identity");
    assert!(said.contains("identity/administrator"), "{said}");
    let added: Vec<_> = files(&desk.path("identity")).into_iter().filter(|file| !before.contains(file)).collect();
    let expected = ["ca.pem", "cert.pem", "key.pem"];
    assert_eq!(added, expected.map(|name| (format!("administrator/{name}"), 0o600)));
    let issued = KeyedCertificate::load_from(&desk.path("identity/administrator")).unwrap().to_der().unwrap();
    assert_eq!(parse_administrator(&issued).unwrap().name.as_str(), "anna");
    for wrong in ["", "--server BERLIN1", "--administrator anna --server BERLIN1 --fqdn berlin1.contoso.example"] {
        desk.refused(&format!("cert issue --ca keys --path other {wrong}"));
    }
}

#[test]
fn issuing_again_renews_services_and_keeps_what_the_world_sees() {
    let desk = Desk::new();
    desk.done("cert init --forest contoso.example --path keys");
    desk.done(ISSUE);
    let read = |name: &str| fs::read(desk.path(name)).unwrap();
    let (transport, smtp) = (read("identity/transport/cert.pem"), read("identity/smtp/cert.pem"));
    let said = desk.done(&format!("{ISSUE} --service transport"));
    assert!(said.contains("smtp/ was there and is kept"), "{said}");
    assert_ne!(read("identity/transport/cert.pem"), transport);
    assert_eq!(read("identity/smtp/cert.pem"), smtp);
    desk.done("cert init --forest contoso.example --path others");
    let error = desk.refused(&ISSUE.replace("--ca keys", "--ca others"));
    assert!(error.contains("is another key than"), "{error}");
    assert!(desk.refused(&ISSUE.replace("--ca keys", "--ca keys/ca")).contains("postroad cert init"));
    assert!(desk.refused(&format!("{ISSUE} --service transprt")).contains("possible values: frontend-transport"));
}

#[expect(clippy::disallowed_methods, reason = "a certificate of a test is of now")]
#[test]
fn what_ends_is_renewed_and_nothing_else() {
    let desk = Desk::new();
    desk.done("cert init --forest contoso.example --path keys");
    desk.done(ISSUE);
    desk.done("cert issue --ca keys --administrator anna --path identity");
    let read = |name: &str| fs::read(desk.path(name)).unwrap();
    let all =
        || ["transport", "administrator", "transport/etcd", "smtp"].map(|of| read(&format!("identity/{of}/cert.pem")));
    let before = all();
    let said = desk.done("cert renew --ca keys --path identity");
    assert!(said.contains("kept") && !said.contains("renewed"), "{said}");
    assert_eq!(all(), before);
    // Eight weeks are 56 days; what STARTTLS shows has five years.
    let said = desk.done("cert renew --ca keys --path identity --within 57");
    assert_eq!(said.matches("renewed").count(), 5, "{said}");
    let after = all();
    assert!(before[..3].iter().zip(&after).all(|(one, other)| one != other) && before[3] == after[3]);
    let renewed = KeyedCertificate::load_from(&desk.path("identity/transport")).unwrap().to_der().unwrap();
    let identity = parse_identity(&renewed).unwrap();
    assert_eq!((identity.server.as_str(), identity.services), ("BERLIN1", BTreeSet::from([Service::Transport])));
    assert_eq!(net::certificate::host_of(&renewed).unwrap().as_str(), "berlin1.contoso.example");
    // One that somebody else issued is not ours to renew, whatever its end is.
    let name = "BERLIN1".parse().unwrap();
    let fqdn = "berlin1.contoso.example".parse().unwrap();
    let own = net::certificate::self_signed_for_smtp(&name, &fqdn, std::time::SystemTime::now().into()).unwrap();
    own.save_to(&desk.path("identity/smtp")).unwrap();
    let said = desk.done("cert renew --ca keys --path identity --within 36500");
    assert!(said.contains("kept: somebody else issued it"), "{said}");
    assert_eq!(read("identity/smtp/cert.pem"), own.cert_pem.as_bytes());
    desk.done("cert init --forest fabrikam.example --path others");
    let believed = read("identity/ca.pem");
    assert!(desk.refused("cert renew --ca others --path identity").contains("another organization"));
    assert_eq!(read("identity/ca.pem"), believed);
    assert!(desk.refused("cert renew --ca keys --path nowhere").contains("holds no certificate"));
}

#[test]
fn another_authority_comes_in_three_steps() {
    let desk = Desk::new();
    desk.done("cert init --forest contoso.example --path keys");
    desk.done(ISSUE);
    let renew = || desk.done("cert renew --ca keys --path identity --within 36500");
    let read = |name: &str| fs::read_to_string(desk.path(name)).unwrap();
    let believed = || read("identity/transport/ca.pem").matches("BEGIN").count();
    let issuer = || {
        let own = KeyedCertificate::load_from(&desk.path("identity/transport")).unwrap();
        let authority = KeyedCertificate::load_from(&desk.path("keys/ca")).unwrap();
        let authority = net::CertificateAuthority::load(authority).unwrap();
        authority.is_issuer_of(&own.to_der().unwrap())
    };
    let old = read("keys/ca/cert.pem");
    assert!(desk.refused("cert authority switch --ca keys").contains("begin"));
    assert!(desk.refused("cert authority end --ca keys").contains("begin"));
    desk.done("cert authority begin --ca keys");
    assert!(desk.refused("cert authority begin --ca keys").contains("under way"));
    renew();
    assert_eq!((believed(), read("keys/ca/cert.pem") == old, issuer()), (2, true, true));
    desk.done("cert authority switch --ca keys");
    assert_ne!(read("keys/ca/cert.pem"), old);
    assert!(read("keys/ca-previous/cert.pem") == old);
    renew();
    assert_eq!((believed(), issuer()), (2, true));
    // A server that comes now believes both as well.
    desk.done(&ISSUE.replace("BERLIN1", "OSLO1").replace("--path identity", "--path oslo"));
    assert_eq!(read("oslo/ca.pem").matches("BEGIN").count(), 2);
    desk.done("cert authority end --ca keys");
    renew();
    assert_eq!((believed(), desk.path("keys/ca-previous").exists()), (1, false));
    assert_eq!(read("identity/ca.pem"), read("keys/ca/cert.pem"));
}

/// etcd takes whatever its authority issued, and knows nothing of the organization's revocations.
#[test]
fn etcd_hears_a_revoked_certificate_no_more() {
    let desk = Desk::with_directory();
    desk.done("cert issue --ca keys --server ETCD --fqdn localhost --path etcd");
    let anna = "cert issue --ca keys --administrator anna --role-group OrganizationManagement --path identity";
    desk.done(anna);
    assert!(desk.done("cert crl --ca keys --out revoked.pem").contains("Revoked certificates: 0."));
    let files = EtcdTlsFiles {
        certificate: desk.path("etcd/smtp/cert.pem"),
        key: desk.path("etcd/smtp/key.pem"),
        client_ca: desk.path("etcd/ca.pem"),
    };
    let list = desk.path("revoked.pem");
    let etcd = EtcdCluster::start(1, Some(&files), &["--client-crl-file", list.to_str().unwrap()]);
    let endpoint = etcd.endpoints()[0].replace("127.0.0.1", "localhost");
    desk.write(
        "server.toml",
        &format!(
            "server = 'BERLIN1'\nforest = 'contoso.example'\nstate = 'state'\n[identity]\npath = 'identity'\n\
             [directory]\nkind = 'etcd'\nendpoints = ['{endpoint}']\nca = 'identity/ca.pem'\n"
        ),
    );
    desk.done("apply contoso.yaml --yes --settings server.toml");
    desk.done("export --settings server.toml");
    assert!(desk.refused("cert crl --ca keys --administrator ann --out revoked.pem").contains("no certificate of"));
    let said = desk.done("cert crl --ca keys --administrator anna --out revoked.pem");
    assert!(said.contains("Revoked certificates: 2."), "{said}");
    desk.refused("export --settings server.toml");
    // Who has a new one is heard, and what was revoked stays so.
    desk.done(anna);
    desk.done("export --settings server.toml");
    let said = desk.done("cert crl --ca keys --server BERLIN1 --out revoked.pem");
    assert!(said.contains("Revoked certificates: 11."), "{said}");
}
