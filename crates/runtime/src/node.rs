//! What the services of a process share, and how it comes about.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authority::Revocation;
use directory::{
    Announcement, Backend, Configuration, Directory, EmbeddedSettings, EtcdSettings, EtcdTls, LastGood, Presence,
};
use envelope::{Revision, ServerName};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use net::certificate::{ADMINISTRATOR_FOLDER, ETCD_FOLDER};
use net::{InheritedSockets, KeyedCertificate, Service};
use parking_lot::Mutex;
use routing::{BuildError, RoutingTables};
use rpc::{Credentials, PeerAddress, Peers};
use telemetry::{MessageTracer, Metrics, Telemetry};
use tokio::sync::watch;
use topology::Organization;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::expiry::{AUTHORITY_FILE, Expiry};
use crate::follow::{Follower, follow_presences};
use crate::peers::{PeerBook, PeerHealth};
use crate::private::make_private;
use crate::reload::Reloads;
use crate::settings::{DirectorySettings, Settings};
use crate::twin::Twin;

/// Time between two questions to a directory that does not answer yet, at start.
const DIRECTORY_RETRY: Duration = Duration::from_secs(1);
/// Why a server takes no mail that the configuration has no more.
const LEFT: &str = "this server is not in the organization any more: it takes no mail, and sends what it holds as far as \
    it can, by the configuration before";
/// How often it is looked at when certificates end, besides whenever one changes.
const EXPIRY_LOOK: Duration = Duration::from_secs(60 * 60);
const CERTIFICATE_ADVICE: &str = "`postroad cert issue` makes the certificates of a server";
/// Version told to the other servers.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a service cannot start. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file is missing or cannot be used.
    #[error("{path}: {cause}. {advice}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// The directory can never be used with these settings.
    #[error("the directory cannot be used: {0}")]
    Directory(String),
    /// The configuration has no such server.
    #[error("{0}. Add the server to the organization file and run `postroad apply`")]
    Server(String),
    /// A port cannot be opened.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
}

/// What the services of one process share.
pub struct Node {
    /// Process settings.
    pub settings: Arc<Settings>,
    /// The service that this is.
    pub service: Service,
    /// Recipients, and everything that is not in the snapshot.
    pub directory: Arc<dyn Directory>,
    /// Connections to the other servers.
    pub peers: Arc<Peers>,
    /// Which of them failed lately, as all services of this process know it.
    pub health: PeerHealth,
    /// Certificate and authority of this service.
    pub credentials: Arc<Credentials>,
    /// Starts hops of messages.
    pub tracer: MessageTracer,
    /// Counts.
    pub metrics: Metrics,
    /// Time and new message ids.
    pub clock: Clock,
    /// When certificates are to be read anew.
    pub reloads: Reloads,
    /// What systemd opened for this process.
    pub sockets: InheritedSockets,
    tables: watch::Receiver<Arc<RoutingTables>>,
    away: watch::Receiver<bool>,
    left: watch::Receiver<bool>,
    book: watch::Receiver<Arc<PeerBook>>,
    announcements: Arc<Mutex<Vec<Announcement>>>,
    /// Whether another process says that it is this one.
    pub twin: Twin,
}

impl Node {
    /// Opens the directory, waits for a configuration that has this server, and follows it from then on. With the
    /// directory away, the last good configuration is used. `health` is that of the process: its services share it.
    ///
    /// # Errors
    /// [`NodeError`] for what waiting will not mend.
    pub async fn start(
        settings: Arc<Settings>,
        service: Service,
        telemetry: &Telemetry,
        health: PeerHealth,
    ) -> Result<Self, NodeError> {
        make_private(&settings.state).map_err(|error| {
            file_error(
                &settings.state,
                &error,
                "It is the directory for the queue and the last good configuration, and must belong to the user of the service",
            )
        })?;
        let remembered = settings.remembered();
        make_private(&remembered)
            .map_err(|error| file_error(&remembered, &error, "It must belong to the user of the service"))?;
        let credentials = Arc::new(load_credentials(&settings.identity, service)?);
        let directory = open_directory(&settings, service)?;
        let (tables, left) = first_tables(&directory, &settings.server).await?;
        let directory: Arc<dyn Directory> = directory;
        let (tables_sender, tables) = watch::channel(Arc::new(tables));
        let (left_sender, left) = watch::channel(left);
        let (away_sender, away) = watch::channel(false);
        let (book_sender, book) = watch::channel(Arc::new(PeerBook::default()));
        let announcements: Arc<Mutex<Vec<Announcement>>> = Arc::default();
        let follower = Follower {
            directory: directory.clone(),
            server: settings.server.clone(),
            metrics: telemetry.metrics(),
            tables: tables_sender,
            away: away_sender,
            left: left_sender,
            announcements: Arc::clone(&announcements),
        };
        let mut revocations = directory.watch_revocations();
        // Those that were known last count before anybody is heard.
        let revoked = revocations.next().now_or_never().flatten().unwrap_or_default();
        let heeding = Heeding {
            credentials: Arc::clone(&credentials),
            server: settings.server.clone(),
            metrics: telemetry.metrics(),
        };
        heeding.heed(tables.borrow().organization(), &revoked);
        tokio::spawn(heeding.keep_on(revocations, revoked, tables.clone()));
        tokio::spawn(follower.run());
        tokio::spawn(follow_presences(directory.clone(), book_sender, health.clone()));
        Ok(Self {
            settings,
            service,
            directory,
            peers: Arc::new(Peers::new(Arc::clone(&credentials))),
            health,
            credentials,
            tracer: telemetry.tracer(),
            metrics: telemetry.metrics(),
            clock: Clock::default(),
            reloads: Reloads::never(),
            sockets: InheritedSockets::default(),
            tables,
            away,
            left,
            book,
            announcements,
            twin: Twin::default(),
        })
    }

    /// Reads this service's certificate and the organization's authorities anew whenever `reloads` says so. Calls to others and
    /// those of others have them from then on.
    pub fn follow_reloads(&mut self, reloads: Reloads) {
        self.reloads = reloads.clone();
        let expiry = Expiry::of(&self.settings, self.service, self.metrics.clone());
        let (clock, metrics) = (self.clock, self.metrics.clone());
        expiry.look(clock.now());
        let (credentials, settings, service) =
            (Arc::clone(&self.credentials), Arc::clone(&self.settings), self.service);
        let mut reloads = reloads;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = reloads.next() => {}
                    () = tokio::time::sleep(EXPIRY_LOOK) => {}
                }
                expiry.look(clock.now());
                let read = read_papers(&settings.identity, service).map_err(|error| error.to_string());
                let renewed = read.and_then(|(own, authorities)| {
                    credentials.renew(own, authorities).map_err(|error| error.to_string())
                });
                match renewed {
                    Ok(true) => {
                        tracing::info!("certificates were renewed: calls to others and calls of others have them");
                        metrics.certificate_revoked.set(u64::from(credentials.own_is_revoked()));
                    }
                    Ok(false) => {}
                    Err(error) => tracing::error!(%error, "certificates cannot be read anew; the old ones go on"),
                }
            }
        });
    }

    /// This server.
    #[must_use]
    pub fn server(&self) -> &ServerName {
        &self.settings.server
    }

    /// The routing tables of the configuration applied last: take them once per decision (invariant 5).
    #[must_use]
    pub fn tables(&self) -> Arc<RoutingTables> {
        Arc::clone(&self.tables.borrow())
    }

    /// The tables as they change.
    #[must_use]
    pub fn watch_tables(&self) -> watch::Receiver<Arc<RoutingTables>> {
        self.tables.clone()
    }

    /// Why this server takes no mail any more, when the configuration has it no more: what it holds goes on by the last
    /// configuration that had it, as far as that leads without the servers that are still there.
    #[must_use]
    pub fn has_left(&self) -> Option<&'static str> {
        self.left.borrow().then_some(LEFT)
    }

    /// Whether the directory is away, as it changes.
    #[must_use]
    pub fn watch_directory_away(&self) -> watch::Receiver<bool> {
        self.away.clone()
    }

    /// Where a service of a server is to be found.
    pub async fn find(&self, server: &ServerName, service: Service) -> Option<PeerAddress> {
        let (book, tables) = (Arc::clone(&self.book.borrow()), self.tables());
        if let Some(address) = self.settings.peers.get(server).and_then(|services| services.get(&service)) {
            let fqdn = tables.organization().server(server)?.fqdn.clone();
            return Some(PeerAddress { server: server.clone(), fqdn, address: *address });
        }
        book.find(tables.organization(), server, service).await
    }

    /// Where a service of a server is, if it was heard of: nobody is asked for it.
    #[must_use]
    pub fn heard_of(&self, server: &ServerName, service: Service) -> Option<PeerAddress> {
        let set = self.settings.peers.get(server).and_then(|services| services.get(&service)).copied();
        let address = set.or_else(|| self.book.borrow().announced(server, service).map(|(address, _)| address))?;
        let fqdn = self.tables().organization().server(server)?.fqdn.clone();
        Some(PeerAddress { server: server.clone(), fqdn, address })
    }

    /// Where the services of all servers are, as it changes.
    #[must_use]
    pub fn watch_peers(&self) -> watch::Receiver<Arc<PeerBook>> {
        self.book.clone()
    }

    /// Whether a service of that kind has been heard of, on any server.
    #[must_use]
    pub fn knows(&self, service: Service) -> bool {
        self.settings.peers.values().any(|services| services.contains_key(&service))
            || self.book.borrow().knows(service)
    }

    /// Tells the others that this service is there, by which configuration it works, and where it listens, if it does.
    pub fn announce(&self, listening: impl Into<Option<SocketAddr>>) {
        let address = |listening: SocketAddr| {
            let ip = self.settings.advertise.unwrap_or_else(|| reachable(listening));
            SocketAddr::new(ip, listening.port())
        };
        // Held from before the revision is read: one that is applied meanwhile must find this announcement in the list.
        let mut announcements = self.announcements.lock();
        let presence = Presence {
            server: self.settings.server.clone(),
            service: self.service,
            addresses: listening.into().map(address).into_iter().collect(),
            started: self.clock.now(),
            version: VERSION.to_owned(),
            applied_revision: self.tables().revision(),
            out_of_reach: Vec::new(),
        };
        let (server, started) = (presence.server.clone(), presence.started);
        announcements.push(self.directory.announce(presence));
        // A front end keeps nothing: several processes may be one.
        if self.service != Service::FrontendTransport {
            tokio::spawn(self.twin.clone().watch(self.book.clone(), server, self.service, started));
        }
    }

    /// Tells the others which Edge servers this service cannot reach.
    pub fn announce_out_of_reach(&self, edges: &[ServerName]) {
        for announcement in self.announcements.lock().iter() {
            announcement.update(|presence| presence.out_of_reach = edges.to_vec());
        }
    }

    /// The revision applied last.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.tables.borrow().revision()
    }

    /// Opens the port on which this service serves the organization.
    ///
    /// # Errors
    /// [`NodeError::Listen`].
    pub async fn listen(&self) -> Result<net::OrganizationListener, NodeError> {
        let address = self.settings.organization_address(self.service);
        net::OrganizationListener::bind(address).await.map_err(|cause| NodeError::Listen { address, cause })
    }
}

/// Who is heard follows the configuration and the revocations.
struct Heeding {
    credentials: Arc<Credentials>,
    server: ServerName,
    metrics: Metrics,
}

impl Heeding {
    fn heed(&self, organization: &Organization, revoked: &[Revocation]) {
        let before = self.credentials.own_is_revoked();
        if let Err(error) = self.credentials.heed(&self.server, organization, revoked) {
            tracing::error!(%error, "authorities of an Edge subscription cannot be used: nobody is believed by them");
        }
        let after = self.credentials.own_is_revoked();
        self.metrics.certificate_revoked.set(u64::from(after));
        if after && !before {
            tracing::error!(
                "the certificate of this service is revoked, and no other hears it: `postroad cert issue` makes a new one"
            );
        }
    }

    async fn keep_on(
        self,
        mut revocations: BoxStream<'static, Vec<Revocation>>,
        mut revoked: Vec<Revocation>,
        mut tables: watch::Receiver<Arc<RoutingTables>>,
    ) {
        loop {
            tokio::select! {
                newer = revocations.next() => match newer {
                    Some(newer) => revoked = newer,
                    None => return,
                },
                changed = tables.changed() => if changed.is_err() { return },
            }
            self.heed(tables.borrow_and_update().organization(), &revoked);
        }
    }
}

/// The address that others can use when this one listens on all: the one by which it reaches the world.
fn reachable(listening: SocketAddr) -> std::net::IpAddr {
    if !listening.ip().is_unspecified() {
        return listening.ip();
    }
    let outward = net::outward_address();
    if outward.is_loopback() {
        tracing::warn!(
            %listening,
            "this machine has no route to the world, so no other server can reach this one: set `advertise` to the address by \
             which they do"
        );
    }
    outward
}

fn file_error(path: &Path, cause: &dyn std::fmt::Display, advice: &'static str) -> NodeError {
    NodeError::File { path: path.to_owned(), cause: cause.to_string(), advice }
}

fn load_credentials(identity: &Path, service: Service) -> Result<Credentials, NodeError> {
    let (own, authorities) = read_papers(identity, service)?;
    Ok(Credentials::new(own, authorities))
}

/// The organization's authorities: as they were given to whoever has the certificates in `folder`, or to the server.
fn authority_beside(identity: &Path, folder: &str) -> PathBuf {
    let own = identity.join(folder).join(AUTHORITY_FILE);
    if own.exists() { own } else { identity.join(AUTHORITY_FILE) }
}

/// This service's certificate, and the organization's authorities.
fn read_papers(identity: &Path, service: Service) -> Result<(KeyedCertificate, String), NodeError> {
    let path = identity.join(service.as_str());
    let authorities = read(&authority_beside(identity, service.as_str()), CERTIFICATE_ADVICE)?;
    let own = KeyedCertificate::load_from(&path).map_err(|error| file_error(&path, &error, CERTIFICATE_ADVICE))?;
    Ok((own, authorities))
}

fn open_directory(settings: &Settings, service: Service) -> Result<Arc<LastGood>, NodeError> {
    let backend = open_backend_as(settings, service.as_str())?;
    Ok(Arc::new(LastGood::new(backend, settings.last_good(service)).of_server(settings.server.clone())))
}

/// Opens the backend that the settings name, without a last good configuration: for commands that must see what is there
/// now.
///
/// # Errors
/// [`NodeError`].
pub fn open_backend(settings: &Settings) -> Result<Arc<dyn Backend>, NodeError> {
    open_backend_as(settings, ADMINISTRATOR_FOLDER)
}

/// The same as whoever has the certificates in this folder of the identity.
fn open_backend_as(settings: &Settings, folder: &str) -> Result<Arc<dyn Backend>, NodeError> {
    match &settings.directory {
        DirectorySettings::Embedded { path } => {
            let opened = directory::open_embedded(&EmbeddedSettings::new(path.clone()), settings.forest.as_str());
            opened.map_err(|error| NodeError::Directory(error.to_string()))
        }
        DirectorySettings::Etcd { endpoints, ca, identity, user, password_file } => {
            let mut etcd = EtcdSettings::new(endpoints.clone());
            let ca = ca.clone().or_else(|| {
                endpoints
                    .iter()
                    .any(|one| one.starts_with("https:"))
                    .then(|| authority_beside(&settings.identity, folder))
            });
            if let Some(ca) = ca {
                let own = settings.identity.join(folder).join(ETCD_FOLDER);
                let own = identity.clone().or_else(|| own.exists().then_some(own));
                etcd.tls = Some(etcd_tls(&ca, own.as_deref())?);
                etcd.renewal = Some(Arc::new(move || etcd_tls(&ca, own.as_deref()).ok()));
            }
            if let (Some(user), Some(path)) = (user, password_file) {
                let password = read(path, "It must hold the password of the etcd user")?;
                etcd.user = Some((user.clone(), Zeroizing::new(password.trim_end().to_owned())));
            }
            Ok(directory::connect_etcd(etcd, settings.forest.as_str()))
        }
    }
}

fn etcd_tls(ca: &Path, identity: Option<&Path>) -> Result<EtcdTls, NodeError> {
    let ca = read(ca, "It must hold the authority that certified etcd, in PEM")?.into_bytes();
    let identity = identity.map(|path| {
        let own = KeyedCertificate::load_from(path);
        let own = own.map_err(|error| file_error(path, &error, "It must hold cert.pem and key.pem for etcd"))?;
        Ok((own.cert_pem.into_bytes(), Zeroizing::new(own.key_pem.expose().as_bytes().to_vec())))
    });
    Ok(EtcdTls { ca, identity: identity.transpose()?, domain_name: None })
}

fn read(path: &Path, advice: &'static str) -> Result<String, NodeError> {
    std::fs::read_to_string(path).map_err(|error| file_error(path, &error, advice))
}

/// The tables to begin with; `true` with those of the last configuration that had this server, when it has none any more.
async fn first_tables(directory: &LastGood, server: &ServerName) -> Result<(RoutingTables, bool), NodeError> {
    let unknown = |error: BuildError| NodeError::Server(error.to_string());
    let organization = first_snapshot(directory).await;
    match (RoutingTables::build(organization, server), directory.left()) {
        (Ok(tables), _) => Ok((tables, false)),
        (Err(_), Some(before)) => {
            tracing::warn!("{LEFT}");
            Ok((RoutingTables::build(before, server).map_err(unknown)?, true))
        }
        (Err(error), None) => Err(unknown(error)),
    }
}

/// The configuration to begin with. A directory that does not answer yet is asked until it does.
async fn first_snapshot(directory: &dyn Configuration) -> Arc<Organization> {
    let mut told = false;
    loop {
        match directory.snapshot().await {
            Ok(organization) => return organization,
            Err(error) if !told => {
                tracing::warn!(%error, "no configuration yet; asking until there is one");
                told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(DIRECTORY_RETRY).await;
    }
}
