//! The identity of directory objects.

use std::fmt;
use std::str::FromStr;

use envelope::text::folded;
use uuid::Uuid;

/// Stable identity of a directory object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(Uuid);

impl Guid {
    /// All zeros: "none" in next-hop keys (RT-18).
    pub const ZERO: Self = Self(Uuid::nil());

    /// Wraps a UUID.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The identity of the object of that kind and name when it was given none: always the same one, so that a plain file
    /// means the same objects wherever and whenever it is read. Names that compare equal give the same.
    #[must_use]
    pub fn derived(kind: &str, name: &str) -> Self {
        const NAMESPACE: Uuid = Uuid::from_u128(0x6d0c_2c1e_5f0b_4b5f_9a0e_7c1d_3f6b_2a94);
        let identity = format!("{kind}\0{}", folded(name));
        Self(Uuid::new_v5(&NAMESPACE, identity.as_bytes()))
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl FromStr for Guid {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}
