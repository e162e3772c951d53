//! Back pressure: looks at the resources every two seconds, keeps what `pressure` makes of it, and holds mail back
//! accordingly (docs/rules.md, Back pressure).
//!
//! ```text
//!   every ResourceMeteringInterval: measure ─▶ Monitor ─▶ log, metrics
//!                                                 └─▶ Actions ─▶ admit: at MAIL, or before the content of a transfer
//! ```
//!
//! A disk that does not answer is told apart: nobody gets a receipt then, and who has another server to go to should not wait for
//! one. It is looked at with each message, since whatever measures a disk may hang with it.
//!
//! Connections are taken and mail goes out whatever the levels are (BP-13, BP-16): the service is alive, and only not ready
//! while it takes nothing from anybody.

use std::sync::Arc;
use std::time::Duration;

use envelope::{EnhancedStatus, Reply};
use parking_lot::Mutex;
use pressure::{Action, Actions, Measurements, Monitor, Resource, Share, Transition};
use queue::Spool;
use runtime::{Node, memory_use};
use telemetry::Metrics;
use telemetry::metrics::Source;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topology::BackPressureSettings;

/// How long a change of the queue may wait for its sync before the disk counts as hanging: 10 s. A disk at its limit answers
/// within a few; the next candidate has the message within tens.
const HUNG_AFTER: Duration = Duration::from_secs(10);

/// The levels of this server, and what follows.
pub(crate) struct Pressure {
    /// How long the oldest change has waited that is not durable.
    unsynced_age: Box<dyn Fn() -> Duration + Send + Sync>,
    monitor: Mutex<Monitor>,
    /// Of the last look.
    actions: watch::Sender<Arc<Actions>>,
}

impl Pressure {
    pub(crate) fn new(unsynced_age: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { unsynced_age: Box::new(unsynced_age), monitor: Mutex::default(), actions: watch::Sender::default() }
    }

    /// How long the disk of the queue has not answered, if it is too long.
    pub(crate) fn hung(&self) -> Option<Duration> {
        Some((self.unsynced_age)()).filter(|age| *age >= HUNG_AFTER)
    }

    /// Whether mail from there would be refused now, without waiting.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub(crate) fn admits(&self, source: Source, drain: &CancellationToken) -> Result<(), Reply> {
        if drain.is_cancelled() {
            return Err(going_away());
        }
        self.refused(&self.actions.borrow(), source).map_or(Ok(()), Err)
    }

    fn refused(&self, actions: &Actions, source: Source) -> Option<Reply> {
        self.hung().map(|_| disk_hangs()).or_else(|| refused(actions, source))
    }

    /// The same for a message that comes now: after the delay of the tarpit (BP-08), which ends sooner when mail is refused
    /// meanwhile or less of it is called for.
    ///
    /// # Errors
    /// The refusal (BP-14), or that the service is going away.
    pub(crate) async fn admit(&self, source: Source, drain: &CancellationToken) -> Result<(), Reply> {
        let mut actions = self.actions.subscribe();
        let begun = tokio::time::Instant::now();
        loop {
            let until = {
                let actions = actions.borrow_and_update();
                if let Some(refusal) = self.refused(&actions, source) {
                    return Err(refusal);
                }
                begun + actions.tarpit
            };
            // A timer rounds up to its next tick, and a wait for nothing took longer than the rest of a small message.
            if until <= tokio::time::Instant::now() {
                return if drain.is_cancelled() { Err(going_away()) } else { Ok(()) };
            }
            tokio::select! {
                biased;
                () = drain.cancelled() => return Err(going_away()),
                () = tokio::time::sleep_until(until) => return Ok(()),
                changed = actions.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Waits while what a restart found is to be left alone; `false` when the service goes away first.
    pub(crate) async fn boot_scan_may_go_on(&self, drain: &CancellationToken) -> bool {
        let mut actions = self.actions.subscribe();
        let allowed = actions.wait_for(|actions| actions.because(Action::PauseBootScan).is_none());
        tokio::select! {
            biased;
            () = drain.cancelled() => false,
            _ = allowed => true,
        }
    }

    /// Why nobody's mail is taken now.
    pub(crate) fn closed(&self) -> Option<Box<str>> {
        if let Some(age) = self.hung() {
            return Some(format!("the disk of the queue has not answered for {} s", age.as_secs()).into());
        }
        let actions = Arc::clone(&self.actions.borrow());
        let everybody = [Action::RefuseClients, Action::RefuseServers, Action::RefuseMailboxes];
        let because = everybody.into_iter().map(|action| actions.because(action)).collect::<Option<Vec<Resource>>>()?;
        let monitor = self.monitor.lock();
        let reading = monitor.readings().iter().find(|reading| because.contains(&reading.resource))?;
        let measured = reading.measured.map(|(measure, _)| measure.to_string()).unwrap_or_default();
        Some(format!("back pressure: {} is {}, {measured}", reading.resource, reading.level).into())
    }

    fn poll(&self, found: &Measurements, settings: &BackPressureSettings, metrics: &Metrics) -> Arc<Actions> {
        let mut monitor = self.monitor.lock();
        for transition in monitor.poll(found, settings) {
            tell(&transition);
        }
        for reading in monitor.readings() {
            let resource = reading.resource.as_str();
            metrics.pressure_level.set(resource, reading.level.number());
            if let Some((measure, _)) = reading.measured {
                metrics.pressure_measure.set(resource, measure.whole());
            }
        }
        let actions = Arc::new(monitor.actions().clone());
        drop(monitor);
        self.actions.send_if_modified(|before| {
            let changed = *before != actions;
            if changed {
                tell_actions(before, &actions);
                *before = Arc::clone(&actions);
            }
            changed
        });
        actions
    }
}

/// BP-13: the refusal where a transaction begins; what is refused is the mail, never the connection.
fn refused(actions: &Actions, source: Source) -> Option<Reply> {
    let action = match source {
        Source::Transfer => Action::RefuseServers,
        Source::Submission => Action::RefuseMailboxes,
        // What this server makes itself is never asked about.
        Source::Smtp | Source::Notification | Source::Bifurcation | Source::Expansion | Source::Recovery => {
            Action::RefuseClients
        }
    };
    actions.because(action).map(|_| insufficient())
}

/// BP-14.
fn insufficient() -> Reply {
    Reply::new(452, EnhancedStatus::new(4, 3, 1), "Insufficient system resources")
}

/// Another server may have a disk that answers.
fn disk_hangs() -> Reply {
    Reply::new(452, EnhancedStatus::new(4, 3, 1), "Insufficient system resources: the disk does not answer")
}

fn going_away() -> Reply {
    Reply::new(421, EnhancedStatus::new(4, 3, 2), "Service shutting down")
}

/// BP-18: each change of a level, with measure and threshold (events 15004 and 15005).
fn tell(transition: &Transition) {
    let Transition { resource, from, to, measure, threshold } = transition;
    if transition.is_rise() {
        tracing::error!(%resource, %from, %to, %measure, threshold, "back pressure has increased: {transition}");
    } else {
        tracing::info!(%resource, %from, %to, %measure, threshold, "back pressure has decreased: {transition}");
    }
}

/// Events 15006 and 15007: what is refused is told when it begins and when it ends. The delay changes at every look.
fn tell_actions(before: &Actions, now: &Actions) {
    for action in now.iter().filter(|action| before.because(*action).is_none()) {
        let resource = now.because(action).map(tracing::field::display);
        tracing::warn!(resource, "back pressure: {}", action.as_str());
    }
    for action in before.iter().filter(|action| now.because(*action).is_none()) {
        tracing::info!("back pressure: no longer so: {}", action.as_str());
    }
    if before.tarpit != now.tarpit {
        tracing::debug!(delay = ?now.tarpit, "back pressure: the delay of MAIL FROM has changed");
    }
}

/// What is looked at, and who is told.
pub(crate) struct Lookout {
    pub(crate) node: Arc<Node>,
    pub(crate) spool: Spool,
    pub(crate) pressure: Arc<Pressure>,
    /// Counts the Submission queue.
    pub(crate) submission_length: Box<dyn Fn() -> usize + Send + Sync>,
}

impl Lookout {
    /// Looks again and again until the service drains.
    pub(crate) async fn run(self, drain: CancellationToken) {
        let interval = || self.settings().resource_metering_interval.0;
        while let Some(()) = drain.run_until_cancelled(tokio::time::sleep(interval())).await {
            self.look().await;
        }
    }

    fn settings(&self) -> BackPressureSettings {
        self.node.tables().local_server().transport.back_pressure
    }

    /// Measures, and acts.
    pub(crate) async fn look(&self) {
        let spool = self.spool.clone();
        let measuring = tokio::task::spawn_blocking(move || measure(&spool)).await;
        let found = Measurements {
            submission_queue: (self.submission_length)() as u64,
            // A look that panicked has found nothing, and the levels stay.
            ..measuring.unwrap_or_default()
        };
        let actions = self.pressure.poll(&found, &self.settings(), &self.node.metrics);
        if actions.because(Action::Dehydrate).is_some() {
            self.spool.dehydrate();
        }
    }
}

/// What has to be asked of the system.
fn measure(spool: &Spool) -> Measurements {
    let disk = spool.space().inspect_err(|error| tracing::warn!(%error, "the room on the queue's disk is not known"));
    let disk = disk.ok().map(|space| Share::left(space.available, space.total));
    let memory = memory_use();
    Measurements {
        database_used_space: disk,
        private_bytes: memory.map(|memory| Share { used: memory.resident, of: memory.total }),
        system_memory: memory.map(|memory| Share { used: memory.used, of: memory.total }),
        submission_queue: 0,
    }
}

#[cfg(test)]
mod tests;
