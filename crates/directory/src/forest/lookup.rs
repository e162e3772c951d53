//! Looking recipients up: index key, then object.

use envelope::{Address, ObjectName};
use topology::{DirectoryRecipient, Guid};

use super::recipients::recipient;
use super::{Forest, LOOKUP_BATCH};
use crate::directory::{Answer, ReadError};
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

    pub(super) async fn look_up(&self, addresses: &[Address]) -> Vec<Answer> {
        let mut found = Vec::with_capacity(addresses.len());
        for batch in addresses.chunks(LOOKUP_BATCH) {
            match self.look_up_batch(batch).await {
                Ok(answers) => found.extend(answers),
                Err(error) => found.extend(batch.iter().map(|_| Err(ReadError::from(error.clone())))),
            }
        }
        found
    }

    async fn look_up_batch(&self, batch: &[Address]) -> Result<Vec<Answer>, Unavailable> {
        let index: Vec<String> = batch.iter().map(|address| self.keys.address(&address.key())).collect();
        let answers = self.behind(self.store.get(&index).await?).await?;
        // Index and object are read one after the other: an address that moved in between is not this recipient's.
        let owns = |recipient: &DirectoryRecipient, address: &Address| {
            recipient.addresses().any(|own| own.key() == address.key())
        };
        let checked = answers.into_iter().zip(batch);
        Ok(checked.map(|(answer, address)| Ok(answer?.filter(|recipient| owns(recipient, address)))).collect())
    }

    pub(super) async fn look_up_name(&self, name: &ObjectName) -> Answer {
        let index = self.store.get(&[self.keys.recipient_name(name.as_str())]).await?;
        let found = self.behind(index).await?.pop().unwrap_or(Ok(None))?;
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
        let listed = self.behind(index.into_iter().map(Some).collect()).await?.into_iter();
        listed.filter_map(Result::transpose).collect()
    }

    /// The recipients to which index entries point, each by itself.
    async fn behind(&self, index: Vec<Option<Entry>>) -> Result<Vec<Answer>, Unavailable> {
        let guid = |entry: Entry| -> Result<Guid, ReadError> {
            let text = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
            text.ok_or_else(|| ReadError::Invalid(format!("{} does not hold an identity", entry.key)))
        };
        let guids: Vec<Option<Result<Guid, ReadError>>> = index.into_iter().map(|entry| entry.map(guid)).collect();
        let keys: Vec<String> = guids.iter().flatten().flatten().map(|guid| self.keys.recipient(*guid)).collect();
        let mut objects = self.get_all(&keys).await?.into_iter();
        let answer = |guid: Option<Result<Guid, ReadError>>| match guid {
            None => Ok(None),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) => {
                let object = objects.next().flatten();
                object.map(|object| recipient(&object)).transpose().map_err(ReadError::Invalid)
            }
        };
        Ok(guids.into_iter().map(answer).collect())
    }
}
