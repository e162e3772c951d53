//! Delivery agents come in: who they may be, and that mail which waited for them is tried at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rpc::{AgentConnection, AgentsHandler};

use crate::core::Core;
use crate::deliver::agent;

/// Hears agents at Transport's socket.
pub(crate) struct AgentsDoor {
    core: Arc<Core>,
    /// Whom the settings name, with protocols in lower case.
    users: HashMap<u32, BTreeSet<String>>,
}

impl AgentsDoor {
    /// With the users of this machine whom the settings name; one that there is not is told of.
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let mut users: HashMap<u32, BTreeSet<String>> = HashMap::new();
        for (name, protocols) in &core.node.settings.agents {
            match net::user_number(name) {
                Some(uid) => users.entry(uid).or_default().extend(protocols.iter().cloned()),
                None => {
                    tracing::warn!(user = name, "[agents] of the settings names a user whom this machine does not have")
                }
            }
        }
        Self { core, users }
    }
}

impl AgentsHandler for AgentsDoor {
    fn may_connect(&self, uid: u32) -> bool {
        is_own(uid) || self.users.contains_key(&uid)
    }

    fn may_attend(&self, uid: u32, protocol: &str) -> bool {
        is_own(uid) || self.users.get(&uid).is_some_and(|protocols| protocols.contains(protocol))
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
