//! Where the services of the other servers are, and which of them failed lately.

mod health;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use directory::Presence;
use envelope::{ServerName, Timestamp};
use net::Service;
use parking_lot::Mutex;
use rpc::PeerAddress;
use topology::Organization;

pub use health::{FAILURE_MEMORY, PEER_MEMORY, PeerHealth, PeerState};

use crate::settings::default_organization_port;

/// What each server of this process knows of its peers: a link may be cut for one of them and not for another.
pub(crate) type Healths = Arc<Mutex<BTreeMap<ServerName, PeerHealth>>>;

/// Addresses announced under leases. A service that is silent is looked for where it was last, and a server that was
/// never heard of by its name and the documented port.
#[derive(Clone, Debug, Default)]
pub struct PeerBook {
    announced: HashMap<(ServerName, Service), Announced>,
}

/// What a service says of itself.
#[derive(Clone, Copy, Debug)]
struct Announced {
    address: SocketAddr,
    started: Timestamp,
}

impl PeerBook {
    /// The book with what is announced now; earlier entries stay, because a lease may lapse while a service is well.
    #[must_use]
    pub fn updated(&self, presences: &[Presence]) -> Self {
        let mut announced = self.announced.clone();
        for presence in presences {
            let Some(address) = presence.addresses.first().copied() else { continue };
            let service = (presence.server.clone(), presence.service);
            announced.insert(service, Announced { address, started: presence.started });
        }
        Self { announced }
    }

    /// Services that have started since `earlier`, or that it does not know.
    #[must_use]
    pub fn started_since(&self, earlier: &Self) -> Vec<(ServerName, Service)> {
        let is_new = |(service, now): &(&(ServerName, Service), &Announced)| {
            earlier.announced.get(*service).is_none_or(|before| before.started != now.started)
        };
        self.announced.iter().filter(is_new).map(|(service, _)| service.clone()).collect()
    }

    /// Where a service was announced last, and when it began to listen there.
    pub(crate) fn announced(&self, server: &ServerName, service: Service) -> Option<(SocketAddr, Timestamp)> {
        self.announced.get(&(server.clone(), service)).map(|announced| (announced.address, announced.started))
    }

    /// The addresses at which services of a server were announced.
    pub fn addresses(&self, server: &ServerName) -> impl Iterator<Item = IpAddr> {
        let of_server = self.announced.iter().filter(move |((named, _), _)| named == server);
        of_server.map(|(_, announced)| announced.address.ip())
    }

    /// Whether a service of that kind was ever announced, by any server.
    #[must_use]
    pub fn knows(&self, service: Service) -> bool {
        self.announced.keys().any(|(_, announced)| *announced == service)
    }

    /// Where a service of a server is to be found; `None` for servers that are not in the configuration, or whose address
    /// is known by name only and does not resolve.
    pub async fn find(
        &self,
        organization: &Organization,
        server: &ServerName,
        service: Service,
    ) -> Option<PeerAddress> {
        let fqdn = organization.server(server)?.fqdn.clone();
        let address = match self.announced.get(&(server.clone(), service)) {
            Some(announced) => announced.address,
            None => {
                let port = subscribed_port(organization, server, service).unwrap_or(default_organization_port(service));
                tokio::net::lookup_host((fqdn.ascii(), port)).await.ok()?.next()?
            }
        };
        Some(PeerAddress { server: server.clone(), fqdn, address })
    }
}

/// Where an Edge server said in the file of its subscription that a service of it listens.
fn subscribed_port(organization: &Organization, server: &ServerName, service: Service) -> Option<u16> {
    let edge = &organization.server(server)?.edge;
    match service {
        Service::Transport => edge.transport_port,
        Service::Admin => edge.sync_port,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use envelope::Revision;

    use super::*;

    fn presence(server: &str, started: u64) -> Presence {
        Presence {
            server: ServerName::parse(server).unwrap(),
            service: Service::MailboxDelivery,
            addresses: vec!["127.0.0.1:5475".parse().unwrap()],
            started: Timestamp::from_millis(started),
            version: "1".to_owned(),
            applied_revision: Revision(1),
            out_of_reach: Vec::new(),
        }
    }

    #[test]
    fn a_service_has_started_when_it_is_heard_of_first_and_after_every_restart() {
        let started = |book: &PeerBook, earlier: &PeerBook| {
            let mut names: Vec<String> =
                book.started_since(earlier).into_iter().map(|(server, _)| server.to_string()).collect();
            names.sort();
            names
        };
        let none = PeerBook::default();
        let two = none.updated(&[presence("OSLO1", 1), presence("OSLO2", 1)]);
        assert_eq!(started(&two, &none), ["OSLO1", "OSLO2"]);
        let silent = two.updated(&[presence("OSLO2", 1)]);
        assert!(started(&silent, &two).is_empty(), "a lease has lapsed");
        let back = silent.updated(&[presence("OSLO1", 1), presence("OSLO2", 1)]);
        assert!(started(&back, &silent).is_empty(), "and the service was well all the time");
        let again = back.updated(&[presence("OSLO1", 2), presence("OSLO2", 1)]);
        assert_eq!(started(&again, &back), ["OSLO1"]);
    }
}
