//! The outbound proxy (PL-27…PL-29): an SMTP session of a front end, used by Transport as if it were its own.
//!
//! ```text
//!   Transport: FrontEnds::open ─▶ ProxySession: OutboundSession ══ one stream per session ══▶ OpenSession (front end)
//!                                        outcome per recipient ◀══════════════════════════════ its own OutboundSession
//! ```
//!
//! The connector travels by its identity and revision: the front end makes the same plan from its own snapshot, or refuses. The
//! replies come back unchanged, and the message stays in Transport's queue until then (PL-28). The credential of a connector
//! that authenticates is handed over with the session that needs it: a front end keeps none, and cannot open what the
//! directory holds.

mod client;
mod server;

use async_trait::async_trait;
use envelope::{Domain, Revision, TraceContext};
use net::PeerIdentity;
use smtp::{Failure, OutboundSession, Peer};
use smtp_session::Credentials;
use topology::Guid;

pub use client::{FrontEnds, OpenError, ProxySession};
pub(crate) use server::ProxyService;

/// What a front end is asked to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRequest {
    /// The Send connector.
    pub connector: Guid,
    /// Its name, for whoever reads.
    pub name: Box<str>,
    /// The configuration that Transport works by: the front end must have it, or a later one.
    pub revision: Revision,
    /// Names of the connector's properties that say how the session is opened and are not at their defaults. A front end
    /// that does not know all of them must refuse.
    pub properties: Vec<Box<str>>,
    /// The domain whose exchangers are to be used; `None` for the connector's smart hosts.
    pub domain: Option<Domain>,
    /// What the session logs on with, where the connector authenticates.
    pub credential: Option<HandedCredential>,
    /// As for [`smtp::Sender::open`].
    pub turn: u64,
    /// The trace under which the session belongs.
    pub trace: Option<TraceContext>,
}

/// A credential for one session, and what it is for. Not printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedCredential {
    /// User and password.
    pub credentials: Credentials,
    /// The connector's smart hosts as Transport knows them: to others the front end does not say it.
    pub smart_hosts: Vec<Box<str>>,
    /// The mechanism, likewise.
    pub mechanism: Box<str>,
}

/// Why a front end opened no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// It does not know what was asked for; the next front end may.
    Unknown(String),
    /// It tried, and failed as Transport would have failed.
    Failed(Box<Failure>),
}

/// An open session of a front end, and with whom.
pub struct OpenedSession {
    /// With the next hop, greeted, under TLS and logged on as the connector wants.
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
    /// Opens the session that `request` describes, for the Transport of the server that asks.
    ///
    /// # Errors
    /// [`NotOpened`]
    async fn open(&self, peer: &PeerIdentity, request: ProxyRequest) -> Result<OpenedSession, NotOpened>;
}
