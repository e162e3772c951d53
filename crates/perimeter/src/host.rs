//! The Edge server's end: whom it believes, and what it keeps for its organization.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use admin_api::{EdgeHandler, Subscriber};
use async_trait::async_trait;
use directory::{Announcement, Author, Backend, Buckets, Change, CommitError, Presence, ReadError};
use envelope::{ServerName, Service, Timestamp};
use organization::Object;
use parking_lot::Mutex;
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
    server: ServerName,
    now: Now,
    /// Held as long as this process lives: what was said last is still the best guess when nobody comes.
    announced: Mutex<Announced>,
}

impl EdgeHost {
    /// Over the Edge server's own directory.
    #[must_use]
    pub fn new(directory: Arc<dyn Backend>, server: ServerName, now: Now) -> Self {
        Self { directory, server, now, announced: Mutex::default() }
    }

    async fn own(&self) -> Result<Server, String> {
        let organization = self.directory.snapshot().await.map_err(|error| error.to_string())?;
        let own = organization.server(&self.server).filter(|own| own.role == ServerRole::Edge).cloned();
        own.ok_or_else(|| format!("{} is no Edge server", self.server))
    }
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
    if edge.pending_until.is_none_or(|until| now.as_millis() / 1000 >= until) {
        return Err(format!(
            "the file of the Edge subscription has ended: make a new one on {} with New-EdgeSubscription -FileName",
            own.name
        ));
    }
    if !is_voucher(key, &own.name, &by.organization, &by.authorities, &by.voucher) {
        return Err(format!("the voucher was not made with the file that {} wrote last", own.name));
    }
    let known = net::Believed { authorities_pem: by.authorities.concat(), ..net::Believed::default() };
    known.check().map_err(|error| format!("the authorities of {} cannot be used: {error}", by.organization))?;
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
        let puts = vec![Object::Server(Box::new(Server { edge, ..own }))];
        let author = Author::new(by.organization.to_string(), THROUGH.to_owned());
        self.directory.commit(Change { puts, ..Change::by(author) }).await.map_err(|error| error.to_string())?;
        tracing::info!(organization = %by.organization, "this Edge server is subscribed");
        Ok(())
    }

    async fn marks(&self) -> Result<BTreeMap<u16, [u8; 32]>, ReadError> {
        self.directory.bucket_marks().await
    }

    async fn put(&self, salt: &str, buckets: Buckets, complete: bool) -> Result<(), CommitError> {
        self.directory.put_buckets(salt, &buckets, complete).await
    }

    async fn announce(&self, presences: Vec<Presence>) {
        let mut announced = self.announced.lock();
        let wanted: HashMap<(ServerName, Service), Presence> =
            presences.into_iter().map(|one| ((one.server.clone(), one.service), one)).collect();
        announced.retain(|key, (presence, _)| wanted.get(key) == Some(presence));
        for (key, presence) in wanted {
            announced.entry(key).or_insert_with(|| (presence.clone(), self.directory.announce(presence)));
        }
    }
}
