//! The name servers of the server object, internal and external ones, as the configuration in force has them (SC-37, SC-38).

use std::net::SocketAddr;

use net::Resolver;
use net::dns::{DnsProtocol, ResolverError};
use parking_lot::Mutex;
use topology::Server;

use crate::settings::Settings;

/// Which of a server's lists is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `InternalDNSServers`.
    Internal,
    /// `ExternalDNSServers`: for connectors with `UseExternalDNSServersEnabled`.
    External,
}

/// The resolvers in use, by their name servers: at most those of the present configuration. Their caches live as long as
/// their list is in use.
#[derive(Default)]
pub struct Resolvers(Mutex<Vec<(Vec<SocketAddr>, Resolver)>>);

impl Resolvers {
    /// The server's own list; that of the process settings or of the machine where it is empty.
    ///
    /// # Errors
    /// The name servers of the machine cannot be learned.
    pub fn of(&self, settings: &Settings, local: &Server, side: Side) -> Result<Resolver, ResolverError> {
        let lists = [&local.transport.internal_dns_servers, &local.transport.external_dns_servers];
        let lists = lists.map(|list| if list.is_empty() { &settings.dns } else { list });
        let wanted = lists[usize::from(side == Side::External)];
        let mut resolvers = self.0.lock();
        resolvers.retain(|(servers, _)| lists.contains(&servers));
        if let Some((_, resolver)) = resolvers.iter().find(|(servers, _)| servers == wanted) {
            return Ok(resolver.clone());
        }
        let resolver =
            if wanted.is_empty() { Resolver::system()? } else { Resolver::with_servers(wanted, DnsProtocol::Any)? };
        resolvers.push((wanted.clone(), resolver.clone()));
        Ok(resolver)
    }
}
