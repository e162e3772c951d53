//! One mail transaction: sender, recipients and the parameters that travel with them (RFC 5321 §3.3, RFC 3461).

use std::fmt;

use crate::address::{Address, ReversePath};

/// `BODY=` of `MAIL` (RFC 6152, RFC 3030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum BodyType {
    /// Only 7-bit octets.
    #[default]
    SevenBit,
    /// Octets above 127 in lines.
    EightBitMime,
}

/// `RET=` of `MAIL` (RFC 3461 §4.3): how much of the message a failure notification returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DsnReturn {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// `NOTIFY=` of `RCPT` (RFC 3461 §4.1). The default, no parameter, behaves as failure and delay (DS-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notify {
    /// `NOTIFY=NEVER`: not even when it fails (RFC 3461 §4.1).
    Never,
    /// Any of `SUCCESS`, `FAILURE`, `DELAY`.
    On {
        /// Tell on delivery.
        success: bool,
        /// Tell on permanent failure.
        failure: bool,
        /// Tell when delivery is late.
        delay: bool,
    },
}

impl Notify {
    /// What a missing `NOTIFY` means (DS-02).
    pub const DEFAULT: Self = Self::On { success: false, failure: true, delay: true };

    /// The same without word of a delivery, which a stranger may have asked for in another's name.
    #[must_use]
    pub const fn without_success(self) -> Self {
        match self {
            Self::On { success: true, failure: false, delay: false } => Self::Never,
            Self::On { failure, delay, .. } => Self::On { success: false, failure, delay },
            Self::Never => Self::Never,
        }
    }

    /// Whether a permanent failure is reported.
    #[must_use]
    pub const fn on_failure(self) -> bool {
        matches!(self, Self::On { failure: true, .. })
    }

    /// Whether a delay is reported.
    #[must_use]
    pub const fn on_delay(self) -> bool {
        matches!(self, Self::On { delay: true, .. })
    }

    /// Whether a delivery is reported.
    #[must_use]
    pub const fn on_success(self) -> bool {
        matches!(self, Self::On { success: true, .. })
    }
}

/// `ORCPT=` of `RCPT` (RFC 3461 §4.2): address type and the decoded original address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    /// Usually `rfc822`.
    pub kind: Box<str>,
    /// Decoded from xtext; printable ASCII only.
    pub address: Box<str>,
}

impl fmt::Display for OriginalRecipient {
    /// `rfc822;user@example.com`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.kind, self.address)
    }
}

/// One accepted `RCPT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient {
    /// Forward-path.
    pub address: Address,
    /// `NOTIFY=`, `None` when not given: passed on as it came.
    pub notify: Option<Notify>,
    /// `ORCPT=`.
    pub original: Option<OriginalRecipient>,
}

impl Recipient {
    /// A recipient without parameters.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self { address, notify: None, original: None }
    }

    /// What to report, with the default filled in.
    #[must_use]
    pub fn notify_or_default(&self) -> Notify {
        self.notify.unwrap_or(Notify::DEFAULT)
    }
}

/// What SMTP says about a message besides its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `MAIL FROM`.
    pub reverse_path: ReversePath,
    /// At least one, in the order given.
    pub recipients: Vec<Recipient>,
    /// What the content is said to be (RFC 6152, RFC 3030).
    pub body: BodyType,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `RET=`.
    pub dsn_return: Option<DsnReturn>,
    /// `ENVID=`, decoded from xtext.
    pub envelope_id: Option<Box<str>>,
}

impl Envelope {
    /// An envelope without parameters.
    #[must_use]
    pub fn new(reverse_path: ReversePath, recipients: Vec<Recipient>) -> Self {
        Self {
            reverse_path,
            recipients,
            body: BodyType::SevenBit,
            smtputf8: false,
            dsn_return: None,
            envelope_id: None,
        }
    }
}
