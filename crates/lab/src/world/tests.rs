//! Addresses, networks and the status file; whole worlds are started in `tests/world.rs`.

use super::*;
use crate::plan::LabFile;

const LAB: &str = "
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
sites: [{name: Berlin}, {name: Paris}]
siteLinks: [{name: Line, sites: [Berlin, Paris]}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin}
  - {name: PARIS1, fqdn: paris1.contoso.example, site: Paris}
  - {name: BERLIN 2, fqdn: berlin2.contoso.example, site: Berlin}
";

#[test]
fn servers_get_addresses_by_site_and_folders_of_their_name() {
    let lab = LabFile::parse(LAB).unwrap();
    let network = "127.80.0.1".parse().unwrap();
    let servers = layout::lay_out(&lab.organization.organization, network, Path::new("lab")).unwrap();
    let summary: Vec<_> =
        servers.iter().map(|server| (server.address.to_string(), server.folder.to_str().unwrap().to_owned())).collect();
    let expected = [
        ("127.80.100.1", "lab/servers/BERLIN1"),
        ("127.80.101.1", "lab/servers/PARIS1"),
        ("127.80.100.2", "lab/servers/server-2"),
    ];
    assert_eq!(summary, expected.map(|(address, folder)| (address.to_owned(), folder.to_owned())));
    assert_eq!(servers[0].smtp(), Some("127.80.100.1:2525".parse().unwrap()));
}

#[test]
fn a_network_belongs_to_one_lab_at_a_time() {
    let first = Network::reserve(None).unwrap();
    let second = Network::reserve(None).unwrap();
    assert_ne!(first.address(), second.address());
    let wanted = first.address();
    assert!(matches!(Network::reserve(Some(wanted)), Err(NetworkError::Taken(network)) if network == wanted));
    drop(first);
    assert_eq!(Network::reserve(Some(wanted)).unwrap().address(), wanted);
    let outside = Network::reserve(Some("192.0.2.0".parse().unwrap()));
    assert!(matches!(outside, Err(NetworkError::Unusable { .. })));
}

#[test]
fn a_missing_status_means_no_lab() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(LabStatus::read(directory.path()), Err(StatusError::NoLab(_))));
    std::fs::write(directory.path().join("lab.json"), "{}").unwrap();
    assert!(matches!(LabStatus::read(directory.path()), Err(StatusError::File { .. })));
}
