//! Recipients as an Edge server knows them: digests of their addresses (EN-30), by which the perimeter refuses whom nobody is
//! without knowing an address. They are kept in buckets, so that two sides find out by a few numbers where they differ.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{Context, SHA256, digest};
use envelope::Address;
use topology::EdgeSubscription;

/// Octets of SHA-256.
const OCTETS: usize = 32;
/// Of the first sixteen bits of a digest those that are no part of its bucket's number. There are 4,096 buckets: two hundred
/// thousand recipients are fifty in each, a million are 250.
const BUCKET_SHIFT: u32 = 4;

/// The digest of an address: SHA-256 (FIPS 180-4) over a salt and the address as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipientDigest([u8; OCTETS]);

impl RecipientDigest {
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
    pub fn mark(&self) -> [u8; OCTETS] {
        digest(&SHA256, &self.to_octets()).as_ref().try_into().expect("SHA-256 gives 32 octets")
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
}
