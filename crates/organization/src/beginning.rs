//! What an organization has from its beginning, however it begins: a connector for text messages (EN-59), its Mailbox servers as
//! sources. Who removes it has none; what an organization has that began before is its own.

use topology::gateway_connector::TEXT_MESSAGING;
use topology::{DeliveryAgentConnector, OrganizationDraft, Server, ServerRole};

use crate::object::Object;

fn is_it(connector: &DeliveryAgentConnector) -> bool {
    connector.name.as_str().eq_ignore_ascii_case(TEXT_MESSAGING)
}

fn mailbox_servers<'a>(servers: impl Iterator<Item = &'a Server>) -> Vec<envelope::ServerName> {
    servers.filter(|server| server.role == ServerRole::Mailbox).map(|server| server.name.clone()).collect()
}

/// What is to be made beside `wanted` when an organization without servers becomes that.
#[must_use]
pub fn made_at_the_beginning(current: &[Object], wanted: &[Object]) -> Option<Object> {
    let has_begun = current.iter().any(|object| matches!(object, Object::Server(_)));
    let is_there = wanted.iter().any(|object| matches!(object, Object::DeliveryAgentConnector(one) if is_it(one)));
    let servers = mailbox_servers(wanted.iter().filter_map(|object| match object {
        Object::Server(server) => Some(&**server),
        _ => None,
    }));
    let is_made = !has_begun && !is_there && !servers.is_empty();
    is_made.then(|| Object::DeliveryAgentConnector(Box::new(DeliveryAgentConnector::text_messaging(servers))))
}

/// The draft of a file that does not speak of such connectors: a new organization gets it, another one keeps it as it is. Servers that
/// go leave it.
#[must_use]
pub fn with_text_messaging(mut draft: OrganizationDraft, current: &[Object]) -> OrganizationDraft {
    let mailbox = mailbox_servers(draft.servers.iter());
    let there = current.iter().find_map(|object| match object {
        Object::DeliveryAgentConnector(there) if is_it(there) => Some(DeliveryAgentConnector::clone(there)),
        _ => None,
    });
    let has_begun = current.iter().any(|object| matches!(object, Object::Server(_)));
    let connector = match there {
        Some(mut kept) => {
            kept.source_transport_servers.retain(|server| mailbox.contains(server));
            Some(kept)
        }
        None if !has_begun => Some(DeliveryAgentConnector::text_messaging(mailbox)),
        None => None,
    };
    let connector = connector.filter(|connector| !connector.source_transport_servers.is_empty());
    if !draft.delivery_agent_connectors.iter().any(is_it) {
        draft.delivery_agent_connectors.extend(connector);
    }
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, WithoutSecrets, objects};

    // EN-59
    #[test]
    fn an_organization_that_begins_has_a_connector_for_text_messages_and_no_other_gets_one() {
        let of = |text: &str| {
            let (draft, _) = Document::parse(text).unwrap().to_draft(&WithoutSecrets).unwrap();
            objects(&draft, &[])
        };
        let sites = of("sites: [{name: A}]");
        let new = of("sites: [{name: A}]\nservers: [{name: M1, fqdn: m1.c.example, site: A}]");
        let edge = of("sites: [{name: A}]\nservers: [{name: E1, fqdn: e1.c.example, site: A, role: Edge}]");
        for before in [&[][..], &sites] {
            let Some(Object::DeliveryAgentConnector(made)) = made_at_the_beginning(before, &new) else { panic!() };
            assert_eq!((made.delivery_protocol.as_str(), made.source_transport_servers.len()), ("MOBILE", 1));
            let whole: Vec<Object> = new.iter().cloned().chain([Object::DeliveryAgentConnector(made)]).collect();
            assert_eq!(made_at_the_beginning(before, &whole), None, "it is there");
        }
        assert_eq!(made_at_the_beginning(&[], &sites), None);
        assert_eq!(made_at_the_beginning(&[], &edge), None);
        assert_eq!(made_at_the_beginning(&new, &new), None, "somebody removed it");
    }
}
