//! The service from start to end: the spool is opened and what waits in it is taken up, the port is opened, mail flows,
//! and on a signal the work in hand is settled.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use admin_api::AuditTrail;
use envelope::{MessageId, TraceContext};
use logs::protocol::{self, ProtocolLog, Receiving, Sending, Side};
use logs::{Log, LogSettings};
use logs::{audit, connectivity, tracking};
use net::{LocalListener, OrganizationListener, Service};
use queue::{
    ClockJump, Disk, Health as SpoolHealth, OnSync, OpenError, ReadError, RealDisk, Recovery, Role, Spool,
    SpoolOptions, StoredMessage, TIME_MARK_INTERVAL,
};
use reception::Doors;
use routing::DeliveryType;
use rpc::{AgentsHandler, LocalUsers, Offer};
use runtime::node::VERSION;
use runtime::{Node, NodeError, certificate, service_logs};
use scheduler::{Ledger, QueueId};
use telemetry::{Health, HealthChecks, HopName, HopOutcome, keys};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use topology::{LogRetention, ProtocolLogs, ServerRole, TransportRole};

use crate::administration::operations::{self, Operations};
use crate::administration::routing_log;
use crate::administration::view::Viewer;
use crate::core::{Core, Errand, Logs};
use crate::deliver::outbound::Outbound;
use crate::ground::submitted;
use crate::hand::Hand;
use crate::receive::accept::Acceptor;
use crate::receive::agents::AgentsDoor;
use crate::receive::entrance::SpoolDestination;
use crate::receive::files;
use crate::receive::pressure::Lookout;
use crate::settle::{self, track};
use crate::state::State;
use crate::{categorize, deliver, timer};

/// Deliveries under way at a drain are waited for as long as one of them gets on within this time; what is not done by then
/// stays durable in the spool.
const SETTLE_PATIENCE: Duration = Duration::from_secs(20);
/// Time between two readings of the gauges.
const GAUGE_INTERVAL: Duration = Duration::from_secs(5);

/// Files of Transport's message tracking log (LG-16).
const TRACKING_PREFIX: &str = "MSGTRK";
/// Logs that this service searches for administrators: its own, and that of Submission, which has no port, in the same folder.
const TRACKING_SEARCHED: [&str; 2] = [TRACKING_PREFIX, "MSGTRKMS"];

/// Why Transport cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The process around it.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Without its spool a Transport takes nothing and starts nothing.
    #[error("the queue cannot be opened: {0}")]
    Spool(#[from] OpenError),
    /// The implicit connector.
    #[error("the implicit connector failed: {0}")]
    Connector(#[from] std::io::Error),
}

/// Transport, ready to run.
pub struct Transport {
    core: Arc<Core>,
    errands: mpsc::UnboundedReceiver<Errand>,
    recovery: Recovery,
    listener: OrganizationListener,
    /// Of delivery agents.
    socket: Option<LocalListener>,
    doors: Doors,
}

/// Starts the logs of this service.
fn logs_of(node: &Node) -> Logs {
    let (state, lost) = (&node.settings.state, node.metrics.tracking_lost.clone());
    let tracking = LogSettings { folder: tracking::folder(state), prefix: TRACKING_PREFIX, version: VERSION };
    let connectivity =
        LogSettings { folder: connectivity::folder(state), prefix: connectivity::PREFIX, version: VERSION };
    let tracking = Log::new(tracking, move || lost.increment());
    let connectivity = Log::new(connectivity, || ());
    service_logs::follow(node, tracking.rules(), service_logs::message_tracking);
    service_logs::follow(node, connectivity.rules(), |server| {
        (server.transport.logs.connectivity_enabled, server.transport.logs.connectivity)
    });
    Logs { tracking, connectivity }
}

/// Starts a protocol log: the folder is named as the documentation names the service (LG-06).
fn protocol_log<S: Side>(node: &Node, of: fn(&ProtocolLogs) -> LogRetention) -> ProtocolLog<S> {
    let service = if node.tables().local_server().role == ServerRole::Edge { "Edge" } else { "Hub" };
    let log = ProtocolLog::new(protocol::folder::<S>(&node.settings.state, service), VERSION, node.clock, || ());
    service_logs::follow(node, log.rules(), move |server| (true, of(&server.transport.logs.protocol)));
    log
}

impl Transport {
    /// Opens the spool and the ports. Nothing is accepted or delivered yet.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn build(node: Arc<Node>, drain: CancellationToken) -> Result<Self, TransportError> {
        Self::build_on(Arc::new(RealDisk), node, drain).await
    }

    /// The same with the spool on another disk: one that fails, in tests.
    ///
    /// # Errors
    /// [`TransportError`]
    pub async fn build_on(
        disk: Arc<dyn Disk>,
        node: Arc<Node>,
        drain: CancellationToken,
    ) -> Result<Self, TransportError> {
        let own = certificate::of_server(&node)?;
        let outbound = Outbound::new(&node, &own, Arc::new(protocol_log::<Sending>(&node, |logs| logs.send)))?;
        let (path, server) = (node.settings.spool(), node.server().clone());
        let batch_size = node.metrics.queue_batch_size.clone();
        let on_sync = OnSync::new(move |records| batch_size.record(records));
        let segment_octets = node.settings.queue_segment_mib * 1024 * 1024;
        let options =
            SpoolOptions { on_sync, segment_octets, now: Some(node.clock.now()), ..SpoolOptions::new(server) };
        let opening = tokio::task::spawn_blocking(move || Spool::open(disk, &path, options));
        let (spool, recovery) = opening.await.map_err(std::io::Error::other)??;
        if let Some(jump) = recovery.report().clock_jump {
            tell_jump(&jump);
        }
        let limits = timer::limits_of(&node.tables());
        let (errand, errands) = mpsc::unbounded_channel();
        let listener = node.listen().await?;
        let socket = local_listener(&node)?;
        let logs = logs_of(&node);
        let core = Core::new(Arc::clone(&node), spool, Ledger::new(limits), outbound, logs, errand, drain);
        let core = Arc::new(core);
        operations::restore_suspended(&core);
        let destination = Arc::new(SpoolDestination(Arc::clone(&core)));
        let told = Arc::new(protocol_log::<Receiving>(&node, |logs| logs.receive));
        let doors = Doors::bind(&node, TransportRole::HubTransport, &own, destination, told)?;
        Ok(Self { core, errands, recovery, listener, socket, doors })
    }

    /// Where SMTP clients are served: for each binding wanted, the address bound.
    #[must_use]
    pub fn smtp_addresses(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.doors.addresses()
    }

    /// What administrators may do to its queues while it runs.
    #[must_use]
    pub fn operations(&self) -> Operations {
        Operations(Arc::clone(&self.core))
    }

    /// Whether it lives and takes mail. Back pressure is no reason to end it: mail goes out all the same (BP-16).
    #[must_use]
    pub fn health(&self) -> HealthChecks {
        let (live, ready) = (Arc::clone(&self.core), Arc::clone(&self.core));
        HealthChecks::new(
            move || match live.spool.health() {
                SpoolHealth::Failed(why) => Health::Bad(format!("the queue has failed: {why}").into()),
                SpoolHealth::Ready | SpoolHealth::Full => Health::Good,
            },
            move || match (ready.spool.health(), ready.state.get()) {
                (_, State::Stopping) => Health::Bad("draining".into()),
                (_, State::Leaving) => Health::Bad(ready.leaving().into()),
                (_, State::Redirecting) => Health::Bad("mail is redirected to another server".into()),
                (SpoolHealth::Ready, State::Active) => match ready.node.twin.there() {
                    Some(twin) => Health::Bad(twin.into()),
                    None => ready.pressure.closed().map_or(Health::Good, Health::Bad),
                },
                (SpoolHealth::Full, State::Active) => Health::Bad("the disk of the queue is full".into()),
                (SpoolHealth::Failed(why), State::Active) => Health::Bad(format!("the queue has failed: {why}").into()),
            },
        )
    }

    /// Runs until drained.
    ///
    /// # Errors
    /// [`TransportError::Connector`] when the port fails.
    pub async fn run(self) -> Result<(), TransportError> {
        let Self { core, errands, recovery, listener, socket, doors } = self;
        let address = listener.local()?;
        let lookout = lookout(&core);
        lookout.look().await;
        let mut offer = Offer::new(core.drain.clone());
        offer.transport(Arc::new(Acceptor(Arc::clone(&core))));
        offer.failed_logons(doors.failed_logons());
        admin_api::offer::queues(&mut offer, Arc::new(Viewer(Arc::clone(&core))), audit_trail(&core));
        admin_api::offer::tracking(&mut offer, tracking::folder(&core.node.settings.state), &TRACKING_SEARCHED);
        let mut serving = tokio::spawn(offer.serve(listener, &core.node.credentials)?);
        if let Some(socket) = socket {
            let mut offer = Offer::new(core.drain.clone());
            let door: Arc<dyn AgentsHandler> = Arc::new(AgentsDoor::new(Arc::clone(&core)));
            offer.delivery_agents(Arc::clone(&door));
            tracing::info!(socket = %socket.path().display(), "delivery agents are heard");
            let admits = move |uid| door.may_connect(uid);
            tokio::spawn(offer.serve_local(socket, &core.node.credentials, LocalUsers::default(), admits));
        }
        core.node.announce(address);
        let doors = tokio::spawn(doors.run(core.drain.clone()));
        tokio::spawn(lookout.run(core.drain.clone()));
        tokio::spawn(run_errands(Arc::clone(&core), errands));
        categorize::run(&core);
        core.work.spawn(timer::run(Arc::clone(&core)));
        tokio::spawn(take_up(Arc::clone(&core), recovery));
        tokio::spawn(gauges(Arc::clone(&core)));
        core.work.spawn(mark_time(Arc::clone(&core)));
        tokio::spawn(routing_log::run(Arc::clone(&core)));
        let settings = &core.node.settings;
        for (kind, folder) in [(files::Kind::Pickup, &settings.pickup), (files::Kind::Replay, &settings.replay)] {
            if let Some(folder) = folder {
                core.work.spawn(files::run(Arc::clone(&core), kind, folder.clone()));
            }
        }
        tracing::info!(%address, service = %Service::Transport, "ready");
        let ended = tokio::select! {
            () = core.drain.cancelled() => None,
            ended = &mut serving => Some(ended),
        };
        // Nobody would notice a Transport that is deaf: without its port the service ends.
        core.drain.cancel();
        wind_up(&core, doors, serving, ended.is_some()).await;
        ended.map_or(Ok(()), |ended| Ok(ended.map_err(std::io::Error::other)??))
    }
}

/// The socket of delivery agents, where the settings have one.
fn local_listener(node: &Node) -> Result<Option<LocalListener>, NodeError> {
    let Some(path) = node.settings.service(Service::Transport).socket else { return Ok(None) };
    let listener = LocalListener::bind(&path).map_err(|cause| NodeError::File {
        path,
        cause: cause.to_string(),
        advice: "It is the Unix socket of delivery agents; its folder has to be there, and nobody else may listen at it: \
                 services.transport.socket names another one",
    })?;
    Ok(Some(listener))
}

/// Where it is written what administrators do to the queues.
fn audit_trail(core: &Core) -> AuditTrail {
    let settings = &core.node.settings;
    let log = LogSettings { folder: audit::folder(&settings.state), prefix: audit::PREFIX, version: VERSION };
    let (clock, lost) = (core.node.clock, || tracing::error!("something was done that the audit log does not have"));
    let log = Arc::new(Log::new(log, lost));
    AuditTrail::new(log, Arc::new(move || clock.now()), settings.server.as_str())
}

fn lookout(core: &Arc<Core>) -> Lookout {
    let counted = Arc::clone(core);
    Lookout {
        node: Arc::clone(&core.node),
        spool: core.spool.clone(),
        pressure: Arc::clone(&core.pressure),
        submission_length: Box::new(move || counted.ledger(|ledger| ledger.submission_length())),
    }
}

/// Does what changes in the ledger have brought about.
async fn run_errands(core: Arc<Core>, mut errands: mpsc::UnboundedReceiver<Errand>) {
    while let Some(errand) = errands.recv().await {
        match errand {
            // No new connections: they would end at once, and demand the next.
            Errand::Connect(_) if core.rests() => {}
            Errand::Connect(lane) => drop(core.work.spawn(deliver::run_connection(Arc::clone(&core), lane))),
            Errand::Remove(removed, with_ndr) => {
                let (core, hand) = (Arc::clone(&core), Hand::new(&core, removed));
                core.work.clone().spawn(async move { settle::remove(&core, hand, with_ndr).await });
            }
            Errand::Poison(item) => match core.spool.head(item.message).await {
                Ok(stored) => track::poison(&core, &stored, &item),
                Err(error) => tracing::warn!(message = %item.message, %error, "what is known of poison cannot be read"),
            },
        }
    }
}

/// A clock that was wrong expires nothing: ages go on from where they were. Somebody should look at it all the same.
fn tell_jump(jump: &ClockJump) {
    let ClockJump { from, to } = jump;
    let (ahead, back) = (to.since(*from), from.since(*to));
    tracing::warn!(
        last = from.as_millis(),
        now = to.as_millis(),
        ?ahead,
        ?back,
        "the clock does not say what was to be expected: it was wrong, or is, or this server was away. What waits in the queue is \
         as old as it was then"
    );
}

/// What was in the queues before goes through the categorizer again: routes are derived, never stored (invariant 3). Mail goes
/// in and out meanwhile.
async fn take_up(core: Arc<Core>, mut recovery: Recovery) {
    let (mut taken, mut unread) = (0u64, Vec::new());
    let crashed = recovery.crashed().clone();
    loop {
        if !core.pressure.boot_scan_may_go_on(&core.drain).await {
            break;
        }
        let batch = recovery.next_batch().await;
        if batch.is_empty() {
            break;
        }
        for (id, stored) in batch {
            match stored {
                Err(error) if error.is_transient() => {
                    tracing::error!(message = %id, %error, "a queued message cannot be read now: tried again later");
                    unread.push(id);
                    taken += 1;
                }
                stored => taken += u64::from(take_one(&core, id, stored, &crashed)),
            }
        }
    }
    if taken > 0 {
        core.node.metrics.accepted.add(telemetry::metrics::Source::Recovery, taken);
        tracing::info!(messages = taken, "taken up from the queue");
    }
    take_up_later(&core, unread, &crashed).await;
}

/// Takes a message up, or tells its end; what is poison by what ended the process before is told as well. Whether it is to be
/// counted as taken up.
fn take_one(
    core: &Core,
    id: MessageId,
    stored: Result<StoredMessage, ReadError>,
    crashed: &HashSet<MessageId>,
) -> bool {
    let stored = match stored {
        Ok(stored) => stored,
        Err(ReadError::Unknown(_)) => return false,
        Err(error) => {
            settle::lost(core, id, &error);
            return true;
        }
    };
    // What is kept for another server is not ours to deliver.
    if stored.role != Role::Own {
        return false;
    }
    let Some(sequence) = core.spool.sequence(id) else { return false };
    let items = submitted::items(&stored, sequence);
    if items.is_empty() {
        // Every recipient had its end, and was counted then; the removal was lost with the power.
        core.spool.remove(id);
        return false;
    }
    note_recovery(core, id, stored.head.trace);
    let first = items[0].clone();
    if core.recover(items) && crashed.contains(&id) {
        track::poison(core, &stored, &first); // QU-13
    }
    true
}

/// Messages that the disk would not read at the start: none is forgotten until the next one.
async fn take_up_later(core: &Core, mut unread: Vec<MessageId>, crashed: &HashSet<MessageId>) {
    while !unread.is_empty() {
        let pause = core.node.tables().local_server().transport.message_retry_interval.0;
        if core.drain.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        for id in std::mem::take(&mut unread) {
            match core.spool.head(id).await {
                Err(error) if error.is_transient() => {
                    tracing::error!(message = %id, %error, "a queued message still cannot be read");
                    unread.push(id);
                }
                stored => drop(take_one(core, id, stored, crashed)),
            }
        }
    }
}

/// The message's trace tells that the service was away: whatever it waited for before, it is decided anew from here on.
fn note_recovery(core: &Core, message: MessageId, trace: Option<TraceContext>) {
    let now = core.now();
    let mut span = core.node.tracer.start(HopName::Recover, trace, now);
    span.attribute(keys::MESSAGE_ID, &message);
    span.end(now, HopOutcome::Done);
}

/// Tells the queue the time, for the next start to compare its clock with.
async fn mark_time(core: Arc<Core>) {
    loop {
        core.spool.mark_time(core.now());
        tokio::select! {
            () = core.drain.cancelled() => return core.spool.mark_time(core.now()),
            () = tokio::time::sleep(TIME_MARK_INTERVAL) => {}
        }
    }
}

async fn gauges(core: Arc<Core>) {
    loop {
        let mut lengths: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
        for kind in DeliveryType::ALL {
            lengths.insert(kind.as_str(), 0);
        }
        let now = core.now();
        let further_items = core.ledger(|ledger| {
            for view in ledger.queues(now) {
                let kind = match (view.route, view.id) {
                    (Some(route), _) => route.key.delivery_type,
                    (None, QueueId::UNREACHABLE) => DeliveryType::Unreachable,
                    (None, _) => continue,
                };
                *lengths.entry(kind.as_str()).or_default() += view.message_count as u64;
            }
            ledger.further_items()
        });
        for (kind, length) in lengths {
            core.node.metrics.queue_length.set(kind, length);
        }
        let stats = core.spool.stats();
        core.node.metrics.queued.set((stats.messages + further_items) as u64);
        core.peers.observe(&core.node);
        core.node.metrics.queue_written.set(stats.written.as_u64());
        core.node.metrics.queue_disk.set(stats.log.as_u64());
        tokio::select! {
            () = core.drain.cancelled() => return,
            () = tokio::time::sleep(GAUGE_INTERVAL) => {}
        }
    }
}

/// No new work; deliveries under way end by themselves after their present message.
async fn wind_up(core: &Core, doors: JoinHandle<()>, serving: JoinHandle<std::io::Result<()>>, has_ended: bool) {
    core.work.close();
    let settled = async {
        // It ends within its own bound.
        let _ = doors.await;
        if !has_ended {
            let _ = serving.await;
        }
        core.work.wait().await;
    };
    if core.progress.wait_for(settled, SETTLE_PATIENCE).await.is_none() {
        tracing::warn!("not everything was settled in time; it is durable and is taken up at the next start");
    }
    // What was promised is durable already; a disk that does not answer is not waited for.
    if tokio::time::timeout(SETTLE_PATIENCE, core.spool.close()).await.is_err() {
        tracing::error!("the disk of the queue does not answer; the service ends without it");
    }
}
