//! The linter for recipients: what `topology` cannot check, because recipients are no part of its snapshot.

use std::collections::HashMap;

use envelope::Address;
use topology::address_space::respelled;
use topology::{
    DirectoryRecipient, DomainPattern, OrganizationDraft, Problem, Problems, RecipientKind, ServerRole, Weight,
};

use crate::kind::Kind;

/// Finds what is wrong with `recipients` in the organization of `draft`.
#[must_use]
pub fn lint(draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Problems {
    let mut problems = Vec::new();
    let mut names = HashMap::new();
    let mut addresses = HashMap::new();
    for recipient in recipients {
        let place = format!("recipients[\"{}\"]", recipient.name);
        if names.insert(&recipient.name, ()).is_some() {
            problems.push(error(place.clone(), "there is another recipient of that name".into()));
        }
        for address in recipient.addresses() {
            if let Some(other) = addresses.insert(address.key(), &recipient.name) {
                let property = if address == &recipient.primary_address { "address" } else { "proxyAddresses" };
                problems.push(error(format!("{place}.{property}"), format!("{address} belongs to {other} already")));
            }
        }
        check_references(draft, recipient, &place, &mut problems);
    }
    Problems(problems)
}

/// Finds what a file should not say of `recipients`, although what is stored so is followed; and what is probably not meant.
#[must_use]
pub fn written(draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Problems {
    let mut problems = Vec::new();
    for recipient in recipients {
        for (address, in_order) in recipient.addresses().filter_map(|one| Some((one, respelled(one)?))) {
            // EN-70: mail is looked up by that order, whichever it is addressed in.
            let text =
                format!("{address} is found by its own spelling alone; write its attributes in order: {in_order}");
            let place = format!("recipients[\"{}\"].proxyAddresses", recipient.name);
            problems.push(Problem { weight: Weight::Warning, place, text });
        }
        let RecipientKind::DistributionGroup { expansion_server: Some(server), .. } = &recipient.kind else { continue };
        if draft.servers.iter().any(|known| known.name == *server && known.role == ServerRole::Edge) {
            let text = format!("{server:?} is an Edge server; groups are expanded on Mailbox servers"); // RT-72
            problems.push(error(format!("recipients[\"{}\"].expansionServer", recipient.name), text));
        }
    }
    let postmaster = draft.accepted_domains.iter().find(|accepted| accepted.is_default).and_then(|accepted| {
        let (DomainPattern::Exact(domain) | DomainPattern::Within(domain)) = &accepted.domain else { return None };
        Address::new("postmaster", domain).ok()
    });
    let known = |address: &Address| {
        recipients.iter().flat_map(DirectoryRecipient::addresses).any(|one| one.key() == address.key())
    };
    if let Some(address) = postmaster.filter(|address| !recipients.is_empty() && !known(address)) {
        let text = format!("no recipient has the address {address}, where others report trouble (RFC 5321 §4.5.1)");
        problems.push(Problem { weight: Weight::Warning, place: Kind::Recipient.section().to_owned(), text });
    }
    Problems(problems)
}

fn check_references(draft: &OrganizationDraft, recipient: &DirectoryRecipient, place: &str, found: &mut Vec<Problem>) {
    match &recipient.kind {
        RecipientKind::Mailbox { database, .. } if !draft.databases.iter().any(|known| &known.name == database) => {
            found.push(error(format!("{place}.database"), format!("there is no database {database:?}")));
        }
        RecipientKind::DistributionGroup { expansion_server: Some(server), .. }
            if !draft.servers.iter().any(|known| &known.name == server) =>
        {
            found.push(error(format!("{place}.expansionServer"), format!("there is no server {server:?}")));
        }
        _ => {}
    }
    let domain = recipient.primary_address.domain();
    let accepted = |pattern: &DomainPattern| pattern.covers(&domain);
    if !draft.accepted_domains.iter().any(|known| accepted(&known.domain)) {
        let text = format!("{domain} is no accepted domain: mail from outside will not reach the recipient");
        found.push(Problem { weight: Weight::Warning, place: format!("{place}.address"), text });
    }
}

fn error(place: String, text: String) -> Problem {
    Problem { weight: Weight::Error, place, text }
}
