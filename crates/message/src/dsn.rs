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
//! A notification comes from the null sender: a host that cannot take it ends it, and nobody is told. So it needs no more
//! than its own way has: 7 bits, unless the sender it goes to is inside or has an address that needs SMTPUTF8. What does
//! not fit is written in ASCII, or left out: addresses as `utf-8-addr-xtext`, headers quoted-printable, bodies not at all.
//! The `global` types of RFC 6533 stand only where something is not ASCII: programs of the field do not know them.
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
    /// Its envelope: ENVID and RET are taken from here.
    pub envelope: &'a Envelope,
    /// Its header block.
    pub header: HeaderBlock<'a>,
    /// Whether its body is ASCII, whatever its envelope said.
    pub body_is_ascii: bool,
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
    /// Whether the way to the sender is known to take 8 bits: he is inside.
    pub eight_bit_way: bool,
}

/// What a notification may hold and does hold.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// The sender's address needs SMTPUTF8, so the way to him has it, and 8 bits (RFC 6531 §3.6).
    smtputf8: bool,
    returns: DsnReturn,
    /// The original's header has octets beyond ASCII.
    wide_header: bool,
    /// They are left as they are; else they are encoded.
    wide_way: bool,
    /// The delivery status has characters beyond ASCII.
    wide_status: bool,
    body: BodyType,
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
        let form = self.form(&header);
        let boundary = format!("=_{}", self.id);

        let mut out = self.message_header(&boundary, form);
        self.push_human_part(&mut out, &boundary, &header);
        self.push_status_part(&mut out, &boundary, form);
        push_original_part_header(&mut out, &boundary, form);
        let mut prefix = out.into_bytes();
        if form.wide_header && !form.wide_way {
            prefix.extend_from_slice(quoted_printable(&header).as_bytes());
        } else {
            prefix.extend_from_slice(&header);
        }
        let suffix = format!("\r\n--{boundary}--\r\n").into_bytes();
        Dsn { prefix, suffix, returns: form.returns, body: form.body, smtputf8: form.smtputf8 }
    }

    fn form(&self, header: &[u8]) -> Form {
        let smtputf8 = !self.to.is_ascii();
        let wide_way = smtputf8 || self.eight_bit_way;
        let wide_header = !header.is_ascii();
        let fits = wide_way || (self.original.body_is_ascii && !wide_header);
        let returns = if fits { self.returns() } else { DsnReturn::Headers };
        let wide_status = smtputf8 && self.recipients.iter().any(|report| !report.recipient.address.is_ascii());
        let wide_body = returns == DsnReturn::Full && !self.original.body_is_ascii;
        let eight_bits = smtputf8 || wide_body || (wide_way && wide_header);
        let body = if eight_bits { BodyType::EightBitMime } else { BodyType::SevenBit };
        Form { smtputf8, returns, wide_header, wide_way, wide_status, body }
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

    fn message_header(&self, boundary: &str, form: Form) -> String {
        let mut out = String::new();
        let mut field = |name, value: &str| push_field(&mut out, name, value);
        let reporting = printable(self.reporting_mta.ascii(), LINE_OCTETS_MAX);
        if form.smtputf8 || self.from.is_ascii() {
            field("From", &format!("\"{FROM_NAME}\" <{}>", self.from));
        } else {
            // A postmaster whose name his correspondents' hosts could not take.
            let host = printable(self.generating_server.ascii(), LINE_OCTETS_MAX);
            field("From", &format!("\"{FROM_NAME}\" <postmaster@{host}>"));
        }
        field("To", &format!("<{}>", self.to));
        field("Subject", &self.subject());
        field("Date", &date::rfc5322(self.date));
        field("Message-ID", &format!("<{}@{reporting}>", self.id));
        if let Some(id) = self.original.header.message_id() {
            let id = printable(&id, MESSAGE_ID_OCTETS_MAX);
            field("In-Reply-To", &format!("<{id}>"));
            field("References", &format!("<{id}>"));
        }
        field("Auto-Submitted", "auto-replied"); // RFC 3834 §5
        field("MIME-Version", "1.0");
        if form.body == BodyType::EightBitMime {
            field("Content-Transfer-Encoding", "8bit");
        }
        // RFC 6522 §3: the subtype of the second part.
        let kind = form.status_type();
        field("Content-Type", &format!("multipart/report; report-type={kind}; boundary=\"{boundary}\""));
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
        out.push_str(&if plain { text } else { quoted_printable(text.as_bytes()) });
    }

    fn push_status_part(&self, out: &mut String, boundary: &str, form: Form) {
        push_delimiter(out, boundary);
        push_field(out, "Content-Type", &format!("message/{}", form.status_type()));
        if form.wide_status {
            push_field(out, "Content-Transfer-Encoding", "8bit");
        }
        out.push_str("\r\n");
        delivery_status::push(out, self, form.wide_status);
    }
}

impl Form {
    const fn status_type(self) -> &'static str {
        if self.wide_status { "global-delivery-status" } else { "delivery-status" }
    }
}

fn push_original_part_header(out: &mut String, boundary: &str, form: Form) {
    push_delimiter(out, boundary);
    let kind = match (form.returns, form.wide_header && form.wide_way) {
        (DsnReturn::Full, false) => "message/rfc822",
        (DsnReturn::Headers, false) if form.wide_header => "text/rfc822-headers; charset=utf-8",
        (DsnReturn::Headers, false) => "text/rfc822-headers",
        (DsnReturn::Full, true) => "message/global",
        (DsnReturn::Headers, true) => "message/global-headers",
    };
    push_field(out, "Content-Type", kind);
    if form.wide_header && !form.wide_way {
        push_field(out, "Content-Transfer-Encoding", "quoted-printable");
    } else if form.body == BodyType::EightBitMime {
        push_field(out, "Content-Transfer-Encoding", "8bit");
    }
    out.push_str("\r\n");
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
