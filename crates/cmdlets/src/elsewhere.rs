//! What a server of another forest has of its own: an Edge server its Receive connectors and the settings of its Transport, which EdgeSync
//! does not carry (EN-30). It is shown and changed there alone.

use organization::Object;
use shell::Failure;
use topology::{OrganizationDraft, Server, ServerRole};

use crate::noun::{Noun, Part};

/// The server whose own an object is: its services' settings, or one of its Receive connectors; neither travels by EdgeSync (EN-30).
fn owner<'a>(draft: &'a OrganizationDraft, noun: &Noun, object: &Object) -> Option<&'a Server> {
    let name = match object {
        Object::Server(server) if matches!(noun.part, Part::Service(_)) => &server.name,
        Object::ReceiveConnector(connector) => &connector.server,
        _ => return None,
    };
    draft.servers.iter().find(|server| server.name == *name)
}

/// Whether an object is shown here: what a server of another forest has of its own is known there alone (EN-7). That an Edge server has a
/// Transport is known.
pub(crate) fn shows(draft: &OrganizationDraft, noun: &Noun, object: &Object) -> bool {
    let is_edge = matches!(object, Object::Server(server) if server.role == ServerRole::Edge);
    owner(draft, noun, object).is_none_or(|server| is_edge || draft.is_own(server))
}

/// Refuses what a server of another forest has of its own: it is not known here, and nobody would tell the server of a change.
pub(crate) fn may_touch(draft: &OrganizationDraft, noun: &Noun, command: &str, object: &Object) -> Result<(), Failure> {
    let Some(server) = owner(draft, noun, object).filter(|server| !draft.is_own(server)) else { return Ok(()) };
    let (message, next) = match server.role {
        ServerRole::Edge => (
            format!("Edge server {} has its own {}, which EdgeSync does not tell it.", server.name, noun.words),
            format!("run {command} on {}, or over its admin service (--api {})", server.name, server.fqdn),
        ),
        ServerRole::Mailbox => (
            format!("{} is a server of the organization, which sets its {} itself.", server.name, noun.words),
            format!("run {command} in the organization"),
        ),
    };
    Err(Failure::new("InvalidOperation", "ServerElsewhere", message)
        .about(server.name.as_str())
        .by("EN-30")
        .advise(next))
}
