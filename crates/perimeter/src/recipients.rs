//! What an Edge server is told of recipients (EN-30, EN-31): first all of them, then what changed. Whom only senders of the organization
//! may write to it is not told: mail that it hands in is a stranger's.
//!
//! ```text
//!                          ┌── nothing is known of what was told, or it does not hold any more: says why ──▶ all are read
//!   what changed since ────┤
//!   it was told last       └── addresses that came and went: their recipients are read ──▶ their digests are sent
//! ```
//!
//! Of what was told only the marks of buckets are kept, which a digest changes without the others being known. The Edge server says by
//! one sum whether it still has what it was told. All are read as they were at one moment, page by page; digests are gathered until
//! [`GATHERED_MAX`], for the buckets after those everything is read once more.

use std::collections::{BTreeMap, BTreeSet};

use admin_api::{AdminError, Api, ToldLast};
use async_trait::async_trait;
use directory::{
    Administration, Bucket, BucketChange, ChangesError, DigestsChange, Marks, MarksSum, Moment, RecipientDigest,
};
use envelope::Address;
use topology::{DirectoryRecipient, Organization};

use crate::error::SyncError;

/// Recipients read at once.
const PAGE: usize = 500;
/// Digests gathered before they are sent: 16 MiB, which is two hundred thousand recipients with two addresses each.
pub const GATHERED_MAX: usize = 512 * 1024;
/// Digests of one change, 32 octets each: a call of gRPC has at most four megabytes.
const CHANGED_MAX: usize = 64 * 1024;

/// The Edge server's end, as far as recipients go.
#[async_trait]
pub trait Outside: Send + Sync {
    /// What it was told last: the marks of what it has, unless that is what `known` is the sum of.
    ///
    /// # Errors
    /// [`AdminError`]
    async fn told_last(&self, known: &MarksSum) -> Result<ToldLast, AdminError>;

    /// Replaces buckets; with `complete` what is there then is all.
    ///
    /// # Errors
    /// [`AdminError`]
    async fn put(&self, salt: &str, buckets: Sorted, complete: Option<MarksSum>) -> Result<(), AdminError>;

    /// Changes some digests; `false` when all have to be told anew.
    ///
    /// # Errors
    /// [`AdminError`]
    async fn change(&self, change: &DigestsChange) -> Result<bool, AdminError>;
}

#[async_trait]
impl Outside for Api {
    async fn told_last(&self, known: &MarksSum) -> Result<ToldLast, AdminError> {
        Self::told_last(self, known).await
    }

    async fn put(&self, salt: &str, buckets: Sorted, complete: Option<MarksSum>) -> Result<(), AdminError> {
        self.put_buckets(salt, buckets, complete).await
    }

    async fn change(&self, change: &DigestsChange) -> Result<bool, AdminError> {
        self.change_buckets(change).await
    }
}

/// Buckets, one after the other, of digests in their order; those that are named and have none are empty.
#[derive(Debug, Default)]
pub struct Sorted {
    digests: Vec<RecipientDigest>,
    at: usize,
    numbers: std::vec::IntoIter<u16>,
}

impl Sorted {
    /// The buckets `numbers`, which are in their order; of `digests` those that belong to them.
    fn new(mut digests: Vec<RecipientDigest>, numbers: Vec<u16>) -> Self {
        digests.sort_unstable();
        Self { digests, at: 0, numbers: numbers.into_iter() }
    }
}

impl Iterator for Sorted {
    type Item = (u16, Bucket);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.numbers.next()?;
        let rest = &self.digests[self.at..];
        let begin = self.at + rest.partition_point(|digest| digest.bucket() < number);
        self.at = begin + self.digests[begin..].partition_point(|digest| digest.bucket() == number);
        Some((number, Bucket::new(self.digests[begin..self.at].to_vec())))
    }
}

/// What an Edge server was told, as long as this process knows.
#[derive(Clone, Debug, Default)]
pub struct ToldBefore(Option<Known>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// With which its digests begin.
    salt: String,
    /// The accepted domains whose addresses count.
    domains: BTreeSet<String>,
    /// Whose addresses it was told; `None` when the directory changed while all were read, and they were not of one moment.
    moment: Option<Moment>,
    marks: Marks,
    addresses: usize,
}

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldReport {
    /// Addresses that the Edge server knows now.
    pub addresses: usize,
    /// Buckets that were sent, whole or what changed in them.
    pub buckets: usize,
    /// Recipients that were read.
    pub read: usize,
    /// Why it was all of them.
    pub all_read: Option<String>,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What changed; that the Edge server still has what it was told is believed by its sum.
    Changes,
    /// The same, and what the Edge server has is compared bucket by bucket.
    Compare,
    /// As if nothing had been told before.
    Full,
}

/// Addresses of the organization, for one Edge server.
pub struct Recipients<'a> {
    /// The organization's.
    pub directory: &'a dyn Administration,
    /// What addresses count by.
    pub organization: &'a Organization,
    /// With which digests for this Edge server begin.
    pub salt: &'a str,
    /// Digests gathered before they are sent: [`GATHERED_MAX`].
    pub gathered_max: usize,
}

/// What was told, with what changed since.
struct Followed {
    known: Known,
    changes: BTreeMap<u16, BucketChange>,
    read: usize,
}

/// Everything, read once.
struct Gathered {
    marks: Marks,
    addresses: usize,
    read: usize,
    /// Those of buckets below `until`.
    digests: Vec<RecipientDigest>,
    until: u32,
    most: usize,
}

impl Gathered {
    fn new(most: usize) -> Self {
        let until = u32::from(u16::MAX) + 1;
        Self { marks: Marks::default(), addresses: 0, read: 0, digests: Vec::new(), until, most }
    }

    /// Takes the digests of one recipient; of buckets `wanted` some are kept.
    fn take(&mut self, digests: BTreeSet<RecipientDigest>, wanted: &dyn Fn(u16) -> bool) {
        self.read += 1;
        self.addresses += digests.len();
        for digest in digests {
            self.marks.toggle(&digest);
            if u32::from(digest.bucket()) < self.until && wanted(digest.bucket()) {
                self.digests.push(digest);
            }
        }
        if self.digests.len() >= self.most {
            self.let_go();
        }
    }

    /// Lets go of the digests of the last buckets; those of one bucket alone stay.
    fn let_go(&mut self) {
        self.digests.sort_unstable();
        let first = self.digests[0].bucket();
        let middle = self.digests[self.digests.len() / 2].bucket();
        let end = u32::from(middle.max(first + 1));
        self.until = self.until.min(end);
        let kept = self.digests.partition_point(|digest| u32::from(digest.bucket()) < self.until);
        self.digests.truncate(kept);
    }
}

/// What was told cannot be followed, and why: all have to be read.
type OrLost<T> = Result<Result<T, String>, SyncError>;

fn lost<T>(why: &str) -> OrLost<T> {
    Ok(Err(why.to_owned()))
}

impl Recipients<'_> {
    fn domains(&self) -> BTreeSet<String> {
        self.organization.accepted_domains().iter().map(|accepted| accepted.domain.to_string()).collect()
    }

    /// The digest of an address, if it is in an accepted domain.
    fn digest(&self, address: &Address) -> Option<RecipientDigest> {
        let counts = self.organization.accepted_domain(&address.domain()).is_some();
        counts.then(|| RecipientDigest::of(self.salt, address))
    }

    fn digests(&self, recipient: &DirectoryRecipient) -> BTreeSet<RecipientDigest> {
        recipient.addresses_for_strangers().filter_map(|address| self.digest(address)).collect()
    }

    /// Tells which recipients there are.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn tell(
        &self,
        outside: &dyn Outside,
        told: &mut ToldBefore,
        depth: Depth,
    ) -> Result<ToldReport, SyncError> {
        let followed = if depth == Depth::Full { lost("it was wanted") } else { self.follow(told).await };
        let told_changes = match followed? {
            Ok(followed) => self.tell_changes(outside, told, followed, depth).await?,
            Err(why) => Err(why),
        };
        let why = match told_changes {
            Ok(report) => return Ok(report),
            Err(why) => why,
        };
        // Until all is told it is not known what was.
        *told = ToldBefore::default();
        let (known, mut report) = self.tell_all(outside).await?;
        told.0 = Some(known);
        report.all_read = Some(why);
        Ok(report)
    }

    /// What was told, and what changed since.
    async fn follow(&self, told: &ToldBefore) -> OrLost<Followed> {
        let Some(before) = &told.0 else { return lost("nothing was told by this server before") };
        if before.salt != self.salt {
            return lost("it is another subscription");
        }
        if before.domains != self.domains() {
            return lost("the accepted domains have changed");
        }
        let now = self.directory.moment().await?;
        let (Some(since), Some(until)) = (&before.moment, now) else {
            return lost("the directory does not say what has changed");
        };
        let mut known = Known { moment: Some(until.clone()), ..before.clone() };
        let (mut changes, mut read) = (BTreeMap::<u16, BucketChange>::new(), 0);
        if *since != until {
            let changed = match self.directory.addresses_between(since, &until).await {
                Ok(changed) => changed,
                Err(ChangesError::Lost(why)) => return lost(&why),
                Err(ChangesError::Unavailable(why)) => return Err(SyncError::Directory(why)),
            };
            read = changed.recipients;
            let (came, went): (Vec<_>, Vec<_>) = (
                changed.came().filter_map(|address| self.digest(address)).collect(),
                changed.went().filter_map(|address| self.digest(address)).collect(),
            );
            if came.len() + went.len() > CHANGED_MAX {
                return lost("very many addresses have changed");
            }
            known.addresses = (known.addresses + came.len()).saturating_sub(went.len());
            came.iter().chain(&went).for_each(|digest| known.marks.toggle(digest));
            for digest in came {
                changes.entry(digest.bucket()).or_default().come.insert(digest);
            }
            for digest in went {
                changes.entry(digest.bucket()).or_default().gone.insert(digest);
            }
            changes.iter_mut().for_each(|(number, change)| change.mark = known.marks.of(*number));
        }
        Ok(Ok(Followed { known, changes, read }))
    }

    /// Tells what changed, if the Edge server has what it was told; else why it is not enough.
    async fn tell_changes(
        &self,
        outside: &dyn Outside,
        told: &mut ToldBefore,
        followed: Followed,
        depth: Depth,
    ) -> OrLost<ToldReport> {
        let Some(before) = &told.0 else { return lost("nothing was told before") };
        let Followed { known, changes, read } = followed;
        let (from, to) = (before.marks.sum(self.salt), known.marks.sum(self.salt));
        let asked = if depth == Depth::Compare { MarksSum::default() } else { from.clone() };
        let there = outside.told_last(&asked).await?;
        let is_told = |sum: &MarksSum, marks: &Marks| {
            there.sum == *sum && there.marks.as_ref().is_none_or(|there| there == marks)
        };
        let mut report = ToldReport { addresses: known.addresses, buckets: 0, read, all_read: None };
        if is_told(&from, &before.marks) {
            report.buckets = changes.len();
            let change = DigestsChange { salt: self.salt.to_owned(), from, to, buckets: changes };
            if !change.buckets.is_empty() && !outside.change(&change).await? {
                return lost("the Edge server does not take changes of what it was told");
            }
        } else if !is_told(&to, &known.marks) {
            // Else the answer was lost the last time, or another server told the same.
            return lost("the Edge server does not have what it was told");
        }
        told.0 = Some(known);
        Ok(Ok(report))
    }

    /// Reads all, and tells what is not there as it ought to be.
    async fn tell_all(&self, outside: &dyn Outside) -> Result<(Known, ToldReport), SyncError> {
        let there = outside.told_last(&MarksSum::default()).await?.marks.unwrap_or_default();
        let mut reading = Reading::of(self).await?;
        let mut gathered = reading.all(&|_| true).await?;
        let known = Known {
            salt: self.salt.to_owned(),
            domains: self.domains(),
            moment: None,
            marks: gathered.marks.clone(),
            addresses: gathered.addresses,
        };
        let mut rest = known.marks.differing(&there);
        let mut report =
            ToldReport { addresses: known.addresses, buckets: rest.len(), read: gathered.read, all_read: None };
        loop {
            let later = rest.split_off(rest.partition_point(|number| u32::from(*number) < gathered.until));
            let buckets = Sorted::new(gathered.digests, rest);
            let complete = later.is_empty().then(|| known.marks.sum(self.salt));
            outside.put(self.salt, buckets, complete).await?;
            if later.is_empty() {
                break;
            }
            rest = later;
            let wanted = |number: u16| rest.binary_search(&number).is_ok();
            gathered = reading.all(&wanted).await?;
            report.read += gathered.read;
        }
        Ok((Known { moment: reading.moment, ..known }, report))
    }

    /// What the Edge server has against what it ought to: buckets that differ, and all. With `full` every recipient is read.
    ///
    /// # Errors
    /// [`SyncError`]
    pub async fn compare(
        &self,
        outside: &dyn Outside,
        told: &ToldBefore,
        full: bool,
    ) -> Result<(usize, usize), SyncError> {
        let followed = if full { lost("it was wanted") } else { self.follow(told).await };
        let marks = match followed? {
            Ok(followed) => followed.known.marks,
            Err(_) => Reading::of(self).await?.all(&|_| false).await?.marks,
        };
        let there = outside.told_last(&MarksSum::default()).await?.marks.unwrap_or_default();
        Ok((marks.differing(&there).len(), marks.together(&there)))
    }
}

/// All recipients, as they were at one moment; where that is not kept as long as it takes, as they are.
struct Reading<'a> {
    of: &'a Recipients<'a>,
    moment: Option<Moment>,
    then: Option<std::sync::Arc<dyn Administration>>,
}

impl<'a> Reading<'a> {
    async fn of(of: &'a Recipients<'a>) -> Result<Self, SyncError> {
        let moment = of.directory.moment().await?;
        let then = match &moment {
            Some(moment) => of.directory.at(moment.revision).await.ok(),
            None => None,
        };
        Ok(Self { of, moment: moment.filter(|_| then.is_some()), then })
    }

    /// Reads everything once.
    async fn all(&mut self, wanted: &(dyn Fn(u16) -> bool + Sync)) -> Result<Gathered, SyncError> {
        if let (Some(moment), Some(then)) = (&self.moment, &self.then) {
            let gathered = self.once(&**then, wanted).await?;
            // What is not kept reads as if it had never been: that it is kept is asked afterwards.
            if self.of.directory.at(moment.revision).await.is_ok() {
                return Ok(gathered);
            }
            (self.moment, self.then) = (None, None);
        }
        self.once(self.of.directory, wanted).await
    }

    async fn once(
        &self,
        directory: &dyn Administration,
        wanted: &(dyn Fn(u16) -> bool + Sync),
    ) -> Result<Gathered, SyncError> {
        let (mut gathered, mut after) = (Gathered::new(self.of.gathered_max), None);
        loop {
            let page = directory.list_recipients(after.as_ref(), PAGE).await?;
            page.iter().for_each(|recipient| gathered.take(self.of.digests(recipient), wanted));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(gathered),
            }
        }
    }
}
