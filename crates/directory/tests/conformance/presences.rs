//! Who is there, and for how long.

use authority::{Revocation, Subject};
use directory::{Directory, LastGood, Presence};
use envelope::{Revision, ServerName, Service, Timestamp};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::backends::Backend;
use crate::world::{author, name, soon};

pub(crate) fn presence(server: &str, service: Service) -> Presence {
    Presence {
        server: ServerName::parse(server).unwrap(),
        service,
        addresses: vec!["127.0.0.1:2525".parse().unwrap()],
        started: Timestamp::from_millis(1),
        version: "1.2.3".into(),
        applied_revision: Revision(1),
        out_of_reach: Vec::new(),
    }
}

async fn seen(events: &mut BoxStream<'static, Vec<Presence>>, wanted: &[Presence]) {
    soon(async { while events.next().await.unwrap() != wanted {} }).await;
}

pub(crate) async fn services_come_change_and_go(backend: impl Backend) {
    let directory = backend.directory();
    let mut events = backend.directory().watch_presences();
    let (one, mut two) = (presence("mail1", Service::Transport), presence("mail2", Service::FrontendTransport));
    let first = directory.announce(one.clone());
    seen(&mut events, std::slice::from_ref(&one)).await;
    let second = backend.directory().announce(two.clone());
    seen(&mut events, &[one.clone(), two.clone()]).await;
    two.applied_revision = Revision(8);
    second.update(|presence| presence.applied_revision = Revision(8));
    seen(&mut events, &[one.clone(), two.clone()]).await;
    assert_eq!(directory.presences().await, Ok(vec![one, two.clone()]));
    drop(first);
    seen(&mut events, &[two]).await;
}

pub(crate) async fn of_several_processes_of_a_service_the_last_is_announced_and_the_next_when_it_goes(
    backend: impl Backend,
) {
    let mut events = backend.directory().watch_presences();
    let of = |started: u64, address: &str| Presence {
        started: Timestamp::from_millis(started),
        addresses: vec![address.parse().unwrap()],
        ..presence("mail1", Service::FrontendTransport)
    };
    let (mut one, two) = (of(1, "127.0.0.1:1"), of(2, "127.0.0.1:2"));
    let (first_directory, second_directory) = (backend.directory(), backend.directory());
    let first = first_directory.announce(one.clone());
    seen(&mut events, std::slice::from_ref(&one)).await;
    let second = second_directory.announce(two.clone());
    seen(&mut events, std::slice::from_ref(&two)).await;
    // The first works by another configuration: it says so, and the other comes forward again.
    one.applied_revision = Revision(7);
    first.update(|presence| presence.applied_revision = Revision(7));
    seen(&mut events, std::slice::from_ref(&one)).await;
    seen(&mut events, std::slice::from_ref(&two)).await;
    drop(second);
    seen(&mut events, std::slice::from_ref(&one)).await;
}

pub(crate) async fn a_presence_outlives_its_process_only_by_its_lease(backend: impl Backend) {
    let mut events = backend.directory().watch_presences();
    let one = presence("mail1", Service::Transport);
    // A runtime of its own, whose end stops every heartbeat as the death of a process would.
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (directory, announced) = (backend.directory(), one.clone());
    let announcement = process.spawn(async move { directory.announce(announced) }).await.unwrap();
    seen(&mut events, std::slice::from_ref(&one)).await;
    process.shutdown_background();
    seen(&mut events, &[]).await;
    drop(announcement);
}

pub(crate) async fn presences_come_back_with_the_backend(mut backend: impl Backend) {
    let directory = backend.directory();
    let one = presence("mail1", Service::Admin);
    let _announcement = directory.announce(one.clone());
    let mut events = backend.directory().watch_presences();
    seen(&mut events, std::slice::from_ref(&one)).await;
    backend.lose_everything();
    let mut events = backend.directory().watch_presences();
    seen(&mut events, &[one]).await;
}

pub(crate) async fn a_revocation_reaches_everybody_and_outlives_the_directory(mut backend: impl Backend) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last-good");
    let directory = backend.directory();
    let service = LastGood::new(backend.directory(), path.clone());
    let mut events = service.watch_revocations();
    assert_eq!(soon(events.next()).await.unwrap(), []);
    let until = |millis| Timestamp::from_millis(millis);
    let first = Revocation { subject: Subject::Server(ServerName::parse("MAIL1").unwrap()), issued_until: until(1) };
    directory.revoke(first.clone(), &author()).await.unwrap();
    assert_eq!(soon(events.next()).await.unwrap(), std::slice::from_ref(&first));
    // Once more, by another spelling: the later one counts. A person beside it.
    let later = Revocation { subject: Subject::Server(ServerName::parse("mail1").unwrap()), issued_until: until(2) };
    let anna = Revocation { subject: Subject::Administrator(name("anna")), issued_until: until(3) };
    directory.revoke(later.clone(), &author()).await.unwrap();
    directory.revoke(anna.clone(), &author()).await.unwrap();
    soon(async { while events.next().await.unwrap() != [anna.clone(), later.clone()] {} }).await;
    let listed = directory.revocations().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|record| record.author == author()));
    // On disk a moment later: a service that starts while the directory is away heeds them.
    let remembered = path.with_added_extension("revoked");
    soon(async {
        while std::fs::read_to_string(&remembered).map_or(0, |text| text.lines().count()) < 2 {
            tokio::task::yield_now().await
        }
    })
    .await;
    backend.take_away();
    let mut events = LastGood::new(backend.directory(), path).watch_revocations();
    assert_eq!(soon(events.next()).await.unwrap(), [anna, later]);
}
