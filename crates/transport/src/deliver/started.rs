//! A service of another server that has started: what waits for it is tried at once, not when its retry is due. A restart costs
//! mail the time that the service was away, and no retry interval.

use std::sync::Arc;

use envelope::ServerName;
use net::Service;
use routing::{DeliveryType, Route, RoutingTables};

use super::mailbox;
use crate::core::Core;

/// Tries everything again that waits for one of these services.
pub(crate) fn try_again(core: &Arc<Core>, started: &[(ServerName, Service)]) {
    let tables = core.node.tables();
    let is_for = |route: &Route| started.iter().any(|(server, service)| needs(&tables, route, server, *service));
    let demands = core.queues(|queues| queues.retry_now(is_for));
    if !demands.is_empty() {
        tracing::info!(?started, connections = demands.len(), "back: what waits for it is tried now");
        core.meet_all(demands);
    }
}

/// Whether mail by this route may be handed to that service.
fn needs(tables: &RoutingTables, route: &Route, server: &ServerName, service: Service) -> bool {
    let organization = tables.organization();
    match route.key.delivery_type {
        DeliveryType::SmtpDeliveryToMailbox => {
            let database = || mailbox::database(organization, route);
            service == Service::MailboxDelivery && database().is_some_and(|it| it.active_server() == server)
        }
        DeliveryType::DnsConnectorDelivery | DeliveryType::SmartHostConnectorDelivery => {
            let connector = route.connector.and_then(|guid| organization.send_connector(guid));
            let is_near = || organization.server(server).is_some_and(|it| it.site == tables.local_server().site);
            service == Service::FrontendTransport
                && connector.is_some_and(|connector| connector.frontend_proxy_enabled)
                && is_near()
        }
        _ => service == Service::Transport && route.way.attempts.iter().any(|attempt| attempt.server == *server),
    }
}
