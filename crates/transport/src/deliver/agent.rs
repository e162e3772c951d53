//! Mail of a Delivery Agent connector: given to an agent that is there for its protocol, and settled by what the agent says of each
//! recipient (EN-55, EN-60).

use std::sync::Arc;

use async_trait::async_trait;
use envelope::{BodyType, MessageId, Recipient};
use routing::{Route, RoutingTables};
use rpc::{AgentAnswer, AgentDelivery};
use scheduler::RecipientIndexes;
use topology::{DeliveryAgentConnector, Organization};

use super::{Hop, OpenFailure};
use crate::core::Core;
use crate::deliver::outgoing::Outgoing;
use crate::ground::agents::Lent;
use crate::ground::answer::{Answer, Sent, Taken};
use crate::ground::parcel::Parcel;
use crate::hand::Hand;

/// Recipients that an agent is given at once; a longer list is given in parts. Ours, as Pickup has it (PL-60).
const RECIPIENTS_MAX: usize = 100;
/// The Delivery Agent connector of a route.
pub(super) fn connector_of<'a>(organization: &'a Organization, route: &Route) -> Option<&'a DeliveryAgentConnector> {
    organization.delivery_agent_connector(route.connector?)
}

/// An agent is there: queues that waited for one of its protocol connect now.
pub(crate) fn came(core: &Arc<Core>, protocol: &str) {
    let (tables, protocol) = (core.node.tables(), protocol.to_lowercase());
    let is_for = |route: &Route| {
        connector_of(tables.organization(), route)
            .is_some_and(|connector| connector.delivery_protocol.to_lowercase() == protocol)
    };
    let demands = core.ledger_and_alarm(|ledger| ledger.next_hop_came(is_for));
    core.meet_all(demands);
}

/// No agent was there, and that is written down now: one may have come in between.
pub(super) fn look_again(core: &Arc<Core>, route: &Route) {
    let tables = core.node.tables();
    let Some(connector) = connector_of(tables.organization(), route) else { return };
    if core.agents.is_free(&connector.delivery_protocol) {
        came(core, &connector.delivery_protocol);
    }
}

/// A connection with an agent of the route's connector. One that is busy is waited for, in turns with other connectors: a queue that
/// went to Retry meanwhile would find it busy whenever it looked.
pub(super) async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    let failure = |error: String| OpenFailure { permanent: None, error: error.into() };
    let mut changes = core.node.watch_tables();
    loop {
        let tables = Arc::clone(&changes.borrow_and_update());
        let Some(connector) = connector_of(tables.organization(), route) else {
            return Err(failure("the Delivery Agent connector was removed; the message is decided anew".to_owned()));
        };
        let protocol = &connector.delivery_protocol;
        let wants_another = |tables: &Arc<RoutingTables>| {
            connector_of(tables.organization(), route).is_none_or(|now| now.delivery_protocol != *protocol)
        };
        let lent = tokio::select! {
            lent = core.agents.take(protocol, connector.guid) => lent,
            Ok(_) = changes.wait_for(wants_another) => continue,
        };
        return match lent {
            Some(lent) => {
                Ok(Box::new(AgentHop { core: Arc::clone(core), lent, connector: connector.name.as_str().into() }))
            }
            None => Err(failure(format!("no delivery agent for protocol {protocol}"))), // EN-61
        };
    }
}

/// Leaves to an item as many recipients as an agent is given at once. The others are an item of their own, which waits in the queue:
/// for this connection, or for another at the same time.
pub(super) fn leave_first_part(hand: &mut Hand) {
    let others = hand.item().recipients.as_slice().get(RECIPIENTS_MAX..).and_then(RecipientIndexes::new);
    if let Some(others) = others {
        hand.split(others).put_back();
    }
}

/// The id under which an agent is given a copy: the message's for all of its recipients, and one of their own for some of them. An
/// agent that remembers ids, or names what it writes by them, must not take one list for another: who is tried again comes without
/// those who have the message.
fn id_of(copy: &Parcel) -> MessageId {
    let recipients = &copy.head.envelope.recipients;
    if recipients.len() == copy.stored.as_read().head.envelope.recipients.len() {
        return copy.head.id;
    }
    copy.head.id.of_part(recipients.iter().map(|one| one.address.as_str()))
}

struct AgentHop {
    core: Arc<Core>,
    lent: Lent,
    connector: Box<str>,
}

#[async_trait]
impl Hop for AgentHop {
    async fn send(&mut self, copy: &Parcel, content: Outgoing, _span: &mut telemetry::Hop) -> Sent {
        let (envelope, tables) = (&copy.head.envelope, self.core.node.tables());
        let delivery = AgentDelivery {
            id: id_of(copy),
            connector: self.connector.clone(),
            sender: envelope.reverse_path.to_string().into(),
            recipients: envelope.recipients.iter().map(|one| address(one, tables.organization())).collect(),
            size: content.size().as_u64(),
            eight_bit_mime: envelope.body == BodyType::EightBitMime,
            smtputf8: envelope.smtputf8,
            trace: copy.head.trace,
        };
        match self.lent.deliver(&delivery, content.into_pieces()).await {
            Ok(answers) => Sent::Answers(answers.into_iter().map(|answer| self.answer(answer)).collect()),
            Err(error) => Sent::Lost(error.into()),
        }
    }

    async fn is_reusable(&mut self) -> bool {
        self.lent.is_there()
    }

    fn peer(&self) -> String {
        self.lent.name().to_owned()
    }

    async fn close(self: Box<Self>) {
        self.lent.give_back();
    }
}

impl AgentHop {
    fn answer(&self, answer: AgentAnswer) -> Answer {
        match answer {
            // It acknowledges delivery, not that it will try (EN-55).
            AgentAnswer::Delivered => Answer::Taken(Taken::Mailbox),
            AgentAnswer::Later(reply) => Answer::Later(format!("{}: {reply}", self.lent.name()).into()),
            AgentAnswer::Failed(reply) => Answer::Never { reply, remote: Some(self.lent.name().to_owned()) },
        }
    }
}

/// Type and address, in the words of the type: one that travels inside an SMTP address is taken out of it.
fn address(recipient: &Recipient, organization: &Organization) -> (Box<str>, Box<str>) {
    organization.carried(&recipient.address).unwrap_or_else(|| ("SMTP".into(), recipient.address.as_str().into()))
}
