//! Mail for a mailbox database: Mailbox Transport Delivery on the server with the active copy answers for each recipient
//! (PL-13). Transport itself never opens a database (PL-07).

use std::sync::Arc;

use async_trait::async_trait;
use envelope::Reply;
use net::Service;
use routing::Route;
use rpc::{PeerAddress, RecipientDelivery};

use super::{Hop, OpenFailure, relay, replied};
use crate::core::Core;
use crate::deliver::outgoing::Outgoing;
use crate::ground::answer::{Answer, Sent, Taken};
use crate::ground::parcel::Parcel;

pub(super) async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    let failure = |error: String| OpenFailure { permanent: None, error: error.into() };
    let Some(active) = route.way.attempts.first() else {
        return Err(failure(format!("no server is known where {} is active", route.key.domain)));
    };
    let server = &active.server;
    let Some(address) = core.node.find(server, Service::MailboxDelivery).await else {
        return Err(failure(format!("{server}, where {} is active, cannot be found", route.key.domain)));
    };
    core.node.peers.reach_delivery(&address).await.map_err(|error| {
        core.node.health.failed(server, Service::MailboxDelivery, &error);
        failure(error.to_string())
    })?;
    core.node.health.succeeded(server, Service::MailboxDelivery);
    Ok(Box::new(MailboxHop { core: Arc::clone(core), address }))
}

struct MailboxHop {
    core: Arc<Core>,
    address: PeerAddress,
}

#[async_trait]
impl Hop for MailboxHop {
    async fn send(&mut self, copy: &Parcel, content: Outgoing, span: &mut telemetry::Hop) -> Sent {
        let mut head = copy.head.clone();
        head.size = content.size();
        match self.core.node.peers.deliver(&self.address, &head, content.into_pieces()).await {
            Ok(deliveries) => {
                let now = self.core.now();
                for (recipient, delivery) in head.envelope.recipients.iter().zip(&deliveries) {
                    if let RecipientDelivery::Retry(reply)
                    | RecipientDelivery::Reroute(reply)
                    | RecipientDelivery::Failed(reply) = delivery
                    {
                        replied(span, now, &recipient.address, reply);
                    }
                }
                if let Some(reply) = database_is_busy(&deliveries) {
                    return Sent::Busy(format!("{}: {reply}", self.address.server).into());
                }
                Sent::Answers(deliveries.into_iter().map(|delivery| self.answer(delivery)).collect())
            }
            Err(error) => relay::failed(copy, error),
        }
    }

    async fn is_reusable(&mut self) -> bool {
        true
    }

    fn peer(&self) -> String {
        self.address.server.to_string()
    }

    async fn close(self: Box<Self>) {}
}

/// What the database says to everybody at this time: its disk is full, or does not answer. Its queue is tried again, instead of
/// each message waiting for itself.
fn database_is_busy(deliveries: &[RecipientDelivery]) -> Option<&Reply> {
    let is_busy =
        |delivery: &RecipientDelivery| matches!(delivery, RecipientDelivery::Retry(reply) if reply.is_about_system());
    match deliveries {
        [RecipientDelivery::Retry(reply), ..] if deliveries.iter().all(is_busy) => Some(reply),
        _ => None,
    }
}

impl MailboxHop {
    fn answer(&self, delivery: RecipientDelivery) -> Answer {
        let server = &self.address.server;
        match delivery {
            RecipientDelivery::Delivered => Answer::Taken(Taken::Mailbox),
            RecipientDelivery::Retry(reply) => Answer::Later(format!("{server}: {reply}").into()),
            RecipientDelivery::Reroute(reply) => Answer::Elsewhere(format!("{server}: {reply}").into()),
            // DS-10: this server is no remote one to itself.
            RecipientDelivery::Failed(reply) => {
                Answer::Never { reply, remote: (server != self.core.node.server()).then(|| server.to_string()) }
            }
        }
    }
}
