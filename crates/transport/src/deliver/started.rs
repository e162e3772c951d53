//! A service of another server that has started: what waits for it is tried at once, not when its retry is due. A restart costs
//! mail the time that the service was away, and no retry interval.

use std::sync::Arc;

use envelope::ServerName;
use net::Service;
use routing::{HandedTo, Route};

use crate::core::Core;

/// Tries everything again that waits for one of these services.
pub(crate) fn try_again(core: &Arc<Core>, started: &[(ServerName, Service)]) {
    let is_for = |route: &Route| {
        let service = match route.key.delivery_type.handed_to() {
            HandedTo::Transport => Service::Transport,
            HandedTo::MailboxDelivery => Service::MailboxDelivery,
            HandedTo::FrontEnd => Service::FrontendTransport,
        };
        route.way.attempts.iter().any(|attempt| started.contains(&(attempt.server.clone(), service)))
    };
    let demands = core.ledger_and_alarm(|ledger| ledger.retry_now(is_for));
    if !demands.is_empty() {
        tracing::info!(?started, connections = demands.len(), "back: what waits for it is tried now");
        core.meet_all(demands);
    }
}
