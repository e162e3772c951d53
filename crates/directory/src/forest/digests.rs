//! Digests of recipients on an Edge server: one entry for each bucket, and what was told last. Whoever tells them finds out by one
//! entry whether they are still what he told; it is not there while they are being told.
//!
//! ```text
//!   digests-sum: of what was told ──▶ none, some buckets ──▶ more buckets ──▶ digests (all are there), digests-sum
//!                                     └────── one transaction, where all of it fits in ─────┘
//! ```

use async_trait::async_trait;

use super::Forest;
use crate::digests::{Bucket, Buckets, DigestsChange, Mark, Marks, MarksSum, RecipientDigest};
use crate::directory::{CommitError, ReadError, RecipientDigests};
use crate::store::{Condition, Outcome, Store, Write};

/// Buckets that are read at once: at a million recipients five megabytes.
const PAGE: usize = 256;
/// Octets of buckets in one transaction; etcd takes one and a half megabytes.
const TRANSACTION_OCTETS: usize = 1024 * 1024;
/// Writes of a transaction beside those of buckets.
const BESIDE_BUCKETS: usize = 2;

fn write(key: String, bucket: &Bucket) -> Write {
    if bucket.is_empty() { Write::Delete(key) } else { Write::Put(key, bucket.to_octets()) }
}

fn octets(write: &Write) -> usize {
    match write {
        Write::Put(_, value) | Write::PutUnder(_, _, value) => value.len(),
        Write::Delete(_) | Write::DeletePrefix(_) => 0,
    }
}

/// Writes in transactions that the backend takes; at least one, which may be empty.
fn divided(writes: Vec<Write>, operations_max: usize) -> Vec<Vec<Write>> {
    let mut all = vec![Vec::new()];
    let mut held = 0;
    for write in writes {
        held += octets(&write);
        let last = all.last_mut().expect("there is one");
        if last.len() < operations_max && (held <= TRANSACTION_OCTETS || last.is_empty()) {
            last.push(write);
        } else {
            held = octets(&write);
            all.push(vec![write]);
        }
    }
    all
}

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

    /// The buckets of a change, as they are after it.
    async fn buckets_after(&self, change: &DigestsChange) -> Result<Vec<Write>, CommitError> {
        let keys: Vec<String> = change.buckets.keys().map(|number| self.keys.digests_of(*number)).collect();
        let mut writes = Vec::with_capacity(keys.len());
        for (key, (entry, (number, change))) in
            keys.iter().zip(self.get_all(&keys).await?.into_iter().zip(&change.buckets))
        {
            let before = entry.map_or_else(|| Some(Bucket::default()), |entry| Bucket::from_octets(&entry.value));
            let after = before.map(|before| before.changed(change)).filter(|after| after.mark() == change.mark);
            let Some(after) = after else {
                return Err(CommitError::Conflict(format!("bucket {number} is not what it ought to be")));
            };
            writes.push(write(key.clone(), &after));
        }
        Ok(writes)
    }

    /// Makes writes of buckets in as many transactions as it takes: what was told is unknown until the last, which ends with `end`.
    async fn write_buckets(
        &self,
        mut conditions: Vec<Condition>,
        writes: Vec<Write>,
        mut end: Vec<Write>,
    ) -> Result<(), CommitError> {
        let mut transactions = divided(writes, self.store.operations_max() - BESIDE_BUCKETS).into_iter().peekable();
        let sum = self.keys.digests_sum();
        while let Some(mut writes) = transactions.next() {
            if transactions.peek().is_none() {
                writes.append(&mut end);
            }
            if !writes.iter().any(|write| matches!(write, Write::Put(key, _) if *key == sum)) {
                writes.push(Write::Delete(sum.clone()));
            }
            let made = self.store.transact(std::mem::take(&mut conditions), writes).await?;
            if made == Outcome::Refused {
                return Err(CommitError::Conflict("somebody else told this Edge server something".to_owned()));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl<S: Store> RecipientDigests for Forest<S> {
    async fn told_last(&self) -> Result<MarksSum, ReadError> {
        let found = self.store.get(&[self.keys.digests_sum()]).await?.pop().flatten();
        Ok(found.map(|entry| MarksSum::from_octets(&entry.value)).unwrap_or_default())
    }

    async fn bucket_marks(&self) -> Result<Marks, ReadError> {
        let prefix = self.keys.digests();
        let (mut marks, mut after) = (Marks::default(), prefix.clone());
        loop {
            let page = self.store.page(&prefix, &after, PAGE).await?;
            for entry in &page {
                let number = entry.key.strip_prefix(&prefix).and_then(|number| u16::from_str_radix(number, 16).ok());
                let Some(number) = number else { continue };
                // One that cannot be read differs from every other, and is written anew.
                marks.set(number, Bucket::from_octets(&entry.value).map_or(Mark::NONE, |bucket| bucket.mark()));
            }
            match page.into_iter().next_back() {
                Some(last) => after = last.key,
                None => return Ok(marks),
            }
        }
    }

    async fn put_buckets(&self, salt: &str, buckets: &Buckets, complete: Option<&MarksSum>) -> Result<(), CommitError> {
        let marker = self.keys.digests_complete();
        let known = self.store.get(std::slice::from_ref(&marker)).await?.pop().flatten();
        if known.is_some_and(|known| known.value != salt.as_bytes()) {
            // Digests of two salts tell nothing of anybody.
            self.store.transact(Vec::new(), vec![Write::Delete(marker.clone())]).await?;
        }
        let writes = buckets.iter().map(|(number, bucket)| write(self.keys.digests_of(*number), bucket)).collect();
        let end = complete.map(|sum| {
            let sum = Write::Put(self.keys.digests_sum(), sum.as_octets().to_vec());
            vec![Write::Put(marker, salt.as_bytes().to_vec()), sum]
        });
        self.write_buckets(Vec::new(), writes, end.unwrap_or_default()).await
    }

    async fn change_buckets(&self, change: &DigestsChange) -> Result<(), CommitError> {
        let keys = [self.keys.digests_sum(), self.keys.digests_complete()];
        let mut found = self.store.get(&keys).await?.into_iter();
        let (sum, complete) = (found.next().flatten(), found.next().flatten());
        let Some(sum) = sum.filter(|sum| {
            sum.value == change.from.as_octets()
                && complete.is_some_and(|complete| complete.value == change.salt.as_bytes())
        }) else {
            return Err(CommitError::Conflict("something else was told to this Edge server last".to_owned()));
        };
        let writes = self.buckets_after(change).await?;
        let end = vec![Write::Put(sum.key.clone(), change.to.as_octets().to_vec())];
        self.write_buckets(vec![Condition::Unchanged(sum.key, sum.revision)], writes, end).await
    }

    async fn forget_digests(&self) -> Result<(), CommitError> {
        let marker = self.keys.digests_complete();
        let there = self.store.get(std::slice::from_ref(&marker)).await?.pop().flatten();
        if there.is_none() && self.store.page(&self.keys.digests(), &self.keys.digests(), 1).await?.is_empty() {
            return Ok(());
        }
        let all = vec![
            Write::Delete(marker),
            Write::Delete(self.keys.digests_sum()),
            Write::DeletePrefix(self.keys.digests()),
        ];
        self.store.transact(Vec::new(), all).await?;
        Ok(())
    }
}
