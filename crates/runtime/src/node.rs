//! What the services of a process share, and how it comes about.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authority::Revocation;
use directory::{
    Announcement, Backend, Configuration, Directory, EmbeddedSettings, EtcdSettings, EtcdTls, LastGood, Presence,
    Sealer,
};
use envelope::{Revision, ServerName};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use net::{KeyedCertificate, Service};
use parking_lot::Mutex;
use routing::RoutingTables;
use rpc::{Credentials, PeerAddress, Peers};
use telemetry::{MessageTracer, Metrics, Telemetry};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::follow::{Follower, follow_presences};
use crate::peers::{PeerBook, PeerHealth};
use crate::private::make_private;
use crate::reload::Reloads;
use crate::settings::{DirectorySettings, Settings};
use crate::twin::Twin;

/// Time between two questions to a directory that does not answer yet, at start.
const DIRECTORY_RETRY: Duration = Duration::from_secs(1);
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
    /// Opens the organization's secrets.
    pub sealer: Sealer,
    /// Starts hops of messages.
    pub tracer: MessageTracer,
    /// Counts.
    pub metrics: Metrics,
    /// Time and new message ids.
    pub clock: Clock,
    /// When certificates are to be read anew.
    pub reloads: Reloads,
    tables: watch::Receiver<Arc<RoutingTables>>,
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
        let credentials = Arc::new(load_credentials(&settings.identity, service)?);
        let sealer = Sealer::load(&settings.organization_key).map_err(|error| {
            file_error(
                &settings.organization_key,
                &error,
                "`postroad cert init` makes it; every server needs the same one",
            )
        })?;
        let directory = open_directory(&settings, service)?;
        let organization = first_snapshot(directory.as_ref()).await;
        let tables = RoutingTables::build(organization, &settings.server)
            .map_err(|error| NodeError::Server(error.to_string()))?;
        let (tables_sender, tables) = watch::channel(Arc::new(tables));
        let (book_sender, book) = watch::channel(Arc::new(PeerBook::default()));
        let announcements: Arc<Mutex<Vec<Announcement>>> = Arc::default();
        let follower = Follower {
            directory: directory.clone(),
            server: settings.server.clone(),
            metrics: telemetry.metrics(),
            tables: tables_sender,
            announcements: Arc::clone(&announcements),
        };
        let mut revocations = directory.watch_revocations();
        // Those that were known last count before anybody is heard.
        let revoked = revocations.next().now_or_never().flatten().unwrap_or_default();
        credentials.heed(tables.borrow().organization(), &revoked);
        tokio::spawn(keep_heeding(Arc::clone(&credentials), revocations, revoked, tables.clone()));
        tokio::spawn(follower.run());
        tokio::spawn(follow_presences(directory.clone(), book_sender, health.clone()));
        Ok(Self {
            settings,
            service,
            directory,
            peers: Arc::new(Peers::new(Arc::clone(&credentials))),
            health,
            credentials,
            sealer,
            tracer: telemetry.tracer(),
            metrics: telemetry.metrics(),
            clock: Clock::default(),
            reloads: Reloads::never(),
            tables,
            book,
            announcements,
            twin: Twin::default(),
        })
    }

    /// Reads this service's certificate anew whenever `reloads` says so. Calls to others show it from then on; whoever calls is
    /// shown it after a restart.
    pub fn follow_reloads(&mut self, reloads: Reloads) {
        self.reloads = reloads.clone();
        let (credentials, path) = (Arc::clone(&self.credentials), self.settings.identity.join(self.service.as_str()));
        let mut reloads = reloads;
        tokio::spawn(async move {
            loop {
                reloads.next().await;
                match KeyedCertificate::load_from(&path) {
                    Ok(own) if credentials.renew(&own) => tracing::warn!(
                        path = %path.display(),
                        "a new certificate of this service: calls to others show it; restart the service for calls from others"
                    ),
                    Ok(_) => {}
                    Err(error) => tracing::error!(%error, "the certificate cannot be read anew; the old one goes on"),
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

    /// Where a service of a server is to be found.
    pub async fn find(&self, server: &ServerName, service: Service) -> Option<PeerAddress> {
        let (book, tables) = (Arc::clone(&self.book.borrow()), self.tables());
        if let Some(address) = self.settings.peers.get(server).and_then(|services| services.get(&service)) {
            let fqdn = tables.organization().server(server)?.fqdn.clone();
            return Some(PeerAddress { server: server.clone(), fqdn, address: *address });
        }
        book.find(tables.organization(), server, service).await
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
        };
        let (server, started) = (presence.server.clone(), presence.started);
        announcements.push(self.directory.announce(presence));
        tokio::spawn(self.twin.clone().watch(self.book.clone(), server, self.service, started));
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
async fn keep_heeding(
    credentials: Arc<Credentials>,
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
        credentials.heed(tables.borrow_and_update().organization(), &revoked);
    }
}

/// The address that others can use when this one listens on all: the one by which it reaches the world.
fn reachable(listening: SocketAddr) -> std::net::IpAddr {
    if listening.ip().is_unspecified() { net::outward_address() } else { listening.ip() }
}

fn file_error(path: &Path, cause: &dyn std::fmt::Display, advice: &'static str) -> NodeError {
    NodeError::File { path: path.to_owned(), cause: cause.to_string(), advice }
}

fn load_credentials(identity: &Path, service: Service) -> Result<Credentials, NodeError> {
    const ADVICE: &str = "`postroad cert issue` makes the certificates of a server";
    let authority_path = identity.join("ca.pem");
    let authority = read(&authority_path, ADVICE)?;
    let own_path = identity.join(service.as_str());
    let own = KeyedCertificate::load_from(&own_path).map_err(|error| file_error(&own_path, &error, ADVICE))?;
    Ok(Credentials::new(own, authority))
}

fn open_directory(settings: &Settings, service: Service) -> Result<Arc<dyn Directory>, NodeError> {
    let backend = open_backend(settings)?;
    Ok(Arc::new(LastGood::new(backend, settings.last_good(service))))
}

/// Opens the backend that the settings name, without a last good configuration: for commands that must see what is there
/// now.
///
/// # Errors
/// [`NodeError`].
pub fn open_backend(settings: &Settings) -> Result<Arc<dyn Backend>, NodeError> {
    match &settings.directory {
        DirectorySettings::Embedded { path } => {
            let opened = directory::open_embedded(&EmbeddedSettings::new(path.clone()), settings.forest.as_str());
            opened.map_err(|error| NodeError::Directory(error.to_string()))
        }
        DirectorySettings::Etcd { endpoints, ca, identity, user, password_file } => {
            let mut etcd = EtcdSettings::new(endpoints.clone());
            etcd.tls = etcd_tls(ca.as_deref(), identity.as_deref())?;
            if let (Some(user), Some(path)) = (user, password_file) {
                let password = read(path, "It must hold the password of the etcd user")?;
                etcd.user = Some((user.clone(), Zeroizing::new(password.trim_end().to_owned())));
            }
            Ok(directory::connect_etcd(etcd, settings.forest.as_str()))
        }
    }
}

fn etcd_tls(ca: Option<&Path>, identity: Option<&Path>) -> Result<Option<EtcdTls>, NodeError> {
    let Some(ca) = ca else { return Ok(None) };
    let ca = read(ca, "It must hold the authority that certified etcd, in PEM")?.into_bytes();
    let identity = identity.map(|path| {
        let own = KeyedCertificate::load_from(path);
        let own = own.map_err(|error| file_error(path, &error, "It must hold cert.pem and key.pem for etcd"))?;
        Ok((own.cert_pem.into_bytes(), Zeroizing::new(own.key_pem.expose().as_bytes().to_vec())))
    });
    Ok(Some(EtcdTls { ca, identity: identity.transpose()?, domain_name: None }))
}

fn read(path: &Path, advice: &'static str) -> Result<String, NodeError> {
    std::fs::read_to_string(path).map_err(|error| file_error(path, &error, advice))
}

/// The configuration to begin with. A directory that does not answer yet is asked until it does.
async fn first_snapshot(directory: &dyn Configuration) -> Arc<topology::Organization> {
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
