//! Three etcd that elect a leader: any one of them may be dead, frozen or full while everything goes on.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use directory::{
    Backend, CommitError, Configuration, EtcdSettings, EtcdTls, FOREST_DEFAULT, LastGood, Presence, ReadError,
    Recipients, WatchEvent, connect_etcd,
};
use envelope::{Revision, Service};
use futures::StreamExt;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::etcd_server::{EtcdCluster, EtcdServer, EtcdTlsFiles};
use crate::presences::presence;
use crate::tls::Authority;
use crate::world::{address, connector, founded, mailbox, put, recipient, snapshot, soon, until};

/// Processes that read at the same time. Each begins with a member of its own choice.
const READERS: usize = 6;
/// Answers that each reader wants to have had before something else happens.
const ENOUGH: usize = 10;
/// Between two questions, or changes, of each of them: some are under way at every moment, and the members do not share their
/// processors with questions alone.
const PACE: Duration = Duration::from_millis(20);
/// Outlives an election of a busy machine.
const LEASE_TTL: Duration = Duration::from_secs(10);

fn cluster() -> EtcdCluster {
    EtcdCluster::start(3, None, &[])
}

fn connected(settings: &EtcdSettings) -> Arc<dyn Backend> {
    connect_etcd(EtcdSettings { lease_ttl: LEASE_TTL, ..settings.clone() }, FOREST_DEFAULT)
}

/// Whoever was kept waiting does not make up for it.
fn pace() -> tokio::time::Interval {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    pace
}

/// What an organization does all the time: look-ups, snapshots, changes, presences. Everything that fails is noted.
struct Organization {
    settings: EtcdSettings,
    failures: Arc<Mutex<Vec<String>>>,
    answers: Vec<Arc<AtomicUsize>>,
    committed: Arc<Mutex<Revision>>,
    commits: Arc<AtomicUsize>,
    events: BoxStream<'static, WatchEvent>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _announcements: Vec<directory::Announcement>,
}

impl Organization {
    async fn start(settings: EtcdSettings) -> Self {
        let directory = connected(&settings);
        let first = founded(&*directory).await;
        let alice = mailbox("alice", "alice@contoso.com", &[]);
        directory.commit(put(vec![alice.clone()])).await.unwrap();
        let (failures, stop) = (Arc::default(), Arc::default());
        let announcements = [presence("mail1", Service::Transport), presence("mail1", Service::FrontendTransport)];
        let announcements: Vec<_> = announcements.map(|one| connected(&settings).announce(one)).into();
        let mut organization = Self {
            events: connected(&settings).watch(first),
            settings,
            failures,
            answers: Vec::new(),
            committed: Arc::new(Mutex::new(first)),
            commits: Arc::default(),
            stop,
            tasks: Vec::new(),
            _announcements: announcements,
        };
        for _ in 0..READERS {
            organization.read(recipient(&alice));
        }
        organization.change();
        organization.count_services().await;
        organization
    }

    fn read(&mut self, alice: topology::DirectoryRecipient) {
        let (directory, failures, stop) = (connected(&self.settings), self.failures.clone(), self.stop.clone());
        let answers: Arc<AtomicUsize> = Arc::default();
        self.answers.push(answers.clone());
        self.tasks.push(tokio::spawn(async move {
            let asked = [address("alice@contoso.com"), address("nobody@contoso.com")];
            let mut pace = pace();
            while !stop.load(Ordering::SeqCst) {
                pace.tick().await;
                let found = directory.recipients(&asked).await;
                if found != [Ok(Some(alice.clone())), Ok(None)] {
                    failures.lock().push(format!("recipients: {found:?}"));
                }
                if let Err(error) = directory.snapshot().await {
                    failures.lock().push(format!("snapshot: {error}"));
                }
                answers.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }

    fn change(&mut self) {
        let (directory, failures, stop) = (connected(&self.settings), self.failures.clone(), self.stop.clone());
        let (committed, commits) = (self.committed.clone(), self.commits.clone());
        self.tasks.push(tokio::spawn(async move {
            let mut pace = pace();
            for number in 0.. {
                pace.tick().await;
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                match directory.commit(put(vec![connector(&format!("C{}", number % 20))])).await {
                    Ok(revision) => *committed.lock() = revision,
                    Err(error) => failures.lock().push(format!("commit: {error}")),
                }
                commits.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }

    /// Notes every moment in which a service is not there.
    async fn count_services(&mut self) {
        let (failures, stop) = (self.failures.clone(), self.stop.clone());
        let mut events = connected(&self.settings).watch_presences();
        while soon(events.next()).await.unwrap().len() < 2 {}
        self.tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let Ok(Some(present)) = tokio::time::timeout(LEASE_TTL / 10, events.next()).await else { continue };
                if present.len() < 2 {
                    failures.lock().push(format!("only {present:?} are there"));
                }
            }
        }));
    }

    /// Returns when everybody had answers, and the watcher the newest configuration, after now.
    async fn goes_on(&mut self) {
        let before: Vec<usize> = self.answers.iter().map(|answers| answers.load(Ordering::SeqCst)).collect();
        let commits = self.commits.load(Ordering::SeqCst);
        let mut again = pace();
        soon(async {
            for (answers, before) in self.answers.iter().zip(before) {
                while answers.load(Ordering::SeqCst) < before + ENOUGH {
                    again.tick().await;
                }
            }
            while self.commits.load(Ordering::SeqCst) < commits + 2 {
                again.tick().await;
            }
        })
        .await;
        let wanted = *self.committed.lock();
        while snapshot(&mut self.events).await.revision() < wanted {}
        assert_eq!(*self.failures.lock(), Vec::<String>::new());
    }

    async fn end(mut self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            soon(task).await.unwrap();
        }
        assert_eq!(*self.failures.lock(), Vec::<String>::new());
        let there: BTreeSet<Service> = connected(&self.settings)
            .presences()
            .await
            .unwrap()
            .into_iter()
            .map(|Presence { service, .. }| service)
            .collect();
        assert_eq!(there, BTreeSet::from([Service::Transport, Service::FrontendTransport]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_member_dies_in_turn_and_nobody_notices() {
    let mut cluster = cluster();
    let mut organization = Organization::start(EtcdSettings::new(cluster.endpoints())).await;
    // One of them leads: its death is an election.
    for at in 0..cluster.members.len() {
        organization.goes_on().await;
        cluster.members[at].kill();
        organization.goes_on().await;
        cluster.members[at].restart();
    }
    organization.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_member_freezes_in_turn_and_nobody_notices() {
    let cluster = cluster();
    let mut organization = Organization::start(EtcdSettings::new(cluster.endpoints())).await;
    for at in 0..cluster.members.len() {
        organization.goes_on().await;
        cluster.members[at].freeze();
        organization.goes_on().await;
        cluster.members[at].thaw();
    }
    organization.end().await;
}

/// A machine is gone for good. One of the three leads: each is replaced once, in a cluster of its own. Most of it is etcd's waiting
/// until it believes its members.
#[tokio::test(flavor = "multi_thread")]
async fn each_member_is_replaced_by_a_new_one_elsewhere_and_nobody_notices() {
    let all = (0..3).map(|at| tokio::spawn(a_member_is_replaced(at)));
    for replaced in futures::future::join_all(all).await {
        replaced.unwrap();
    }
}

async fn a_member_is_replaced(at: usize) {
    let mut cluster = tokio::task::block_in_place(cluster);
    let before = EtcdSettings::new(cluster.endpoints());
    let mut organization = Organization::start(before.clone()).await;
    organization.goes_on().await;
    tokio::task::block_in_place(|| cluster.replace(at));
    assert_ne!(cluster.endpoints(), before.endpoints, "it listens elsewhere");
    organization.goes_on().await;
    // The new one counts: with it another may go, and those who know only the old ones go on.
    let other = (at + 1) % 3;
    cluster.members[other].kill();
    organization.goes_on().await;
    // Who was told of the new one alone finds everything there, and changes it.
    let told = connected(&EtcdSettings::new(vec![cluster.members[at].endpoint()]));
    let known = *organization.committed.lock();
    assert!(told.snapshot().await.unwrap().revision() >= known);
    let alice = told.recipients(&[address("alice@contoso.com")]).await;
    assert!(matches!(&alice[..], [Ok(Some(_))]), "{alice:?}");
    told.commit(put(vec![connector("By the new one")])).await.unwrap();
    tokio::task::block_in_place(|| cluster.members[other].restart());
    organization.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_with_certificates_and_users() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (certificate, key) = authority.issue("etcd.test");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let files = EtcdTlsFiles {
        certificate: file("server.crt", &certificate),
        key: file("server.key", &key),
        client_ca: file("ca.crt", &authority.pem),
    };
    let mut cluster = EtcdCluster::start(3, Some(&files), &[]);
    let (certificate, key) = authority.issue("mail1");
    let identity = Some((certificate.clone().into_bytes(), Zeroizing::new(key.clone().into_bytes())));
    let ca = authority.pem.clone().into_bytes();
    let tls = Some(EtcdTls { ca, identity, domain_name: Some("etcd.test".into()) });
    let with = etcd_client::TlsOptions::new()
        .ca_certificate(etcd_client::Certificate::from_pem(&authority.pem))
        .identity(etcd_client::Identity::from_pem(&certificate, &key))
        .domain_name("etcd.test");
    let options = etcd_client::ConnectOptions::new().with_tls(with);
    let mut admin = etcd_client::Client::connect([cluster.members[0].endpoint()], Some(options)).await.unwrap();
    admin.user_add("root", "secret", None).await.unwrap();
    admin.user_grant_role("root", "root").await.unwrap();
    admin.auth_enable().await.unwrap();
    let user = Some(("root".to_owned(), Zeroizing::new("secret".to_owned())));
    let settings = EtcdSettings { tls, user, ..EtcdSettings::new(cluster.endpoints()) };
    until(|| async { connected(&settings).snapshot().await }).await;
    let mut organization = Organization::start(settings).await;
    // A member that comes back knows none of its tokens any more.
    for at in 0..cluster.members.len() {
        organization.goes_on().await;
        cluster.members[at].kill();
        organization.goes_on().await;
        cluster.members[at].restart();
    }
    organization.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_swallows_everything_is_asked_once_and_then_beside() {
    let cluster = cluster();
    for at in 0..=cluster.members.len() {
        // It takes connections and never says a word.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut endpoints = cluster.endpoints();
        endpoints.insert(at, format!("http://{}", silent.local_addr().unwrap()));
        let directory = connect_etcd(EtcdSettings::new(endpoints), FOREST_DEFAULT);
        for _ in 0..200 {
            directory.snapshot().await.unwrap();
        }
        silent.set_nonblocking(true).unwrap();
        let asked = std::iter::from_fn(|| silent.accept().ok()).count();
        assert!(asked < 20, "it was asked {asked} times in 200 questions");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_what_is_known_goes_on_and_changes_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = cluster();
    let settings = EtcdSettings::new(cluster.endpoints());
    let directory = connected(&settings);
    founded(&*directory).await;
    let alice = mailbox("alice", "alice@contoso.com", &[]);
    directory.commit(put(vec![alice.clone()])).await.unwrap();
    let service = LastGood::new(connected(&settings), folder.path().join("last-good"));
    let known = service.snapshot().await.unwrap().revision();
    let asked = [address("alice@contoso.com")];
    assert_eq!(service.recipients(&asked).await, [Ok(Some(recipient(&alice)))]);
    let _announced = connected(&settings).announce(presence("mail1", Service::Transport));
    until(|| async { if directory.presences().await.unwrap().is_empty() { Err(()) } else { Ok(()) } }).await;
    let mut events = service.watch(known);

    cluster.members[0].kill();
    cluster.members[2].kill();
    assert!(matches!(soon(events.next()).await, Some(WatchEvent::Unavailable(_))));
    assert_eq!(service.snapshot().await.unwrap().revision(), known);
    assert_eq!(service.recipients(&asked).await, [Ok(Some(recipient(&alice)))]);
    let refused = directory.commit(put(vec![connector("Late")])).await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, CommitError::Unavailable(_)) && text.contains("more than half of its members"), "{text}");

    cluster.restart_dead();
    let revision = until(|| directory.commit(put(vec![connector("Later")]))).await;
    let mut seen = snapshot(&mut events).await;
    while seen.revision() < revision {
        seen = snapshot(&mut events).await;
    }
    // The lease is prolonged, or a new one taken: the service is there in the end.
    until(|| async { if directory.presences().await.unwrap_or_default().len() == 1 { Ok(()) } else { Err(()) } }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_etcd_answers_and_says_what_to_do_about_changes() {
    let cluster = EtcdCluster::start(3, None, &["--quota-backend-bytes", "2000000"]);
    let settings = EtcdSettings::new(cluster.endpoints());
    let directory = connected(&settings);
    let first = founded(&*directory).await;
    let _announced = connected(&settings).announce(presence("mail1", Service::Transport));
    until(|| async { if directory.presences().await.unwrap().is_empty() { Err(()) } else { Ok(()) } }).await;
    let mut other = etcd_client::Client::connect(cluster.endpoints(), None).await.unwrap();
    let mut filled = 0;
    let full = loop {
        match other.put("/other/large", vec![b'x'; 200_000], None).await {
            Ok(_) => filled += 1,
            Err(error) => break error.to_string(),
        }
        assert!(filled < 1000, "the quota holds");
    };
    assert!(full.contains("space exceeded"), "{full}");
    let refused = soon(async {
        loop {
            // The alarm is raised a moment after the first refusal.
            match directory.commit(put(vec![connector("Late")])).await {
                Err(error) if error.to_string().contains("space exceeded") => return error.to_string(),
                _ => tokio::task::yield_now().await,
            }
        }
    });
    let refused = refused.await;
    assert!(refused.contains("etcdctl alarm disarm"), "{refused}");
    assert!(directory.snapshot().await.unwrap().revision() >= first);
    // Longer than a lease that is not prolonged lasts.
    let (over, mut pace) = (tokio::time::Instant::now() + LEASE_TTL + LEASE_TTL / 2, pace());
    while tokio::time::Instant::now() < over {
        pace.tick().await;
        assert_eq!(directory.presences().await.map(|there| there.len()), Ok(1));
    }
    let now = other.get("x", None).await.unwrap().header().unwrap().revision();
    other.compact(now, Some(etcd_client::CompactionOptions::new().with_physical())).await.unwrap();
    // What the refusal says is what helps.
    for command in [["defrag", ""], ["alarm", "disarm"]] {
        let mut etcdctl = std::process::Command::new("etcdctl");
        etcdctl.arg(format!("--endpoints={}", cluster.endpoints().join(",")));
        etcdctl.args(command.iter().filter(|argument| !argument.is_empty())).env("ETCDCTL_API", "3");
        assert!(etcdctl.status().unwrap().success(), "{command:?}");
    }
    let last = until(|| directory.commit(put(vec![connector("Later")]))).await;
    assert!(matches!(directory.snapshot().await, Ok(now) if now.revision() == last));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cluster_is_told_with_every_member() {
    let mut cluster = cluster();
    let directory = connected(&EtcdSettings::new(cluster.endpoints()));
    founded(&*directory).await;
    cluster.members.iter_mut().for_each(EtcdServer::kill);
    let Err(ReadError::Unavailable(text)) = directory.snapshot().await else { panic!("nobody is there") };
    assert!(cluster.endpoints().iter().all(|endpoint| text.contains(endpoint.as_str())), "{text}");
}
