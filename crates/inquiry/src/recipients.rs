//! The recipients that answers need, gathered before anything is asked: who is still to be looked up is a value, and
//! whoever has a directory looks them up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use categorizer::Lookup;
use envelope::Address;
use topology::{DirectoryRecipient, Organization, RecipientKind};

use super::subject::{Sender, Subject};

/// Most addresses looked up for one question: what its subjects, their groups and contacts lead to. Ours: some hundred
/// octets of memory each.
pub const ADDRESSES_MAX: usize = 1_000_000;

/// Recipients by address.
#[derive(Clone, Debug, Default)]
pub struct KnownRecipients {
    by_address: HashMap<String, Option<Arc<DirectoryRecipient>>>,
    /// An address that is not here is nobody's.
    all: bool,
}

/// Addresses that are still to be looked up: those that the categorizer can ask for, which are recipients and senders of
/// subjects, whom they lead to, and who stands in for them.
#[derive(Debug)]
pub struct Wanted<'a> {
    known: KnownRecipients,
    next: Vec<Address>,
    organizations: Vec<&'a Organization>,
}

/// The answer needs more than [`ADDRESSES_MAX`] addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer needs more than {ADDRESSES_MAX} addresses; ask about fewer recipients at once")]
pub struct TooMany;

impl<'a> Wanted<'a> {
    /// What answers about `subjects` need in these organizations.
    ///
    /// # Errors
    /// [`TooMany`]
    pub fn of(subjects: &[Subject], organizations: &[&'a Organization]) -> Result<Self, TooMany> {
        let recipients = subjects.iter().map(|subject| &subject.recipient);
        let senders = subjects.iter().filter_map(|subject| match &subject.sender {
            Sender::Address(address) => Some(address),
            Sender::Unnamed | Sender::Null => None,
        });
        let next = recipients.chain(senders).cloned().collect();
        Self { known: KnownRecipients::default(), next, organizations: organizations.to_vec() }.narrowed()
    }

    /// To be looked up now, each once. Empty: everything is known.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.next
    }

    /// What was found for each of [`addresses`](Self::addresses), in their order; then there may be more.
    ///
    /// # Errors
    /// [`TooMany`]
    pub fn supply(mut self, found: Vec<Option<DirectoryRecipient>>) -> Result<Self, TooMany> {
        let mut further = Vec::new();
        for (address, recipient) in self.next.iter().zip(found) {
            match &recipient {
                Some(recipient) => further.extend(leads_to(recipient, &self.organizations)),
                None => further.extend(self.organizations.iter().filter_map(|one| one.stand_in(address))),
            }
            self.known.by_address.insert(address.key(), recipient.map(Arc::new));
        }
        self.next = further;
        self.narrowed()
    }

    /// What has been found so far.
    #[must_use]
    pub fn into_known(self) -> KnownRecipients {
        self.known
    }

    fn narrowed(mut self) -> Result<Self, TooMany> {
        let mut asked = HashSet::new();
        let known = &self.known.by_address;
        self.next.retain(|address| !known.contains_key(&address.key()) && asked.insert(address.key()));
        if known.len() + self.next.len() > ADDRESSES_MAX { Err(TooMany) } else { Ok(self) }
    }
}

impl KnownRecipients {
    /// All recipients of an organization.
    #[must_use]
    pub fn all(recipients: Vec<DirectoryRecipient>) -> Self {
        let by_address = |recipient: DirectoryRecipient| {
            let recipient = Arc::new(recipient);
            let keys: Vec<String> = recipient.addresses().map(Address::key).collect();
            keys.into_iter().map(move |key| (key, Some(recipient.clone())))
        };
        Self { by_address: recipients.into_iter().flat_map(by_address).collect(), all: true }
    }

    /// The directory's answer.
    #[must_use]
    pub fn look_up(&self, address: &Address) -> Lookup {
        match self.by_address.get(&address.key()) {
            Some(Some(recipient)) => Lookup::Found(recipient.clone()),
            Some(None) => Lookup::NotFound,
            None if self.all => Lookup::NotFound,
            None => Lookup::TransientError,
        }
    }
}

/// The addresses that mail for a recipient may go on to.
fn leads_to(recipient: &DirectoryRecipient, organizations: &[&Organization]) -> Vec<Address> {
    match &recipient.kind {
        RecipientKind::Mailbox { .. } => Vec::new(),
        RecipientKind::MailContact { external_address } => {
            organizations.iter().filter_map(|one| one.way_to(external_address)).collect()
        }
        RecipientKind::DistributionGroup { members, .. } => members.clone(),
    }
}

#[cfg(test)]
mod tests {
    use envelope::{ByteSize, Revision};

    use super::*;
    use crate::answer::Inquiry;
    use crate::difference::{AnswerChange, differences_of};

    const FILE: &str = "
sites: [{name: Berlin}]
servers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]
databases: [{name: DB1, server: MAIL1}]
acceptedDomains: [{name: C, domainName: contoso.com, default: true}, {name: F, domainName: fabrikam.com, default: false}]
foreignConnectors: [{name: Fax, addressSpaces: ['FAX:*'], sourceTransportServers: [MAIL1]}]
transportConfig: {plusAddressingEnabled: true, externalPostmasterAddress: anna@contoso.com}
recipients:
  - {name: Anna, address: anna@contoso.com, proxyAddresses: [IMCEAX400-c=DE+3Bs=Anna@contoso.com], database: DB1}
";

    fn subject(recipient: &str) -> Subject {
        let (sender, from) = (Sender::Unnamed, "MAIL1".parse().unwrap());
        Subject { recipient: recipient.parse().unwrap(), sender, size: ByteSize::bytes(1), from }
    }

    /// What a directory that answers one address at a time is asked for.
    fn gathered(
        subjects: &[Subject],
        recipients: &[DirectoryRecipient],
        organization: &Organization,
    ) -> KnownRecipients {
        let all = KnownRecipients::all(recipients.to_vec());
        let mut wanted = Wanted::of(subjects, &[organization]).unwrap();
        while !wanted.addresses().is_empty() {
            let found = wanted.addresses().iter().map(|address| match all.look_up(address) {
                Lookup::Found(recipient) => Some(Arc::unwrap_or_clone(recipient)),
                Lookup::NotFound | Lookup::TransientError => None,
            });
            let found = found.collect();
            wanted = wanted.supply(found).unwrap();
        }
        wanted.into_known()
    }

    #[test]
    fn who_stands_in_for_an_address_is_gathered_too() {
        // PL-45, EN-70; RFC 5233 §4; RFC 5321 §4.5.1
        let contents = organization::load(FILE, Revision(1)).unwrap();
        let organization = Arc::new(contents.organization);
        for asked in ["anna+lists@contoso.com", "abuse@fabrikam.com", "IMCEAX400-S=Anna+3BC=DE@contoso.com"] {
            let subjects = [subject(asked)];
            let known = gathered(&subjects, &contents.recipients, &organization);
            let answer = Inquiry::new(organization.clone(), known).ask(&subjects[0]).unwrap();
            assert_eq!(answer.ends[0].address.to_string(), "anna@contoso.com", "{asked}");
        }
    }

    #[test]
    fn en_73_of_another_type_the_same_is_meant_in_another_default_domain() {
        let load = |text: &str| Arc::new(organization::load(text, Revision(1)).unwrap().organization);
        let swapped = FILE.replace("default: true", "default: no").replace("default: false", "default: true");
        let (before, after) = (load(FILE), load(&swapped.replace("default: no", "default: false")));
        let known = KnownRecipients::all(Vec::new());
        let changes = |is: &str, shall: &str| {
            let (mut before, mut after) =
                (Inquiry::new(before.clone(), known.clone()), Inquiry::new(after.clone(), known.clone()));
            let subjects = [(subject(is), subject(shall))];
            let found = differences_of(&subjects, &mut before, &mut after).unwrap();
            found.into_iter().map(|difference| difference.change).collect::<Vec<_>>()
        };
        assert_eq!(changes("IMCEAFAX-5@contoso.com", "IMCEAFAX-5@fabrikam.com"), []);
        assert_eq!(changes("IMCEAFAX-5@contoso.com", "IMCEAFAX-5@contoso.com"), [AnswerChange::Lost]);
    }
}
