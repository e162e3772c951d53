//! The recipients that answers need, fetched before anything is asked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::bail;
use categorizer::Lookup;
use directory::Directory;
use envelope::Address;
use topology::{DirectoryRecipient, RecipientKind};

use super::subject::{Sender, Subject};

/// Most addresses looked up for one command: what its subjects, their groups and contacts lead to. Ours: some hundred
/// octets of memory each.
const ADDRESSES_MAX: usize = 1_000_000;

/// Recipients by address.
#[derive(Clone, Debug)]
pub(crate) struct KnownRecipients {
    by_address: HashMap<String, Option<Arc<DirectoryRecipient>>>,
    /// An address that is not here is nobody's.
    all: bool,
}

impl KnownRecipients {
    /// All recipients of an organization.
    pub fn all(recipients: Vec<DirectoryRecipient>) -> Self {
        let by_address = |recipient: DirectoryRecipient| {
            let recipient = Arc::new(recipient);
            let keys: Vec<String> = recipient.addresses().map(Address::key).collect();
            keys.into_iter().map(move |key| (key, Some(recipient.clone())))
        };
        Self { by_address: recipients.into_iter().flat_map(by_address).collect(), all: true }
    }

    /// Those that the categorizer can ask for: recipients and senders of `subjects`, and whom they lead to.
    pub async fn gather(directory: &dyn Directory, subjects: &[Subject]) -> anyhow::Result<Self> {
        let mut by_address: HashMap<String, Option<Arc<DirectoryRecipient>>> = HashMap::new();
        let mut next: Vec<Address> = subjects.iter().map(|subject| subject.recipient.clone()).collect();
        next.extend(subjects.iter().filter_map(|subject| match &subject.sender {
            Sender::Address(address) => Some(address.clone()),
            Sender::Unnamed | Sender::Null => None,
        }));
        loop {
            let mut asked = HashSet::new();
            next.retain(|address| !by_address.contains_key(&address.key()) && asked.insert(address.key()));
            if next.is_empty() {
                return Ok(Self { by_address, all: false });
            }
            if by_address.len() + next.len() > ADDRESSES_MAX {
                bail!("the answer needs more than {ADDRESSES_MAX} addresses; ask about fewer recipients at once");
            }
            let found = directory.recipients(&next).await?;
            let mut further = Vec::new();
            for (address, recipient) in next.iter().zip(found) {
                further.extend(recipient.iter().flat_map(leads_to));
                by_address.insert(address.key(), recipient.map(Arc::new));
            }
            next = further;
        }
    }

    /// The directory's answer.
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
fn leads_to(recipient: &DirectoryRecipient) -> Vec<Address> {
    match &recipient.kind {
        RecipientKind::Mailbox { .. } => Vec::new(),
        RecipientKind::MailContact { external_address } => vec![external_address.clone()],
        RecipientKind::DistributionGroup { members, .. } => members.clone(),
    }
}
