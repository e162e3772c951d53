//! One service of one server: makes streams when they are needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use envelope::Service;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt};
use net::Progress;
use parking_lot::Mutex;

use super::link::{Link, LinkError, line};
use super::{CONNECT_TIMEOUT, PeerAddress, REQUESTS_WAITING_MAX, STREAMS_PER_PEER, connect, in_words};
use crate::convert;
use crate::security::Credentials;
use crate::transfer::{Content, TransferError};
use crate::wire::transfer::v1 as wire;
use wire::mailbox_delivery_client::MailboxDeliveryClient;
use wire::transfer_reply::Outcome;
use wire::transport_client::TransportClient;

/// What a peer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Served {
    Transport,
    MailboxDelivery,
}

impl Served {
    fn service(self) -> Service {
        match self {
            Self::Transport => Service::Transport,
            Self::MailboxDelivery => Service::MailboxDelivery,
        }
    }
}

/// An attempt to open a stream, shared by all who wait for it, and its result.
type Attempt = Shared<BoxFuture<'static, Result<Arc<Link>, Arc<str>>>>;

/// One service of one server.
pub(super) struct Peer {
    served: Served,
    address: PeerAddress,
    credentials: Arc<Credentials>,
    patience: Duration,
    next: AtomicUsize,
    /// Each with the renewals of our certificate until it was begun.
    links: [Mutex<Option<(u64, Attempt)>>; STREAMS_PER_PEER],
}

impl Peer {
    pub(super) fn new(served: Served, address: PeerAddress, credentials: Arc<Credentials>, patience: Duration) -> Self {
        let links = std::array::from_fn(|_| Mutex::new(None));
        Self { served, address, credentials, patience, next: AtomicUsize::new(0), links }
    }

    pub(super) async fn transfer(&self, begin: wire::Begin, content: Content) -> Result<Outcome, TransferError> {
        let link = self.link().await?;
        let sent = link.send(begin, content).await;
        let outcome = match sent {
            Ok(sent) => sent.outcome().await,
            Err(error) => Err(error),
        };
        outcome.map_err(|error| match error {
            LinkError::Ended(cause) => self.lost(&cause),
            LinkError::Content(cause) => TransferError::Content(cause),
        })
    }

    /// Makes sure that there is a live stream.
    pub(super) async fn reach(&self) -> Result<(), TransferError> {
        self.link().await.map(drop)
    }

    pub(super) async fn admitted(&self) -> Result<(), TransferError> {
        let link = self.link().await?;
        let mut client = TransportClient::new(link.channel());
        let asking = tokio::time::timeout(CONNECT_TIMEOUT, client.admit(wire::AdmitRequest {}));
        let answer = asking.await.map_err(|_| self.lost("no answer in time"))?;
        match answer.map(tonic::Response::into_inner) {
            Ok(wire::AdmitReply { refused: Some(reply) }) => Err(self.refused(&reply)),
            Ok(wire::AdmitReply { refused: None }) => Ok(()),
            Err(status) if status.code() == tonic::Code::Unimplemented => Ok(()),
            Err(status) => Err(self.lost(&in_words(&status))),
        }
    }

    async fn link(&self) -> Result<Arc<Link>, TransferError> {
        let unreachable =
            |cause: Arc<str>| TransferError::Unreachable { peer: self.address.to_string(), cause: cause.to_string() };
        self.attempt().await.map_err(unreachable)
    }

    /// A live stream, or the attempt to make one. Those who come while it is being made share its outcome, good or bad:
    /// nobody waits for another's attempt and then for one of his own.
    fn attempt(&self) -> Attempt {
        let slot = &self.links[self.next.fetch_add(1, Ordering::Relaxed) % STREAMS_PER_PEER];
        let mut slot = slot.lock();
        let renewals = self.credentials.renewals();
        let usable = |(made, attempt): &&(u64, Attempt)| match attempt.peek() {
            None => *made == renewals,
            Some(Ok(link)) => *made == renewals && link.is_open(),
            Some(Err(_)) => false,
        };
        if let Some((_, attempt)) = slot.as_ref().filter(usable) {
            return attempt.clone();
        }
        // A task of its own: the attempt goes on when the caller that began it is cancelled.
        let (credentials, patience) = (Arc::clone(&self.credentials), self.patience);
        let task = tokio::spawn(open(self.served, self.address.clone(), credentials, patience));
        let attempt = async move { task.await.unwrap_or_else(|error| Err(error.to_string().into())) };
        let attempt = attempt.boxed().shared();
        *slot = Some((renewals, attempt.clone()));
        attempt
    }

    pub(super) fn lost(&self, cause: &str) -> TransferError {
        TransferError::Lost { peer: self.address.to_string(), cause: cause.to_owned() }
    }

    pub(super) fn refused(&self, reply: &wire::Reply) -> TransferError {
        match convert::reply_from_wire(reply) {
            Ok(reply) => TransferError::Refused { peer: self.address.to_string(), reply },
            Err(error) => self.lost(&error.to_string()),
        }
    }
}

async fn open(
    served: Served,
    address: PeerAddress,
    credentials: Arc<Credentials>,
    patience: Duration,
) -> Result<Arc<Link>, Arc<str>> {
    let channel = connect(&address, Some(served.service()), &credentials).await?;
    let (same, moving) = (channel.clone(), Progress::default());
    let (requests, outgoing) = line(REQUESTS_WAITING_MAX, moving.clone());
    let opened = async {
        match served {
            Served::Transport => TransportClient::new(channel).submit(outgoing).await,
            Served::MailboxDelivery => MailboxDeliveryClient::new(channel).deliver(outgoing).await,
        }
    };
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, opened).await.map_err(|_| "no answer in time")?;
    let replies = opened.map_err(|status| in_words(&status))?.into_inner();
    Ok(Link::open(same, requests, replies.boxed(), moving, patience))
}
