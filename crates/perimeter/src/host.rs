//! The Edge server's end: whom it believes, and what it keeps for its organization.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use admin_api::{EdgeHandler, Subscriber};
use async_trait::async_trait;
use directory::{
    Administration, Announcement, Author, Backend, Buckets, Change, CommitError, DigestsChange, Marks, MarksSum,
    Precondition, Presence, ReadError, RecipientDigest,
};
use envelope::{Revision, ServerName, Service, Timestamp};
use futures::StreamExt;
use organization::Object;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use topology::{EdgeSubscription, Server, ServerRole};

use crate::file::is_voucher;
use crate::sync::THROUGH;

/// What tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Transports of the subscribed site, as told last.
type Announced = HashMap<(ServerName, Service), (Presence, Announcement)>;

/// An Edge server, for its organization.
pub struct EdgeHost {
    directory: Arc<dyn Backend>,
    /// The same, with every change written down.
    changes: Arc<dyn Administration>,
    server: ServerName,
    now: Now,
    /// Held as long as this process lives: what was said last is still the best guess when nobody comes.
    announced: Mutex<Announced>,
}

impl EdgeHost {
    /// Over the Edge server's own directory.
    #[must_use]
    pub fn new(directory: Arc<dyn Backend>, changes: Arc<dyn Administration>, server: ServerName, now: Now) -> Self {
        Self { directory, changes, server, now, announced: Mutex::default() }
    }

    /// Runs until drained: a file that nobody has used in its time is over, and what was told goes with the subscription.
    pub async fn run(self: Arc<Self>, drain: CancellationToken) {
        let mut changes = self.directory.watch(Revision(0));
        loop {
            if let Err(error) = self.tidy_up().await {
                tracing::debug!(%error, "the Edge server's directory cannot be looked at now");
            }
            tokio::select! {
                () = drain.cancelled() => return,
                Some(_) = changes.next() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Looks once at what is over.
    ///
    /// # Errors
    /// The directory, in words.
    pub async fn tidy_up(&self) -> Result<(), String> {
        let own = self.own().await?;
        if own.edge.is_pending() && is_over(&own.edge, (self.now)()) {
            let edge = EdgeSubscription { pending_key: None, pending_until: None, ..own.edge.clone() };
            self.put(&own, edge, "the file of a subscription has ended").await?;
        }
        if !own.edge.is_subscribed() {
            self.announced.lock().clear();
            self.directory.forget_digests().await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Changes its own object, if it is still as it was.
    async fn put(&self, own: &Server, edge: EdgeSubscription, by: &str) -> Result<(), String> {
        let change = Change {
            puts: vec![Object::Server(Box::new(Server { edge, ..own.clone() }))],
            preconditions: vec![Precondition::Unchanged(Object::Server(Box::new(own.clone())))],
            ..Change::by(Author::new(by.to_owned(), THROUGH.to_owned()))
        };
        self.changes.commit(change).await.map(drop).map_err(|error| error.to_string())
    }

    async fn own(&self) -> Result<Server, String> {
        let organization = self.directory.snapshot().await.map_err(|error| error.to_string())?;
        let own = organization.server(&self.server).filter(|own| own.role == ServerRole::Edge).cloned();
        own.ok_or_else(|| format!("{} is no Edge server", self.server))
    }
}

/// Pause between two looks at what is over.
const LOOK: Duration = Duration::from_secs(30);

/// Whether the time of a file has passed.
fn is_over(edge: &EdgeSubscription, now: Timestamp) -> bool {
    edge.pending_until.is_none_or(|until| now.as_millis() / 1000 >= until)
}

/// Whether `by` may subscribe the server `own`; `false` when it has already.
fn admitted(own: &Server, by: &Subscriber, now: Timestamp) -> Result<bool, String> {
    let edge = &own.edge;
    let Some(key) = &edge.pending_key else {
        let same =
            edge.organization.as_ref() == Some(&by.organization) && edge.organization_authorities == by.authorities;
        return match (&edge.organization, same) {
            (_, true) => Ok(false),
            (Some(other), false) => Err(format!(
                "{} is subscribed to {other}, and the file was used: make a new one with New-EdgeSubscription -FileName",
                own.name
            )),
            (None, false) => Err(format!(
                "{} expects no organization: make a file there with New-EdgeSubscription -FileName",
                own.name
            )),
        };
    };
    if is_over(edge, now) {
        return Err(format!(
            "the file of the Edge subscription has ended: make a new one on {} with New-EdgeSubscription -FileName",
            own.name
        ));
    }
    if !is_voucher(key, &own.name, &by.organization, &by.authorities, &by.voucher) {
        return Err(format!("the voucher was not made with the file that {} wrote last", own.name));
    }
    net::check_authorities(&by.authorities.concat())
        .map_err(|error| format!("the authorities of {} cannot be used: {error}", by.organization))?;
    Ok(true)
}

#[async_trait]
impl EdgeHandler for EdgeHost {
    async fn subscribe(&self, by: Subscriber) -> Result<(), String> {
        let own = self.own().await?;
        if own.edge.forest.as_ref() == Some(&by.organization) {
            return Err(format!("{} is a forest of the same name: the Edge server needs another one", own.name));
        }
        if !admitted(&own, &by, (self.now)())? {
            return Ok(());
        }
        let edge = EdgeSubscription {
            organization: Some(by.organization.clone()),
            organization_authorities: by.authorities,
            pending_key: None,
            pending_until: None,
            ..own.edge.clone()
        };
        self.put(&own, edge, &by.organization.to_string()).await?;
        tracing::info!(organization = %by.organization, "this Edge server is subscribed");
        Ok(())
    }

    async fn told_last(&self) -> Result<MarksSum, ReadError> {
        self.directory.told_last().await
    }

    async fn marks(&self) -> Result<Marks, ReadError> {
        self.directory.bucket_marks().await
    }

    async fn put(&self, salt: &str, buckets: Buckets, complete: Option<&MarksSum>) -> Result<(), CommitError> {
        self.directory.put_buckets(salt, &buckets, complete).await
    }

    async fn change(&self, change: DigestsChange) -> Result<(), CommitError> {
        self.directory.change_buckets(&change).await
    }

    async fn knows(&self, salt: &str, digest: &RecipientDigest) -> Result<Option<bool>, ReadError> {
        self.directory.knows_digest(salt, digest).await
    }

    async fn announce(&self, presences: Vec<Presence>) {
        let mut announced = self.announced.lock();
        let wanted: HashMap<(ServerName, Service), Presence> = presences
            .into_iter()
            .filter(|one| one.server != self.server)
            .map(|one| ((one.server.clone(), one.service), one))
            .collect();
        announced.retain(|key, (presence, _)| wanted.get(key) == Some(presence));
        for (key, presence) in wanted {
            announced.entry(key).or_insert_with(|| (presence.clone(), self.directory.announce(presence)));
        }
    }
}
