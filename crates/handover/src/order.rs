//! Who may take a message, in what order: routing's, with those last among their equals that failed lately (RT-24).

use std::sync::Arc;

use envelope::{MessageId, ObjectName, ServerName, SiteName};
use net::Service;
use routing::{RecipientHome, RoutingTables, Way};
use runtime::Node;

use crate::candidates::Candidates;

impl Candidates {
    /// For a message from outside (RT-60 ff.). `turn` is another one for each message.
    #[must_use]
    pub fn of_front_end(node: &Arc<Node>, tables: &RoutingTables, homes: &[Option<ObjectName>], turn: u64) -> Self {
        Self::new(node, tables.front_end_target(homes.iter().map(home), turn, has_failed(node)))
    }

    /// For a message from an outbox (RT-67 ff.). Equals take turns by the message: one that is submitted again, after a restart
    /// in the middle of it, goes where it was before and is known there.
    #[must_use]
    pub fn of_submission(
        node: &Arc<Node>,
        tables: &RoutingTables,
        homes: &[Option<ObjectName>],
        message: MessageId,
    ) -> Self {
        Self::new(node, tables.submission_target(homes.iter().map(home), turn_of(message), has_failed(node)))
    }

    /// For a message on its way (RT-34 ff.) that was backed off by these sites before (RT-42).
    #[must_use]
    pub fn of_way(node: &Arc<Node>, way: &Way, passed: &[SiteName], turn: u64) -> Self {
        Self::new(node, way.attempts_avoiding(passed, turn, has_failed(node)).into_iter().cloned())
    }
}

fn home(database: &Option<ObjectName>) -> RecipientHome<'_> {
    database.as_ref().map_or(RecipientHome::Other, RecipientHome::Mailbox)
}

fn has_failed(node: &Node) -> impl Fn(&ServerName) -> bool {
    |server| node.health.has_failed(server, Service::Transport)
}

/// A number as good as random, always the same for a message.
fn turn_of(id: MessageId) -> u64 {
    let octets: [u8; 8] = id.as_bytes()[8..].try_into().expect("an id has 16 octets");
    u64::from_be_bytes(octets)
}
