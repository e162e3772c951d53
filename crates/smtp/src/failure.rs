//! Why something outbound did not work: who was spoken to, in which phase, what came back, and what it means. Prints as
//! the full sentence of a queue's `LastError`. A plain value, because it also comes back from front ends.

use std::fmt;
use std::net::SocketAddr;

use envelope::{Domain, EnhancedStatus, Reply, Severity};
use net::{ConnectError, DnsError, ForbiddenTarget, Host, TlsError};
use smtp_session::client;

/// Whom we spoke to, or wanted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// As configured or as MX names it.
    pub host: Host,
    /// Once it was known.
    pub address: Option<SocketAddr>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.address) {
            (Host::Name(name), Some(address)) => write!(f, "{name} ({address})"),
            (Host::Address(_), Some(address)) => write!(f, "{address}"),
            (host, None) => host.fmt(f),
        }
    }
}

/// How far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailurePhase {
    /// Before anything was tried: the connector cannot be used as it is.
    Configuration,
    /// Looking names up.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The TLS handshake.
    Handshake,
    /// Commands and replies; which.
    Dialogue(client::Phase),
}

impl fmt::Display for FailurePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("configuration"),
            Self::Resolve => f.write_str("DNS"),
            Self::Connect => f.write_str("connect"),
            Self::Handshake => f.write_str("TLS handshake"),
            Self::Dialogue(phase) => phase.fmt(f),
        }
    }
}

/// What a host has not, where that is the cause: the message may go in another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lack {
    /// It offers CHUNKING and refuses `BDAT`.
    Chunking,
    /// 8BITMIME (RFC 6152).
    EightBitMime,
    /// SMTPUTF8 (RFC 6531).
    SmtpUtf8,
}

/// Why a session could not be opened, or a recipient not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Transient or permanent.
    pub severity: Severity,
    /// In the class of `severity`.
    pub status: EnhancedStatus,
    /// How far it got.
    pub phase: FailurePhase,
    /// With whom, once anybody was chosen.
    pub peer: Option<Peer>,
    /// What the peer said, if it is the cause.
    pub reply: Option<Reply>,
    /// The cause in words, where it is no reply.
    pub text: Box<str>,
    /// The message was sent to its end and no reply was read: the peer may have it, trying again may make a duplicate.
    pub ambiguous: bool,
    /// What the host would need for the message as it is.
    pub lacks: Option<Lack>,
    /// The fault is ours, and no other host would make it better: the content cannot be read.
    pub ours: bool,
}

impl Failure {
    /// A failure without a reply.
    #[must_use]
    pub fn new(status: EnhancedStatus, phase: FailurePhase, peer: Option<Peer>, text: impl Into<Box<str>>) -> Self {
        let severity = status.severity();
        Self {
            severity,
            status,
            phase,
            peer,
            reply: None,
            text: text.into(),
            ambiguous: false,
            lacks: None,
            ours: false,
        }
    }

    /// The reply, or what the cause would have been as one: for a `Diagnostic-Code`.
    #[must_use]
    pub fn as_reply(&self) -> Reply {
        let code = match self.severity {
            Severity::Permanent => 550,
            // TA-3, TA-12: what RFC 3207 §4 answers when TLS is not to be had for now.
            _ if self.status == TlsError::STATUS => 454,
            _ => 451,
        };
        self.reply.clone().unwrap_or_else(|| Reply::new(code, self.status, self.text.clone()))
    }

    pub(crate) fn no_such_domain(domain: &Domain, error: &DnsError) -> Self {
        // SC-39: the documented wording.
        let text = match error {
            DnsError::NonExistent { .. } => "SMTPSEND.DNS.NonExistentDomain; nonexistent domain".to_owned(),
            other => other.to_string(),
        };
        Self::new(error.status(), FailurePhase::Resolve, Some(named(domain)), text)
    }

    pub(crate) fn null_mx(domain: &Domain) -> Self {
        // RFC 7505 §4.2
        let reply = Reply::new(556, EnhancedStatus::new(5, 1, 10), "Recipient address has null MX");
        let text = "the domain accepts no mail (null MX)";
        let failure = Self::new(EnhancedStatus::new(5, 1, 10), FailurePhase::Resolve, Some(named(domain)), text);
        Self { reply: Some(reply), ..failure }
    }

    /// The exchangers of a domain lead back to this organization.
    pub(crate) fn mx_loopback(domain: &Domain, found: Option<(Host, SocketAddr)>) -> Self {
        // ER-10: the documented wording.
        let status = EnhancedStatus::new(5, 4, 4);
        let text = format!("SMTPSEND.DNS.MxLoopback; the exchangers of {domain} are servers of this organization");
        let peer = match found {
            Some((host, address)) => Peer { host, address: Some(address) },
            None => named(domain),
        };
        Self::new(status, FailurePhase::Resolve, Some(peer), text)
    }

    pub(crate) fn forbidden(peer: Peer, why: ForbiddenTarget) -> Self {
        let text = format!("mail routed by DNS never goes to {why}");
        Self::new(EnhancedStatus::new(5, 4, 4), FailurePhase::Resolve, Some(peer), text)
    }

    pub(crate) fn connect(host: Host, error: &ConnectError) -> Self {
        let peer = Peer { host, address: Some(error.peer) };
        Self::new(error.status(), FailurePhase::Connect, Some(peer), error.to_string())
    }

    pub(crate) fn tls(peer: Peer, error: &TlsError) -> Self {
        Self::new(error.status(), FailurePhase::Handshake, Some(peer), error.to_string())
    }

    pub(crate) fn dialogue(peer: Peer, failure: &client::SessionFailure) -> Self {
        let reply = match &failure.cause {
            client::Cause::Reply(reply) | client::Cause::ChunkingRefused(reply) => Some(reply.clone()),
            _ => None,
        };
        let lacks = match &failure.cause {
            client::Cause::ChunkingRefused(_) => Some(Lack::Chunking),
            client::Cause::EightBitMimeNotOffered => Some(Lack::EightBitMime),
            client::Cause::SmtpUtf8NotOffered => Some(Lack::SmtpUtf8),
            _ => None,
        };
        Self {
            severity: failure.severity(),
            status: failure.status(),
            phase: FailurePhase::Dialogue(failure.phase),
            peer: Some(peer),
            text: if reply.is_some() { "".into() } else { failure.cause.to_string().into() },
            reply,
            ambiguous: failure.is_ambiguous(),
            lacks,
            ours: failure.cause == client::Cause::ContentUnavailable,
        }
    }
}

fn named(domain: &Domain) -> Peer {
    Peer { host: Host::Name(domain.clone()), address: None }
}

impl fmt::Display for Failure {
    /// `mx.contoso.com (192.0.2.1:25), RCPT: 550 5.1.1 User unknown`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = &self.peer {
            write!(f, "{peer}, ")?;
        }
        write!(f, "{}: {}", self.phase, self.as_reply())?;
        if self.ambiguous { f.write_str(" (the server may have taken the message all the same)") } else { Ok(()) }
    }
}

impl std::error::Error for Failure {}
