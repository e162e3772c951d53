//! Cross-parameter rules of Delivery Agent connectors (EN-56, EN-57) and Foreign connectors (EN-62…EN-66).

use std::collections::HashSet;

use envelope::{Limit, ServerName, encapsulated};

use super::{Known, Problems};
use crate::address_space::{AddressSpace, Space};
use crate::connector::Connector;
use crate::draft::OrganizationDraft;
use crate::gateway_connector::{AGENT_SIZE_MIN, ForeignConnector};
use crate::server::ServerRole;

/// Largest number of octets that a connector's size limit can state (EN-57, EN-66).
const SIZE_MAX: u64 = 2_147_483_647;

/// Longest `DeliveryProtocol`. Ours: what an agent says is cut there.
const AGENT_PROTOCOL_CHARACTERS_MAX: usize = 64;

/// Checks every Delivery Agent and Foreign connector.
pub(super) fn check(draft: &OrganizationDraft, known: &Known<'_>, problems: &mut Problems) {
    for connector in &draft.delivery_agent_connectors {
        let place = format!("deliveryAgentConnectors[\"{}\"]", connector.name);
        shared(Connector::DeliveryAgent(connector), known, &place, problems);
        if !is_protocol(&connector.delivery_protocol) {
            let text = "name the protocol of the agent, such as X.400, by 64 characters at most";
            problems.error(format!("{place}.deliveryProtocol"), text);
        }
        if matches!(connector.max_message_size, Limit::At(size) if size < AGENT_SIZE_MIN || size.as_u64() > SIZE_MAX) {
            problems.error(format!("{place}.maxMessageSize"), "it is 64KB to 2147483647 bytes, or unlimited");
        }
        if connector.max_concurrent_connections == 0 || connector.max_messages_per_connection == 0 {
            problems.error(place, "maxConcurrentConnections and maxMessagesPerConnection are at least 1");
        }
    }
    for connector in &draft.foreign_connectors {
        let place = format!("foreignConnectors[\"{}\"]", connector.name);
        shared(Connector::Foreign(connector), known, &place, problems);
        if matches!(connector.drop_directory_quota, Limit::At(size) if size.as_u64() == 0 || size.as_u64() > SIZE_MAX) {
            problems.error(format!("{place}.dropDirectoryQuota"), "it is 1 to 2147483647 bytes, or unlimited");
        }
        match (no_drop_directory(connector), &connector.drop_directory) {
            (true, Some(_)) => {
                let text =
                    "it is the name of a folder, or the whole path of one, right below `drop` of the servers' settings";
                problems.error(format!("{place}.dropDirectory"), text);
            }
            (true, None) => {
                let text = "the connector's name is no name of a folder: say where its files go, or its mail waits";
                problems.warning(format!("{place}.dropDirectory"), text);
            }
            (false, _) => {}
        }
        if matches!(connector.max_message_size, Limit::At(size) if size.as_u64() > SIZE_MAX * 1024) {
            problems.error(format!("{place}.maxMessageSize"), "it is 0 to 2147483647 KB, or unlimited");
        }
        if matches!(connector.max_message_size, Limit::At(size) if size.as_u64() == 0) {
            let text = "0 lets no message pass; set enabled: false if that is meant"; // EN-66
            problems.warning(format!("{place}.maxMessageSize"), text);
        }
    }
}

/// Whether an agent can say so: what it says is cut and without spaces around.
fn is_protocol(text: &str) -> bool {
    let length = text.chars().count();
    (1..=AGENT_PROTOCOL_CHARACTERS_MAX).contains(&length) && text.trim() == text && !text.chars().any(char::is_control)
}

/// Whether no server could ever write there: files go right below a folder that its settings name (EN-64).
fn no_drop_directory(connector: &ForeignConnector) -> bool {
    let name = connector.drop_directory.as_deref().unwrap_or(connector.name.as_str());
    // A whole path counts where it is right below that folder, which its server knows.
    let last = match name.rsplit_once('/') {
        Some((before, last)) if before.starts_with('/') => last,
        Some(_) => return true,
        None => name,
    };
    matches!(last, "" | "." | "..") || last.chars().any(char::is_control)
}

/// Address spaces that no address is in: what travels inside an SMTP address has a type of letters and digits, and is printable ASCII
/// (PL-45).
pub(super) fn types(draft: &OrganizationDraft, problems: &mut Problems) {
    let Some(domain) = draft.default_domain() else { return };
    for connector in draft.connectors() {
        let section = match connector {
            Connector::Send(_) => "sendConnectors",
            Connector::DeliveryAgent(_) => "deliveryAgentConnectors",
            Connector::Foreign(_) => "foreignConnectors",
        };
        for space in connector.address_spaces() {
            let Space::Other { kind, text } = &space.space else { continue };
            let why = if kind.as_ref() == "EX" || encapsulated::encode(kind, "x", domain).is_none() {
                format!("no mail is addressed to type {kind}: a type is letters and digits, and neither EX nor X500")
            } else if encapsulated::encode(kind, text, domain).is_none() {
                format!(
                    "no mail is addressed to {kind}:{text}: it is printable ASCII, and short enough for an SMTP address"
                )
            } else {
                continue;
            };
            problems.warning(format!("{section}[\"{}\"].addressSpaces", connector.name()), why);
        }
    }
}

fn shared(connector: Connector<'_>, known: &Known<'_>, place: &str, problems: &mut Problems) {
    spaces(connector.address_spaces(), place, problems);
    sources(connector.source_transport_servers(), known, place, problems);
}

fn spaces(spaces: &[AddressSpace], place: &str, problems: &mut Problems) {
    let place = format!("{place}.addressSpaces");
    if spaces.is_empty() {
        problems.error(place.clone(), "a connector needs at least one address space, such as \"FAX:*\"");
    }
    let mut seen = HashSet::new();
    for space in spaces {
        if !seen.insert(space.coverage()) {
            problems.error(place.clone(), format!("{space} is there more than once, whatever its cost")); // SC-65
        }
        if space.space == Space::AcceptedDomains {
            problems.error(place.clone(), "\"--\" is for Send connectors of Edge servers only"); // V-7
        }
    }
}

fn sources(sources: &[ServerName], known: &Known<'_>, place: &str, problems: &mut Problems) {
    let place = format!("{place}.sourceTransportServers");
    if sources.is_empty() {
        problems.error(place.clone(), "a connector needs at least one source server");
    }
    for name in sources {
        match known.role(name) {
            None => problems.error(place.clone(), format!("there is no server {name:?}")),
            Some(ServerRole::Edge) => {
                problems
                    .error(place.clone(), format!("{name:?} is an Edge server; Mailbox servers deliver to gateways"));
            } // EN-56
            Some(ServerRole::Mailbox) => {}
        }
    }
}
