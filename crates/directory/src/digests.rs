//! Recipients as an Edge server knows them: digests of their addresses (EN-30), by which the perimeter refuses whom nobody is
//! without knowing an address. They are kept in buckets, so that two sides find out by a few numbers where they differ.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{Context, SHA256};
use envelope::Address;
use topology::EdgeSubscription;

/// Octets of SHA-256.
const OCTETS: usize = 32;
/// Of the first sixteen bits of a digest those that are no part of its bucket's number.
const BUCKET_SHIFT: u32 = 4;
/// Two hundred thousand recipients are fifty in each, a million are 250.
const BUCKETS: usize = 1 << (u16::BITS - BUCKET_SHIFT);

/// The digest of an address: SHA-256 (FIPS 180-4) over a salt and the address as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientDigest([u8; OCTETS]);

impl RecipientDigest {
    /// So many octets each.
    pub const OCTETS: usize = OCTETS;

    /// Of an address; `salt` is that of one Edge server.
    #[must_use]
    pub fn of(salt: &str, address: &Address) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(salt.as_bytes());
        context.update(address.key().as_bytes());
        Self(context.finish().as_ref().try_into().expect("SHA-256 gives 32 octets"))
    }

    /// The same with the salt of a subscription, if it has one.
    #[must_use]
    pub fn by(subscription: &EdgeSubscription, address: &Address) -> Option<Self> {
        Some(Self::of(subscription.recipient_salt.as_deref()?, address))
    }

    /// As it travels.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.0
    }

    /// As it came; `None` for what is none.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// The bucket that it is in.
    #[must_use]
    pub fn bucket(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]]) >> BUCKET_SHIFT
    }
}

/// Some digests: all of one bucket, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket(Vec<RecipientDigest>);

impl Bucket {
    /// The digests of one bucket, in any order.
    #[must_use]
    pub fn new(mut digests: Vec<RecipientDigest>) -> Self {
        digests.sort_unstable();
        digests.dedup();
        Self(digests)
    }

    /// Reads what [`to_octets`](Self::to_octets) wrote; `None` for anything else.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let (whole, rest) = octets.as_chunks::<OCTETS>();
        rest.is_empty().then(|| Self::new(whole.iter().copied().map(RecipientDigest).collect()))
    }

    /// One behind the other.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        self.0.iter().flat_map(|digest| digest.0).collect()
    }

    /// What tells it from every other content.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let mut mark = Mark::default();
        self.0.iter().for_each(|digest| mark.toggle(digest));
        mark
    }

    /// The same after a change: those that are gone are not in it, those that came are.
    #[must_use]
    pub fn changed(&self, change: &BucketChange) -> Self {
        let kept = self.0.iter().filter(|digest| !change.gone.contains(digest));
        Self::new(kept.chain(&change.come).copied().collect())
    }

    /// Whether one is in it.
    #[must_use]
    pub fn has(&self, digest: &RecipientDigest) -> bool {
        self.0.binary_search(digest).is_ok()
    }

    /// Whether all of them belong into bucket `number`.
    #[must_use]
    pub fn is_of(&self, number: u16) -> bool {
        self.0.iter().all(|digest| digest.bucket() == number)
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Buckets by their numbers; one that is not there is empty.
pub type Buckets = BTreeMap<u16, Bucket>;

/// What tells the content of a bucket from every other: its digests, one upon the other (exclusive or). A digest that comes or goes
/// changes it without the others being known, so that who tells keeps marks alone. Digests are of addresses with a secret salt:
/// nobody chooses them so that two contents have one mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark([u8; OCTETS]);

impl Mark {
    /// Of no content: it differs from every bucket that can be.
    pub(crate) const NONE: Self = Self([0xff; OCTETS]);

    /// A digest comes, or goes.
    fn toggle(&mut self, digest: &RecipientDigest) {
        self.0.iter_mut().zip(digest.0).for_each(|(mark, octet)| *mark ^= octet);
    }

    /// As it travels.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.0
    }

    /// As it came; what is no mark differs from every bucket.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        octets.try_into().map_or(Self::NONE, Self)
    }
}

/// The marks of all buckets: 128 KiB, however many recipients there are.
#[derive(Clone, PartialEq, Eq)]
pub struct Marks(Box<[Mark]>);

impl Default for Marks {
    fn default() -> Self {
        Self(vec![Mark::default(); BUCKETS].into())
    }
}

impl std::fmt::Debug for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "marks of {} buckets", self.some().count())
    }
}

impl Marks {
    /// A digest comes, or goes.
    pub fn toggle(&mut self, digest: &RecipientDigest) {
        self.0[usize::from(digest.bucket())].toggle(digest);
    }

    /// That of one bucket.
    #[must_use]
    pub fn of(&self, number: u16) -> Mark {
        self.0.get(usize::from(number)).copied().unwrap_or(Mark::NONE)
    }

    /// Takes that of one bucket; of a number that there is not nothing.
    pub fn set(&mut self, number: u16, mark: Mark) {
        if let Some(known) = self.0.get_mut(usize::from(number)) {
            *known = mark;
        }
    }

    /// Those of buckets that are not empty.
    pub fn some(&self) -> impl Iterator<Item = (u16, Mark)> {
        (0..).zip(self.0.iter().copied()).filter(|(_, mark)| *mark != Mark::default())
    }

    /// The buckets in which the two differ.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<u16> {
        (0..)
            .zip(self.0.iter().zip(&other.0))
            .filter(|(_, (one, other))| one != other)
            .map(|(number, _)| number)
            .collect()
    }

    /// How many buckets are not empty in one of the two.
    #[must_use]
    pub fn together(&self, other: &Self) -> usize {
        let empty = Mark::default();
        self.0.iter().zip(&other.0).filter(|(one, other)| **one != empty || **other != empty).count()
    }

    /// What tells all of them, of digests with `salt`, from all others.
    #[must_use]
    pub fn sum(&self, salt: &str) -> MarksSum {
        let mut context = Context::new(&SHA256);
        context.update(salt.as_bytes());
        self.0.iter().for_each(|mark| context.update(&mark.0));
        MarksSum(context.finish().as_ref().into())
    }
}

impl FromIterator<RecipientDigest> for Marks {
    fn from_iter<T: IntoIterator<Item = RecipientDigest>>(digests: T) -> Self {
        let mut marks = Self::default();
        digests.into_iter().for_each(|digest| marks.toggle(&digest));
        marks
    }
}

/// What tells all digests that there are from all others, in a few octets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarksSum(Vec<u8>);

impl MarksSum {
    /// As it is kept, and travels. An empty one is that of nothing.
    #[must_use]
    pub fn as_octets(&self) -> &[u8] {
        &self.0
    }

    /// As it came.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Self {
        Self(octets.to_vec())
    }
}

/// What comes into one bucket, and goes out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketChange {
    /// No more in it.
    pub gone: BTreeSet<RecipientDigest>,
    /// In it from now on.
    pub come: BTreeSet<RecipientDigest>,
    /// What the bucket has to be then.
    pub mark: Mark,
}

impl BucketChange {
    /// Whether all of them belong into bucket `number`.
    #[must_use]
    pub fn is_of(&self, number: u16) -> bool {
        self.gone.iter().chain(&self.come).all(|digest| digest.bucket() == number)
    }
}

/// A change of what an Edge server was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestsChange {
    /// With which the digests begin.
    pub salt: String,
    /// What must have been told.
    pub from: MarksSum,
    /// What is told then.
    pub to: MarksSum,
    /// By the numbers of buckets.
    pub buckets: BTreeMap<u16, BucketChange>,
}

/// Puts digests into their buckets.
#[must_use]
pub fn into_buckets(digests: impl IntoIterator<Item = RecipientDigest>) -> Buckets {
    let mut all: BTreeMap<u16, Vec<RecipientDigest>> = BTreeMap::new();
    for digest in digests {
        all.entry(digest.bucket()).or_default().push(digest);
    }
    all.into_iter().map(|(number, digests)| (number, Bucket::new(digests))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_bucket_is_found_and_marks_tell_contents_apart() {
        let digest = |salt: &str, number: u32| {
            RecipientDigest::of(salt, &Address::parse(&format!("User{number}@contoso.com")).unwrap())
        };
        let buckets = into_buckets((0..10_000).map(|number| digest("salt", number)));
        assert!(buckets.keys().all(|number| *number < 4096) && buckets.len() > 3_000);
        for number in 0..10_000 {
            let digest = RecipientDigest::of("salt", &Address::parse(&format!("uSER{number}@Contoso.com")).unwrap());
            assert!(buckets[&digest.bucket()].has(&digest), "an address is compared without regard to case");
        }
        let other = digest("another", 1);
        assert!(buckets.get(&other.bucket()).is_none_or(|bucket| !bucket.has(&other)));
        let (number, bucket) = buckets.first_key_value().unwrap();
        assert_eq!(Bucket::from_octets(&bucket.to_octets()).as_ref(), Some(bucket));
        assert_eq!(Bucket::from_octets(&[0; 33]), None);
        assert!(bucket.is_of(*number) && !bucket.is_of(number + 1));
        let fewer = Bucket::new(bucket.0[1..].to_vec());
        assert_ne!(fewer.mark(), bucket.mark());
    }

    #[test]
    fn a_change_of_a_bucket_leads_to_its_mark_and_a_second_time_to_the_same() {
        let digest =
            |number: u32| RecipientDigest::of("salt", &Address::parse(&format!("user{number}@contoso.com")).unwrap());
        let before: Vec<RecipientDigest> = (0..500).map(digest).collect();
        let after: Vec<RecipientDigest> = (100..700).map(digest).collect();
        let (mut marks, wanted): (Marks, Marks) = (before.iter().copied().collect(), after.iter().copied().collect());
        let sum = marks.sum("salt");
        (0..100).chain(500..700).for_each(|number| marks.toggle(&digest(number)));
        assert_eq!(marks, wanted);
        assert!(marks.sum("salt") != sum && marks.sum("salt") != wanted.sum("another"));
        let buckets = into_buckets(before.iter().copied());
        for (number, wanted) in into_buckets(after.iter().copied()) {
            let of = |range: std::ops::Range<u32>| range.map(digest).filter(|one| one.bucket() == number).collect();
            let change = BucketChange { gone: of(0..100), come: of(500..700), mark: wanted.mark() };
            let changed = buckets.get(&number).cloned().unwrap_or_default().changed(&change);
            assert_eq!((changed.mark(), &changed), (change.mark, &wanted));
            assert_eq!(changed.changed(&change), wanted);
            assert_eq!(marks.of(number), wanted.mark());
        }
        assert_eq!(marks.differing(&wanted), Vec::<u16>::new());
        marks.set(7, Mark::from_octets(b"none"));
        assert_eq!((marks.differing(&wanted), marks.of(7)), (vec![7], Mark::NONE));
    }
}
