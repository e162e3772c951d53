//! A lease that etcd has forgotten, as after a restore or an hour on a frozen machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use envelope::Service;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::backends::{Backend, Etcd};
use crate::presences::presence;
use crate::world::until;

/// Counts what is said of members that fail.
#[derive(Clone, Default)]
struct Complaints(Arc<AtomicUsize>);

impl Subscriber for Complaints {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "directory::etcd::members" && *metadata.level() <= Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// On one thread, on which everything is heard.
#[tokio::test]
async fn a_lease_that_is_forgotten_is_made_anew_and_no_member_is_blamed() {
    let complaints = Complaints::default();
    let _heard = tracing::subscriber::set_default(complaints.clone());
    let etcd = Etcd::start();
    let directory = etcd.directory();
    let _announced = directory.announce(presence("mail1", Service::Transport));
    let there = async || directory.presences().await.map_or(0, |presences| presences.len());
    until(async || if there().await == 1 { Ok(()) } else { Err(()) }).await;
    let mut client = etcd.client().await;
    for lease in client.leases().await.unwrap().leases() {
        client.lease_revoke(lease.id()).await.unwrap();
    }
    assert_eq!(there().await, 0);
    until(async || if there().await == 1 { Ok(()) } else { Err(()) }).await;
    assert_eq!(complaints.0.load(Ordering::Relaxed), 0);
}
