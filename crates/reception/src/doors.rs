//! The listening addresses of a service, as the configuration wants them: opened, closed and opened anew as it changes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::tls::ClientCertificates;
use net::{KeyedCertificate, Service, TlsServer};
use rpc::FailedLogonsHandler;
use runtime::{Node, NodeError, certificate, descriptors};
use smtp::{SmtpListener, Transcripts};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use topology::receive_connector::defaults::{CLIENT_PORT, CLIENT_PROXY_PORT, FRONTEND_PORT, HUB_PORT};
use topology::{ServerRole, TransportRole};

use crate::connectors::{Entrances, connectors_of};
use crate::destination::MessageTaker;
use crate::door::Door;
use crate::keepers::keepers;
use crate::ports::{Ports, complaint};
use crate::selection::Place;
use crate::shared::Shared;
use crate::telling::{self, Ears};

/// Sessions under way at a drain are waited for as long. One that is cut off then has no `250`, and nothing is lost.
pub const DRAIN_GRACE: Duration = Duration::from_secs(20);
/// Time between two attempts to listen where something else does (RC-27).
const LISTEN_RETRY: Duration = Duration::from_secs(5);

/// The listening addresses of one service.
pub struct Doors {
    shared: Arc<Shared>,
    /// Bound and not yet served.
    bound: Vec<(Place, SmtpListener)>,
    /// Served; cancelling closes.
    open: HashMap<Place, CancellationToken>,
    running: JoinSet<(Place, std::io::Result<()>)>,
    /// Not bound at the last attempt: that is told once.
    failing: BTreeMap<SocketAddr, String>,
    ports: Ports,
    /// What systemd opened and no Receive connector wants: that is told once.
    unwanted: Vec<SocketAddr>,
}

impl Doors {
    /// Binds the addresses of the server's Receive connectors of this role. Nothing is accepted yet. Sessions of connectors
    /// that want it are told in `transcripts`.
    ///
    /// # Errors
    /// [`NodeError::File`] when the certificate, or the authority of a directory that keeps passwords, cannot be used.
    pub fn bind(
        node: &Arc<Node>,
        role: TransportRole,
        certificate: &KeyedCertificate,
        destination: Arc<dyn MessageTaker>,
        transcripts: Arc<dyn Transcripts>,
    ) -> Result<Self, NodeError> {
        let tls = TlsServer::new(certificate, ClientCertificates::Ignored);
        let tls = tls.map_err(|error| certificate::refused(&node.settings, error.to_string()))?;
        let roots = certificate::trusted_roots(&node.settings)?;
        let entrances = Entrances::new(tls.clone(), roots, node.metrics.clone(), descriptors::limit());
        entrances.choose_among(certificate::all_for_smtp(&node.settings, certificate));
        let keepers = keepers(node)?;
        let shared = Arc::new(Shared::new(Arc::clone(node), role, destination, entrances, keepers, transcripts));
        tokio::spawn(show_anew(Arc::clone(&shared), tls));
        let mut doors = Self {
            shared,
            bound: Vec::new(),
            open: HashMap::new(),
            running: JoinSet::new(),
            failing: BTreeMap::new(),
            ports: Ports::default(),
            unwanted: Vec::new(),
        };
        doors.bind_missing();
        Ok(doors)
    }

    /// Where clients are served: for each binding wanted, the address bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.bound.iter().map(|(place, listener)| (place.address(), listener.local())).collect()
    }

    /// Which ports are open, now and later.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// Counts what other services tell of logons that failed there.
    #[must_use]
    pub fn failed_logons(&self) -> Arc<dyn FailedLogonsHandler> {
        Arc::new(Ears(Arc::clone(&self.shared)))
    }

    /// Serves, follows the configuration, and ends with the last session after the drain.
    pub async fn run(mut self, drain: CancellationToken) {
        let mut tables = self.shared.node.watch_tables();
        tokio::spawn(telling::run(Arc::clone(&self.shared), drain.clone()));
        while !drain.is_cancelled() {
            let missing = self.bind_missing();
            self.open(&drain);
            tokio::select! {
                () = drain.cancelled() => break,
                changed = tables.changed() => if changed.is_err() { drain.cancelled().await },
                () = tokio::time::sleep(LISTEN_RETRY), if missing => {}
            }
        }
        while self.running.join_next().await.is_some() {}
    }

    /// Binds what is missing and closes what is not wanted any more. Whether something is still missing: one address that
    /// cannot be bound does not stop the others (RC-27).
    fn bind_missing(&mut self) -> bool {
        while let Some(ended) = self.running.try_join_next() {
            // One that was closed on purpose has gone from the map already, and its place may be taken anew.
            if let Ok((place, Err(error))) = ended {
                tracing::error!(address = %place.address(), %error, "a listener for SMTP broke");
                self.open.remove(&place);
            }
        }
        let wanted = self.wanted();
        self.tell_unwanted(&wanted);
        self.open.retain(|place, close| {
            let stays = wanted.contains(place);
            if !stays {
                tracing::info!(address = %place.address(), port = place.port(), "no longer listening for SMTP");
                close.cancel();
            }
            stays
        });
        let mut failing = BTreeMap::new();
        for place in wanted {
            if self.open.contains_key(&place) || self.bound.iter().any(|(bound, _)| *bound == place) {
                continue;
            }
            let door = Arc::new(Door { shared: Arc::clone(&self.shared), place });
            match self.shared.node.sockets.listen(place.address()) {
                Ok(socket) => self.bound.push((place, SmtpListener::on(socket, door))),
                Err(error) => {
                    let why = complaint(place.address(), &error);
                    if self.failing.get(&place.address()) != Some(&why) {
                        tracing::warn!("{why}; trying again and again");
                    }
                    failing.insert(place.address(), why);
                }
            }
        }
        self.ports.set(self.open.len() + self.bound.len(), failing.clone());
        self.failing = failing;
        !self.failing.is_empty()
    }

    fn wanted(&self) -> Vec<Place> {
        let Shared { node, role, .. } = &*self.shared;
        let tables = node.tables();
        let mut wanted = Vec::new();
        if node.has_left().is_some() {
            return wanted;
        }
        for connector in connectors_of(tables.organization(), node.server(), *role) {
            for binding in connector.bindings {
                for place in places(node, *role, binding) {
                    if !wanted.contains(&place) {
                        wanted.push(place);
                    }
                }
            }
        }
        wanted
    }

    /// Whoever connects to a socket that nobody serves waits for ever.
    fn tell_unwanted(&mut self, wanted: &[Place]) {
        let given = self.shared.node.sockets.addresses();
        let unwanted: Vec<SocketAddr> =
            given.filter(|given| !wanted.iter().any(|place| place.address() == *given)).collect();
        for address in unwanted.iter().filter(|address| !self.unwanted.contains(address)) {
            tracing::warn!(
                %address,
                "systemd opened this address for this service and no Receive connector has it, so whoever connects gets no \
                 answer: take it out of the socket unit (`systemctl edit`), or give a connector this binding"
            );
        }
        self.unwanted = unwanted;
    }

    /// Serves what is bound.
    fn open(&mut self, drain: &CancellationToken) {
        for (place, listener) in self.bound.drain(..) {
            let close = drain.child_token();
            self.open.insert(place, close.clone());
            tracing::info!(address = %listener.local(), port = place.port(), "listening for SMTP");
            self.running.spawn(async move { (place, listener.run(close, DRAIN_GRACE).await) });
        }
    }
}

/// Where a binding is served: the process settings may put other addresses in the place of a port of the default connectors,
/// and open some for clients that begin with TLS.
fn places(node: &Node, role: TransportRole, binding: SocketAddr) -> Vec<Place> {
    let (service, servers, clients) = match role {
        TransportRole::FrontendTransport => (Service::FrontendTransport, FRONTEND_PORT, CLIENT_PORT),
        TransportRole::HubTransport => (Service::Transport, HUB_PORT, CLIENT_PROXY_PORT),
    };
    // The one connector of an Edge server is Transport's, at the port of servers (RC-17).
    let is_edge = node.tables().local_server().role == ServerRole::Edge;
    let servers = if is_edge { FRONTEND_PORT } else { servers };
    let (settings, port) = (node.settings.service(service), binding.port());
    let (instead, under_tls) = match port {
        _ if port == servers => (settings.smtp, Vec::new()),
        _ if port == clients => (settings.submission, settings.submissions),
        _ => (Vec::new(), Vec::new()),
    };
    let instead: Vec<Place> = match instead.as_slice() {
        [] => vec![Place::Configured(binding)],
        instead => instead.iter().map(|address| Place::InPlaceOf(port, *address)).collect(),
    };
    instead.into_iter().chain(under_tls.into_iter().map(|address| Place::UnderTls(port, address))).collect()
}

/// Clients are shown what lies at the certificates' place, whenever it is to be read anew.
async fn show_anew(shared: Arc<Shared>, tls: TlsServer) {
    let node = &shared.node;
    let mut reloads = node.reloads.clone();
    loop {
        reloads.next().await;
        let shown = certificate::of_server(node).and_then(|own| {
            tls.replace(&own).map_err(|error| certificate::refused(&node.settings, error.to_string()))?;
            Ok(own)
        });
        match shown {
            Ok(own) => shared.entrances.choose_among(certificate::all_for_smtp(&node.settings, &own)),
            Err(error) => {
                tracing::error!(%error, "the certificate for SMTP cannot be read anew; the old one goes on");
                continue;
            }
        }
        tracing::info!("the certificates for SMTP were read anew");
    }
}
