//! Why a session or a recipient failed: where in the dialogue, and what of it.

use std::fmt;

use envelope::{EnhancedStatus, Reply, Severity};

use crate::reply::ReplyError;

/// Where in the dialogue it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Waiting for the banner.
    Banner,
    /// `EHLO` or `HELO`.
    Hello,
    /// `STARTTLS`, before the handshake.
    StartTls,
    /// `AUTH`.
    Authentication,
    /// Between messages.
    Idle,
    /// `RSET`.
    Reset,
    /// At `MAIL FROM`: of the whole transaction.
    Mail,
    /// `RCPT`.
    Recipient,
    /// `DATA`, and the content before its end.
    Data,
    /// After the end of the content was sent.
    EndOfData,
    /// At `QUIT`, when all was said.
    Quit,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Banner => "banner",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Authentication => "AUTH",
            Self::Idle => "between messages",
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::EndOfData => "end of data",
            Self::Quit => "QUIT",
        })
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The server said no.
    #[error("{0}")]
    Reply(Reply),
    /// The server sent something that is no reply.
    #[error("the server broke the protocol: {0}")]
    Garbled(#[from] ReplyError),
    /// The server sent more than was asked for.
    #[error("the server sent a reply that nothing asked for")]
    Unsolicited,
    /// The connection was closed or reset.
    #[error("the server closed the connection")]
    Disconnected,
    /// The server kept silent.
    #[error("the server did not answer in time")]
    TimedOut,
    /// TLS is required (TA-3).
    #[error("TLS is required, and the server does not offer STARTTLS")]
    TlsNotOffered,
    /// Credentials are configured, and the policy forbids to send them here (TA-21).
    #[error("the credentials may not be sent to this server: the connection is not secured as required")]
    CredentialsWithheld,
    /// Credentials are configured, and neither LOGIN nor PLAIN is offered (TA-20).
    #[error("the server offers neither AUTH LOGIN nor AUTH PLAIN")]
    AuthNotOffered,
    /// Exchange Server authentication is configured, and no form of it is offered (TA-62).
    #[error("Cannot achieve Exchange Server authentication: the server offers neither X-EXPS GSSAPI nor AUTH GSSAPI")]
    ExchangeAuthNotOffered,
    /// Exchange Server authentication came to no good end on our side (TA-62); why.
    #[error("Cannot achieve Exchange Server authentication: {0}")]
    ExchangeAuthFailed(Box<str>),
    /// The server offers CHUNKING, and this is what it said to `BDAT`.
    #[error("{0}")]
    ChunkingRefused(Reply),
    /// The message needs SMTPUTF8 (RFC 6531 §3.2).
    #[error("the message needs SMTPUTF8, which the server does not offer")]
    SmtpUtf8NotOffered,
    /// The message holds octets above 127 (RFC 6152 §3).
    #[error("the message needs 8BITMIME, which the server does not offer")]
    EightBitMimeNotOffered,
    /// An address is longer than the server takes (EN-73).
    #[error("the address is longer than 571 octets, or 315 before the @, and the server does not offer XLONGADDR")]
    LongAddressNotOffered,
    /// Larger than the server says it takes (RFC 1870).
    #[error("the message is larger than the {0} octets that the server takes")]
    TooLarge(u64),
    /// Our own side could not give the content.
    #[error("the content could not be read")]
    ContentUnavailable,
}

/// A failed session or recipient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{phase}: {cause}")]
pub struct SessionFailure {
    /// Where.
    pub phase: Phase,
    /// What.
    #[source]
    pub cause: Cause,
}

impl SessionFailure {
    /// Whether trying again can help. What a server says before `MAIL` is about the server, not the message: even a 5xx
    /// there is tried again, here or elsewhere, until the message expires (as is usual: TA-27, and greetings with 5xx).
    #[must_use]
    pub fn severity(&self) -> Severity {
        match &self.cause {
            Cause::Reply(reply) if self.phase >= Phase::Mail && reply.severity() == Severity::Permanent => {
                Severity::Permanent
            }
            Cause::SmtpUtf8NotOffered
            | Cause::EightBitMimeNotOffered
            | Cause::LongAddressNotOffered
            | Cause::TooLarge(_) => Severity::Permanent,
            _ => Severity::Transient,
        }
    }

    /// The status to report, in the class of [`Self::severity`].
    #[must_use]
    pub fn status(&self) -> EnhancedStatus {
        let status = match &self.cause {
            Cause::Reply(reply) | Cause::ChunkingRefused(reply) => reply.status_or_generic(),
            Cause::Garbled(_) | Cause::Unsolicited => EnhancedStatus::new(4, 5, 0),
            Cause::Disconnected | Cause::TimedOut => EnhancedStatus::new(4, 4, 2),
            Cause::TlsNotOffered => EnhancedStatus::new(4, 7, 5),
            Cause::CredentialsWithheld | Cause::AuthNotOffered => EnhancedStatus::new(4, 7, 0),
            Cause::ExchangeAuthNotOffered | Cause::ExchangeAuthFailed(_) => EnhancedStatus::new(4, 7, 3),
            Cause::SmtpUtf8NotOffered => EnhancedStatus::new(5, 6, 7),
            Cause::EightBitMimeNotOffered => EnhancedStatus::new(5, 6, 3),
            Cause::LongAddressNotOffered => EnhancedStatus::new(5, 1, 3),
            Cause::TooLarge(_) => EnhancedStatus::new(5, 3, 4),
            Cause::ContentUnavailable => EnhancedStatus::new(4, 3, 0),
        };
        status.with_severity(self.severity())
    }

    /// Whether the server may have taken the message all the same: sent to its end, and no reply read. Trying again may
    /// make a duplicate.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.phase == Phase::EndOfData && !matches!(self.cause, Cause::Reply(_) | Cause::ChunkingRefused(_))
    }
}
