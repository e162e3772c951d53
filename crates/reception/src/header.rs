//! What a front end does to the header of a message on its way in: counts hops, removes what strangers may not bring,
//! adds its own trace line and what it knows of the sender. The rest of the content is never looked at (PL-02). Pure.
//!
//! What a sender that knows no header begins with is text: an empty line goes before it, so that nobody after us takes it for
//! anything else.

use std::borrow::Cow;
use std::net::IpAddr;

use envelope::{Domain, EnhancedStatus, MessageId, OriginKind, Recipient, Reply, Timestamp, TraceContext};
use message::firewall::{self, HeaderRights, Path, premises};
use message::{HeaderBlock, Protocol, Received, date};
use smtp::SessionFacts;
use topology::{ConnectorRight, DirectoryRecipient, Organization, ReceiveConnector};

use crate::policy::{self, Principal};

/// Longest `Message-ID` that is repeated in the reply to the client.
const MESSAGE_ID_OCTETS_MAX: usize = 250;

/// What is known when a message begins.
pub(crate) struct Arrival<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) connector: &'a ReceiveConnector,
    pub(crate) hostname: &'a Domain,
    pub(crate) session: &'a SessionFacts,
    pub(crate) origin: OriginKind,
    /// Whose session it is, when somebody logged on.
    pub(crate) user: Option<&'a DirectoryRecipient>,
    /// The domain that a partner has proved (TA-45).
    pub(crate) partner: Option<&'a Domain>,
    /// It comes from the other half of a hybrid organization (PF-45).
    pub(crate) other_half: bool,
    /// `MAIL` had `SMTPUTF8`.
    pub(crate) smtputf8: bool,
    pub(crate) id: MessageId,
    pub(crate) recipients: &'a [Recipient],
    pub(crate) at: Timestamp,
}

/// A header as it goes on, and what was read in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// With our lines, ended by an empty line; text that stood in its place follows.
    pub(crate) octets: Vec<u8>,
    /// With angle brackets; ours when there was none that can be printed.
    pub(crate) message_id: Box<str>,
    /// Decoded.
    pub(crate) subject: Option<Box<str>>,
    /// A trace that a stranger names: forgeable, so it is only ever linked to.
    pub(crate) outside_trace: Option<TraceContext>,
}

/// Makes the header that goes on.
pub(crate) fn receive(block: &[u8], arrival: &Arrival<'_>) -> Result<Header, Reply> {
    let (fields, text) = split_text(block);
    let header = HeaderBlock::new(&fields);
    check_hops(header, arrival)?;
    if fields.starts_with(b" ") || fields.starts_with(b"\t") {
        // It would become part of our own line.
        return Err(Reply::new(
            554,
            EnhancedStatus::new(5, 6, 0),
            "The message begins in the middle of a header field",
        ));
    }
    if let Some(user) = arrival.user.filter(|_| !holds(arrival, ConnectorRight::AcceptAnySender)) {
        policy::check_author(header, user)?;
    }
    let own_id = format!("<{}@{}>", arrival.id, arrival.hostname);
    let mut octets = received(arrival).into_bytes();
    octets.extend_from_slice(evaluation(arrival).as_bytes());
    // RFC 6409 §8: a submission server may complete what a mail client left out.
    if arrival.origin == OriginKind::Authenticated {
        if header.field("Message-ID").is_none() {
            octets.extend_from_slice(format!("Message-ID: {own_id}\r\n").as_bytes());
        }
        if header.field("Date").is_none() {
            octets.extend_from_slice(format!("Date: {}\r\n", date::rfc5322(arrival.at)).as_bytes());
        }
        if let Some(user) = arrival.user.filter(|_| header.field("From").is_none()) {
            octets.extend_from_slice(format!("From: <{}>\r\n", user.primary_address).as_bytes());
        }
    }
    octets.extend_from_slice(&passed(header, arrival));
    if arrival.other_half {
        // PF-41: what the other half has found out counts in place of what we did.
        octets = premises::from_other_half(HeaderBlock::new(&octets)).into_owned();
    }
    octets.extend_from_slice(text);
    let message_id = header.message_id().map(|id| format!("<{id}>")).filter(|id| is_printable(id)).unwrap_or(own_id);
    let (message_id, subject) = (message_id.into(), header.subject().map(Into::into));
    Ok(Header { octets, message_id, subject, outside_trace: header.trace_context() })
}

/// The fields with an empty line after them, and the text that stood where fields should.
fn split_text(block: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    // The line by which mailbox files separate messages is part of none.
    let separator = [&b"From "[..], b">From "].iter().any(|line| block.starts_with(line));
    let block = match memchr::memchr(b'\n', block) {
        Some(end) if separator => &block[end + 1..],
        _ => block,
    };
    let begins = HeaderBlock::new(block).text_begins();
    let is_fold = block.starts_with(b" ") || block.starts_with(b"\t");
    if is_fold || (begins.is_none() && ends_in_empty_line(block)) {
        return (block.into(), &[]);
    }
    let (fields, text) = block.split_at(begins.unwrap_or(block.len()));
    let line_end: &[u8] = if fields.is_empty() || fields.ends_with(b"\n") { b"\r\n" } else { b"\r\n\r\n" };
    ([fields, line_end].concat().into(), text)
}

fn ends_in_empty_line(block: &[u8]) -> bool {
    let ends = [&b"\n\r\n"[..], b"\n\n"].iter().any(|end| block.ends_with(end));
    ends || block == b"\r\n" || block == b"\n"
}

fn holds(arrival: &Arrival<'_>, right: ConnectorRight) -> bool {
    Principal::of(arrival.connector, arrival.user, arrival.partner.is_some()).holds(arrival.connector, right)
}

/// The fields that may pass: organization and forest headers are brought by nobody who was not given that (PL-41, PF-20); nobody may
/// say in our name what we found out (RFC 8601 §5); and blind copies are for the envelope (RFC 6409 §8, as PL-63).
fn passed<'a>(header: HeaderBlock<'a>, arrival: &Arrival<'_>) -> Vec<u8> {
    // In whatever spelling.
    let own = |name: &str| {
        Domain::parse(name).is_ok_and(|name| name == *arrival.hostname || arrival.organization.is_own_name(&name))
    };
    let path = Path::ReceiveConnector(HeaderRights {
        organization: holds(arrival, ConnectorRight::AcceptHeadersOrganization),
        forest: holds(arrival, ConnectorRight::AcceptHeadersForest),
        routing: holds(arrival, ConnectorRight::AcceptHeadersRouting),
    });
    let passed = firewall::apply(header, path);
    let strips_copies = arrival.origin == OriginKind::Authenticated;
    let kept = firewall::retain(HeaderBlock::new(&passed), |field| {
        !(HeaderBlock::is_result_of(field, own) || (strips_copies && field.is("Bcc")))
    });
    kept.into_owned()
}

/// What was found out about the sender (PF-26). The documentation gives `AuthMechanism` two hexadecimal digits and no
/// meaning: 01 is a password, 10 a host that is trusted for its address.
fn evaluation(arrival: &Arrival<'_>) -> String {
    let (auth_as, mechanism) = match arrival.origin {
        OriginKind::Authenticated => ("Internal", Some("01")),
        OriginKind::ExternallySecured => ("Internal", Some("10")),
        OriginKind::Anonymous if arrival.partner.is_some() => ("Partner", None),
        OriginKind::Anonymous | OriginKind::Mailbox | OriginKind::Notification => ("Anonymous", None),
    };
    let prefix = firewall::ORGANIZATION_PREFIX;
    let mut lines = format!("{prefix}AuthSource: {}\r\n{prefix}AuthAs: {auth_as}\r\n", arrival.hostname);
    if let Some(domain) = arrival.partner {
        lines.push_str(&format!("{prefix}AuthDomain: {domain}\r\n"));
    }
    if let Some(mechanism) = mechanism {
        lines.push_str(&format!("{prefix}AuthMechanism: {mechanism}\r\n"));
    }
    lines
}

/// RT-74.
fn check_hops(header: HeaderBlock<'_>, arrival: &Arrival<'_>) -> Result<(), Reply> {
    let connector = arrival.connector;
    let own: IpAddr = arrival.session.connection.local.ip().to_canonical();
    let local_hops = || header.local_hop_count(|address| address.to_canonical() == own);
    let over = |count: usize, limit: u32| u32::try_from(count).unwrap_or(u32::MAX) > limit;
    let loops = over(header.hop_count(), connector.max_hop_count)
        || (connector.max_local_hop_count > 0 && over(local_hops(), connector.max_local_hop_count));
    if loops {
        return Err(Reply::new(554, EnhancedStatus::new(5, 4, 6), "Hop count exceeded - possible mail loop"));
    }
    Ok(())
}

fn received(arrival: &Arrival<'_>) -> String {
    let session = arrival.session;
    let tls = session.tls.as_ref().map(|tls| format!("version={}, cipher={}", tls.version, tls.cipher));
    let (secured, authenticated) = (session.tls.is_some(), session.user.is_some());
    let protocol = match session.extended {
        false => Protocol::Smtp,
        true => Protocol::Extended { tls: secured, authenticated, smtputf8: arrival.smtputf8 },
    };
    let received = Received {
        helo: &session.hello_name,
        peer: Some(session.connection.peer.ip().to_canonical()),
        by: arrival.hostname,
        protocol,
        tls: tls.as_deref(),
        id: arrival.id,
        recipients: arrival.recipients,
        date: arrival.at,
    };
    received.to_field()
}

fn is_printable(id: &str) -> bool {
    id.len() <= MESSAGE_ID_OCTETS_MAX && id.bytes().all(|octet| octet.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
