//! Queues, messages and peers on the wire. What comes from a server is parsed as strictly as everything else.

use bytes::Bytes;
use envelope::{Address, ByteSize, MessageId, ReversePath, Revision, ServerName, Timestamp};

use rpc::convert::{RECIPIENTS_MAX, WireError, without_controls};

use super::operation::{Caller, Operated, OperatedMessage, Operation, Outcome, Target};
use super::{
    DecisionEntry, GatewayEntry, GatewayState, MESSAGES_DEFAULT, MESSAGES_MAX, MessageEntry, MessagesRequest,
    PeerEntry, QueueEntry, TargetEntry,
};
use crate::wire::v1 as wire;

/// An absent text is an empty one on the wire.
fn text(text: Option<Box<str>>) -> String {
    text.map(String::from).unwrap_or_default()
}

fn optional(text: &str) -> Option<Box<str>> {
    (!text.is_empty()).then(|| without_controls(text))
}

fn milli(rate: f64) -> u64 {
    // Rates are counts divided by a minute: neither negative nor near the end of the type.
    (rate * 1000.0).round() as u64
}

fn rate(milli: u64) -> f64 {
    f64::from(u32::try_from(milli).unwrap_or(u32::MAX)) / 1000.0
}

pub(crate) fn queue_to_wire(queue: QueueEntry) -> wire::Queue {
    let target = |TargetEntry { server, site, rule }| wire::Target {
        server: server.into(),
        site: site.into(),
        rule: rule.into(),
    };
    wire::Queue {
        number: queue.number,
        name: queue.name.into(),
        delivery_type: queue.delivery_type.into(),
        next_hop_domain: queue.next_hop_domain.into(),
        next_hop_connector: queue.next_hop_connector.into(),
        connector: text(queue.connector),
        status: queue.status.into(),
        message_count: queue.message_count,
        deferred_message_count: queue.deferred_message_count,
        connections: queue.connections,
        retry_count: queue.retry_count,
        next_retry_millis: queue.next_retry.map(Timestamp::as_millis),
        last_error: text(queue.last_error),
        incoming_rate_milli: milli(queue.incoming_rate),
        outgoing_rate_milli: milli(queue.outgoing_rate),
        targets: queue.targets.into_iter().map(target).collect(),
        first_failure_millis: queue.first_failure.map(Timestamp::as_millis),
        last_failure_millis: queue.last_failure.map(Timestamp::as_millis),
        next_hop_category: queue.next_hop_category.into(),
        tls_domain: text(queue.tls_domain),
    }
}

pub(crate) fn queue_from_wire(queue: wire::Queue) -> Result<QueueEntry, WireError> {
    let target = |target: wire::Target| TargetEntry {
        server: without_controls(&target.server),
        site: without_controls(&target.site),
        rule: without_controls(&target.rule),
    };
    Ok(QueueEntry {
        number: queue.number,
        name: without_controls(&queue.name),
        delivery_type: without_controls(&queue.delivery_type),
        next_hop_domain: without_controls(&queue.next_hop_domain),
        next_hop_connector: without_controls(&queue.next_hop_connector),
        connector: optional(&queue.connector),
        status: without_controls(&queue.status),
        message_count: queue.message_count,
        deferred_message_count: queue.deferred_message_count,
        connections: queue.connections,
        retry_count: queue.retry_count,
        next_retry: queue.next_retry_millis.map(Timestamp::from_millis),
        last_error: optional(&queue.last_error),
        incoming_rate: rate(queue.incoming_rate_milli),
        outgoing_rate: rate(queue.outgoing_rate_milli),
        targets: queue.targets.into_iter().map(target).collect(),
        first_failure: queue.first_failure_millis.map(Timestamp::from_millis),
        last_failure: queue.last_failure_millis.map(Timestamp::from_millis),
        next_hop_category: without_controls(&queue.next_hop_category),
        tls_domain: optional(&queue.tls_domain),
    })
}

pub(crate) fn message_to_wire(message: MessageEntry) -> wire::Message {
    let decision = |decision: DecisionEntry| wire::Decision {
        revision: decision.revision.0,
        delivery_type: decision.delivery_type.into(),
        next_hop_domain: decision.next_hop_domain.into(),
        connector: text(decision.connector),
        rule: decision.rule.into(),
    };
    wire::Message {
        message_id: Bytes::copy_from_slice(message.id.as_bytes()),
        queue: message.queue,
        queue_name: message.queue_name.into(),
        status: message.status.into(),
        sender: message.sender.to_string(),
        recipients: message.recipients.iter().map(ToString::to_string).collect(),
        size: message.size.as_u64(),
        arrived_millis: message.arrived.as_millis(),
        retry_count: message.retry_count,
        last_error: text(message.last_error),
        next_retry_millis: message.next_retry.map(Timestamp::as_millis),
        decision: message.decision.map(decision),
        trace: text(message.trace),
        subject: text(message.subject),
        internet_message_id: text(message.internet_message_id),
        number: message.number,
        expires_millis: message.expires.as_millis(),
        source: message.source.into(),
        originating: message.originating,
        scl: message.scl,
    }
}

pub(crate) fn messages_request_to_wire(request: MessagesRequest) -> wire::ListMessagesRequest {
    wire::ListMessagesRequest {
        queue: request.queue,
        limit: request.limit,
        queue_name: text(request.queue_name),
        sender: text(request.sender),
        recipient: text(request.recipient),
        arrived_before_millis: request.arrived_before.map(Timestamp::as_millis),
        header: request.header,
        number: request.number,
    }
}

pub(crate) fn messages_request_from_wire(request: &wire::ListMessagesRequest) -> MessagesRequest {
    MessagesRequest {
        queue: request.queue,
        queue_name: optional(&request.queue_name),
        sender: optional(&request.sender),
        recipient: optional(&request.recipient),
        arrived_before: request.arrived_before_millis.map(Timestamp::from_millis),
        number: request.number,
        header: request.header,
        limit: if request.limit == 0 { MESSAGES_DEFAULT } else { request.limit.min(MESSAGES_MAX) },
    }
}

pub(crate) fn message_from_wire(message: wire::Message) -> Result<MessageEntry, WireError> {
    let id: [u8; 16] = message.message_id.as_ref().try_into().map_err(|_| WireError::Invalid("message id"))?;
    if message.recipients.len() > RECIPIENTS_MAX {
        return Err(WireError::Invalid("number of recipients"));
    }
    let decision = |decision: wire::Decision| DecisionEntry {
        revision: Revision(decision.revision),
        delivery_type: without_controls(&decision.delivery_type),
        next_hop_domain: without_controls(&decision.next_hop_domain),
        connector: optional(&decision.connector),
        rule: without_controls(&decision.rule),
    };
    Ok(MessageEntry {
        id: MessageId::from_bytes(id),
        queue: message.queue,
        queue_name: without_controls(&message.queue_name),
        status: without_controls(&message.status),
        sender: ReversePath::parse(&message.sender)?,
        recipients: message.recipients.iter().map(|text| Address::parse(text)).collect::<Result<_, _>>()?,
        size: ByteSize::bytes(message.size),
        arrived: Timestamp::from_millis(message.arrived_millis),
        retry_count: message.retry_count,
        last_error: optional(&message.last_error),
        next_retry: message.next_retry_millis.map(Timestamp::from_millis),
        decision: message.decision.map(decision),
        trace: optional(&message.trace),
        subject: optional(&message.subject),
        internet_message_id: optional(&message.internet_message_id),
        number: message.number,
        expires: Timestamp::from_millis(message.expires_millis),
        source: without_controls(&message.source),
        originating: message.originating,
        scl: message.scl,
    })
}

pub(crate) fn caller_to_wire(caller: Caller) -> wire::Caller {
    let Caller { name, through, client } = caller;
    wire::Caller { name, through, client }
}

pub(crate) fn caller_from_wire(caller: Option<wire::Caller>) -> Caller {
    let wire::Caller { name, through, client } = caller.unwrap_or_default();
    Caller { name, through, client }
}

pub(crate) fn operation_to_wire(operation: Operation) -> wire::Operation {
    match operation {
        Operation::RetryQueue => wire::Operation::RetryQueue,
        Operation::ResubmitQueue => wire::Operation::ResubmitQueue,
        Operation::SuspendQueue => wire::Operation::SuspendQueue,
        Operation::ResumeQueue => wire::Operation::ResumeQueue,
        Operation::SuspendMessage => wire::Operation::SuspendMessage,
        Operation::ResumeMessage => wire::Operation::ResumeMessage,
        Operation::RemoveMessage { with_ndr: true } => wire::Operation::RemoveMessageWithNdr,
        Operation::RemoveMessage { with_ndr: false } => wire::Operation::RemoveMessage,
    }
}

pub(crate) fn operation_from_wire(operation: i32) -> Option<Operation> {
    let wanted = wire::Operation::try_from(operation).ok()?;
    Operation::ALL.into_iter().find(|known| operation_to_wire(*known) == wanted)
}

pub(crate) fn target_to_wire(target: Target) -> wire::OperateTarget {
    let Target { queue, message } = target;
    wire::OperateTarget { queue, message }
}

pub(crate) fn target_from_wire(target: wire::OperateTarget) -> Target {
    let wire::OperateTarget { queue, message } = target;
    Target { queue, message }
}

pub(crate) fn operated_to_wire(operated: Operated) -> wire::Operated {
    use wire::operated::Outcome as Kind;
    let (kind, said, messages) = match operated.outcome {
        Outcome::Done { messages } => (Kind::Done, Box::default(), messages),
        Outcome::Pending => (Kind::Pending, Box::default(), 0),
        Outcome::Refused(why) => (Kind::Refused, why, 0),
        Outcome::NotDurable(why) => (Kind::NotDurable, why, 0),
    };
    let mut told = wire::Operated {
        target: Some(target_to_wire(operated.target)),
        outcome: kind.into(),
        text: said.into(),
        messages,
        queue_name: operated.queue_name.into(),
        status: operated.status.into(),
        ..wire::Operated::default()
    };
    if let Some(message) = operated.message {
        told.message_id = Bytes::copy_from_slice(message.id.as_bytes());
        told.sender = message.sender.to_string();
        told.recipients = message.recipients.iter().map(ToString::to_string).collect();
    }
    told
}

pub(crate) fn operated_from_wire(told: &wire::Operated) -> Result<Operated, WireError> {
    use wire::operated::Outcome as Kind;
    let target = told.target.map(target_from_wire).ok_or(WireError::Invalid("target"))?;
    let said = without_controls(&told.text);
    let outcome = match Kind::try_from(told.outcome) {
        Ok(Kind::Done) => Outcome::Done { messages: told.messages },
        Ok(Kind::Pending) => Outcome::Pending,
        Ok(Kind::Refused) => Outcome::Refused(said),
        Ok(Kind::NotDurable) => Outcome::NotDurable(said),
        Ok(Kind::Unspecified) | Err(_) => return Err(WireError::Invalid("outcome")),
    };
    if told.recipients.len() > RECIPIENTS_MAX {
        return Err(WireError::Invalid("number of recipients"));
    }
    let message = match told.message_id.as_ref() {
        [] => None,
        id => Some(OperatedMessage {
            id: MessageId::from_bytes(id.try_into().map_err(|_| WireError::Invalid("message id"))?),
            sender: ReversePath::parse(&told.sender)?,
            recipients: told.recipients.iter().map(|text| Address::parse(text)).collect::<Result<_, _>>()?,
        }),
    };
    Ok(Operated {
        target,
        outcome,
        queue_name: without_controls(&told.queue_name),
        status: without_controls(&told.status),
        message,
    })
}

pub(crate) fn peer_to_wire(peer: PeerEntry) -> wire::Peer {
    wire::Peer {
        server: peer.server.to_string(),
        service: peer.service.to_string(),
        failed: peer.failed,
        failures: peer.failures,
        failing_since_millis: peer.failing_since.map(Timestamp::as_millis),
        last_failure_millis: peer.last_failure.map(Timestamp::as_millis),
        last_success_millis: peer.last_success.map(Timestamp::as_millis),
        last_error: text(peer.last_error),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as the others of its kind, which keep what they are given")]
pub(crate) fn peer_from_wire(peer: wire::Peer) -> Result<PeerEntry, WireError> {
    Ok(PeerEntry {
        server: ServerName::parse(&peer.server).map_err(|_| WireError::Invalid("server name"))?,
        service: peer.service.parse().map_err(|_| WireError::Invalid("service"))?,
        failed: peer.failed,
        failures: peer.failures,
        failing_since: peer.failing_since_millis.map(Timestamp::from_millis),
        last_failure: peer.last_failure_millis.map(Timestamp::from_millis),
        last_success: peer.last_success_millis.map(Timestamp::from_millis),
        last_error: optional(&peer.last_error),
    })
}

pub(crate) fn gateway_to_wire(gateway: GatewayEntry) -> wire::Gateway {
    let state = match gateway.state {
        GatewayState::Agents { free, at_work } => wire::gateway::State::Agents(wire::Agents { free, at_work }),
        GatewayState::Drop { directory, held, trouble } => wire::gateway::State::Drop(wire::DropDirectory {
            path: directory.into(),
            held: held.map(ByteSize::as_u64),
            trouble: text(trouble),
        }),
    };
    wire::Gateway { connector: gateway.connector.to_string(), state: Some(state) }
}

pub(crate) fn gateway_from_wire(gateway: wire::Gateway) -> Result<GatewayEntry, WireError> {
    let connector = gateway.connector.parse().map_err(|_| WireError::Invalid("connector"))?;
    let state = match gateway.state.ok_or(WireError::Missing("the state of a connector"))? {
        wire::gateway::State::Agents(wire::Agents { free, at_work }) => GatewayState::Agents { free, at_work },
        wire::gateway::State::Drop(drop) => GatewayState::Drop {
            directory: without_controls(&drop.path),
            held: drop.held.map(ByteSize::bytes),
            trouble: optional(&drop.trouble),
        },
    };
    Ok(GatewayEntry { connector, state })
}
