//! Rules of accepted domains (EN-80…EN-83).

use std::collections::HashSet;

use envelope::{Domain, ServerName};

use super::Problems;
use crate::address_space::Space;
use crate::connector::Connector;
use crate::domain::{AcceptedDomainType, DomainPattern};
use crate::draft::OrganizationDraft;

/// Checks every accepted domain, and that one of them is the default.
pub(super) fn check(draft: &OrganizationDraft, problems: &mut Problems) {
    for accepted in draft.accepted_domains.iter().filter(|accepted| accepted.domain == DomainPattern::Any) {
        let text = "\"*\" would accept mail for the whole internet (an open relay); name the domains";
        problems.error(format!("acceptedDomains[\"{}\"].domainName", accepted.name), text);
    }
    let defaults = draft.accepted_domains.iter().filter(|accepted| accepted.is_default).count();
    if !draft.accepted_domains.is_empty() && defaults != 1 {
        problems.error("acceptedDomains", format!("exactly one accepted domain is the default, not {defaults}"));
    }
    go_round(draft, problems);
}

/// Internal relay domains of which what is not here leads by `*` to Edge servers, and from these by `--` back (EN-83).
fn go_round(draft: &OrganizationDraft, problems: &mut Problems) {
    // On an Edge server nothing but these ways is known.
    if draft.servers.iter().any(|server| server.edge.is_subscribed()) {
        return;
    }
    let enabled = || draft.connectors().filter(|connector| connector.is_enabled());
    let has = |connector: &Connector<'_>, wanted: &Space| {
        connector.address_spaces().iter().any(|space| space.space == *wanted)
    };
    let of = |wanted: Space| enabled().filter(move |connector| has(connector, &wanted));
    let inward: HashSet<&ServerName> =
        of(Space::AcceptedDomains).flat_map(Connector::source_transport_servers).collect();
    let mut outward = of(Space::Smtp(DomainPattern::Any)).flat_map(Connector::source_transport_servers).peekable();
    if outward.peek().is_none() || !outward.all(|source| inward.contains(source)) {
        return;
    }
    let has_own = |domain: &Domain| {
        enabled().flat_map(Connector::address_spaces).any(|space| match &space.space {
            Space::Smtp(pattern) => *pattern != DomainPattern::Any && pattern.covers(domain),
            Space::AcceptedDomains | Space::Other { .. } => false,
        })
    };
    for accepted in &draft.accepted_domains {
        let (DomainPattern::Exact(domain) | DomainPattern::Within(domain)) = &accepted.domain else { continue };
        if accepted.domain_type == AcceptedDomainType::InternalRelay && !has_own(domain) {
            let text = "who is not here is sent to an Edge server by *, which sends back by -- what is for this domain, until it is \
                        refused as a loop: make a Send connector of Mailbox servers for it";
            problems.warning(format!("acceptedDomains[\"{}\"].domainType", accepted.name), text);
        }
    }
}
