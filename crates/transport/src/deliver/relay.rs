//! Mail for another server of the organization: its Transport takes the message over, durably, before it is removed here.
//!
//! The order of servers is routing's (RT-34…RT-38). A server that cannot be reached or answers 4yz is left for the next
//! one; when all are unreachable the mail waits here (RT-39): queue at the point of failure. A message that backs off
//! (RT-38) names this site, and never comes back into a site that it names (RT-42).

use std::sync::Arc;

use async_trait::async_trait;
use envelope::{EnhancedStatus, MessageId, Receipt, Recipient, ServerName, Timestamp};
use net::Service;
use routing::Route;
use rpc::TransferError;
use telemetry::keys;
use telemetry::named::Transfer;
use uuid::Uuid;

use super::{Hop, OpenFailure};
use crate::core::Core;
use crate::deliver::outgoing::{self, Outgoing};
use crate::ground::answer::{Answer, Sent, Taken};
use crate::ground::parcel::Parcel;

pub(super) async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    if route.way.attempts.is_empty() {
        return Err(OpenFailure { permanent: None, error: "no server of the target group exists".into() });
    }
    let mut error = "no server of the target group can be found".to_owned();
    for attempt in
        route.way.attempts_from(core.turn(), |server| core.node.health.has_failed(server, Service::Transport))
    {
        let Some(address) = core.node.find(&attempt.server, Service::Transport).await else { continue };
        match core.node.peers.reach_transport(&address).await {
            Ok(()) => {
                core.node.health.succeeded(&attempt.server, Service::Transport);
                let (core, route) = (Arc::clone(core), route.clone());
                return Ok(Box::new(RelayHop { core, route, peer: attempt.server.to_string() }));
            }
            Err(cause) => {
                core.node.health.failed(&attempt.server, Service::Transport, &cause);
                error = cause.to_string();
            }
        }
    }
    Err(OpenFailure { permanent: None, error: error.into() })
}

struct RelayHop {
    core: Arc<Core>,
    route: Route,
    /// The server that took the last message, or would have taken the first.
    peer: String,
}

#[async_trait]
impl Hop for RelayHop {
    async fn send(&mut self, copy: &Parcel, content: Outgoing, span: &mut telemetry::Hop) -> Sent {
        let core = Arc::clone(&self.core);
        let health = &core.node.health;
        let (mut content, mut refused, mut unreachable) = (Some(content), None, None);
        let has_failed = |server: &ServerName| health.has_failed(server, Service::Transport);
        for attempt in self.route.way.attempts_avoiding(&copy.head.backed_off, core.turn(), has_failed) {
            let Some(address) = core.node.find(&attempt.server, Service::Transport).await else { continue };
            let outgoing = match content.take() {
                Some(outgoing) => outgoing,
                None => match reread(&core, copy).await {
                    Ok(outgoing) => outgoing,
                    Err(error) => return all(copy, || Answer::Later(error.to_string().into())),
                },
            };
            let mut head = copy.head.clone();
            if attempt.is_backoff() {
                head.backed_off.push(core.node.tables().local_server().site.clone());
            }
            head.size = outgoing.size();
            head.id = relayed_id(copy.head.id, core.node.server(), &head.envelope.recipients);
            let started = core.now();
            let submitted = core.node.peers.submit(&address, &head, outgoing.into_pieces()).await;
            note(&core, &attempt.server, &submitted, started, span);
            match submitted {
                Ok(_receipt) => {
                    health.succeeded(&attempt.server, Service::Transport);
                    self.peer = attempt.server.to_string();
                    return all(copy, || Answer::Taken(Taken::Server));
                }
                Err(error) if error.is_peer_failure() => {
                    health.failed(&attempt.server, Service::Transport, &error);
                    if is_gone(&error) { unreachable = Some(error) } else { refused = Some(error) }
                }
                Err(error) => return failed(copy, error),
            }
        }
        // If somebody is there who does not want this message now, it alone waits.
        match refused.or(unreachable) {
            // Others of the queue may back off into the sites that this one came from: it alone waits.
            Some(error) if self.passed_by(copy) => all(copy, || Answer::Later(error.to_string().into())),
            Some(error) => failed(copy, error),
            None if self.passed_by(copy) => all(copy, || Answer::Later("it was backed off to here".into())),
            None => Sent::Lost("no server of the target group can be found".into()),
        }
    }

    async fn is_reusable(&mut self) -> bool {
        true // streams are made again when they are needed
    }

    fn peer(&self) -> String {
        self.peer.clone()
    }

    async fn close(self: Box<Self>) {}
}

impl RelayHop {
    /// Whether RT-42 keeps the message from a server that others of its queue may go to.
    fn passed_by(&self, copy: &Parcel) -> bool {
        let passed = &copy.head.backed_off;
        self.route.way.attempts.iter().any(|attempt| attempt.is_backoff() && passed.contains(&attempt.site))
    }
}

/// Counts a transfer, and tells the span which server did not take the message, and why.
fn note(
    core: &Core,
    server: &ServerName,
    submitted: &Result<Receipt, TransferError>,
    started: Timestamp,
    span: &mut telemetry::Hop,
) {
    let now = core.now();
    let outcome = match submitted {
        Ok(_) => Transfer::Accepted,
        // Nothing is known about the peer.
        Err(TransferError::Content(_)) => return,
        Err(TransferError::Refused { .. }) => Transfer::Refused,
        Err(TransferError::Unreachable { .. } | TransferError::Lost { .. }) => Transfer::Unanswered,
    };
    if let Some(metrics) = core.peers.of(&core.node, server) {
        metrics.sent(outcome, now.since(started));
    }
    if let Err(error) = submitted {
        span.event("passed over", now, |attributes| {
            attributes.set(keys::SERVER_ADDRESS, server.as_str());
            attributes.set(keys::REPLY, &error.to_reply());
        });
    }
}

/// The peer is not there, is going away (RFC 5321 §3.8), or has no room for anybody's mail (RFC 3463 X.3.1, X.3.2): that says nothing about the message. Its queue is tried again by the ladder, instead of each of its messages
/// waiting for itself.
fn is_gone(error: &TransferError) -> bool {
    match error {
        TransferError::Unreachable { .. } | TransferError::Lost { .. } => true,
        TransferError::Refused { reply, .. } => {
            let system = [EnhancedStatus::new(4, 3, 1), EnhancedStatus::new(4, 3, 2)];
            reply.code == 421 || reply.status.is_some_and(|status| system.contains(&status))
        }
        TransferError::Content(_) => false,
    }
}

/// What a transfer without an outcome means. Content that cannot be read here is this message's trouble, not the peer's.
pub(super) fn failed(copy: &Parcel, error: TransferError) -> Sent {
    match error {
        error if is_gone(&error) => Sent::Lost(error.to_string().into()),
        TransferError::Refused { reply, peer } if reply.code >= 500 => {
            all(copy, || Answer::Never { reply: reply.clone(), remote: Some(peer.clone()) })
        }
        error => all(copy, || Answer::Later(error.to_string().into())),
    }
}

/// The id of a message on its way from this server to another: always the same for the same recipients, so that a repeated
/// transfer is noticed. It differs from what this server knows the message by, because a message that a change of
/// configuration sends back to where it was must not be taken there for one that was dealt with.
fn relayed_id(message: MessageId, from: &ServerName, recipients: &[Recipient]) -> MessageId {
    let mut names: Vec<&str> = recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    names.sort_unstable();
    names.push(from.as_str());
    MessageId::from_uuid(Uuid::new_v5(&Uuid::from_bytes(*message.as_bytes()), names.join("\n").as_bytes()))
}

async fn reread(core: &Core, copy: &Parcel) -> Result<Outgoing, queue::ReadError> {
    outgoing::prepare(core.spool.content(copy.item.message).await?, None, &core.progress).await
}

/// The same answer for every recipient of the copy.
fn all(copy: &Parcel, answer: impl Fn() -> Answer) -> Sent {
    Sent::Answers(copy.head.envelope.recipients.iter().map(|_| answer()).collect())
}
