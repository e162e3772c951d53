//! Under which names and addresses this organization takes mail: whom mail for others must not be handed to by DNS, or it
//! would come back (RFC 5321 §5.1, ER-10).
//!
//! Known are the names of all servers, the names that their connectors give (`Fqdn`), the addresses to which Receive
//! connectors are bound, and with their ports the addresses at which the servers' services were heard of. An address that only
//! a router outside knows is not among them: the name in the MX record is.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use envelope::{Revision, Service};
use parking_lot::Mutex;
use routing::RoutingTables;
use runtime::{Node, PeerBook, Settings};
use smtp::Ourselves;
use topology::{Organization, Server};

/// Names and addresses, found once per configuration and announcement.
#[derive(Default)]
pub(crate) struct OwnNames(Mutex<Option<Known>>);

struct Known {
    revision: Revision,
    book: Arc<PeerBook>,
    ourselves: Arc<Ourselves>,
}

impl OwnNames {
    pub(crate) fn of(&self, node: &Node, tables: &RoutingTables) -> Arc<Ourselves> {
        let book = Arc::clone(&node.watch_peers().borrow());
        let mut known = self.0.lock();
        match &*known {
            Some(one) if one.revision == tables.revision() && Arc::ptr_eq(&one.book, &book) => {
                Arc::clone(&one.ourselves)
            }
            _ => {
                let ourselves = Arc::new(of(tables.organization(), &book, &node.settings));
                *known = Some(Known { revision: tables.revision(), book, ourselves: Arc::clone(&ourselves) });
                ourselves
            }
        }
    }
}

/// Those of an organization.
pub(crate) fn of(organization: &Organization, book: &PeerBook, settings: &Settings) -> Ourselves {
    let servers = organization.servers();
    let bindings = servers.iter().flat_map(|server| entrances(organization, book, server));
    let of_services = [Service::FrontendTransport, Service::Transport].map(|service| settings.service(service));
    let instead = of_services.into_iter().flat_map(|service| [service.smtp, service.submission]).flatten();
    let is_address = |entrance: &SocketAddr| !entrance.ip().is_unspecified() && entrance.port() != 0;
    let names = organization.own_names().cloned().collect();
    Ourselves { names, entrances: bindings.chain(instead).filter(is_address).collect() }
}

/// Where a server takes mail: what its Receive connectors are bound to, which for all addresses of a machine are those that we
/// know of it.
fn entrances(organization: &Organization, book: &PeerBook, server: &Server) -> HashSet<SocketAddr> {
    let connectors: Vec<_> = organization.receive_connectors_of(&server.name).collect();
    let bindings = connectors.iter().flat_map(|connector| connector.bindings.iter().copied());
    let addresses: Vec<_> = book.addresses(&server.name).collect();
    bindings
        .flat_map(|binding| match binding.ip().is_unspecified() {
            true => addresses.iter().map(|address| SocketAddr::new(*address, binding.port())).collect(),
            false => vec![binding],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use directory::Presence;
    use envelope::{ServerName, Timestamp};

    use super::*;

    #[test]
    fn what_is_bound_to_all_addresses_is_known_by_those_that_were_heard_of() {
        let text = "sites: [{name: Berlin}]\nservers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]\n\
                    acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]\n\
                    receiveConnectors: [{name: In, server: MAIL1, transportRole: FrontendTransport, bindings: ['192.0.2.9:26'], \
                    permissionGroups: [AnonymousUsers]}]";
        let organization = organization::load(text, Revision(1)).unwrap_or_else(|problems| panic!("{problems}"));
        let presence = Presence {
            server: ServerName::parse("MAIL1").unwrap(),
            service: Service::FrontendTransport,
            addresses: vec!["203.0.113.7:5717".parse().unwrap()],
            started: Timestamp::from_millis(1),
            version: "1".to_owned(),
            applied_revision: Revision(1),
            out_of_reach: Vec::new(),
        };
        let settings = "server = 'MAIL1'\nforest = 'contoso.com'\nstate = '/s'\n[directory]\nkind = 'embedded'\npath = '/d'\n\
                        [identity]\npath = '/i'\n[services.frontend-transport]\nsmtp = '127.0.0.1:2525'";
        let settings = Settings::parse(settings, "server.toml".as_ref()).unwrap();
        let book = PeerBook::default().updated(&[presence]);
        let ourselves = of(&organization.organization, &book, &settings);
        for (address, expected) in [
            ("203.0.113.7:25", true),
            ("203.0.113.7:587", true),
            ("203.0.113.7:2525", true),
            ("192.0.2.9:26", true),
            ("127.0.0.1:2525", true),
            ("203.0.113.7:26", false),
            ("203.0.113.8:25", false),
            ("0.0.0.0:25", false),
        ] {
            assert_eq!(ourselves.has(address.parse().unwrap()), expected, "{address}");
        }
    }
}
