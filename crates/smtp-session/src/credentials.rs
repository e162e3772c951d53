//! User name and password, wiped from memory when dropped and never printed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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

/// How a session logs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logon {
    /// By `AUTH LOGIN` or `PLAIN`.
    Password(Credentials),
    /// By Exchange Server authentication (TA-60): tokens that the shell makes.
    Exchange(ExchangeTls),
}

/// Whether the TLS of Exchange servers is used, whose certificates prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeTls {
    /// `X-ANONYMOUSTLS` if it is offered (TA-60).
    IfOffered,
    /// The connector asks for more than encryption, or for none.
    Never,
}

/// A shorter secret is not looked for in what others say: it may be any word.
const SECRET_OCTETS_LEAST: usize = 4;

impl Credentials {
    /// The response of `AUTH PLAIN` (RFC 4616), not encoded.
    pub(crate) fn plain_response(&self) -> Zeroizing<Vec<u8>> {
        let secret = self.secret.expose();
        let mut response = Zeroizing::new(Vec::with_capacity(self.user.len() + secret.len() + 2));
        response.push(0);
        response.extend_from_slice(self.user.as_bytes());
        response.push(0);
        response.extend_from_slice(secret);
        response
    }

    /// Whether a text of the other side repeats the secret, as it is or as it was sent.
    pub(crate) fn appear_in(&self, text: &str) -> bool {
        let secret = self.secret.expose();
        if secret.len() < SECRET_OCTETS_LEAST {
            return false;
        }
        let sent = [Zeroizing::new(STANDARD.encode(secret)), Zeroizing::new(STANDARD.encode(self.plain_response()))];
        sent.iter().any(|sent| text.contains(sent.as_str()))
            || std::str::from_utf8(secret).is_ok_and(|secret| text.contains(secret))
    }
}
