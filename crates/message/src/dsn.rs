//! Delivery status notifications: non-delivery, delay, relay, delivery and expansion reports (DS-08 ff.; RFC 3464,
//! RFC 6522, RFC 6533 for addresses beyond ASCII).
//!
//! ```text
//! multipart/report; report-type=delivery-status
//! ├─ text/plain                 for people: cause, remedy, diagnostic information      human
//! ├─ message/delivery-status    for programs                                           delivery_status
//! └─ message/rfc822             the original, firewalled: its header here, its body streamed by the caller
//!    or text/rfc822-headers     its header only
//! ```
//!
//! A [`Dsn`] is what comes before and after the original's body, so that an original of any size is never held. Pure:
//! identity and date are arguments. Decided by the caller, not here: whether a notification is due at all (a null
//! reverse-path never causes one, DS-04; NOTIFY, DS-02), who it is from (DS-19), and that it is sent from `<>`. Text
//! only: no HTML alternative (DS-11), English only (DS-16), no custom texts (DS-17).

mod delivery_status;
mod human;
mod texts;

use envelope::{
    Address, BodyType, ByteSize, Domain, DsnReturn, EnhancedStatus, Envelope, MessageId, Recipient, Reply, Timestamp,
};

use crate::date;
use crate::encode::{LINE_OCTETS_MAX, encoded_words, printable, push_field, quoted_printable};
use crate::firewall::{self, Path};
use crate::header::HeaderBlock;

/// Largest original that is attached whole: 10 MB, range 0 to 2147483647 bytes, 0 = header only
/// (`ExternalDsnMaxMessageAttachSize`, `InternalDsnMaxMessageAttachSize`, DS-13).
pub const ATTACHED_SIZE_MAX: ByteSize = ByteSize::mib(10);
/// Longest subject of the original that is repeated, in octets; leaves room for the prefix in one line.
const SUBJECT_OCTETS_MAX: usize = 900;
/// Longest Message-ID of the original that is repeated.
const MESSAGE_ID_OCTETS_MAX: usize = 900;
/// Display name in `From`.
const FROM_NAME: &str = "Mail Delivery";

/// What happened to the recipients of one notification, in ascending severity (docs/rules.md, Notifications).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// In a mailbox.
    Delivered,
    /// A group whose members got it.
    Expanded,
    /// Handed to a host that does not report further (DS-24).
    Relayed,
    /// Still trying (DS-20).
    Delayed,
    /// Will not be delivered.
    Failed,
}

impl Action {
    /// The value of the `Action` field (RFC 3464 §2.3.3).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expanded => "expanded",
            Self::Relayed => "relayed",
            Self::Delayed => "delayed",
            Self::Failed => "failed",
        }
    }

    /// DS-45.
    const fn subject_prefix(self) -> &'static str {
        match self {
            Self::Delivered => "Delivered: ",
            Self::Expanded => "Expanded: ",
            Self::Relayed => "Relayed: ",
            Self::Delayed => "Delivery delayed: ",
            Self::Failed => "Undeliverable: ",
        }
    }
}

/// The message that the notification is about.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// Its envelope: ENVID, RET and the need for 8 bits or SMTPUTF8 are taken from here.
    pub envelope: &'a Envelope,
    /// Its header block.
    pub header: HeaderBlock<'a>,
    /// Size of header and body.
    pub size: ByteSize,
    /// When this server accepted it.
    pub arrival: Timestamp,
}

/// The fate of one recipient.
#[derive(Clone, Copy, Debug)]
pub struct RecipientReport<'a> {
    /// Final address and ORCPT.
    pub recipient: &'a Recipient,
    /// From the rejecting server unchanged, or ours (DS-41).
    pub status: EnhancedStatus,
    /// What the rejecting server answered, or the answer that stands for our own decision (DS-05, DS-44).
    pub reply: Option<&'a Reply>,
    /// The queue's last error, for people only (DS-44).
    pub last_error: Option<&'a str>,
    /// The remote server, only when it refused before it acknowledged the data (DS-10).
    pub remote_mta: Option<&'a str>,
    /// When delivery was last tried.
    pub last_attempt: Option<Timestamp>,
    /// When a delayed message expires.
    pub will_retry_until: Option<Timestamp>,
}

impl<'a> RecipientReport<'a> {
    /// A report with a status and nothing else known.
    #[must_use]
    pub const fn new(recipient: &'a Recipient, status: EnhancedStatus) -> Self {
        Self {
            recipient,
            status,
            reply: None,
            last_error: None,
            remote_mta: None,
            last_attempt: None,
            will_retry_until: None,
        }
    }
}

/// Everything a notification says: one per message and action (DS-07).
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What happened to all of `recipients`.
    pub action: Action,
    /// Message id of the notification itself; `Message-ID` and MIME boundary derive from it. It must be drawn after the
    /// original was accepted, so that no original can contain the boundary.
    pub id: MessageId,
    /// When the notification is made.
    pub date: Timestamp,
    /// Postmaster (DS-19, DS-21).
    pub from: &'a Address,
    /// The original sender.
    pub to: &'a Address,
    /// `Reporting-MTA` (DS-12).
    pub reporting_mta: &'a Domain,
    /// The server that makes the notification (DS-09).
    pub generating_server: &'a Domain,
    /// What it is about.
    pub original: Original<'a>,
    /// At least one.
    pub recipients: &'a [RecipientReport<'a>],
    /// Largest original attached whole; see [`ATTACHED_SIZE_MAX`].
    pub attached_size_max: ByteSize,
}

/// A finished notification: `prefix`, then for [`DsnReturn::Full`] the body of the original, then `suffix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dsn {
    /// Header, human part, delivery status, and the firewalled header of the original with its empty line.
    pub prefix: Vec<u8>,
    /// The closing boundary.
    pub suffix: Vec<u8>,
    /// Whether the body of the original belongs between the two.
    pub returns: DsnReturn,
    /// `BODY=` that the notification has to be sent with.
    pub body: BodyType,
    /// Whether it has to be sent with SMTPUTF8.
    pub smtputf8: bool,
}

impl Report<'_> {
    /// Writes the notification.
    #[must_use]
    pub fn build(&self) -> Dsn {
        let header = returned_header(self.original.header);
        let returns = self.returns();
        let (body, smtputf8) = self.transport_needs(&header, returns);
        let boundary = format!("=_{}", self.id);

        let mut out = self.message_header(&boundary, body);
        self.push_human_part(&mut out, &boundary, &header);
        self.push_status_part(&mut out, &boundary, smtputf8);
        self.push_original_part_header(&mut out, &boundary, returns, body);
        let mut prefix = out.into_bytes();
        prefix.extend_from_slice(&header);
        Dsn { prefix, suffix: format!("\r\n--{boundary}--\r\n").into_bytes(), returns, body, smtputf8 }
    }

    /// DS-13. Only a failure returns content (RFC 3461 §4.3); RET=FULL does not lift the size limit.
    fn returns(&self) -> DsnReturn {
        let asked_for_headers = self.original.envelope.dsn_return == Some(DsnReturn::Headers);
        if self.action == Action::Failed && !asked_for_headers && self.original.size <= self.attached_size_max {
            DsnReturn::Full
        } else {
            DsnReturn::Headers
        }
    }

    fn transport_needs(&self, header: &[u8], returns: DsnReturn) -> (BodyType, bool) {
        let envelope = self.original.envelope;
        let addresses_ascii = self.to.is_ascii()
            && self.from.is_ascii()
            && self.recipients.iter().all(|report| report.recipient.address.is_ascii());
        let smtputf8 = envelope.smtputf8 || !addresses_ascii || !self.reporting_mta.as_str().is_ascii();
        let eight_bit_body = returns == DsnReturn::Full && envelope.body == BodyType::EightBitMime;
        let body =
            if smtputf8 || eight_bit_body || !header.is_ascii() { BodyType::EightBitMime } else { BodyType::SevenBit };
        (body, smtputf8)
    }

    fn message_header(&self, boundary: &str, body: BodyType) -> String {
        let mut out = String::new();
        let mut field = |name, value: &str| push_field(&mut out, name, value);
        field("From", &format!("\"{FROM_NAME}\" <{}>", self.from));
        field("To", &format!("<{}>", self.to));
        field("Subject", &self.subject());
        field("Date", &date::rfc5322(self.date));
        field("Message-ID", &format!("<{}@{}>", self.id, self.reporting_mta));
        if let Some(id) = self.original.header.message_id() {
            let id = printable(&id, MESSAGE_ID_OCTETS_MAX);
            field("In-Reply-To", &format!("<{id}>"));
            field("References", &format!("<{id}>"));
        }
        field("Auto-Submitted", "auto-replied"); // RFC 3834 §5
        field("MIME-Version", "1.0");
        if body == BodyType::EightBitMime {
            field("Content-Transfer-Encoding", "8bit");
        }
        field("Content-Type", &format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\""));
        out.push_str("\r\n");
        out
    }

    /// The original's subject as it was written when that is ASCII (encoded words stay encoded), else encoded anew.
    fn subject(&self) -> String {
        let original = self.original.header.field("Subject").map(|field| field.text()).unwrap_or_default();
        let mut end = original.len().min(SUBJECT_OCTETS_MAX);
        while !original.is_char_boundary(end) {
            end -= 1;
        }
        let clean: String = original[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{}{}", self.action.subject_prefix(), encoded_words(clean.trim()))
    }

    fn push_human_part(&self, out: &mut String, boundary: &str, header: &[u8]) {
        let text = human::text(self, header);
        let plain = text.is_ascii() && text.lines().all(|line| line.len() <= LINE_OCTETS_MAX);
        push_delimiter(out, boundary);
        push_field(out, "Content-Type", "text/plain; charset=utf-8");
        push_field(out, "Content-Language", "en");
        if !plain {
            push_field(out, "Content-Transfer-Encoding", "quoted-printable");
        }
        out.push_str("\r\n");
        out.push_str(&if plain { text } else { quoted_printable(&text) });
    }

    fn push_status_part(&self, out: &mut String, boundary: &str, smtputf8: bool) {
        push_delimiter(out, boundary);
        let kind = if smtputf8 { "message/global-delivery-status" } else { "message/delivery-status" };
        push_field(out, "Content-Type", kind);
        if smtputf8 {
            push_field(out, "Content-Transfer-Encoding", "8bit");
        }
        out.push_str("\r\n");
        delivery_status::push(out, self);
    }

    fn push_original_part_header(&self, out: &mut String, boundary: &str, returns: DsnReturn, body: BodyType) {
        push_delimiter(out, boundary);
        let kind = match (returns, self.original.envelope.smtputf8) {
            (DsnReturn::Full, false) => "message/rfc822",
            (DsnReturn::Headers, false) => "text/rfc822-headers",
            (DsnReturn::Full, true) => "message/global",
            (DsnReturn::Headers, true) => "message/global-headers",
        };
        push_field(out, "Content-Type", kind);
        if body == BodyType::EightBitMime {
            push_field(out, "Content-Transfer-Encoding", "8bit");
        }
        out.push_str("\r\n");
    }
}

/// The delimiter's leading line end belongs to it (RFC 2046 §5.1.1), so each part keeps its own last line end.
fn push_delimiter(out: &mut String, boundary: &str) {
    out.push_str(&format!("\r\n--{boundary}\r\n"));
}

/// The original's header as it is attached: firewalled (DS-14), and ended by an empty line.
fn returned_header(original: HeaderBlock<'_>) -> Vec<u8> {
    let mut header = firewall::apply(original, Path::OriginalInDsn).into_owned();
    let mut fields = HeaderBlock::new(&header).fields();
    fields.by_ref().for_each(drop);
    if fields.rest().is_empty() {
        if !header.is_empty() && !header.ends_with(b"\n") {
            header.extend_from_slice(b"\r\n");
        }
        header.extend_from_slice(b"\r\n");
    }
    header
}

#[cfg(test)]
mod tests;
