//! What an administrator does to queues and messages of a running service (docs/rules.md, Queues): the ledger decides, here is what
//! follows for connections, the categorizer and the sender.

use std::sync::Arc;

use envelope::{ByteSize, ServerName};
use queue::{CommitError, Note, Pending, RecipientState, Transaction, Update};
use routing::{Destination, NextHopSolutionKey, Outcome, Route, Way};
use scheduler::{Demands, Done, ItemId, ItemView, Ledger, MessageNumber, QueueId, QueueView, Refusal, WithNdr};

use crate::core::{Core, Errand};
use crate::state::State;

/// Acts upon the queues of a running service.
#[derive(Clone)]
pub struct Operations(pub(crate) Arc<Core>);

/// Why an operation was not done, or not durably.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// It cannot be done.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It is done, and will be forgotten at the next start.
    #[error("it is done, but the next start will not know of it: {0}")]
    NotDurable(#[from] CommitError),
}

/// Why mail cannot be redirected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// The target is this server itself.
    #[error("{0} is this server: name another one")]
    ThisServer(ServerName),
    /// There is no way to the target.
    #[error("mail cannot be redirected to {server}: {why}")]
    NoWay {
        /// The target.
        server: ServerName,
        /// What routing says.
        why: String,
    },
    /// The service is coming to its end.
    #[error("the service is stopping")]
    Stopping,
}

impl Operations {
    /// What the service is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.state.get()
    }

    /// Every queue.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueView> {
        let now = self.0.now();
        self.0.ledger(|ledger| ledger.queues(now).collect())
    }

    /// Up to `limit` items after that one, in the order in which they came, each with why it is still here.
    #[must_use]
    pub fn items_after(&self, after: Option<ItemId>, limit: usize) -> Vec<ItemView> {
        self.0.ledger(|ledger| ledger.items_after(after, limit))
    }

    /// Nothing leaves the queue any more but what is being sent (QU-27), over restarts, until it is resumed.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn suspend_queue(&self, queue: QueueId) -> Result<(), OperationError> {
        let key = self.key(queue)?;
        self.0.ledger(|ledger| ledger.suspend_queue(queue))?;
        Transaction::new().set(&key).commit(&self.0.spool).await?;
        Ok(())
    }

    /// Its mail goes on.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn resume_queue(&self, queue: QueueId) -> Result<(), OperationError> {
        let (key, now) = (self.key(queue)?, self.0.now());
        self.meet(self.0.ledger_and_alarm(|ledger| ledger.resume_queue(queue, now))?);
        Transaction::new().unset(&key).commit(&self.0.spool).await?;
        Ok(())
    }

    fn key(&self, queue: QueueId) -> Result<Note, Refusal> {
        let persistent = |queue: QueueId| match queue {
            QueueId::SUBMISSION => Some(SUBMISSION.into()),
            QueueId::UNREACHABLE => Some(UNREACHABLE.into()),
            QueueId::POISON => Some("Poison".into()),
            _ => None,
        };
        let of_lane = || self.0.ledger(|ledger| ledger.route(queue)).map(|route| key_text(&route.key));
        let key = persistent(queue).or_else(of_lane).ok_or(Refusal::NoSuchQueue)?;
        Ok(Note::SuspendedQueue(key))
    }

    /// Connects now (QU-39).
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn retry_queue(&self, queue: QueueId) -> Result<(), Refusal> {
        self.meet(self.0.ledger_and_alarm(|ledger| ledger.retry_queue(queue))?);
        Ok(())
    }

    /// Sends what waits in it to the categorizer (QU-41). Gives how many messages.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn resubmit_queue(&self, queue: QueueId) -> Result<usize, Refusal> {
        let now = self.0.now();
        let (count, demands) = self.0.ledger_and_alarm(|ledger| ledger.resubmit_queue(queue, now))?;
        self.meet(demands);
        Ok(count)
    }

    /// The message waits in that queue until it is resumed, over restarts.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn suspend_message(&self, queue: QueueId, message: MessageNumber) -> Result<Done<()>, OperationError> {
        let (done, items) = self.0.ledger(|ledger| {
            each_item(ledger, queue, message, |ledger, item| {
                let done = ledger.suspend_item(item)?;
                Ok((done, ledger.item(item)))
            })
        })?;
        for item in items {
            self.note_suspended(item, true).await?;
        }
        Ok(done)
    }

    /// The message goes on; poison is tried again as if it had done nothing.
    ///
    /// # Errors
    /// [`OperationError`]
    pub async fn resume_message(&self, queue: QueueId, message: MessageNumber) -> Result<(), OperationError> {
        let now = self.0.now();
        let (_, resumed) = self.0.ledger_and_alarm(|ledger| {
            each_item(ledger, queue, message, |ledger, id| {
                let item = ledger.item(id);
                Ok((Done::Now(()), (item, ledger.resume_item(id, now)?)))
            })
        })?;
        let (items, demands): (Vec<_>, Vec<_>) = resumed.into_iter().unzip();
        for item in items {
            if let Some(item) = item.as_ref().filter(|_| queue == QueueId::POISON) {
                self.0.spool.update(item.item.message, &Update::crashes(0));
            }
            self.note_suspended(item, false).await?;
        }
        self.meet(demands.into_iter().flatten().collect());
        Ok(())
    }

    /// Makes it durable that an item is suspended, or is no longer.
    async fn note_suspended(&self, item: Option<ItemView>, suspended: bool) -> Result<(), OperationError> {
        let Some(item) = item.map(|view| view.item) else { return Ok(()) };
        let _others_too = self.0.recipients.read().await;
        // One that has gone meanwhile needs no note.
        let Ok(stored) = self.0.spool.head(item.message).await else { return Ok(()) };
        let states = item.recipients.as_slice().iter().filter_map(|at| match stored.states.get(*at as usize)? {
            RecipientState::Pending(pending) => {
                Some((*at as usize, RecipientState::Pending(Pending { suspended, ..pending.clone() })))
            }
            _ => None,
        });
        let update = Update::states(states);
        match Transaction::new().update(item.message, &update).commit(&self.0.spool).await {
            Ok(_) | Err(CommitError::Unknown(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The message leaves that queue, with or without a report to its sender.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn remove_message(
        &self,
        queue: QueueId,
        message: MessageNumber,
        with_ndr: WithNdr,
    ) -> Result<Done<()>, Refusal> {
        let (done, removed) = self.0.ledger(|ledger| {
            each_item(ledger, queue, message, |ledger, item| {
                Ok(match ledger.remove_item(item, with_ndr)? {
                    Done::Pending => (Done::Pending, None),
                    Done::Now(item) => (Done::Now(()), Some(item)),
                })
            })
        })?;
        for item in removed.into_iter().flatten() {
            self.0.errand(Errand::Remove(item, with_ndr));
        }
        Ok(done)
    }

    /// From now on no new mail is taken, and all that waits for a next hop goes to that server's Transport; suspended messages,
    /// Unreachable and poison stay (QU-60).
    ///
    /// # Errors
    /// [`RedirectError`]
    pub fn redirect(&self, server: &ServerName) -> Result<(), RedirectError> {
        let core = &self.0;
        let tables = core.node.tables();
        if core.state.get() == State::Stopping {
            return Err(RedirectError::Stopping);
        }
        if tables.local_server().name == *server {
            return Err(RedirectError::ThisServer(server.clone()));
        }
        let no_way = |why: String| RedirectError::NoWay { server: server.clone(), why };
        let route = match tables.route(Destination::ExpansionServer(server), ByteSize::bytes(0)).outcome {
            Outcome::Route(route) => route,
            Outcome::Unreachable(reason) => return Err(no_way(reason.to_string())),
            Outcome::Deferred(reason) => return Err(no_way(reason.to_string())),
            Outcome::Ndr(reason) => return Err(no_way(reason.to_string())),
            Outcome::ExpandHere => return Err(RedirectError::ThisServer(server.clone())),
        };
        // To that server and to no other: whoever wants it elsewhere had it there before.
        let attempts = route.way.attempts.iter().filter(|attempt| attempt.server == *server).cloned().collect();
        let way = Way { attempts, ..(*route.way).clone() };
        core.state.redirect(true);
        tracing::warn!(%server, "no new mail is taken; what waits is redirected");
        self.meet(core.ledger_and_alarm(|ledger| ledger.redirect(Some(Route { way: Arc::new(way), ..route }))));
        core.sweep();
        Ok(())
    }

    /// New mail is taken again, and goes where it is routed.
    pub fn end_redirection(&self) {
        self.meet(self.0.ledger_and_alarm(|ledger| ledger.redirect(None)));
        self.0.sweep();
        self.0.state.redirect(false);
        tracing::info!("mail is taken again, and goes where it is routed");
    }

    fn meet(&self, demands: Demands) {
        self.0.meet_all(demands);
    }
}

/// Does something to each item that a message is in a queue. Those that refuse stay as they are; it is refused when all do.
fn each_item<T>(
    ledger: &mut Ledger,
    queue: QueueId,
    message: MessageNumber,
    mut act: impl FnMut(&mut Ledger, ItemId) -> Result<(Done<()>, T), Refusal>,
) -> Result<(Done<()>, Vec<T>), Refusal> {
    let (mut all, mut done, mut refused) = (Vec::new(), Done::Now(()), Refusal::NoSuchMessage);
    for item in ledger.items_in(queue, message) {
        match act(ledger, item) {
            Ok((one, what)) => {
                all.push(what);
                if one == Done::Pending {
                    done = Done::Pending;
                }
            }
            Err(refusal) => refused = refusal,
        }
    }
    if all.is_empty() { Err(refused) } else { Ok((done, all)) }
}

/// How the notes name the queues without a next hop.
const SUBMISSION: &str = "Submission";
const UNREACHABLE: &str = "Unreachable";

/// A next-hop key as a note names it.
fn key_text(key: &NextHopSolutionKey) -> Box<str> {
    format!("{} {} {}", key.delivery_type, key.connector, key.domain).into()
}

fn parse_key(text: &str) -> Option<NextHopSolutionKey> {
    let mut words = text.splitn(3, ' ');
    let (kind, connector, domain) = (words.next()?, words.next()?, words.next()?);
    Some(NextHopSolutionKey::new(kind.parse().ok()?, domain, connector.parse().ok()?))
}

/// Suspends what was suspended before the restart.
pub(crate) fn restore_suspended(core: &Core) {
    for text in core.spool.suspended_queues() {
        let restored = core.ledger(|ledger| match &*text {
            SUBMISSION => ledger.suspend_queue(QueueId::SUBMISSION).is_ok(),
            UNREACHABLE => ledger.suspend_queue(QueueId::UNREACHABLE).is_ok(),
            other => parse_key(other).map(|key| ledger.suspend_next_hop(key)).is_some(),
        });
        if restored {
            tracing::warn!(queue = &*text, "suspended before the restart, and still is");
        } else {
            tracing::error!(queue = &*text, "a suspended queue is not known to this version");
        }
    }
}

#[cfg(test)]
mod tests {
    use routing::DeliveryType;
    use topology::Guid;

    use super::*;

    #[test]
    fn the_key_of_a_suspended_queue_reads_back() {
        let smart_hosts = "[10.0.0.1],relay.example.com, [::1]";
        let key = NextHopSolutionKey::new(DeliveryType::SmartHostConnectorDelivery, smart_hosts, Guid::ZERO);
        assert_eq!(parse_key(&key_text(&key)), Some(key));
        assert_eq!(parse_key("Nonsense"), None);
    }
}
