//! Between the nouns and the wire. Everything that comes from a peer is parsed as strictly as what comes from outside.

pub mod octets;
pub(crate) mod proxy;

use std::time::Duration;

use envelope::domain::DomainError;
use envelope::head::{MessageHead, Origin, OriginKind};
use envelope::{
    Address, AddressError, BodyType, ByteSize, DsnReturn, EnhancedStatus, Envelope, MessageId, Notify,
    OriginalRecipient, Recipient, Reply, ReversePath, Revision, SiteName, Timestamp,
};

use crate::transfer::{Deliveries, History, RecipientDelivery, RecipientHistory};
use crate::wire::transfer::v1 as wire;

/// Most recipients of one message on the wire: `MaxRecipientsPerMessage` at its highest (docs/rules.md, Receive connectors).
pub const RECIPIENTS_MAX: usize = 512_000;

/// What a peer sent cannot be understood. The message is refused, never half taken.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A field that must be there is not.
    #[error("the peer left out {0}")]
    Missing(&'static str),
    /// A field has a value that it cannot have.
    #[error("the peer sent an impossible {0}")]
    Invalid(&'static str),
    /// An address that is none.
    #[error("the peer sent an address that is none: {0}")]
    Address(#[from] AddressError),
    /// A domain that is none.
    #[error("the peer sent a domain that is none: {0}")]
    Domain(#[from] DomainError),
}

/// `size` is what is said about the length of the content; `head.size` is not looked at.
pub(crate) fn head_to_wire(head: &MessageHead, size: Option<ByteSize>) -> wire::MessageHead {
    wire::MessageHead {
        message_id: bytes::Bytes::copy_from_slice(head.id.as_bytes()),
        envelope: Some(envelope_to_wire(&head.envelope)),
        arrived_millis: head.arrived.as_millis(),
        size: size.map(ByteSize::as_u64),
        original_size: head.original_size.map(ByteSize::as_u64),
        traceparent: head.trace.map(|trace| trace.to_string()).unwrap_or_default(),
        revision: head.revision.0,
        origin: Some(origin_to_wire(&head.origin)),
        backed_off_sites: head.backed_off.iter().map(ToString::to_string).collect(),
    }
}

pub(crate) fn head_from_wire(head: wire::MessageHead) -> Result<MessageHead, WireError> {
    let id: [u8; 16] = head.message_id.as_ref().try_into().map_err(|_| WireError::Invalid("message id"))?;
    let sites =
        head.backed_off_sites.iter().map(|site| SiteName::parse(site).map_err(|_| WireError::Invalid("site name")));
    Ok(MessageHead {
        id: MessageId::from_bytes(id),
        envelope: envelope_from_wire(head.envelope.ok_or(WireError::Missing("the envelope"))?)?,
        arrived: Timestamp::from_millis(head.arrived_millis),
        size: ByteSize::bytes(head.size.unwrap_or_default()),
        original_size: head.original_size.map(ByteSize::bytes),
        // A trace that cannot be read is no reason to refuse mail.
        trace: head.traceparent.parse().ok(),
        revision: Revision(head.revision),
        origin: origin_from_wire(head.origin.ok_or(WireError::Missing("the origin"))?)?,
        backed_off: sites.collect::<Result<_, _>>()?,
    })
}

pub(crate) fn history_to_wire(history: &History) -> wire::History {
    let recipient = |recipient: &RecipientHistory| wire::RecipientHistory {
        attempts: recipient.attempts,
        last_error: recipient.last_error.as_deref().unwrap_or_default().to_owned(),
        delay_reported: recipient.delay_reported,
    };
    wire::History {
        age_millis: u64::try_from(history.age.as_millis()).unwrap_or(u64::MAX),
        recipients: history.recipients.iter().map(recipient).collect(),
    }
}

/// `recipients`: how many the envelope has.
pub(crate) fn history_from_wire(history: wire::History, recipients: usize) -> Result<History, WireError> {
    if history.recipients.len() != recipients {
        return Err(WireError::Invalid("history of recipients"));
    }
    let recipient = |recipient: wire::RecipientHistory| RecipientHistory {
        attempts: recipient.attempts,
        last_error: Some(without_controls(&recipient.last_error)).filter(|error| !error.is_empty()),
        delay_reported: recipient.delay_reported,
    };
    let age = Duration::from_millis(history.age_millis);
    Ok(History { age, recipients: history.recipients.into_iter().map(recipient).collect() })
}

fn origin_to_wire(origin: &Origin) -> wire::Origin {
    let kind = match origin.kind {
        OriginKind::Anonymous => wire::origin::Kind::Anonymous,
        OriginKind::Authenticated => wire::origin::Kind::Authenticated,
        OriginKind::Mailbox => wire::origin::Kind::Mailbox,
        OriginKind::Notification => wire::origin::Kind::Notification,
        OriginKind::ExternallySecured => wire::origin::Kind::ExternallySecured,
    };
    wire::Origin { kind: kind.into(), connector: origin.connector.to_string() }
}

fn origin_from_wire(origin: wire::Origin) -> Result<Origin, WireError> {
    let kind = match origin.kind() {
        wire::origin::Kind::Anonymous => OriginKind::Anonymous,
        wire::origin::Kind::Authenticated => OriginKind::Authenticated,
        wire::origin::Kind::Mailbox => OriginKind::Mailbox,
        wire::origin::Kind::Notification => OriginKind::Notification,
        wire::origin::Kind::ExternallySecured => OriginKind::ExternallySecured,
        wire::origin::Kind::Unspecified => return Err(WireError::Invalid("origin")),
    };
    Ok(Origin { kind, connector: origin.connector.into() })
}

pub(crate) fn envelope_to_wire(envelope: &Envelope) -> wire::Envelope {
    let dsn_return = match envelope.dsn_return {
        None => wire::envelope::Return::Unspecified,
        Some(DsnReturn::Full) => wire::envelope::Return::Full,
        Some(DsnReturn::Headers) => wire::envelope::Return::Headers,
    };
    wire::Envelope {
        reverse_path: envelope.reverse_path.to_string(),
        recipients: envelope.recipients.iter().map(recipient_to_wire).collect(),
        eight_bit_mime: envelope.body == BodyType::EightBitMime,
        smtputf8: envelope.smtputf8,
        dsn_return: dsn_return.into(),
        envelope_id: envelope.envelope_id.as_deref().map(str::to_owned),
    }
}

pub(crate) fn envelope_from_wire(envelope: wire::Envelope) -> Result<Envelope, WireError> {
    if envelope.recipients.is_empty() || envelope.recipients.len() > RECIPIENTS_MAX {
        return Err(WireError::Invalid("number of recipients"));
    }
    let dsn_return = match envelope.dsn_return() {
        wire::envelope::Return::Unspecified => None,
        wire::envelope::Return::Full => Some(DsnReturn::Full),
        wire::envelope::Return::Headers => Some(DsnReturn::Headers),
    };
    Ok(Envelope {
        reverse_path: ReversePath::parse(&envelope.reverse_path)?,
        body: if envelope.eight_bit_mime { BodyType::EightBitMime } else { BodyType::SevenBit },
        smtputf8: envelope.smtputf8,
        dsn_return,
        envelope_id: envelope.envelope_id.map(printable).transpose()?,
        recipients: envelope.recipients.into_iter().map(recipient_from_wire).collect::<Result<_, _>>()?,
    })
}

fn recipient_to_wire(recipient: &Recipient) -> wire::Recipient {
    wire::Recipient {
        address: recipient.address.to_string(),
        notify: recipient.notify.map(|notify| match notify {
            Notify::Never => wire::Notify { never: true, ..wire::Notify::default() },
            Notify::On { success, failure, delay } => wire::Notify { never: false, success, failure, delay },
        }),
        original: recipient.original.as_ref().map(|original| wire::OriginalRecipient {
            kind: original.kind.to_string(),
            address: original.address.to_string(),
        }),
    }
}

fn recipient_from_wire(recipient: wire::Recipient) -> Result<Recipient, WireError> {
    let original = |original: wire::OriginalRecipient| {
        Ok::<_, WireError>(OriginalRecipient { kind: printable(original.kind)?, address: printable(original.address)? })
    };
    Ok(Recipient {
        address: Address::parse(&recipient.address)?,
        notify: recipient.notify.map(|notify| match notify {
            wire::Notify { never: true, .. } => Notify::Never,
            wire::Notify { never: false, success, failure, delay } => Notify::On { success, failure, delay },
        }),
        original: recipient.original.map(original).transpose()?,
    })
}

/// Text that will stand in an SMTP parameter or a report: no control character may enter by this door.
fn printable(text: String) -> Result<Box<str>, WireError> {
    if text.chars().any(char::is_control) { Err(WireError::Invalid("text")) } else { Ok(text.into()) }
}

pub(crate) fn reply_to_wire(reply: &Reply) -> wire::Reply {
    wire::Reply {
        code: reply.code.into(),
        status: reply.status.map(|status| status.to_string()).unwrap_or_default(),
        text: reply.text.to_string(),
    }
}

pub(crate) fn reply_from_wire(reply: &wire::Reply) -> Result<Reply, WireError> {
    let code = u16::try_from(reply.code)
        .ok()
        .filter(|code| (200..600).contains(code))
        .ok_or(WireError::Invalid("reply code"))?;
    let status = match reply.status.as_str() {
        "" => None,
        text => Some(text.parse::<EnhancedStatus>().map_err(|()| WireError::Invalid("status"))?),
    };
    Ok(Reply { code, status, text: without_controls(&reply.text) })
}

/// Text for people. Lines stay, other control characters become spaces.
#[must_use]
pub fn without_controls(text: &str) -> Box<str> {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

pub(crate) fn deliveries_to_wire(deliveries: &[RecipientDelivery]) -> wire::Deliveries {
    let one = |delivery: &RecipientDelivery| {
        let (outcome, reply) = match delivery {
            RecipientDelivery::Delivered => (wire::delivery::Outcome::Delivered, None),
            RecipientDelivery::Retry(reply) => (wire::delivery::Outcome::Retry, Some(reply)),
            RecipientDelivery::Reroute(reply) => (wire::delivery::Outcome::Reroute, Some(reply)),
            RecipientDelivery::Failed(reply) => (wire::delivery::Outcome::Failed, Some(reply)),
        };
        wire::Delivery { outcome: outcome.into(), reply: reply.map(reply_to_wire) }
    };
    wire::Deliveries { deliveries: deliveries.iter().map(one).collect() }
}

pub(crate) fn deliveries_from_wire(deliveries: wire::Deliveries) -> Result<Deliveries, WireError> {
    let one = |delivery: wire::Delivery| {
        let reply = |reply: Option<wire::Reply>| reply_from_wire(&reply.ok_or(WireError::Missing("a reply"))?);
        Ok(match delivery.outcome() {
            wire::delivery::Outcome::Delivered => RecipientDelivery::Delivered,
            wire::delivery::Outcome::Retry => RecipientDelivery::Retry(reply(delivery.reply)?),
            wire::delivery::Outcome::Reroute => RecipientDelivery::Reroute(reply(delivery.reply)?),
            wire::delivery::Outcome::Failed => RecipientDelivery::Failed(reply(delivery.reply)?),
            wire::delivery::Outcome::Unspecified => return Err(WireError::Invalid("outcome")),
        })
    };
    deliveries.deliveries.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use envelope::TraceContext;

    #[test]
    fn a_head_survives_the_wire_unchanged() {
        let mut recipient = Recipient::new(Address::parse("\"a b\"@contoso.com").unwrap());
        recipient.notify = Some(Notify::On { success: true, failure: true, delay: false });
        recipient.original = Some(OriginalRecipient { kind: "rfc822".into(), address: "old@contoso.com".into() });
        let head = MessageHead {
            id: MessageId::from_bytes([7; 16]),
            envelope: Envelope {
                body: BodyType::EightBitMime,
                smtputf8: true,
                dsn_return: Some(DsnReturn::Headers),
                envelope_id: Some("QQ314159".into()),
                ..Envelope::new(ReversePath::Null, vec![recipient])
            },
            arrived: Timestamp::from_millis(1_700_000_000_123),
            size: ByteSize::kib(4),
            original_size: Some(ByteSize::kib(3)),
            trace: Some(TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true }),
            revision: Revision(42),
            origin: Origin { kind: OriginKind::Mailbox, connector: "Outbox".into() },
            backed_off: vec![SiteName::parse("Berlin").unwrap()],
        };
        assert_eq!(head_from_wire(head_to_wire(&head, Some(head.size))).unwrap(), head);
    }

    #[test]
    fn what_a_message_went_through_survives_the_wire_for_each_recipient() {
        let recipients = vec![
            RecipientHistory { attempts: 3, last_error: Some("451 later".into()), delay_reported: true },
            RecipientHistory::default(),
        ];
        let history = History { age: Duration::from_secs(86_400), recipients };
        assert_eq!(history_from_wire(history_to_wire(&history), 2).unwrap(), history);
        assert!(history_from_wire(history_to_wire(&history), 3).is_err(), "one of three recipients has none");
    }

    #[test]
    fn what_could_break_a_line_does_not_come_in() {
        let base = || {
            let head = MessageHead {
                id: MessageId::from_bytes([7; 16]),
                envelope: Envelope::new(
                    ReversePath::Null,
                    vec![Recipient::new(Address::parse("a@b.example").unwrap())],
                ),
                arrived: Timestamp::from_millis(0),
                size: ByteSize::bytes(1),
                original_size: None,
                trace: None,
                revision: Revision(0),
                origin: Origin { kind: OriginKind::Anonymous, connector: "x".into() },
                backed_off: vec![],
            };
            head_to_wire(&head, None)
        };
        type Change = fn(&mut wire::MessageHead);
        let changes: [Change; 6] = [
            |head| head.message_id = bytes::Bytes::from_static(b"short"),
            |head| head.envelope = None,
            |head| head.origin = None,
            |head| head.envelope.as_mut().unwrap().recipients.clear(),
            |head| head.envelope.as_mut().unwrap().recipients[0].address = "a@b.example\r\nDATA".into(),
            |head| head.envelope.as_mut().unwrap().envelope_id = Some("x\r\nRCPT".into()),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut head = base();
            change(&mut head);
            assert!(head_from_wire(head).is_err(), "change {at}");
        }
    }
}
