//! Recipients of the directory: mailboxes, mail contacts and distribution groups (docs/rules.md, Pipeline).
//!
//! They are looked up by address, one at a time, and are never part of an [`Organization`](crate::Organization).

use envelope::{Address, ByteSize, Limit, ObjectName, ServerName};

use crate::external_address::ExternalAddress;
use crate::guid::Guid;

/// One recipient object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DirectoryRecipient {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name; for a mailbox also its alias and the name of its folder.
    pub name: ObjectName,
    /// The address that replaces every other one (PL-44).
    pub primary_address: Address,
    /// Other addresses under which the recipient is found.
    pub proxy_addresses: Vec<Address>,
    /// Largest message to this recipient; overrides the organization (LM-10). `None`: the organization's.
    pub max_receive_size: Option<Limit<ByteSize>>,
    /// Largest message from this recipient. `None`: the organization's.
    pub max_send_size: Option<Limit<ByteSize>>,
    /// Who may send to it.
    pub restrictions: DeliveryRestrictions,
    /// Mailbox, contact or group.
    pub kind: RecipientKind,
    /// The entry of another directory that it was brought from; `None` for what was made here.
    pub provenance: Option<Provenance>,
}

/// Where a recipient was brought from by `postroad sync`: only what has this source is changed or deleted by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Provenance {
    /// The source, as the settings name it.
    pub source: ObjectName,
    /// The distinguished name of the entry there.
    pub entry: Box<str>,
}

/// Who may send to a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct DeliveryRestrictions {
    /// `RequireSenderAuthenticationEnabled`: only senders of the organization. Default true for groups, false for others.
    pub require_sender_authentication: bool,
    /// `AcceptMessagesOnlyFrom`: nobody else; empty is everybody.
    pub accept_only_from: Vec<Address>,
    /// `RejectMessagesFrom`: everybody but these.
    pub reject_from: Vec<Address>,
}

/// Why a recipient is not for a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restricted {
    /// Only senders of the organization may.
    NotAuthenticated,
    /// This sender may not.
    NotAccepted,
}

impl DeliveryRestrictions {
    /// Whether a sender may send; `is_sender` says which addresses are believed to be his.
    ///
    /// # Errors
    /// [`Restricted`] says why not.
    pub fn check(&self, authenticated: bool, is_sender: impl Fn(&Address) -> bool) -> Result<(), Restricted> {
        if self.require_sender_authentication && !authenticated {
            return Err(Restricted::NotAuthenticated);
        }
        let accepted = self.accept_only_from.is_empty() || self.accept_only_from.iter().any(&is_sender);
        if accepted && !self.reject_from.iter().any(is_sender) { Ok(()) } else { Err(Restricted::NotAccepted) }
    }
}

impl DirectoryRecipient {
    /// Every address under which the recipient is found, the primary one first.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.primary_address).chain(&self.proxy_addresses)
    }

    /// Those at which strangers reach it: none where only senders of the organization may send to it.
    pub fn addresses_for_strangers(&self) -> impl Iterator<Item = &Address> {
        self.addresses().filter(|_| !self.restrictions.require_sender_authentication)
    }
}

/// What a recipient is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecipientKind {
    /// A mailbox in a database.
    Mailbox {
        /// The database that holds it.
        database: ObjectName,
        /// Verifier of the password for client submission; never the password. `None`: no log-on.
        password: Option<PasswordVerifier>,
    },
    /// An address outside, known by an address inside.
    MailContact {
        /// Where the mail goes.
        external_address: ExternalAddress,
    },
    /// A list of recipients.
    DistributionGroup {
        /// Members by any of their addresses; members may be groups or addresses outside the directory.
        members: Vec<Address>,
        /// Where the group is expanded; anywhere when absent (RT-72).
        expansion_server: Option<ServerName>,
    },
}

/// A one-way verifier of a password (PHC string format). `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PasswordVerifier(pub Box<str>);

impl std::fmt::Debug for PasswordVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordVerifier(…)")
    }
}
