//! Who may send, as whom, to whom (RC-40, RC-41, RC-50…RC-53, PL-41, PL-42). Pure: what the directory says is an argument.
//!
//! | principal | needs the group | may send as | may send to |
//! |---|---|---|---|
//! | anonymous | AnonymousUsers | anyone | accepted domains |
//! | authenticated user | ExchangeUsers | own addresses, `<>` | anyone |
//! | externally secured host | ExchangeServers | anyone | anyone |
//!
//! A recipient in an authoritative domain must exist, whoever asks.

use envelope::{Address, EnhancedStatus, OriginKind, Reply, ReversePath};
use message::HeaderBlock;
use topology::{
    AcceptedDomainType, AuthMechanism, DirectoryRecipient, Organization, PermissionGroup, ReceiveConnector,
};

/// Characters by which other systems read a route out of a local part: `user%elsewhere@here`, `elsewhere!user@here`,
/// `"user@elsewhere"@here`.
const ROUTING_CHARACTERS: [char; 3] = ['%', '!', '@'];

/// Whom a session speaks for (RC-40).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Principal<'a> {
    /// `ANONYMOUS LOGON`.
    Anonymous,
    /// `Authenticated Users`: this mailbox.
    User(&'a DirectoryRecipient),
    /// `Externally Secured Servers`: every session of a connector with `ExternalAuthoritative`.
    ExternallySecured,
}

impl<'a> Principal<'a> {
    /// The principal of a session on `connector`.
    pub(crate) fn of(connector: &ReceiveConnector, user: Option<&'a DirectoryRecipient>) -> Self {
        match user {
            _ if connector.offers(AuthMechanism::ExternalAuthoritative) => Self::ExternallySecured,
            Some(user) => Self::User(user),
            None => Self::Anonymous,
        }
    }

    /// `ms-Exch-SMTP-Submit` (RC-41).
    pub(crate) fn may_submit(self, connector: &ReceiveConnector) -> bool {
        connector.permits(match self {
            Self::Anonymous => PermissionGroup::AnonymousUsers,
            Self::User(_) => PermissionGroup::ExchangeUsers,
            Self::ExternallySecured => PermissionGroup::ExchangeServers,
        })
    }

    /// `ms-Exch-SMTP-Accept-Any-Recipient`.
    pub(crate) fn may_relay(self) -> bool {
        !matches!(self, Self::Anonymous)
    }

    pub(crate) fn origin(self) -> OriginKind {
        match self {
            Self::Anonymous => OriginKind::Anonymous,
            Self::User(_) => OriginKind::Authenticated,
            Self::ExternallySecured => OriginKind::ExternallySecured,
        }
    }
}

/// `MAIL`.
pub(crate) fn check_sender(
    connector: &ReceiveConnector,
    principal: Principal<'_>,
    sender: &ReversePath,
) -> Result<(), Reply> {
    if !principal.may_submit(connector) {
        return Err(Reply::new(530, EnhancedStatus::new(5, 7, 1), "Client was not authenticated"));
    }
    let (Principal::User(user), ReversePath::Address(sender)) = (principal, sender) else { return Ok(()) };
    let key = sender.key();
    if user.addresses().any(|own| own.key() == key) {
        return Ok(());
    }
    Err(not_allowed_as())
}

/// The header of a user's message: as in an outbox, every author and the sender must be the user, and there must be one
/// (RFC 6409 §6.1). A null reverse-path, which reports of mail programs have, changes nothing of that.
pub(crate) fn check_author(header: HeaderBlock<'_>, user: &DirectoryRecipient) -> Result<(), Reply> {
    let is_own = |address: &Address| user.addresses().any(|own| own.key() == address.key());
    let all_own = |name: &str| header.address_entries(name).iter().all(|entry| entry.as_ref().is_ok_and(is_own));
    let has_author = !header.addresses("From").is_empty();
    if has_author && all_own("From") && all_own("Sender") { Ok(()) } else { Err(not_allowed_as()) }
}

fn not_allowed_as() -> Reply {
    Reply::new(550, EnhancedStatus::new(5, 7, 60), "Client does not have permissions to send as this sender")
}

/// What an accepted recipient still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It must be in the directory.
    Required,
    /// It may be in the directory: that helps to choose a server.
    Useful,
    /// It is outside.
    Pointless,
}

/// `RCPT`, without the directory.
pub(crate) fn check_recipient(
    organization: &Organization,
    principal: Principal<'_>,
    recipient: &Address,
) -> Result<Lookup, Reply> {
    match organization.accepted_domain(&recipient.domain()).map(|accepted| accepted.domain_type) {
        Some(AcceptedDomainType::Authoritative) => Ok(Lookup::Required),
        Some(AcceptedDomainType::InternalRelay | AcceptedDomainType::ExternalRelay)
            if !principal.may_relay() && recipient.local_part().contains(ROUTING_CHARACTERS) =>
        {
            // Whoever the mail is relayed to might follow the route.
            Err(unable_to_relay())
        }
        Some(AcceptedDomainType::InternalRelay) => Ok(Lookup::Useful),
        Some(AcceptedDomainType::ExternalRelay) => Ok(Lookup::Pointless),
        None if principal.may_relay() => Ok(Lookup::Pointless),
        None => Err(unable_to_relay()),
    }
}

fn unable_to_relay() -> Reply {
    Reply::new(550, EnhancedStatus::new(5, 7, 1), "Unable to relay")
}

/// What the directory said about a recipient.
pub(crate) enum Found {
    /// Something by that address.
    Recipient(DirectoryRecipient),
    /// Nothing.
    Nothing,
    /// No answer.
    NoAnswer,
}

/// `RCPT`, with the directory's answer. Without one, strangers are asked to come again: their servers have queues, and an
/// unknown recipient accepted now would be a notification to a forged sender later. Devices and users of the organization
/// may have no queue; their mail is taken, and Transport resolves it when the directory is back (PL-24).
pub(crate) fn check_found(principal: Principal<'_>, lookup: Lookup, found: &Found) -> Result<(), Reply> {
    match (lookup, found) {
        (Lookup::Required, Found::Nothing) => Err(Reply::new(550, EnhancedStatus::new(5, 1, 1), "User unknown")),
        (Lookup::Required, Found::NoAnswer) if !principal.may_relay() => Err(Reply::new(
            451,
            EnhancedStatus::new(4, 4, 3),
            "Temporary server error; the recipient cannot be looked up",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
