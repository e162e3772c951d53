//! Taking messages over: the content goes to the spool as it comes, the receipt only after its sync, and only then the
//! message enters the Submission queue.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{ByteSize, Domain, EnhancedStatus, MessageHead, Receipt, Reply, Revision};
use futures::StreamExt;
use message::header::{INSIDE_HOP_COUNT_MAX, OWN_HOP_COUNT_MAX};
use message::{Glimpse, HeaderBlock, HeaderCollector, HeaderTooLarge, Protocol, Received};
use net::{PeerIdentity, Service};
use queue::{CommitError, Draft, Pending, RecipientState, StoredMessage};
use rpc::{Incoming, RecipientHistory, SubmitHandler};
use telemetry::metrics::Source;
use telemetry::{HopName, HopOutcome, keys};

use crate::core::Core;
use crate::ground::seen::Seen;
use crate::receive::stranger;
use crate::settle::track;

/// Octets of lines that servers of the organization add to a header on its way.
const WAY_OCTETS_MAX: u64 = 64 * 1024;
/// How often a message from another Transport may have been here before: as often as it may while the two know different
/// configurations, and as often again once they know the same.
const VISITS_MAX: usize = 2 * OWN_HOP_COUNT_MAX;
/// Messages refused because they have been here too often name this.
const LOOP: &str = "Hop count exceeded - possible mail loop";

/// Hands what comes over the implicit connector to the service.
pub(crate) struct Acceptor(pub(crate) Arc<Core>);

#[async_trait]
impl SubmitHandler for Acceptor {
    fn admits(&self, peer: &PeerIdentity) -> Result<(), Reply> {
        self.0.admits(source(peer))
    }

    async fn submit(&self, peer: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply> {
        let core = &self.0;
        // BP-15: before any of the content is looked at. The caller takes it for a failure of this server, and tries the next.
        message.signs.while_at(core.admit(source(peer))).await?;
        let started = core.now();
        let mut hop = core.node.tracer.start(HopName::Receive, message.head.trace, started);
        let Incoming { mut head, mut content, history, stranger, signs, .. } = message;
        if stranger {
            let tables = core.node.tables();
            stranger::may_enter(&head.envelope.recipients, tables.organization(), &*core.node.directory).await?;
            content = stranger::content(content, tables);
        }
        hop.attribute(keys::MESSAGE_ID, &head.id);
        hop.attribute(keys::SERVER_ADDRESS, peer.server.as_str());
        let source = source(peer);
        // QU-43: age is counted from the entry on this server. What another server was made to hand over is no younger for that.
        let history = history.filter(|_| source == Source::Transfer);
        head.arrived = history.as_ref().map_or(started, |history| started.minus(history.age));
        let decided = Some(head.revision).filter(|_| source == Source::Transfer);
        let mut intake = Intake::new(core, &head, peer.server.as_str(), decided).await?;
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| unread(&error))?;
            intake.write(piece).await?;
        }
        intake.check_hops()?;
        signs.while_at(intake.hear_of_configuration(core)).await;
        if let Some(id) = &intake.seen.message_id {
            hop.attribute(keys::INTERNET_MESSAGE_ID, id);
        }
        head.trace = hop.context();
        let states = history.map(|history| history.recipients.into_iter().map(pending).collect());
        let result = intake.commit(core, head, states.unwrap_or_default(), source).await;
        if source == Source::Transfer
            && let Some(metrics) = core.peers.of(&core.node, &peer.server)
        {
            if result.is_ok() { metrics.accepted() } else { metrics.refused() }
        }
        match &result {
            Ok(_) => hop.end(core.now(), HopOutcome::Done),
            Err(reply) => hop.end(core.now(), HopOutcome::Failed { status: reply.status_or_generic(), cause: reply }),
        }
        core.node.metrics.accept_duration.record(core.now().since(started));
        result
    }
}

/// What becomes of a message whose content does not come whole.
fn unread(error: &io::Error) -> Reply {
    match error.kind() {
        ErrorKind::InvalidData if error.get_ref().is_some_and(|cause| cause.is::<HeaderTooLarge>()) => {
            Reply::new(552, EnhancedStatus::new(5, 3, 4), error.to_string()) // LM-08
        }
        _ => Reply::new(451, EnhancedStatus::new(4, 4, 2), error.to_string()),
    }
}

fn source(peer: &PeerIdentity) -> Source {
    if peer.services.contains(&Service::Transport) {
        Source::Transfer
    } else if peer.services.contains(&Service::MailboxSubmission) {
        Source::Submission
    } else {
        Source::Smtp
    }
}

/// One message being received.
pub(crate) struct Intake {
    draft: Draft,
    /// Until the header is complete.
    header: Option<HeaderCollector>,
    added: u64,
    /// By which our own lines are known.
    own_name: Domain,
    /// The configuration by which another Transport decided to send it here, and this server's own.
    decided: Option<(Revision, Revision)>,
    /// It has been here before.
    returns: bool,
    /// Complete when the header is.
    pub(super) seen: Seen,
}

impl Intake {
    /// Begins with our own trace line. `decided` is the configuration by which another Transport sent it here.
    pub(crate) async fn new(
        core: &Core,
        head: &MessageHead,
        from: &str,
        decided: Option<Revision>,
    ) -> Result<Self, Reply> {
        let tables = core.node.tables();
        let received = Received {
            helo: from,
            peer: None,
            by: &tables.local_server().fqdn,
            protocol: Protocol::Rpc,
            tls: None,
            id: head.id,
            recipients: &head.envelope.recipients,
            date: head.arrived,
        };
        let line = Bytes::from(received.to_field());
        let mut draft = core.spool.begin();
        let added = line.len() as u64;
        draft.write(line).await.map_err(|error| refusal(&error))?;
        // What a connector let in has grown by the lines of the way.
        let limit = tables.organization().longest_header().max(message::split::HEADER_SIZE_MAX);
        let header = Some(HeaderCollector::new(ByteSize::bytes(limit.as_u64() + WAY_OCTETS_MAX)));
        let seen = Seen { client_name: from.into(), ..Seen::default() };
        let decided = decided.map(|decided| (decided, tables.revision()));
        Ok(Self { draft, header, added, own_name: tables.local_server().fqdn.clone(), decided, returns: false, seen })
    }

    pub(crate) async fn write(&mut self, piece: Bytes) -> Result<(), Reply> {
        if let Some(collector) = &mut self.header {
            let complete =
                collector.push(&piece).map_err(|error| Reply::new(552, error.status(), error.to_string()))?;
            if complete.is_some() {
                self.check_hops()?;
            }
        }
        self.draft.write(piece).await.map_err(|error| refusal(&error))
    }

    /// RT-74. Notifications are counted like all mail: their own hops are in their header, not those of the original.
    fn check_hops(&mut self) -> Result<(), Reply> {
        let Some(collector) = self.header.take() else { return Ok(()) };
        let block = collector.into_block();
        let Glimpse { subject, message_id, hops, visits } = HeaderBlock::new(&block).glimpse(self.own_name.ascii());
        self.seen.subject = subject.map(Into::into);
        self.seen.message_id = message_id.map(|id| format!("<{id}>").into());
        self.returns = visits > 0;
        // Each sends it to the other until both know the same: that is no loop, and does not make the sender's message void.
        if let Some((theirs, ours)) = self.decided
            && theirs != ours
            && visits > OWN_HOP_COUNT_MAX
        {
            let why = format!("servers work by configurations {theirs} and {ours}; it has been here too often");
            return Err(Reply::new(451, EnhancedStatus::new(4, 3, 2), why));
        }
        // How often a message may have been elsewhere, its entrance has judged.
        let visits_max = if self.decided.is_some() { VISITS_MAX } else { OWN_HOP_COUNT_MAX };
        if visits > visits_max || hops > INSIDE_HOP_COUNT_MAX {
            return Err(Reply::new(554, EnhancedStatus::new(5, 4, 6), LOOP));
        }
        Ok(())
    }

    /// What comes back from a server that knows of a newer configuration would go there once more by the one that is known here.
    async fn hear_of_configuration(&self, core: &Core) {
        if let Some((theirs, ours)) = self.decided.filter(|_| self.returns)
            && theirs > ours
        {
            // Without it, the message goes where it was going.
            let _ = core.node.tables_of(theirs).await;
        }
    }

    /// The content is complete.
    pub(crate) async fn commit(
        mut self,
        core: &Arc<Core>,
        mut head: MessageHead,
        states: Vec<RecipientState>,
        source: Source,
    ) -> Result<Receipt, Reply> {
        self.check_hops()?;
        let size = self.draft.size();
        let arrived_with = ByteSize::bytes(size.as_u64() - self.added);
        head.original_size.get_or_insert(arrived_with); // LM-02
        head.size = size;
        let Self { draft, seen, .. } = self;
        let mut stored = StoredMessage::new(head);
        if !states.is_empty() {
            stored.states = states;
        }
        commit(core, draft, stored, source, seen).await
    }
}

/// Makes a message durable and puts it into the Submission queue, unless it was there before. What has begun ends, whoever
/// waits for it: a client that hangs up, a connection that is closed. Or a message would be durable and in no queue.
pub(crate) async fn commit(
    core: &Arc<Core>,
    draft: Draft,
    message: StoredMessage,
    source: Source,
    seen: Seen,
) -> Result<Receipt, Reply> {
    let owned = Arc::clone(core);
    let work = Box::pin(async move { commit_and_submit(&owned, draft, message, source, &seen).await });
    let committing = core.work.spawn(work);
    committing.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a commit did not end");
        Err(Reply::new(451, EnhancedStatus::new(4, 3, 0), "Temporary server error"))
    })
}

async fn commit_and_submit(
    core: &Core,
    draft: Draft,
    message: StoredMessage,
    source: Source,
    seen: &Seen,
) -> Result<Receipt, Reply> {
    let mut span = core.node.tracer.start(HopName::Commit, message.head.trace, core.now());
    span.attribute(keys::MESSAGE_ID, &message.head.id);
    let committed = draft.commit_message(message.clone()).await.map_err(|error| refusal(&error));
    match &committed {
        Ok(_) => span.end(core.now(), HopOutcome::Done),
        Err(reply) => span.end(core.now(), HopOutcome::Failed { status: reply.status_or_generic(), cause: reply }),
    }
    let committed = committed?;
    if committed.is_new {
        core.node.metrics.accepted.add(source, 1);
        track::received(core, &message.head, seen);
        core.submit(Box::new(message));
    }
    Ok(committed.receipt)
}

/// A recipient that another server has tried before.
fn pending(history: RecipientHistory) -> RecipientState {
    let RecipientHistory { attempts, last_error, delay_reported } = history;
    RecipientState::Pending(Pending { attempts, last_error, delay_notified: delay_reported, ..Pending::default() })
}

/// What a sender is told when the spool cannot take the message: later, always.
pub(crate) fn refusal(error: &CommitError) -> Reply {
    tracing::error!(%error, "a message cannot be taken");
    let code = if matches!(error, CommitError::Full) { 452 } else { 451 };
    Reply::new(code, error.status(), "Insufficient system resources")
}
