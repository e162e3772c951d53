//! Delivery agents come in: who they may be, and that mail which waited for them is tried at once.

use std::sync::Arc;

use routing::DeliveryType;
use rpc::{AgentConnection, AgentsHandler, LocalUser};
use scheduler::QueueStatus;

use crate::administration::operations::Operations;
use crate::core::Core;

/// Hears agents at Transport's socket.
pub(crate) struct AgentsDoor(pub(crate) Arc<Core>);

impl AgentsHandler for AgentsDoor {
    fn may_attend(&self, user: &LocalUser, protocol: &str) -> bool {
        let named = self.0.node.settings.agents.get(&*user.name);
        user.is_own || named.is_some_and(|protocols| protocols.contains(protocol))
    }

    fn attend(&self, connection: AgentConnection) {
        let (core, protocol) = (&self.0, connection.protocol.clone());
        tracing::info!(%protocol, agent = %connection.name, "a delivery agent is there");
        core.agents.attend(connection);
        let tables = core.node.tables();
        let connectors = tables.organization().delivery_agent_connectors().iter();
        let of_protocol: Vec<_> = connectors
            .filter(|connector| connector.delivery_protocol.to_lowercase() == *protocol)
            .map(|connector| connector.guid)
            .collect();
        let operations = Operations(Arc::clone(core));
        for queue in operations.queues() {
            let is_waiting = queue.status == QueueStatus::Retry
                && queue.route.is_some_and(|route| {
                    route.key.delivery_type == DeliveryType::DeliveryAgent
                        && route.connector.is_some_and(|connector| of_protocol.contains(&connector))
                });
            // It may be in work by now.
            if is_waiting && let Err(refusal) = operations.retry_queue(queue.id) {
                tracing::debug!(queue = queue.id.number(), %refusal, "a queue is not tried again");
            }
        }
    }
}
