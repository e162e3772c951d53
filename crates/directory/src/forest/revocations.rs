//! Revoked certificates: a few entries that every service follows.

use authority::Revocation;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::{Backoff, Forest};
use crate::directory::{Author, CommitError, ReadError};
use crate::revocation::{RevocationRecord, decode, encode};
use crate::store::{Store, Unavailable, Write};

impl<S: Store> Forest<S> {
    pub(super) async fn keep_revoked(&self, revocation: Revocation, author: &Author) -> Result<(), CommitError> {
        let key = self.keys.revocation(&revocation.subject);
        let record = RevocationRecord { revocation, author: author.clone() };
        self.store.transact(Vec::new(), vec![Write::Put(key, encode(&record))]).await?;
        Ok(())
    }

    pub(super) async fn list_revocations(&self) -> Result<Vec<RevocationRecord>, ReadError> {
        let listing = self.store.list(&self.keys.revocations()).await?;
        let record = |entry: &crate::store::Entry| {
            decode(&entry.value).map_err(|error| ReadError::Invalid(format!("{}: {error}", entry.key)))
        };
        listing.entries.iter().map(record).collect()
    }

    pub(super) fn watch_all_revocations(&self) -> BoxStream<'static, Vec<Revocation>> {
        stream::unfold((self.clone(), None), |(forest, mut read_at): (Self, Option<u64>)| async move {
            let mut backoff = Backoff::default();
            loop {
                match forest.revocations_after(read_at).await {
                    Ok((revision, revocations)) => return Some((revocations, (forest, Some(revision)))),
                    Err(error) => {
                        tracing::debug!(%error, "revocations cannot be read");
                        read_at = None;
                        backoff.pause().await;
                    }
                }
            }
        })
        .boxed()
    }

    /// An entry that cannot be understood is told in the log, and in nobody else's way.
    async fn revocations_after(&self, read_at: Option<u64>) -> Result<(u64, Vec<Revocation>), Unavailable> {
        let prefix = self.keys.revocations();
        if let Some(after) = read_at {
            self.store.changed(&prefix, after).await?;
        }
        let listing = self.store.list(&prefix).await?;
        let mut revocations = Vec::new();
        for entry in &listing.entries {
            match decode(&entry.value) {
                Ok(record) => revocations.push(record.revocation),
                Err(error) => tracing::error!(key = entry.key, error, "a revocation cannot be understood"),
            }
        }
        Ok((listing.revision, revocations))
    }
}
