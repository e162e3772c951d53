//! Everything about a message but its content: what travels between servers and what the queue keeps.

use crate::identity::{MessageId, Revision, SiteName, TraceContext};
use crate::size::ByteSize;
use crate::time::Timestamp;
use crate::transaction::{Envelope, Recipient};

/// What is known of the sender, by where the message entered the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OriginKind {
    /// From outside, not authenticated.
    Anonymous,
    /// From a mailbox user who logged on.
    Authenticated,
    /// From a mailbox's outbox.
    Mailbox,
    /// A delivery status notification made by a Transport service; exempt from size limits (LM-14).
    Notification,
    /// From a host whose security lies outside SMTP (`ExternalAuthoritative`).
    ExternallySecured,
}

/// Where a message entered the organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// What is known of the sender.
    pub kind: OriginKind,
    /// Receive connector, or the source's name (`DSN`, `Outbox`), for logs and queue tools.
    pub connector: Box<str>,
}

/// Envelope, identity and history of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHead {
    /// The same on every server; makes a repeated transfer harmless.
    pub id: MessageId,
    /// Sender and recipients.
    pub envelope: Envelope,
    /// When the server that holds it accepted it: late and expired are counted from here (QU-43).
    pub arrived: Timestamp,
    /// Octets of content.
    pub size: ByteSize,
    /// Octets on entry into the organization (LM-02), when known.
    pub original_size: Option<ByteSize>,
    /// Trace of which the next hop's spans become part.
    pub trace: Option<TraceContext>,
    /// Configuration by which an earlier server decided; zero when none has (LM-12).
    pub revision: Revision,
    /// Where it came from.
    pub origin: Origin,
    /// Sites that backed it off; it is never sent back into one of them (RT-42).
    pub backed_off: Vec<SiteName>,
}

impl MessageHead {
    /// The same for other recipients, without a copy of all of those that it has.
    #[must_use]
    pub fn for_recipients(&self, recipients: Vec<Recipient>) -> Self {
        let Envelope { reverse_path, recipients: _, body, smtputf8, dsn_return, envelope_id } = &self.envelope;
        let envelope = Envelope {
            reverse_path: reverse_path.clone(),
            recipients,
            body: *body,
            smtputf8: *smtputf8,
            dsn_return: *dsn_return,
            envelope_id: envelope_id.clone(),
        };
        Self { envelope, origin: self.origin.clone(), backed_off: self.backed_off.clone(), ..*self }
    }
}
