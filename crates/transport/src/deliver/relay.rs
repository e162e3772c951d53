//! Mail for another server of the organization: its Transport takes the message over, durably, before it is removed here.
//!
//! The order of servers is routing's (RT-34…RT-38). A server that cannot be reached or answers 4yz is left for the next
//! one; when all are unreachable the mail waits here (RT-39): queue at the point of failure. A message that backs off
//! (RT-38) names this site, and never comes back into a site that it names (RT-42).

use std::sync::Arc;

use async_trait::async_trait;
use envelope::{MessageHead, Receipt, ServerName, Timestamp};
use handover::{Candidates, NotHandedOver, Offered, Taker, copy_id};
use queue::{ReadError, RecipientState};
use routing::Route;
use rpc::{Content, History, RecipientHistory, TransferError};
use telemetry::keys;
use telemetry::named::Transfer;

use super::{Hop, OpenFailure};
use crate::core::Core;
use crate::deliver::outgoing::{self, Outgoing};
use crate::ground::answer::{Answer, Sent, Taken};
use crate::ground::parcel::Parcel;
use crate::state::State;

pub(super) async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    if route.way.attempts.is_empty() {
        return Err(OpenFailure { permanent: None, error: "no server of the target group exists".into() });
    }
    match Candidates::of_way(&core.node, &route.way, &[], core.turn()).reach().await {
        Ok(candidate) => {
            let peer = candidate.attempt.server.to_string();
            Ok(Box::new(RelayHop { core: Arc::clone(core), route: route.clone(), peer }))
        }
        Err(error) => {
            let error = error.map_or_else(|| NOBODY.to_owned(), |error| error.to_string());
            Err(OpenFailure { permanent: None, error: error.into() })
        }
    }
}

const NOBODY: &str = "no server of the target group can be found";

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
        let mut candidates = Candidates::of_way(&core.node, &self.route.way, &copy.head.backed_off, core.turn());
        let mut relayed = Relayed::new(&core, copy, content, span);
        match candidates.hand_over(&mut relayed).await {
            Ok(taken) => {
                self.peer = taken.by.to_string();
                all(copy, || Answer::Taken(Taken::Server))
            }
            Err(NotHandedOver::Unreadable(error)) => all(copy, || Answer::Later(error.to_string().into())),
            Err(NotHandedOver::Refused(error)) => failed(copy, error),
            // Others of the queue may back off into the sites that this one came from: it alone waits.
            Err(NotHandedOver::Nobody(Some(error))) if self.passed_by(copy) => {
                all(copy, || Answer::Later(error.to_string().into()))
            }
            Err(NotHandedOver::Nobody(Some(error))) => failed(copy, error),
            Err(NotHandedOver::Nobody(None)) if self.passed_by(copy) => {
                all(copy, || Answer::Later("it was backed off to here".into()))
            }
            Err(NotHandedOver::Nobody(None)) => Sent::Lost(NOBODY.into()),
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

/// A message of the spool, read anew for each server but the first.
struct Relayed<'a> {
    core: &'a Core,
    copy: &'a Parcel,
    span: &'a mut telemetry::Hop,
    head: MessageHead,
    content: Option<Outgoing>,
    history: Option<History>,
    started: Timestamp,
}

impl<'a> Relayed<'a> {
    fn new(core: &'a Core, copy: &'a Parcel, content: Outgoing, span: &'a mut telemetry::Hop) -> Self {
        let id = copy_id(copy.head.id, &copy.head.envelope);
        let head = MessageHead { id, ..copy.head.clone() };
        // QU-60: what an administrator moves to another server is no younger there.
        let history = (core.state.get() == State::Redirecting).then(|| history(core, copy));
        Self { core, copy, span, head, content: Some(content), history, started: core.now() }
    }
}

#[async_trait]
impl Offered for Relayed<'_> {
    type Unreadable = ReadError;

    async fn open(&mut self, candidate: &Taker) -> Result<(MessageHead, Content), ReadError> {
        let outgoing = match self.content.take() {
            Some(outgoing) => outgoing,
            None => {
                let reader = self.core.spool.content(self.copy.item.message).await?;
                Box::pin(outgoing::prepare(reader, None, &self.core.progress)).await?
            }
        };
        let mut head = MessageHead { size: outgoing.size(), ..self.head.clone() };
        if candidate.attempt.is_backoff() {
            head.backed_off.push(self.core.node.tables().local_server().site.clone());
        }
        self.started = self.core.now();
        Ok((head, outgoing.into_pieces()))
    }

    fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    fn answered(&mut self, candidate: &Taker, outcome: &Result<Receipt, TransferError>) {
        note(self.core, &candidate.attempt.server, outcome, self.started, self.span);
    }
}

/// What the recipients of a copy went through on this server.
fn history(core: &Core, copy: &Parcel) -> History {
    let recipient = |at: &u32| match copy.stored.state(*at) {
        Some(RecipientState::Pending(pending)) => RecipientHistory {
            attempts: pending.attempts,
            last_error: pending.last_error,
            // The item knows it earlier than what is stored.
            delay_reported: pending.delay_notified || copy.item.delay_reported,
        },
        _ => RecipientHistory::default(),
    };
    let recipients = copy.item.recipients.as_slice().iter().map(recipient).collect();
    History { age: core.now().since(copy.item.arrived), recipients }
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

/// What a transfer without an outcome means. Content that cannot be read here is this message's trouble, not the peer's.
pub(super) fn failed(copy: &Parcel, error: TransferError) -> Sent {
    match error {
        TransferError::Unreachable { .. } | TransferError::Lost { .. } => Sent::Lost(error.to_string().into()),
        error if error.is_about_peer() => Sent::Busy(error.to_string().into()),
        TransferError::Refused { reply, peer } if reply.code >= 500 => {
            all(copy, || Answer::Never { reply: reply.clone(), remote: Some(peer.clone()) })
        }
        error => all(copy, || Answer::Later(error.to_string().into())),
    }
}

/// The same answer for every recipient of the copy.
fn all(copy: &Parcel, answer: impl Fn() -> Answer) -> Sent {
    Sent::Answers(copy.head.envelope.recipients.iter().map(|_| answer()).collect())
}
