//! Mail that leaves the organization by a Send connector of this server: an SMTP session, here or through a front end.

use std::sync::Arc;

use async_trait::async_trait;
use envelope::{ServerName, Severity};
use message::firewall::{HeaderRights, Path};
use net::Service;
use routing::{DeliveryType, Route};
use rpc::proxy::{OpenError, ProxyRequest, SealedAuthentication};
use smtp::{Content, Failure, FailurePhase, OutboundMessage, OutboundSession, SessionPlan};
use smtp_session::client::Phase;
use topology::SendConnector;
use topology::send_connector::ErrorPolicy;

use super::{Hop, OpenFailure, outbound, replied};
use crate::core::Core;
use crate::deliver::outgoing::{self, Outgoing};
use crate::ground::answer::{Answer, Sent, Taken};
use crate::ground::parcel::Parcel;

/// Header fields that may leave by a route: none of the organization's by a Send connector (PL-73, PL-74).
pub(super) fn header_path(route: &Route) -> Option<Path> {
    match route.key.delivery_type {
        DeliveryType::DnsConnectorDelivery | DeliveryType::SmartHostConnectorDelivery => {
            Some(Path::SendConnector(HeaderRights::ROUTING))
        }
        _ => None,
    }
}

/// Opens the session that the route's connector wants.
pub(super) async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    let tables = core.node.tables();
    let connector = route.connector.and_then(|guid| tables.organization().send_connector(guid));
    let Some(connector) = connector else {
        return Err(transient("the Send connector was removed; the message is decided anew".to_owned()));
    };
    let plan = outbound::plan(&core.node, connector, route, tables.local_server()).map_err(transient)?;
    let session = if connector.frontend_proxy_enabled {
        through_front_end(core, connector, route, &plan).await?
    } else {
        let opened = core.outbound.sender(connector).open(&plan, core.turn()).await;
        let session = opened.map_err(|failure| open_failure(connector, &failure))?;
        Opened { peer: session.peer().to_string(), reports: session.capabilities().dsn, session: Box::new(session) }
    };
    let policies = connector.error_policies.clone();
    Ok(Box::new(ConnectorHop { core: Arc::clone(core), opened: session, policies }))
}

fn transient(error: String) -> OpenFailure {
    OpenFailure { permanent: None, error: error.into() }
}

/// A session and what is known about it.
struct Opened {
    session: Box<dyn OutboundSession>,
    peer: String,
    /// The peer understands DSN: it reports further itself.
    reports: bool,
}

/// PL-27: in the order of the route; another one when one fails.
async fn through_front_end(
    core: &Arc<Core>,
    connector: &SendConnector,
    route: &Route,
    plan: &SessionPlan,
) -> Result<Opened, OpenFailure> {
    let failed = |server: &ServerName| core.node.health.has_failed(server, Service::FrontendTransport);
    let mut last = "no front end of this site is known".to_owned();
    for server in route.way.attempts_from(0, failed).into_iter().map(|attempt| &attempt.server) {
        let Some(address) = core.node.find(server, Service::FrontendTransport).await else { continue };
        match core.outbound.front_ends.open(&address, &proxy_request(core, connector, plan)).await {
            Ok(session) => {
                core.node.health.succeeded(server, Service::FrontendTransport);
                let peer = format!("{} through {server}", session.peer());
                return Ok(Opened { peer, reports: session.reports_itself(), session: Box::new(session) });
            }
            // The front end works; it is the host outside that does not: another front end would find the same.
            Err(OpenError::Session(failure)) => return Err(open_failure(connector, &failure)),
            Err(error @ OpenError::FrontEnd { .. }) => {
                core.node.health.failed(server, Service::FrontendTransport, &error);
                last = error.to_string();
            }
        }
    }
    Err(transient(last))
}

fn proxy_request(core: &Core, connector: &SendConnector, plan: &SessionPlan) -> ProxyRequest {
    let requirement = plan.authentication.as_ref().map(|authentication| authentication.requirement);
    let credential = connector.authentication_credential.clone();
    ProxyRequest {
        plan: plan.clone(),
        authentication: credential
            .zip(requirement)
            .map(|(credential, requirement)| SealedAuthentication { credential, requirement }),
        external_dns: connector.use_external_dns_servers_enabled,
        turn: core.turn(),
        connector: connector.name.as_str().into(),
        trace: None,
    }
}

fn open_failure(connector: &SendConnector, failure: &Failure) -> OpenFailure {
    // Only what DNS says is final for a domain; a server that greets with 5yz may be repaired before the mail expires.
    let final_word = failure.severity == Severity::Permanent && failure.phase == FailurePhase::Resolve;
    let downgraded = connector.error_policies.contains(&ErrorPolicy::DowngradeDnsFailures); // SC-113
    let permanent = (final_word && !downgraded && connector.dns_routing_enabled).then(|| failure.as_reply());
    OpenFailure { permanent, error: failure.to_string().into() }
}

struct ConnectorHop {
    core: Arc<Core>,
    opened: Opened,
    policies: Vec<ErrorPolicy>,
}

#[async_trait]
impl Hop for ConnectorHop {
    async fn send(&mut self, copy: &Parcel, content: Outgoing, span: &mut telemetry::Hop) -> Sent {
        let envelope = &copy.head.envelope;
        let outcome = match content {
            Outgoing::Whole(octets) => {
                self.opened.session.send(OutboundMessage { envelope, content: Content::Whole(&octets) }).await
            }
            Outgoing::Streamed { size, beginning, rest } => {
                let content = Content::Streamed { size, source: Box::new(outgoing::reader(beginning, rest)) };
                self.opened.session.send(OutboundMessage { envelope, content }).await
            }
        };
        let now = self.core.now();
        for (recipient, result) in envelope.recipients.iter().zip(&outcome.recipients) {
            if let Some(reply) = result.as_ref().map_or_else(|failure| failure.reply.as_ref(), Some) {
                replied(span, now, &recipient.address, reply);
            }
        }
        // The connection ended before anybody was answered, or the host goes away (RFC 5321 §3.8): nothing is known, all of
        // it is tried again.
        let lost = |failure: &Failure| {
            failure.severity == Severity::Transient && failure.reply.as_ref().is_none_or(|reply| reply.code == 421)
        };
        let all_lost = outcome.recipients.iter().all(|result| result.as_ref().is_err_and(lost));
        if all_lost
            && !outcome.reusable
            && let Some(Err(failure)) = outcome.recipients.first()
        {
            if failure.ambiguous {
                tracing::warn!(message = %copy.head.id, %failure, "the next hop may have taken the message; it is sent again");
            }
            return Sent::Lost(failure.to_string().into());
        }
        Sent::Answers(outcome.recipients.into_iter().map(|result| self.answer(result)).collect())
    }

    async fn is_reusable(&mut self) -> bool {
        self.opened.session.is_reusable().await
    }

    fn peer(&self) -> String {
        self.opened.peer.clone()
    }

    async fn close(self: Box<Self>) {
        self.opened.session.close().await;
    }
}

impl ConnectorHop {
    fn answer(&self, result: Result<envelope::Reply, Failure>) -> Answer {
        match result {
            Ok(_) => Answer::Taken(Taken::Host { reports_itself: self.opened.reports }),
            Err(failure) if self.is_permanent(&failure) => Answer::Never {
                remote: failure.peer.as_ref().map(|peer| peer.host.to_string()),
                reply: failure.as_reply(),
            },
            Err(failure) => Answer::Later(failure.to_string().into()),
        }
    }

    /// SC-114: with `DowngradeCustomFailures` what is refused up to `MAIL FROM` is tried again.
    fn is_permanent(&self, failure: &Failure) -> bool {
        let early = matches!(
            failure.phase,
            FailurePhase::Dialogue(
                Phase::Banner | Phase::Hello | Phase::StartTls | Phase::Authentication | Phase::Mail
            )
        );
        let downgraded = early && self.policies.contains(&ErrorPolicy::DowngradeCustomFailures);
        failure.severity == Severity::Permanent && !downgraded
    }
}
