//! What waits in the queues of running servers, asked of their Transports as an administrator: for `postroad queue`, and for
//! whatever else needs to know what mail is under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use admin_api::queues::{
    GatewayEntry, MessageEntry, MessagesRequest, Operated, Operation, PeerEntry, QueueEntry, Target,
};
use admin_api::{AdminError, Administrator, Exported};
use anyhow::anyhow;
use directory::{LastGood, Presence};
use envelope::ServerName;
use futures::StreamExt;
use logs::search::{Line, Query};
use net::Service;
use rpc::PeerAddress;
use runtime::{PeerBook, Settings};
use topology::{Organization, Server, ServerRole};

use super::output;
use super::place::{self, Place, Reach};

/// Time for the directory to answer before what is remembered must do.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(10);

/// The Transports of an organization, and somebody who may look into their queues.
pub(crate) struct Transports {
    administrator: Administrator,
    organization: Arc<Organization>,
    book: PeerBook,
    /// Subscribed Edge servers that can be asked from here, which are those of a lab: each by its own directory, as its own
    /// administrator.
    beyond: HashMap<ServerName, Transports>,
}

/// What one Transport told.
pub(crate) struct Told {
    pub(crate) queues: Vec<QueueEntry>,
    pub(crate) messages: Vec<MessageEntry>,
    pub(crate) peers: Vec<PeerEntry>,
}

impl Transports {
    /// Finds the servers in the directory of `place`, and takes up the administrator's certificate beside the server's own; or
    /// asks for them and for what they have through an admin service.
    pub(crate) async fn open(place: &Place) -> anyhow::Result<Self> {
        let reach = place.reach().await?;
        let (administrator, organization, presences) = match reach.settings() {
            Some(settings) => {
                let administrator = Administrator::new(Arc::new(place::administrator(&settings.identity)?));
                let (organization, presences) = found(settings).await?;
                (administrator, organization, presences)
            }
            None => {
                let api = reach.api().expect("what was not opened is asked");
                let presences = reach.directory.presences().await.map_err(|error| reach.explained(&error))?;
                (Administrator::through(api), reach.organization().await?, presences)
            }
        };
        let beyond = beyond(place, &organization).await;
        Ok(Self { administrator, organization, book: PeerBook::default().updated(&presences), beyond })
    }

    /// The same over what is open, by a configuration that is known: nothing is read again but where services are.
    pub(crate) async fn over(place: &Place, reach: &Reach, organization: Arc<Organization>) -> anyhow::Result<Self> {
        let administrator = match (reach.settings(), reach.api()) {
            (Some(settings), _) => Administrator::new(Arc::new(place::administrator(&settings.identity)?)),
            (None, api) => Administrator::through(api.expect("what was not opened is asked")),
        };
        let presences = reach.directory.presences().await.map_err(|error| reach.explained(&error))?;
        let beyond = beyond(place, &organization).await;
        Ok(Self { administrator, organization, book: PeerBook::default().updated(&presences), beyond })
    }

    /// Whoever can be asked about `server`.
    fn of(&self, server: &ServerName) -> &Self {
        self.beyond.get(server).unwrap_or(self)
    }

    /// The configuration of now.
    pub(crate) fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Every server that is asked, in the order of the organization: each has a Transport. On an Edge server that is itself alone (EN-7);
    /// from inside it is asked in a lab only.
    pub(crate) fn servers(&self) -> Vec<ServerName> {
        let beyond = |server: &&Server| self.beyond.contains_key(&server.name);
        let asked =
            self.organization.servers().iter().filter(|server| self.organization.is_own(server) || beyond(server));
        asked.map(|server| server.name.clone()).collect()
    }

    /// Servers by the names that the organization has for them, however they were typed.
    pub(crate) fn spelled(&self, typed: &[ServerName]) -> Vec<ServerName> {
        let known =
            |name: &ServerName| self.organization.server(name).map_or_else(|| name.clone(), |known| known.name.clone());
        typed.iter().map(known).collect()
    }

    /// Subscribed Edge servers that cannot be asked from here, and where they can: nothing where there is none.
    pub(crate) fn unasked(&self) -> Option<String> {
        let unasked = place::elsewhere(&self.organization).filter(|server| !self.beyond.contains_key(&server.name));
        let unasked: Vec<&Server> = unasked.collect();
        let first = unasked.first()?;
        let names: Vec<&str> = unasked.iter().map(|server| server.name.as_str()).collect();
        let (of, is) = if names.len() == 1 { ("Edge server", "is") } else { ("Edge servers", "are") };
        Some(format!("{of} {} {is} not asked: {}", names.join(", "), place::ask_edge(first)))
    }

    /// Who asks.
    pub(crate) fn administrator(&self) -> &Administrator {
        &self.administrator
    }

    /// Where a service of a server is.
    pub(crate) async fn find(&self, server: &ServerName, service: Service) -> anyhow::Result<PeerAddress> {
        let of = self.of(server);
        let found = of.book.find(&of.organization, server, service).await;
        found.ok_or_else(|| match of.organization.server(server) {
            Some(edge) if edge.edge.is_elsewhere() => anyhow!("it is an Edge server: {}", place::ask_edge(edge)),
            Some(_) => anyhow!("{service} of {server} has never been there; `postroad servers` lists what is"),
            None => anyhow!("the organization has no server {server}; `postroad servers` lists them"),
        })
    }

    /// Everything that waits on `server`, one message after the other as they come: with sender, recipients, size, and the
    /// decision that put it where it is.
    pub(crate) async fn messages(
        &self,
        server: &ServerName,
        request: MessagesRequest,
    ) -> anyhow::Result<impl futures::Stream<Item = Result<MessageEntry, AdminError>> + use<>> {
        Ok(self.of(server).administrator.messages(&self.find(server, Service::Transport).await?, request).await?)
    }

    /// The newest `limit` lines that `query` looks for in the message tracking logs of a server's services, by time. An Edge server
    /// has no Mailbox Transport Delivery.
    pub(crate) async fn track(&self, server: &ServerName, query: &Query, limit: usize) -> anyhow::Result<Vec<Line>> {
        let at = self.find(server, Service::Transport).await?;
        let mut lines = self.of(server).administrator.track(&at, query, limit).await?;
        let is_edge = self.organization.server(server).is_some_and(|known| known.role == ServerRole::Edge);
        if !is_edge && let Ok(at) = self.find(server, Service::MailboxDelivery).await {
            lines.extend(self.of(server).administrator.track(&at, query, limit).await?);
        }
        lines.sort_by(|one, other| one.get("date-time").cmp(other.get("date-time")));
        Ok(lines)
    }

    /// Does one thing to each of some queues or messages of `server`.
    pub(crate) async fn operate(
        &self,
        server: &ServerName,
        operation: Operation,
        targets: &[Target],
        through: &str,
    ) -> anyhow::Result<Vec<Operated>> {
        let at = self.find(server, Service::Transport).await?;
        Ok(self.of(server).administrator.operate(&at, operation, targets, through).await?)
    }

    /// Has `server` send what waits to another and take no new mail; or, with `None`, ends that.
    pub(crate) async fn redirect(
        &self,
        server: &ServerName,
        target: Option<&ServerName>,
        through: &str,
    ) -> anyhow::Result<()> {
        let at = self.find(server, Service::Transport).await?;
        self.of(server).administrator.redirect(&at, target, through).await?.map_err(|refused| anyhow!("{}", refused.0))
    }

    /// A suspended message of `server` as a file, whole.
    pub(crate) async fn export(
        &self,
        server: &ServerName,
        target: Target,
        through: &str,
    ) -> anyhow::Result<(Operated, Vec<u8>)> {
        let at = self.find(server, Service::Transport).await?;
        let exported = self.of(server).administrator.export(&at, target, through).await?;
        let Exported { what, mut content } = exported.map_err(|refused| anyhow!("{}", refused.0))?;
        let mut octets = Vec::new();
        while let Some(piece) = content.next().await {
            octets.extend_from_slice(&piece?);
        }
        Ok((what, octets))
    }

    /// What connectors that are not for SMTP meet on `server` now.
    pub(crate) async fn gateways(&self, server: &ServerName) -> anyhow::Result<Vec<GatewayEntry>> {
        Ok(self.of(server).administrator.gateways(&self.find(server, Service::Transport).await?).await?)
    }

    /// Queues, peers, and messages if `messages` says which.
    pub(crate) async fn ask(&self, server: &ServerName, messages: Option<MessagesRequest>) -> anyhow::Result<Told> {
        let at = self.find(server, Service::Transport).await?;
        let queues = self.of(server).administrator.queues(&at).await?;
        let peers = self.of(server).administrator.peers(&at).await?;
        let mut listed = Vec::new();
        if let Some(request) = messages {
            let mut coming = Box::pin(self.messages(server, request).await?);
            while let Some(message) = coming.next().await {
                listed.push(message?);
            }
        }
        Ok(Told { queues, messages: listed, peers })
    }
}

/// The subscribed Edge servers of the lab around `place`. One whose directory cannot be read is not among them.
async fn beyond(place: &Place, organization: &Organization) -> HashMap<ServerName, Transports> {
    let mut beyond = HashMap::new();
    for settings in place.edges_of_lab(organization) {
        let Ok(own) = place::administrator(&settings.identity) else { continue };
        let Ok((organization, presences)) = found(&settings).await else { continue };
        let book = PeerBook::default().updated(&presences);
        let administrator = Administrator::new(Arc::new(own));
        beyond.insert(settings.server, Transports { administrator, organization, book, beyond: HashMap::new() });
    }
    beyond
}

/// The organization, and where its services are: as the directory says, or said when it answered a service of this server
/// last. Whoever looks for waiting mail does so when something is away.
pub(crate) async fn found(settings: &Settings) -> anyhow::Result<(Arc<Organization>, Vec<Presence>)> {
    let asking = async {
        let (directory, organization) = place::open(settings).await?;
        anyhow::Ok((organization, directory.presences().await?))
    };
    let error = match tokio::time::timeout(DIRECTORY_TIMEOUT, asking).await {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(error)) => error,
        Err(_) => anyhow!("the directory does not answer within {} s", DIRECTORY_TIMEOUT.as_secs()),
    };
    let Some((organization, presences)) = remembered(settings) else { return Err(error) };
    eprintln!(
        "note: {}; by the configuration and the addresses that were known last, revision {}",
        output::harmless(&format!("{error:#}")),
        organization.revision()
    );
    Ok((organization, presences))
}

/// What the services of this server know without the directory: the newest of it.
fn remembered(settings: &Settings) -> Option<(Arc<Organization>, Vec<Presence>)> {
    let backend = runtime::node::open_backend(settings).ok()?;
    let known = Service::ALL.into_iter().map(|service| settings.last_good(service)).filter(|path| path.exists());
    let known = known.map(|path| LastGood::new(backend.clone(), path));
    let known = known.filter_map(|memory| Some((memory.last_good()?, memory.last_presences())));
    known.max_by_key(|(organization, presences)| (organization.revision(), presences.len()))
}
