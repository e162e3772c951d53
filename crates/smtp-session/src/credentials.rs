//! User name and password, wiped from memory when dropped and never printed.

use std::fmt;

use zeroize::Zeroizing;

/// A password: wiped when dropped, its `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `octets`.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets, for whoever checks or sends them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a user proves who they are with (RFC 4616, and the `LOGIN` mechanism of the field).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Printable UTF-8 without control characters.
    pub user: Box<str>,
    /// The password.
    pub secret: Secret,
}
