//! The recipients that answers need, gathered before anything is asked: who is still to be looked up is a value, and
//! whoever has a directory looks them up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use categorizer::Lookup;
use envelope::{Address, Domain};
use topology::{DirectoryRecipient, ExternalAddress, RecipientKind};

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
/// subjects, and whom they lead to.
#[derive(Debug)]
pub struct Wanted {
    known: KnownRecipients,
    next: Vec<Address>,
    /// The default domains of the organizations that are asked: contacts of other types lead into them.
    domains: Vec<Domain>,
}

/// The answer needs more than [`ADDRESSES_MAX`] addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer needs more than {ADDRESSES_MAX} addresses; ask about fewer recipients at once")]
pub struct TooMany;

impl Wanted {
    /// What answers about `subjects` need in organizations with these default domains.
    ///
    /// # Errors
    /// [`TooMany`]
    pub fn of(subjects: &[Subject], domains: &[Domain]) -> Result<Self, TooMany> {
        let recipients = subjects.iter().map(|subject| &subject.recipient);
        let senders = subjects.iter().filter_map(|subject| match &subject.sender {
            Sender::Address(address) => Some(address),
            Sender::Unnamed | Sender::Null => None,
        });
        let next = recipients.chain(senders).cloned().collect();
        let domains = domains.to_vec();
        Self { known: KnownRecipients::default(), next, domains }.narrowed()
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
            further.extend(recipient.iter().flat_map(|recipient| leads_to(recipient, &self.domains)));
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
fn leads_to(recipient: &DirectoryRecipient, domains: &[Domain]) -> Vec<Address> {
    match &recipient.kind {
        RecipientKind::Mailbox { .. } => Vec::new(),
        RecipientKind::MailContact { external_address: ExternalAddress::Smtp(address) } => vec![address.clone()],
        RecipientKind::MailContact { external_address } => {
            domains.iter().filter_map(|domain| external_address.in_smtp(Some(domain))).collect()
        }
        RecipientKind::DistributionGroup { members, .. } => members.clone(),
    }
}
