//! What a Receive connector decides about its sessions (`receive-connectors` parameters), as far as the protocol is
//! concerned. Connection limits and rates belong to the shell, permissions to its handler.

use std::time::Duration;

use envelope::{ByteSize, Domain, Limit};

use crate::limits;
use crate::lines::BareLineEndings;

/// Settings shared by all sessions of a listener.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `Fqdn`: the name in banner and EHLO reply.
    pub hostname: Domain,
    /// `Banner`: what follows `220 `; the default names the host and the time.
    pub banner: Option<Box<str>>,
    /// Domain of `RCPT TO:<Postmaster>` without a domain.
    pub postmaster_domain: Domain,
    /// `MaxMessageSize`.
    pub message_size_max: ByteSize,
    /// `MaxHeaderSize`: beyond it the connection is closed.
    pub header_size_max: ByteSize,
    /// `MaxRecipientsPerMessage`.
    pub recipients_max: u32,
    /// `MaxProtocolErrors`: one more closes the connection.
    pub protocol_errors_max: Limit<u32>,
    /// `MaxLogonFailures`: this many close the connection; 0 means never.
    pub logon_failures_max: u32,
    /// `ConnectionInactivityTimeout`: the client may be silent so long.
    pub inactivity_timeout: Duration,
    /// `ConnectionTimeout`: the whole session, even while it transfers.
    pub session_timeout: Duration,
    /// `TarpitInterval`: how long refusals wait for their reply when a client without authentication looks as if it was
    /// guessing; zero is off.
    pub tarpit_interval: Duration,
    /// `AuthTarpitInterval`: how long a failed `AUTH` waits for its reply; zero is off.
    pub auth_tarpit_interval: Duration,
    /// What happens to content with bare CR or LF.
    pub bare_line_endings: BareLineEndings,
    /// What happens to clients that do not wait for replies they have to wait for.
    pub unauthorized_pipelining: UnauthorizedPipelining,
    /// Whether `STARTTLS` is offered: the connector allows it and there is a certificate (TA-70).
    pub starttls: bool,
    /// `RequireTLS` (TA-71).
    pub require_tls: bool,
    /// When `AUTH` is offered (TA-72).
    pub auth: AuthOffer,
    /// What else EHLO offers.
    pub extensions: Extensions,
}

impl ServerConfig {
    /// The documented defaults for a server named `hostname`, without TLS and AUTH.
    #[must_use]
    pub fn new(hostname: Domain) -> Self {
        Self {
            postmaster_domain: hostname.clone(),
            hostname,
            banner: None,
            message_size_max: limits::MESSAGE_SIZE_DEFAULT,
            header_size_max: limits::HEADER_SIZE_DEFAULT,
            recipients_max: limits::RECIPIENTS_DEFAULT,
            protocol_errors_max: Limit::At(limits::PROTOCOL_ERRORS_DEFAULT),
            logon_failures_max: limits::LOGON_FAILURES_DEFAULT,
            inactivity_timeout: limits::SERVER_INACTIVITY_TIMEOUT,
            session_timeout: limits::SERVER_SESSION_TIMEOUT,
            tarpit_interval: limits::TARPIT_INTERVAL_DEFAULT,
            auth_tarpit_interval: limits::TARPIT_INTERVAL_DEFAULT,
            bare_line_endings: BareLineEndings::Reject,
            unauthorized_pipelining: UnauthorizedPipelining::Refuse,
            starttls: false,
            require_tls: false,
            auth: AuthOffer::Never,
            extensions: Extensions::default(),
        }
    }
}

/// When `AUTH` is offered and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthOffer {
    /// Neither offered nor taken.
    Never,
    /// Only under TLS (`BasicAuthRequireTLS`).
    UnderTls,
    /// Always (`BasicAuth`).
    Always,
}

/// What happens when a client sends on after a command that must be the last of its group (RFC 2920 §3.1), or talks
/// before the banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnauthorizedPipelining {
    /// `554 5.5.0` and the connection is closed.
    Refuse,
    /// It is served all the same, in order. For devices inside the organization that never learned to wait.
    Tolerate,
}

/// Extensions that a connector may switch off one by one, and one that it may switch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// `SizeEnabled` (RFC 1870).
    pub size: bool,
    /// `PipeliningEnabled` (RFC 2920).
    pub pipelining: bool,
    /// `DeliveryStatusNotificationEnabled` (RFC 3461).
    pub dsn: bool,
    /// `EnhancedStatusCodesEnabled` (RFC 2034).
    pub enhanced_status_codes: bool,
    /// `EightBitMimeEnabled` (RFC 6152).
    pub eight_bit_mime: bool,
    /// `ChunkingEnabled` (RFC 3030, without BINARYMIME).
    pub chunking: bool,
    /// `SmtpUtf8Enabled` (RFC 6531).
    pub smtputf8: bool,
    /// `LongAddressesEnabled`: `XLONGADDR` (EN-73).
    pub long_addresses: bool,
}

impl Default for Extensions {
    /// All offered, but for long addresses.
    fn default() -> Self {
        Self {
            size: true,
            pipelining: true,
            dsn: true,
            enhanced_status_codes: true,
            eight_bit_mime: true,
            chunking: true,
            smtputf8: true,
            long_addresses: false,
        }
    }
}
