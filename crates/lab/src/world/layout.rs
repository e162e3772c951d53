//! Which server gets which address, port and folder.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use envelope::{Domain, ServerName, SiteName};
use net::Service;
use serde::Serialize;
use topology::{Organization, Server, ServerRole};

use super::WorldError;

/// Sites of a lab: third octets 100 to 249.
pub(super) const SITES_MAX: usize = 150;
/// Servers of one site: fourth octets 1 to 250.
pub(super) const SERVERS_PER_SITE_MAX: usize = 250;
/// Third octet of the first site.
const FIRST_SITE: usize = 100;
/// Fourth octet of the address by which a site finds the services of the others.
const SITE_ITSELF: usize = 254;

/// Ports of a service on its server's address. Sources: the port table of the documentation (docs/rules.md, Pipeline: 25, 717, 475,
/// 587, 2525, 465), moved beyond those that need privileges and out of each other's way, and the ports of the implicit
/// connector.
const fn ports(service: Service) -> Ports {
    match service {
        Service::Transport => Ports { organization: 7525, metrics: 9525, smtp: Some(2526), submission: Some(5465) },
        Service::FrontendTransport => {
            Ports { organization: 5717, metrics: 9717, smtp: Some(2525), submission: Some(5587) }
        }
        Service::MailboxDelivery => Ports { organization: 5475, metrics: 9475, smtp: None, submission: None },
        Service::MailboxSubmission => Ports { organization: 5476, metrics: 9476, smtp: None, submission: None },
        Service::Admin => Ports { organization: 5477, metrics: 9477, smtp: None, submission: None },
    }
}

struct Ports {
    organization: u16,
    metrics: u16,
    smtp: Option<u16>,
    submission: Option<u16>,
}

/// Where one service listens. Serializes as its table in the settings file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceAddresses {
    /// The implicit connector.
    pub organization: SocketAddr,
    /// Metrics and health.
    pub metrics: SocketAddr,
    /// SMTP from the internet (Front End Transport) or from servers (Transport).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<SocketAddr>,
    /// SMTP from mail clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission: Option<SocketAddr>,
}

/// One server of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLayout {
    /// Its name in the organization.
    pub name: ServerName,
    /// Its name in DNS.
    pub fqdn: Domain,
    /// Its own loopback address.
    pub address: Ipv4Addr,
    /// Where it stands.
    pub site: SiteName,
    /// Whether it is an Edge server: outside of the forest, with a directory and an authority of its own.
    pub is_edge: bool,
    /// Its files.
    pub folder: PathBuf,
    /// What runs on it.
    pub services: BTreeMap<Service, ServiceAddresses>,
    /// Drop directories of the Foreign connectors that it is a source of.
    pub drop_directories: Vec<String>,
}

impl ServerLayout {
    /// Folder of its Drop directories, if a gateway takes mail from it.
    #[must_use]
    pub fn drop_folder(&self) -> Option<PathBuf> {
        (!self.drop_directories.is_empty()).then(|| self.folder.join("drop"))
    }

    /// Where a gateway that takes mail from it brings some back.
    #[must_use]
    pub fn pickup_folder(&self) -> Option<PathBuf> {
        (!self.drop_directories.is_empty()).then(|| self.folder.join("pickup"))
    }

    /// The settings file of its processes.
    #[must_use]
    pub fn settings_path(&self) -> PathBuf {
        self.folder.join("server.toml")
    }

    /// Certificates of its services.
    #[must_use]
    pub fn identity_path(&self) -> PathBuf {
        self.folder.join("identity")
    }

    /// What a service writes to standard error.
    #[must_use]
    pub fn log_path(&self, service: Service) -> PathBuf {
        self.folder.join(format!("{service}.log"))
    }

    /// What one process of all services writes there.
    #[must_use]
    pub fn common_log_path(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// What one process of all servers of its site writes, in the folder of a lab.
    #[must_use]
    pub fn site_log_path(&self, lab: &Path) -> PathBuf {
        let [_, _, site, _] = self.address.octets();
        let number = usize::from(site).saturating_sub(FIRST_SITE);
        let plain = plain_name(self.site.as_str());
        let name = plain.map_or_else(|| format!("site-{number}"), str::to_owned);
        lab.join("sites").join(name).with_added_extension("log")
    }

    /// Where the internet sends its mail: SMTP of Front End Transport, or of the Transport of an Edge server.
    #[must_use]
    pub fn smtp(&self) -> Option<SocketAddr> {
        let service = if self.is_edge { Service::Transport } else { Service::FrontendTransport };
        self.services.get(&service).and_then(|addresses| addresses.smtp)
    }

    /// The directory that an Edge server has of its own.
    #[must_use]
    pub(super) fn own_directory(&self) -> PathBuf {
        self.folder.join("directory.db")
    }

    /// And its key.
    #[must_use]
    pub(super) fn own_key(&self) -> PathBuf {
        self.folder.join("organization.key")
    }
}

/// What runs on a server of that role (ARCHITECTURE.md).
#[must_use]
pub const fn services_of(role: ServerRole) -> &'static [Service] {
    match role {
        ServerRole::Mailbox => {
            &[Service::FrontendTransport, Service::Transport, Service::MailboxSubmission, Service::MailboxDelivery]
        }
        ServerRole::Edge => &[Service::Transport, Service::Admin],
    }
}

/// The same, and what keeps Edge servers of its site up to date.
fn services_on<'a>(organization: &Organization, server: &'a Server) -> impl Iterator<Item = Service> + use<'a> {
    let edge_here = |other: &Server| other.role == ServerRole::Edge && other.site == server.site;
    let keeps = server.role == ServerRole::Mailbox && organization.servers().iter().any(edge_here);
    services_of(server.role).iter().copied().chain(keeps.then_some(Service::Admin))
}

/// By which address a site finds the services of the others.
pub(super) fn site_address(network: Ipv4Addr, site: usize) -> Ipv4Addr {
    let [first, second, ..] = network.octets();
    Ipv4Addr::new(first, second, octet(FIRST_SITE + site), octet(SITE_ITSELF))
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).expect("bounded by the numbers of sites and servers")
}

/// Gives every server its address: by site, in the order of the organization.
pub(super) fn lay_out(
    organization: &Organization,
    network: Ipv4Addr,
    directory: &Path,
) -> Result<Vec<ServerLayout>, WorldError> {
    let [first, second, ..] = network.octets();
    let mut in_site = vec![0; organization.sites().len()];
    let mut servers = Vec::new();
    for server in organization.servers() {
        let site = organization.sites().iter().position(|site| site.name == server.site);
        let site = site.expect("a checked organization has the sites of its servers");
        in_site[site] += 1;
        if site >= SITES_MAX || in_site[site] > SERVERS_PER_SITE_MAX {
            return Err(WorldError::TooManyServers);
        }
        let address = Ipv4Addr::new(first, second, octet(FIRST_SITE + site), octet(in_site[site]));
        let is_edge = server.role == ServerRole::Edge;
        let services = services_on(organization, server).map(|service| (service, addresses(address, service, is_edge)));
        servers.push(ServerLayout {
            name: server.name.clone(),
            fqdn: server.fqdn.clone(),
            address,
            site: server.site.clone(),
            is_edge,
            folder: directory.join("servers").join(folder_name(&server.name, servers.len())),
            services: services.collect(),
            drop_directories: drop_directories(organization, server),
        });
    }
    Ok(servers)
}

/// EN-64: named by the connector, or as it.
fn drop_directories(organization: &Organization, server: &Server) -> Vec<String> {
    let all = organization.foreign_connectors().iter();
    let own = all.filter(|connector| connector.source_transport_servers.contains(&server.name));
    own.map(|connector| connector.drop_directory.as_deref().unwrap_or(connector.name.as_str()).to_owned()).collect()
}

fn addresses(address: Ipv4Addr, service: Service, is_edge: bool) -> ServiceAddresses {
    let mut ports = ports(service);
    if is_edge && service == Service::Transport {
        // RC-17: its one connector is where the internet comes.
        (ports.smtp, ports.submission) = (self::ports(Service::FrontendTransport).smtp, None);
    }
    let at = |port| SocketAddr::from((address, port));
    ServiceAddresses {
        organization: at(ports.organization),
        metrics: at(ports.metrics),
        smtp: ports.smtp.map(at),
        submission: ports.submission.map(at),
    }
}

/// The name itself where it can be that of a folder; server names may hold anything that can be read.
fn folder_name(name: &ServerName, index: usize) -> String {
    plain_name(name.as_str()).map_or_else(|| format!("server-{index}"), str::to_owned)
}

/// A name that a file or folder can have on every system.
fn plain_name(name: &str) -> Option<&str> {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_').then_some(name)
}
