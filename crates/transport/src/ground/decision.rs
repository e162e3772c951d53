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
    Some(tables.organization().connector(guid?)?.name().as_str().into())
}
