//! Connections of the delivery queues: open the next hop, take the oldest item, send it, settle it, take the next.
//!
//! What differs between next hops is behind [`Hop`]: an SMTP session (of this server or through a front end), another
//! server's Transport, or Mailbox Transport Delivery. The order of attempts is routing's; when to try again is the
//! scheduler's; here is only the doing.

mod connector;
mod mailbox;
pub(crate) mod outbound;
pub(crate) mod outgoing;
mod relay;
mod spans;
pub(crate) mod started;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use envelope::{MessageHead, MessageId, Reply, Revision, Timestamp};
use futures::FutureExt;
use queue::{ReadError, RecipientState, StoredMessage};
use routing::{DeliveryType, Route};
use scheduler::{Item, LaneId, RecipientIndexes};
use telemetry::named::{Attempt, SendMetrics};
use telemetry::{HopName, keys};
use tokio::sync::Semaphore;

use self::outgoing::Outgoing;
pub(crate) use self::spans::Wait;
use self::spans::{Attempted, attempts_before, describe, replied};
use crate::categorize;
use crate::core::Core;
use crate::settle::track;
use crate::settle::{self, Fate, FateKind};
use crate::whereabouts::Place;

/// A connection without work waits this long for more before it closes. Source: Postfix keeps idle connections 2 s; a
/// session costs the peer more than it costs us.
const IDLE_TIME: Duration = Duration::from_secs(2);

/// One item on its way: the recipients that travel together.
pub(crate) struct Copy {
    pub(crate) item: Item,
    pub(crate) stored: StoredMessage,
    /// Head as the next hop is to see it: with these recipients.
    pub(crate) head: MessageHead,
}

/// What the next hop made of one recipient.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It has taken responsibility.
    Taken(Taken),
    /// Not now.
    Later(Arc<str>),
    /// The mailbox's database is active elsewhere.
    Elsewhere(Arc<str>),
    /// Never.
    Never {
        /// What it answered.
        reply: Reply,
        /// Who answered (DS-10).
        remote: Option<String>,
    },
}

/// Who has the message now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Taken {
    /// A mailbox.
    Mailbox,
    /// A server of the organization.
    Server,
    /// A host outside.
    Host { reports_itself: bool },
}

/// The result of one transfer.
pub(crate) enum Sent {
    /// One answer per recipient.
    Answers(Vec<Answer>),
    /// The next hop cannot be reached any more: nothing is decided.
    Lost(Arc<str>),
}

/// An open way to a next hop.
#[async_trait]
pub(crate) trait Hop: Send {
    /// Sends one message. What is answered is told to `span` as well.
    async fn send(&mut self, copy: &Copy, content: Outgoing, span: &mut telemetry::Hop) -> Sent;
    /// Whether another one may follow.
    async fn is_reusable(&mut self) -> bool;
    /// Who is at the other end, for traces.
    fn peer(&self) -> String;
    /// Ends it in good manners.
    async fn close(self: Box<Self>);
}

/// A next hop that could not be opened.
pub(crate) struct OpenFailure {
    /// Permanent only when no attempt can ever work: the domain does not exist or takes no mail.
    pub(crate) permanent: Option<Reply>,
    /// The full cause.
    pub(crate) error: Arc<str>,
}

async fn open(core: &Arc<Core>, route: &Route) -> Result<Box<dyn Hop>, OpenFailure> {
    match route.key.delivery_type {
        DeliveryType::DnsConnectorDelivery | DeliveryType::SmartHostConnectorDelivery => {
            connector::open(core, route).await
        }
        DeliveryType::SmtpDeliveryToMailbox => mailbox::open(core, route).await,
        DeliveryType::SmtpRelayToDag
        | DeliveryType::SmtpRelayToMailboxDeliveryGroup
        | DeliveryType::SmtpRelayToConnectorSourceServers
        | DeliveryType::SmtpRelayToRemoteActiveDirectorySite
        | DeliveryType::SmtpRelayToServers
        | DeliveryType::SmtpRelayWithinAdSiteToEdge => relay::open(core, route).await,
        DeliveryType::DeliveryAgent
        | DeliveryType::NonSmtpGatewayDelivery
        | DeliveryType::ShadowRedundancy
        | DeliveryType::Undefined
        | DeliveryType::Unreachable => {
            let error = format!("{} is not a next hop of this version", route.key.delivery_type).into();
            Err(OpenFailure { permanent: None, error })
        }
    }
}

/// Messages that one connection carries before it is closed (SC-90, LM-23); `None` is no limit.
fn messages_per_connection(core: &Core, route: &Route) -> Option<u32> {
    let tables = core.node.tables();
    let limit = match route.connector.and_then(|guid| tables.organization().send_connector(guid)) {
        Some(connector) if route.key.delivery_type.category() == routing::NextHopCategory::External => {
            connector.smtp_max_messages_per_connection
        }
        // A stream of the implicit connector outlives any number of messages: the documented limit of 20 guards SMTP
        // sessions, of which there are none here.
        _ => 0,
    };
    (limit > 0).then_some(limit)
}

/// One connection of a lane, from opening to closing.
pub(crate) async fn run_connection(core: Arc<Core>, lane: LaneId) {
    let Some(route) = core.queues(|queues| queues.route(lane)) else {
        disconnected(&core, lane);
        return;
    };
    let began = core.now();
    let hop = match open(&core, &route).await {
        Ok(hop) => hop,
        Err(failure) => return open_failed(&core, lane, &route, began, failure).await,
    };
    core.queues(|queues| queues.connected(lane));
    let limit = messages_per_connection(&core, &route);
    let metrics = is_external(&route).then(|| connector_metrics(&core, &route)).flatten();
    let mut connection = Connection { limit, core, lane, route, hop, metrics, settled: 0 };
    let end = connection.work().await;
    connection.close(end).await;
}

/// Whether the next hop is one of a Send connector, and not a server that has the connector.
fn is_external(route: &Route) -> bool {
    matches!(route.key.delivery_type, DeliveryType::DnsConnectorDelivery | DeliveryType::SmartHostConnectorDelivery)
}

fn connector_metrics(core: &Core, route: &Route) -> Option<SendMetrics> {
    let tables = core.node.tables();
    let connector = tables.organization().send_connector(route.connector?)?;
    Some(core.node.metrics.of_send_connector(connector))
}

async fn open_failed(core: &Arc<Core>, lane: LaneId, route: &Route, began: Timestamp, failure: OpenFailure) {
    tracing::info!(error = &*failure.error, "the next hop cannot be reached");
    if let Some(reply) = failure.permanent {
        while let Some(item) = core.queues(|queues| queues.take(lane)) {
            match core.spool.head(item.message).await {
                Ok(stored) => {
                    core.node.metrics.failed.increment();
                    settle::give_up(core, &stored, &item, &reply, None).await;
                }
                Err(error) => categorize::unreadable(core, &item, &error),
            }
            core.queues(|queues| queues.left(lane));
        }
    }
    let now = core.now();
    let (demands, until) = core.queues(|queues| {
        let demands = queues.connect_failed(lane, Arc::clone(&failure.error), now);
        (demands, queues.retry_at(lane))
    });
    core.meet_all(demands);
    if let Some(until) = until {
        spans::trace_failure(core, lane, route, (began, now), &Wait { until, why: failure.error }).await;
    }
}

fn disconnected(core: &Arc<Core>, lane: LaneId) {
    let now = core.now();
    let demands = core.queues(|queues| queues.disconnected(lane, now));
    core.meet_all(demands);
}

/// Why a connection ends.
enum End {
    /// Nothing left to do, the limit was reached, or the service drains.
    Done,
    /// The next hop went away.
    Lost(Arc<str>),
}

struct Connection {
    core: Arc<Core>,
    lane: LaneId,
    route: Route,
    hop: Box<dyn Hop>,
    limit: Option<u32>,
    /// Of the Send connector, where it is one.
    metrics: Option<SendMetrics>,
    /// Messages that the next hop answered.
    settled: u32,
}

impl Connection {
    async fn work(&mut self) -> End {
        let bell = self.core.bell(self.lane);
        let end = loop {
            if self.core.drain.is_cancelled() || self.limit.is_some_and(|limit| self.settled >= limit) {
                break End::Done;
            }
            let Some((item, taken)) = self.core.take_or_idle(self.lane) else {
                if self.wait(&bell).await {
                    continue;
                }
                break End::Done;
            };
            if self.settled > 0 && !self.hop.is_reusable().await {
                self.core.put_back(self.lane, item, taken);
                break End::Done;
            }
            let core = Arc::clone(&self.core);
            let place = Place::Connection(self.lane, self.route.clone());
            let _held = core.whereabouts.hold(item.clone(), place);
            match AssertUnwindSafe(self.deliver(item.clone(), taken)).catch_unwind().await {
                Ok(None) => self.settled += 1,
                Ok(Some(lost)) => break End::Lost(lost),
                // A fault of ours must not take the message along, nor be met again at once.
                Err(_) => {
                    tracing::error!(message = %item.message, "the delivery of a message failed");
                    self.core.defer(self.lane, item, "the delivery failed".into(), taken);
                    self.settled += 1;
                    break End::Done;
                }
            }
        };
        self.core.put_away_bell(self.lane, bell);
        end
    }

    /// Waits, idle, for work; `false` when none came and the connection is to close.
    async fn wait(&mut self, bell: &Semaphore) -> bool {
        let rung = async {
            bell.acquire().await.expect("it is never closed").forget();
        };
        tokio::select! {
            () = rung => return true,
            () = self.core.drain.cancelled() => {}
            () = tokio::time::sleep(IDLE_TIME) => {}
        }
        if self.core.queues(|queues| queues.stop_idling(self.lane)) {
            return false;
        }
        // It was woken this moment: the ring is for it, and must not be left for somebody who is not.
        bell.acquire().await.expect("it is never closed").forget();
        true
    }

    /// Sends one item and settles it. Gives the cause when the next hop was lost; the item is back in its queue then.
    async fn deliver(&mut self, item: Item, taken: Revision) -> Option<Arc<str>> {
        let copy = match load(&self.core, &item).await {
            Ok(copy) => copy,
            Err(error) => {
                self.unreadable(&item, &error);
                return None;
            }
        };
        let content = match self.content(item.message).await {
            Ok(content) => content,
            Err(error) => {
                self.unreadable(&item, &error);
                return None;
            }
        };
        let (sent, copy, attempted) = self.send(copy, content).await;
        match sent {
            Sent::Answers(answers) => {
                let wait = self.settle(copy, answers, taken).await;
                attempted.end(wait);
                None
            }
            Sent::Lost(error) => {
                attempted.end(self.lost(item, &error, taken));
                Some(error)
            }
        }
    }

    /// Gives when the item is tried again.
    fn lost(&self, item: Item, error: &Arc<str>, taken: Revision) -> Option<Wait> {
        if self.settled == 0 {
            // The lane goes to Retry before the item is back: otherwise it would ask for a connection at once.
            let now = self.core.now();
            let demands = self.core.queues(|queues| queues.connection_lost(self.lane, Arc::clone(error), now));
            self.core.meet_all(demands);
        }
        if item.deferrals == 0 {
            self.core.put_back(self.lane, Item { deferrals: 1, ..item }, taken);
            let until = self.core.queues(|queues| queues.retry_at(self.lane))?;
            Some(Wait { until, why: Arc::clone(error) })
        } else {
            // Perhaps it is this message that makes the next hop go away: it must not stand in front of all others again.
            self.core.defer(self.lane, item, Arc::clone(error), taken)
        }
    }

    async fn content(&mut self, stored: MessageId) -> Result<Outgoing, ReadError> {
        let reader = self.core.spool.content(stored).await?;
        outgoing::prepare(reader, connector::header_path(&self.route)).await
    }

    async fn send(&mut self, mut copy: Copy, content: Outgoing) -> (Sent, Copy, Attempted) {
        let started = self.core.now();
        let name = if is_external(&self.route) { HopName::Send } else { HopName::Transfer };
        let mut hop = self.core.node.tracer.start(name, copy.head.trace, started);
        copy.head.trace = hop.context();
        hop.attribute(keys::MESSAGE_ID, &copy.head.id);
        describe(&self.core, &mut hop, &self.route, &copy.item);
        hop.attribute(keys::ATTEMPT, &(attempts_before(&copy) + 1));
        hop.attribute(keys::RECIPIENTS, &(copy.head.envelope.recipients.len() as u64));
        let sent = self.hop.send(&copy, content, &mut hop).await;
        hop.attribute(keys::SERVER_ADDRESS, self.hop.peer().as_str());
        let ended = self.core.now();
        if let Some(metrics) = &self.metrics {
            metrics.attempted(attempt(&sent), ended.since(started));
        }
        let attempted = Attempted::new(hop, ended, &sent);
        (sent, copy, attempted)
    }

    /// Gives until when the recipients wait that are to be tried again.
    async fn settle(&mut self, copy: Copy, answers: Vec<Answer>, taken: Revision) -> Option<Wait> {
        let core = &self.core;
        let (mut fates, mut later, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
        let mut error: Option<Arc<str>> = None;
        for (position, answer) in copy.item.recipients.as_slice().iter().copied().zip(answers) {
            match answer {
                Answer::Taken(taken) => fates.push(Fate { position, kind: taken.into() }),
                Answer::Never { reply, remote } => {
                    fates.push(Fate { position, kind: FateKind::Failed { reply, remote } })
                }
                Answer::Later(why) => {
                    later.push(position);
                    error = Some(why);
                }
                Answer::Elsewhere(why) => {
                    elsewhere.push(position);
                    error = Some(why);
                }
            }
        }
        if later.is_empty() && elsewhere.is_empty() {
            self.count(&fates);
        }
        track::sent(core, &copy, &self.route, &self.hop.peer(), &fates, error.as_deref(), &later);
        let everything = copy.item.recipients.as_slice().len() == fates.len();
        let quiet =
            everything && fates.len() == copy.stored.states.len() && fates.iter().all(|fate| is_quiet(&copy, fate));
        if !quiet {
            settle::decide(core, &copy.stored, fates).await;
        }
        if let Some(error) = &error {
            core.spool.update(copy.item.message, &attempted(&copy, &later, error));
        }
        self.pass_on(&copy, &later, &elsewhere, error, taken)
    }

    /// Gives the lane its item back, or what is left of it.
    fn pass_on(
        &self,
        copy: &Copy,
        later: &[u32],
        elsewhere: &[u32],
        error: Option<Arc<str>>,
        taken: Revision,
    ) -> Option<Wait> {
        let (core, lane) = (&self.core, self.lane);
        let rest =
            |positions: &[u32]| Some(Item { recipients: RecipientIndexes::new(positions)?, ..copy.item.clone() });
        let (later, elsewhere) = (rest(later), rest(elsewhere));
        if later.is_some() && elsewhere.is_some() {
            core.divide(copy.item.message, 2);
        }
        let mut wait = None;
        match (later, &elsewhere) {
            (Some(item), _) => wait = core.defer(lane, item, error.unwrap_or_else(|| "deferred".into()), taken),
            (None, Some(_)) => core.queues(|queues| queues.left(lane)),
            (None, None) => {
                core.queues(|queues| queues.done(lane, core.now()));
                settle::finish_share(core, copy.item.message);
            }
        }
        if let Some(item) = elsewhere {
            let rerouted = categorize::reroute(core, item, copy.head.revision);
            wait = wait.or(Some(rerouted));
        }
        wait
    }

    /// The item has come to its end: with whatever became of the recipients that it had last.
    fn count(&self, fates: &[Fate]) {
        let failed = fates.iter().filter(|fate| matches!(fate.kind, FateKind::Failed { .. })).count();
        if fates.len() > failed {
            self.core.node.metrics.delivered.add(self.route.key.delivery_type.as_str(), 1);
        } else if failed > 0 {
            self.core.node.metrics.failed.increment();
        }
    }

    fn unreadable(&self, item: &Item, error: &ReadError) {
        categorize::unreadable(&self.core, item, error);
        self.core.queues(|queues| queues.left(self.lane));
    }

    async fn close(self, end: End) {
        match end {
            // It has been counted as lost when it lost its message.
            End::Lost(error) if self.settled == 0 => tracing::info!(error = &*error, "a connection was lost"),
            End::Lost(_) | End::Done => disconnected(&self.core, self.lane),
        }
        self.hop.close().await;
    }
}

impl From<Taken> for FateKind {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Mailbox => Self::Delivered,
            Taken::Server => Self::Transferred,
            Taken::Host { reports_itself } => Self::Relayed { reports_itself },
        }
    }
}

/// Whether an outcome needs no record but the removal of the message: nobody asked to be told.
fn is_quiet(copy: &Copy, fate: &Fate) -> bool {
    let recipient = copy.stored.head.envelope.recipients.get(fate.position as usize);
    let asked = recipient.is_some_and(|recipient| recipient.notify_or_default().on_success());
    match &fate.kind {
        FateKind::Delivered | FateKind::Relayed { reports_itself: false } => !asked,
        FateKind::Transferred | FateKind::Relayed { reports_itself: true } => true,
        FateKind::Failed { .. } | FateKind::Expanded | FateKind::Merged => false,
    }
}

fn attempted(copy: &Copy, positions: &[u32], error: &Arc<str>) -> queue::Update {
    let states = positions.iter().filter_map(|at| match copy.stored.states.get(*at as usize)? {
        RecipientState::Pending(pending) => {
            let last_error = Some(Box::from(&**error));
            let attempts = pending.attempts.saturating_add(1);
            // The item knows it earlier than what is stored.
            let delay_notified = copy.item.delay_reported;
            Some((*at as usize, RecipientState::Pending(queue::Pending { attempts, last_error, delay_notified })))
        }
        _ => None,
    });
    queue::Update::states(states)
}

/// What an attempt came to, for the Send connector's metrics.
fn attempt(sent: &Sent) -> Attempt {
    match sent {
        Sent::Lost(_) => Attempt::Deferred,
        Sent::Answers(answers) if answers.iter().any(|answer| matches!(answer, Answer::Taken(_))) => Attempt::Delivered,
        Sent::Answers(answers) if answers.iter().all(|answer| matches!(answer, Answer::Never { .. })) => {
            Attempt::Failed
        }
        Sent::Answers(_) => Attempt::Deferred,
    }
}

/// Reads what an item stands for.
async fn load(core: &Core, item: &Item) -> Result<Copy, ReadError> {
    let stored = core.spool.head(item.message).await?;
    let all = &stored.head.envelope.recipients;
    let positions = item.recipients.as_slice();
    let recipients: Vec<_> = positions.iter().filter_map(|at| all.get(*at as usize).cloned()).collect();
    if recipients.len() < positions.len() {
        return Err(ReadError::Damaged(stored.head.id));
    }
    let mut head = stored.head.clone();
    head.envelope.recipients = recipients;
    head.revision = item.decided;
    Ok(Copy { item: item.clone(), stored, head })
}
