//! Every limit and timeout of the wire protocol, with unit and source. Limits that an administrator sets are in
//! [`crate::server::ServerConfig`]; here are their defaults and those that nobody sets.

use std::time::Duration;

use envelope::ByteSize;

/// Longest command line in octets with its CRLF, for verbs without path or parameters (RFC 5321 §4.5.3.1.4).
pub const COMMAND_LINE_OCTETS_MAX: usize = 512;
/// Longest `MAIL` or `RCPT` line in octets with its CRLF: an address of 571 octets (LM-15) plus `SIZE`, `BODY`,
/// `SMTPUTF8`, `AUTH` (RFC 4954: 500), `ENVID` (RFC 3461: 100) and `ORCPT` (RFC 3461: 500), with room to spare.
pub const PATH_LINE_OCTETS_MAX: usize = 2048;
/// The same where long addresses are taken (LM-15).
pub const LONG_PATH_LINE_OCTETS_MAX: usize = 8000;
/// Longest `AUTH` line or base64 answer in octets with its CRLF (RFC 4954 §4: 12288).
pub const AUTH_LINE_OCTETS_MAX: usize = 12_288;

/// Octets read at once, and the size of the input buffer of a session.
pub const INPUT_OCTETS_MAX: usize = 64 * 1024;

/// Longest reply line taken from a server, in octets with its CRLF (RFC 5321 §4.5.3.1.5 says 512; the field is less
/// careful).
pub const REPLY_LINE_OCTETS_MAX: usize = 4096;
/// Most lines of one reply taken from a server. EHLO replies in the field have about twenty.
pub const REPLY_LINES_MAX: usize = 128;
/// Most octets of one reply taken from a server.
pub const REPLY_OCTETS_MAX: usize = 32 * 1024;

/// `MaxHeaderSize` default.
pub const HEADER_SIZE_DEFAULT: ByteSize = ByteSize::kib(256);
/// `MaxMessageSize` default of a Receive connector.
pub const MESSAGE_SIZE_DEFAULT: ByteSize = ByteSize::mib(36);
/// `MaxRecipientsPerMessage` default.
pub const RECIPIENTS_DEFAULT: u32 = 200;
/// `MaxProtocolErrors` default.
pub const PROTOCOL_ERRORS_DEFAULT: u32 = 5;
/// `MaxLogonFailures` default; 0 means never close.
pub const LOGON_FAILURES_DEFAULT: u32 = 3;

/// Largest message that a client sends in one write with its commands, in octets. Larger ones are streamed.
pub const SINGLE_WRITE_OCTETS_MAX: usize = 64 * 1024;

/// A server waits this long for a command or a block of content, unless its connector says otherwise
/// (`ConnectionInactivityTimeout` default; RFC 5321 §4.5.3.2.7 asks for at least 5 minutes).
pub const SERVER_INACTIVITY_TIMEOUT: Duration = Duration::from_mins(5);
/// `ConnectionTimeout` default of a Mailbox server: the whole session, even while it transfers.
pub const SERVER_SESSION_TIMEOUT: Duration = Duration::from_mins(10);
/// `TarpitInterval` and `AuthTarpitInterval` default (LM-25).
pub const TARPIT_INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
/// Client waits this long for the banner (RFC 5321 §4.5.3.2.1).
pub const BANNER_TIMEOUT: Duration = Duration::from_mins(5);
/// Client waits this long for a reply to `EHLO`, `STARTTLS`, `AUTH`, `RSET` (as for `MAIL`; RFC 5321 names no other).
pub const COMMAND_TIMEOUT: Duration = Duration::from_mins(5);
/// Client waits this long for a reply to `MAIL` (RFC 5321 §4.5.3.2.2).
pub const MAIL_TIMEOUT: Duration = Duration::from_mins(5);
/// Client waits this long for a reply to `RCPT` (RFC 5321 §4.5.3.2.3).
pub const RCPT_TIMEOUT: Duration = Duration::from_mins(5);
/// Client waits this long for `354` (RFC 5321 §4.5.3.2.4).
pub const DATA_START_TIMEOUT: Duration = Duration::from_mins(2);
/// Client waits this long for a block of content to be taken (RFC 5321 §4.5.3.2.5).
pub const DATA_BLOCK_TIMEOUT: Duration = Duration::from_mins(3);
/// Client waits this long for the reply to end-of-data (RFC 5321 §4.5.3.2.6).
pub const DATA_END_TIMEOUT: Duration = Duration::from_mins(10);
/// Client waits this long for the reply to `QUIT`: nothing depends on it.
pub const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
