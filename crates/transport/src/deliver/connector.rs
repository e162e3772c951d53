//! Mail that leaves the organization by a Send connector of this server: an SMTP session, here or through a front end.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Address, Domain, Envelope, MessageId, Reply, ServerName, Severity};
use message::firewall::{HeaderRights, Path};
use net::Service;
use routing::{DeliveryType, Route};
use rpc::proxy::OpenError;
use sending::{ContentSource, Errand};
use smtp::{Failure, FailurePhase, OutboundSession, Peer};
use smtp_session::client::Phase;
use topology::send_connector::ErrorPolicy;
use topology::{ConnectorRight, Organization, SendConnector};

use super::{Hop, OpenFailure, replied};
use crate::core::Core;
use crate::deliver::outgoing::{self, Outgoing};
use crate::ground::answer::{Answer, Sent, Taken};
use crate::ground::parcel::Parcel;

/// Header fields that may leave by a route: by a Send connector none of the organization's, unless it gives that right to whoever
/// is at the other end (PL-73, PL-74, PF-11, PF-20).
pub(super) fn header_path(organization: &Organization, route: &Route, envelope: &Envelope) -> Option<Path> {
    match route.key.delivery_type {
        DeliveryType::DnsConnectorDelivery | DeliveryType::SmartHostConnectorDelivery => {
            let connector = route.connector.and_then(|guid| organization.send_connector(guid));
            Some(connector.map_or(Path::SendConnector(HeaderRights::ROUTING), |connector| {
                path_by(organization, connector, envelope)
            }))
        }
        // PF-29; an agent is a gateway as well.
        DeliveryType::NonSmtpGatewayDelivery | DeliveryType::DeliveryAgent => Some(Path::Drop),
        _ => None,
    }
}

fn path_by(organization: &Organization, connector: &SendConnector, envelope: &Envelope) -> Path {
    let rights = header_rights(connector);
    if connector.cloud_services_mail_enabled && is_between_halves(organization, envelope) {
        Path::ToOtherHalf(rights)
    } else {
        Path::SendConnector(rights)
    }
}

/// PF-43: from an accepted domain, or nobody, to accepted domains only: whoever else shares the copy learns nothing.
fn is_between_halves(organization: &Organization, envelope: &Envelope) -> bool {
    let accepted = |address: &Address| organization.accepted_domain(&address.domain()).is_some();
    envelope.reverse_path.address().is_none_or(accepted)
        && envelope.recipients.iter().all(|recipient| accepted(&recipient.address))
}

fn header_rights(connector: &SendConnector) -> HeaderRights {
    let gives = |right| connector.gives(connector.other_end(), right);
    HeaderRights {
        organization: gives(ConnectorRight::SendHeadersOrganization),
        forest: gives(ConnectorRight::SendHeadersForest),
        routing: gives(ConnectorRight::SendHeadersRouting),
    }
}

/// Opens the session that the route's connector wants.
pub(super) async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    let tables = core.node.tables();
    let connector = route.connector.and_then(|guid| tables.organization().send_connector(guid));
    let Some(connector) = connector else {
        return Err(transient("the Send connector was removed; the message is decided anew".to_owned()));
    };
    let domain = match route.key.delivery_type {
        DeliveryType::DnsConnectorDelivery => Some(Domain::parse(&route.key.domain)),
        _ => None,
    };
    let domain = domain.transpose().map_err(|error| transient(error.to_string()))?;
    let errand = Errand { connector, domain: domain.as_ref(), turn: core.turn() };
    let session = if connector.frontend_proxy_enabled {
        through_front_end(core, route, errand).await?
    } else {
        let opened = core.outbound.sessions.open(errand).await;
        let session = opened.map_err(|failure| open_failure(connector, &failure))?;
        let peer = session.peer().clone();
        Opened::new(Box::new(session), &peer, None)
    };
    Ok(Box::new(ConnectorHop { core: Arc::clone(core), opened: session, connector: connector.clone() }))
}

fn transient(error: String) -> OpenFailure {
    OpenFailure { permanent: None, error: error.into() }
}

/// A session and what is known about it.
struct Opened {
    session: Box<dyn OutboundSession>,
    peer: String,
    /// The front end through which it goes.
    through: Option<ServerName>,
}

impl Opened {
    fn new(session: Box<dyn OutboundSession>, peer: &Peer, through: Option<ServerName>) -> Self {
        let mut opened = Self { session, peer: String::new(), through };
        opened.asked(peer);
        opened
    }

    /// Who is at the other end now: one of the next hop's hosts.
    fn asked(&mut self, peer: &Peer) {
        self.peer = match &self.through {
            Some(server) => format!("{peer} through {server}"),
            None => peer.to_string(),
        };
    }
}

/// A message of the spool, read from its beginning for each host that wants it.
struct Stored<'a> {
    core: &'a Core,
    message: MessageId,
    path: Option<Path>,
    /// As it was read before.
    read: Option<Outgoing>,
    whole: Option<Bytes>,
}

impl<'a> Stored<'a> {
    fn new(core: &'a Core, copy: &Parcel, content: Outgoing, path: Path) -> Self {
        Self { core, message: copy.item.message, path: Some(path), read: Some(content), whole: None }
    }
}

#[async_trait]
impl ContentSource for Stored<'_> {
    async fn open(&mut self) -> io::Result<sending::Opened> {
        if let Some(whole) = &self.whole {
            return Ok(sending::Opened::Whole(whole.clone()));
        }
        let content = match self.read.take() {
            Some(content) => content,
            None => {
                let reader = self.core.spool.content(self.message).await.map_err(io::Error::other)?;
                outgoing::prepare(reader, self.path, &self.core.progress).await.map_err(io::Error::other)?
            }
        };
        Ok(match content {
            Outgoing::Whole(octets) => sending::Opened::Whole(self.whole.insert(octets).clone()),
            Outgoing::Streamed { size, beginning, rest } => {
                sending::Opened::Streamed { size, reader: Box::new(outgoing::reader(beginning, rest)) }
            }
        })
    }
}

/// PL-27: in the order of the route; another one when one fails.
async fn through_front_end(core: &Arc<Core>, route: &Route, errand: Errand<'_>) -> Result<Opened, OpenFailure> {
    let request = core.outbound.sessions.request(&core.node.tables(), errand);
    let request = request.map_err(|failure| open_failure(errand.connector, &failure))?;
    let failed = |server: &ServerName| core.node.health.has_failed(server, Service::FrontendTransport);
    let mut last = "no front end of this site is known".to_owned();
    for server in route.way.attempts_from(0, failed).into_iter().map(|attempt| &attempt.server) {
        let Some(address) = core.node.find(server, Service::FrontendTransport).await else { continue };
        match core.outbound.front_ends.open(&address, &request).await {
            Ok(session) => {
                core.node.health.succeeded(server, Service::FrontendTransport);
                let peer = session.peer().clone();
                return Ok(Opened::new(Box::new(session), &peer, Some(server.clone())));
            }
            // The front end works; it is the host outside that does not: another front end would find the same.
            Err(OpenError::Session(failure)) => return Err(open_failure(errand.connector, &failure)),
            // It works, and another one may know what this one does not.
            Err(error @ OpenError::Unknown { .. }) => {
                core.node.health.succeeded(server, Service::FrontendTransport);
                last = error.to_string();
            }
            Err(error @ OpenError::FrontEnd { .. }) => {
                core.node.health.failed(server, Service::FrontendTransport, &error);
                last = error.to_string();
            }
        }
    }
    Err(transient(last))
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
    /// By which it was opened.
    connector: SendConnector,
}

#[async_trait]
impl Hop for ConnectorHop {
    async fn send(&mut self, copy: &Parcel, content: Outgoing, span: &mut telemetry::Hop) -> Sent {
        let envelope = &copy.head.envelope;
        let path = path_by(self.core.node.tables().organization(), &self.connector, envelope);
        let mut source = Stored::new(&self.core, copy, content, path);
        let outcome = sending::deliver(self.opened.session.as_mut(), envelope, &mut source).await;
        self.opened.asked(&outcome.peer);
        let now = self.core.now();
        for (recipient, result) in envelope.recipients.iter().zip(&outcome.recipients) {
            if let Some(reply) =
                result.as_ref().map_or_else(|failure| failure.reply.as_ref(), |taken| Some(&taken.reply))
            {
                replied(span, now, &recipient.address, reply);
            }
        }
        // The connection ended before anybody was answered, or the host takes nothing from anybody now: nothing is known of the
        // message, and all that waits for the host is tried again.
        let is_lost = |result: &Result<_, Failure>| {
            result.as_ref().is_err_and(|failure| is_about_host(failure, outcome.reusable) && !self.is_upgraded(failure))
        };
        if outcome.recipients.iter().all(is_lost)
            && let Some(Err(failure)) = outcome.recipients.first()
        {
            if failure.ambiguous {
                tracing::warn!(message = %copy.head.id, %failure, "the next hop may have taken the message; it is sent again");
            }
            let why = failure.to_string().into();
            return if failure.reply.is_some() { Sent::Busy(why) } else { Sent::Lost(why) };
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

/// Whether a failure says nothing about the message. Without a reply it is the end of the connection, if that has ended.
fn is_about_host(failure: &Failure, reusable: bool) -> bool {
    let about_host = failure.reply.as_ref().map_or(!reusable, Reply::is_about_system);
    failure.severity == Severity::Transient && about_host
}

impl ConnectorHop {
    fn answer(&self, result: Result<sending::Taken, Failure>) -> Answer {
        match result {
            Ok(taken) => Answer::Taken(Taken::Host { reports_itself: taken.reports_itself }),
            // What this client refuses by itself was said by nobody at the other end.
            Err(failure) if self.is_permanent(&failure) => Answer::Never {
                remote: failure.peer.as_ref().filter(|_| failure.reply.is_some()).map(|peer| peer.host.to_string()),
                reply: failure.as_reply(),
            },
            Err(failure) if self.is_upgraded(&failure) => Answer::Never {
                remote: failure.peer.as_ref().map(|peer| peer.host.to_string()),
                reply: for_ever(failure.as_reply()),
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
        let downgraded = early && self.connector.error_policies.contains(&ErrorPolicy::DowngradeCustomFailures);
        failure.severity == Severity::Permanent && !downgraded
    }

    /// SC-115: with `UpgradeCustomFailures` what the connector lists is not tried again.
    fn is_upgraded(&self, failure: &Failure) -> bool {
        let upgrades = self.connector.error_policies.contains(&ErrorPolicy::UpgradeCustomFailures);
        let listed = |reply: &Reply| self.connector.upgraded_replies.iter().any(|upgraded| upgraded.is(reply));
        upgrades && failure.severity == Severity::Transient && failure.reply.as_ref().is_some_and(listed)
    }
}

/// A transient reply as a permanent one, in its own words: what comes back says that there is no other attempt (RFC 3464 §2.3.4).
fn for_ever(reply: Reply) -> Reply {
    let status = reply.status.map(|status| status.with_severity(Severity::Permanent));
    Reply { code: reply.code + 100, status, ..reply }
}
