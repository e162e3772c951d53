//! Which delivery agents are there: connections that wait for mail, by protocol, and how many are at work.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use rpc::{AgentAnswer, AgentConnection, AgentDelivery, Content};
use tokio::sync::Notify;
use topology::Guid;

/// Connections of one protocol that may wait for mail. Ours.
const IDLE_MAX: usize = 256;

/// Connections with agents.
#[derive(Default)]
pub(crate) struct Agents(Arc<Shared>);

#[derive(Default)]
struct Shared {
    by_protocol: Mutex<HashMap<Box<str>, Present>>,
    /// One came, or is free again, or is gone, or somebody does not wait any more.
    changed: Notify,
}

/// Those of one protocol, and who has them or waits for one.
#[derive(Default)]
struct Present {
    /// Who has waited longest is next: agents of one protocol share its mail.
    idle: VecDeque<AgentConnection>,
    at_work: usize,
    /// What each connector has.
    turns: HashMap<Guid, Turns>,
    /// By ticket: who came first has the lowest one.
    waiting: BTreeMap<u64, Guid>,
    tickets: u64,
}

#[derive(Clone, Copy, Default)]
struct Turns {
    at_work: usize,
    /// When it got one last: the ticket of that.
    last: u64,
}

impl Present {
    /// The ticket whose turn it is. Connectors take turns, however many connections each of them waits for: first the one that has
    /// fewest, then the one that has got none for longest.
    fn next(&self) -> Option<u64> {
        let key = |(ticket, connector): (&u64, &Guid)| {
            let Turns { at_work, last } = self.turns.get(connector).copied().unwrap_or_default();
            (at_work, last, *ticket)
        };
        self.waiting.iter().map(key).min().map(|(.., ticket)| ticket)
    }

    /// A connection for the holder of a ticket, when it is his turn.
    fn lend(&mut self, ticket: u64, connector: Guid) -> Option<AgentConnection> {
        if self.next() != Some(ticket) {
            return None;
        }
        let connection = self.idle.pop_front()?;
        self.waiting.remove(&ticket);
        self.tickets += 1;
        self.at_work += 1;
        let turns = self.turns.entry(connector).or_default();
        *turns = Turns { at_work: turns.at_work + 1, last: self.tickets };
        Some(connection)
    }
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
            present.idle.push_back(connection);
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

    /// One that is free for a connector, waiting for its turn while some are at work. `None`: there is none for that protocol.
    pub(crate) async fn take(&self, protocol: &str, connector: Guid) -> Option<Lent> {
        let protocol: Box<str> = protocol.to_lowercase().into();
        let ticket = {
            let mut by_protocol = self.0.by_protocol.lock();
            let present = by_protocol.get_mut(&protocol)?;
            present.tickets += 1;
            let ticket = present.tickets;
            present.waiting.insert(ticket, connector);
            ticket
        };
        let waiting = Waiting { shared: Arc::clone(&self.0), protocol, ticket };
        loop {
            let changed = self.0.changed.notified();
            {
                let mut by_protocol = self.0.by_protocol.lock();
                let present = by_protocol.get_mut(&waiting.protocol)?;
                present.idle.retain(AgentConnection::is_there);
                if let Some(connection) = present.lend(ticket, connector) {
                    let (shared, protocol) = (Arc::clone(&self.0), waiting.protocol.clone());
                    return Some(Lent { shared, protocol, connector, connection: Some(connection) });
                }
                if present.idle.is_empty() && present.at_work == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }
}

/// Somebody who waits, until he has one or gives up.
struct Waiting {
    shared: Arc<Shared>,
    protocol: Box<str>,
    ticket: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        {
            let mut by_protocol = self.shared.by_protocol.lock();
            if let Some(present) = by_protocol.get_mut(&self.protocol) {
                present.waiting.remove(&self.ticket);
                // Nobody waits, has one, or is there: nothing is remembered.
                if present.waiting.is_empty() && present.idle.is_empty() && present.at_work == 0 {
                    by_protocol.remove(&self.protocol);
                }
            }
        }
        // It is somebody else's turn.
        self.shared.changed.notify_waiters();
    }
}

/// A connection at work.
pub(crate) struct Lent {
    shared: Arc<Shared>,
    protocol: Box<str>,
    /// Whose mail it takes.
    connector: Guid,
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
            self.shared.by_protocol.lock().entry(self.protocol.clone()).or_default().idle.push_back(connection);
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(present) = self.shared.by_protocol.lock().get_mut(&self.protocol) {
            present.at_work = present.at_work.saturating_sub(1);
            if let Some(turns) = present.turns.get_mut(&self.connector) {
                turns.at_work = turns.at_work.saturating_sub(1);
            }
        }
        self.shared.changed.notify_waiters();
    }
}
