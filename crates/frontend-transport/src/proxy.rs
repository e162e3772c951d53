//! The outbound proxy (PL-27…PL-29): sessions with the outside by this server's name servers and addresses, for Transport.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::EnhancedStatus;
use net::dns::DnsProtocol;
use net::{PeerIdentity, Resolver, TargetPolicy, TlsClient};
use parking_lot::Mutex;
use rpc::{OpenSession, OpenedSession, ProxyRequest};
use runtime::Node;
use smtp::{Authentication, Failure, FailurePhase, Sender, SessionPlan, TlsOutcome};
use smtp_session::{Credentials, Secret};
use telemetry::{HopName, HopOutcome, keys};

/// Opens sessions.
pub(crate) struct OutboundProxy {
    node: Arc<Node>,
    tls: TlsClient,
    /// The senders in use, by their name servers: at most those of the present configuration.
    senders: Mutex<Vec<(Vec<SocketAddr>, Sender)>>,
}

impl OutboundProxy {
    pub(crate) fn new(node: Arc<Node>, tls: TlsClient) -> Self {
        Self { node, tls, senders: Mutex::default() }
    }

    /// SC-37, SC-38: the server's own lists; those of the process settings or of the machine where they are empty.
    fn sender(&self, external: bool) -> Result<Sender, Box<Failure>> {
        let tables = self.node.tables();
        let settings = &tables.local_server().transport;
        let lists = [&settings.internal_dns_servers, &settings.external_dns_servers];
        let lists = lists.map(|list| if list.is_empty() { &self.node.settings.dns } else { list });
        let wanted = lists[usize::from(external)];
        let mut senders = self.senders.lock();
        senders.retain(|(servers, _)| lists.contains(&servers));
        if let Some((_, sender)) = senders.iter().find(|(servers, _)| servers == wanted) {
            return Ok(sender.clone());
        }
        let resolver =
            if wanted.is_empty() { Resolver::system() } else { Resolver::with_servers(wanted, DnsProtocol::Any) };
        let resolver = resolver.map_err(|error| {
            let status = EnhancedStatus::new(4, 4, 3);
            Box::new(Failure::new(status, FailurePhase::Resolve, None, format!("DNS cannot be used: {error}")))
        })?;
        let sender = Sender::new(resolver, self.tls.clone());
        senders.push((wanted.clone(), sender.clone()));
        Ok(sender)
    }

    /// The plan with what stayed behind: the secret, and where this server may go.
    fn complete(&self, request: &ProxyRequest) -> Result<SessionPlan, Box<Failure>> {
        let authentication = request.authentication.as_ref().map(|sealed| {
            let credential = self.node.sealer.unseal(&sealed.credential).map_err(|error| {
                let status = EnhancedStatus::new(4, 7, 0);
                let text = format!("the credential of {} cannot be used: {error}", request.connector);
                Box::new(Failure::new(status, FailurePhase::Connect, None, text))
            })?;
            let secret = Secret::new(credential.password.as_bytes().to_vec());
            let credentials = Credentials { user: credential.user.into(), secret };
            Ok::<_, Box<Failure>>(Authentication { credentials, requirement: sealed.requirement })
        });
        let private = self.node.settings.allow_private_targets;
        Ok(SessionPlan {
            authentication: authentication.transpose()?,
            targets: if private { TargetPolicy::AllowAll } else { TargetPolicy::RefuseSpecial },
            ..request.plan.clone()
        })
    }
}

#[async_trait]
impl OpenSession for OutboundProxy {
    async fn open(&self, peer: &PeerIdentity, request: ProxyRequest) -> Result<OpenedSession, Box<Failure>> {
        let clock = &self.node.clock;
        let mut hop = self.node.tracer.start(HopName::Proxy, request.trace, clock.now());
        hop.attribute(keys::SERVER, &peer.server);
        let opened = async {
            let plan = self.complete(&request)?;
            self.sender(request.external_dns)?.open(&plan, request.turn).await
        };
        match opened.await {
            Ok(session) => {
                let (peer, tls) = (session.peer().clone(), in_words(session.tls()));
                hop.attribute(keys::SERVER_ADDRESS, &*peer.host.to_string());
                hop.end(clock.now(), HopOutcome::Done);
                let dsn = session.capabilities().dsn;
                Ok(OpenedSession { session: Box::new(session), peer, tls, dsn })
            }
            Err(failure) => {
                hop.end(clock.now(), HopOutcome::Failed { status: failure.status, cause: &failure });
                Err(failure)
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
