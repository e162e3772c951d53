//! What must not be written any more, although what is stored so is still followed: checks of an organization file, beyond
//! those of the snapshot.

use std::collections::HashSet;

use envelope::{Domain, ServerName};

use super::Problems;
use crate::address_space::Space;
use crate::domain::DomainPattern;
use crate::draft::OrganizationDraft;
use crate::send_connector::SmartHost;
use crate::server::ServerRole;

/// Finds what nobody should write in `draft`, and what is probably not meant.
#[must_use]
pub fn written(draft: &OrganizationDraft) -> Problems {
    let mut problems = Problems::default();
    names_in_dns(draft, &mut problems);
    source_servers(draft, &mut problems);
    sites_without_links(draft, &mut problems);
    problems
}

/// A name whose last part is a number is a mistyped IP address.
fn names_in_dns(draft: &OrganizationDraft, problems: &mut Problems) {
    let mut check = |place: String, domain: &Domain| {
        if domain.ends_in_number() {
            let text = format!("\"{domain}\" is neither an IP address nor a name in DNS: no name ends in a number");
            problems.error(place, text);
        }
    };
    let within = |pattern: &DomainPattern| match pattern {
        DomainPattern::Exact(domain) | DomainPattern::Within(domain) => Some(domain.clone()),
        DomainPattern::Any => None,
    };
    for server in &draft.servers {
        check(format!("servers[\"{}\"].fqdn", server.name), &server.fqdn);
    }
    for accepted in &draft.accepted_domains {
        within(&accepted.domain)
            .iter()
            .for_each(|domain| check(format!("acceptedDomains[\"{}\"].domainName", accepted.name), domain));
    }
    for connector in &draft.send_connectors {
        let place = |property: &str| format!("sendConnectors[\"{}\"].{property}", connector.name);
        connector.fqdn.iter().for_each(|fqdn| check(place("fqdn"), fqdn));
        connector.tls_domain.iter().filter_map(within).for_each(|domain| check(place("tlsDomain"), &domain));
        for host in &connector.smart_hosts {
            if let SmartHost::Name(name) = host {
                check(place("smartHosts"), name);
            }
        }
        for space in &connector.address_spaces {
            if let Space::Smtp(pattern) = &space.space {
                within(pattern).iter().for_each(|domain| check(place("addressSpaces"), domain));
            }
        }
    }
    for connector in &draft.receive_connectors {
        let place = format!("receiveConnectors[\"{}\\{}\"].fqdn", connector.server, connector.name);
        connector.fqdn.iter().for_each(|fqdn| check(place.clone(), fqdn));
    }
}

fn source_servers(draft: &OrganizationDraft, problems: &mut Problems) {
    let send = draft.send_connectors.iter().map(|c| ("sendConnectors", &c.name, &c.source_transport_servers));
    let agents = draft.delivery_agent_connectors.iter();
    let agents = agents.map(|c| ("deliveryAgentConnectors", &c.name, &c.source_transport_servers));
    let foreign = draft.foreign_connectors.iter().map(|c| ("foreignConnectors", &c.name, &c.source_transport_servers));
    for (section, connector, sources) in send.chain(agents).chain(foreign) {
        let mut seen: HashSet<&ServerName> = HashSet::new();
        for server in sources.iter().filter(|server| !seen.insert(server)) {
            let place = format!("{section}[\"{connector}\"].sourceTransportServers");
            problems.error(place, format!("{server:?} is there more than once")); // SC-65, SC-146
        }
    }
}

/// Mail between sites takes site links only (RT-03).
fn sites_without_links(draft: &OrganizationDraft, problems: &mut Problems) {
    let linked: HashSet<_> = draft.site_links.iter().flat_map(|link| &link.sites).collect();
    let manned: HashSet<_> = draft.servers.iter().filter(|s| s.role == ServerRole::Mailbox).map(|s| &s.site).collect();
    if manned.len() < 2 {
        return;
    }
    for site in draft.sites.iter().filter(|site| manned.contains(&site.name) && !linked.contains(&site.name)) {
        let text = "no site link joins it to another site: no mail goes to it or from it; add it to siteLinks";
        problems.warning(format!("sites[\"{}\"]", site.name), text);
    }
}
