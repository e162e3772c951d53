//! The sending side: one [`Peer`] per server and service, a few long-lived streams each, many messages in flight.
//!
//! A peer connects when it is first needed and again after a failure; it never retries a message by itself. Which server
//! to try next is a routing decision (RT-34 ff.) and is made by the caller.

mod channels;
mod connect;
mod link;
mod peer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use envelope::{ByteSize, MessageHead, MessageId, Receipt, ServerName};
use parking_lot::Mutex;

use crate::address::PeerAddress;
use crate::convert;
use crate::limits::PATIENCE;
use crate::security::Credentials;
use crate::transfer::{Content, Deliveries, History, TransferError};
use crate::wire::transfer::v1 as wire;
pub(crate) use channels::Channels;
pub use connect::{connect, connect_unknown, in_words, over};
use peer::{Peer, Served};
use wire::transfer_reply::Outcome;

/// Streams, each on a connection of its own, to one peer. Source: one HTTP/2 connection is bound by one lock; two keep
/// both sides busy.
pub const STREAMS_PER_PEER: usize = 2;
/// Requests that wait to be sent on one stream.
const REQUESTS_WAITING_MAX: usize = 32;
/// Time for TCP and TLS to a peer, and again for its first answer. Servers of one organization are near; a dead one is to
/// be left soon.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to every peer in use.
pub struct Peers {
    credentials: Arc<Credentials>,
    patience: Duration,
    known: Mutex<HashMap<(Served, PeerAddress), Arc<Peer>>>,
}

impl Peers {
    /// No connections yet; they will be made with these credentials.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>) -> Self {
        Self::with_patience(credentials, PATIENCE)
    }

    /// The same with another time after which a peer is left that gives no sign of a message, as tests want it.
    #[must_use]
    pub fn with_patience(credentials: Arc<Credentials>, patience: Duration) -> Self {
        Self { credentials, patience, known: Mutex::default() }
    }

    /// The credentials that connections are made with.
    #[must_use]
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// Hands a message to a Transport service. The receipt says that it is durable there.
    ///
    /// # Errors
    /// [`TransferError`]: the message is to be kept and sent again under the same id.
    pub async fn submit(
        &self,
        to: &PeerAddress,
        head: &MessageHead,
        content: Content,
    ) -> Result<Receipt, TransferError> {
        self.submit_begun(to, head.id, begin(head, Some(head.size)), content).await
    }

    /// Like [`Self::submit`], for a message that changes its server before its time: the other one goes on where this one
    /// stopped.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn hand_over(
        &self,
        to: &PeerAddress,
        head: &MessageHead,
        history: &History,
        content: Content,
    ) -> Result<Receipt, TransferError> {
        let history = Some(convert::history_to_wire(history));
        let begin = wire::Begin { history, ..begin(head, Some(head.size)) };
        self.submit_begun(to, head.id, begin, content).await
    }

    /// Like [`Self::submit`], for content whose length is not known before its end; `head.size` is not looked at. The
    /// message is whole when the content ends without an error.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub async fn submit_streamed(
        &self,
        to: &PeerAddress,
        head: &MessageHead,
        content: Content,
    ) -> Result<Receipt, TransferError> {
        self.submit_begun(to, head.id, begin(head, None), content).await
    }

    async fn submit_begun(
        &self,
        to: &PeerAddress,
        id: MessageId,
        begin: wire::Begin,
        content: Content,
    ) -> Result<Receipt, TransferError> {
        let peer = self.peer(Served::Transport, to);
        match peer.transfer(begin, content).await? {
            Outcome::Accepted(accepted) => {
                let holder = ServerName::parse(&accepted.server).map_err(|_| peer.lost("it named no server"))?;
                Ok(Receipt::after_commit(id, holder))
            }
            Outcome::Refused(reply) => Err(peer.refused(&reply)),
            Outcome::Deliveries(_) | Outcome::AtIt(_) => Err(peer.lost("it answered for another service")),
        }
    }

    /// Asks a Transport service whether a message may come now, before content is sent to it that cannot be sent to another
    /// one after that. One that does not know the question takes mail.
    ///
    /// # Errors
    /// [`TransferError`]: it would be refused, or nobody is there.
    pub async fn admitted(&self, to: &PeerAddress) -> Result<(), TransferError> {
        self.peer(Served::Transport, to).admitted().await
    }

    /// Hands a message to Mailbox Transport Delivery: one outcome per recipient.
    ///
    /// # Errors
    /// [`TransferError`] for the whole message; recipients may have it already, which the receiver will notice.
    pub async fn deliver(
        &self,
        to: &PeerAddress,
        head: &MessageHead,
        content: Content,
    ) -> Result<Deliveries, TransferError> {
        let peer = self.peer(Served::MailboxDelivery, to);
        match peer.transfer(begin(head, Some(head.size)), content).await? {
            Outcome::Deliveries(deliveries) if deliveries.deliveries.len() == head.envelope.recipients.len() => {
                convert::deliveries_from_wire(deliveries).map_err(|error| peer.lost(&error.to_string()))
            }
            Outcome::Refused(reply) => Err(peer.refused(&reply)),
            Outcome::Deliveries(_) | Outcome::Accepted(_) | Outcome::AtIt(_) => {
                Err(peer.lost("its answer does not fit the question"))
            }
        }
    }

    /// Connects to a Transport service, unless that has been done.
    ///
    /// # Errors
    /// [`TransferError::Unreachable`]
    pub async fn reach_transport(&self, at: &PeerAddress) -> Result<(), TransferError> {
        self.peer(Served::Transport, at).reach().await
    }

    /// Connects to a Mailbox Transport Delivery service, unless that has been done.
    ///
    /// # Errors
    /// [`TransferError::Unreachable`]
    pub async fn reach_delivery(&self, at: &PeerAddress) -> Result<(), TransferError> {
        self.peer(Served::MailboxDelivery, at).reach().await
    }

    fn peer(&self, served: Served, address: &PeerAddress) -> Arc<Peer> {
        let mut known = self.known.lock();
        if let Some(peer) = known.get(&(served, address.clone())) {
            return Arc::clone(peer);
        }
        // A server that moved leaves its old connections behind; they end with their last message.
        known.retain(|(other, old), _| *other != served || old.server != address.server);
        let peer = Arc::new(Peer::new(served, address.clone(), Arc::clone(&self.credentials), self.patience));
        known.insert((served, address.clone()), Arc::clone(&peer));
        peer
    }
}

/// What is said of a message before its content; `size` is that of the content, where it is known.
fn begin(head: &MessageHead, size: Option<ByteSize>) -> wire::Begin {
    let head = Some(convert::head_to_wire(head, size));
    wire::Begin { head, hears_signs: true, ..wire::Begin::default() }
}
