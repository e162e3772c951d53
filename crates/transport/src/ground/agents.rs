//! Which delivery agents are there: connections that wait for mail, by protocol, and how many are at work.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rpc::{AgentAnswer, AgentConnection, AgentDelivery, Content};
use tokio::sync::Notify;

/// Connections of one protocol that may wait for mail. Ours.
const IDLE_MAX: usize = 256;

/// Connections with agents.
#[derive(Default)]
pub(crate) struct Agents(Arc<Shared>);

#[derive(Default)]
struct Shared {
    by_protocol: Mutex<HashMap<Box<str>, Present>>,
    /// One came, or is free again, or is gone.
    changed: Notify,
}

/// Those of one protocol.
#[derive(Default)]
struct Present {
    idle: Vec<AgentConnection>,
    at_work: usize,
}

impl Agents {
    /// One is there.
    pub(crate) fn attend(&self, connection: AgentConnection) {
        let protocol = connection.protocol.clone();
        {
            let mut by_protocol = self.0.by_protocol.lock();
            let present = by_protocol.entry(protocol).or_default();
            present.idle.retain(AgentConnection::is_there);
            if present.idle.len() >= IDLE_MAX {
                tracing::warn!(agent = %connection.name, "a delivery agent has too many connections that wait; one is ended");
                return;
            }
            present.idle.push(connection);
        }
        self.0.changed.notify_waiters();
    }

    /// Whether one is free.
    pub(crate) fn is_free(&self, protocol: &str) -> bool {
        let by_protocol = self.0.by_protocol.lock();
        let present = by_protocol.get(protocol.to_lowercase().as_str());
        present.is_some_and(|present| present.idle.iter().any(AgentConnection::is_there))
    }

    /// How many are free, and how many at work.
    pub(crate) fn count(&self, protocol: &str) -> (u32, u32) {
        let by_protocol = self.0.by_protocol.lock();
        let Some(present) = by_protocol.get(protocol.to_lowercase().as_str()) else { return (0, 0) };
        let free = present.idle.iter().filter(|connection| connection.is_there()).count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        (number(free), number(present.at_work))
    }

    /// One that is free, waiting for it while some are at work. `None`: there is none for that protocol.
    pub(crate) async fn take(&self, protocol: &str) -> Option<Lent> {
        let protocol: Box<str> = protocol.to_lowercase().into();
        loop {
            let changed = self.0.changed.notified();
            {
                let mut by_protocol = self.0.by_protocol.lock();
                let present = by_protocol.get_mut(&protocol)?;
                present.idle.retain(AgentConnection::is_there);
                if let Some(connection) = present.idle.pop() {
                    present.at_work += 1;
                    return Some(Lent { shared: Arc::clone(&self.0), protocol, connection: Some(connection) });
                }
                if present.at_work == 0 {
                    by_protocol.remove(&protocol);
                    return None;
                }
            }
            changed.await;
        }
    }
}

/// A connection at work.
pub(crate) struct Lent {
    shared: Arc<Shared>,
    protocol: Box<str>,
    /// There until it is given back.
    connection: Option<AgentConnection>,
}

impl Lent {
    /// Gives the agent a message.
    ///
    /// # Errors
    /// Nothing is known of the message, and the connection is of no use any more.
    pub(crate) async fn deliver(
        &mut self,
        delivery: &AgentDelivery,
        content: Content,
    ) -> Result<Vec<AgentAnswer>, String> {
        let Some(connection) = &mut self.connection else { return Err("the agent is gone".to_owned()) };
        let answers = connection.deliver(delivery, content).await;
        if answers.is_err() {
            self.connection = None;
        }
        answers
    }

    pub(crate) fn is_there(&self) -> bool {
        self.connection.as_ref().is_some_and(AgentConnection::is_there)
    }

    /// Who it is.
    pub(crate) fn name(&self) -> &str {
        self.connection.as_ref().map_or("a delivery agent", |connection| &connection.name)
    }

    /// It is free for others.
    pub(crate) fn give_back(mut self) {
        if let Some(connection) = self.connection.take().filter(AgentConnection::is_there) {
            self.shared.by_protocol.lock().entry(self.protocol.clone()).or_default().idle.push(connection);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(present) = self.shared.by_protocol.lock().get_mut(&self.protocol) {
            present.at_work = present.at_work.saturating_sub(1);
        }
        self.shared.changed.notify_waiters();
    }
}
