//! What waits in the queues of running servers, asked of their Transports as an administrator: for `postroad queue`, and for
//! whatever else needs to know what mail is under way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use directory::{LastGood, Presence};
use envelope::ServerName;
use futures::StreamExt;
use logs::search::{Line, Query};
use net::certificate::ADMINISTRATOR_FOLDER;
use net::{KeyedCertificate, Service};
use rpc::admin::{AdminError, MessageEntry, MessagesRequest, PeerEntry, QueueEntry};
use rpc::{Administrator, Credentials, PeerAddress};
use runtime::{PeerBook, Settings};
use topology::Organization;

use super::{output, place};

/// Time for the directory to answer before what is remembered must do.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(10);

/// The Transports of an organization, and somebody who may look into their queues.
pub(crate) struct Transports {
    administrator: Administrator,
    organization: Arc<Organization>,
    book: PeerBook,
}

/// What one Transport told.
pub(crate) struct Told {
    pub(crate) queues: Vec<QueueEntry>,
    pub(crate) messages: Vec<MessageEntry>,
    pub(crate) peers: Vec<PeerEntry>,
}

impl Transports {
    /// Finds the servers in the directory that `settings` names, and takes up the administrator's certificate beside the
    /// server's own.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let credentials = credentials(settings)?;
        let (organization, presences) = found(settings).await?;
        let book = PeerBook::default().updated(&presences);
        Ok(Self { administrator: Administrator::new(Arc::new(credentials)), organization, book })
    }

    /// The configuration of now.
    pub(crate) fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Every server, in the order of the organization: each has a Transport.
    pub(crate) fn servers(&self) -> Vec<ServerName> {
        self.organization.servers().iter().map(|server| server.name.clone()).collect()
    }

    async fn find(&self, server: &ServerName, service: Service) -> anyhow::Result<PeerAddress> {
        let found = self.book.find(&self.organization, server, service).await;
        found.ok_or_else(|| match self.organization.server(server) {
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
        Ok(self.administrator.messages(&self.find(server, Service::Transport).await?, request).await?)
    }

    /// The newest `limit` lines that `query` looks for in the message tracking logs of a server's services, by time. A server
    /// without Mailbox Transport Delivery, such as an Edge server, has none of it.
    pub(crate) async fn track(&self, server: &ServerName, query: &Query, limit: usize) -> anyhow::Result<Vec<Line>> {
        let at = self.find(server, Service::Transport).await?;
        let mut lines = self.administrator.track(&at, query, limit).await?;
        if let Ok(at) = self.find(server, Service::MailboxDelivery).await {
            lines.extend(self.administrator.track(&at, query, limit).await?);
        }
        lines.sort_by(|one, other| one.get("date-time").cmp(other.get("date-time")));
        Ok(lines)
    }

    /// Queues, peers, and messages if `messages` says which.
    pub(crate) async fn ask(&self, server: &ServerName, messages: Option<MessagesRequest>) -> anyhow::Result<Told> {
        let at = self.find(server, Service::Transport).await?;
        let queues = self.administrator.queues(&at).await?;
        let peers = self.administrator.peers(&at).await?;
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

/// The organization, and where its services are: as the directory says, or said when it answered a service of this server
/// last. Whoever looks for waiting mail does so when something is away.
async fn found(settings: &Settings) -> anyhow::Result<(Arc<Organization>, Vec<Presence>)> {
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

fn credentials(settings: &Settings) -> anyhow::Result<Credentials> {
    let folder = settings.identity.join(ADMINISTRATOR_FOLDER);
    let own = KeyedCertificate::load_from(&folder).map_err(|error| {
        anyhow!(
            "{error}. Only an administrator sees queues: make the certificate with `postroad cert issue --ca FOLDER \
             --administrator NAME --path {}`",
            settings.identity.display()
        )
    })?;
    let authority = settings.identity.join("ca.pem");
    let authority =
        std::fs::read_to_string(&authority).with_context(|| format!("cannot read {}", authority.display()))?;
    Ok(Credentials::new(own, authority))
}
