//! An etcd that does not answer, though its connections are open: a partition, a stopped machine, a full disk.

use directory::{EtcdSettings, FOREST_DEFAULT, ReadError, WatchEvent, connect_etcd};
use futures::StreamExt;

use crate::etcd_server::EtcdServer;
use crate::world::{connector, founded, put, snapshot, soon, until};

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_unavailability_and_ends() {
    let server = EtcdServer::start();
    let directory = connect_etcd(EtcdSettings::new(vec![server.endpoint()]), FOREST_DEFAULT);
    let first = founded(&*directory).await;
    let mut events = directory.watch(first);
    server.freeze();
    // The signal stops one thread of etcd after the other.
    let silence = soon(async {
        loop {
            if let Err(error) = directory.snapshot().await {
                return error;
            }
        }
    });
    assert!(matches!(silence.await, ReadError::Unavailable(_)));
    // The watcher notices by its keep-alive.
    let event = soon(events.next()).await;
    assert!(matches!(event, Some(WatchEvent::Unavailable(_))), "{event:?}");
    server.thaw();
    let second = until(|| directory.commit(put(vec![connector("After")]))).await;
    let mut seen = snapshot(&mut events).await;
    while seen.revision() < second {
        seen = snapshot(&mut events).await;
    }
    assert_eq!(seen.revision(), second);
}
