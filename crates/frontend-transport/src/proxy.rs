//! The outbound proxy (PL-27…PL-29): sessions with the outside by this server's name servers and addresses, for Transport.

use std::sync::Arc;

use async_trait::async_trait;
use envelope::EnhancedStatus;
use net::PeerIdentity;
use rpc::{NotOpened, OpenSession, OpenedSession, ProxyRequest};
use runtime::Node;
use sending::Sessions;
use smtp::TlsOutcome;
use telemetry::{HopName, HopOutcome, keys};

/// Opens sessions.
pub(crate) struct OutboundProxy {
    node: Arc<Node>,
    sessions: Sessions,
}

impl OutboundProxy {
    pub(crate) fn new(node: Arc<Node>, sessions: Sessions) -> Self {
        Self { node, sessions }
    }
}

#[async_trait]
impl OpenSession for OutboundProxy {
    async fn open(&self, peer: &PeerIdentity, request: ProxyRequest) -> Result<OpenedSession, NotOpened> {
        let clock = &self.node.clock;
        let mut hop = self.node.tracer.start(HopName::Proxy, request.trace, clock.now());
        hop.attribute(keys::SERVER, &peer.server);
        match self.sessions.open_requested(&peer.server, &request).await {
            Ok(session) => {
                let (peer, tls) = (session.peer().clone(), in_words(session.tls()));
                hop.attribute(keys::SERVER_ADDRESS, &*peer.host.to_string());
                hop.end(clock.now(), HopOutcome::Done);
                let dsn = session.capabilities().dsn;
                Ok(OpenedSession { session: Box::new(session), peer, tls, dsn })
            }
            Err(refusal) => {
                let (status, cause): (_, &dyn std::fmt::Display) = match &refusal {
                    NotOpened::Failed(failure) => (failure.status, failure),
                    NotOpened::Unknown(what) => (EnhancedStatus::new(4, 3, 5), what),
                };
                hop.end(clock.now(), HopOutcome::Failed { status, cause });
                Err(refusal)
            }
        }
    }
}

fn in_words(tls: &TlsOutcome) -> Box<str> {
    match tls {
        TlsOutcome::Clear | TlsOutcome::FellBack(_) => "".into(),
        TlsOutcome::Encrypted(about) => format!("{} {}", about.version, about.cipher).into(),
    }
}
