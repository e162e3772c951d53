//! The header that a user wrote becomes an envelope and the header that is sent.
//!
//! - The sender is the owner of the mailbox, by the primary address (PL-44); `From` and `Sender` may be any of the owner's
//!   addresses and nobody else's.
//! - Recipients are those of `To`, `Cc` and `Bcc`; of a message that is sent again (RFC 5322 §3.6.6) those of the topmost
//!   `Resent-To`, `Resent-Cc` and `Resent-Bcc` instead, and nobody else gets it once more. One that cannot be read is told
//!   to the owner, never passed over.
//! - `Bcc` and the `Resent-` fields go, and what the header firewall keeps in the organization (PF-30a); `Date` and `Message-ID` are added where
//!   they are missing (PL-61).
//!
//! Pure: who the owner is and what time it is are arguments.

use std::collections::HashSet;

use bytes::Bytes;
use envelope::{Address, Domain, EnhancedStatus, Envelope, MessageId, Recipient, ReversePath, Timestamp};
use mailbox_store::FAILURE_HEADER;
use message::complete::with_date_and_id;
use message::header::VALUE_OCTETS_MAX;
use message::{HeaderBlock, firewall};
use topology::DirectoryRecipient;

use crate::scan::Scan;

/// Fields that name senders; every one that is there is checked.
const SENDER_FIELDS: [&str; 4] = ["From", "Sender", "Resent-From", "Resent-Sender"];
/// Fields that name recipients.
const RECIPIENT_FIELDS: [&str; 3] = ["To", "Cc", "Bcc"];
/// Those of a message that is sent again.
const RESENT_RECIPIENT_FIELDS: [&str; 3] = ["Resent-To", "Resent-Cc", "Resent-Bcc"];
/// How the names of a block of fields begin that somebody put on top of a message to send it again.
const RESENT: &[u8] = b"Resent-";
/// Fields that do not leave the mailbox: hidden recipients, and what a message bears that was received or failed before.
const PRIVATE_FIELDS: [&str; 3] = ["Bcc", "Return-Path", FAILURE_HEADER];

/// Why a message can never be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsendable {
    #[error("the message has no From")]
    NoFrom,
    #[error("{0} is no address of this mailbox; it cannot send as somebody else")]
    NotOwner(String),
    #[error("the message has no recipients")]
    NoRecipients,
    #[error("{0:?} is not an address")]
    RecipientUnreadable(String),
    #[error("a list of recipients is longer than {VALUE_OCTETS_MAX} octets; send several messages or use a group")]
    TooManyRecipients,
    #[error("the message has a CR that ends no line")]
    LoneCr,
}

impl Unsendable {
    /// Always permanent.
    pub(crate) const fn status(&self) -> EnhancedStatus {
        match self {
            Self::NoFrom | Self::LoneCr => EnhancedStatus::new(5, 6, 0),
            Self::NotOwner(_) => EnhancedStatus::new(5, 7, 1),
            Self::NoRecipients | Self::RecipientUnreadable(_) => EnhancedStatus::new(5, 1, 3),
            Self::TooManyRecipients => EnhancedStatus::new(5, 5, 3),
        }
    }
}

/// What does not stand in the message.
pub(crate) struct Context<'a> {
    /// Whose mailbox it is.
    pub(crate) owner: &'a DirectoryRecipient,
    pub(crate) id: MessageId,
    pub(crate) now: Timestamp,
    /// Right side of a new `Message-ID`.
    pub(crate) domain: &'a Domain,
}

/// What goes out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Composed {
    pub(crate) envelope: Envelope,
    /// Ends with an empty line.
    pub(crate) header: Bytes,
}

/// Reads the header.
pub(crate) fn compose(scan: &Scan, context: &Context<'_>) -> Result<Composed, Unsendable> {
    if scan.has_lone_cr {
        return Err(Unsendable::LoneCr);
    }
    let block = HeaderBlock::new(&scan.header);
    check_sender(block, context.owner)?;
    let recipients = recipients(block)?;
    let header = outgoing_header(block, context);
    let sender = ReversePath::Address(context.owner.primary_address.clone());
    let ascii = header.is_ascii()
        && context.owner.primary_address.is_ascii()
        && recipients.iter().all(|recipient| recipient.address.is_ascii());
    let mut envelope = Envelope::new(sender, recipients);
    envelope.body = scan.body_type;
    envelope.smtputf8 = !ascii; // RFC 6531 §3.2, RFC 6532
    Ok(Composed { envelope, header: header.into() })
}

fn check_sender(header: HeaderBlock<'_>, owner: &DirectoryRecipient) -> Result<(), Unsendable> {
    let owned: HashSet<String> = owner.addresses().map(Address::key).collect();
    let mut has_from = false;
    for name in SENDER_FIELDS {
        for entry in header.address_entries(name) {
            match entry {
                Ok(address) if owned.contains(&address.key()) => has_from |= name == "From",
                Ok(address) => return Err(Unsendable::NotOwner(address.to_string())),
                Err(text) => return Err(Unsendable::NotOwner(text)),
            }
        }
    }
    if has_from { Ok(()) } else { Err(Unsendable::NoFrom) }
}

fn recipients(header: HeaderBlock<'_>) -> Result<Vec<Recipient>, Unsendable> {
    let resent = topmost_resent(header);
    let resent = HeaderBlock::new(&resent);
    if RESENT_RECIPIENT_FIELDS.iter().any(|name| resent.field(name).is_some()) {
        recipients_of(resent, &RESENT_RECIPIENT_FIELDS)
    } else {
        recipients_of(header, &RECIPIENT_FIELDS)
    }
}

/// The `Resent-` fields put there last: those of earlier times begin where a name comes again.
fn topmost_resent(header: HeaderBlock<'_>) -> Vec<u8> {
    let (mut names, mut block) = (HashSet::new(), Vec::new());
    for field in header.fields() {
        let name = field.name();
        if name.get(..RESENT.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESENT)) {
            if !names.insert(name.to_ascii_lowercase()) {
                break;
            }
            block.extend_from_slice(field.raw());
        }
    }
    block
}

fn recipients_of(header: HeaderBlock<'_>, names: &[&str]) -> Result<Vec<Recipient>, Unsendable> {
    let (mut recipients, mut seen) = (Vec::new(), HashSet::new());
    for name in names {
        if header.fields().any(|field| field.is(name) && field.value().len() > VALUE_OCTETS_MAX) {
            return Err(Unsendable::TooManyRecipients);
        }
        for entry in header.address_entries(name) {
            let address = entry.map_err(Unsendable::RecipientUnreadable)?;
            if seen.insert(address.key()) {
                recipients.push(Recipient::new(address));
            }
        }
    }
    if recipients.is_empty() { Err(Unsendable::NoRecipients) } else { Ok(recipients) }
}

fn outgoing_header(block: HeaderBlock<'_>, context: &Context<'_>) -> Vec<u8> {
    let mut header = firewall::apply(block, firewall::Path::Submission).into_owned();
    for name in PRIVATE_FIELDS {
        header = firewall::without(HeaderBlock::new(&header), name).into_owned();
    }
    with_date_and_id(HeaderBlock::new(&header), context.now, context.id, context.domain)
}

#[cfg(test)]
mod tests;
