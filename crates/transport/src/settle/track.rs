//! What this service writes into the message tracking log (docs/rules.md, Logs): each line says what happened to a message here, and,
//! where routing decided, by which configuration, for which next hop and by which rule.

use std::path::Path;

use categorizer::{Categorized, Origin, ResolvedRecipient};
use envelope::{Address, MessageHead, MessageId, OriginKind, Reply, ReversePath, TraceContext};
use logs::tracking::{EventId, Source, TrackingEvent, internal_id};
use queue::{ReadError, StoredMessage};
use routing::{DeliveryType, Route};
use scheduler::Item;

use crate::core::Core;
use crate::ground::decision::{connector, rule};
use crate::ground::fate::{Fate, FateKind};
use crate::ground::parcel::Parcel;
use crate::ground::seen::Seen;

/// `connector-id` of what is handed to services of the organization (docs/rules.md, Send connectors: the implicit connector).
const IMPLICIT: &str = "Intra-Organization SMTP Send Connector";
/// `recipient-status` of a recipient that the next hop took.
const TAKEN: &str = "250 2.1.5 Recipient OK";

fn event(core: &Core, head: &MessageHead, id: EventId, source: Source) -> TrackingEvent {
    let mut event = TrackingEvent::new(core.now(), id, source, head.id, head.envelope.reverse_path.clone());
    event.size = head.size;
    event.originating = !matches!(head.origin.kind, OriginKind::Anonymous | OriginKind::ExternallySecured);
    if let Some(trace) = head.trace {
        // The id of the message is another on every server; its trace is the same on all.
        event.custom_data = format!("Trace={trace}").into();
    }
    event
}

/// LG-18: whether subjects are written down.
fn subjects(core: &Core) -> bool {
    core.node.tables().local_server().transport.logs.message_tracking_subjects
}

/// The decision behind an event, in words that a script can take apart.
fn decision(route: &Route, revision: envelope::Revision) -> String {
    let key = &route.key;
    format!("DeliveryType={};NextHop={};Revision={revision};Rule={}", key.delivery_type, key.domain, rule(route).0)
}

/// RECEIVE: taken over, durably. A notification made here is not received: [`notified`].
pub(crate) fn received(core: &Core, head: &MessageHead, seen: &Seen) {
    core.tracking.record(TrackingEvent {
        internet_message_id: seen.message_id.clone(),
        subject: seen.subject.clone().filter(|_| subjects(core)), // LG-18
        client_address: seen.client_address,
        client_hostname: seen.client_name.clone(),
        server_hostname: core.node.server().as_str().into(),
        // Of the server where the message entered the organization: its name says which.
        connector: head.origin.connector.clone(),
        recipients: head.envelope.recipients.iter().map(|recipient| (recipient.address.clone(), None)).collect(),
        ..event(core, head, EventId::Receive, seen.source.unwrap_or(Source::Smtp))
    });
}

/// BADMAIL: a file of Pickup or Replay is no message to send (PL-65). It is none, so it has no identity of its own.
pub(crate) fn bad_mail(core: &Core, source: Source, file: &Path, why: &str) {
    let id = core.node.clock.message_id();
    let event = TrackingEvent::new(core.now(), EventId::BadMail, source, id, ReversePath::Null);
    let source_context = format!("{}: {why}", file.display()).into();
    core.tracking.record(TrackingEvent { source_context, ..event });
}

/// DSN: a notification was made. Its reference is found in the trace that it shares with the original.
pub(crate) fn notified(core: &Core, stored: &StoredMessage) {
    let head = &stored.head;
    core.tracking.record(TrackingEvent {
        server_hostname: core.node.server().as_str().into(),
        recipients: head.envelope.recipients.iter().map(|recipient| (recipient.address.clone(), None)).collect(),
        ..event(core, head, EventId::Dsn, Source::Dsn)
    });
}

/// EXPAND, RESOLVE, FAIL, DEFER, and TRANSFER for each copy of a message that is divided.
pub(crate) fn decided(
    core: &Core,
    stored: &StoredMessage,
    trace: Option<TraceContext>,
    given: &[u32],
    decided: &Categorized,
) {
    let head = &MessageHead { trace, ..stored.head.for_recipients(Vec::new()) };
    let was = |origin: Origin| match origin {
        Origin::Envelope(position) => {
            let at = given.get(position.0).copied()?;
            stored.head.envelope.recipients.get(at as usize).map(|recipient| &recipient.address)
        }
        Origin::Member(_) => None,
    };
    for expanded in &decided.expanded {
        let members = decided.copies.iter().flat_map(|copy| &copy.recipients);
        let members = members.filter(|member| member.origin == Origin::Member(expanded.position));
        core.tracking.record(TrackingEvent {
            recipients: members.map(|member| (member.recipient.address.clone(), None)).collect(),
            related_recipient: Some(expanded.recipient.address.clone()),
            ..event(core, head, EventId::Expand, Source::Routing)
        });
    }
    for resolved in decided.copies.iter().flat_map(|copy| &copy.recipients) {
        let now = &resolved.recipient.address;
        if let Some(before) = was(resolved.origin).filter(|before| before.as_str() != now.as_str()) {
            core.tracking.record(TrackingEvent {
                recipients: vec![(now.clone(), None)],
                related_recipient: Some(before.clone()),
                ..event(core, head, EventId::Resolve, Source::Resolver)
            });
        }
    }
    for failed in &decided.failed {
        let status = failed.failure.reply().to_string();
        core.tracking.record(TrackingEvent {
            recipients: vec![(failed.recipient.address.clone(), Some(status.into()))],
            ..event(core, head, EventId::Fail, Source::Routing)
        });
    }
    let waiting = decided.unreachable.iter().map(|found| (&found.recipient, found.reason.to_string()));
    let waiting = waiting.chain(decided.deferred.iter().map(|found| (&found.recipient, found.reason.to_string())));
    for (recipient, reason) in waiting {
        core.tracking.record(TrackingEvent {
            source_context: format!("{reason};Revision={}", decided.revision).into(),
            recipients: vec![(recipient.recipient.address.clone(), None)],
            ..event(core, head, EventId::Defer, Source::Routing)
        });
    }
    if decided.copies.len() > 1 {
        for copy in &decided.copies {
            core.tracking.record(TrackingEvent {
                source_context: decision(&copy.route, decided.revision).into(),
                connector: connector(&core.node.tables(), copy.route.connector).unwrap_or_default(),
                recipients: addresses(&copy.recipients),
                reference: internal_id(head.id).to_string().into(),
                ..event(core, head, EventId::Transfer, Source::Routing)
            });
        }
    }
}

fn addresses(recipients: &[ResolvedRecipient]) -> Vec<(Address, Option<Box<str>>)> {
    recipients.iter().map(|resolved| (resolved.recipient.address.clone(), None)).collect()
}

/// SEND, FAIL and DEFER: what the next hop made of a copy.
pub(crate) fn sent(
    core: &Core,
    copy: &Parcel,
    route: &Route,
    peer: &str,
    fates: &[Fate],
    error: Option<&str>,
    later: &[u32],
) {
    let head = &copy.stored.as_read().head;
    let source = match route.key.delivery_type {
        DeliveryType::NonSmtpGatewayDelivery => Source::Gateway,
        DeliveryType::DeliveryAgent => Source::Agent,
        _ => Source::Smtp,
    };
    let connector = match route.key.delivery_type {
        DeliveryType::DnsConnectorDelivery
        | DeliveryType::SmartHostConnectorDelivery
        | DeliveryType::NonSmtpGatewayDelivery
        | DeliveryType::DeliveryAgent => connector(&core.node.tables(), route.connector).unwrap_or_default(),
        _ => IMPLICIT.into(),
    };
    let address = |at: u32| head.envelope.recipients.get(at as usize).map(|recipient| recipient.address.clone());
    let line = |id: EventId, recipients: Vec<(Address, Option<Box<str>>)>| {
        if recipients.is_empty() {
            return;
        }
        core.tracking.record(TrackingEvent {
            client_hostname: core.node.server().as_str().into(),
            server_hostname: peer.into(),
            source_context: decision(route, copy.item.decided).into(),
            connector: connector.clone(),
            recipients,
            ..event(core, head, id, source)
        });
    };
    let (mut taken, mut failed) = (Vec::new(), Vec::new());
    for fate in fates {
        let Some(address) = address(fate.position) else { continue };
        match &fate.kind {
            FateKind::Failed { reply, .. } => failed.push((address, Some(reply.to_string().into()))),
            _ => taken.push((address, Some(Box::from(TAKEN)))),
        }
    }
    line(EventId::Send, taken);
    line(EventId::Fail, failed);
    let why = error.map(Box::<str>::from);
    line(EventId::Defer, later.iter().filter_map(|at| Some((address(*at)?, why.clone()))).collect());
}

/// FAIL: nothing of it can be read any more, sender and recipients included.
pub(crate) fn lost(core: &Core, message: MessageId, error: &ReadError) {
    let source_context = error.to_string().into();
    let event = TrackingEvent::new(core.now(), EventId::Fail, Source::Queue, message, ReversePath::Null);
    core.tracking.record(TrackingEvent { source_context, ..event });
}

/// FAIL: too old, or DNS says that it can never be delivered.
pub(crate) fn given_up(core: &Core, stored: &StoredMessage, item: &Item, reply: &Reply, source: Source) {
    ended(core, stored, item, reply, EventId::Fail, source);
}

/// FAIL: an administrator removed it (QU-58).
pub(crate) fn removed(core: &Core, stored: &StoredMessage, item: &Item, reply: &Reply) {
    ended(core, stored, item, reply, EventId::Fail, Source::Admin);
}

/// POISONMESSAGE: it failed this program too often (QU-15).
pub(crate) fn poison(core: &Core, stored: &StoredMessage, item: &Item) {
    let reply = Reply::new(550, envelope::EnhancedStatus::new(5, 3, 0), "Poison message");
    ended(core, stored, item, &reply, EventId::PoisonMessage, Source::Queue);
}

fn ended(core: &Core, stored: &StoredMessage, item: &Item, reply: &Reply, id: EventId, source: Source) {
    let status: Box<str> = reply.to_string().into();
    let recipients = item.recipients.as_slice().iter().filter_map(|at| {
        let recipient = stored.head.envelope.recipients.get(*at as usize)?;
        Some((recipient.address.clone(), Some(status.clone())))
    });
    core.tracking.record(TrackingEvent { recipients: recipients.collect(), ..event(core, &stored.head, id, source) });
}
