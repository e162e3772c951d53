//! What servers said last. Pages are drawn of it at once, and servers are asked beside them: one that is down holds nobody up, and
//! one question serves all who look (WA-42). Who may see what of it is ruled by `Ruled`, not here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use envelope::{Revision, ServerName, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use topology::{Organization, Problem};

use crate::estate::{Estate, HealthView, LetterView, Letters, QueueView, Serving};

/// Who did not answer is asked again after.
const TROUBLED: Duration = Duration::from_secs(4);
/// Lists of messages that are kept, those that were asked for last.
const LISTS_MAX: usize = 128;
/// Revisions of which it is kept what the linter says.
const REVISIONS_MAX: usize = 4;
/// Pictures that are kept: some hundred kB each at most.
const DRAWINGS_MAX: usize = 16;

/// What is known of one thing.
#[derive(Debug)]
pub(crate) struct Last<T> {
    /// What was said last, and when.
    pub(crate) value: Option<(Arc<T>, Timestamp)>,
    /// Why nothing was said since, if so.
    pub(crate) trouble: Option<String>,
    /// Since when an answer is waited for.
    asking: Option<Instant>,
    /// When it came, or did not.
    ended: Option<Instant>,
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self { value: None, trouble: None, asking: None, ended: None }
    }
}

impl<T> Clone for Last<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), trouble: self.trouble.clone(), asking: self.asking, ended: self.ended }
    }
}

impl<T> Last<T> {
    fn is_due(&self, now: Instant) -> bool {
        let is_troubled =
            self.trouble.is_some() && self.ended.is_some_and(|ended| now.duration_since(ended) < TROUBLED);
        self.asking.is_none() && !is_troubled
    }
}

/// What is known of things of one kind.
struct Shelf<K, T>(Mutex<BTreeMap<K, Last<T>>>);

impl<K: Ord + Clone, T> Shelf<K, T> {
    fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Whether it is to be asked for now; if so the caller asks.
    fn take(&self, key: &K) -> bool {
        let now = Instant::now();
        let mut all = self.0.lock();
        let last = all.entry(key.clone()).or_default();
        let is_due = last.is_due(now);
        if is_due {
            last.asking = Some(now);
        }
        is_due
    }

    fn told(&self, key: &K, answer: Result<T, String>, at: Timestamp) {
        let mut all = self.0.lock();
        let last = all.entry(key.clone()).or_default();
        (last.asking, last.ended) = (None, Some(Instant::now()));
        match answer {
            Ok(value) => (last.value, last.trouble) = (Some((Arc::new(value), at)), None),
            Err(why) => last.trouble = Some(why),
        }
    }

    fn get(&self, key: &K) -> Last<T> {
        self.0.lock().get(key).cloned().unwrap_or_default()
    }

    /// Whether an answer may come in a moment: of who did not answer the last time it is not waited for.
    fn is_coming(&self, key: &K) -> bool {
        self.0.lock().get(key).is_some_and(|last| last.asking.is_some() && last.trouble.is_none())
    }

    /// Forgets what was asked for longest ago.
    fn shorten(&self, most: usize) {
        let mut all = self.0.lock();
        while all.len() > most {
            let done = all.iter().filter(|(_, last)| last.asking.is_none());
            let Some(oldest) = done.min_by_key(|(_, last)| last.ended).map(|(key, _)| key.clone()) else { return };
            all.remove(&oldest);
        }
    }
}

/// A list of messages: of which server, of which queue or all, how many.
type ListKey = (ServerName, Option<u64>, u32);

/// What servers said last.
pub(crate) struct Known {
    estate: Arc<dyn Estate>,
    patience: Duration,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    queues: Shelf<ServerName, Vec<QueueView>>,
    letters: Shelf<ListKey, Vec<LetterView>>,
    health: Shelf<(), Vec<HealthView>>,
    services: Shelf<(), Vec<Serving>>,
    /// What the linter says of the last revisions.
    findings: Shelf<Revision, Vec<Problem>>,
    /// Pictures by the digest of what they show, the newest last.
    drawings: Mutex<VecDeque<(String, Arc<str>)>>,
    told: Notify,
}

impl Known {
    pub(crate) fn new(
        estate: Arc<dyn Estate>,
        patience: Duration,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        let (queues, letters, health, services) = (Shelf::new(), Shelf::new(), Shelf::new(), Shelf::new());
        Self {
            estate,
            patience,
            clock,
            queues,
            letters,
            health,
            services,
            findings: Shelf::new(),
            drawings: Mutex::default(),
            told: Notify::new(),
        }
    }

    /// The queues of servers: asked for now, and what came of it within a moment, or before.
    pub(crate) async fn queues(self: &Arc<Self>, servers: &[ServerName]) -> Vec<Last<Vec<QueueView>>> {
        for server in servers.iter().filter(|server| self.queues.take(server)) {
            let (known, server) = (Arc::clone(self), server.clone());
            tokio::spawn(async move {
                let answer = known.estate.queues(&server).await;
                known.queues.told(&server, answer, (known.clock)());
                known.told.notify_waiters();
            });
        }
        self.wait(|| servers.iter().any(|server| self.queues.is_coming(server))).await;
        servers.iter().map(|server| self.queues.get(server)).collect()
    }

    /// Messages of a server, without their subjects.
    pub(crate) async fn letters(
        self: &Arc<Self>,
        server: &ServerName,
        queue: Option<u64>,
        limit: u32,
    ) -> Last<Vec<LetterView>> {
        let key = (server.clone(), queue, limit);
        if self.letters.take(&key) {
            let (known, key) = (Arc::clone(self), key.clone());
            tokio::spawn(async move {
                let wanted = Letters { queue, subjects: false, limit };
                let answer = known.estate.letters(&key.0, wanted).await;
                known.letters.told(&key, answer, (known.clock)());
                known.letters.shorten(LISTS_MAX);
                known.told.notify_waiters();
            });
        }
        self.wait(|| self.letters.is_coming(&key)).await;
        self.letters.get(&key)
    }

    /// How services are.
    pub(crate) async fn health(self: &Arc<Self>) -> Last<Vec<HealthView>> {
        if self.health.take(&()) {
            let known = Arc::clone(self);
            tokio::spawn(async move {
                let answer = known.estate.health().await;
                known.health.told(&(), answer, (known.clock)());
                known.told.notify_waiters();
            });
        }
        self.wait(|| self.health.is_coming(&())).await;
        self.health.get(&())
    }

    /// The services that are there: a directory that is at something else holds no page up.
    pub(crate) async fn services(self: &Arc<Self>) -> Last<Vec<Serving>> {
        if self.services.take(&()) {
            let known = Arc::clone(self);
            tokio::spawn(async move {
                let answer = known.estate.services().await;
                known.services.told(&(), answer, (known.clock)());
                known.told.notify_waiters();
            });
        }
        self.wait(|| self.services.is_coming(&())).await;
        self.services.get(&())
    }

    /// What the linter says of the configuration: looked at once for each, beside the page. Nothing while it looks.
    pub(crate) async fn findings(self: &Arc<Self>, organization: &Arc<Organization>) -> Option<Arc<Vec<Problem>>> {
        let revision = organization.revision();
        if self.findings.get(&revision).value.is_none() && self.findings.take(&revision) {
            let (known, organization) = (Arc::clone(self), Arc::clone(organization));
            tokio::task::spawn_blocking(move || {
                let found = topology::validation::lint(organization.draft()).0;
                known.findings.told(&revision, Ok(found), (known.clock)());
                known.findings.shorten(REVISIONS_MAX);
                known.told.notify_waiters();
            });
        }
        self.wait(|| self.findings.is_coming(&revision)).await;
        self.findings.get(&revision).value.map(|(found, _)| found)
    }

    /// A picture that was drawn before.
    pub(crate) fn drawing(&self, key: &str) -> Option<Arc<str>> {
        self.drawings.lock().iter().find(|(known, _)| known == key).map(|(_, drawing)| Arc::clone(drawing))
    }

    pub(crate) fn keep_drawing(&self, key: String, drawing: &Arc<str>) {
        let mut all = self.drawings.lock();
        all.push_back((key, Arc::clone(drawing)));
        if all.len() > DRAWINGS_MAX {
            all.pop_front();
        }
    }

    /// Whoever waits for what servers say looks again.
    pub(crate) fn wake(&self) {
        self.told.notify_waiters();
    }

    /// When the next answer comes.
    pub(crate) async fn next(&self) {
        self.told.notified().await;
    }

    /// Until nothing is coming any more, for as long as a page may wait.
    async fn wait(&self, coming: impl Fn() -> bool) {
        let until = Instant::now() + self.patience;
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            // From now on: an answer between the look and the wait is not missed.
            told.as_mut().enable();
            if !coming() || tokio::time::timeout_at(until, told).await.is_err() {
                return;
            }
        }
    }
}
