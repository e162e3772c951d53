//! Looking recipients up: index key, then object.

use envelope::{Address, ObjectName};
use topology::{DirectoryRecipient, Guid};

use super::recipients::recipient;
use super::{Forest, LOOKUP_BATCH};
use crate::directory::ReadError;
use crate::store::{Entry, Store, Unavailable};

impl<S: Store> Forest<S> {
    /// The entries of any number of keys.
    pub(super) async fn get_all(&self, keys: &[String]) -> Result<Vec<Option<Entry>>, Unavailable> {
        let mut entries = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(self.store.operations_max()) {
            entries.extend(self.store.get(chunk).await?);
        }
        Ok(entries)
    }

    pub(super) async fn look_up(&self, addresses: &[Address]) -> Result<Vec<Option<DirectoryRecipient>>, ReadError> {
        let mut found = Vec::with_capacity(addresses.len());
        for batch in addresses.chunks(LOOKUP_BATCH) {
            let index: Vec<String> = batch.iter().map(|address| self.keys.address(&address.key())).collect();
            let recipients = self.behind(self.store.get(&index).await?).await?;
            // Index and object are read one after the other: an address that moved in between is not this recipient's.
            let owns = |recipient: &DirectoryRecipient, address: &Address| {
                recipient.addresses().any(|own| own.key() == address.key())
            };
            let checked = recipients.into_iter().zip(batch);
            found.extend(checked.map(|(recipient, address)| recipient.filter(|recipient| owns(recipient, address))));
        }
        Ok(found)
    }

    pub(super) async fn look_up_name(&self, name: &ObjectName) -> Result<Option<DirectoryRecipient>, ReadError> {
        let index = self.store.get(&[self.keys.recipient_name(name.as_str())]).await?;
        let found = self.behind(index).await?.pop().flatten();
        Ok(found.filter(|recipient| recipient.name == *name))
    }

    pub(super) async fn page_of_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        let names = self.keys.recipient_names();
        let after = after.map_or_else(|| names.clone(), |name| self.keys.recipient_name(name.as_str()));
        let index = self.store.page(&names, &after, limit).await?;
        Ok(self.behind(index.into_iter().map(Some).collect()).await?.into_iter().flatten().collect())
    }

    /// The recipients to which index entries point.
    async fn behind(&self, index: Vec<Option<Entry>>) -> Result<Vec<Option<DirectoryRecipient>>, ReadError> {
        let guid = |entry: &Entry| -> Result<Guid, ReadError> {
            let text = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
            text.ok_or_else(|| ReadError::Invalid(format!("{} does not hold an identity", entry.key)))
        };
        let mut keys = Vec::new();
        for entry in index.iter().flatten() {
            keys.push(self.keys.recipient(guid(entry)?));
        }
        let mut objects = self.get_all(&keys).await?.into_iter();
        let mut found = Vec::with_capacity(index.len());
        for entry in index {
            let object = if entry.is_some() { objects.next().flatten() } else { None };
            found.push(object.map(|object| recipient(&object)).transpose().map_err(ReadError::Invalid)?);
        }
        Ok(found)
    }
}
