//! By which decision a message goes where it goes, in words for administrators, traces and the message tracking log.

use routing::{Route, RoutingTables, RuleId};
use topology::Guid;

/// What a queue needs no server for: this one is in the destination's group (RT-16).
const HERE: RuleId = RuleId("RT-16");

/// The rule by which mail stands where it stands: how its first target was chosen.
pub(crate) fn rule(route: &Route) -> RuleId {
    route.way.attempts.first().map_or(HERE, |attempt| attempt.reason)
}

/// The name of a connector that the configuration has.
pub(crate) fn connector(tables: &RoutingTables, guid: Option<Guid>) -> Option<Box<str>> {
    let (guid, organization) = (guid?, tables.organization());
    if let Some(connector) = organization.send_connector(guid) {
        return Some(connector.name.as_str().into());
    }
    let connector = organization.connectors().find(|connector| connector.guid() == guid)?;
    Some(connector.name().as_str().into())
}
