//! One message: where each recipient's mail goes, one reading of the content, and an outcome for each recipient.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::{Address, EnhancedStatus, MessageHead, Recipient, Reply, Severity};
use logs::tracking::{self, EventId, Source, TrackingEvent};
use logs::{Log, LogSettings};
use mailbox_store::{DeliveryId, DeliveryOutcome, MailboxDatabase, StagedContent, StoreError};
use net::{PeerIdentity, Progress};
use rpc::{DeliverHandler, Deliveries, Incoming, RecipientDelivery, Signs};
use runtime::{Node, Turns, service_logs};
use telemetry::{Hop, HopName, HopOutcome, keys};
use tokio::sync::Semaphore;

use crate::content::{ContentError, Copies, DatabaseCopy};
use crate::databases::{Databases, Visit};
use crate::placement::{Place, place, retry};

/// Messages in hand, most of them still being received: 512, so that their files fit into the usual 1,024 of a process.
/// They cannot wait unread, because messages of one peer share a stream; those above are refused for now.
const MESSAGES_IN_HAND_MAX: usize = 512;

/// Files of the message tracking log (LG-16).
pub(crate) const TRACKING_PREFIX: &str = "MSGTRKMD";
/// `recipient-status` of a recipient whose mailbox has the message.
const DELIVERED: &str = "250 2.1.5 Recipient OK";

/// Delivers what Transport brings.
pub(crate) struct Handler {
    node: Arc<Node>,
    pub(crate) databases: Arc<Databases>,
    in_hand: Semaphore,
    /// Messages being written into mailboxes: as many at once as `MaxConcurrentMailboxDeliveries` says.
    deliveries: Turns,
    tracking: Log<TrackingEvent>,
    /// Whether it gets on: an end is waited for as long as it does.
    pub(crate) progress: Progress,
}

impl Handler {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let settings = LogSettings {
            folder: tracking::folder(&node.settings.state),
            prefix: TRACKING_PREFIX,
            version: runtime::node::VERSION,
        };
        let lost = node.metrics.tracking_lost.clone();
        let tracking = Log::new(settings, move || lost.increment());
        service_logs::follow(&node, tracking.rules(), service_logs::message_tracking);
        let deliveries = Turns::new(deliveries_max(&node));
        Self {
            node,
            databases: Arc::default(),
            in_hand: Semaphore::new(MESSAGES_IN_HAND_MAX),
            deliveries,
            tracking,
            progress: Progress::default(),
        }
    }
}

/// `MaxConcurrentMailboxDeliveries` (limits §3).
fn deliveries_max(node: &Node) -> usize {
    node.tables().local_server().mailbox_transport.max_concurrent_mailbox_deliveries as usize
}

#[async_trait]
impl DeliverHandler for Handler {
    async fn deliver(&self, peer: &PeerIdentity, message: Incoming) -> Result<Deliveries, Reply> {
        self.progress.step();
        let Ok(_in_hand) = self.in_hand.try_acquire() else {
            let status = EnhancedStatus::new(4, 3, 2);
            return Err(Reply::new(451, status, "STOREDRV.Deliver; too many messages are being delivered"));
        };
        let Incoming { head, content, signs, .. } = message;
        let tables = self.node.tables();
        let mut hop = self.node.tracer.start(HopName::Deliver, head.trace, self.node.clock.now());
        hop.attribute(keys::MESSAGE_ID, &head.id);
        hop.attribute(keys::SERVER_ADDRESS, peer.server.as_str());
        hop.attribute(keys::REVISION, &tables.revision());
        hop.attribute(keys::RECIPIENTS, &(head.envelope.recipients.len() as u64));
        let placed = signs.while_at(self.place_by(&head, &tables)).await;
        let delivered = self.deliver_placed(&head, placed, content, &signs).await;
        let result = delivered.map_err(|error| error.reply());
        self.track(&head, peer, &result);
        self.end(hop, &head, &result);
        self.progress.step();
        result
    }
}

/// A recipient's mailbox, or its outcome already.
type Placed = Result<Place, RecipientDelivery>;

impl Handler {
    /// A Transport that knows of a newer configuration may know better what is here: before this server sends it elsewhere, it
    /// hears of that too. Otherwise the message would wait there for a configuration that has come already (PL-13).
    async fn place_by(&self, head: &MessageHead, tables: &routing::RoutingTables) -> Vec<Placed> {
        let recipients = &head.envelope.recipients;
        let placed = self.place(recipients, tables).await;
        if tables.revision() >= head.revision || !placed.iter().any(is_sent_away) {
            return placed;
        }
        match self.node.tables_of(head.revision).await {
            Ok(tables) => self.place(recipients, &tables).await,
            Err(behind) => {
                let later = || Err(retry(EnhancedStatus::new(4, 3, 2), &behind.to_string()));
                placed.into_iter().map(|placed| if is_sent_away(&placed) { later() } else { placed }).collect()
            }
        }
    }

    async fn place(&self, recipients: &[Recipient], tables: &routing::RoutingTables) -> Vec<Placed> {
        let addresses: Vec<Address> = recipients.iter().map(|recipient| recipient.address.clone()).collect();
        let answers = self.node.directory.recipients(&addresses).await.into_iter();
        let placed = answers.map(|answer| match answer {
            Ok(found) => place(found.as_ref(), tables, &self.node.settings),
            Err(error) => {
                tracing::warn!(%error, "a recipient cannot be looked up");
                Err(retry(error.status(), "the directory cannot be asked"))
            }
        });
        placed.collect()
    }

    /// Reads the content if there is a mailbox for it. Waits for a turn only afterwards: unread content would hold up the
    /// messages whose turn it is.
    async fn deliver_placed(
        &self,
        head: &MessageHead,
        placed: Vec<Placed>,
        content: rpc::Content,
        signs: &Signs,
    ) -> Result<Deliveries, ContentError> {
        let recipients = &head.envelope.recipients;
        let mut wanted: BTreeMap<PathBuf, Vec<&Address>> = BTreeMap::new();
        for (place, recipient) in placed.iter().zip(recipients) {
            if let Ok(place) = place {
                wanted.entry(place.database.clone()).or_default().push(&recipient.address);
            }
        }
        if wanted.is_empty() {
            return Ok(placed.into_iter().filter_map(Result::err).collect());
        }
        let mut copies = signs.while_at(Copies::begin(&self.databases, wanted, head)).await;
        copies.write(content).await?;
        // Every wait from here on has a bound of its own.
        Ok(signs.while_at(self.write_into(copies, head, placed)).await)
    }

    async fn write_into(&self, mut copies: Copies, head: &MessageHead, placed: Vec<Placed>) -> Deliveries {
        copies.turns().await;
        let _turn = self.deliveries.take(deliveries_max(&self.node)).await;
        let mut copies = copies.finish().await;
        let mut outcomes = Vec::with_capacity(placed.len());
        for (place, recipient) in placed.into_iter().zip(&head.envelope.recipients) {
            outcomes.push(match place {
                Ok(place) => deliver_one(&mut copies, &place, DeliveryId::new(head.id, &recipient.address)).await,
                Err(outcome) => outcome,
            });
        }
        outcomes
    }

    /// DELIVER for the recipients that have it; what became of the others Transport writes.
    fn track(&self, head: &MessageHead, peer: &PeerIdentity, result: &Result<Deliveries, Reply>) {
        let outcomes = head.envelope.recipients.iter().zip(result.iter().flatten());
        let delivered = outcomes.filter(|(_, outcome)| **outcome == RecipientDelivery::Delivered);
        let recipients: Vec<_> =
            delivered.map(|(recipient, _)| (recipient.address.clone(), Some(Box::from(DELIVERED)))).collect();
        if recipients.is_empty() {
            return;
        }
        let (now, sender) = (self.node.clock.now(), head.envelope.reverse_path.clone());
        self.tracking.record(TrackingEvent {
            client_hostname: peer.server.as_str().into(),
            server_hostname: self.node.server().as_str().into(),
            source_context: format!("Revision={}", head.revision).into(),
            recipients,
            size: head.size,
            custom_data: head.trace.map(|trace| format!("Trace={trace}").into()).unwrap_or_default(),
            ..TrackingEvent::new(now, EventId::Deliver, Source::StoreDriver, head.id, sender)
        });
    }

    /// The hop fails with the first recipient that has no mail; all of those are its events.
    fn end(&self, mut hop: Hop, head: &MessageHead, result: &Result<Deliveries, Reply>) {
        let now = self.node.clock.now();
        let mut first = result.as_ref().err();
        for (recipient, outcome) in head.envelope.recipients.iter().zip(result.iter().flatten()) {
            let Some(reply) = reply_of(outcome) else { continue };
            first = first.or(Some(reply));
            hop.event("not delivered", now, |attributes| {
                attributes.set(keys::RECIPIENT, &recipient.address);
                attributes.set(keys::REPLY, reply);
            });
        }
        match first {
            None => hop.end(now, HopOutcome::Done),
            Some(reply) => hop.end(now, HopOutcome::Failed { status: reply.status_or_generic(), cause: reply }),
        }
    }
}

/// Whether it is said of a recipient that it is not here, or not here yet. A directory that does not answer says neither, and
/// no configuration mends that.
fn is_sent_away(placed: &Placed) -> bool {
    match placed {
        Err(RecipientDelivery::Reroute(_)) => true,
        Err(RecipientDelivery::Retry(reply)) => reply.is_about_system(),
        Ok(_) | Err(RecipientDelivery::Delivered | RecipientDelivery::Failed(_)) => false,
    }
}

async fn deliver_one(copies: &mut [DatabaseCopy<StagedContent>], place: &Place, id: DeliveryId) -> RecipientDelivery {
    let copy = copies.iter_mut().find(|copy| copy.database == place.database).expect("one for each database wanted");
    let (visit, content) = match &copy.state {
        Ok(state) => state,
        Err(error) => return failure(error),
    };
    match link(visit, content, place, id).await {
        Ok(_) => RecipientDelivery::Delivered,
        Err(error) => {
            let outcome = failure(&error);
            if matches!(error, StoreError::Hung { .. }) {
                copy.state = Err(error); // for the others of this database as well, without waiting once more for each
            }
            outcome
        }
    }
}

/// A mailbox of the directory has no folder before its first mail.
async fn link(
    visit: &Visit,
    content: &StagedContent,
    place: &Place,
    id: DeliveryId,
) -> Result<DeliveryOutcome, StoreError> {
    let (content, mailbox) = (content.clone(), place.mailbox.clone());
    let work = async move |database: MailboxDatabase| match content.deliver(&mailbox, id).await {
        Err(StoreError::MailboxMissing { .. }) => {
            database.create_mailbox(&mailbox).await?;
            content.deliver(&mailbox, id).await
        }
        other => other,
    };
    visit.work(|database| async move { work(database).await }).await
}

fn reply_of(outcome: &RecipientDelivery) -> Option<&Reply> {
    match outcome {
        RecipientDelivery::Delivered => None,
        RecipientDelivery::Retry(reply) | RecipientDelivery::Reroute(reply) | RecipientDelivery::Failed(reply) => {
            Some(reply)
        }
    }
}

/// What Transport is told of a database that cannot be written: paths stay in the log.
fn failure(error: &StoreError) -> RecipientDelivery {
    if matches!(error, StoreError::Moving { .. }) {
        return retry(error.status(), "the mailbox database is on its way to another server");
    }
    tracing::error!(%error, "a message cannot be written into its mailbox");
    let status = error.status();
    match status.severity() {
        Severity::Permanent => {
            RecipientDelivery::Failed(Reply::new(550, status, "STOREDRV.Deliver; there is no such mailbox"))
        }
        Severity::Transient | Severity::Success => retry(status, "the mailbox database cannot be written"),
    }
}
