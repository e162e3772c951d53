//! Who is there, and for how long.

use directory::Presence;
use envelope::Service;
use envelope::{Revision, ServerName};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::backends::Backend;
use crate::world::soon;

pub fn presence(server: &str, service: Service) -> Presence {
    Presence {
        server: ServerName::parse(server).unwrap(),
        service,
        addresses: vec!["127.0.0.1:2525".parse().unwrap()],
        started: envelope::Timestamp::from_millis(1),
        version: "1.2.3".into(),
        applied_revision: Revision(7),
    }
}

async fn seen(events: &mut BoxStream<'static, Vec<Presence>>, wanted: &[Presence]) {
    soon(async { while events.next().await.unwrap() != wanted {} }).await;
}

pub async fn services_come_change_and_go(backend: impl Backend) {
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

pub async fn a_presence_outlives_its_process_only_by_its_lease(backend: impl Backend) {
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

pub async fn presences_come_back_with_the_backend(mut backend: impl Backend) {
    let directory = backend.directory();
    let one = presence("mail1", Service::Admin);
    let _announcement = directory.announce(one.clone());
    let mut events = backend.directory().watch_presences();
    seen(&mut events, std::slice::from_ref(&one)).await;
    backend.lose_everything();
    let mut events = backend.directory().watch_presences();
    seen(&mut events, &[one]).await;
}
