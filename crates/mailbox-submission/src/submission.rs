//! One message, from claim to settlement.
//!
//! ```text
//!            ┌──────────── again later ◀──────────────┐
//!            ▼                                        │ transient
//!  claimed ─▶ attempt: owner, scan, compose, targets ─┼─ receipt ──▶ .Sent
//!                                                     ├─ never ────▶ .Failed
//!                                                     └─ taken back by its owner: nothing to do
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use envelope::{
    Address, EnhancedStatus, MessageHead, MessageId, ObjectName, Origin, OriginKind, Receipt, Reply, Revision, Severity,
};
use logs::tracking::{self, EventId, Source, TrackingEvent};
use logs::{Log, LogSettings};
use mailbox_store::{OutboxItem, StoreError};
use net::Service;
use parking_lot::Mutex;
use routing::{RECIPIENTS_CONSIDERED, RecipientHome, RoutingTables};
use rpc::TransferError;
use runtime::Node;
use telemetry::{Hop, HopName, HopOutcome, keys};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use topology::{DirectoryRecipient, RecipientKind};

use crate::backoff::Backoff;
use crate::compose::{Composed, Context, Unsendable, compose};
use crate::scan::{Outgoing, ScanError, scan};

/// `MaxConcurrentMailboxSubmissions`: messages being submitted at once, 20 by default, range 1 to 256 (limits §3).
pub(crate) const CONCURRENT_SUBMISSIONS_MAX: usize = 20;
/// Messages remembered that are done with and cannot be moved: 100,000, some 10 MB.
const UNMOVED_MAX: usize = 100_000;
/// Files of the message tracking log (LG-16).
const TRACKING_PREFIX: &str = "MSGTRKMS";
/// Name of the source in logs and queue tools.
const SOURCE: &str = "Outbox";

/// What the tasks of all databases share.
pub(crate) struct Core {
    pub(crate) node: Arc<Node>,
    submissions: Semaphore,
    /// Messages that are done with and could not be moved out of their outboxes, as on a full disk: only that is tried again.
    /// Submitted once more, they would go to another Transport, which does not know them.
    unmoved: Mutex<HashMap<MessageId, Done>>,
    tracking: Log<TrackingEvent>,
}

/// What became of a message.
#[derive(Clone, Debug)]
enum Done {
    /// Transport has it.
    Sent,
    /// It cannot be sent, for this reason.
    Rejected(String),
}

/// Whether a message is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Yes,
    /// It is in its outbox still, to be offered again.
    No,
}

/// Why an attempt did not end in a receipt.
enum Failure {
    /// Never.
    Permanent { status: EnhancedStatus, reason: String },
    /// Later.
    Transient { status: EnhancedStatus, reason: String },
    /// Its owner has taken it back.
    TakenBack,
}

impl Core {
    /// # Errors
    /// When the message tracking log cannot be started.
    pub(crate) fn new(node: Arc<Node>) -> std::io::Result<Self> {
        let settings = LogSettings {
            folder: tracking::folder(&node.settings.state),
            prefix: TRACKING_PREFIX,
            version: runtime::node::VERSION,
        };
        let lost = node.metrics.tracking_lost.clone();
        let tracking = Log::start(settings, move || lost.increment())?;
        Ok(Self { tracking, node, submissions: Semaphore::new(CONCURRENT_SUBMISSIONS_MAX), unmoved: Mutex::default() })
    }

    /// Submits a message, again and again if need be, until it is settled, or `stop`, or it is to wait in its outbox. `turns`
    /// are those of its database.
    pub(crate) async fn handle(&self, item: OutboxItem, turns: &Semaphore, stop: &CancellationToken) -> Settled {
        let id = item.message_id();
        let done = self.unmoved.lock().get(&id).cloned();
        if let Some(done) = done {
            return self.move_away(item, done).await;
        }
        let mut hop = self.node.tracer.start(HopName::Submit, None, self.node.clock.now());
        hop.attribute(keys::MESSAGE_ID, &id);
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(&item, turns, &mut hop).await {
                Ok(receipt) => return self.sent(item, hop, &receipt).await,
                Err(Failure::Permanent { status, reason }) => return self.rejected(item, hop, status, &reason).await,
                Err(Failure::TakenBack) => return Settled::Yes,
                Err(Failure::Transient { status, reason }) => {
                    tracing::warn!(message = %id, mailbox = %item.mailbox(), %status, reason, "not submitted yet");
                    let reply = Reply::new(451, status, reason);
                    hop.event("not submitted yet", self.node.clock.now(), |event| event.set(keys::REPLY, &reply));
                }
            }
            if backoff.is_longest() || !backoff.wait(stop).await {
                return Settled::No;
            }
        }
    }

    async fn sent(&self, item: OutboxItem, hop: Hop, receipt: &Receipt) -> Settled {
        hop.end(self.node.clock.now(), HopOutcome::Done);
        tracing::info!(message = %receipt.message(), mailbox = %item.mailbox(), holder = %receipt.holder(), "submitted");
        self.move_away(item, Done::Sent).await
    }

    /// The owner finds the message in another folder, with the reason.
    async fn rejected(&self, item: OutboxItem, hop: Hop, status: EnhancedStatus, reason: &str) -> Settled {
        let id = item.message_id();
        hop.end(self.node.clock.now(), HopOutcome::Failed { status, cause: &reason });
        tracing::info!(message = %id, mailbox = %item.mailbox(), %status, reason, "cannot be sent");
        self.move_away(item, Done::Rejected(format!("{status} {reason}"))).await
    }

    async fn move_away(&self, item: OutboxItem, done: Done) -> Settled {
        let id = item.message_id();
        let moved = match &done {
            Done::Sent => item.sent().await,
            Done::Rejected(reason) => item.rejected(reason).await,
        };
        let mut unmoved = self.unmoved.lock();
        let Err(error) = moved else {
            unmoved.remove(&id);
            return Settled::Yes;
        };
        tracing::error!(message = %id, %error, "a message stays in its outbox although it is done with");
        if unmoved.len() < UNMOVED_MAX {
            unmoved.insert(id, done);
        }
        Settled::No
    }

    async fn attempt(&self, item: &OutboxItem, turns: &Semaphore, hop: &mut Hop) -> Result<Receipt, Failure> {
        let _turn_of_database = turns.acquire().await.expect("the semaphore is never closed");
        let owner = self.owner(item).await?;
        // Read before it is the message's turn on this server: a disk that does not answer must not hold that.
        let scan = scan(item).await?.ok_or(Failure::TakenBack)?;
        let _turn = self.submissions.acquire().await.expect("the semaphore is never closed");
        let (tables, now) = (self.node.tables(), self.node.clock.now());
        let organization = tables.organization();
        let fallback = owner.primary_address.domain();
        let domain = organization.default_domain().unwrap_or(&fallback);
        let Composed { envelope, header } =
            compose(&scan, &Context { owner: &owner, id: item.message_id(), now, domain })?;
        let outgoing = Outgoing { header, skip: scan.header.len() as u64, body: scan.body };
        hop.attribute(keys::SENDER, &envelope.reverse_path);
        hop.attribute(keys::RECIPIENTS, &(envelope.recipients.len() as u64));
        hop.attribute(keys::MESSAGE_SIZE, &outgoing.size());
        hop.attribute(keys::REVISION, &tables.revision());
        let head = MessageHead {
            id: item.message_id(),
            envelope,
            arrived: now,
            size: outgoing.size(),
            original_size: Some(outgoing.size()), // LM-02
            trace: hop.context(),
            revision: Revision::default(), // not categorized yet
            origin: Origin { kind: OriginKind::Mailbox, connector: SOURCE.into() },
            backed_off: Vec::new(),
        };
        let receipt = self.submit(item, &tables, &head, &outgoing).await?;
        self.track(item, &head, &receipt);
        Ok(receipt)
    }

    /// SUBMIT: which mailbox it came from, and which server holds it now.
    fn track(&self, item: &OutboxItem, head: &MessageHead, receipt: &Receipt) {
        let recipients = head.envelope.recipients.iter().map(|recipient| (recipient.address.clone(), None)).collect();
        let (now, sender) = (self.node.clock.now(), head.envelope.reverse_path.clone());
        self.tracking.record(TrackingEvent {
            client_hostname: self.node.server().as_str().into(),
            server_hostname: receipt.holder().as_str().into(),
            source_context: format!("Mailbox={}", item.mailbox()).into(),
            recipients,
            size: head.size,
            originating: true,
            custom_data: head.trace.map(|trace| format!("Trace={trace}").into()).unwrap_or_default(),
            ..TrackingEvent::new(now, EventId::Submit, Source::StoreDriver, head.id, sender)
        });
    }

    /// The owner of a mailbox is the recipient of its name.
    async fn owner(&self, item: &OutboxItem) -> Result<DirectoryRecipient, Failure> {
        let mailbox = item.mailbox().as_str();
        let found = match ObjectName::parse(mailbox) {
            Ok(name) => self.node.directory.recipient_by_name(&name).await?,
            Err(_) => None,
        };
        found.filter(|owner| matches!(owner.kind, RecipientKind::Mailbox { .. })).ok_or_else(|| Failure::Permanent {
            status: EnhancedStatus::new(5, 7, 1),
            reason: format!("the organization has no mailbox {mailbox}"),
        })
    }

    /// Tries the Transport services in the order of routing (RT-67 ff.). One that is away or busy is passed over; one that
    /// says never speaks for all. Equals among them take turns by the message: one that is submitted again, after a restart in
    /// the middle of it, goes where it was before and is known there.
    async fn submit(
        &self,
        item: &OutboxItem,
        tables: &RoutingTables,
        head: &MessageHead,
        outgoing: &Outgoing,
    ) -> Result<Receipt, Failure> {
        let homes = self.homes(head).await?;
        let homes = homes.iter().map(|home| home.as_ref().map_or(RecipientHome::Other, RecipientHome::Mailbox));
        let rotation = turn_of(head.id);
        let health = &self.node.health;
        let targets = tables.submission_target(homes, rotation, |server| health.has_failed(server, Service::Transport));
        let mut last = None;
        for target in &targets {
            let Some(peer) = self.node.find(&target.server, Service::Transport).await else { continue };
            let content = outgoing.open(item).await?.ok_or(Failure::TakenBack)?;
            match self.node.peers.submit(&peer, head, content).await {
                Ok(receipt) => {
                    health.succeeded(&target.server, Service::Transport);
                    return Ok(receipt);
                }
                Err(error) if error.is_peer_failure() => {
                    health.failed(&target.server, Service::Transport, &error);
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.map_or_else(no_transport, Failure::from))
    }

    /// The databases of the first recipients.
    async fn homes(&self, head: &MessageHead) -> Result<Vec<Option<ObjectName>>, Failure> {
        let recipients = head.envelope.recipients.iter().take(RECIPIENTS_CONSIDERED);
        let addresses: Vec<Address> = recipients.map(|recipient| recipient.address.clone()).collect();
        let found = self.node.directory.recipients(&addresses).await;
        let home = |found: Option<DirectoryRecipient>| match found?.kind {
            RecipientKind::Mailbox { database, .. } => Some(database),
            RecipientKind::MailContact { .. } | RecipientKind::DistributionGroup { .. } => None,
        };
        found.into_iter().map(|answer| Ok(home(answer?))).collect()
    }
}

/// A number as good as random, always the same for a message.
fn turn_of(id: MessageId) -> u64 {
    let octets: [u8; 8] = id.as_bytes()[8..].try_into().expect("an id has 16 octets");
    u64::from_be_bytes(octets)
}

fn no_transport() -> Failure {
    let reason = "no Transport service is known".to_owned();
    Failure::Transient { status: EnhancedStatus::new(4, 4, 0), reason }
}

impl From<Unsendable> for Failure {
    fn from(why: Unsendable) -> Self {
        Self::Permanent { status: why.status(), reason: why.to_string() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Transient { status: error.status().with_severity(Severity::Transient), reason: error.to_string() }
    }
}

impl From<directory::ReadError> for Failure {
    fn from(error: directory::ReadError) -> Self {
        Self::Transient { status: error.status(), reason: error.to_string() }
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Store(error) => error.into(),
            ScanError::Header(error) => Self::Permanent { status: error.status(), reason: error.to_string() },
        }
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let reply = error.to_reply();
        match reply.severity() {
            Severity::Permanent => Self::Permanent { status: reply.status_or_generic(), reason: reply.text.into() },
            Severity::Transient | Severity::Success => Self::Transient {
                status: reply.status_or_generic().with_severity(Severity::Transient),
                reason: error.to_string(),
            },
        }
    }
}
