//! The message tracking log: what became of each message on this server. One event is one line, thirty fields in the
//! documented order (docs/rules.md, Logs).

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use envelope::{Address, ByteSize, MessageId, ReversePath, Timestamp};

use crate::record::{LogForm, LogLimits, Record, Row};

/// Folder of the files in a state directory (LG-16).
#[must_use]
pub fn folder(state: &Path) -> PathBuf {
    state.join("logs").join("MessageTracking")
}

/// The fields of a line, as the header names them (LG-19).
pub const FIELDS: &str = "date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,\
event-id,internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,recipient-count,\
related-recipient-address,reference,message-subject,sender-address,return-path,message-info,directionality,tenant-id,\
original-client-ip,original-server-ip,custom-data,transport-traffic-type,log-id,schema-version";
/// `schema-version`.
const SCHEMA: &str = "15.01.0000.000";
/// Recipients named in one line; the count is of all.
const RECIPIENTS_MAX: usize = 1_000;

/// What happened (docs/rules.md, Logs): those that this version writes.
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
    /// Put into the poison queue.
    PoisonMessage,
    /// A file of Pickup or Replay is no message to send.
    BadMail,
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
            Self::PoisonMessage => "POISONMESSAGE",
            Self::BadMail => "BADMAIL",
        }
    }
}

/// Who made it happen (docs/rules.md, Logs): those that this version writes.
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
    /// A Foreign connector.
    Gateway,
    /// A delivery agent.
    Agent,
    /// An administrator.
    Admin,
    /// The Pickup directory.
    Pickup,
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
            Self::Gateway => "GATEWAY",
            Self::Agent => "AGENT",
            Self::Admin => "ADMIN",
            Self::Pickup => "PICKUP",
        }
    }
}

/// An event. Fields that do not apply stay empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingEvent {
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

impl TrackingEvent {
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
}

impl Record for TrackingEvent {
    const FORM: LogForm = LogForm { log_type: "Message Tracking Log", fields: FIELDS, limits: LogLimits::WIDE };

    fn at(&self) -> Timestamp {
        self.at
    }

    fn write(&self, number: u64, row: &mut Row) {
        let shown = self.recipients.iter().take(RECIPIENTS_MAX);
        let addresses: Vec<&str> = shown.clone().map(|(address, _)| address.as_str()).collect();
        let statuses: Vec<&str> = shown.map(|(_, status)| status.as_deref().unwrap_or_default()).collect();
        let statuses = if statuses.iter().all(|status| status.is_empty()) { String::new() } else { statuses.join(";") };
        let return_path = self.return_path.shown();
        let related = self.related_recipient.as_ref().map(Address::as_str).unwrap_or_default();
        row.text(&self.at.to_iso8601())
            .text(&self.client_address.map(|address| address.to_string()).unwrap_or_default())
            .text(&self.client_hostname)
            .empty()
            .text(&self.server_hostname)
            .text(&self.source_context)
            .text(&self.connector)
            .text(self.source.as_str())
            .text(self.id.as_str())
            .value(internal_id(self.message))
            .text(self.internet_message_id.as_deref().unwrap_or_default())
            .value(self.message)
            .list(&addresses.join(";"))
            .list(&statuses)
            .value(self.size.as_u64())
            .value(self.recipients.len())
            .text(related)
            .text(&self.reference)
            .text(self.subject.as_deref().unwrap_or_default())
            .text(return_path)
            .text(return_path)
            .empty()
            .text(if self.originating { "Originating" } else { "Incoming" })
            .empty()
            .empty()
            .empty()
            .text(&self.custom_data)
            .text("Email")
            .value(number)
            .text(SCHEMA);
    }
}

/// An integer of this server for the message: from its id, so that it needs no counter that survives restarts.
#[must_use]
pub fn internal_id(message: MessageId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *message.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) & (u64::MAX >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{TEXT_OCTETS_MAX, fields};

    fn event() -> TrackingEvent {
        let sender = ReversePath::parse("anna@contoso.example").unwrap();
        let at = Timestamp::from_millis(1_795_335_330_250);
        let mut event = TrackingEvent::new(at, EventId::Send, Source::Smtp, MessageId::from_bytes([7; 16]), sender);
        event.recipients = vec![
            (Address::parse("olga@contoso.example").unwrap(), Some("250 2.1.5 Recipient OK".into())),
            (Address::parse("per@contoso.example").unwrap(), None),
        ];
        event
    }

    fn written(event: &TrackingEvent, number: u64) -> String {
        let mut row = Row::default();
        event.write(number, &mut row);
        row.finish()
    }

    #[test]
    fn a_line_has_the_documented_fields_in_their_order() {
        // LG-19
        let names: Vec<&str> = FIELDS.split(',').collect();
        assert_eq!(names.len(), 30);
        let line = fields(&written(&event(), 42));
        let value = |name: &str| line[names.iter().position(|known| *known == name).unwrap()].as_str();
        assert_eq!(line.len(), 30);
        assert_eq!(value("date-time"), "2026-11-22T08:15:30.250Z");
        assert_eq!((value("source"), value("event-id")), ("SMTP", "SEND"));
        assert_eq!(value("recipient-address"), "olga@contoso.example;per@contoso.example");
        assert_eq!(value("recipient-status"), "250 2.1.5 Recipient OK;");
        assert_eq!((value("recipient-count"), value("log-id")), ("2", "42"));
        assert_eq!((value("sender-address"), value("return-path")), ("anna@contoso.example", "anna@contoso.example"));
        let null = TrackingEvent { return_path: ReversePath::Null, ..event() };
        assert!(written(&null, 1).contains(",<>,<>,"), "never empty");
    }

    #[test]
    fn no_text_of_others_breaks_a_line_or_a_field() {
        // LG-05
        let hostile = "a,b\"c\r\n2026-01-01T00:00:00.000Z,,,,\0x";
        let mut event = event();
        event.subject = Some(hostile.into());
        event.source_context = "x".repeat(TEXT_OCTETS_MAX * 2).into();
        let line = written(&event, 1);
        assert_eq!(line.matches('\n').count(), 1);
        let fields = fields(&line);
        assert_eq!((fields.len(), fields[5].len()), (30, TEXT_OCTETS_MAX));
        assert_eq!(fields[18], "a,b\"c  2026-01-01T00:00:00.000Z,,,, x");
    }
}
