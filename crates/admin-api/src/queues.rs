//! What an administrator may see of a Transport, its queues, the messages in them, and which other servers failed lately; and
//! what he does to them.
//!
//! ```text
//!   Administrator::messages(server) ──▶ Read(Queues) ──▶ QueueHandler (Transport)
//!                     one entry after the other ◀── as fast as they are read
//!   Administrator::operate(…) ───────▶ Change(Queues) ──▶ QueueHandler ──▶ audit log
//! ```
//!
//! Looking changes nothing. Lists are streamed: neither side holds a long queue in memory. What is done is done to queues and
//! messages by their integers, as they were told: nothing that came meanwhile is touched.

pub(crate) mod audit;
pub(crate) mod convert;
pub mod operation;
mod server;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Address, ByteSize, MessageId, ReversePath, Revision, ServerName, Timestamp};
use futures::stream::BoxStream;
use topology::Guid;

pub use operation::{Caller, Operated, Operation, Outcome, TARGETS_MAX, Target};
pub(crate) use server::{QueuesService, wanted};

/// Messages that are listed unless more are asked for (QU-57).
pub const MESSAGES_DEFAULT: u32 = 1_000;
/// Messages that are listed at most (QU-57).
pub const MESSAGES_MAX: u32 = 250_000;

/// One queue (docs/rules.md, Queues). Names are the documented ones.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueEntry {
    /// The queue's integer (QU-24 gives messages theirs): the same as long as the queue lives.
    pub number: u64,
    /// `Submission`, `Unreachable`, or the next hop's domain.
    pub name: Box<str>,
    /// `SmtpRelayToDag`, …
    pub delivery_type: Box<str>,
    /// The queue's `NextHopDomain`.
    pub next_hop_domain: Box<str>,
    /// GUID; zeros when there is none.
    pub next_hop_connector: Box<str>,
    /// Name of the Send connector, when it is one.
    pub connector: Option<Box<str>>,
    /// `Active`, `Connecting`, `Ready`, `Retry`, `Suspended`.
    pub status: Box<str>,
    /// Messages in it, those in connections among them.
    pub message_count: u64,
    /// Of these, waiting because somebody deferred that very message.
    pub deferred_message_count: u64,
    /// Connections open or being opened.
    pub connections: u32,
    /// Failures in a row.
    pub retry_count: u32,
    /// When it is tried again, in Retry.
    pub next_retry: Option<Timestamp>,
    /// The full cause of the last failure.
    pub last_error: Option<Box<str>>,
    /// Messages per second that entered, over the last minute (QU-32).
    pub incoming_rate: f64,
    /// Messages per second that left, over the last minute (QU-32).
    pub outgoing_rate: f64,
    /// Servers in the order of attempts; empty where this server delivers itself.
    pub targets: Vec<TargetEntry>,
    /// When the first of these failures was.
    pub first_failure: Option<Timestamp>,
    /// When the last failure was.
    pub last_failure: Option<Timestamp>,
    /// `Internal`, `External` (QU-21).
    pub next_hop_category: Box<str>,
    /// `TlsDomain`: the destination, where Domain Security secures it (TA-46).
    pub tls_domain: Option<Box<str>>,
}

impl QueueEntry {
    /// QU-32: above zero, the queue drains.
    #[must_use]
    pub fn velocity(&self) -> f64 {
        self.outgoing_rate - self.incoming_rate
    }
}

/// A server that is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEntry {
    /// Whose queue it is.
    pub server: Box<str>,
    /// Where that server stands.
    pub site: Box<str>,
    /// Why it stands here: a rule such as `RT-34`.
    pub rule: Box<str>,
}

/// One message in one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageEntry {
    /// Its id on that server.
    pub id: MessageId,
    /// The queue's integer.
    pub queue: u64,
    /// As `postroad queue` names it, such as `MAIL1\3` or `MAIL1\Submission`.
    pub queue_name: Box<str>,
    /// `Active`, `Ready`, `Retry`, `Suspended`, `PendingSuspend`, `PendingRemove`.
    pub status: Box<str>,
    /// Who sent it.
    pub sender: ReversePath,
    /// Recipients that wait in this queue.
    pub recipients: Vec<Address>,
    /// Octets of content.
    pub size: ByteSize,
    /// When the server took it over.
    pub arrived: Timestamp,
    /// Attempts that failed.
    pub retry_count: u32,
    /// Why it still waits.
    pub last_error: Option<Box<str>>,
    /// When it is tried again, if that is known.
    pub next_retry: Option<Timestamp>,
    /// What routing decided; none as long as it has not.
    pub decision: Option<DecisionEntry>,
    /// Of its trace, which is the same on every server.
    pub trace: Option<Box<str>>,
    /// `Subject`, where it was asked for.
    pub subject: Option<Box<str>>,
    /// `Message-ID` with angle brackets, where it was asked for.
    pub internet_message_id: Option<Box<str>>,
    /// Its integer on that server, the same in each of its queues (QU-24).
    pub number: u64,
    /// When it is given up (QU-42).
    pub expires: Timestamp,
    /// `MessageSourceName`: `SMTP:` and the Receive connector, `DSN`, …
    pub source: Box<str>,
    /// Whether somebody of the organization sent it.
    pub originating: bool,
    /// Spam confidence level, where it was asked for and the header says one.
    pub scl: Option<i32>,
}

/// What routing decided for a message, and by which configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionEntry {
    /// The configuration.
    pub revision: Revision,
    /// `SmtpRelayToDag`, …
    pub delivery_type: Box<str>,
    /// Where to.
    pub next_hop_domain: Box<str>,
    /// The Send connector, when one was chosen.
    pub connector: Option<Box<str>>,
    /// The rule by which the message stands where it stands, such as `RT-34`.
    pub rule: Box<str>,
}

/// What one process knows of a service of another server (RT-24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerEntry {
    /// Which server.
    pub server: ServerName,
    /// Which service.
    pub service: envelope::Service,
    /// It failed lately and has not succeeded since: tried last among its equals.
    pub failed: bool,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub failing_since: Option<Timestamp>,
    /// When the last of them was.
    pub last_failure: Option<Timestamp>,
    /// When it worked last.
    pub last_success: Option<Timestamp>,
    /// Why it failed last.
    pub last_error: Option<Box<str>>,
}

/// What a Delivery Agent or Foreign connector meets now on one of its source servers (EN-61, EN-65, EN-66).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayEntry {
    /// Which connector.
    pub connector: Guid,
    /// What there is.
    pub state: GatewayState,
}

/// Who or what takes the mail of a connector that is not for SMTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayState {
    /// Connections of delivery agents for its protocol.
    Agents {
        /// They wait for mail.
        free: u32,
        /// They have some.
        at_work: u32,
    },
    /// Its Drop directory.
    Drop {
        /// Where; empty where the settings name no folder.
        directory: Box<str>,
        /// What is in it, where that can be counted.
        held: Option<ByteSize>,
        /// Why no file can be written now.
        trouble: Option<Box<str>>,
    },
}

/// Which messages are listed: those for which everything that is named holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagesRequest {
    /// Those of this queue.
    pub queue: Option<u64>,
    /// Those of the queue of this name, in any case.
    pub queue_name: Option<Box<str>>,
    /// Those of this sender: an address, `@domain`, `name@`, or `<>`.
    pub sender: Option<Box<str>>,
    /// Those that still wait for such a recipient.
    pub recipient: Option<Box<str>>,
    /// Those that the server took over before this time.
    pub arrived_before: Option<Timestamp>,
    /// That of this integer (QU-24).
    pub number: Option<u64>,
    /// Their subject and `Message-ID` are told too: their content is opened for it.
    pub header: bool,
    /// Not more than these; at most [`MESSAGES_MAX`].
    pub limit: u32,
}

impl Default for MessagesRequest {
    fn default() -> Self {
        Self {
            queue: None,
            queue_name: None,
            sender: None,
            recipient: None,
            arrived_before: None,
            number: None,
            header: false,
            limit: MESSAGES_DEFAULT,
        }
    }
}

impl MessagesRequest {
    /// Whether a message is one of those that are listed.
    #[must_use]
    pub fn wants(&self, message: &MessageEntry) -> bool {
        let same = |wanted: &str, name: &str| wanted.eq_ignore_ascii_case(name);
        let recipients = || message.recipients.iter().map(Address::as_str);
        self.queue.is_none_or(|number| number == message.queue)
            && self.number.is_none_or(|number| number == message.number)
            && self.queue_name.as_ref().is_none_or(|name| same(name, &message.queue_name))
            && self.sender.as_ref().is_none_or(|wanted| logs::search::is_address(wanted, message.sender.shown()))
            && self.arrived_before.is_none_or(|time| message.arrived < time)
            && self
                .recipient
                .as_ref()
                .is_none_or(|wanted| recipients().any(|address| logs::search::is_address(wanted, address)))
    }
}

/// Why a message cannot be exported, or the redirection not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone(pub Box<str>);

/// Octets of a message that is exported, as they are read.
pub type ExportedContent = BoxStream<'static, Result<Bytes, NotDone>>;

/// Tells what there is, and acts upon it: Transport.
#[async_trait]
pub trait QueueHandler: Send + Sync + 'static {
    /// Every queue, persistent ones first.
    fn queues(&self) -> Vec<QueueEntry>;
    /// Messages in their queues, read as they are asked for.
    fn messages(&self, request: MessagesRequest) -> BoxStream<'static, MessageEntry>;
    /// Services of other servers that this process has spoken to.
    fn peers(&self) -> Vec<PeerEntry>;
    /// What connectors that are not for SMTP meet here now.
    async fn gateways(&self) -> Vec<GatewayEntry>;
    /// Does it to one queue or message.
    async fn operate(&self, operation: Operation, target: Target) -> Operated;
    /// Sends what waits for a next hop to that server and takes no new mail; or ends that.
    ///
    /// # Errors
    /// [`NotDone`]
    async fn redirect(&self, target: Option<&ServerName>) -> Result<(), NotDone>;
    /// A suspended message as a file for a Replay directory (QU-59), with what it is.
    ///
    /// # Errors
    /// [`NotDone`]
    async fn export(&self, target: Target) -> (Operated, Result<ExportedContent, NotDone>);
}
