//! What Delivery Agent and Foreign connectors of this server meet now: whether an agent is there, whether a file can be written.

use admin_api::queues::{GatewayEntry, GatewayState};
use envelope::ServerName;

use crate::core::Core;
use crate::deliver::gateway;

/// An entry for each connector of which this server is a source.
pub(super) async fn entries(core: &Core) -> Vec<GatewayEntry> {
    let tables = core.node.tables();
    let (organization, own) = (tables.organization(), &tables.local_server().name);
    let is_ours = |sources: &[ServerName]| sources.contains(own);
    let mut entries = Vec::new();
    for connector in organization.delivery_agent_connectors() {
        if is_ours(&connector.source_transport_servers) {
            let (free, at_work) = core.agents.count(&connector.delivery_protocol);
            entries.push(GatewayEntry { connector: connector.guid, state: GatewayState::Agents { free, at_work } });
        }
    }
    for connector in organization.foreign_connectors() {
        if is_ours(&connector.source_transport_servers) {
            let found = gateway::look(core.node.settings.drop.as_deref(), connector).await;
            let directory = found.directory.map(|path| path.display().to_string()).unwrap_or_default();
            let state = GatewayState::Drop {
                directory: directory.into(),
                held: found.held,
                trouble: found.trouble.map(String::into_boxed_str),
            };
            entries.push(GatewayEntry { connector: connector.guid, state });
        }
    }
    entries
}
