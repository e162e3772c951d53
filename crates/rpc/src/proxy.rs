//! The outbound proxy (PL-27…PL-29): an SMTP session of a front end, used by Transport as if it were its own.
//!
//! ```text
//!   Transport: FrontEnds::open ─▶ ProxySession: OutboundSession ══ one stream per session ══▶ OpenSession (front end)
//!                                        outcome per recipient ◀══════════════════════════════ its own OutboundSession
//! ```
//!
//! The plan travels, the replies come back unchanged, and the message stays in Transport's queue until then (PL-28).
//! Credentials travel sealed: see [`ProxyRequest`].

mod client;
mod server;

use async_trait::async_trait;
use envelope::TraceContext;
use net::PeerIdentity;
use smtp::{CredentialRequirement, Failure, OutboundSession, Peer, SessionPlan};
use topology::SealedCredential;

pub use client::{FrontEnds, OpenError, ProxySession};
pub(crate) use server::ProxyService;

/// What a front end is asked to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRequest {
    /// The session. Of this, `authentication`, `source` and `targets` stay behind: the credential travels sealed, and
    /// which addresses a front end has and may reach is its own matter (PL-29).
    pub plan: SessionPlan,
    /// The credential of the Send connector.
    pub authentication: Option<SealedAuthentication>,
    /// `UseExternalDNSServersEnabled`: which of the front end's name servers are asked (SC-37).
    pub external_dns: bool,
    /// As for [`smtp::Sender::open`].
    pub turn: u64,
    /// The Send connector, for logs.
    pub connector: Box<str>,
    /// The trace under which the session belongs.
    pub trace: Option<TraceContext>,
}

/// A credential that only servers of the organization can open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedAuthentication {
    /// Sealed under the organization's key.
    pub credential: SealedCredential,
    /// On what condition it is sent.
    pub requirement: CredentialRequirement,
}

/// An open session of a front end, and with whom.
pub struct OpenedSession {
    /// The session.
    pub session: Box<dyn OutboundSession>,
    /// Who is at its other end.
    pub peer: Peer,
    /// Protocol version and cipher suite; empty: in clear.
    pub tls: Box<str>,
    /// The host understands DSN: it reports further itself (DS-24).
    pub dsn: bool,
}

/// Opens sessions for Transport: Front End Transport.
#[async_trait]
pub trait OpenSession: Send + Sync + 'static {
    /// Opens the session that `request` describes. Its plan has no `authentication`, `source` and the default `targets`.
    ///
    /// # Errors
    /// The failure, as if Transport had tried itself.
    async fn open(&self, peer: &PeerIdentity, request: ProxyRequest) -> Result<OpenedSession, Box<Failure>>;
}
