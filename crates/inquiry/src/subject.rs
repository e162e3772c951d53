//! What is asked about: one recipient of one message, and the server that has it.

use std::str::FromStr;

use categorizer::SenderKind;
use envelope::{Address, AddressError, ByteSize, ReversePath, ServerName};
use topology::Organization;

/// One recipient of one message, as routing sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// As it stands in the envelope.
    pub recipient: Address,
    /// Who sends it.
    pub sender: Sender,
    /// How large it is.
    pub size: ByteSize,
    /// The server that has it.
    pub from: ServerName,
}

/// Who sends a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Nobody in particular: limits for senders and recipients are told and do not decide.
    Unnamed,
    /// This address. One of an accepted domain counts as authenticated, any other as anonymous.
    Address(Address),
    /// `<>`: a notification that the organization itself made. No size limit concerns it (LM-14).
    Null,
}

impl Sender {
    /// The reverse-path of the envelope.
    #[must_use]
    pub fn path(&self) -> ReversePath {
        match self {
            Self::Address(address) => ReversePath::Address(address.clone()),
            Self::Unnamed | Self::Null => ReversePath::Null,
        }
    }

    /// What the categorizer takes the sender for in `organization`.
    #[must_use]
    pub fn kind(&self, organization: &Organization) -> SenderKind {
        match self {
            Self::Address(address) if organization.accepted_domain(&address.domain()).is_none() => {
                SenderKind::Anonymous
            }
            Self::Unnamed | Self::Address(_) => SenderKind::Authenticated,
            Self::Null => SenderKind::System,
        }
    }

    /// The text of the envelope, `<>` for the null reverse-path.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Unnamed => None,
            Self::Address(address) => Some(address.to_string()),
            Self::Null => Some("<>".to_owned()),
        }
    }
}

impl FromStr for Sender {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "<>" { Ok(Self::Null) } else { Address::parse(text).map(Self::Address) }
    }
}
