//! What an Edge server is told of recipients, over real directories on both sides, against the slow obvious model: everything, read
//! anew. Cost is counted in recipients that were read and digests that were sent, not in time.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use admin_api::{AdminError, ToldLast};
use async_trait::async_trait;
use directory::{
    AddressChanges, Administration, Answer, Author, Backend, Bucket, Change, ChangesError, CommitError, Configuration,
    DigestsChange, EmbeddedSettings, HistoryError, Marks, MarksSum, Moment, Presence, Presences, ReadError,
    RecipientDigest, RevisionRecord, RevocationRecord, Salvage, WatchEvent, all_recipients, open_embedded,
};
use envelope::{Address, ObjectName, Revision};
use futures::stream::BoxStream;
use organization::{Document, Kind, Object, WithoutSecrets};
use perimeter::recipients::{Depth, GATHERED_MAX, Outside, Recipients, Sorted, ToldBefore, ToldReport};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use topology::{DirectoryRecipient, Guid, Organization};

const SALT: &str = "salt";

/// A directory that counts the recipients that are listed, as they are or as they were.
struct Counting(Arc<dyn Administration>, Arc<AtomicUsize>);

#[async_trait]
impl Configuration for Counting {
    async fn snapshot(&self) -> Result<Arc<Organization>, ReadError> {
        self.0.snapshot().await
    }
    fn watch(&self, after: Revision) -> BoxStream<'static, WatchEvent> {
        self.0.watch(after)
    }
}

#[async_trait]
impl directory::Recipients for Counting {
    async fn recipients(&self, addresses: &[Address]) -> Vec<Answer> {
        self.0.recipients(addresses).await
    }
    async fn recipient_by_name(&self, name: &ObjectName) -> Answer {
        self.0.recipient_by_name(name).await
    }
    async fn list_recipients(
        &self,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<DirectoryRecipient>, ReadError> {
        let page = self.0.list_recipients(after, limit).await?;
        self.1.fetch_add(page.len(), Ordering::Relaxed);
        Ok(page)
    }
}

#[async_trait]
impl Presences for Counting {
    async fn presences(&self) -> Result<Vec<Presence>, ReadError> {
        self.0.presences().await
    }
    fn watch_presences(&self) -> BoxStream<'static, Vec<Presence>> {
        self.0.watch_presences()
    }
}

#[async_trait]
impl Administration for Counting {
    async fn salvage(&self) -> Result<Salvage, ReadError> {
        self.0.salvage().await
    }
    async fn commit(&self, change: Change) -> Result<Revision, CommitError> {
        self.0.commit(change).await
    }
    async fn revoke(&self, revocation: authority::Revocation, author: &Author) -> Result<(), CommitError> {
        self.0.revoke(revocation, author).await
    }
    async fn revocations(&self) -> Result<Vec<RevocationRecord>, ReadError> {
        self.0.revocations().await
    }
    async fn begin_epoch(&self, beyond: Revision, author: &Author) -> Result<Revision, CommitError> {
        self.0.begin_epoch(beyond, author).await
    }
    async fn at(&self, revision: Revision) -> Result<Arc<dyn Administration>, HistoryError> {
        Ok(Arc::new(Self(self.0.at(revision).await?, Arc::clone(&self.1))))
    }
    async fn revisions(&self, limit: usize) -> Result<Vec<RevisionRecord>, ReadError> {
        self.0.revisions(limit).await
    }
    async fn moment(&self) -> Result<Option<Moment>, ReadError> {
        self.0.moment().await
    }
    async fn addresses_between(&self, since: &Moment, until: &Moment) -> Result<AddressChanges, ChangesError> {
        self.0.addresses_between(since, until).await
    }
}

/// An Edge server whose network is a function call.
struct Edge {
    directory: Arc<dyn Backend>,
    digests: AtomicUsize,
}

fn refused(error: &impl ToString) -> AdminError {
    AdminError::Answer { peer: "EDGE1".to_owned(), cause: error.to_string() }
}

#[async_trait]
impl Outside for Edge {
    async fn told_last(&self, known: &MarksSum) -> Result<ToldLast, AdminError> {
        let sum = self.directory.told_last().await.map_err(|error| refused(&error))?;
        let same = sum == *known && sum != MarksSum::default();
        let marks =
            if same { None } else { Some(self.directory.bucket_marks().await.map_err(|error| refused(&error))?) };
        Ok(ToldLast { sum, marks })
    }
    async fn put(&self, salt: &str, buckets: Sorted, complete: Option<MarksSum>) -> Result<(), AdminError> {
        // Some at a time, as they travel.
        let mut buckets = buckets.peekable();
        loop {
            let piece: BTreeMap<u16, Bucket> = buckets.by_ref().take(100).collect();
            self.digests.fetch_add(piece.values().map(Bucket::len).sum(), Ordering::Relaxed);
            let is_last = buckets.peek().is_none();
            let complete = complete.as_ref().filter(|_| is_last);
            self.directory.put_buckets(salt, &piece, complete).await.map_err(|error| refused(&error))?;
            if is_last {
                return Ok(());
            }
        }
    }
    async fn change(&self, change: &DigestsChange) -> Result<bool, AdminError> {
        let count: usize = change.buckets.values().map(|bucket| bucket.come.len() + bucket.gone.len()).sum();
        self.digests.fetch_add(count, Ordering::Relaxed);
        match self.directory.change_buckets(change).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(refused(&error)),
        }
    }
}

struct World {
    directory: Arc<dyn Administration>,
    listed: Arc<AtomicUsize>,
    edge: Edge,
    gathered_max: usize,
    folder: tempfile::TempDir,
}

/// What a synchronization cost.
struct Cost {
    report: ToldReport,
    listed: usize,
    digests: usize,
}

fn objects(yaml: &str) -> Vec<Object> {
    let (draft, recipients) = Document::parse(yaml).unwrap().to_draft(&WithoutSecrets).unwrap();
    let all = organization::objects(&draft, &recipients).into_iter();
    all.filter(|object| !object.is_untouched_default() && object.kind() != Kind::TransportConfig).collect()
}

fn change() -> Change {
    Change::by(Author::new("anna", "a test"))
}

impl World {
    async fn new(history_entries_max: u32, gathered_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings::new(folder.path().join("inside.db"));
        let inside = open_embedded(&EmbeddedSettings { history_entries_max, ..settings }, "contoso.com").unwrap();
        let listed = Arc::new(AtomicUsize::new(0));
        let directory = Arc::new(Counting(inside, Arc::clone(&listed)));
        let edge = Edge { directory: edge(&folder, 0), digests: AtomicUsize::new(0) };
        let world = Self { directory, listed, edge, gathered_max, folder };
        let founding = "sites: [{name: A}]
servers: [{name: M1, fqdn: m1.contoso.com, site: A}]
databases: [{name: DB1, server: M1}]
acceptedDomains: [{name: c, domainName: contoso.com, default: true}]
";
        world.directory.commit(Change { puts: objects(founding), ..change() }).await.unwrap();
        world
    }

    async fn put(&self, puts: Vec<Object>) -> bool {
        self.directory.commit(Change { puts, ..change() }).await.is_ok()
    }

    async fn delete(&self, kind: Kind, guid: Guid) -> bool {
        self.directory.commit(Change { deletes: vec![(kind, guid)], ..change() }).await.is_ok()
    }

    async fn tell(&self, told: &mut ToldBefore, depth: Depth) -> Cost {
        let organization = self.directory.snapshot().await.unwrap();
        let (listed, digests) = (self.listed.load(Ordering::Relaxed), self.edge.digests.load(Ordering::Relaxed));
        let report = self.of(&organization).tell(&self.edge, told, depth).await.unwrap();
        let listed = self.listed.load(Ordering::Relaxed) - listed;
        Cost { report, listed, digests: self.edge.digests.load(Ordering::Relaxed) - digests }
    }

    fn of<'a>(&'a self, organization: &'a Organization) -> Recipients<'a> {
        Recipients { directory: &*self.directory, organization, salt: SALT, gathered_max: self.gathered_max }
    }

    /// The model: digests of all addresses in accepted domains, but of those whom strangers may not write to.
    async fn wanted(&self) -> BTreeSet<RecipientDigest> {
        let organization = self.directory.snapshot().await.unwrap();
        let all = all_recipients(&*self.directory).await.unwrap();
        let open = all.iter().filter(|one| !one.restrictions.require_sender_authentication);
        let addresses = open.flat_map(DirectoryRecipient::addresses);
        let ours = addresses.filter(|address| organization.accepted_domain(&address.domain()).is_some());
        ours.map(|address| RecipientDigest::of(SALT, address)).collect()
    }

    /// That the Edge server knows what it ought to.
    async fn check(&self, report: &ToldReport, what: &str) {
        let wanted = self.wanted().await;
        assert_eq!(report.addresses, wanted.len(), "{what}");
        let marks: Marks = wanted.iter().copied().collect();
        assert_eq!(self.edge.directory.bucket_marks().await.unwrap(), marks, "{what}");
        assert_eq!(self.edge.directory.told_last().await.unwrap(), marks.sum(SALT), "{what}");
        for digest in &wanted {
            assert_eq!(self.edge.directory.knows_digest(SALT, digest).await.unwrap(), Some(true), "{what}");
        }
    }
}

fn edge(folder: &tempfile::TempDir, number: usize) -> Arc<dyn Backend> {
    let path = folder.path().join(format!("edge{number}.db"));
    open_embedded(&EmbeddedSettings::new(path), "edge1.contoso.com").unwrap()
}

const DOMAINS: [&str; 4] = ["contoso.com", "a.sub.contoso.com", "fabrikam.com", "elsewhere.example"];

fn guid(number: usize) -> Guid {
    Kind::Recipient.derived_guid(&format!("identity {number}"))
}

fn mailbox(identity: usize, name: &str, address: &str, proxies: &[String]) -> Object {
    mailbox_with(identity, name, address, proxies, false)
}

fn mailbox_with(identity: usize, name: &str, address: &str, proxies: &[String], closed: bool) -> Object {
    let proxies = proxies.join(", ");
    let yaml = format!(
        "databases: [{{name: DB1, server: M1}}]\nservers: [{{name: M1, fqdn: m1.contoso.com, site: A}}]\nsites: [{{name: A}}]\nrecipients: [{{name: {name}, address: {address}, proxyAddresses: [{proxies}], database: DB1, requireSenderAuthenticationEnabled: {closed}}}]"
    );
    let object = objects(&yaml).into_iter().find(|object| object.kind() == Kind::Recipient).unwrap();
    object.with_guid(guid(identity))
}

fn any_mailbox(random: &mut StdRng) -> Object {
    let mut address = |at: usize| format!("u{at}@{}", DOMAINS[random.random_range(0..DOMAINS.len())]);
    let (first, second) = (address(1), address(2));
    let of = |address: &str, number: usize| address.replace('u', &format!("u{number}"));
    let (one, other) = (random.random_range(0..40), random.random_range(0..40));
    let proxies = if random.random_bool(0.6) { vec![of(&second, other)] } else { Vec::new() };
    let name = format!("n{}", random.random_range(0..60));
    let closed = random.random_bool(0.2);
    mailbox_with(random.random_range(0..30), &name, &of(&first, one), &proxies, closed)
}

/// Changes that happen, and how many recipients they touch at most.
async fn something_happens(world: &World, random: &mut StdRng) -> usize {
    let domain = |name: &str, pattern: &str| {
        let first = "{name: c, domainName: contoso.com, default: true}";
        objects(&format!("acceptedDomains: [{first}, {{name: {name}, domainName: '{pattern}'}}]"))
            .into_iter()
            .find(|object| object.kind() == Kind::AcceptedDomain && object.name() == name)
            .unwrap()
    };
    let of_domain = |name: &str| (Kind::AcceptedDomain, Kind::AcceptedDomain.derived_guid(name));
    match random.random_range(0..20) {
        0 => {
            let (name, pattern) = [("f", "fabrikam.com"), ("s", "*.contoso.com")][random.random_range(0..2)];
            assert!(world.put(vec![domain(name, pattern)]).await);
            0
        }
        1 => {
            let (kind, guid) = of_domain(["f", "s"][random.random_range(0..2)]);
            world.delete(kind, guid).await;
            0
        }
        2 | 3 => {
            let number = random.random_range(0..5);
            let text = format!(
                "sendConnectors: [{{name: C{number}, addressSpaces: ['*'], sourceTransportServers: [M1]}}]\nservers: [{{name: M1, fqdn: m1.contoso.com, site: A}}]\nsites: [{{name: A}}]"
            );
            let connector = objects(&text).into_iter().find(|object| object.kind() == Kind::SendConnector).unwrap();
            world.put(vec![connector]).await;
            0
        }
        4..7 => usize::from(world.delete(Kind::Recipient, guid(random.random_range(0..30))).await),
        // Two in one change: what one gives up the other may take.
        7..10 => 2 * usize::from(world.put(vec![any_mailbox(random), any_mailbox(random)]).await),
        _ => usize::from(world.put(vec![any_mailbox(random)]).await),
    }
}

async fn any_history(history_entries_max: u32, gathered_max: usize, rounds: usize) -> BTreeSet<String> {
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::new(history_entries_max, gathered_max).await;
    let mut told = [ToldBefore::default(), ToldBefore::default()];
    let mut reasons = BTreeSet::new();
    for round in 0..rounds {
        let what = format!("seed {seed}, round {round}");
        let mut touched = 0;
        for _ in 0..random.random_range(0..6) {
            touched += something_happens(&world, &mut random).await;
        }
        match random.random_range(0..30) {
            // The process that told it ends.
            0 => told[0] = ToldBefore::default(),
            // The Edge server's disk is lost, or what it was told.
            1 => world.edge.directory = edge(&world.folder, round + 1),
            2 => world.edge.directory.forget_digests().await.unwrap(),
            _ => {}
        }
        let depth = [Depth::Changes, Depth::Changes, Depth::Compare][random.random_range(0..3)];
        // Now and then another server tells it.
        let teller = usize::from(random.random_range(0..10) == 0);
        let Cost { report, listed, .. } = world.tell(&mut told[teller], depth).await;
        world.check(&report, &what).await;
        match report.all_read {
            None => assert!(listed == 0 && (teller == 1 || report.read <= touched), "{what}: {listed} {report:?}"),
            Some(why) => {
                told[1 - teller] = ToldBefore::default();
                reasons.insert(why);
            }
        }
    }
    reasons
}

// EN-30, EN-31
#[tokio::test]
async fn an_edge_server_is_told_what_reading_everything_says() {
    let reasons = any_history(20_000, GATHERED_MAX, 150).await;
    assert!(!reasons.iter().any(|why| why.contains("kept") || why.contains("does not say")), "{reasons:?}");
    assert!(reasons.contains("the accepted domains have changed"), "{reasons:?}");
}

#[tokio::test]
async fn the_same_with_little_memory_and_a_short_history() {
    let reasons = any_history(12, 10, 100).await;
    assert!(reasons.iter().any(|why| why.contains("is no longer kept")), "{reasons:?}");
    any_history(0, 10, 20).await;
}

fn many(count: usize) -> Vec<Object> {
    (0..count)
        .map(|number| {
            let address = format!("user{number}@contoso.com");
            mailbox(number, &format!("user{number}"), &address, &[format!("u{number}@contoso.com")])
        })
        .collect()
}

// EN-31: full once, later incremental; deletions propagate.
#[tokio::test]
async fn a_change_costs_what_it_changes() {
    const MANY: usize = 1_200;
    let world = World::new(20_000, GATHERED_MAX).await;
    for some in many(MANY).chunks(600) {
        assert!(world.put(some.to_vec()).await);
    }
    let mut told = ToldBefore::default();
    let Cost { report, listed, digests } = world.tell(&mut told, Depth::Changes).await;
    assert_eq!((listed, digests, report.read, report.addresses), (MANY, 2 * MANY, MANY, 2 * MANY));
    assert!(report.all_read.is_some());

    let costs = async |told: &mut ToldBefore, depth: Depth| {
        let Cost { report, listed, digests } = world.tell(told, depth).await;
        world.check(&report, "a change").await;
        (report.all_read, listed, report.read, digests)
    };
    // Nothing, and a change of the configuration alone: no recipient is read.
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 0, 0));
    assert_eq!(costs(&mut told, Depth::Compare).await, (None, 0, 0, 0));
    let comment = "sites: [{name: A, hubSiteEnabled: true}]";
    let site = objects(comment).into_iter().find(|object| object.kind() == Kind::Site).unwrap();
    assert!(world.put(vec![site]).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 0, 0));
    // One that comes, one that is renamed, one whose address changes, one that goes.
    let proxies = |number: usize| vec![format!("u{number}@contoso.com")];
    assert!(world.put(vec![mailbox(MANY, "new", "new@contoso.com", &[])]).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 1, 1));
    assert!(world.put(vec![mailbox(7, "renamed", "user7@contoso.com", &proxies(7))]).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 1, 0));
    assert!(world.put(vec![mailbox(8, "user8", "other@contoso.com", &proxies(8))]).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 1, 2));
    assert!(world.delete(Kind::Recipient, guid(9)).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 1, 2));
    // One that takes mail of the organization alone is nobody outside, and is somebody again.
    assert!(world.put(vec![mailbox_with(12, "user12", "user12@contoso.com", &proxies(12), true)]).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 1, 2));
    assert!(world.put(vec![mailbox(12, "user12", "user12@contoso.com", &proxies(12))]).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 1, 2));
    // An address goes from one to another: two are read, and nobody outside has to know.
    let moved = [
        mailbox(10, "user10", "user10@contoso.com", &[]),
        mailbox(11, "user11", "user11@contoso.com", &["u11@contoso.com".to_owned(), "u10@contoso.com".to_owned()]),
    ];
    assert!(world.put(moved.to_vec()).await);
    assert_eq!(costs(&mut told, Depth::Changes).await, (None, 0, 2, 0));
    // Compared with what was told before nothing is read either; in full everything is.
    let organization = world.directory.snapshot().await.unwrap();
    let before = world.listed.load(Ordering::Relaxed);
    let buckets = world.of(&organization).compare(&world.edge, &told, false).await.unwrap();
    assert!(buckets.0 == 0 && buckets.1 > 1_000, "{buckets:?}");
    assert_eq!(world.listed.load(Ordering::Relaxed), before);
    assert_eq!(world.of(&organization).compare(&world.edge, &told, true).await.unwrap(), buckets);
    assert_eq!(world.listed.load(Ordering::Relaxed), before + MANY);
    // Wanted in full nothing is sent that is there.
    let (why, listed, _, digests) = costs(&mut told, Depth::Full).await;
    assert!(why.is_some());
    assert_eq!((listed, digests), (MANY, 0));
}

#[tokio::test]
async fn what_another_server_told_or_whose_answer_was_lost_is_not_told_again() {
    let world = World::new(20_000, GATHERED_MAX).await;
    assert!(world.put(many(100)).await);
    let mut told = ToldBefore::default();
    world.tell(&mut told, Depth::Changes).await;
    let mut other = told.clone();
    for depth in [Depth::Changes, Depth::Compare] {
        assert!(world.delete(Kind::Recipient, guid(if depth == Depth::Compare { 1 } else { 0 })).await);
        assert_eq!(world.tell(&mut told, depth).await.digests, 2);
        let Cost { report, listed, digests } = world.tell(&mut other, depth).await;
        assert_eq!((&report.all_read, listed, digests), (&None, 0, 0));
        world.check(&report, "after both").await;
    }
}

#[tokio::test]
async fn what_is_lost_or_altered_outside_is_healed_and_what_is_right_is_not_sent() {
    const MANY: usize = 1_200;
    let mut world = World::new(20_000, GATHERED_MAX).await;
    for some in many(MANY).chunks(600) {
        assert!(world.put(some.to_vec()).await);
    }
    let mut told = ToldBefore::default();
    world.tell(&mut told, Depth::Changes).await;

    // Everything is lost.
    world.edge.directory = edge(&world.folder, 1);
    let Cost { report, digests, .. } = world.tell(&mut told, Depth::Changes).await;
    assert!(report.all_read.as_deref().is_some_and(|why| why.contains("does not have what it was told")));
    assert_eq!(digests, 2 * MANY);
    world.check(&report, "after the loss").await;

    // One bucket is altered behind everybody's back: its sum is still there, so that only a comparison tells.
    let sum = world.edge.directory.told_last().await.unwrap();
    let stranger = RecipientDigest::of(SALT, &Address::parse("stranger@contoso.com").unwrap());
    let altered = BTreeMap::from([(stranger.bucket(), Bucket::new(vec![stranger]))]);
    world.edge.directory.put_buckets(SALT, &altered, Some(&sum)).await.unwrap();
    assert_eq!(world.tell(&mut told, Depth::Changes).await.report.all_read, None);
    let organization = world.directory.snapshot().await.unwrap();
    assert_eq!(world.of(&organization).compare(&world.edge, &told, false).await.unwrap().0, 1);
    let Cost { report, digests, .. } = world.tell(&mut told, Depth::Compare).await;
    assert!(digests < 20, "{digests}");
    assert_eq!(report.buckets, 1);
    world.check(&report, "after the alteration").await;

    // The same bucket, and a change in it: it is not what it ought to be after the change.
    world.edge.directory.put_buckets(SALT, &altered, Some(&sum)).await.unwrap();
    assert!(world.put(vec![mailbox(MANY, "stranger", "stranger@contoso.com", &[])]).await);
    let Cost { report, .. } = world.tell(&mut told, Depth::Changes).await;
    assert!(report.all_read.as_deref().is_some_and(|why| why.contains("does not take changes")), "{report:?}");
    world.check(&report, "after the alteration and the change").await;
}
