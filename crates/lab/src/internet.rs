//! A simulated internet on loopback: DNS that knows every domain, and hosts that take mail or go wrong as described.
//!
//! ```text
//!   network 127.77.0.0:  127.77.0.53:<dns port>     DNS, UDP and TCP; from 127.77.0.54 on for those who see hosts elsewhere
//!                        127.77.1.1:<smtp port>     first host of the description
//!                        127.77.1.2:<smtp port>     second, …
//! ```
//!
//! All hosts listen on one port, so that MX delivery works with a single `Port` on the connector. What they accepted is
//! read with [`crate::deliveries`].

mod description;
mod faults;
mod host;
mod session;
#[cfg(test)]
mod tests;
mod zone;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use envelope::Domain;
use hickory_server::Server;
use net::CertificateAuthority;
use net::certificate::CertificateError;
use tokio::net::{TcpListener, UdpSocket};

pub(crate) use description::SHAPE;
pub use description::{
    Behavior, Description, DnsFailure, Extension, Fault, Host, HostTls, MailDomain, MxRecord, MxRecords, Reaction, Step,
};
pub use session::{CONTENT_OCTETS_MAX, INACTIVITY};
pub use zone::{NotADnsName, TTL_SECS};

use crate::deliveries::{Deliveries, DeliveryLog};
use host::RunningHost;
use zone::Zone;

/// Network of a lab unless it names another.
pub const NETWORK_DEFAULT: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 0);
/// SMTP port of all hosts unless the lab names another.
pub const SMTP_PORT_DEFAULT: u16 = 2500;
/// Port of the DNS server unless the lab names another.
pub const DNS_PORT_DEFAULT: u16 = 5300;
/// Fourth octet of the DNS server.
const DNS_HOST: u8 = 53;
/// Hosts of one internet: two address octets, the outer ones left out.
pub const HOSTS_MAX: usize = 250 * 250;
/// Free ports tried before giving up, when any port will do.
const PORT_ATTEMPTS: usize = 20;
/// Answers waiting for one DNS client over TCP.
const DNS_TCP_RESPONSES: usize = 32;
/// Time that a DNS client over TCP may be silent.
const DNS_TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// Where an internet lives.
#[derive(Clone, Debug)]
pub struct InternetOptions {
    /// Its first two octets count; the rest is given out.
    pub network: Ipv4Addr,
    /// Port of all hosts; 0 takes one that is free on all their addresses.
    pub smtp_port: u16,
    /// Port of the DNS server; 0 takes a free one.
    pub dns_port: u16,
    /// Where accepted messages go.
    pub deliveries: PathBuf,
    /// Names beyond the description, such as those of the organization's own servers.
    pub names: BTreeMap<Domain, Vec<IpAddr>>,
}

impl InternetOptions {
    /// On the default network with free ports, keeping messages in `deliveries`.
    #[must_use]
    pub fn new(deliveries: &Path) -> Self {
        Self {
            network: NETWORK_DEFAULT,
            smtp_port: 0,
            dns_port: 0,
            deliveries: deliveries.to_owned(),
            names: BTreeMap::new(),
        }
    }
}

/// Why a simulated internet does not start.
#[derive(Debug, thiserror::Error)]
pub enum InternetError {
    /// A socket.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The directory of accepted messages.
    #[error("cannot write to {}: {cause}", path.display())]
    Deliveries {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A certificate of a host.
    #[error("no certificate for {host}: {cause}")]
    Certificate {
        /// Which host.
        host: Domain,
        /// Why not.
        #[source]
        cause: CertificateError,
    },
    /// A name that no DNS server can know.
    #[error(transparent)]
    Name(#[from] NotADnsName),
    /// Over [`HOSTS_MAX`].
    #[error("an internet has at most {HOSTS_MAX} hosts")]
    TooManyHosts,
    /// A behavior for a host that is not there.
    #[error("there is no host {0}")]
    UnknownHost(Domain),
}

/// A running internet. It ends when dropped; [`Self::stop`] also waits for it.
pub struct Internet {
    dns: Server<Zone>,
    /// Further DNS servers.
    views: Vec<Server<Zone>>,
    dns_address: SocketAddr,
    smtp_port: u16,
    hosts: BTreeMap<Domain, RunningHost>,
    authority: Arc<CertificateAuthority>,
    deliveries: PathBuf,
}

impl Internet {
    /// Starts DNS and hosts. Certificates of hosts come from `authority`, which whoever verifies them has to trust.
    ///
    /// # Errors
    /// [`InternetError`]; nothing keeps running then.
    pub async fn start(
        description: &Description,
        options: &InternetOptions,
        authority: Arc<CertificateAuthority>,
    ) -> Result<Self, InternetError> {
        let addresses = host_addresses(description, options.network)?;
        let described = addresses.iter().map(|(name, address)| (*name, IpAddr::V4(*address)));
        let others = options.names.iter().flat_map(|(name, all)| all.iter().map(move |address| (name, *address)));
        let zone = Zone::new(description, described.chain(others))?;
        let deliveries = options.deliveries.clone();
        let log = DeliveryLog::open(&deliveries)
            .map_err(|cause| InternetError::Deliveries { path: deliveries.clone(), cause })?;
        let log = Arc::new(log);

        let (smtp_port, listeners) = listen_on_all(&addresses, options.smtp_port)?;
        let mut hosts = BTreeMap::new();
        for (host, listener) in description.hosts.iter().zip(listeners) {
            let running = RunningHost::start(host, listener, Arc::clone(&log), &authority).await?;
            hosts.insert(host.name.clone(), running);
        }
        let (dns_address, dns) = serve_dns(zone, options, DNS_HOST).await?;
        Ok(Self { dns, views: Vec::new(), dns_address, smtp_port, hosts, authority, deliveries })
    }

    /// The DNS server.
    #[must_use]
    pub fn dns_address(&self) -> SocketAddr {
        self.dns_address
    }

    /// Starts another DNS server, for somebody who finds hosts at addresses of his own; where it is.
    ///
    /// # Errors
    /// [`InternetError`]
    pub(crate) async fn add_view(
        &mut self,
        description: &Description,
        options: &InternetOptions,
        seen: &BTreeMap<Domain, Ipv4Addr>,
    ) -> Result<SocketAddr, InternetError> {
        let hosts = seen.iter().map(|(name, address)| (name, IpAddr::V4(*address)));
        let others = options.names.iter().flat_map(|(name, all)| all.iter().map(move |address| (name, *address)));
        let host = DNS_HOST + 1 + u8::try_from(self.views.len()).map_err(|_| InternetError::TooManyHosts)?;
        let (address, dns) = serve_dns(Zone::new(description, hosts.chain(others))?, options, host).await?;
        self.views.push(dns);
        Ok(address)
    }

    /// Where every host listens, in the order of names.
    #[must_use]
    pub fn hosts(&self) -> Vec<(Domain, SocketAddr)> {
        self.hosts.iter().map(|(name, host)| (name.clone(), host.address())).collect()
    }

    /// The port of every host.
    #[must_use]
    pub fn smtp_port(&self) -> u16 {
        self.smtp_port
    }

    /// Where a host listens.
    #[must_use]
    pub fn host_address(&self, host: &Domain) -> Option<SocketAddr> {
        self.hosts.get(host).map(RunningHost::address)
    }

    /// What the hosts accept.
    #[must_use]
    pub fn deliveries(&self) -> Deliveries {
        Deliveries::in_directory(&self.deliveries)
    }

    /// Lets `host` behave so from the next connection on. Sessions that it has with a host that is now dead are cut.
    ///
    /// # Errors
    /// [`InternetError::UnknownHost`], or no certificate.
    pub async fn set_behavior(&self, host: &Domain, behavior: Behavior) -> Result<(), InternetError> {
        let running = self.hosts.get(host).ok_or_else(|| InternetError::UnknownHost(host.clone()))?;
        running.set_behavior(behavior, &self.authority).await
    }

    /// Ends all sessions and gives back all ports.
    pub async fn stop(mut self) {
        for (_, host) in std::mem::take(&mut self.hosts) {
            host.stop().await;
        }
        for mut dns in std::mem::take(&mut self.views).into_iter().chain([self.dns]) {
            if let Err(error) = dns.shutdown_gracefully().await {
                tracing::warn!(%error, "a DNS server of the lab did not end well");
            }
        }
    }
}

fn host_addresses(description: &Description, network: Ipv4Addr) -> Result<Vec<(&Domain, Ipv4Addr)>, InternetError> {
    if description.hosts.len() > HOSTS_MAX {
        return Err(InternetError::TooManyHosts);
    }
    let [first, second, ..] = network.octets();
    let octet = |number: usize| u8::try_from(1 + number).expect("at most 250 of each");
    let address = |index: usize| Ipv4Addr::new(first, second, octet(index / 250), octet(index % 250));
    Ok(description.hosts.iter().enumerate().map(|(index, host)| (&host.name, address(index))).collect())
}

/// Listens on every address with the same port.
fn listen_on_all(addresses: &[(&Domain, Ipv4Addr)], port: u16) -> Result<(u16, Vec<net::Listener>), InternetError> {
    let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        let mut chosen = port;
        let listen = |(_, address): &(&Domain, Ipv4Addr)| {
            let address = SocketAddr::from((*address, chosen));
            let listener = net::listen(address).map_err(|cause| InternetError::Listen { address, cause })?;
            chosen = listener.local().port();
            Ok(listener)
        };
        let listeners: Result<Vec<_>, InternetError> = addresses.iter().map(listen).collect();
        attempts -= 1;
        match listeners {
            // A port that the system found free for the first address may be taken on another.
            Err(InternetError::Listen { cause, .. }) if cause.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            other => return Ok((chosen, other?)),
        }
    }
}

async fn serve_dns(
    zone: Zone,
    options: &InternetOptions,
    host: u8,
) -> Result<(SocketAddr, Server<Zone>), InternetError> {
    let [first, second, ..] = options.network.octets();
    let wanted = SocketAddr::from(([first, second, 0, host], options.dns_port));
    let mut attempts = if options.dns_port == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_both(wanted).await {
            Ok((tcp, udp, address)) => {
                let mut server = Server::new(zone);
                server.register_socket(udp);
                server.register_listener(tcp, DNS_TCP_TIMEOUT, DNS_TCP_RESPONSES);
                return Ok((address, server));
            }
            Err(cause) if cause.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            Err(cause) => return Err(InternetError::Listen { address: wanted, cause }),
        }
    }
}

async fn bind_both(wanted: SocketAddr) -> io::Result<(TcpListener, UdpSocket, SocketAddr)> {
    let tcp = TcpListener::bind(wanted).await?;
    let address = tcp.local_addr()?;
    Ok((tcp, UdpSocket::bind(address).await?, address))
}
