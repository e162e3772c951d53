//! Two processes that say that they are the same service of the same server: a copied folder of certificates, a unit that was
//! started by hand beside the other. Each takes the other's mail, so that it is said.

use std::sync::Arc;

use envelope::{ServerName, Service, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::peers::PeerBook;

/// Whether another process announces itself as this one.
#[derive(Clone, Debug, Default)]
pub struct Twin(Arc<Mutex<Option<String>>>);

/// What this process has seen of its own announcement.
struct Watcher {
    server: ServerName,
    service: Service,
    started: Timestamp,
    /// Its own announcement has been seen: what was there before may be left of a process that has gone.
    seen: bool,
}

impl Twin {
    /// What to say about the other, if there is one.
    #[must_use]
    pub fn there(&self) -> Option<String> {
        self.0.lock().clone()
    }

    /// Looks at each change of the book.
    pub(crate) async fn watch(
        self,
        mut book: watch::Receiver<Arc<PeerBook>>,
        server: ServerName,
        service: Service,
        started: Timestamp,
    ) {
        let mut watcher = Watcher { server, service, started, seen: false };
        loop {
            let other = watcher.other(&book.borrow_and_update());
            let told = std::mem::replace(&mut *self.0.lock(), other.clone());
            match other {
                Some(other) if told.is_none() => tracing::error!("{other}"),
                None if told.is_some() => tracing::info!("no other process says any more that it is this one"),
                _ => {}
            }
            if book.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Watcher {
    fn other(&mut self, book: &PeerBook) -> Option<String> {
        let (address, started) = book.announced(&self.server, self.service)?;
        self.seen |= started == self.started;
        (self.seen && started != self.started).then(|| {
            format!(
                "another process, at {address} since {}, says that it is {} of {} too: two processes with one identity take \
                 each other's mail; end one of them, or give it the certificates and the name of its own server",
                started.to_iso8601(),
                self.service,
                self.server
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use directory::Presence;
    use envelope::Revision;

    use super::*;

    fn announced(book: &PeerBook, started: u64) -> PeerBook {
        book.updated(&[Presence {
            server: ServerName::parse("OSLO1").unwrap(),
            service: Service::Transport,
            addresses: vec!["192.0.2.7:5472".parse().unwrap()],
            started: Timestamp::from_millis(started),
            version: "1".to_owned(),
            applied_revision: Revision(1),
            out_of_reach: Vec::new(),
        }])
    }

    #[test]
    fn another_is_told_once_this_one_has_been_announced() {
        let server = ServerName::parse("OSLO1").unwrap();
        let started = Timestamp::from_millis(2);
        let mut watcher = Watcher { server, service: Service::Transport, started, seen: false };
        let before = announced(&PeerBook::default(), 1);
        assert_eq!(watcher.other(&before), None, "what is left of the last process");
        let own = announced(&before, 2);
        assert_eq!(watcher.other(&own), None);
        let other = announced(&own, 3);
        assert!(watcher.other(&other).unwrap().contains("192.0.2.7:5472"));
        assert_eq!(watcher.other(&announced(&other, 2)), None, "it has gone");
    }
}
