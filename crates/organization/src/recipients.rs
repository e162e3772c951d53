//! The linter for recipients: what `topology` cannot check, because recipients are no part of its snapshot.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use envelope::{Address, Domain, ObjectName, ServerName, encapsulated};
use topology::address_space::respelled;
use topology::{
    DirectoryRecipient, DomainPattern, OrganizationDraft, Problem, Problems, RecipientKind, ServerRole, Weight,
};

use crate::kind::Kind;

/// Finds what is wrong with `recipients` in the organization of `draft`.
#[must_use]
pub fn lint(draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Problems {
    References::of(draft).lint(recipients)
}

/// What recipients may refer to, found at once however much of it there is.
pub struct References {
    databases: HashSet<ObjectName>,
    servers: HashSet<ServerName>,
    domains: HashSet<Domain>,
    /// Accepted domains that are more than one.
    patterns: Vec<DomainPattern>,
    default: Option<Domain>,
}

impl References {
    /// That of an organization.
    #[must_use]
    pub fn of(draft: &OrganizationDraft) -> Self {
        let (mut domains, mut patterns) = (HashSet::new(), Vec::new());
        for accepted in &draft.accepted_domains {
            match &accepted.domain {
                DomainPattern::Exact(domain) => drop(domains.insert(domain.clone())),
                pattern => patterns.push(pattern.clone()),
            }
        }
        Self {
            databases: draft.databases.iter().map(|database| database.name.clone()).collect(),
            servers: draft.servers.iter().map(|server| server.name.clone()).collect(),
            domains,
            patterns,
            default: draft.default_domain().cloned(),
        }
    }

    /// Finds what is wrong with all recipients there are.
    #[must_use]
    pub fn lint<'a>(&self, recipients: impl IntoIterator<Item = &'a DirectoryRecipient>) -> Problems {
        let mut problems = Vec::new();
        let mut names = HashMap::new();
        let mut addresses = HashMap::new();
        for recipient in recipients {
            let place = place(recipient);
            if names.insert(&recipient.name, ()).is_some() {
                problems.push(error(place.clone(), "there is another recipient of that name".into()));
            }
            for address in recipient.addresses() {
                if let Some(other) = addresses.insert(address.key(), &recipient.name) {
                    let text = format!("{address} belongs to {other} already");
                    problems.push(error(format!("{place}.{}", property(recipient, address)), text));
                }
            }
            self.check(recipient, &place, &mut problems);
        }
        Problems(problems)
    }

    fn check(&self, recipient: &DirectoryRecipient, place: &str, found: &mut Vec<Problem>) {
        match &recipient.kind {
            RecipientKind::Mailbox { database, .. } if !self.databases.contains(database) => {
                found.push(error(format!("{place}.database"), format!("there is no database {database:?}")));
            }
            RecipientKind::DistributionGroup { expansion_server: Some(server), .. }
                if !self.servers.contains(server) =>
            {
                found.push(error(format!("{place}.expansionServer"), format!("there is no server {server:?}")));
            }
            RecipientKind::MailContact { external_address }
                if external_address.in_smtp(self.default.as_ref()).is_none() =>
            {
                let text = format!(
                    "{external_address} stands in an address of the default accepted domain: there is none, or it is too long for it"
                );
                found.push(error(format!("{place}.externalAddress"), text));
            }
            _ => {}
        }
        found.extend(self.left_behind(recipient, place));
        let domain = recipient.primary_address.domain();
        if !self.is_accepted(&domain) {
            let text = format!("{domain} is no accepted domain: mail from outside will not reach the recipient");
            found.push(Problem { weight: Weight::Warning, place: format!("{place}.address"), text });
        }
    }

    /// Addresses of other types that were written when another domain was the default one (PL-45), and in this one are not.
    fn left_behind<'a>(
        &'a self,
        recipient: &'a DirectoryRecipient,
        place: &'a str,
    ) -> impl Iterator<Item = Problem> + 'a {
        let inside = recipient.addresses().filter(|address| encapsulated::decode(address.local_part()).is_some());
        inside.filter_map(move |address| {
            let default = self.default.as_ref()?;
            let now = Address::new(address.local_part(), default).ok()?.key();
            if !self.is_accepted(&address.domain()) || recipient.addresses().any(|known| known.key() == now) {
                return None;
            }
            let text =
                format!("{address} is no address of another type: only those of {default} are, the default domain");
            Some(Problem { weight: Weight::Warning, place: format!("{place}.proxyAddresses"), text })
        })
    }

    fn is_accepted(&self, domain: &Domain) -> bool {
        self.domains.contains(domain) || self.patterns.iter().any(|pattern| pattern.covers(domain))
    }
}

/// The same linter for recipients that come in pieces and are many: of those that came before it keeps a few octets each.
pub struct Linter {
    references: References,
    edges: HashSet<ServerName>,
    postmaster: Option<Address>,
    chance: RandomState,
    /// Of names and addresses only what tells them apart.
    names: HashSet<u64>,
    addresses: HashSet<u64>,
}

impl Linter {
    /// In an organization.
    #[must_use]
    pub fn of(draft: &OrganizationDraft) -> Self {
        let edges = draft.servers.iter().filter(|server| server.role == ServerRole::Edge);
        Self {
            references: References::of(draft),
            edges: edges.map(|server| server.name.clone()).collect(),
            postmaster: postmaster(draft),
            chance: RandomState::new(),
            names: HashSet::new(),
            addresses: HashSet::new(),
        }
    }

    /// Finds what is wrong with the next recipients.
    pub fn lint(&mut self, recipients: &[DirectoryRecipient]) -> Problems {
        let mut problems = Vec::new();
        for recipient in recipients {
            let place = place(recipient);
            if !self.names.insert(self.chance.hash_one(&recipient.name)) {
                problems.push(error(place.clone(), "there is another recipient of that name".into()));
            }
            for address in recipient.addresses() {
                if !self.addresses.insert(self.chance.hash_one(address.key())) {
                    let text = format!("{address} belongs to another recipient already");
                    problems.push(error(format!("{place}.{}", property(recipient, address)), text));
                }
            }
            self.references.check(recipient, &place, &mut problems);
            problems.extend(expanded_at_the_edge(recipient, |server| self.edges.contains(server)));
            problems.extend(out_of_order(recipient));
        }
        Problems(problems)
    }

    /// What is to be said when all have come.
    #[must_use]
    pub fn end(&self) -> Problems {
        let missing = self
            .postmaster
            .as_ref()
            .filter(|address| !self.names.is_empty() && !self.addresses.contains(&self.chance.hash_one(address.key())));
        Problems(missing.map(without_postmaster).into_iter().collect())
    }
}

/// Finds what a file should not say of `recipients`, although what is stored so is followed; and what is probably not meant.
#[must_use]
pub fn written(draft: &OrganizationDraft, recipients: &[DirectoryRecipient]) -> Problems {
    let is_edge =
        |server: &ServerName| draft.servers.iter().any(|known| known.name == *server && known.role == ServerRole::Edge);
    let mut problems: Vec<_> =
        recipients.iter().filter_map(|recipient| expanded_at_the_edge(recipient, is_edge)).collect();
    problems.extend(recipients.iter().flat_map(out_of_order));
    let known = |address: &Address| {
        let key = address.key();
        recipients.iter().flat_map(DirectoryRecipient::addresses).any(|one| one.key() == key)
    };
    let missing = postmaster(draft).filter(|address| !recipients.is_empty() && !known(address));
    problems.extend(missing.as_ref().map(without_postmaster));
    Problems(problems)
}

/// X.400 addresses that nobody's mail is looked up by (EN-70): that is by one order of attributes, whichever it is addressed in.
fn out_of_order(recipient: &DirectoryRecipient) -> impl Iterator<Item = Problem> + '_ {
    recipient.addresses().filter_map(|address| {
        let in_order = respelled(address)?;
        let text = format!("{address} is found by its own spelling alone; write it as it is looked for: {in_order}");
        Some(Problem { weight: Weight::Warning, place: format!("{}.proxyAddresses", place(recipient)), text })
    })
}

fn expanded_at_the_edge(recipient: &DirectoryRecipient, is_edge: impl Fn(&ServerName) -> bool) -> Option<Problem> {
    let RecipientKind::DistributionGroup { expansion_server: Some(server), .. } = &recipient.kind else { return None };
    let text = format!("{server:?} is an Edge server; groups are expanded on Mailbox servers"); // RT-72
    is_edge(server).then(|| error(format!("{}.expansionServer", place(recipient)), text))
}

/// The address that every domain has (RFC 5321 §4.5.1), of the default accepted domain.
fn postmaster(draft: &OrganizationDraft) -> Option<Address> {
    Address::new("postmaster", draft.default_domain()?).ok()
}

fn without_postmaster(address: &Address) -> Problem {
    let text = format!("no recipient has the address {address}, where others report trouble (RFC 5321 §4.5.1)");
    Problem { weight: Weight::Warning, place: Kind::Recipient.section().to_owned(), text }
}

fn place(recipient: &DirectoryRecipient) -> String {
    format!("recipients[\"{}\"]", recipient.name)
}

fn property(recipient: &DirectoryRecipient, address: &Address) -> &'static str {
    if address == &recipient.primary_address { "address" } else { "proxyAddresses" }
}

fn error(place: String, text: String) -> Problem {
    Problem { weight: Weight::Error, place, text }
}
