//! Where the services of the other servers are, and which of them failed lately.

mod health;

use std::collections::HashMap;
use std::net::SocketAddr;

use directory::Presence;
use envelope::ServerName;
use net::Service;
use rpc::PeerAddress;
use topology::Organization;

pub use health::{FAILURE_MEMORY, PEER_MEMORY, PeerHealth};

use crate::settings::default_organization_port;

/// Addresses announced under leases. A service that is silent is looked for where it was last, and a server that was
/// never heard of by its name and the documented port.
#[derive(Clone, Debug, Default)]
pub struct PeerBook {
    announced: HashMap<(ServerName, Service), SocketAddr>,
}

impl PeerBook {
    /// The book with what is announced now; earlier entries stay, because a lease may lapse while a service is well.
    #[must_use]
    pub fn updated(&self, presences: &[Presence]) -> Self {
        let mut announced = self.announced.clone();
        for presence in presences {
            let address = presence.addresses.first().copied();
            announced.extend(address.map(|address| ((presence.server.clone(), presence.service), address)));
        }
        Self { announced }
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
            Some(address) => *address,
            None => {
                let port = default_organization_port(service);
                tokio::net::lookup_host((fqdn.as_str(), port)).await.ok()?.next()?
            }
        };
        Some(PeerAddress { server: server.clone(), fqdn, address })
    }
}
