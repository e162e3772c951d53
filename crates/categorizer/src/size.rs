//! Size limits of senders and recipients (LM-02…LM-14). Connectors and site links are the business of `routing`.

use envelope::{ByteSize, Limit};
use topology::{DirectoryRecipient, TransportConfig};

use crate::failure::RecipientFailure;
use crate::message::SenderKind;

/// What the limits say about one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeCheck {
    /// The size that counts.
    pub size: ByteSize,
    pub sender_kind: SenderKind,
    send: Limit<ByteSize>,
    receive: Limit<ByteSize>,
}

impl SizeCheck {
    pub(crate) fn new(size: ByteSize, sender_kind: SenderKind, settings: &TransportConfig) -> Self {
        Self { size, sender_kind, send: settings.max_send_size, receive: settings.max_receive_size }
    }

    /// The size to route by; zero passes every limit (LM-14).
    pub(crate) fn routed(&self) -> ByteSize {
        if self.sender_kind == SenderKind::System { ByteSize::bytes(0) } else { self.size }
    }

    /// The sending side: the limit of a known sender replaces the organization's (LM-05, LM-10). An anonymous sender is
    /// never known, whatever address it gives.
    pub(crate) fn sender(&self, sender: Option<&DirectoryRecipient>) -> Result<(), RecipientFailure> {
        let own = sender.and_then(|sender| sender.max_send_size);
        match (self.sender_kind, own) {
            (SenderKind::System, _) => Ok(()),
            (SenderKind::Anonymous | SenderKind::Authenticated, Some(own)) => {
                self.within(own, RecipientFailure::SenderSizeLimit)
            }
            (SenderKind::Anonymous | SenderKind::Authenticated, None) => {
                self.within(self.send, RecipientFailure::OrganizationSendLimit)
            }
        }
    }

    /// The receiving side. For an authenticated sender the recipient's own limit replaces the organization's, upward too
    /// (LM-10); otherwise both apply (LM-07).
    pub(crate) fn recipient(&self, recipient: &DirectoryRecipient) -> Result<(), RecipientFailure> {
        match (self.sender_kind, recipient.max_receive_size) {
            (SenderKind::System, _) => Ok(()),
            (SenderKind::Authenticated, Some(own)) => self.within(own, RecipientFailure::RecipientSizeLimit),
            (_, own) => {
                self.within(own.unwrap_or(Limit::Unlimited), RecipientFailure::RecipientSizeLimit)?;
                self.stranger()
            }
        }
    }

    /// The receiving side for an address outside, however it was reached (LM-05).
    pub(crate) fn stranger(&self) -> Result<(), RecipientFailure> {
        match self.sender_kind {
            SenderKind::System => Ok(()),
            SenderKind::Anonymous | SenderKind::Authenticated => {
                self.within(self.receive, RecipientFailure::OrganizationReceiveLimit)
            }
        }
    }

    fn within(&self, limit: Limit<ByteSize>, failure: RecipientFailure) -> Result<(), RecipientFailure> {
        if limit.allows(&self.size) { Ok(()) } else { Err(failure) }
    }
}
