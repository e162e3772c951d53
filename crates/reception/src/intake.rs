//! One message on its way in: its header is held until it is complete, then everything goes to the destination as it comes.

use std::sync::Arc;

use bytes::Bytes;
use envelope::{
    ByteSize, Domain, EnhancedStatus, Envelope, Limit, MessageHead, MessageId, ObjectName, Origin, OriginKind, Receipt,
    Reply, Revision, Timestamp,
};
use message::HeaderCollector;
use routing::RoutingTables;
use smtp::{Accepted, SessionFacts};
use telemetry::{Hop, HopName, HopOutcome, keys};
use topology::DirectoryRecipient;

use crate::connectors::Entrance;
use crate::destination::{Arriving, Taking};
use crate::header::{self, Arrival};
use crate::memory::Hold;
use crate::policy;
use crate::shared::Shared;

/// Status of the reply to a message that is taken over: message accepted.
const ACCEPTED: EnhancedStatus = EnhancedStatus::new(2, 6, 0);

/// One message.
pub(crate) struct Intake {
    shared: Arc<Shared>,
    entrance: Arc<Entrance>,
    tables: Arc<RoutingTables>,
    session: SessionFacts,
    id: MessageId,
    begun: Timestamp,
    size_limit: Limit<ByteSize>,
    /// So many have come.
    octets: u64,
    hold: Hold,
    stage: Stage,
}

enum Stage {
    /// The header is not complete.
    Header(Box<Beginning>),
    /// It is being taken over.
    Taking(Message),
    /// It was refused.
    Over,
}

/// What is settled of a message before its content comes.
pub(crate) struct Agreed {
    /// One configuration for the whole message (invariant 5).
    pub(crate) tables: Arc<RoutingTables>,
    pub(crate) session: SessionFacts,
    /// The databases of the first recipients, in order (RT-64).
    pub(crate) homes: Vec<Option<ObjectName>>,
}

/// Who a message is from, as the session knows it.
pub(crate) struct Sender {
    pub(crate) origin: OriginKind,
    /// Whose session it is, when somebody logged on.
    pub(crate) user: Option<Arc<DirectoryRecipient>>,
    /// The domain that a partner has proved (TA-45).
    pub(crate) partner: Option<Domain>,
    /// It comes from the other half of a hybrid organization (PF-45).
    pub(crate) other_half: bool,
    /// How large it may be.
    pub(crate) size_limit: Limit<ByteSize>,
}

/// What waits for the end of the header.
struct Beginning {
    origin: OriginKind,
    user: Option<Arc<DirectoryRecipient>>,
    partner: Option<Domain>,
    other_half: bool,
    envelope: Envelope,
    homes: Vec<Option<ObjectName>>,
    header: HeaderCollector,
}

/// What is known once the header is complete.
struct Message {
    taking: Box<dyn Taking>,
    text_id: Box<str>,
    hop: Hop,
    octets: u64,
}

impl Intake {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        entrance: &Arc<Entrance>,
        agreed: &Agreed,
        sender: Sender,
        envelope: Envelope,
    ) -> Self {
        let header = HeaderCollector::new(entrance.connector.max_header_size);
        let Sender { origin, user, partner, other_half, size_limit } = sender;
        // RC-47: whoever logs on where nobody else comes is served by the server of his own mailbox.
        let own =
            user.as_deref().filter(|_| policy::prefers_own_server(&entrance.connector)).and_then(policy::database);
        let homes = own.map_or_else(|| agreed.homes.clone(), |own| vec![Some(own.clone())]);
        let beginning = Beginning { origin, user, partner, other_half, envelope, homes, header };
        Self {
            shared: Arc::clone(shared),
            entrance: Arc::clone(entrance),
            tables: Arc::clone(&agreed.tables),
            session: agreed.session.clone(),
            id: shared.node.clock.message_id(),
            begun: shared.node.clock.now(),
            size_limit,
            octets: 0,
            hold: shared.held.hold(),
            stage: Stage::Header(Box::new(beginning)),
        }
    }

    pub(crate) async fn chunk(&mut self, chunk: Bytes) -> Result<(), Reply> {
        let result = self.take(chunk).await;
        if let Err(reply) = &result {
            self.entrance.metrics.refused();
            self.fail(reply);
        }
        result
    }

    async fn take(&mut self, mut chunk: Bytes) -> Result<(), Reply> {
        self.octets += chunk.len() as u64;
        if !self.size_limit.allows(&ByteSize::bytes(self.octets)) {
            return Err(policy::too_large());
        }
        self.hold.add(chunk.len() as u64)?;
        if let Stage::Header(beginning) = &mut self.stage {
            let complete =
                beginning.header.push(&chunk).map_err(|error| Reply::new(552, error.status(), error.to_string()))?;
            let Some(end) = complete else { return Ok(()) };
            chunk = chunk.slice(end..);
            self.header_complete().await?;
        }
        match &mut self.stage {
            Stage::Taking(message) if !chunk.is_empty() => message.write(chunk).await,
            _ => Ok(()),
        }
    }

    /// The end of the content: somebody has it, or it is refused.
    pub(crate) async fn finish(mut self: Box<Self>) -> Result<Accepted, Reply> {
        let result = self.hand_over().await;
        match &result {
            Ok(_) => self.entrance.metrics.accepted(),
            Err(reply) => {
                self.entrance.metrics.refused();
                self.fail(reply);
            }
        }
        result
    }

    async fn hand_over(&mut self) -> Result<Accepted, Reply> {
        // A message may be all header.
        if matches!(self.stage, Stage::Header(_)) {
            self.header_complete().await?;
        }
        let Stage::Taking(message) = std::mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("a message that was refused has no end")
        };
        let Message { taking, text_id, mut hop, octets } = message;
        let result = taking.finish().await.map(|receipt| {
            let text = self.acceptance(&receipt, &text_id);
            hop.attribute(keys::REPLY, &Reply::new(250, ACCEPTED, text.clone()));
            Accepted { receipt, text }
        });
        if let Err(reply) = &result {
            hop.attribute(keys::REPLY, reply);
        }
        self.end(hop, octets, result.as_ref().map_or_else(failed, |_| HopOutcome::Done));
        result
    }

    async fn header_complete(&mut self) -> Result<(), Reply> {
        let Stage::Header(beginning) = std::mem::replace(&mut self.stage, Stage::Over) else { return Ok(()) };
        let Beginning { origin, user, partner, other_half, envelope, homes, header } = *beginning;
        let arrival = Arrival {
            organization: self.tables.organization(),
            connector: &self.entrance.connector,
            hostname: &self.entrance.hostname,
            session: &self.session,
            origin,
            user: user.as_deref(),
            partner: partner.as_ref(),
            other_half,
            smtputf8: envelope.smtputf8,
            id: self.id,
            recipients: &envelope.recipients,
            at: self.begun,
        };
        let header = header::receive(&header.into_block(), &arrival)?;
        let tracer = &self.shared.node.tracer;
        let mut hop = match header.outside_trace {
            Some(outside) => tracer.start_linked(HopName::Receive, outside, self.begun),
            None => tracer.start(HopName::Receive, None, self.begun),
        };
        hop.attribute(keys::MESSAGE_ID, &self.id);
        hop.attribute(keys::PEER_ADDRESS, &self.session.connection.peer.ip());
        hop.attribute(keys::CONNECTOR, &self.entrance.connector.name);
        hop.attribute(keys::SENDER, &envelope.reverse_path);
        hop.attribute(keys::RECIPIENTS, &(envelope.recipients.len() as u64));
        hop.attribute(keys::INTERNET_MESSAGE_ID, &*header.message_id);
        let head = MessageHead {
            id: self.id,
            envelope,
            arrived: self.begun,
            size: ByteSize::default(),
            original_size: None,
            trace: hop.context(),
            revision: Revision::default(),
            origin: Origin { kind: origin, connector: self.entrance.connector.name.as_str().into() },
            backed_off: Vec::new(),
        };
        let taking = self.shared.destination.take(Arriving {
            head,
            tables: Arc::clone(&self.tables),
            homes,
            client_name: self.session.hello_name.clone(),
            client_address: self.session.connection.peer.ip(),
            message_id: header.message_id.clone(),
            subject: header.subject,
        });
        let message = Message { taking, text_id: header.message_id, hop, octets: 0 };
        self.stage = Stage::Taking(message);
        match &mut self.stage {
            Stage::Taking(message) => message.write(header.octets.into()).await,
            _ => Ok(()),
        }
    }

    /// The documented wording: `<id> [InternalId=…, Hostname=…] Queued mail for delivery`.
    fn acceptance(&self, receipt: &Receipt, text_id: &str) -> Box<str> {
        let holder = self.tables.organization().server(receipt.holder());
        let host = holder.map_or(receipt.holder().as_str(), |server| server.fqdn.ascii());
        format!("{text_id} [InternalId={}, Hostname={host}] Queued mail for delivery", self.id).into()
    }

    fn fail(&mut self, reply: &Reply) {
        if let Stage::Taking(mut message) = std::mem::replace(&mut self.stage, Stage::Over) {
            message.hop.attribute(keys::REPLY, reply);
            self.end(message.hop, message.octets, failed(reply));
        }
    }

    fn end(&self, mut hop: Hop, octets: u64, outcome: HopOutcome<'_>) {
        let node = &self.shared.node;
        let now = node.clock.now();
        hop.attribute(keys::MESSAGE_SIZE, &ByteSize::bytes(octets));
        node.metrics.accept_duration.record(now.since(self.begun));
        hop.end(now, outcome);
    }
}

impl Message {
    async fn write(&mut self, piece: Bytes) -> Result<(), Reply> {
        self.octets += piece.len() as u64;
        self.taking.write(piece).await
    }
}

fn failed(reply: &Reply) -> HopOutcome<'_> {
    HopOutcome::Failed { status: reply.status_or_generic(), cause: reply }
}
