//! One reader for all services of a process: the configuration, who is there, and which certificates count no more are read once,
//! however many services follow them. Whatever else is asked goes to the directory itself.
//!
//! ```text
//!   directory ──▶ one follower ──▶ what it saw last ──▶ a stream for each service
//! ```
//!
//! Followers begin with the first who follows, and end with the last.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use authority::Revocation;
use envelope::{Address, ObjectName, Revision};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio::sync::{Mutex, watch};
use topology::{DirectoryRecipient, Organization};

use crate::digests::RecipientDigest;
use crate::directory::{
    Answer, Configuration, Directory, MemberState, Presences, ReadError, Recipients, StateToken, WatchEvent,
};
use crate::presence::{Announcement, Presence};

/// A directory that several services of a process follow together.
pub struct Shared {
    inner: Arc<dyn Directory>,
    configuration: OnceLock<watch::Receiver<Seen>>,
    /// Held while the configuration is read: who asks meanwhile is given the same.
    reading: Mutex<()>,
    presences: OnceLock<watch::Receiver<Option<Vec<Presence>>>>,
    revocations: OnceLock<watch::Receiver<Option<Vec<Revocation>>>>,
}

/// What the follower of the configuration has seen.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// The last good one.
    snapshot: Option<Arc<Organization>>,
    /// What is stored and not applied.
    rejected: Option<(Revision, String)>,
    /// Why the directory does not answer.
    away: Option<String>,
}

impl Seen {
    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Snapshot(organization) => (self.snapshot, self.rejected) = (Some(organization), None),
            WatchEvent::Rejected { revision, reason } => self.rejected = Some((revision, reason)),
            WatchEvent::Unavailable(reason) => self.away = Some(reason),
            WatchEvent::Back => self.away = None,
        }
    }

    /// What somebody has to be told who knows `before`, and takes only what is newer than `after`.
    fn since(&self, before: &Self, after: Revision) -> VecDeque<WatchEvent> {
        let mut events = VecDeque::new();
        match (&before.away, &self.away) {
            (None, Some(reason)) => events.push_back(WatchEvent::Unavailable(reason.clone())),
            (Some(_), None) => events.push_back(WatchEvent::Back),
            _ => {}
        }
        if let Some(organization) = &self.snapshot {
            let known = before.snapshot.as_ref().is_some_and(|known| Arc::ptr_eq(known, organization));
            // Once more when what was refused is gone: whoever counts that as an error learns that it is over.
            if !known && (organization.revision() > after || before.rejected.is_some()) {
                events.push_back(WatchEvent::Snapshot(Arc::clone(organization)));
            }
        }
        if let Some((revision, reason)) = self.rejected.as_ref().filter(|now| before.rejected.as_ref() != Some(now)) {
            events.push_back(WatchEvent::Rejected { revision: *revision, reason: reason.clone() });
        }
        events
    }
}

impl Shared {
    /// What `inner` says, for several.
    #[must_use]
    pub fn new(inner: Arc<dyn Directory>) -> Self {
        let (configuration, presences, revocations) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { inner, configuration, reading: Mutex::new(()), presences, revocations }
    }

    /// What is followed, from `known` on.
    fn seen(&self, known: Option<Arc<Organization>>) -> watch::Receiver<Seen> {
        let begin = || {
            let after = known.as_ref().map_or(Revision(0), |known| known.revision());
            let first = Seen { snapshot: known, ..Seen::default() };
            follow(self.inner.watch(after), first, |seen, event| {
                seen.take(event);
                true
            })
        };
        self.configuration.get_or_init(begin).clone()
    }
}

/// Follows `events` for as long as anybody looks at what comes of them; `take` says whether that is something new.
fn follow<E: Send + 'static, T: Send + Sync + 'static>(
    mut events: BoxStream<'static, E>,
    mut first: T,
    take: impl Fn(&mut T, E) -> bool + Send + 'static,
) -> watch::Receiver<T> {
    // What was known last counts at once: who is revoked is not believed for a moment.
    if let Some(event) = events.next().now_or_never().flatten() {
        take(&mut first, event);
    }
    let (sender, receiver) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                () = sender.closed() => return,
                event = events.next() => event,
            };
            let Some(event) = event else { return };
            sender.send_if_modified(|seen| take(seen, event));
        }
    });
    receiver
}

/// Each value as it comes, beginning with the present one, if there is one.
fn values<T: Clone + Send + Sync + 'static>(mut seen: watch::Receiver<Option<T>>) -> BoxStream<'static, T> {
    seen.mark_changed();
    stream::unfold(seen, |mut seen| async move {
        loop {
            seen.changed().await.ok()?;
            let value = seen.borrow_and_update().clone();
            if let Some(value) = value {
                return Some((value, seen));
            }
        }
    })
    .boxed()
}

fn replace<T>(seen: &mut Option<T>, value: T) -> bool {
    *seen = Some(value);
    true
}

#[async_trait]
impl Configuration for Shared {
    /// That which is followed; before anybody follows, and while the directory is away, what the directory says.
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        let _one = self.reading.lock().await;
        if let Some(seen) = self.configuration.get() {
            let seen = seen.borrow();
            if let (Some(snapshot), None) = (&seen.snapshot, &seen.away) {
                return Ok(Arc::clone(snapshot));
            }
        }
        let snapshot = self.inner.snapshot().await?;
        self.seen(Some(Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        let mut seen = self.seen(None);
        seen.mark_changed();
        let start = (seen, Seen::default(), after, VecDeque::new());
        stream::unfold(start, |(mut seen, mut before, mut after, mut events)| async move {
            loop {
                if let Some(event) = events.pop_front() {
                    if let WatchEvent::Snapshot(organization) = &event {
                        after = organization.revision();
                    }
                    return Some((event, (seen, before, after, events)));
                }
                seen.changed().await.ok()?;
                let now = seen.borrow_and_update().clone();
                events = now.since(&before, after);
                before = now;
            }
        })
        .boxed()
    }
}

#[async_trait]
impl Recipients for Shared {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        self.inner.recipients(addresses).await
    }

    fn state_at_once(&self) -> Option<StateToken> {
        self.inner.state_at_once()
    }

    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        self.inner.recipient_by_name(name).await
    }

    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        self.inner.list_recipients(after, limit).await
    }

    async fn knows_digest(&self, salt: &str, digest: &RecipientDigest) -> Result<Option<bool>, ReadError> {
        self.inner.knows_digest(salt, digest).await
    }
}

#[async_trait]
impl Presences for Shared {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        self.inner.presences().await
    }

    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        let begin = || follow(self.inner.watch_presences(), None, replace);
        values(self.presences.get_or_init(begin).clone())
    }
}

#[async_trait]
impl Directory for Shared {
    fn announce(&self, presence: Presence) -> Announcement {
        self.inner.announce(presence)
    }

    fn watch_revocations(&self) -> BoxStream<'static, Vec<Revocation>> {
        let begin = || follow(self.inner.watch_revocations(), None, replace);
        values(self.revocations.get_or_init(begin).clone())
    }

    async fn members(&self) -> Vec<MemberState> {
        self.inner.members().await
    }
}
