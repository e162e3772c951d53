//! Delivery agents come in: who they may be, and that mail which waited for them is tried at once.

use std::sync::Arc;

use rpc::{AgentConnection, AgentsHandler};
use runtime::reload::AgentUsers;

use crate::core::Core;
use crate::deliver::agent;

/// Hears agents at Transport's socket.
pub(crate) struct AgentsDoor {
    core: Arc<Core>,
}

impl AgentsDoor {
    /// Tells of users whom the settings name and this machine does not have.
    pub(crate) fn new(core: Arc<Core>) -> Self {
        for name in core.node.settings.agents.keys().filter(|name| net::user_number(name).is_none()) {
            tracing::warn!(user = name, "[agents] of the settings names a user whom this machine does not have");
        }
        Self { core }
    }

    /// Whether the settings name a user with something that fits, as they are or were read anew last.
    fn names(&self, uid: u32, fits: impl Fn(&str) -> bool) -> bool {
        let of = |users: &AgentUsers| {
            let named = users.iter().filter(|(_, protocols)| protocols.iter().any(|protocol| fits(protocol)));
            named.into_iter().any(|(name, _)| net::user_number(name) == Some(uid))
        };
        self.core.node.reloads.agents().map_or_else(|| of(&self.core.node.settings.agents), |users| of(&users))
    }
}

impl AgentsHandler for AgentsDoor {
    fn may_connect(&self, uid: u32) -> bool {
        is_own(uid) || self.names(uid, |_| true)
    }

    fn may_attend(&self, uid: u32, protocol: &str) -> bool {
        is_own(uid) || self.names(uid, |named| named == protocol)
    }

    fn attend(&self, connection: AgentConnection) {
        let protocol = connection.protocol.clone();
        tracing::info!(%protocol, agent = %connection.name, "a delivery agent is there");
        self.core.agents.attend(connection);
        agent::came(&self.core, &protocol);
    }
}

/// Root, and whom this service runs as: they have what it has.
fn is_own(uid: u32) -> bool {
    uid == 0 || uid == net::own_user()
}
