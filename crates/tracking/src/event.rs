//! One event as one line: thirty fields in the documented order (logs.md §4), as RFC 4180 has them (LG-05).

use std::fmt::Write as _;
use std::net::IpAddr;

use envelope::{Address, ByteSize, MessageId, ReversePath, Timestamp};

/// The fields of a line, as the header names them (LG-19).
pub const FIELDS: &str = "date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,\
event-id,internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,\
related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality,tenant-id,\
original-client-ip,original-server-ip,custom-data,transport-traffic-type,log-id,schema-version";
/// `schema-version`.
const SCHEMA: &str = "15.01.0000.000";
/// Recipients named in one line; the count is of all.
const RECIPIENTS_MAX: usize = 1_000;
/// Octets of a text of others that are written.
const TEXT_OCTETS_MAX: usize = 2_048;

/// What happened (logs.md §4.1): those that this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventId {
    /// Taken over.
    Receive,
    /// A group was replaced by its members.
    Expand,
    /// An address was replaced by the primary one, or by a contact's.
    Resolve,
    /// Divided: this copy goes its own way.
    Transfer,
    /// Handed to another service or host.
    Send,
    /// Written into a mailbox.
    Deliver,
    /// Taken out of a mailbox's outbox and handed to Transport.
    Submit,
    /// Delayed.
    Defer,
    /// A notification was made.
    Dsn,
    /// Given up.
    Fail,
}

impl EventId {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "RECEIVE",
            Self::Expand => "EXPAND",
            Self::Resolve => "RESOLVE",
            Self::Transfer => "TRANSFER",
            Self::Send => "SEND",
            Self::Deliver => "DELIVER",
            Self::Submit => "SUBMIT",
            Self::Defer => "DEFER",
            Self::Dsn => "DSN",
            Self::Fail => "FAIL",
        }
    }
}

/// Who made it happen (logs.md §4.2): those that this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Another service or host.
    Smtp,
    /// The categorizer.
    Routing,
    /// A queue: age, retries.
    Queue,
    /// Recipient resolution.
    Resolver,
    /// Notifications.
    Dsn,
    /// Mailbox databases.
    StoreDriver,
}

impl Source {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "SMTP",
            Self::Routing => "ROUTING",
            Self::Queue => "QUEUE",
            Self::Resolver => "RESOLVER",
            Self::Dsn => "DSN",
            Self::StoreDriver => "STOREDRIVER",
        }
    }
}

/// An event. Fields that do not apply stay empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub id: EventId,
    /// Who made it happen.
    pub source: Source,
    /// The message on this server.
    pub message: MessageId,
    /// `Message-ID` of its header, angle brackets included, where it is at hand.
    pub internet_message_id: Option<Box<str>>,
    /// Address of the client, where it came by SMTP.
    pub client_address: Option<IpAddr>,
    /// The server that handed the message in, or what a client calls itself.
    pub client_hostname: Box<str>,
    /// The server or host that took it.
    pub server_hostname: Box<str>,
    /// Words about the event: a reply, or the decision behind it.
    pub source_context: Box<str>,
    /// Receive or Send connector.
    pub connector: Box<str>,
    /// Recipients concerned, each with its status where it has one.
    pub recipients: Vec<(Address, Option<Box<str>>)>,
    /// The group, or the address before (EXPAND, RESOLVE).
    pub related_recipient: Option<Address>,
    /// As LG-20 has it for each event.
    pub reference: Box<str>,
    /// Subject, where it is at hand and wanted.
    pub subject: Option<Box<str>>,
    /// Octets.
    pub size: ByteSize,
    /// `MAIL FROM`.
    pub return_path: ReversePath,
    /// `Originating` for mail of our own senders, else `Incoming`.
    pub originating: bool,
    /// More about the event, as `name=value` separated by `;`.
    pub custom_data: Box<str>,
}

impl Event {
    /// An event of which nothing but the message is known.
    #[must_use]
    pub fn new(at: Timestamp, id: EventId, source: Source, message: MessageId, return_path: ReversePath) -> Self {
        Self {
            at,
            id,
            source,
            message,
            internet_message_id: None,
            client_address: None,
            client_hostname: Box::default(),
            server_hostname: Box::default(),
            source_context: Box::default(),
            connector: Box::default(),
            recipients: Vec::new(),
            related_recipient: None,
            reference: Box::default(),
            subject: None,
            size: ByteSize::bytes(0),
            return_path,
            originating: false,
            custom_data: Box::default(),
        }
    }

    /// The line, with its number as `log-id`. Ends with CR LF (RFC 4180 §2).
    #[must_use]
    pub fn line(&self, number: u64) -> String {
        let shown = self.recipients.iter().take(RECIPIENTS_MAX);
        let addresses: Vec<&str> = shown.clone().map(|(address, _)| address.as_str()).collect();
        let statuses: Vec<&str> = shown.map(|(_, status)| status.as_deref().unwrap_or_default()).collect();
        let statuses = if statuses.iter().all(|status| status.is_empty()) { String::new() } else { statuses.join(";") };
        let return_path = self.return_path.to_string();
        let return_path = if return_path.is_empty() { "<>" } else { &return_path };
        let fields: [&str; 30] = [
            &self.at.to_iso8601(),
            &self.client_address.map(|address| address.to_string()).unwrap_or_default(),
            &self.client_hostname,
            "",
            &self.server_hostname,
            &self.source_context,
            &self.connector,
            self.source.as_str(),
            self.id.as_str(),
            &internal_id(self.message).to_string(),
            self.internet_message_id.as_deref().unwrap_or_default(),
            &self.message.to_string(),
            &addresses.join(";"),
            &statuses,
            &self.size.as_u64().to_string(),
            &self.recipients.len().to_string(),
            self.related_recipient.as_ref().map(Address::as_str).unwrap_or_default(),
            &self.reference,
            self.subject.as_deref().unwrap_or_default(),
            return_path,
            return_path,
            "",
            if self.originating { "Originating" } else { "Incoming" },
            "",
            "",
            "",
            &self.custom_data,
            "Email",
            &number.to_string(),
            SCHEMA,
        ];
        let mut line = String::with_capacity(256);
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                line.push(',');
            }
            // Lists of recipients are bounded by their number.
            push(&mut line, field, if matches!(at, 12 | 13) { usize::MAX } else { TEXT_OCTETS_MAX });
        }
        line.push_str("\r\n");
        line
    }
}

/// An integer of this server for the message: from its id, so that it needs no counter that survives restarts.
#[must_use]
pub fn internal_id(message: MessageId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *message.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) & (u64::MAX >> 2)
}

/// RFC 4180 §2: quotes around what needs them, quotes within doubled. Control characters become spaces: a line is a line.
fn push(line: &mut String, field: &str, limit: usize) {
    let field = &field[..field.floor_char_boundary(limit)];
    if !field.contains([',', '"', '\r', '\n']) && !field.chars().any(char::is_control) {
        line.push_str(field);
        return;
    }
    line.push('"');
    for character in field.chars() {
        match character {
            '"' => line.push_str("\"\""),
            character if character.is_control() => line.push(' '),
            character => line.write_char(character).expect("a String takes everything"),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let sender = ReversePath::parse("anna@contoso.example").unwrap();
        let at = Timestamp::from_millis(1_795_335_330_250);
        let mut event = Event::new(at, EventId::Send, Source::Smtp, MessageId::from_bytes([7; 16]), sender);
        event.recipients = vec![
            (Address::parse("olga@contoso.example").unwrap(), Some("250 2.1.5 Recipient OK".into())),
            (Address::parse("per@contoso.example").unwrap(), None),
        ];
        event
    }

    /// Fields of a line, as any reader of RFC 4180 has them.
    fn fields(line: &str) -> Vec<String> {
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        let mut characters = line.trim_end_matches("\r\n").chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' if quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(std::mem::take(&mut field)),
                character => field.push(character),
            }
        }
        fields.push(field);
        fields
    }

    #[test]
    fn a_line_has_the_documented_fields_in_their_order() {
        // LG-19
        let names: Vec<&str> = FIELDS.split(',').collect();
        assert_eq!(names.len(), 30);
        let line = event().line(42);
        let line = fields(&line);
        let value = |name: &str| line[names.iter().position(|known| *known == name).unwrap()].as_str();
        assert_eq!(line.len(), 30);
        assert_eq!(value("date-time"), "2026-11-22T08:15:30.250Z");
        assert_eq!((value("source"), value("event-id")), ("SMTP", "SEND"));
        assert_eq!(value("recipient-address"), "olga@contoso.example;per@contoso.example");
        assert_eq!(value("recipient-status"), "250 2.1.5 Recipient OK;");
        assert_eq!((value("recipient-count"), value("log-id")), ("2", "42"));
        assert_eq!((value("sender-address"), value("return-path")), ("anna@contoso.example", "anna@contoso.example"));
        let null = Event { return_path: ReversePath::Null, ..event() };
        assert!(null.line(1).contains(",<>,<>,"), "never empty");
    }

    #[test]
    fn no_text_of_others_breaks_a_line_or_a_field() {
        // LG-05
        let hostile = "a,b\"c\r\n2026-01-01T00:00:00.000Z,,,,\0x";
        let mut event = event();
        event.subject = Some(hostile.into());
        event.source_context = "x".repeat(TEXT_OCTETS_MAX * 2).into();
        let line = event.line(1);
        assert_eq!(line.matches('\n').count(), 1);
        let fields = fields(&line);
        assert_eq!((fields.len(), fields[5].len()), (30, TEXT_OCTETS_MAX));
        assert_eq!(fields[18], "a,b\"c  2026-01-01T00:00:00.000Z,,,, x");
    }
}
