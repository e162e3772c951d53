//! `postroad cert`: the layout that services read, and who may read its files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use net::{KeyedCertificate, Service, parse_administrator, parse_identity};
use walk::files;

use crate::support::Desk;

const ISSUE: &str = "cert issue --ca keys --server BERLIN1 --fqdn berlin1.contoso.example --path identity";

mod walk {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// Files below `folder` with their permissions.
    pub fn files(folder: &Path) -> Vec<(String, u32)> {
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
    let expected = [("ca/cert.pem", 0o644), ("ca/key.pem", 0o600), ("organization.key", 0o600)];
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
    let mut expected = vec![("ca.pem".to_owned(), 0o644), ("organization.key".to_owned(), 0o600)];
    for service in services {
        expected.push((format!("{service}/cert.pem"), 0o644));
        expected.push((format!("{service}/key.pem"), 0o600));
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
    let expected = [("administrator/cert.pem", 0o644), ("administrator/key.pem", 0o600)];
    assert_eq!(added, expected.map(|(name, mode)| (name.to_owned(), mode)));
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
