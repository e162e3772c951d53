//! Queues and the messages in them, as the documented commands look at them and act upon them. [`Queues`] is what whoever embeds
//! the commands implements: it asks running servers. Nothing of a service is known here.

mod act;
mod catalogue;
mod digest;
pub(crate) mod filter;
mod identity;
pub(crate) use identity::server as server_of;
mod list;
mod look;
mod show;

use envelope::{ByteSize, ServerName, Timestamp};

pub(crate) use act::act;
pub(crate) use catalogue::signatures;
pub(crate) use digest::digest;
pub(crate) use look::{Ground, messages, queues};
pub(crate) use show::{assemble, view};

/// Running servers with queues.
pub trait Queues {
    /// Every queue of a server.
    ///
    /// # Errors
    /// Why it cannot be asked, and what to do.
    fn queues(&mut self, server: &ServerName) -> Result<Vec<QueueInfo>, String>;

    /// Messages of a server.
    ///
    /// # Errors
    /// As [`Queues::queues`].
    fn messages(&mut self, server: &ServerName, wanted: &WantedMessages) -> Result<Vec<MessageInfo>, String>;

    /// Does one thing to each of some queues or messages of a server; what came of each, in their order: an error says why it was
    /// refused, or else what is to be known of it.
    ///
    /// # Errors
    /// Why the server cannot be asked.
    fn act(
        &mut self,
        server: &ServerName,
        action: QueueAction,
        on: &[QueueTarget],
        command: &str,
    ) -> Result<Vec<Result<(), String>>, String>;

    /// Has a server take no new mail and send what waits to another.
    ///
    /// # Errors
    /// Why not.
    fn redirect(&mut self, server: &ServerName, target: &ServerName, command: &str) -> Result<(), String>;

    /// A suspended message as a file for a Replay directory.
    ///
    /// # Errors
    /// Why not.
    fn export(&mut self, server: &ServerName, on: QueueTarget, command: &str) -> Result<Vec<u8>, String>;
}

/// What is done to a queue or to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueAction {
    /// `Retry-Queue`
    RetryQueue,
    /// `Retry-Queue -Resubmit $true`
    ResubmitQueue,
    /// `Suspend-Queue`
    SuspendQueue,
    /// `Resume-Queue`
    ResumeQueue,
    /// `Suspend-Message`
    SuspendMessage,
    /// `Resume-Message`
    ResumeMessage,
    /// `Remove-Message`
    RemoveMessage {
        /// Whether its sender is told.
        with_ndr: bool,
    },
}

/// A queue of a server, or a message in it, by integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTarget {
    /// The queue.
    pub queue: u64,
    /// The message.
    pub message: Option<u64>,
}

/// Which messages are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedMessages {
    /// Those of this queue.
    pub queue: Option<u64>,
    /// That of this integer, in each queue.
    pub message: Option<u64>,
    /// With what their header says of them: their content is opened for it.
    pub header: bool,
    /// Not more than these; none for as many as are told at once.
    pub limit: Option<u32>,
}

/// A queue, under its documented names.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueInfo {
    /// The queue integer.
    pub number: u64,
    /// `Submission`, `Unreachable`, `Poison`, or that of its next hop.
    pub name: String,
    /// `DeliveryType`
    pub delivery_type: String,
    /// `NextHopDomain`
    pub next_hop_domain: String,
    /// `NextHopConnector`
    pub next_hop_connector: String,
    /// `NextHopCategory`
    pub next_hop_category: String,
    /// `TlsDomain`
    pub tls_domain: Option<String>,
    /// `Status`
    pub status: String,
    /// `MessageCount`
    pub message_count: u64,
    /// `DeferredMessageCount`
    pub deferred_message_count: u64,
    /// `RetryCount`
    pub retry_count: u32,
    /// `FirstRetryTime`
    pub first_retry: Option<Timestamp>,
    /// `LastRetryTime`
    pub last_retry: Option<Timestamp>,
    /// `NextRetryTime`
    pub next_retry: Option<Timestamp>,
    /// `LastError`
    pub last_error: Option<String>,
    /// `IncomingRate`
    pub incoming_rate: f64,
    /// `OutgoingRate`
    pub outgoing_rate: f64,
}

/// A message in a queue, under its documented names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageInfo {
    /// The message integer.
    pub number: u64,
    /// The integer of its queue.
    pub queue: u64,
    /// The name of its queue.
    pub queue_name: String,
    /// Its id on the server.
    pub id: String,
    /// `Status`
    pub status: String,
    /// `FromAddress`; `<>` for nobody.
    pub from: String,
    /// Those that wait in this queue.
    pub recipients: Vec<String>,
    /// `Size`
    pub size: ByteSize,
    /// `DateReceived`
    pub received: Timestamp,
    /// `ExpirationTime`
    pub expires: Timestamp,
    /// `RetryCount`
    pub retry_count: u32,
    /// `LastError`
    pub last_error: Option<String>,
    /// `MessageSourceName`
    pub source: String,
    /// Whether somebody of the organization sent it.
    pub originating: bool,
    /// `Subject`, where it was asked for.
    pub subject: Option<String>,
    /// `InternetMessageId`, where it was asked for.
    pub internet_message_id: Option<String>,
    /// `SCL`, where it was asked for and the header says one.
    pub scl: Option<i32>,
    /// `SmtpRelayToDag`, …, and where to; none as long as it is not decided.
    pub final_destination: Option<String>,
}
