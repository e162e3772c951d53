//! What a file in the Pickup or the Replay directory says: pure, the time and the new identity are arguments.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use envelope::{
    Address, BodyType, ByteSize, Domain, Envelope, MessageId, OriginKind, Recipient, ReversePath, Timestamp,
    encapsulated,
};
use message::complete::with_date_and_id;
use message::firewall::{self, Path, ReplayCreator};
use message::{HeaderBlock, HeaderCollector, HeaderTooLarge, date};
use smtp_session::command::parameters::{OwnNames, parse_recipient};
use smtp_session::command::{MailCommand, ParameterError};
use smtp_session::server::Extensions;

/// `PickupDirectoryMaxHeaderSize`.
const PICKUP_HEADER_SIZE_MAX: ByteSize = ByteSize::kib(64);
/// `PickupDirectoryMaxRecipientsPerMessage`.
const PICKUP_RECIPIENTS_MAX: usize = 100;
/// `X-CreatedBy` of what servers export: it keeps what the header firewall removes of others.
const EXCHANGE: &str = "MSExchange15";
/// Marks the last of the fields in front of a replayed message; what follows is the message's own.
const LAST_INJECTED: &str = "X-EndOfInjectedXHeaders";
/// Text of a recipients field in which there is nobody to be seen (PL-60).
const NOBODY_SHOWN: &str = "To: Undisclosed Recipients:;\r\n";

/// Why a file is no message to send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is no file")]
    NoFile,
    #[error("it is longer than 128 MB")]
    TooLarge,
    #[error(transparent)]
    Header(#[from] HeaderTooLarge),
    #[error("it has a CR that ends no line")]
    LoneCr,
    #[error("it has no From and no Sender with an address")]
    NoSender,
    #[error("it has several addresses in From: write one of them into Sender")]
    WhichSender,
    #[error("Sender has several addresses")]
    Senders,
    #[error("{0:?} is no address")]
    NoAddress(String),
    #[error("it has no recipients in To, Cc or Bcc")]
    NoRecipients,
    #[error("it has more than {PICKUP_RECIPIENTS_MAX} recipients")]
    Recipients,
    #[error("X-Sender has to be there once")]
    XSender,
    #[error("X-Receiver has to be there at least once")]
    XReceiver,
    #[error("X-CreatedBy is there and says nothing")]
    XCreatedBy,
    #[error("{0}: {1}")]
    Parameter(&'static str, ParameterError),
}

/// What does not stand in the file.
pub(super) struct Context<'a> {
    pub(super) id: MessageId,
    pub(super) now: Timestamp,
    /// Right side of a new `Message-ID`, and of `<postmaster>`.
    pub(super) domain: &'a Domain,
    /// This server.
    pub(super) server: &'a Domain,
}

/// A message to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) envelope: Envelope,
    pub(super) content: Bytes,
    /// For queue tools.
    pub(super) source: Box<str>,
    pub(super) kind: OriginKind,
    /// Who sent it once, for the message tracking log.
    pub(super) client_address: Option<IpAddr>,
}

/// A message as somebody wrote it (PL-59…PL-61).
pub(super) fn pickup(text: &[u8], context: &Context<'_>) -> Result<Found, Unusable> {
    let text = with_crlf(text)?;
    let (header, body) = split(&text, PICKUP_HEADER_SIZE_MAX)?;
    let block = HeaderBlock::new(&header);
    let sender = pickup_sender(block)?;
    let recipients = pickup_recipients(block)?;
    let is_shown = ["To", "Cc"].iter().any(|name| !block.addresses(name).is_empty());
    let kept = firewall::apply(block, Path::Pickup);
    let mut kept = firewall::without(HeaderBlock::new(&kept), "Bcc").into_owned();
    if !is_shown {
        kept = firewall::without(HeaderBlock::new(&kept), "To").into_owned();
        kept.splice(0..0, NOBODY_SHOWN.bytes());
    }
    let envelope = Envelope::new(ReversePath::Address(sender), recipients);
    let is_plain = envelope_is_ascii(&envelope) && kept.is_ascii();
    let envelope = Envelope { body: body_type(body), smtputf8: !is_plain, ..envelope };
    let content = content(&kept, body, "localhost", "Pickup", context);
    Ok(Found { envelope, content, source: "Pickup".into(), kind: OriginKind::Authenticated, client_address: None })
}

/// PL-59: who is responsible for it.
fn pickup_sender(header: HeaderBlock<'_>) -> Result<Address, Unusable> {
    let all = |name: &str| {
        let entries = header.address_entries(name).into_iter();
        entries.collect::<Result<Vec<Address>, String>>().map_err(Unusable::NoAddress)
    };
    let (mut from, mut sender) = (all("From")?, all("Sender")?);
    match (from.len(), sender.len()) {
        (_, 2..) => Err(Unusable::Senders),
        (1, _) => Ok(from.remove(0)),
        (_, 1) => Ok(sender.remove(0)),
        (0, _) => Err(Unusable::NoSender),
        (_, 0) => Err(Unusable::WhichSender),
    }
}

fn pickup_recipients(header: HeaderBlock<'_>) -> Result<Vec<Recipient>, Unusable> {
    let (mut recipients, mut seen) = (Vec::new(), HashSet::new());
    for entry in ["To", "Cc", "Bcc"].into_iter().flat_map(|name| header.address_entries(name)) {
        let address = entry.map_err(Unusable::NoAddress)?;
        if seen.insert(address.key()) {
            recipients.push(Recipient::new(address));
        }
    }
    match recipients.len() {
        0 => Err(Unusable::NoRecipients),
        1..=PICKUP_RECIPIENTS_MAX => Ok(recipients),
        _ => Err(Unusable::Recipients),
    }
}

/// A message with its envelope in front (PL-62, PL-63).
pub(super) fn replay(text: &[u8], context: &Context<'_>) -> Result<Found, Unusable> {
    let text = with_crlf(text)?;
    let (header, body) = split(&text, message::split::ACCEPTED_HEADER_SIZE_MAX)?;
    let block = HeaderBlock::new(&header);
    let mut injected = Injected::default();
    let mut length = 0;
    for field in block.fields() {
        let value = String::from_utf8_lossy(field.value()).replace("\r\n", "");
        if !injected.take(field.name(), value.trim(), context)? {
            break;
        }
        length += field.raw().len();
        if field.is(LAST_INJECTED) {
            break;
        }
    }
    let Injected { sender, recipients, created_by, helo, source, client_address } = injected;
    let sender = sender.ok_or(Unusable::XSender)?;
    if recipients.is_empty() {
        return Err(Unusable::XReceiver);
    }
    let creator = if &*created_by == EXCHANGE { ReplayCreator::Exchange } else { ReplayCreator::Other };
    let kept = firewall::apply(HeaderBlock::new(&header[length..]), Path::Replay(creator));
    let kept = firewall::without(HeaderBlock::new(&kept), "Bcc").into_owned(); // PL-63
    let envelope = Envelope::new(sender.reverse_path, recipients);
    let is_plain = envelope_is_ascii(&envelope) && kept.is_ascii();
    let envelope = Envelope {
        body: if sender.body == BodyType::EightBitMime { sender.body } else { body_type(body) },
        smtputf8: sender.smtputf8 || !is_plain,
        dsn_return: sender.dsn_return,
        envelope_id: sender.envelope_id,
        ..envelope
    };
    let from = helo.as_deref().unwrap_or_else(|| context.server.ascii()); // PL-63
    let content = content(&kept, body, from, "Replay", context);
    // What no server wrote says of its origin what it likes.
    let kind = match creator {
        ReplayCreator::Exchange => OriginKind::Authenticated,
        ReplayCreator::Other => OriginKind::Anonymous,
    };
    Ok(Found { envelope, content, source, kind, client_address })
}

/// The fields in front of a replayed message.
struct Injected {
    sender: Option<MailCommand>,
    recipients: Vec<Recipient>,
    created_by: Box<str>,
    helo: Option<Box<str>>,
    source: Box<str>,
    client_address: Option<IpAddr>,
}

impl Default for Injected {
    fn default() -> Self {
        let (created_by, source) = ("Unspecified".into(), "Replay".into());
        Self { sender: None, recipients: Vec::new(), created_by, helo: None, source, client_address: None }
    }
}

impl Injected {
    /// Whether the field is one of them.
    fn take(&mut self, name: &[u8], value: &str, context: &Context<'_>) -> Result<bool, Unusable> {
        let offered = Extensions { long_addresses: true, ..Extensions::default() };
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if is("X-Sender") {
            let sender = MailCommand::parse(&bracketed(value, context.domain)?, &offered);
            let sender = sender.map_err(|error| Unusable::Parameter("X-Sender", error))?;
            if self.sender.replace(sender).is_some() {
                return Err(Unusable::XSender);
            }
        } else if is("X-Receiver") {
            let own = OwnNames { postmaster_domain: context.domain, address: None };
            let recipient = parse_recipient(&bracketed(value, context.domain)?, &offered, true, own);
            self.recipients.push(recipient.map_err(|error| Unusable::Parameter("X-Receiver", error))?);
        } else if is("X-CreatedBy") {
            self.created_by = Some(value).filter(|value| !value.is_empty()).ok_or(Unusable::XCreatedBy)?.into();
        } else if is("X-HeloDomain") {
            self.helo = Some(shown(value)).filter(|helo| !helo.is_empty());
        } else if is("X-Source") {
            self.source = shown(value);
        } else if is("X-SourceIPAddress") {
            // 0.0.0.0 says that nobody knows.
            self.client_address = value.parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
        } else {
            return Ok([LAST_INJECTED, "X-ExtendedMessageProps"].into_iter().any(is));
        }
        Ok(true)
    }
}

/// `MAIL` and `RCPT` want brackets; the documentation shows addresses without. An address of another type stands as the gateway knows
/// it, `FAX:+49 30 123456`, and travels inside one of ours (EN-69, EN-73); without brackets nothing can follow it.
fn bracketed<'a>(value: &'a str, domain: &Domain) -> Result<Cow<'a, str>, Unusable> {
    let within = value.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let (address, parameters) = within.unwrap_or((value, ""));
    if let Some((kind, text)) = encapsulated::typed(address) {
        let inside = encapsulated::encode(kind, text.trim(), domain);
        let inside = inside.ok_or_else(|| Unusable::NoAddress(address.to_owned()))?;
        return Ok(format!("<{inside}>{parameters}").into());
    }
    Ok(with_brackets(value))
}

fn with_brackets(value: &str) -> Cow<'_, str> {
    if value.starts_with('<') {
        return value.into();
    }
    match value.split_once(' ') {
        Some((address, parameters)) => format!("<{address}> {parameters}").into(),
        None => format!("<{value}>").into(),
    }
}

/// Words of others that get into a trace line and a log: printable ASCII without what ends a comment.
fn shown(value: &str) -> Box<str> {
    const LENGTH_MAX: usize = 64;
    let kept: String = value.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(LENGTH_MAX).collect();
    kept.into()
}

/// The content as it enters the queue (PL-61, PL-63).
fn content(kept: &[u8], body: &[u8], from: &str, by: &str, context: &Context<'_>) -> Bytes {
    let received =
        format!("Received: from {from} by {by} with Postroad id {}; {}\r\n", context.id, date::rfc5322(context.now));
    let header = with_date_and_id(HeaderBlock::new(kept), context.now, context.id, context.domain);
    let mut content = BytesMut::with_capacity(received.len() + header.len() + body.len());
    content.extend_from_slice(received.as_bytes());
    content.extend_from_slice(&header);
    content.extend_from_slice(body);
    content.freeze()
}

fn envelope_is_ascii(envelope: &Envelope) -> bool {
    envelope.reverse_path.address().is_none_or(Address::is_ascii)
        && envelope.recipients.iter().all(|recipient| recipient.address.is_ascii())
}

fn body_type(body: &[u8]) -> BodyType {
    if body.is_ascii() { BodyType::SevenBit } else { BodyType::EightBitMime }
}

fn split(text: &[u8], limit: ByteSize) -> Result<(Vec<u8>, &[u8]), Unusable> {
    let mut collector = HeaderCollector::new(limit);
    let end = collector.push(text)?.unwrap_or(text.len());
    Ok((collector.into_block(), &text[end..]))
}

/// Text of a file with the line ends of mail, without the mark that some editors put in front.
fn with_crlf(text: &[u8]) -> Result<Cow<'_, [u8]>, Unusable> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let is_lone = |at: usize| text[at] == b'\r' && text.get(at + 1) != Some(&b'\n');
    if (0..text.len()).any(is_lone) {
        return Err(Unusable::LoneCr);
    }
    let is_bare = |at: usize| text[at] == b'\n' && (at == 0 || text[at - 1] != b'\r');
    if !(0..text.len()).any(is_bare) {
        return Ok(text.into());
    }
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for (at, octet) in text.iter().enumerate() {
        if is_bare(at) {
            out.push(b'\r');
        }
        out.push(*octet);
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests;
