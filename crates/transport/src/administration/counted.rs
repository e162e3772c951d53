//! The metrics of the other servers, made once for each and found again by name: a transfer counts without making labels.
//!
//! Only servers of the configuration have metrics. One that is removed loses its gauge at the next look ([`Peers::observe`]).

use std::collections::HashMap;
use std::sync::Arc;

use envelope::ServerName;
use parking_lot::RwLock;
use runtime::Node;
use telemetry::named::PeerMetrics;

/// The servers that were met, and those of the configuration.
#[derive(Default)]
pub(crate) struct Peers(RwLock<HashMap<ServerName, Arc<PeerMetrics>>>);

impl Peers {
    /// The metrics of a server; `None` when the configuration does not have it.
    pub(crate) fn of(&self, node: &Node, server: &ServerName) -> Option<Arc<PeerMetrics>> {
        if let Some(known) = self.0.read().get(server) {
            return Some(Arc::clone(known));
        }
        let tables = node.tables();
        let made = Arc::new(node.metrics.of_peer(tables.organization().server(server)?));
        Some(Arc::clone(self.0.write().entry(server.clone()).or_insert(made)))
    }

    /// Reads the gauges: how many services of each server count as failed.
    pub(crate) fn observe(&self, node: &Node) {
        let mut failed: HashMap<ServerName, u64> = HashMap::new();
        for entry in node.health.entries().into_iter().filter(|entry| entry.failed) {
            *failed.entry(entry.server).or_default() += 1;
        }
        let tables = node.tables();
        for server in tables.organization().servers() {
            if let Some(metrics) = self.of(node, &server.name) {
                metrics.failed(failed.get(&server.name).copied().unwrap_or_default());
            }
        }
        self.0.write().retain(|server, metrics| {
            let configured = tables.organization().server(server).is_some();
            if !configured {
                metrics.failed(0);
            }
            configured
        });
    }
}
