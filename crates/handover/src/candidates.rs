//! One candidate after the other, until one takes the message, one speaks for all, or nobody is left.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::{MessageHead, Receipt, ServerName};
use net::Service;
use routing::Attempt;
use rpc::{Content, History, PeerAddress, TransferError};
use runtime::Node;

/// Who may take a message and has not been asked.
pub struct Candidates {
    node: Arc<Node>,
    waiting: VecDeque<Attempt>,
    /// Of those asked, one that is there and did not want it.
    refused: Option<TransferError>,
    /// One that is not there, goes away, or takes nothing from anybody.
    absent: Option<TransferError>,
}

/// A server whose Transport may take the message.
#[derive(Clone, Debug)]
pub struct Taker {
    /// Where its Transport is.
    pub address: PeerAddress,
    /// Why it stands where it stands.
    pub attempt: Attempt,
}

/// A message to be offered whole, as often as there are candidates.
#[async_trait]
pub trait Offered: Send {
    /// Why its content cannot be read.
    type Unreadable: Send;

    /// The message as this candidate is to get it, with its content from the beginning.
    ///
    /// # Errors
    /// When it cannot be read: then nobody gets it.
    async fn open(&mut self, candidate: &Taker) -> Result<(MessageHead, Content), Self::Unreadable>;

    /// What it went through here, if it changes its server before its time.
    fn history(&self) -> Option<&History> {
        None
    }

    /// What came of an offer.
    fn answered(&mut self, _candidate: &Taker, _outcome: &Result<Receipt, TransferError>) {}
}

/// A Transport has it.
#[derive(Debug)]
pub struct Taken {
    /// The proof.
    pub receipt: Receipt,
    /// Whom it was handed to.
    pub by: ServerName,
}

/// Why no Transport has it; it is still here.
#[derive(Debug)]
pub enum NotHandedOver<U> {
    /// Its content cannot be read.
    Unreadable(U),
    /// One has said no for all, or the content broke off.
    Refused(TransferError),
    /// Nobody has taken it, each for a reason of its own; the last one, if anybody was asked.
    Nobody(Option<TransferError>),
}

impl Candidates {
    pub(crate) fn new(node: &Arc<Node>, attempts: impl IntoIterator<Item = Attempt>) -> Self {
        Self { node: Arc::clone(node), waiting: attempts.into_iter().collect(), refused: None, absent: None }
    }

    /// The next one that can be found.
    pub async fn next(&mut self) -> Option<Taker> {
        while let Some(attempt) = self.waiting.pop_front() {
            if let Some(address) = self.node.find(&attempt.server, Service::Transport).await {
                return Some(Taker { address, attempt });
            }
            // Looking for its name takes time: the next message asks others first.
            const UNKNOWN: &str = "the address of a Transport service is not known";
            self.node.health.failed(&attempt.server, Service::Transport, &UNKNOWN);
            tracing::warn!(server = %attempt.server, "{UNKNOWN}");
        }
        None
    }

    /// The next one that answers.
    ///
    /// # Errors
    /// Nobody does.
    pub async fn reach(&mut self) -> Result<Taker, Option<TransferError>> {
        while let Some(candidate) = self.next().await {
            match self.node.peers.reach_transport(&candidate.address).await {
                Ok(()) => {
                    self.took(&candidate);
                    return Ok(candidate);
                }
                Err(error) => self.passed_over(&candidate, error).map_err(Some)?,
            }
        }
        Err(self.why())
    }

    /// It has taken the message, or at least it is there.
    pub fn took(&self, candidate: &Taker) {
        self.node.health.succeeded(&candidate.attempt.server, Service::Transport);
    }

    /// It has not taken it.
    ///
    /// # Errors
    /// Nobody else may be asked: what it says holds for all.
    pub fn passed_over(&mut self, candidate: &Taker, error: TransferError) -> Result<(), TransferError> {
        if !error.is_peer_failure() {
            return Err(error);
        }
        self.node.health.failed(&candidate.attempt.server, Service::Transport, &error);
        if error.is_about_peer() {
            self.absent = Some(error)
        } else {
            self.refused = Some(error)
        }
        Ok(())
    }

    /// Why nobody has taken it. Whoever is there and does not want it says more than who is not.
    pub fn why(&mut self) -> Option<TransferError> {
        let absent = self.absent.take();
        self.refused.take().or(absent)
    }

    /// Offers a message to one after the other.
    ///
    /// # Errors
    /// [`NotHandedOver`]
    pub async fn hand_over<O: Offered>(&mut self, message: &mut O) -> Result<Taken, NotHandedOver<O::Unreadable>> {
        while let Some(candidate) = self.next().await {
            let (head, content) = message.open(&candidate).await.map_err(NotHandedOver::Unreadable)?;
            let peers = &self.node.peers;
            let outcome = match message.history() {
                // What is rare is in a box, so that nothing makes room for it.
                Some(history) => Box::pin(peers.hand_over(&candidate.address, &head, history, content)).await,
                None => peers.submit(&candidate.address, &head, content).await,
            };
            message.answered(&candidate, &outcome);
            match outcome {
                Ok(receipt) => {
                    self.took(&candidate);
                    return Ok(Taken { receipt, by: candidate.attempt.server });
                }
                Err(error) => {
                    tracing::warn!(message = %head.id, %error, "a Transport did not take the message");
                    self.passed_over(&candidate, error).map_err(NotHandedOver::Refused)?;
                }
            }
        }
        Err(NotHandedOver::Nobody(self.why()))
    }
}
