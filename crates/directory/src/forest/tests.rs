//! What a directory costs, counted in requests and entries and not in time: a cost that grows faster than what is asked of it fails
//! here on every machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use envelope::{Address, Revision, ServerName, Service, Timestamp};
use futures::StreamExt;
use organization::{Document, Object, Plan, WithoutSecrets};
use topology::DirectoryRecipient;

use super::Forest;
use crate::directory::{
    Administration, Author, Change, Configuration, Directory, MemberState, Presences, Recipients, StateToken,
    WatchEvent,
};
use crate::embedded::{EmbeddedSettings, store_at};
use crate::store::{Condition, Entry, Kept, LeaseId, Listing, Outcome, Store, Unavailable, Write};
use crate::{Census, LastGood, Presence, Shared, apply};

/// As many as etcd takes at once.
const OPERATIONS_AT_ONCE: usize = 126;

/// What was asked of a store.
#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    lists: AtomicUsize,
    entries: AtomicUsize,
    writes: AtomicUsize,
    leases: AtomicUsize,
    heartbeats: AtomicUsize,
}

/// What was asked since the last look.
#[derive(Debug)]
struct Cost {
    requests: usize,
    lists: usize,
    entries: usize,
    writes: usize,
}

impl Counts {
    fn take(&self) -> Cost {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        Cost {
            requests: take(&self.requests),
            lists: take(&self.lists),
            entries: take(&self.entries),
            writes: take(&self.writes),
        }
    }

    fn answered(&self, entries: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }
}

/// A store that counts, with transactions as small as etcd's.
struct Counting<S> {
    store: S,
    counts: Arc<Counts>,
}

#[async_trait]
impl<S: Store> Store for Counting<S> {
    fn operations_max(&self) -> usize {
        OPERATIONS_AT_ONCE + 2
    }
    fn operations_at_once(&self) -> usize {
        OPERATIONS_AT_ONCE
    }
    fn at(&self, revision: u64) -> Self {
        Self { store: self.store.at(revision), counts: Arc::clone(&self.counts) }
    }
    async fn kept(&self, key: &str, revision: u64) -> Result<Kept, Unavailable> {
        self.store.kept(key, revision).await
    }
    fn state_at_once(&self) -> Option<StateToken> {
        self.store.state_at_once()
    }
    async fn list(&self, prefix: &str) -> Result<Listing, Unavailable> {
        let listing = self.store.list(prefix).await?;
        self.counts.answered(listing.entries.len());
        self.counts.lists.fetch_add(1, Ordering::Relaxed);
        Ok(listing)
    }
    async fn page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let entries = self.store.page(prefix, after, limit).await?;
        self.counts.answered(entries.len());
        Ok(entries)
    }
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Entry>>, Unavailable> {
        let entries = self.store.get(keys).await?;
        self.counts.answered(entries.iter().flatten().count());
        Ok(entries)
    }
    async fn transact(&self, conditions: Vec<Condition>, writes: Vec<Write>) -> Result<Outcome, Unavailable> {
        assert!(conditions.len().max(writes.len()) <= self.operations_max());
        self.counts.answered(0);
        self.counts.writes.fetch_add(writes.len(), Ordering::Relaxed);
        self.store.transact(conditions, writes).await
    }
    async fn changed(&self, prefix: &str, after: u64) -> Result<(), Unavailable> {
        self.store.changed(prefix, after).await
    }
    async fn came_or_went(&self, prefix: &str, after: u64) -> Result<(), Unavailable> {
        self.store.came_or_went(prefix, after).await
    }
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Unavailable> {
        self.counts.leases.fetch_add(1, Ordering::Relaxed);
        self.store.grant(ttl).await
    }
    async fn keep_alive(&self, lease: LeaseId) -> Result<bool, Unavailable> {
        self.counts.heartbeats.fetch_add(1, Ordering::Relaxed);
        self.store.keep_alive(lease).await
    }
    async fn revoke(&self, lease: LeaseId) -> Result<(), Unavailable> {
        self.store.revoke(lease).await
    }
    async fn members(&self) -> Vec<MemberState> {
        Vec::new()
    }
}

const CONNECTORS: usize = 200;

fn organization_objects() -> Vec<Object> {
    let mut text = "
sites: [{name: A}]
servers: [{name: M1, fqdn: m1.c.example, site: A}]
databases: [{name: DB1, server: M1}, {name: DB2, server: M1}]
acceptedDomains: [{name: c, domainName: c.example, default: true}]
sendConnectors:
"
    .to_owned();
    for number in 0..CONNECTORS {
        text += &format!("- {{name: C{number}, addressSpaces: [p{number}.example], sourceTransportServers: [M1]}}\n");
    }
    let (draft, _) = Document::parse(&text).unwrap().to_draft(&WithoutSecrets).unwrap();
    organization::objects(&draft, &[]).into_iter().filter(|object| !object.is_untouched_default()).collect()
}

fn recipients(count: usize) -> Vec<DirectoryRecipient> {
    let item = |number: usize| {
        format!(
            "- {{name: r{number}, address: r{number}@c.example, proxyAddresses: [p{number}@c.example], database: DB1}}\n"
        )
    };
    let text = format!("recipients:\n{}", (0..count).map(item).collect::<String>());
    Document::parse(&text).unwrap().to_draft(&WithoutSecrets).map_or_else(
        // The database is in another document.
        |_| {
            organization::Pieces::divide(text, usize::MAX)
                .unwrap()
                .iter()
                .next()
                .unwrap()
                .read(&WithoutSecrets)
                .unwrap()
                .0
        },
        |(_, recipients)| recipients,
    )
}

/// The changes that lead to `wanted`.
async fn planned<S: Store>(directory: &Forest<S>, wanted: Vec<DirectoryRecipient>) -> Plan {
    let mut census = Census::take(directory).await.unwrap();
    census.want(wanted);
    Plan { changes: census.changes(directory).await.unwrap() }
}

#[tokio::test]
async fn what_recipients_cost_grows_with_them_and_not_with_what_else_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let counts = Arc::new(Counts::default());
    let store = store_at(&EmbeddedSettings::new(folder.path().join("directory.db"))).unwrap();
    let directory = Forest::new(Counting { store, counts: Arc::clone(&counts) }, "c", Duration::from_secs(60));
    let author = Author::new("anna", "a test");
    directory.commit(Change { puts: organization_objects(), ..Change::by(author.clone()) }).await.unwrap();
    let planned_at = directory.snapshot().await.unwrap().revision();
    let mut lists = Vec::new();
    for count in [1_000, 4_000] {
        let added = count - if lists.is_empty() { 0 } else { 1_000 };
        let plan = planned(&directory, recipients(count)).await;
        assert_eq!(plan.changes.len(), added);
        counts.take();
        apply(&directory, plan, planned_at, &author).await.unwrap();
        let cost = counts.take();
        // Four operations each: itself, its name, two addresses. Nothing is read before it is made.
        let batches = (added * 4).div_ceil(OPERATIONS_AT_ONCE / 4 * 4);
        assert!(cost.requests <= batches + 10 && cost.writes <= added * 4 + batches, "{count}: {cost:?} {batches}");
        lists.push(cost.lists);

        // The configuration, which is as large as it is, is read once or twice and not once for each batch; twice more in ten
        // seconds on a slow machine.
        let again = planned(&directory, recipients(count)).await;
        let cost = counts.take();
        assert!(again.changes.is_empty());
        assert!(cost.entries <= count * 2 && cost.lists == 0, "{count}: {cost:?}");
        // A page of names, then what they stand for, as many at once as a request takes.
        assert!(cost.requests <= count / 500 * (2 + 500 / OPERATIONS_AT_ONCE + 1) + 5, "{count}: {cost:?}");
    }
    assert!(lists.iter().all(|lists| *lists <= 8), "{lists:?}");

    let mut wanted = recipients(4_000);
    wanted[17].proxy_addresses.clear();
    wanted.remove(2_000);
    counts.take();
    let plan = planned(&directory, wanted).await;
    let compared = counts.take();
    assert_eq!(plan.changes.len(), 2);
    assert!(compared.entries <= 4_000 * 2 + 8, "{compared:?}");
    apply(&directory, plan, planned_at, &author).await.unwrap();
    let made = counts.take();
    assert!(made.writes <= 12 && made.entries <= 3 * (CONNECTORS + 30), "{made:?}");
}

#[tokio::test]
async fn who_was_asked_for_is_not_asked_for_again_until_something_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    let counts = Arc::new(Counts::default());
    let open = || store_at(&EmbeddedSettings::new(path.clone())).unwrap();
    let forest = Forest::new(Counting { store: open(), counts: Arc::clone(&counts) }, "c", Duration::from_secs(60));
    let other = Forest::new(open(), "c", Duration::from_secs(60));
    let author = Author::new("anna", "a test");
    let all = recipients(3).into_iter().map(|recipient| Object::Recipient(Box::new(recipient))).collect();
    for puts in [organization_objects(), all] {
        other.commit(Change { puts, ..Change::by(author.clone()) }).await.unwrap();
    }
    let directory = LastGood::new(Arc::new(Shared::new(Arc::new(forest))), folder.path().join("last-good"));
    let asked = ["r1@c.example", "nobody@c.example", "P2@c.example"].map(|text| Address::parse(text).unwrap());
    let first = directory.recipients(&asked).await;
    assert_eq!(counts.take().requests, 2, "the index, then what it points to");
    // The state of the file is looked at beside: until it is known, they are asked for again.
    let nothing_is_asked = async || {
        while counts.take().requests > 0 || directory.state_at_once().is_none() {
            assert_eq!(directory.recipients(&asked).await, first);
            assert_eq!(directory.recipients(&asked[1..]).await, first[1..]);
        }
    };
    nothing_is_asked().await;
    // One of them was never asked for: all are asked together.
    let more = [asked[0].clone(), Address::parse("r0@c.example").unwrap()];
    let found = directory.recipients(&more).await;
    assert!(found.iter().all(|answer| matches!(answer, Ok(Some(_)))), "{found:?}");
    assert_eq!(counts.take().requests, 2);
    nothing_is_asked().await;

    // A heartbeat of somebody is no change; a change of whatever it is is one.
    let state = async || {
        loop {
            match directory.state_at_once() {
                Some(state) => return state,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let before = state().await;
    let lease = other.store.grant(Duration::from_secs(60)).await.unwrap();
    assert!(other.store.keep_alive(lease).await.unwrap());
    assert_eq!(state().await, before);
    nothing_is_asked().await;
    let mut changed = recipients(2).remove(1);
    changed.proxy_addresses.clear();
    let puts = vec![Object::Recipient(Box::new(changed.clone()))];
    other.commit(Change { puts, ..Change::by(author) }).await.unwrap();
    assert_eq!(directory.recipients(&asked).await, [Ok(Some(changed)), first[1].clone(), first[2].clone()]);
    assert_eq!(counts.take().requests, 2);
}

#[tokio::test]
async fn a_change_of_recipients_wakes_nobody_who_follows_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    let open = |counts: &Arc<Counts>| {
        let store = store_at(&EmbeddedSettings::new(path.clone())).unwrap();
        Forest::new(Counting { store, counts: Arc::clone(counts) }, "c", Duration::from_secs(60))
    };
    let (writing, following) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    let (writer, follower) = (open(&writing), open(&following));
    let author = Author::new("anna", "a test");
    let mut objects = organization_objects();
    let last = objects.iter().rposition(|object| object.kind() == organization::Kind::SendConnector).unwrap();
    let last = objects.remove(last);
    let first = writer.commit(Change { puts: objects, ..Change::by(author.clone()) }).await.unwrap();
    let mut events = follower.watch(first);
    let wait = tokio::spawn(async move { events.next().await });
    for recipient in recipients(50) {
        let puts = vec![Object::Recipient(Box::new(recipient))];
        writer.commit(Change { puts, ..Change::by(author.clone()) }).await.unwrap();
    }
    writer.commit(Change { puts: vec![last], ..Change::by(author) }).await.unwrap();
    wait.await.unwrap().unwrap();
    // At the start, and for the change that is his; once more where that came in between.
    let cost = following.take();
    assert!(cost.lists <= 3, "{cost:?}");
    assert!(follower.recipient(&Address::parse("r7@c.example").unwrap()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_census_says_what_a_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_at(&EmbeddedSettings::new(folder.path().join("directory.db"))).unwrap();
    let directory = Forest::new(store, "c", Duration::from_secs(60));
    let author = Author::new("anna", "a test");
    let objects = |recipients: &[DirectoryRecipient]| {
        recipients.iter().cloned().map(|one| Object::Recipient(Box::new(one))).collect::<Vec<_>>()
    };
    directory.commit(Change { puts: organization_objects(), ..Change::by(author.clone()) }).await.unwrap();
    let mut stored = recipients(8);
    // Made by hand: another identity than the one of its name.
    stored[1].guid = stored[7].guid;
    stored.truncate(7);
    stored[2].guid = organization::Kind::Site.derived_guid("x");
    for brought in [3, 4] {
        let source = envelope::ObjectName::parse("ad").unwrap();
        stored[brought].provenance = Some(topology::recipient::Provenance { source, entry: "cn=x".into() });
    }
    directory.commit(Change { puts: objects(&stored), ..Change::by(author) }).await.unwrap();

    // One keeps its identity, one that is given up is taken, one is as it is, one changes, one is new; one that was brought is taken
    // over, the other stays, and the rest goes.
    let mut wanted = recipients(12);
    wanted[6].proxy_addresses.clear();
    let wanted: Vec<_> = [0, 1, 2, 3, 6, 9].map(|at: usize| wanted[at].clone()).into();
    let mut there = stored.clone();
    there.remove(4);
    let mut expected = organization::plan(objects(&there), objects(&wanted)).changes;
    let mut found = planned(&directory, wanted).await.changes;
    let order =
        |change: &organization::Change| (change.object().name(), matches!(change, organization::Change::Delete(_)));
    expected.sort_by_key(order);
    found.sort_by_key(order);
    assert_eq!(found, expected);
    assert!(found.iter().any(|change| matches!(change, organization::Change::Delete(_))));
}

/// Services of one process, several of each server.
const SERVICES: usize = 20;

fn presence(number: usize) -> Presence {
    Presence {
        server: ServerName::parse(&format!("M{number}")).unwrap(),
        service: Service::Transport,
        addresses: vec!["127.0.0.1:7525".parse().unwrap()],
        started: Timestamp::from_millis(1),
        version: "1".to_owned(),
        applied_revision: Revision(1),
        out_of_reach: Vec::new(),
    }
}

#[tokio::test]
async fn services_of_a_process_have_one_reader_and_one_heartbeat_and_idle_they_cost_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    let counts = Arc::new(Counts::default());
    let store = store_at(&EmbeddedSettings::new(path)).unwrap();
    let ttl = Duration::from_millis(300);
    let forest = Arc::new(Forest::new(Counting { store, counts: Arc::clone(&counts) }, "c", ttl));
    let first = forest.commit(Change { puts: organization_objects(), ..Change::by(Author::new("anna", "a test")) });
    let first = first.await.unwrap();
    counts.take();
    let process = Shared::new(forest.clone());
    for _ in 0..SERVICES {
        assert_eq!(process.snapshot().await.unwrap().revision(), first);
    }
    let mut follow: Vec<_> = (0..SERVICES).map(|_| process.watch(first)).collect();
    let announced: Vec<_> = (0..SERVICES).map(|number| process.announce(presence(number))).collect();
    let mut there: Vec<_> = (0..SERVICES).map(|_| process.watch_presences()).collect();
    for presences in &mut there {
        while presences.next().await.unwrap().len() < SERVICES {}
    }
    let started = counts.take();
    // One of the configuration to begin with and one to follow; the others of who is there, as the services come.
    assert!(started.lists <= 2 + SERVICES, "{started:?}");
    assert_eq!(counts.leases.load(Ordering::Relaxed), 1);

    // What is heard of idle services while their lease is prolonged again and again.
    counts.heartbeats.store(0, Ordering::Relaxed);
    counts.take();
    while counts.heartbeats.load(Ordering::Relaxed) < 4 {
        tokio::task::yield_now().await;
    }
    let idle = counts.take();
    let beats = counts.heartbeats.load(Ordering::Relaxed);
    assert_eq!((idle.lists, idle.writes), (0, 0), "{idle:?}");
    assert!(idle.requests <= beats, "each is looked after once a heartbeat, all together: {idle:?} in {beats}");

    // A change is read once, and told to all.
    let more = vec![one_more_connector()];
    let second = forest.commit(Change { puts: more, ..Change::by(Author::new("anna", "a test")) }).await.unwrap();
    counts.take();
    for events in &mut follow {
        let Some(WatchEvent::Snapshot(newer)) = events.next().await else { panic!("no snapshot") };
        assert_eq!(newer.revision(), second);
    }
    let told = counts.take();
    assert!(told.lists <= 2, "{told:?}");

    // The last who goes takes the lease along.
    drop(announced);
    for presences in &mut there {
        while !presences.next().await.unwrap().is_empty() {}
    }
    assert_eq!(forest.presences().await.unwrap(), []);
}

/// One more than there is.
fn one_more_connector() -> Object {
    let text = "
sites: [{name: A}]
servers: [{name: M1, fqdn: m1.c.example, site: A}]
acceptedDomains: [{name: c, domainName: c.example, default: true}]
sendConnectors: [{name: One more, addressSpaces: [more.example], sourceTransportServers: [M1]}]
";
    let (draft, _) = Document::parse(text).unwrap().to_draft(&WithoutSecrets).unwrap();
    let mut objects = organization::objects(&draft, &[]).into_iter();
    objects.find(|object| object.kind() == organization::Kind::SendConnector).unwrap()
}

#[tokio::test]
async fn what_a_process_says_no_more_goes_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_at(&EmbeddedSettings::new(folder.path().join("directory.db"))).unwrap();
    let forest = Forest::new(store, "c", Duration::from_secs(60));
    let (one, other) = (forest.announce(presence(1)), forest.announce(presence(2)));
    let mut events = forest.watch_presences();
    let mut until = async |wanted: &[Presence]| while events.next().await.unwrap() != wanted {};
    until(&[presence(1), presence(2)]).await;
    drop(one);
    until(&[presence(2)]).await;
    other.update(|presence| presence.applied_revision = Revision(9));
    until(&[Presence { applied_revision: Revision(9), ..presence(2) }]).await;
    drop(other);
    until(&[]).await;
    // And again from the beginning.
    let _again = forest.announce(presence(3));
    until(&[presence(3)]).await;
}
