//! A whole organization on one machine: every service its own process (or every server, or every site, as the lab file says), every
//! server on its own loopback address, the simulated internet and the trace receiver around them.
//!
//! ```text
//!   <directory>/lab.json                          what runs where (LabStatus), for other commands
//!              /directory.db, organization.key    the configuration, its secrets' key
//!              /ca, /internet-ca                  authorities of the organization and of the internet's hosts
//!              /deliveries, /traces               what came out
//!              /servers/BERLIN1/server.toml       process settings
//!                              /identity, /state, <service>.log or server.log
//!              /sites/Berlin.log                where a site is one process
//! ```
//!
//! Connections between sites, and those of an Edge server, go through the lab itself, which can cut them ([`Links`]).
//!
//! Addresses within the lab's network 127.n.0.0: DNS at 127.n.0.53, hosts of the internet from 127.n.1.1, the servers of
//! the first site from 127.n.100.1, of the second from 127.n.101.1. Ports are the same on every server. A lab started
//! again in its directory goes on with its spools and configuration, to which the lab file is applied.
//!
//! Not here: what the processes do, and what a test expects of them.

mod authorities;
mod backend;
mod edge;
mod layout;
mod limits;
mod links;
mod network;
mod prepare;
mod process;
mod settings;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use envelope::{Domain, ServerName};
use net::Service;
use net::certificate::CertificateError;
use organization::FileProblems;

pub use layout::{ServerLayout, ServiceAddresses, services_of};
pub use limits::TooLarge;
pub use links::{LinkError, Links, Pair};
pub use network::{NETWORK_RESERVATION_PORT, NetworkError};
pub use process::{NotReady, STOP_TIMEOUT};
pub use settings::queue_segment;
pub use status::{LabStatus, ProcessStatus, ServerStatus, StatusError};

use crate::deliveries::Deliveries;
use crate::internet::{Internet, InternetError, InternetOptions};
use crate::plan::{LabFile, Processes};
use crate::traces::{ReceiverError, TraceReceiver, TraceStore};
use backend::Backend;
use limits::{Needs, Room};
use links::Exchange;
use network::Network;
use process::Process;

/// Time for all processes together to become ready, unless the options say otherwise.
pub const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// And so much more for each service: a machine starts so many of them after each other.
const READY_TIMEOUT_PER_SERVICE: Duration = Duration::from_millis(250);

/// How to start a world.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Everything is kept here.
    pub directory: PathBuf,
    /// The folder of the lab file: `passwordFile` is relative to it.
    pub folder: PathBuf,
    /// What runs the services: called as `program <service> --settings <file>`.
    pub program: PathBuf,
    /// The configuration is in an etcd started for the lab, not in a SQLite file.
    pub etcd: bool,
    /// Levels by module for the processes (`RUST_LOG`); `None` for theirs.
    pub log_filter: Option<String>,
    /// Further variables in the environment of the processes.
    pub environment: BTreeMap<OsString, OsString>,
    /// Time for all processes together to become ready, and a quarter of a second more for each service that they run.
    pub ready_timeout: Duration,
    /// What a process runs.
    pub processes: Processes,
    /// Who is told how far the start is.
    pub told: Onlooker,
}

/// How far a start is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The configuration is brought into the directory.
    Directory,
    /// Certificates and settings of servers are made.
    Servers {
        /// So many are there.
        done: usize,
        /// Of so many.
        all: usize,
    },
    /// Processes were started, and are waited for.
    Processes {
        /// So many are ready, in the order in which they were started.
        ready: usize,
        /// Of so many.
        all: usize,
    },
}

/// Is told how far a start is.
#[derive(Clone, Default)]
pub struct Onlooker(Option<Arc<dyn Fn(Stage) + Send + Sync>>);

impl Onlooker {
    /// Each stage goes there.
    pub fn to(there: impl Fn(Stage) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(there)))
    }

    fn tell(&self, stage: Stage) {
        if let Some(there) = &self.0 {
            there(stage);
        }
    }
}

impl std::fmt::Debug for Onlooker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Onlooker")
    }
}

impl WorldOptions {
    /// The services of `program`, in `directory`.
    #[must_use]
    pub fn new(directory: &Path, folder: &Path, program: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            folder: folder.to_owned(),
            program: program.to_owned(),
            etcd: false,
            log_filter: None,
            environment: BTreeMap::new(),
            ready_timeout: READY_TIMEOUT,
            processes: Processes::Service,
            told: Onlooker::default(),
        }
    }
}

/// Why a world does not start, or a part of it does not.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// No network to live in.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// More sites, or servers in one, than there are addresses.
    #[error("a lab has at most {} sites with {} servers each", layout::SITES_MAX, layout::SERVERS_PER_SITE_MAX)]
    TooManyServers,
    /// More than this machine lets it have.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The simulated internet.
    #[error(transparent)]
    Internet(#[from] InternetError),
    /// The trace receiver.
    #[error(transparent)]
    Traces(#[from] ReceiverError),
    /// A file of the lab.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A certificate of the organization.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key of the organization's secrets.
    #[error(transparent)]
    Key(#[from] directory::SealError),
    /// The organization file with its secrets.
    #[error(transparent)]
    Organization(#[from] FileProblems),
    /// The directory.
    #[error(transparent)]
    Read(#[from] directory::ReadError),
    /// The configuration was not taken.
    #[error(transparent)]
    Commit(#[from] directory::CommitError),
    /// A site link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A process does not start.
    #[error("cannot start {}: {cause}", program.display())]
    Spawn {
        /// What was to be started.
        program: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A process does not become ready.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The directory of this lab is a file, which cannot be away.
    #[error("the directory of this lab is no etcd")]
    NoEtcd,
    /// No such process in this lab.
    #[error("{service} does not run on {server}")]
    Unknown {
        /// On which server.
        server: ServerName,
        /// Which service.
        service: Service,
    },
}

/// A running world. Its processes are killed when it is dropped; [`Self::stop`] ends them in order.
pub struct World {
    options: WorldOptions,
    /// Held as long as the world: no other lab gets its addresses.
    network: Network,
    servers: Vec<ServerLayout>,
    processes: BTreeMap<(ServerName, Service), Process>,
    internet: Internet,
    traces: TraceReceiver,
    /// What joins the sites, and the perimeter.
    exchange: Exchange,
    /// Ends with the world, after the processes.
    backend: Backend,
}

impl World {
    /// Starts everything and waits until every process says that it is ready.
    ///
    /// # Errors
    /// [`WorldError`]; nothing keeps running then.
    pub async fn start(lab: &LabFile, mut options: WorldOptions) -> Result<Self, WorldError> {
        options.processes = lab.settings.processes;
        let network = Network::reserve(lab.settings.network)?;
        let organization = &lab.organization.organization;
        let servers = layout::lay_out(organization, network.address(), &options.directory)?;
        let needs = |processes| Needs::of(&servers, processes, options.etcd, limits::processors());
        let needed = needs(options.processes);
        needed.fit(Room::here(&needed), needs(Processes::Site))?;
        let authorities = authorities::authorities(&options.directory, &lab.forest())?;
        let mut internet = start_internet(lab, &options, &network, &servers, authorities.internet).await?;
        let traces_address = SocketAddr::new(network.address().into(), 0);
        let traces = TraceReceiver::start(traces_address, &options.directory.join("traces")).await?;
        let backend = Backend::start(options.etcd, network.address(), &options.directory).await?;
        options.told.tell(Stage::Directory);
        prepare::directory(lab, &options, &backend, &servers, &authorities.organization).await?;
        prepare::servers(&servers, &authorities.organization, &options.told)?;
        let hosts = internet.hosts();
        let exchange = Exchange::start(organization, &servers, &hosts, network.address(), &options.directory).await?;
        let dns = views(lab, &mut internet, &network, &servers, &exchange).await?;
        for server in &servers {
            let around = settings::Around {
                forest: &lab.forest(),
                backend: &backend,
                dns: dns.get(&server.name).copied().unwrap_or(internet.dns_address()),
                traces: &traces,
                processes: options.processes,
            };
            let detours = organization.server(&server.name).map(|known| exchange.detours(server, &known.site));
            let text = settings::settings(server, &options.directory, &around, &detours.unwrap_or_default());
            write(&server.settings_path(), text.as_bytes())?;
            prepare::gateways(server)?;
        }
        let mut world =
            Self { options, network, servers, processes: BTreeMap::new(), internet, traces, exchange, backend };
        if let Err(error) = world.start_processes().await {
            world.stop().await;
            return Err(error);
        }
        Ok(world)
    }

    async fn start_processes(&mut self) -> Result<(), WorldError> {
        let all = self.servers.iter();
        let all = all.flat_map(|server| server.services.keys().map(|service| (server.name.clone(), *service)));
        // One of each process stands for all that it runs.
        let wanted: Vec<_> =
            all.filter(|(server, service)| self.key(server, *service) == (server.clone(), *service)).collect();
        self.start_services(&wanted).await
    }

    fn spawn(&mut self, server: &ServerName, service: Service) -> Result<(), WorldError> {
        let unknown = || WorldError::Unknown { server: server.clone(), service };
        let layout = self.server(server).ok_or_else(unknown)?;
        if !layout.services.contains_key(&service) {
            return Err(unknown());
        }
        let process = match self.options.processes {
            Processes::Service => Process::spawn(&[layout], Some(service), layout.log_path(service), &self.options)?,
            Processes::Site if !layout.is_edge => {
                let of_site: Vec<_> = self.of_site(layout).collect();
                Process::spawn(&of_site, None, layout.site_log_path(&self.options.directory), &self.options)?
            }
            Processes::Server | Processes::Site => {
                Process::spawn(&[layout], None, layout.common_log_path(), &self.options)?
            }
        };
        let key = self.key(server, service);
        self.processes.insert(key, process);
        Ok(())
    }

    /// The servers that share a process with this one where that is a site's: an Edge server has one of its own.
    fn of_site<'a>(&'a self, server: &'a ServerLayout) -> impl Iterator<Item = &'a ServerLayout> {
        self.servers.iter().filter(|other| !other.is_edge && other.site == server.site)
    }

    /// Starts services again that were stopped or killed, and waits until all are ready.
    ///
    /// # Errors
    /// [`WorldError`].
    pub async fn start_services(&mut self, wanted: &[(ServerName, Service)]) -> Result<(), WorldError> {
        self.spawn_services(wanted)?;
        self.options.told.tell(Stage::Processes { ready: 0, all: wanted.len() });
        let mut services = 0;
        for (server, service) in wanted {
            services += self.process(server, *service)?.runs().len();
        }
        let more = READY_TIMEOUT_PER_SERVICE.saturating_mul(u32::try_from(services).unwrap_or(u32::MAX));
        let deadline = tokio::time::Instant::now() + self.options.ready_timeout + more;
        for (at, (server, service)) in wanted.iter().enumerate() {
            self.process(server, *service)?.wait_until_ready(deadline).await?;
            self.options.told.tell(Stage::Processes { ready: at + 1, all: wanted.len() });
        }
        Ok(())
    }

    /// Starts services without waiting for what becomes of them.
    ///
    /// # Errors
    /// [`WorldError`].
    pub fn spawn_services(&mut self, wanted: &[(ServerName, Service)]) -> Result<(), WorldError> {
        for (server, service) in wanted {
            self.spawn(server, *service)?;
        }
        self.write_status()
    }

    /// Ends a service, or the process of its server or site, with SIGTERM, after [`STOP_TIMEOUT`] with SIGKILL.
    ///
    /// # Errors
    /// [`WorldError::Unknown`], or `lab.json` cannot be written.
    pub async fn stop_service(&mut self, server: &ServerName, service: Service) -> Result<(), WorldError> {
        let _ended = self.process(server, service)?.stop(STOP_TIMEOUT).await;
        let key = self.key(server, service);
        self.processes.remove(&key);
        self.write_status()
    }

    /// Kills a service, or the process of its server or site, with SIGKILL, as a power loss of one process would.
    ///
    /// # Errors
    /// [`WorldError::Unknown`], or `lab.json` cannot be written.
    pub async fn kill_service(&mut self, server: &ServerName, service: Service) -> Result<(), WorldError> {
        let _ended = self.process(server, service)?.kill().await;
        let key = self.key(server, service);
        self.processes.remove(&key);
        self.write_status()
    }

    /// Cuts the link between two sites, or one of the perimeter: connections over it end, and none is made until [`Self::heal`].
    ///
    /// # Errors
    /// [`LinkError`], when no link joins them.
    pub async fn cut(&self, one: &str, other: &str) -> Result<(), WorldError> {
        Ok(self.exchange.set(one, other, true).await?)
    }

    /// Joins two ends again.
    ///
    /// # Errors
    /// As [`Self::cut`].
    pub async fn heal(&self, one: &str, other: &str) -> Result<(), WorldError> {
        Ok(self.exchange.set(one, other, false).await?)
    }

    /// Kills the lab's etcd: the directory is away from then on.
    ///
    /// # Errors
    /// [`WorldError::NoEtcd`], or it cannot be killed.
    pub async fn kill_etcd(&mut self) -> Result<(), WorldError> {
        self.etcd()?.kill().await
    }

    /// Kills one of the three members of the lab's etcd: the directory goes on.
    ///
    /// # Errors
    /// [`WorldError::NoEtcd`], or it cannot be killed.
    pub async fn kill_etcd_member(&mut self, at: usize) -> Result<(), WorldError> {
        self.etcd()?.kill_member(at).await
    }

    /// Starts those members of the lab's etcd that are away, with the data that they had, and waits until they answer.
    ///
    /// # Errors
    /// [`WorldError::NoEtcd`], or it does not start.
    pub async fn start_etcd(&mut self) -> Result<(), WorldError> {
        self.etcd()?.start().await
    }

    /// Where the first member of the lab's etcd answers, if the lab has one.
    #[must_use]
    pub fn etcd_endpoint(&self) -> Option<String> {
        match &self.backend {
            Backend::Etcd(etcd) => etcd.endpoints().into_iter().next(),
            Backend::Embedded { .. } => None,
        }
    }

    fn etcd(&mut self) -> Result<&mut backend::Etcd, WorldError> {
        match &mut self.backend {
            Backend::Etcd(etcd) => Ok(etcd),
            Backend::Embedded { .. } => Err(WorldError::NoEtcd),
        }
    }

    fn process(&mut self, server: &ServerName, service: Service) -> Result<&mut Process, WorldError> {
        let unknown = || WorldError::Unknown { server: server.clone(), service };
        let key = self.key(server, service);
        self.processes.get_mut(&key).ok_or_else(unknown)
    }

    /// Whose process runs a service: its own, or that of the first service of its server, or of the first server of its site.
    fn key(&self, server: &ServerName, service: Service) -> (ServerName, Service) {
        let Some(layout) = self.server(server) else { return (server.clone(), service) };
        let leader = match self.options.processes {
            Processes::Service => return (server.clone(), service),
            Processes::Site if !layout.is_edge => self.of_site(layout).next().unwrap_or(layout),
            Processes::Server | Processes::Site => layout,
        };
        (leader.name.clone(), leader.services.keys().next().copied().unwrap_or(service))
    }

    /// What runs where.
    #[must_use]
    pub fn status(&self) -> LabStatus {
        status::of(self)
    }

    /// Addresses and files of a server.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<&ServerLayout> {
        self.servers.iter().find(|server| server.name == *name)
    }

    /// The simulated internet.
    #[must_use]
    pub fn internet(&self) -> &Internet {
        &self.internet
    }

    /// What the internet's hosts accepted.
    #[must_use]
    pub fn deliveries(&self) -> Deliveries {
        self.internet.deliveries()
    }

    /// The traces of messages.
    #[must_use]
    pub fn traces(&self) -> TraceStore {
        TraceStore::in_directory(&self.options.directory.join("traces"))
    }

    fn write_status(&self) -> Result<(), WorldError> {
        self.status().write(&self.options.directory).map_err(|(path, cause)| WorldError::File { path, cause })
    }

    /// Ends all processes, each with SIGTERM and after [`STOP_TIMEOUT`] with SIGKILL, then everything else. Files stay.
    pub async fn stop(mut self) {
        let stopping = std::mem::take(&mut self.processes).into_values().map(|mut process| async move {
            // Whatever came of it, the process is gone: dropping it kills it.
            let _ended = process.stop(STOP_TIMEOUT).await;
        });
        stopping.collect::<tokio::task::JoinSet<()>>().join_all().await;
        LabStatus::remove(&self.options.directory);
        self.internet.stop().await;
        self.traces.stop().await;
    }
}

/// DNS servers of those who find the internet at addresses of their own.
async fn views(
    lab: &LabFile,
    internet: &mut Internet,
    network: &Network,
    servers: &[ServerLayout],
    exchange: &Exchange,
) -> Result<BTreeMap<ServerName, SocketAddr>, WorldError> {
    let mut dns = BTreeMap::new();
    for (server, view) in exchange.views() {
        let seen = view.iter().map(|(host, address)| (host.clone(), *address)).collect();
        let options = InternetOptions { names: names(servers), ..internet_options(lab, network, Path::new("")) };
        dns.insert(server.clone(), internet.add_view(&lab.internet, &options, &seen).await?);
    }
    Ok(dns)
}

fn names(servers: &[ServerLayout]) -> BTreeMap<Domain, Vec<std::net::IpAddr>> {
    servers.iter().map(|server| (server.fqdn.clone(), vec![server.address.into()])).collect()
}

async fn start_internet(
    lab: &LabFile,
    options: &WorldOptions,
    network: &Network,
    servers: &[ServerLayout],
    authority: net::CertificateAuthority,
) -> Result<Internet, WorldError> {
    let internet = InternetOptions { names: names(servers), ..internet_options(lab, network, &options.directory) };
    Ok(Internet::start(&lab.internet, &internet, Arc::new(authority)).await?)
}

fn internet_options(lab: &LabFile, network: &Network, directory: &Path) -> InternetOptions {
    InternetOptions {
        network: network.address(),
        smtp_port: lab.settings.smtp_port,
        dns_port: lab.settings.dns_port,
        deliveries: directory.join("deliveries"),
        names: BTreeMap::new(),
    }
}

/// Writes a file and the folders above it.
fn write(path: &Path, content: &[u8]) -> Result<(), WorldError> {
    let make = |folder: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let write = || {
        path.parent().map_or(Ok(()), make)?;
        let mut options = std::fs::File::options();
        options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(content)
    };
    write().map_err(|cause| WorldError::File { path: path.to_owned(), cause })
}
