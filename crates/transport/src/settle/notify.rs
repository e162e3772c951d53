//! Delivery status notifications: who is told, what, and as which message (docs/rules.md, Notifications).

use std::sync::Arc;

use bytes::Bytes;
use envelope::{
    DsnReturn, Envelope, MessageHead, Notify, Origin, OriginKind, Recipient, Reply, ReversePath, TraceContext,
};
use message::{Action, HeaderBlock, HeaderCollector, Original, RecipientReport, Report};
use queue::{CommitError, Draft, RecipientState, StoredMessage};
use telemetry::{HopName, HopOutcome, keys};

use crate::core::Core;
use crate::ground::fate::{Fate, FateKind};

/// Name of the source of notifications in queue tools (DS-30).
const SOURCE: &str = "DSN";

/// A notification, ready to be stored.
pub(crate) struct Notice {
    pub(crate) draft: Draft,
    pub(crate) head: MessageHead,
}

impl Notice {
    /// What the spool will hold.
    pub(crate) fn stored(&self) -> StoredMessage {
        StoredMessage::new(self.head.clone())
    }
}

/// Writes the notification about `concerned`, if there is anybody who wants it: nobody is told about a message with the
/// null reverse-path (DS-04), and each recipient's `NOTIFY` decides (DS-02).
///
/// # Errors
/// [`CommitError`] when the spool cannot take it.
pub(crate) async fn compose(
    core: &Arc<Core>,
    stored: &StoredMessage,
    trace: Option<TraceContext>,
    action: Action,
    concerned: &[&Fate],
) -> Result<Option<Notice>, CommitError> {
    let fates = concerned.iter().filter_map(|fate| {
        let recipient = stored.head.envelope.recipients.get(fate.position as usize)?;
        wants(recipient.notify_or_default(), action).then_some((recipient, *fate))
    });
    let mut details: Vec<(&Recipient, Reply, Option<&str>, Option<&str>)> = Vec::new();
    for (recipient, fate) in fates {
        let (reply, remote, last_error) = match &fate.kind {
            FateKind::Failed { reply, remote, last_error } => (reply.clone(), remote.as_deref(), last_error.as_deref()),
            _ => (Reply::new(250, envelope::EnhancedStatus::new(2, 0, 0), ""), None, None),
        };
        details.push((recipient, reply, remote, last_error));
    }
    let reports: Vec<RecipientReport<'_>> = details
        .iter()
        .map(|(recipient, reply, remote, last_error)| RecipientReport {
            reply: (action == Action::Failed).then_some(reply),
            remote_mta: *remote,
            last_error: *last_error,
            last_attempt: Some(core.now()),
            ..RecipientReport::new(recipient, reply.status_or_generic())
        })
        .collect();
    write(core, stored, trace, action, &reports).await
}

/// Writes the notification that mail for `positions` is late (DS-20), those of `own` because of `last_error`, the others because
/// of what was recorded with them.
///
/// # Errors
/// As [`compose`].
pub(crate) async fn late(
    core: &Arc<Core>,
    stored: &StoredMessage,
    positions: &[u32],
    own: &[u32],
    last_error: Option<&str>,
) -> Result<Option<Notice>, CommitError> {
    let tables = core.node.tables();
    let settings = &tables.local_server().transport;
    if !tables.organization().transport_config().delay_dsn_enabled {
        return Ok(None);
    }
    let expires = stored.head.arrived.plus(settings.message_expiration_timeout.0);
    let concerned = positions.iter().filter_map(|at| Some((*at, stored.head.envelope.recipients.get(*at as usize)?)));
    let reports: Vec<RecipientReport<'_>> = concerned
        .filter(|(_, recipient)| wants(recipient.notify_or_default(), Action::Delayed))
        .map(|(at, recipient)| RecipientReport {
            last_error: if own.contains(&at) { last_error } else { recorded_error(stored, at) },
            last_attempt: Some(core.now()),
            will_retry_until: Some(expires),
            ..RecipientReport::new(recipient, envelope::EnhancedStatus::new(4, 4, 7))
        })
        .collect();
    write(core, stored, stored.head.trace, Action::Delayed, &reports).await
}

fn wants(notify: Notify, action: Action) -> bool {
    match action {
        Action::Failed => notify.on_failure(),
        Action::Delayed => notify.on_delay(),
        Action::Delivered | Action::Relayed | Action::Expanded => notify.on_success(),
    }
}

async fn write(
    core: &Arc<Core>,
    stored: &StoredMessage,
    trace: Option<TraceContext>,
    action: Action,
    reports: &[RecipientReport<'_>],
) -> Result<Option<Notice>, CommitError> {
    if reports.is_empty() {
        return Ok(None);
    }
    let ReversePath::Address(to) = &stored.head.envelope.reverse_path else {
        let recipients: Vec<&str> = reports.iter().map(|report| report.recipient.address.as_str()).collect();
        tracing::info!(message = %stored.head.id, ?action, ?recipients, "there is no sender to be told");
        return Ok(None);
    };
    let started = core.now();
    let tables = core.node.tables();
    let organization = tables.organization();
    let server = tables.local_server();
    let from = organization.postmaster(server).expect("a name and a domain are an address");
    let (header, body) = original(core, stored).await;
    let body_is_ascii = action != Action::Failed || is_ascii(core, stored).await;
    let id = core.node.clock.message_id();
    let report = Report {
        action,
        id,
        date: started,
        from: &from,
        to,
        reporting_mta: organization.default_domain().unwrap_or(&server.fqdn),
        generating_server: &server.fqdn,
        original: Original {
            envelope: &stored.head.envelope,
            header: HeaderBlock::new(&header),
            body_is_ascii,
            size: stored.head.size,
            arrival: stored.head.arrived,
        },
        recipients: reports,
        attached_size_max: organization.transport_config().dsn_max_message_attach_size,
        eight_bit_way: organization.is_authoritative(&to.domain()),
    };
    let dsn = report.build();
    let mut draft = core.spool.begin();
    let returned = if dsn.returns == DsnReturn::Full { Some(body) } else { None };
    write_draft(&mut draft, dsn.prefix, returned, dsn.suffix).await?;
    let mut hop = core.node.tracer.start(HopName::Notify, trace, started);
    hop.attribute(keys::MESSAGE_ID, &id);
    let addressee = Recipient { notify: Some(Notify::Never), ..Recipient::new(to.clone()) };
    let envelope =
        Envelope { body: dsn.body, smtputf8: dsn.smtputf8, ..Envelope::new(ReversePath::Null, vec![addressee]) };
    let head = MessageHead {
        id,
        envelope,
        arrived: started,
        size: draft.size(),
        original_size: Some(draft.size()),
        trace: hop.context(),
        revision: envelope::Revision::default(),
        origin: Origin { kind: OriginKind::Notification, connector: SOURCE.into() },
        backed_off: Vec::new(),
    };
    hop.end(core.now(), HopOutcome::Done);
    Ok(Some(Notice { draft, head }))
}

async fn write_draft(
    draft: &mut Draft,
    prefix: Vec<u8>,
    body: Option<Body>,
    suffix: Vec<u8>,
) -> Result<(), CommitError> {
    draft.write(Bytes::from(prefix)).await?;
    if let Some(Body { beginning, rest }) = body {
        draft.write(beginning).await?;
        if let Some(mut rest) = rest {
            // What cannot be read of the original is missing from the report, which its sender is owed all the same.
            while let Ok(Some(chunk)) = rest.chunk().await {
                draft.write(chunk).await?;
            }
        }
    }
    draft.write(Bytes::from(suffix)).await
}

/// The original after its header.
struct Body {
    beginning: Bytes,
    rest: Option<queue::ContentReader>,
}

/// The original's header, and the rest for streaming. An original that cannot be read is reported without content: the
/// sender must be told in any case.
async fn original(core: &Core, stored: &StoredMessage) -> (Vec<u8>, Body) {
    let nothing = Body { beginning: Bytes::new(), rest: None };
    let Ok(mut reader) = core.spool.content(stored.head.id).await else { return (Vec::new(), nothing) };
    let mut collector = HeaderCollector::new(message::split::ACCEPTED_HEADER_SIZE_MAX);
    while let Ok(Some(chunk)) = reader.chunk().await {
        match collector.push(&chunk) {
            Ok(None) => {}
            Ok(Some(end)) => {
                return (collector.into_block(), Body { beginning: chunk.slice(end..), rest: Some(reader) });
            }
            Err(_) => return (collector.into_block(), nothing),
        }
    }
    (collector.into_block(), nothing)
}

/// Whether the original holds nothing but ASCII, whatever its envelope said. What cannot be read is not attached either.
async fn is_ascii(core: &Core, stored: &StoredMessage) -> bool {
    let Ok(mut reader) = core.spool.content(stored.head.id).await else { return true };
    while let Ok(Some(chunk)) = reader.chunk().await {
        if !chunk.is_ascii() {
            return false;
        }
    }
    true
}

fn recorded_error(stored: &StoredMessage, at: u32) -> Option<&str> {
    match stored.states.get(at as usize)? {
        RecipientState::Pending(pending) => pending.last_error.as_deref(),
        _ => None,
    }
}

/// Everybody of a message who is late and whose sender was not told so: a message is late as a whole.
pub(crate) fn newly_late(stored: &StoredMessage) -> Vec<u32> {
    let late = |state: &RecipientState| matches!(state, RecipientState::Pending(pending) if !pending.delay_notified);
    (0..).zip(&stored.states).filter(|(_, state)| late(state)).map(|(at, _)| at).collect()
}

/// A recipient that was told to be late is remembered, so that it is told once.
pub(crate) fn marked_late(stored: &StoredMessage, positions: &[u32]) -> queue::Update {
    let states = positions.iter().filter_map(|at| match stored.states.get(*at as usize)? {
        RecipientState::Pending(pending) => {
            Some((*at as usize, RecipientState::Pending(queue::Pending { delay_notified: true, ..pending.clone() })))
        }
        _ => None,
    });
    queue::Update::states(states)
}
