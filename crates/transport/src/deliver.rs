//! Connections of the delivery queues: open the next hop, take the oldest item, send it, settle it, take the next.
//!
//! What differs between next hops is behind [`Hop`]: an SMTP session (of this server or through a front end), another
//! server's Transport, or Mailbox Transport Delivery. The order of attempts is routing's; when to try again is the
//! scheduler's; here is only the doing.

pub(crate) mod agent;
mod basis;
mod connector;
pub(crate) mod gateway;
mod mailbox;
pub(crate) mod outbound;
pub(crate) mod outgoing;
mod relay;
mod spans;
pub(crate) mod started;
mod told;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use envelope::{MessageHead, MessageId, Reply, Revision, Timestamp};
use futures::FutureExt;
use logs::tracking::Source;
use queue::{ReadError, RecipientState};
use routing::{DeliveryType, Route};
use scheduler::{Item, QueueId, RecipientIndexes, Work};
use telemetry::named::{Attempt, SendMetrics};
use telemetry::{HopName, keys};
use tokio::sync::Semaphore;

use self::basis::Basis;
use self::outgoing::Outgoing;
use self::spans::{Attempted, attempts_before, describe, replied};
use self::told::Told;
use crate::core::Core;
use crate::ground::answer::{Answer, Sent};
use crate::ground::fate::{Fate, FateKind};
use crate::ground::parcel::Parcel;
use crate::ground::wait::Wait;
use crate::hand::Hand;
use crate::settle::{self, track};

/// While other next hops have no connection at all, one that is being opened is waited for as long. Without others it has all
/// the time that RFC 5321 §4.5.3.2 gives it.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);
/// `LastError` of a next hop that was not waited for any longer.
const MADE_ROOM: &str =
    "no answer within 10 seconds, and other next hops wait for a connection (MaxOutboundConnections)";

/// The documented `DeferReason` of mail whose database moved (QU-64).
const REROUTED: &str = "Rerouted By Store Driver";

/// How often the next hop may go away with a message before that waits for itself: perhaps it is what drives the hop away.
const LOST_MAX: u16 = 1;
/// How often the next hop may say to a message that it takes none: as often as a queue is tried again soon (QU-33). A host may say
/// so of large messages alone.
const BUSY_MAX: u16 = 4;

/// A connection without work waits this long for more before it closes. Source: Postfix keeps idle connections 2 s; a
/// session costs the peer more than it costs us.
const IDLE_TIME: Duration = Duration::from_secs(2);

/// An open way to a next hop.
#[async_trait]
pub(crate) trait Hop: Send {
    /// Sends one message. What is answered is told to `span` as well.
    async fn send(&mut self, copy: &Parcel, content: Outgoing, span: &mut telemetry::Hop) -> Sent;
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
        DeliveryType::NonSmtpGatewayDelivery => gateway::open(core, route).await,
        DeliveryType::DeliveryAgent => agent::open(core, route).await,
        DeliveryType::ShadowRedundancy | DeliveryType::Undefined | DeliveryType::Unreachable => {
            let error = format!("{} is not a next hop of this version", route.key.delivery_type).into();
            Err(OpenFailure { permanent: None, error })
        }
    }
}

/// Messages that one connection carries before it is closed (SC-90, LM-23); `None` is no limit.
fn messages_per_connection(core: &Core, route: &Route) -> Option<u32> {
    let tables = core.node.tables();
    if let Some(connector) = agent::connector_of(tables.organization(), route) {
        return Some(connector.max_messages_per_connection).filter(|limit| *limit > 0); // EN-57
    }
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
pub(crate) async fn run_connection(core: Arc<Core>, lane: QueueId) {
    let Some(route) = core.ledger(|ledger| ledger.route(lane)) else {
        disconnected(&core, lane);
        return;
    };
    let (began, told) = (core.now(), Told::begun(&core, &route));
    let basis = Basis::of(&core.node.tables(), &route);
    let opening = async {
        tokio::select! {
            opened = open(&core, &route) => opened,
            () = makes_room(&core, lane) => Err(OpenFailure { permanent: None, error: MADE_ROOM.into() }),
            () = core.drain.cancelled() => Err(OpenFailure { permanent: None, error: "this service ends".into() }),
        }
    };
    let hop = match AssertUnwindSafe(opening).catch_unwind().await {
        Ok(Ok(hop)) => hop,
        Ok(Err(failure)) => {
            told.unreachable(&core, &route, &failure.error);
            return open_failed(&core, lane, &route, began, failure).await;
        }
        // A fault of ours must not keep the connection's place for ever.
        Err(_) => {
            let error: Arc<str> = "this program failed at opening a connection".into();
            told.unreachable(&core, &route, &error);
            return open_failed(&core, lane, &route, began, OpenFailure { permanent: None, error }).await;
        }
    };
    core.ledger(|ledger| ledger.connected(lane));
    told.established(&core, &route, &hop.peer());
    let limit = messages_per_connection(&core, &route);
    let metrics = is_external(&route).then(|| connector_metrics(&core, &route)).flatten();
    let mut connection = Connection { limit, core, lane, route, basis, hop, metrics, told, settled: 0 };
    let end = connection.work().await;
    connection.close(end).await;
}

/// Ends when a connection that is still being opened is to make room for a next hop that has none.
async fn makes_room(core: &Core, lane: QueueId) {
    loop {
        tokio::time::sleep(OPENING_PATIENCE).await;
        if core.ledger(|ledger| ledger.makes_room(lane)) {
            return;
        }
    }
}

/// Whether the next hop is one of a connector, and not a server that has the connector.
fn is_external(route: &Route) -> bool {
    matches!(
        route.key.delivery_type,
        DeliveryType::DnsConnectorDelivery
            | DeliveryType::SmartHostConnectorDelivery
            | DeliveryType::DeliveryAgent
            | DeliveryType::NonSmtpGatewayDelivery
    )
}

fn connector_metrics(core: &Core, route: &Route) -> Option<SendMetrics> {
    let tables = core.node.tables();
    let connector = tables.organization().send_connector(route.connector?)?;
    Some(core.node.metrics.of_send_connector(connector))
}

async fn open_failed(core: &Arc<Core>, lane: QueueId, route: &Route, began: Timestamp, failure: OpenFailure) {
    if let Some(reply) = failure.permanent {
        for taken in core.ledger(|ledger| ledger.take_all(lane)) {
            let hand = Hand::new(core, taken);
            match core.spool.head(hand.message()).await {
                Ok(stored) => {
                    core.node.metrics.failed.increment();
                    track::given_up(core, &stored, hand.item(), &reply, Source::Smtp);
                    settle::give_up(core, &stored, hand, &reply, None).await;
                }
                Err(error) => settle::unreadable(core, hand, &error),
            }
        }
    }
    let now = core.now();
    let (demands, until) = core.ledger_and_alarm(|ledger| {
        let demands = ledger.connect_failed(lane, Arc::clone(&failure.error), now);
        (demands, ledger.retry_at(lane))
    });
    core.meet_all(demands);
    agent::look_again(core, route);
    if let Some(until) = until {
        spans::trace_failure(core, lane, route, (began, now), &Wait { until, why: failure.error }).await;
    }
}

fn disconnected(core: &Arc<Core>, lane: QueueId) {
    let now = core.now();
    let demands = core.ledger_and_alarm(|ledger| ledger.disconnected(lane, now));
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
    lane: QueueId,
    route: Arc<Route>,
    /// What it was opened for. When the mail of its lane is for something else, it closes.
    basis: Basis,
    hop: Box<dyn Hop>,
    limit: Option<u32>,
    /// Of the Send connector, where it is one.
    metrics: Option<SendMetrics>,
    /// What is written down of it.
    told: Told,
    /// Messages that the next hop answered.
    settled: u32,
}

impl Connection {
    async fn work(&mut self) -> End {
        let bell = self.core.bell(self.lane);
        let end = loop {
            if self.core.rests() || self.limit.is_some_and(|limit| self.settled >= limit) {
                break End::Done;
            }
            let (hand, route) = match self.core.ledger(|ledger| ledger.take(self.lane)) {
                Work::Item(taken, route) => (Hand::new(&self.core, taken), route),
                Work::Idle if self.wait(&bell).await => continue,
                Work::Idle | Work::Close => break End::Done,
            };
            if !self.still_fits(&hand, route) || (self.settled > 0 && !self.hop.is_reusable().await) {
                hand.put_back();
                break End::Done;
            }
            match AssertUnwindSafe(self.deliver(hand)).catch_unwind().await {
                Ok(None) => self.settled += 1,
                Ok(Some(lost)) => break End::Lost(lost),
                // The item has gone back to the ledger, which sees to it that it is not met again at once.
                Err(_) => {
                    self.settled += 1;
                    break End::Done;
                }
            }
        };
        self.core.put_away_bell(self.lane, bell);
        end
    }

    /// Whether the connection leads where the item is to go: it may have been decided by a newer configuration, in which the
    /// database is active elsewhere, the servers are others, or the connector wants something else.
    fn still_fits(&mut self, hand: &Hand, route: Arc<Route>) -> bool {
        if Arc::ptr_eq(&self.route, &route) && self.basis.decided_by() >= hand.item().decided {
            return true;
        }
        let now = Basis::of(&self.core.node.tables(), &route);
        let fits = now.leads_where(&self.basis);
        if fits {
            (self.route, self.basis) = (route, now);
        } else {
            tracing::info!(next_hop = %self.route.key, peer = self.hop.peer(), "the connection does not lead there any more");
        }
        fits
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
        if self.core.ledger(|ledger| ledger.stop_idling(self.lane)) {
            return false;
        }
        // It was woken this moment: the ring is for it, and must not be left for somebody who is not.
        bell.acquire().await.expect("it is never closed").forget();
        true
    }

    /// Sends one item and settles it. Gives the cause when the next hop was lost; the item is back in its queue then.
    async fn deliver(&mut self, mut hand: Hand) -> Option<Arc<str>> {
        if self.route.key.delivery_type == DeliveryType::DeliveryAgent {
            agent::leave_first_part(&mut hand);
        }
        let copy = match load(&self.core, hand.item()).await {
            Ok(copy) => copy,
            Err(error) => {
                settle::unreadable(&self.core, hand, &error);
                return None;
            }
        };
        let content = match self.content(hand.message(), &copy).await {
            Ok(content) => content,
            Err(error) => {
                settle::unreadable(&self.core, hand, &error);
                return None;
            }
        };
        let (sent, copy, attempted) = self.send(copy, content).await;
        match sent {
            Sent::Answers(answers) => {
                let wait = self.settle(hand, copy, answers).await;
                attempted.end(wait);
                None
            }
            Sent::Lost(error) => {
                attempted.end(self.lost(hand, &error, LOST_MAX));
                Some(error)
            }
            Sent::Busy(error) => {
                attempted.end(self.lost(hand, &error, BUSY_MAX));
                Some(error)
            }
        }
    }

    /// The item stands in front of the others again, up to so many times. Gives when it is tried again.
    fn lost(&self, mut hand: Hand, error: &Arc<str>, times: u16) -> Option<Wait> {
        if self.settled == 0 {
            // The lane goes to Retry before the item is back: otherwise it would ask for a connection at once.
            let now = self.core.now();
            let demands =
                self.core.ledger_and_alarm(|ledger| ledger.connection_lost(self.lane, Arc::clone(error), now));
            self.core.meet_all(demands);
        }
        if hand.item().deferrals < times {
            hand.count_attempt();
            let until = hand.put_back()?;
            Some(Wait { until, why: Arc::clone(error) })
        } else {
            // Perhaps it is this message that makes the next hop go away: it must not stand in front of all others again.
            hand.defer(Arc::clone(error))
        }
    }

    async fn content(&mut self, stored: MessageId, copy: &Parcel) -> Result<Outgoing, ReadError> {
        let reader = self.core.spool.content(stored).await?;
        let tables = self.core.node.tables();
        let path = connector::header_path(tables.organization(), &self.route, &copy.head.envelope);
        outgoing::prepare(reader, path, &self.core.progress).await
    }

    async fn send(&mut self, mut copy: Parcel, content: Outgoing) -> (Sent, Parcel, Attempted) {
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
    async fn settle(&mut self, hand: Hand, copy: Parcel, answers: Vec<Answer>) -> Option<Wait> {
        self.told.carried(copy.head.size);
        let core = &self.core;
        let answered = Answered::new(copy.item.recipients.as_slice(), answers);
        let Answered { fates, later, elsewhere, error } = &answered;
        if later.is_empty() && elsewhere.is_empty() {
            self.count(fates);
        }
        track::sent(core, &copy, &self.route, &self.hop.peer(), fates, error.as_deref(), later);
        told::not_taken(core, &copy, &self.route, fates, error.as_deref());
        let everything = copy.item.recipients.as_slice().len() == fates.len();
        let quiet = everything
            && fates.len() == copy.stored.as_read().states.len()
            && fates.iter().all(|fate| is_quiet(&copy, fate));
        if let Some(error) = error {
            core.spool.update(copy.item.message, &attempted(&copy, later, error));
        }
        if everything {
            let demands = core.ledger(|ledger| ledger.answered(self.lane, core.now()));
            core.meet_all(demands);
        }
        let rest = if quiet {
            settle::finish(core, hand);
            None
        } else {
            // What is rarer has a box, and what is usual need not make room for it.
            Box::pin(settle::decide(core, copy.stored.as_read(), hand, answered.fates)).await
        };
        pass_on(rest?, &answered.later, &answered.elsewhere, answered.error, copy.head.revision)
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

    async fn close(self, end: End) {
        let lost = match &end {
            End::Lost(error) => Some(Arc::clone(error)),
            End::Done => None,
        };
        match end {
            // It has been counted as lost when it lost its message.
            End::Lost(_) if self.settled == 0 => {}
            End::Lost(_) | End::Done => disconnected(&self.core, self.lane),
        }
        self.told.ended(&self.core, &self.route, lost.as_deref());
        self.hop.close().await;
    }
}

/// What a next hop said about the recipients of an item, by what follows from it.
struct Answered {
    fates: Vec<Fate>,
    later: Vec<u32>,
    elsewhere: Vec<u32>,
    /// Of the last one that is to be tried again.
    error: Option<Arc<str>>,
}

impl Answered {
    fn new(positions: &[u32], answers: Vec<Answer>) -> Self {
        let mut all = Self { fates: Vec::new(), later: Vec::new(), elsewhere: Vec::new(), error: None };
        for (position, answer) in positions.iter().copied().zip(answers) {
            match answer {
                Answer::Taken(taken) => all.fates.push(Fate { position, kind: taken.into() }),
                Answer::Never { reply, remote } => {
                    all.fates.push(Fate { position, kind: FateKind::Failed { reply, remote, last_error: None } })
                }
                Answer::Later(why) => {
                    all.later.push(position);
                    all.error = Some(why);
                }
                Answer::Elsewhere(why) => {
                    all.elsewhere.push(position);
                    all.error = Some(why);
                }
            }
        }
        all
    }
}

/// Gives the ledger back what is left of an item.
fn pass_on(
    mut rest: Hand,
    later: &[u32],
    elsewhere: &[u32],
    error: Option<Arc<str>>,
    decided: Revision,
) -> Option<Wait> {
    let error = error.unwrap_or_else(|| "deferred".into());
    match (later, RecipientIndexes::new(elsewhere)) {
        (_, None) => rest.defer(error),
        ([], Some(_)) => rest.reroute(decided, REROUTED.into()),
        (_, Some(elsewhere)) => {
            rest.split(elsewhere).reroute(decided, REROUTED.into());
            rest.defer(error)
        }
    }
}

/// Whether an outcome needs no record but the removal of the message: nobody asked to be told.
fn is_quiet(copy: &Parcel, fate: &Fate) -> bool {
    let recipient = copy.stored.as_read().head.envelope.recipients.get(fate.position as usize);
    fate.kind.is_quiet(recipient.is_some_and(|recipient| recipient.notify_or_default().on_success()))
}

/// `positions` ascend.
fn attempted(copy: &Parcel, positions: &[u32], error: &Arc<str>) -> queue::Update {
    let concerned = copy.pending().filter(|(at, _)| positions.binary_search(at).is_ok());
    let states = concerned.map(|(at, pending)| {
        let last_error = Some(Box::from(&**error));
        let attempts = pending.attempts.saturating_add(1);
        // The item knows it earlier than what is stored.
        let delay_notified = copy.item.delay_reported;
        let pending = queue::Pending { attempts, last_error, delay_notified, ..pending };
        (at as usize, RecipientState::Pending(pending))
    });
    queue::Update::states(states)
}

/// What an attempt came to, for the Send connector's metrics.
fn attempt(sent: &Sent) -> Attempt {
    match sent {
        Sent::Lost(_) | Sent::Busy(_) => Attempt::Deferred,
        Sent::Answers(answers) if answers.iter().any(|answer| matches!(answer, Answer::Taken(_))) => Attempt::Delivered,
        Sent::Answers(answers) if answers.iter().all(|answer| matches!(answer, Answer::Never { .. })) => {
            Attempt::Failed
        }
        Sent::Answers(_) => Attempt::Deferred,
    }
}

/// Reads what an item stands for.
async fn load(core: &Core, item: &Item) -> Result<Parcel, ReadError> {
    // Each recipient of a large list has an item of its own: the list is decoded once, and not copied for each.
    let stored = core.spool.shared_head(item.message).await?;
    let message = stored.as_read();
    let (all, positions) = (&message.head.envelope.recipients, item.recipients.as_slice());
    let recipients: Vec<_> = positions.iter().filter_map(|at| all.get(*at as usize).cloned()).collect();
    if recipients.len() < positions.len() {
        return Err(ReadError::Damaged(message.head.id));
    }
    let head = MessageHead { revision: item.decided, ..message.head.for_recipients(recipients) };
    Ok(Parcel { item: item.clone(), stored, head })
}
