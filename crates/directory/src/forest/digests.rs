//! Digests of recipients on an Edge server: one entry for each bucket.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Forest;
use crate::digests::{Bucket, Buckets, RecipientDigest};
use crate::directory::{CommitError, ReadError, RecipientDigests};
use crate::store::{Store, Write};

impl<S: Store> Forest<S> {
    /// Whether somebody has the address of a digest; nothing until all with that salt were told.
    pub(super) async fn digest_is_known(
        &self,
        salt: &str,
        digest: &RecipientDigest,
    ) -> Result<Option<bool>, ReadError> {
        let keys = [self.keys.digests_complete(), self.keys.digests_of(digest.bucket())];
        let mut found = self.store.get(&keys).await?.into_iter();
        let (complete, bucket) = (found.next().flatten(), found.next().flatten());
        if complete.is_none_or(|complete| complete.value != salt.as_bytes()) {
            return Ok(None);
        }
        let Some(entry) = bucket else { return Ok(Some(false)) };
        let bucket = Bucket::from_octets(&entry.value);
        let bucket = bucket.ok_or_else(|| ReadError::Invalid(format!("{} holds no digests", entry.key)))?;
        Ok(Some(bucket.has(digest)))
    }
}

#[async_trait]
impl<S: Store> RecipientDigests for Forest<S> {
    async fn bucket_marks(&self) -> Result<BTreeMap<u16, [u8; 32]>, ReadError> {
        let prefix = self.keys.digests();
        let listed = self.store.list(&prefix).await?;
        let marks = listed.entries.iter().filter_map(|entry| {
            let number = u16::from_str_radix(entry.key.strip_prefix(&prefix)?, 16).ok()?;
            // One that cannot be read differs from every other, and is written anew.
            let mark = Bucket::from_octets(&entry.value).map_or([0; 32], |bucket| bucket.mark());
            Some((number, mark))
        });
        Ok(marks.collect())
    }

    async fn put_buckets(&self, salt: &str, buckets: &Buckets, complete: bool) -> Result<(), CommitError> {
        let marker = self.keys.digests_complete();
        let known = self.store.get(std::slice::from_ref(&marker)).await?.pop().flatten();
        if known.is_some_and(|known| known.value != salt.as_bytes()) {
            // Digests of two salts tell nothing of anybody.
            self.store.transact(Vec::new(), vec![Write::Delete(marker.clone())]).await?;
        }
        let write = |(number, bucket): (&u16, &Bucket)| {
            let key = self.keys.digests_of(*number);
            if bucket.is_empty() { Write::Delete(key) } else { Write::Put(key, bucket.to_octets()) }
        };
        let mut writes: Vec<Write> = buckets.iter().map(write).collect();
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(self.store.operations_max()));
            self.store.transact(Vec::new(), std::mem::replace(&mut writes, rest)).await?;
        }
        if complete {
            self.store.transact(Vec::new(), vec![Write::Put(marker, salt.as_bytes().to_vec())]).await?;
        }
        Ok(())
    }

    async fn forget_digests(&self) -> Result<(), CommitError> {
        let marker = self.keys.digests_complete();
        let there = self.store.get(std::slice::from_ref(&marker)).await?.pop().flatten();
        if there.is_none() && self.store.page(&self.keys.digests(), &self.keys.digests(), 1).await?.is_empty() {
            return Ok(());
        }
        let all = vec![Write::Delete(marker), Write::DeletePrefix(self.keys.digests())];
        self.store.transact(Vec::new(), all).await?;
        Ok(())
    }
}
