//! Where a service of a server is.

use std::net::SocketAddr;

use envelope::{Domain, ServerName};

/// Where a service of a server is to be found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddress {
    /// Which server.
    pub server: ServerName,
    /// The name in its certificate.
    pub fqdn: Domain,
    /// Where it listens.
    pub address: SocketAddr,
}

impl std::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.server, self.address)
    }
}
