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
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use envelope::{
    Address, EnhancedStatus, MessageHead, MessageId, ObjectName, Origin, OriginKind, Receipt, Reply, Revision, Severity,
};
use handover::{Candidates, NotHandedOver, Offered, Taker};
use logs::tracking::{self, EventId, Source, TrackingEvent};
use logs::{Log, LogSettings};
use mailbox_store::{Held, OutboxItem, Stay, StoreError, Watcher};
use net::Progress;
use parking_lot::Mutex;
use routing::RECIPIENTS_CONSIDERED;
use rpc::{Content, TransferError};
use runtime::{Node, Turns, service_logs};
use telemetry::{Hop, HopName, HopOutcome, keys};
use tokio_util::sync::CancellationToken;
use topology::{DirectoryRecipient, RecipientKind};

use crate::backoff::Backoff;
use crate::compose::{Composed, Context, Unsendable, compose};
use crate::scan::{Outgoing, ScanError, scan};

/// How long the disk of a database is waited for at each step: 30 s. One that is alive answers within a few.
const HUNG_AFTER: Duration = Duration::from_secs(30);
/// Messages remembered that are done with and cannot be moved: 100,000, some 10 MB.
const UNMOVED_MAX: usize = 100_000;
/// Files of the message tracking log (LG-16).
const TRACKING_PREFIX: &str = "MSGTRKMS";
/// Name of the source in logs and queue tools.
const SOURCE: &str = "Outbox";

/// What the tasks of all databases share.
pub(crate) struct Core {
    pub(crate) node: Arc<Node>,
    /// Of the outboxes of all services of this process.
    pub(crate) watcher: Watcher,
    /// Messages being submitted: as many at once as `MaxConcurrentMailboxSubmissions` says.
    submissions: Turns,
    /// Messages that are done with and were not moved out of their outboxes yet, as on a full disk: only that is tried again.
    /// Submitted once more, they would go to another Transport, which does not know them.
    unmoved: Mutex<HashMap<MessageId, Done>>,
    /// Whether it gets on: an end is waited for as long as it does.
    pub(crate) progress: Progress,
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

/// Messages of one database being submitted at once: half of what the server may submit, so that a database whose disk does
/// not answer leaves the others their turns.
pub(crate) fn database_submissions_max(node: &Node) -> usize {
    (submissions_max(node) / 2).max(1)
}

/// `MaxConcurrentMailboxSubmissions` (limits §3).
fn submissions_max(node: &Node) -> usize {
    node.tables().local_server().mailbox_transport.max_concurrent_mailbox_submissions as usize
}

impl Core {
    pub(crate) fn new(node: Arc<Node>, watcher: Watcher) -> Self {
        let settings = LogSettings {
            folder: tracking::folder(&node.settings.state),
            prefix: TRACKING_PREFIX,
            version: runtime::node::VERSION,
        };
        let lost = node.metrics.tracking_lost.clone();
        let tracking = Log::new(settings, move || lost.increment());
        service_logs::follow(&node, tracking.rules(), service_logs::message_tracking);
        let submissions = Turns::new(submissions_max(&node));
        Self { tracking, node, watcher, submissions, unmoved: Mutex::default(), progress: Progress::default() }
    }

    /// Submits a message, again and again if need be, until it is settled, or `stop`, or it is to wait in its outbox. `turns`
    /// are those of its database.
    pub(crate) async fn handle(&self, item: OutboxItem, turns: &Turns, stop: &CancellationToken) -> Settled {
        let id = item.message_id();
        let done = self.unmoved.lock().get(&id).cloned();
        if let Some(done) = done {
            return match (turn_of(turns, database_submissions_max(&self.node), stop).await, stay(&item).await) {
                (Some(turn), Ok(_stay)) => self.move_away(item, done, turn).await,
                _ => Settled::No,
            };
        }
        let mut hop = self.node.tracer.start(HopName::Submit, None, self.node.clock.now());
        hop.attribute(keys::MESSAGE_ID, &id);
        let mut backoff = Backoff::default();
        loop {
            let Some(turn) = turn_of(turns, database_submissions_max(&self.node), stop).await else {
                return Settled::No;
            };
            // Until it is settled the database does not leave: on another server it would be submitted once more.
            let Ok(stay) = stay(&item).await else { return Settled::No };
            let attempted = self.attempt(&item, Arc::clone(&turn), &mut hop).await;
            self.progress.step();
            match attempted {
                Ok(receipt) => return self.sent(item, hop, &receipt, turn).await,
                Err(Failure::Permanent { status, reason }) => {
                    return self.rejected(item, hop, status, &reason, turn).await;
                }
                Err(Failure::TakenBack) => return Settled::Yes,
                Err(Failure::Transient { status, reason }) => {
                    tracing::warn!(message = %id, mailbox = %item.mailbox(), %status, reason, "not submitted yet");
                    let reply = Reply::new(451, status, reason);
                    hop.event("not submitted yet", self.node.clock.now(), |event| event.set(keys::REPLY, &reply));
                }
            }
            drop(stay);
            if backoff.is_longest() || !backoff.wait(stop).await {
                return Settled::No;
            }
        }
    }

    async fn sent(&self, item: OutboxItem, hop: Hop, receipt: &Receipt, turn: Held) -> Settled {
        hop.end(self.node.clock.now(), HopOutcome::Done);
        tracing::info!(message = %receipt.message(), mailbox = %item.mailbox(), holder = %receipt.holder(), "submitted");
        self.move_away(item, Done::Sent, turn).await
    }

    /// The owner finds the message in another folder, with the reason.
    async fn rejected(&self, item: OutboxItem, hop: Hop, status: EnhancedStatus, reason: &str, turn: Held) -> Settled {
        let id = item.message_id();
        hop.end(self.node.clock.now(), HopOutcome::Failed { status, cause: &reason });
        tracing::info!(message = %id, mailbox = %item.mailbox(), %status, reason, "cannot be sent");
        self.move_away(item, Done::Rejected(format!("{status} {reason}")), turn).await
    }

    async fn move_away(&self, item: OutboxItem, done: Done, turn: Held) -> Settled {
        let (id, root) = (item.message_id(), item.database().root().to_owned());
        // Known before the move: once it has failed the item is let go, and may be offered before that is known here.
        {
            let mut unmoved = self.unmoved.lock();
            if unmoved.len() < UNMOVED_MAX {
                unmoved.insert(id, done.clone());
            }
        }
        let moving = async {
            match &done {
                Done::Sent => item.sent(turn).await,
                Done::Rejected(reason) => item.rejected(reason, turn).await,
            }
        };
        match answered(&root, moving).await.and_then(|moved| moved) {
            Ok(()) => {
                self.unmoved.lock().remove(&id);
                Settled::Yes
            }
            Err(error) => {
                tracing::error!(message = %id, %error, "a message stays in its outbox although it is done with");
                Settled::No
            }
        }
    }

    async fn attempt(&self, item: &OutboxItem, turn: Held, hop: &mut Hop) -> Result<Receipt, Failure> {
        let owner = self.owner(item).await?;
        // Read before it is the message's turn on this server: a disk that does not answer must not hold that.
        let scan = answered(item.database().root(), scan(item, Arc::clone(&turn))).await??.ok_or(Failure::TakenBack)?;
        let _turn_of_server = self.submissions.take(submissions_max(&self.node)).await;
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
        let homes = self.homes(&head).await?;
        let mut candidates = Candidates::of_submission(&self.node, &tables, &homes, head.id);
        let mut offered = Outbound { item, head: &head, outgoing: &outgoing, turn, progress: &self.progress };
        let receipt = candidates.hand_over(&mut offered).await?.receipt;
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

/// A message of an outbox, read anew for each Transport.
struct Outbound<'a> {
    item: &'a OutboxItem,
    head: &'a MessageHead,
    outgoing: &'a Outgoing,
    turn: Held,
    progress: &'a Progress,
}

#[async_trait]
impl Offered for Outbound<'_> {
    type Unreadable = Failure;

    async fn open(&mut self, _: &Taker) -> Result<(MessageHead, Content), Failure> {
        self.progress.step();
        let content =
            answered(self.item.database().root(), self.outgoing.open(self.item, Arc::clone(&self.turn))).await??;
        Ok((self.head.clone(), content.ok_or(Failure::TakenBack)?))
    }
}

/// One of the turns of a database. Who stops does not wait for those that a disk keeps.
async fn turn_of(turns: &Turns, wanted: usize, stop: &CancellationToken) -> Option<Held> {
    Some(Arc::new(stop.run_until_cancelled(turns.take(wanted)).await?))
}

/// Waits for the disk of a database, as long as it may take. A thread that waits for it longer keeps its database's turn.
async fn answered<T>(database: &Path, work: impl Future<Output = T>) -> Result<T, StoreError> {
    let hung = |_| StoreError::Hung { path: database.to_owned(), waited: HUNG_AFTER };
    tokio::time::timeout(HUNG_AFTER, work).await.map_err(hung)
}

/// The right to submit out of the database of a message.
async fn stay(item: &OutboxItem) -> Result<Stay, StoreError> {
    let database = item.database();
    answered(database.root(), database.stay()).await.and_then(|stay| stay)
}

impl From<NotHandedOver<Self>> for Failure {
    fn from(why: NotHandedOver<Self>) -> Self {
        match why {
            NotHandedOver::Unreadable(failure) => failure,
            NotHandedOver::Refused(error) | NotHandedOver::Nobody(Some(error)) => error.into(),
            NotHandedOver::Nobody(None) => {
                let reason = "no Transport service is known".to_owned();
                Self::Transient { status: EnhancedStatus::new(4, 4, 0), reason }
            }
        }
    }
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
