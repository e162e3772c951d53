//! What is kept of the logs of a server's services (docs/rules.md, Logs, LG-03, LG-04, LG-18), and what its front end and its
//! Mailbox Transport are set to besides.

use envelope::{ByteSize, Limit, Span};

/// How much of a log is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRetention {
    /// Files go at this age; none is never for their age (LG-04). 0 to 24855.03:14:07.
    pub max_age: Span,
    /// Octets of all files of the log; the oldest goes (LG-03).
    pub max_directory_size: Limit<ByteSize>,
    /// Octets of one file; then the next begins (LG-03).
    pub max_file_size: Limit<ByteSize>,
}

const DAY_MINUTES: u64 = 24 * 60;

impl LogRetention {
    /// Message tracking and connectivity: 30 days, 1000 MB, 10 MB. Source: docs/rules.md, Logs.
    pub const WIDE: Self = Self::of(30, 1000);
    /// Protocol: 30 days, 250 MB, 10 MB. Source: docs/rules.md, Logs.
    pub const PROTOCOL: Self = Self::of(30, 250);
    /// Routing table, of Transport: 7 days, 50 MB; a file is a document. Source: docs/rules.md, Logs.
    pub const ROUTING: Self = Self { max_file_size: Limit::Unlimited, ..Self::of(7, 50) };

    const fn of(days: u64, directory_mib: u64) -> Self {
        Self {
            max_age: Span::minutes(days * DAY_MINUTES),
            max_directory_size: Limit::At(ByteSize::mib(directory_mib)),
            max_file_size: Limit::At(ByteSize::mib(10)),
        }
    }

    /// Whether a file is no larger than all together (LG-03).
    #[must_use]
    pub fn fits(&self) -> bool {
        match (self.max_file_size, self.max_directory_size) {
            (Limit::At(file), Limit::At(directory)) => file <= directory,
            (Limit::Unlimited, Limit::At(_)) | (_, Limit::Unlimited) => true,
        }
    }
}

/// The protocol logs of a service: which sessions are told, their connectors say (LG-08).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolLogs {
    /// Sessions of Receive connectors.
    pub receive: LogRetention,
    /// Sessions of Send connectors.
    pub send: LogRetention,
}

impl Default for ProtocolLogs {
    fn default() -> Self {
        Self { receive: LogRetention::PROTOCOL, send: LogRetention::PROTOCOL }
    }
}

/// The logs of Transport. What is said of message tracking holds for Mailbox Transport, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportLogs {
    /// Whether messages are tracked; default true.
    pub message_tracking_enabled: bool,
    /// Whether with their subjects; default true (LG-18).
    pub message_tracking_subjects: bool,
    /// What is kept of that.
    pub message_tracking: LogRetention,
    /// Whether connections are written down; default true.
    pub connectivity_enabled: bool,
    /// What is kept of that.
    pub connectivity: LogRetention,
    /// What was said in SMTP.
    pub protocol: ProtocolLogs,
    /// The routing tables; their files have no size.
    pub routing_table: LogRetention,
}

impl Default for TransportLogs {
    fn default() -> Self {
        Self {
            message_tracking_enabled: true,
            message_tracking_subjects: true,
            message_tracking: LogRetention::WIDE,
            connectivity_enabled: true,
            connectivity: LogRetention::WIDE,
            protocol: ProtocolLogs::default(),
            routing_table: LogRetention::ROUTING,
        }
    }
}

/// New connections in a minute that a service takes; default 1200 (`MaxConnectionRatePerMinute`).
pub const CONNECTION_RATE_DEFAULT: u32 = 1200;

/// Settings of one server's Front End Transport service (`Set-FrontendTransportService`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontendTransportSettings {
    /// New connections in a minute; default 1200.
    pub max_connection_rate_per_minute: u32,
    /// What was said in SMTP.
    pub protocol: ProtocolLogs,
}

impl Default for FrontendTransportSettings {
    fn default() -> Self {
        Self { max_connection_rate_per_minute: CONNECTION_RATE_DEFAULT, protocol: ProtocolLogs::default() }
    }
}

/// Settings of one server's Mailbox Transport (`Set-MailboxTransportService`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxTransportSettings {
    /// Messages being written into mailboxes at once; default 20, 1 to 256.
    pub max_concurrent_mailbox_deliveries: u32,
    /// Messages being taken out of outboxes at once; default 20, 1 to 256.
    pub max_concurrent_mailbox_submissions: u32,
}

impl Default for MailboxTransportSettings {
    fn default() -> Self {
        Self { max_concurrent_mailbox_deliveries: 20, max_concurrent_mailbox_submissions: 20 }
    }
}
