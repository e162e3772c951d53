//! What is stored of each recipient, in some hundred octets: enough to say of a million what a file changes of them, without holding
//! any of them.
//!
//! ```text
//!   directory ──page by page──▶ Census ◀──piece by piece── wanted
//!                                 │
//!                                 ├─ as it is: let go
//!                                 ├─ another: what is stored is read again, by its name
//!                                 └─ not stored, or not wanted
//! ```

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use envelope::ObjectName;
use futures::{StreamExt, TryStreamExt, stream};
use organization::{Change, Object};
use topology::{DirectoryRecipient, Guid, RecipientKind};

use crate::apply::PAGE;
use crate::directory::{ReadError, Recipients};

/// Recipients that are read again at the same time.
const READ_TOGETHER: usize = 16;

/// One stored recipient.
struct Known {
    name: ObjectName,
    /// Of everything that is stored of it.
    digest: u64,
    /// `postroad sync` brought it: its source says when it goes.
    is_brought: bool,
}

/// The stored recipients that nobody has asked for yet, and what is wanted beside them.
pub struct Census {
    stored: HashMap<Guid, Known>,
    named: HashMap<ObjectName, Guid>,
    chance: RandomState,
    /// Mailboxes of each database.
    mailboxes: HashMap<ObjectName, usize>,
    /// Mailboxes whose passwords are kept here.
    with_passwords: Vec<Object>,
    wanted_names: std::collections::HashSet<u64>,
    #[expect(clippy::vec_box, reason = "a plan takes each box as it is: else all of them would be there twice")]
    new: Vec<Box<DirectoryRecipient>>,
    changed: Vec<(ObjectName, Box<DirectoryRecipient>)>,
}

impl Census {
    /// Reads what is stored, page by page.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn take(directory: &dyn Recipients) -> Result<Self, ReadError> {
        let mut census = Self::of_nobody();
        let mut after: Option<ObjectName> = None;
        loop {
            let page = directory.list_recipients(after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|recipient| recipient.name.clone());
            page.into_iter().for_each(|recipient| census.count(recipient));
            if is_last {
                return Ok(census);
            }
        }
    }

    fn of_nobody() -> Self {
        Self {
            stored: HashMap::new(),
            named: HashMap::new(),
            chance: RandomState::new(),
            mailboxes: HashMap::new(),
            with_passwords: Vec::new(),
            wanted_names: std::collections::HashSet::new(),
            new: Vec::new(),
            changed: Vec::new(),
        }
    }

    fn count(&mut self, recipient: DirectoryRecipient) {
        if let RecipientKind::Mailbox { database, .. } = &recipient.kind {
            *self.mailboxes.entry(database.clone()).or_default() += 1;
        }
        let (digest, is_brought) = (self.chance.hash_one(&recipient), recipient.provenance.is_some());
        let known = Known { name: recipient.name.clone(), digest, is_brought };
        self.named.insert(recipient.name.clone(), recipient.guid);
        self.stored.insert(recipient.guid, known);
        if matches!(&recipient.kind, RecipientKind::Mailbox { password: Some(_), .. }) {
            self.with_passwords.push(Object::Recipient(Box::new(recipient)));
        }
    }

    /// How many mailboxes each database has.
    #[must_use]
    pub fn mailboxes(&self) -> &HashMap<ObjectName, usize> {
        &self.mailboxes
    }

    /// Mailboxes with verifiers of passwords: who applies a file compares with those.
    #[must_use]
    pub fn with_passwords(&self) -> &[Object] {
        &self.with_passwords
    }

    /// Takes the next recipients that are wanted.
    pub fn want(&mut self, wanted: Vec<DirectoryRecipient>) {
        for recipient in wanted {
            self.wanted_names.insert(self.chance.hash_one(&recipient.name));
            match self.stored.remove(&recipient.guid) {
                Some(known) if known.digest == self.chance.hash_one(&recipient) => {}
                Some(known) => self.changed.push((known.name, Box::new(recipient))),
                None => self.new.push(Box::new(recipient)),
            }
        }
    }

    /// The changes that lead to what was wanted, by the rules of [`organization::plan()`]; and how many recipients stay that were
    /// brought from elsewhere and are not wanted by name.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn changes(mut self, directory: &dyn Recipients) -> Result<Vec<Change>, ReadError> {
        let mut changes = Vec::new();
        for mut recipient in std::mem::take(&mut self.new) {
            // Of another identity, which nobody else wants: it keeps that.
            let known = self.named.get(&recipient.name).and_then(|guid| Some((*guid, self.stored.remove(guid)?)));
            match known {
                None => changes.push(Change::Create(Object::Recipient(recipient))),
                Some((guid, known)) => {
                    recipient.guid = guid;
                    if known.digest != self.chance.hash_one(&recipient) {
                        self.changed.push((known.name, recipient));
                    }
                }
            }
        }
        let updates = self.changed.into_iter().map(|(name, to)| async move {
            let from = stored(directory, &name).await?;
            Ok::<_, ReadError>(Change::Update { from, to: Object::Recipient(to) })
        });
        let is_unwanted =
            |known: &Known| !known.is_brought || self.wanted_names.contains(&self.chance.hash_one(&known.name));
        let mut unwanted: Vec<ObjectName> =
            self.stored.into_values().filter(is_unwanted).map(|known| known.name).collect();
        unwanted.sort();
        changes.extend(stream::iter(updates).buffered(READ_TOGETHER).try_collect::<Vec<_>>().await?);
        let deletes = unwanted
            .iter()
            .map(|name| async move { Ok::<_, ReadError>(Change::Delete(stored(directory, name).await?)) });
        changes.extend(stream::iter(deletes).buffered(READ_TOGETHER).try_collect::<Vec<_>>().await?);
        Ok(changes)
    }
}

async fn stored(directory: &dyn Recipients, name: &ObjectName) -> Result<Object, ReadError> {
    let found = directory.recipient_by_name(name).await?;
    let found =
        found.ok_or_else(|| ReadError::Invalid(format!("{name} has changed since it was listed; try again")))?;
    Ok(Object::Recipient(Box::new(found)))
}
