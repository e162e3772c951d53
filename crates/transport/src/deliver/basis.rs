//! What an open connection rests on: where it leads, by which configuration. A connection outlives configurations; it must not
//! outlive the decision that opened it.

use std::sync::Arc;

use envelope::Revision;
use routing::{DeliveryType, Route, RoutingTables, Way};
use topology::{DeliveryAgentConnector, ForeignConnector, SendConnector};

use super::{agent, gateway};

/// Where a connection leads.
pub(super) struct Basis {
    by: Revision,
    /// Servers that it may lead to: where the database is active, targets of the delivery group, front ends.
    way: Arc<Way>,
    /// The connector that it leaves by, with everything that it wants: targets, TLS, credentials, addresses.
    connector: Option<Box<SendConnector>>,
    /// The same of one that writes files.
    foreign: Option<Box<ForeignConnector>>,
    /// The same of one whose mail agents take.
    agent: Option<Box<DeliveryAgentConnector>>,
}

impl Basis {
    /// Where a connection leads that is opened for that route now.
    pub(super) fn of(tables: &RoutingTables, route: &Route) -> Self {
        let leaves = match route.key.delivery_type {
            DeliveryType::DnsConnectorDelivery | DeliveryType::SmartHostConnectorDelivery => route.connector,
            _ => None,
        };
        let connector = leaves.and_then(|guid| tables.organization().send_connector(guid));
        let is_gateway = route.key.delivery_type == DeliveryType::NonSmtpGatewayDelivery;
        let foreign = is_gateway.then(|| gateway::connector_of(tables.organization(), route)).flatten();
        let has_agents = route.key.delivery_type == DeliveryType::DeliveryAgent;
        let agent = has_agents.then(|| agent::connector_of(tables.organization(), route)).flatten();
        Self {
            by: tables.revision(),
            way: Arc::clone(&route.way),
            connector: connector.cloned().map(Box::new),
            foreign: foreign.cloned().map(Box::new),
            agent: agent.cloned().map(Box::new),
        }
    }

    /// By which configuration.
    pub(super) fn decided_by(&self) -> Revision {
        self.by
    }

    /// Whether both lead to the same place in the same way.
    pub(super) fn leads_where(&self, other: &Self) -> bool {
        self.way.attempts == other.way.attempts
            && self.connector == other.connector
            && self.foreign == other.foreign
            && self.agent == other.agent
    }
}
