//! Links that can be cut: those between sites, and those of the perimeter. Every connection that a service makes to one of another site
//! goes through the lab, which lets it pass as long as some chain of uncut links joins the two sites, as an IP network would. So do
//! connections of an Edge server with its site and with the internet, each of which is a link of its own.
//!
//! ```text
//!   Transport BERLIN1 ──▶ Berlin's address : port of OSLO1's Transport ──▶ Transport OSLO1
//!                          │ passes? else reset
//!   <directory>/links-wanted.json ──▶ (looked at) ──▶ links-applied.json      `postroad lab cut`, `heal`
//! ```
//!
//! Each service has one listener, at all addresses of the loopback device and no other, and each site an address by which it finds them:
//! the address says who calls. Sixty sites with three hundred servers would else need thirty-five thousand listeners.
//!
//! No privileges, firewall rules or network namespaces: the processes are told by their settings (`[peers]`) where the others
//! are found; an Edge server asks a DNS server of its own, which has the hosts of the internet at addresses of the lab. The directory
//! and DNS stay reachable from everywhere, and so does the internet from servers that are no Edge servers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use envelope::{Domain, ServerName, SiteName};
use net::Service;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use topology::{Organization, ServerRole};

use super::layout::{ServerLayout, site_address};

/// Services that those of other sites call.
const CALLED: [Service; 2] = [Service::Transport, Service::MailboxDelivery];
/// The device of all loopback addresses.
const LOOPBACK: &str = "lo";
/// Connections that wait to be taken; as tokio has it.
const WAITING_MAX: u32 = 1024;
/// The internet, among the ends of links.
const INTERNET: &str = "internet";
/// Third octet of the addresses at which the first Edge server finds hosts of the internet: behind those of sites.
const FIRST_VIEW: usize = 250;
/// Edge servers whose link to the internet can be cut, and hosts that each finds so.
const VIEWS_MAX: usize = 5;
const VIEW_HOSTS_MAX: usize = 250;
/// What shall be cut, and what is.
const WANTED: &str = "links-wanted.json";
const APPLIED: &str = "links-applied.json";
/// Pause between two looks at what is wanted.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Time for a running lab to do as it is told.
const APPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a link cannot be cut or healed.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Those have no link of their own.
    #[error("no link joins {one} and {other}; links of this lab: {known}")]
    Unknown {
        /// As named.
        one: String,
        /// As named.
        other: String,
        /// Those that there are.
        known: String,
    },
    /// The lab does not answer.
    #[error("the lab in {} does not answer: is it still running?", .0.display())]
    Silent(PathBuf),
    /// A file of the lab.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// Two ends of a link, in the order of their names: sites, Edge servers, the internet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair(String, String);

impl Pair {
    fn new(one: &str, other: &str) -> Self {
        if one <= other { Self(one.to_owned(), other.to_owned()) } else { Self(other.to_owned(), one.to_owned()) }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}–{}", self.0, self.1)
    }
}

/// Pairs that links join, and those of them that are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Links {
    /// Every pair of sites with a link.
    pub pairs: BTreeSet<Pair>,
    /// Each Edge server with its site, and with the internet.
    pub perimeter: BTreeSet<Pair>,
    /// Each Edge server with each server of its site: one of them can be cut off alone.
    pub alone: BTreeSet<Pair>,
    /// Those that let nothing pass.
    pub cut: BTreeSet<Pair>,
}

impl Links {
    /// Those of an organization: a link joins each two of its sites (RT-03), an Edge server its site. Nothing is cut.
    #[must_use]
    pub fn of(organization: &Organization) -> Self {
        let mut pairs = BTreeSet::new();
        for link in organization.site_links() {
            let sites: Vec<_> = link.sites.iter().map(|site| known_as(organization, site)).collect();
            for (at, one) in sites.iter().enumerate() {
                pairs.extend(sites[at + 1..].iter().map(|other| Pair::new(one, other)));
            }
        }
        let (mut perimeter, mut alone) = (BTreeSet::new(), BTreeSet::new());
        for edge in organization.servers().iter().filter(|server| server.role == ServerRole::Edge) {
            perimeter.insert(Pair::new(edge.name.as_str(), &known_as(organization, &edge.site)));
            let of_site = organization.servers().iter().filter(|server| server.site == edge.site);
            let inside = of_site.filter(|server| server.role == ServerRole::Mailbox);
            alone.extend(inside.map(|server| Pair::new(server.name.as_str(), edge.name.as_str())));
        }
        Self { pairs, perimeter, alone, cut: BTreeSet::new() }
    }

    /// Reads those of the lab that runs in `directory`; `None` for one whose links are cut elsewhere, as in containers.
    ///
    /// # Errors
    /// [`LinkError::File`].
    pub fn read(directory: &Path) -> Result<Option<Self>, LinkError> {
        match read(&directory.join(APPLIED)) {
            Err(LinkError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Cuts what joins two sites, or joins them again. Names are compared without regard to case.
    ///
    /// # Errors
    /// [`LinkError::Unknown`].
    pub fn set(&mut self, one: &str, other: &str, cut: bool) -> Result<(), LinkError> {
        let same = |pair: &&Pair| {
            let named = |site: &str, name: &str| site.eq_ignore_ascii_case(name);
            named(&pair.0, one) && named(&pair.1, other) || named(&pair.0, other) && named(&pair.1, one)
        };
        let all = || self.pairs.iter().chain(&self.perimeter);
        let Some(pair) = all().chain(&self.alone).find(same).cloned() else {
            let known = all().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(LinkError::Unknown { one: one.to_owned(), other: other.to_owned(), known });
        };
        if cut {
            self.cut.insert(pair)
        } else {
            self.cut.remove(&pair)
        };
        Ok(())
    }

    /// Asks the lab that runs in `directory` to make its links so, and waits until they are.
    ///
    /// # Errors
    /// [`LinkError::Silent`], or a file cannot be written.
    pub async fn ask(&self, directory: &Path) -> Result<(), LinkError> {
        write(&directory.join(WANTED), self)?;
        let deadline = tokio::time::Instant::now() + APPLY_TIMEOUT;
        while Self::read(directory)?.as_ref() != Some(self) {
            if tokio::time::Instant::now() >= deadline {
                return Err(LinkError::Silent(directory.to_owned()));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    fn has_the_same_links(&self, other: &Self) -> bool {
        (&self.pairs, &self.perimeter, &self.alone) == (&other.pairs, &other.perimeter, &other.alone)
    }

    /// Whether some chain of uncut links joins two sites.
    #[must_use]
    pub fn joined(&self, from: &str, to: &str) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([from]), VecDeque::from([from]));
        while let Some(site) = next.pop_front() {
            if site == to {
                return true;
            }
            for Pair(one, other) in self.pairs.difference(&self.cut) {
                let neighbour = if one == site {
                    other
                } else if other == site {
                    one
                } else {
                    continue;
                };
                if seen.insert(neighbour) {
                    next.push_back(neighbour);
                }
            }
        }
        false
    }
}

/// What a connection needs to pass.
#[derive(Debug)]
struct Road {
    /// Some chain of links joins these sites.
    sites: (String, String),
    /// None of these links is cut.
    over: Vec<Pair>,
}

impl Road {
    fn is_open(&self, links: &Links) -> bool {
        links.joined(&self.sites.0, &self.sites.1) && self.over.iter().all(|pair| !links.cut.contains(pair))
    }
}

/// By which address each site finds the services of the others.
type Sites = BTreeMap<Ipv4Addr, SiteName>;

/// Where the connections of a listener lead over.
enum Roads {
    One(Arc<Road>),
    /// From a site, which the address says at which it came, to another one.
    BySite {
        from: Arc<Sites>,
        to: String,
    },
}

impl Roads {
    fn of(&self, stream: &TcpStream) -> Option<Arc<Road>> {
        match self {
            Self::One(road) => Some(Arc::clone(road)),
            Self::BySite { from, to } => {
                let SocketAddr::V4(at) = stream.local_addr().ok()? else { return None };
                let from = from.get(at.ip())?;
                Some(Arc::new(Road { sites: (from.to_string(), to.clone()), over: Vec::new() }))
            }
        }
    }
}

/// Listens at every address of the loopback device, and on no other device (Linux 5.7 and later let everybody).
fn on_loopback() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind_device(Some(LOOPBACK.as_bytes()))?;
    socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
    socket.listen(WAITING_MAX)
}

/// A link may write the name of a site in another case than the site itself.
fn known_as(organization: &Organization, site: &SiteName) -> String {
    let known = organization.sites().iter().find(|known| known.name == *site);
    known.map_or(site, |known| &known.name).to_string()
}

fn read(path: &Path) -> Result<Links, LinkError> {
    let text = std::fs::read(path).and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
    text.map_err(|cause| LinkError::File { path: path.to_owned(), cause })
}

/// As a whole: a reader sees the old or the new one.
fn write(path: &Path, links: &Links) -> Result<(), LinkError> {
    let draft = path.with_extension("new");
    let text = serde_json::to_vec_pretty(links).expect("names are plain data");
    let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|cause| LinkError::File { path: path.to_owned(), cause })
}

/// Where the services of one site find a service of another: `[peers]` of their settings.
pub(super) type Detours = BTreeMap<ServerName, BTreeMap<Service, SocketAddr>>;

/// Where an Edge server finds the hosts of the internet.
pub(super) type View = Vec<(Domain, Ipv4Addr)>;

/// The connections that pass through the lab.
pub(super) struct Exchange {
    links: watch::Sender<Arc<Links>>,
    directory: PathBuf,
    /// Of all services of a site.
    of_sites: BTreeMap<SiteName, Detours>,
    /// Of one server, beyond those of its site.
    of_servers: BTreeMap<ServerName, Detours>,
    views: BTreeMap<ServerName, View>,
    /// Where the internet finds an Edge server.
    entrances: BTreeMap<ServerName, SocketAddr>,
    tasks: JoinSet<()>,
}

impl Exchange {
    /// Listens for every service from every other site and over the perimeter, at the lab's own addresses. Nothing is cut. `hosts` are
    /// those of the internet.
    pub(super) async fn start(
        organization: &Organization,
        servers: &[ServerLayout],
        hosts: &[(Domain, SocketAddr)],
        address: Ipv4Addr,
        directory: &Path,
    ) -> Result<Self, LinkError> {
        let (links, _) = watch::channel(Arc::new(Links::of(organization)));
        let mut exchange = Self {
            links,
            directory: directory.to_owned(),
            of_sites: BTreeMap::new(),
            of_servers: BTreeMap::new(),
            views: BTreeMap::new(),
            entrances: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        let sites = organization.sites().iter().enumerate();
        let sites: Sites = sites.map(|(at, site)| (site_address(address, at), site.name.clone())).collect();
        let sites = Arc::new(sites);
        for server in servers.iter().filter(|server| !server.is_edge) {
            exchange.join_sites(organization, &sites, server)?;
        }
        for (number, edge) in servers.iter().filter(|server| server.is_edge).enumerate() {
            for inside in servers.iter().filter(|server| !server.is_edge) {
                exchange.join_edge(organization, edge, inside, address).await?;
            }
            if number < VIEWS_MAX && hosts.len() <= VIEW_HOSTS_MAX {
                exchange.join_internet(edge, number, hosts, address).await?;
            }
        }
        write(&directory.join(APPLIED), &exchange.links.borrow())?;
        let _old = std::fs::remove_file(directory.join(WANTED));
        exchange.tasks.spawn(obey(directory.to_owned(), exchange.links.clone()));
        Ok(exchange)
    }

    /// Carries connections from `at` to `to` as long as the road is open; where it listens.
    async fn carry(&mut self, at: SocketAddr, to: SocketAddr, road: Road) -> Result<SocketAddr, LinkError> {
        let failed = |cause| LinkError::File { path: self.directory.clone(), cause };
        let listener = TcpListener::bind(at).await.map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        self.tasks.spawn(carry(listener, to, Roads::One(Arc::new(road)), self.links.subscribe()));
        Ok(at)
    }

    /// From every site to a server of another one.
    fn join_sites(
        &mut self,
        organization: &Organization,
        sites: &Arc<Sites>,
        server: &ServerLayout,
    ) -> Result<(), LinkError> {
        let Some(to) = organization.server(&server.name).map(|server| server.site.clone()) else { return Ok(()) };
        let failed = |cause| LinkError::File { path: self.directory.clone(), cause };
        for (service, addresses) in server.services.iter().filter(|(service, _)| CALLED.contains(service)) {
            let listener = on_loopback().map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            let roads = Roads::BySite { from: Arc::clone(sites), to: known_as(organization, &to) };
            self.tasks.spawn(carry(listener, addresses.organization, roads, self.links.subscribe()));
            for (address, from) in sites.iter().filter(|(_, from)| **from != to) {
                let detour = self.of_sites.entry(from.clone()).or_default().entry(server.name.clone());
                detour.or_default().insert(*service, (*address, port).into());
            }
        }
        Ok(())
    }

    /// Between an Edge server and a server inside.
    async fn join_edge(
        &mut self,
        organization: &Organization,
        edge: &ServerLayout,
        inside: &ServerLayout,
        address: Ipv4Addr,
    ) -> Result<(), LinkError> {
        let site = |server: &ServerLayout| {
            organization.server(&server.name).map(|server| known_as(organization, &server.site)).unwrap_or_default()
        };
        let (of_edge, of_inside) = (site(edge), site(inside));
        let name = |server: &ServerLayout| server.name.to_string();
        let road = || Road {
            sites: (of_inside.clone(), of_edge.clone()),
            over: vec![Pair::new(&name(edge), &of_edge), Pair::new(&name(edge), &name(inside))],
        };
        for (service, addresses) in &edge.services {
            let at = self.carry((address, 0).into(), addresses.organization, road()).await?;
            let detour = self.of_servers.entry(inside.name.clone()).or_default().entry(edge.name.clone());
            detour.or_default().insert(*service, at);
        }
        // EN-27: it sends to no other site.
        if let Some(addresses) = inside.services.get(&Service::Transport)
            && of_inside == of_edge
        {
            let at = self.carry((address, 0).into(), addresses.organization, road()).await?;
            let detour = self.of_servers.entry(edge.name.clone()).or_default().entry(inside.name.clone());
            detour.or_default().insert(Service::Transport, at);
        }
        Ok(())
    }

    /// Between an Edge server and the internet.
    async fn join_internet(
        &mut self,
        edge: &ServerLayout,
        number: usize,
        hosts: &[(Domain, SocketAddr)],
        address: Ipv4Addr,
    ) -> Result<(), LinkError> {
        let pair = Pair::new(edge.name.as_str(), INTERNET);
        let road = || Road { sites: (String::new(), String::new()), over: vec![pair.clone()] };
        let [first, second, ..] = address.octets();
        let octet = |number: usize| u8::try_from(number).expect("bounded by whoever calls");
        let mut view = View::new();
        for (at, (host, real)) in hosts.iter().enumerate() {
            let seen = Ipv4Addr::new(first, second, octet(FIRST_VIEW + number), octet(1 + at));
            self.carry((seen, real.port()).into(), *real, road()).await?;
            view.push((host.clone(), seen));
        }
        self.views.insert(edge.name.clone(), view);
        if let Some(smtp) = edge.smtp() {
            let entrance = self.carry((address, 0).into(), smtp, road()).await?;
            self.entrances.insert(edge.name.clone(), entrance);
        }
        self.links.send_modify(|links| {
            Arc::make_mut(links).perimeter.insert(pair);
        });
        Ok(())
    }

    /// What the services of a server are to be told.
    pub(super) fn detours(&self, server: &ServerLayout, site: &SiteName) -> Detours {
        let of_site = if server.is_edge { None } else { self.of_sites.get(site).cloned() };
        let mut detours = of_site.unwrap_or_default();
        detours.extend(self.of_servers.get(&server.name).cloned().unwrap_or_default());
        detours
    }

    /// Edge servers with addresses of their own for the hosts of the internet.
    pub(super) fn views(&self) -> impl Iterator<Item = (&ServerName, &View)> {
        self.views.iter()
    }

    /// Where the internet finds an Edge server.
    pub(super) fn entrance(&self, server: &ServerName) -> Option<SocketAddr> {
        self.entrances.get(server).copied()
    }

    /// Cuts what joins two ends, or joins them again.
    pub(super) async fn set(&self, one: &str, other: &str, cut: bool) -> Result<(), LinkError> {
        let mut links = Links::clone(&self.links.borrow());
        links.set(one, other, cut)?;
        links.ask(&self.directory).await
    }
}

/// Does what others write into the file, for as long as the lab runs.
async fn obey(directory: PathBuf, links: watch::Sender<Arc<Links>>) {
    loop {
        if let Ok(wanted) = read(&directory.join(WANTED))
            && wanted.has_the_same_links(&links.borrow())
            && wanted != **links.borrow()
        {
            links.send_replace(Arc::new(wanted.clone()));
            if let Err(error) = write(&directory.join(APPLIED), &wanted) {
                tracing::warn!(%error, "cannot say which links are cut");
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Carries connections over their road.
async fn carry(listener: TcpListener, to: SocketAddr, roads: Roads, links: watch::Receiver<Arc<Links>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((from, _)) = accepted else { continue };
                let Some(road) = roads.of(&from) else { continue };
                connections.spawn(connection(from, to, road, links.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut from: TcpStream, to: SocketAddr, road: Arc<Road>, mut links: watch::Receiver<Arc<Links>>) {
    let carried = async {
        let mut to = TcpStream::connect(to).await?;
        let _slow_is_fine = (from.set_nodelay(true), to.set_nodelay(true));
        tokio::io::copy_bidirectional(&mut from, &mut to).await
    };
    let cut = links.wait_for(|links| !road.is_open(links));
    let broken = tokio::select! {
        biased;
        _ = cut => true,
        carried = carried => carried.is_err(),
    };
    if broken {
        // Without this the peer would see an orderly end.
        let _reset = from.set_zero_linger();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(pairs: &[(&str, &str)]) -> Links {
        let pairs = pairs.iter().map(|(one, other)| Pair::new(one, other)).collect();
        Links { pairs, ..Links::default() }
    }

    #[test]
    fn sites_are_joined_by_any_chain_of_uncut_links() {
        let mut links = links(&[("Berlin", "Hamburg"), ("Hamburg", "Oslo"), ("Oslo", "Bergen")]);
        assert!(links.joined("Berlin", "Bergen") && links.joined("Bergen", "Berlin"));
        links.set("bergen", "OSLO", true).unwrap();
        assert!(links.joined("Berlin", "Oslo") && !links.joined("Berlin", "Bergen") && !links.joined("Oslo", "Bergen"));
        links.set("Hamburg", "Oslo", true).unwrap();
        assert!(links.joined("Berlin", "Hamburg") && !links.joined("Berlin", "Oslo"));
        links.set("Oslo", "Bergen", false).unwrap();
        assert!(links.joined("Oslo", "Bergen") && !links.joined("Hamburg", "Bergen"));
        assert!(links.joined("Berlin", "Berlin"));
    }

    #[test]
    fn what_is_no_link_is_told_with_those_that_are() {
        let mut links = links(&[("Berlin", "Hamburg"), ("Hamburg", "Oslo")]);
        let error = links.set("Berlin", "Oslo", true).unwrap_err().to_string();
        assert_eq!(error, "no link joins Berlin and Oslo; links of this lab: Berlin–Hamburg, Hamburg–Oslo");
    }

    #[test]
    fn an_edge_server_has_links_to_its_site_to_each_server_there_and_to_the_internet() {
        let text = "sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Line, sites: [Berlin, Oslo]}]
servers:
- {name: BERLIN1, fqdn: berlin1.contoso.com, site: berlin}
- {name: OSLO1, fqdn: oslo1.contoso.com, site: Oslo}
- {name: EDGE1, fqdn: edge1.contoso.com, site: berlin, role: Edge}
";
        let organization = organization::load(text, envelope::Revision(1)).unwrap_or_else(|all| panic!("{all}"));
        let mut links = Links::of(&organization.organization);
        assert_eq!(links.perimeter, BTreeSet::from([Pair::new("Berlin", "EDGE1")]));
        assert_eq!(links.alone, BTreeSet::from([Pair::new("BERLIN1", "EDGE1")]));
        let over = |pairs: &[(&str, &str)]| pairs.iter().map(|(one, other)| Pair::new(one, other)).collect();
        let from_oslo = Road { sites: ("Oslo".into(), "Berlin".into()), over: over(&[("EDGE1", "Berlin")]) };
        let from_berlin = Road {
            sites: ("Berlin".into(), "Berlin".into()),
            over: over(&[("Berlin", "EDGE1"), ("BERLIN1", "EDGE1")]),
        };
        assert!(from_oslo.is_open(&links) && from_berlin.is_open(&links));
        links.set("edge1", "BERLIN1", true).unwrap();
        assert!(from_oslo.is_open(&links) && !from_berlin.is_open(&links));
        links.set("BERLIN1", "EDGE1", false).unwrap();
        links.set("Berlin", "Oslo", true).unwrap();
        assert!(!from_oslo.is_open(&links) && from_berlin.is_open(&links));
        links.set("Berlin", "EDGE1", true).unwrap();
        assert!(!from_berlin.is_open(&links));
    }
}
