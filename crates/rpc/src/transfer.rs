//! What is transferred and how it can end, without any protobuf.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{ByteSize, EnhancedStatus, MessageHead, Receipt, Reply};
use futures::stream::BoxStream;
use net::PeerIdentity;

use crate::limits::SIGN_INTERVAL;

/// Content in pieces, in order.
pub type Content = BoxStream<'static, io::Result<Bytes>>;

/// A message from a peer. The content ends in an error when the peer gave up or sent another number of octets than it
/// stated: then nothing may be kept.
pub struct Incoming {
    /// Everything but the content. Its `size` is zero when `size` below is absent: count then.
    pub head: MessageHead,
    /// Octets of content, unless the peer did not know beforehand.
    pub size: Option<ByteSize>,
    /// What it went through on the server that it comes from, if that hands it over before its time.
    pub history: Option<History>,
    /// The content; exactly `size` octets when stated, or an error.
    pub content: Content,
    /// By which the peer is told that somebody is at it.
    pub signs: Signs,
    /// Whether it comes from an Edge server: what its header says of the organization is a stranger's word.
    pub stranger: bool,
}

/// What a message went through before it changed its server: it is no younger for that, and nobody is told twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Since it was accepted.
    pub age: Duration,
    /// One for each recipient, in the order of the envelope.
    pub recipients: Vec<RecipientHistory>,
}

/// What one recipient went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientHistory {
    /// Times that it was tried.
    pub attempts: u32,
    /// What was in the way last.
    pub last_error: Option<Box<str>>,
    /// The sender has been told that it is late (DS-20: once).
    pub delay_reported: bool,
}

/// Tells a peer that its message is being worked at, so that it does not give up ([`PATIENCE`](crate::limits::PATIENCE)). To be
/// used where it is certain that the wait has an end, and nowhere else: a disk that hangs must not look like work.
#[derive(Clone)]
pub struct Signs(Arc<dyn Fn() + Send + Sync>);

impl Signs {
    pub(crate) fn new(give: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(give))
    }

    /// Does `work`, and gives a sign whenever it has taken [`SIGN_INTERVAL`] more.
    pub async fn while_at<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(SIGN_INTERVAL) => (self.0)(),
            }
        }
    }
}

/// What Mailbox Transport Delivery says of one recipient (PL-13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientDelivery {
    /// It is in the mailbox, durably.
    Delivered,
    /// Not now; try again here.
    Retry(Reply),
    /// The database is active elsewhere: categorize again.
    Reroute(Reply),
    /// Never; send a non-delivery report.
    Failed(Reply),
}

/// One outcome per recipient, in the order of the envelope.
pub type Deliveries = Vec<RecipientDelivery>;

/// Takes messages over: Transport.
///
/// Messages of one peer share a stream. A handler that leaves content unread holds the others up once
/// [`CONTENT_WAITING_OCTETS_MAX`](crate::limits::CONTENT_WAITING_OCTETS_MAX) wait, so it must not wait for the end of
/// another message before it reads; to refuse, it drops the content and answers.
#[async_trait]
pub trait SubmitHandler: Send + Sync + 'static {
    /// Whether a message of this peer may come now. Answers at once.
    ///
    /// # Errors
    /// The reply that a message would be refused with.
    fn admits(&self, _peer: &PeerIdentity) -> Result<(), Reply> {
        Ok(())
    }

    /// Commits the message; the receipt becomes the acknowledgement.
    ///
    /// # Errors
    /// The reply that the sender is to be given; nothing has been taken.
    async fn submit(&self, peer: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply>;
}

/// Delivers messages: Mailbox Transport Delivery.
#[async_trait]
pub trait DeliverHandler: Send + Sync + 'static {
    /// Delivers to each recipient.
    ///
    /// # Errors
    /// A reply for the whole message; nothing has been delivered.
    async fn deliver(&self, peer: &PeerIdentity, message: Incoming) -> Result<Deliveries, Reply>;
}

/// Why a transfer has no outcome. Always transient: the message stays where it was and is sent again under its id, so
/// that one which had arrived after all is not taken twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// No connection: nothing was sent.
    #[error("cannot reach {peer}: {cause}")]
    Unreachable {
        /// Whom.
        peer: String,
        /// What happened, to the last cause.
        cause: String,
    },
    /// The connection ended before the acknowledgement.
    #[error("the connection to {peer} ended before the acknowledgement: {cause}")]
    Lost {
        /// Whom.
        peer: String,
        /// What happened.
        cause: String,
    },
    /// The content could not be read here.
    #[error("the content could not be read: {0}")]
    Content(String),
    /// The peer said no.
    #[error("{peer} answered {reply}")]
    Refused {
        /// Whom.
        peer: String,
        /// What it said, for whoever waits for the outcome.
        reply: Reply,
    },
}

impl TransferError {
    /// Whether another server may be tried at once: the peer is not there, or says so itself by a 4yz.
    #[must_use]
    pub fn is_peer_failure(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused { reply, .. } => reply.code < 500,
            Self::Content(_) => false,
        }
    }

    /// Whether it says nothing about the message: the peer is not there, goes away (RFC 5321 §3.8), or takes nobody's mail now
    /// ([`Reply::is_about_system`]). What waits for the peer is tried again as one.
    #[must_use]
    pub fn is_about_peer(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused { reply, .. } => reply.is_about_system(),
            Self::Content(_) => false,
        }
    }

    /// The reply to give to somebody who is waiting for the outcome.
    #[must_use]
    pub fn to_reply(&self) -> Reply {
        match self {
            Self::Refused { reply, .. } => reply.clone(),
            Self::Unreachable { .. } | Self::Lost { .. } => Reply::new(
                451,
                EnhancedStatus::new(4, 4, 0),
                "Temporary server error; no transport service is available",
            ),
            Self::Content(_) => {
                Reply::new(451, EnhancedStatus::new(4, 3, 0), "Temporary server error; the message was cut short")
            }
        }
    }
}
