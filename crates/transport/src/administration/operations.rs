//! What an administrator does to queues and messages of a running service (queues.md §8): the ledger decides, here is what
//! follows for connections, the categorizer and the sender.

use std::sync::Arc;

use envelope::{ByteSize, ServerName};
use routing::{Destination, Outcome, Route, Way};
use scheduler::{Demands, Done, ItemId, ItemView, MessageNumber, QueueId, QueueView, Refusal, WithNdr};

use crate::core::{Core, Errand};
use crate::state::State;

/// Acts upon the queues of a running service.
#[derive(Clone)]
pub struct Operations(pub(crate) Arc<Core>);

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

    /// Nothing leaves the queue any more but what is being sent (QU-27).
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn suspend_queue(&self, queue: QueueId) -> Result<(), Refusal> {
        self.0.ledger(|ledger| ledger.suspend_queue(queue))
    }

    /// Its mail goes on.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn resume_queue(&self, queue: QueueId) -> Result<(), Refusal> {
        let now = self.0.now();
        self.meet(self.0.ledger_and_alarm(|ledger| ledger.resume_queue(queue, now))?);
        Ok(())
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

    /// The message waits in that queue until it is resumed.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn suspend_message(&self, queue: QueueId, message: MessageNumber) -> Result<Done<()>, Refusal> {
        self.0.ledger(|ledger| {
            let item = ledger.item_in(queue, message).ok_or(Refusal::NoSuchMessage)?;
            ledger.suspend_item(item)
        })
    }

    /// The message goes on.
    ///
    /// # Errors
    /// [`Refusal`]
    pub fn resume_message(&self, queue: QueueId, message: MessageNumber) -> Result<(), Refusal> {
        let now = self.0.now();
        self.meet(self.0.ledger_and_alarm(|ledger| {
            let item = ledger.item_in(queue, message).ok_or(Refusal::NoSuchMessage)?;
            ledger.resume_item(item, now)
        })?);
        Ok(())
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
        let removed = self.0.ledger(|ledger| {
            let item = ledger.item_in(queue, message).ok_or(Refusal::NoSuchMessage)?;
            ledger.remove_item(item, with_ndr)
        })?;
        match removed {
            Done::Pending => Ok(Done::Pending),
            Done::Now(item) => {
                self.0.errand(Errand::Remove(item, with_ndr));
                Ok(Done::Now(()))
            }
        }
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
