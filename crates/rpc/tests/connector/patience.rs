//! Peers that stand still: they are left in time, each at every step of a transfer, and those that are only slow are not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use envelope::{Receipt, Reply};
use futures::StreamExt;
use net::{PeerIdentity, Service};
use rpc::limits::SIGN_INTERVAL;
use rpc::{Content, Deliveries, History, Incoming, RecipientDelivery, RecipientHistory, SubmitHandler, TransferError};
use tokio::sync::watch;

use crate::support::{Recorder, Running, SERVER, authority, head, impatient, name, no_content, peers, pieces, read};

/// What a test waits for a peer that stands still. A busy machine may take longer for what is alive.
const SOON: Duration = Duration::from_secs(2);
/// More than all buffers of a connection hold.
const LARGE: usize = 64 * 1024 * 1024;

/// Content of which everything is there.
fn large() -> Content {
    const PIECE: usize = 256 * 1024;
    futures::stream::iter((0..LARGE / PIECE).map(|_| Ok(Bytes::from(vec![b'x'; PIECE])))).boxed()
}

/// Lets a fault last.
async fn last(duration: Duration) {
    let _ = tokio::time::timeout(duration, std::future::pending::<()>()).await;
}

/// Reads nothing, and does not answer.
struct Deaf;

#[async_trait]
impl SubmitHandler for Deaf {
    async fn submit(&self, _: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply> {
        let _unread = message;
        std::future::pending().await
    }
}

fn is_lost(sent: &Result<Receipt, TransferError>, why: &str) -> bool {
    matches!(sent, Err(error @ TransferError::Lost { cause, .. }) if cause.contains(why) && error.is_about_peer())
}

#[tokio::test]
async fn a_peer_that_does_not_acknowledge_is_left() {
    let authority = authority();
    let silent = Running::transport(&authority, Recorder::closed()).await;
    let peers = impatient(&authority, Service::FrontendTransport, SOON);
    let begun = Instant::now();
    let sent = peers.submit(&silent.address, &head(1, 2), pieces([Bytes::from_static(b"ab")])).await;
    assert!(is_lost(&sent, "did not acknowledge"), "{sent:?}");
    assert!(begun.elapsed() < SOON * 10, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_peer_that_takes_nothing_of_large_content_is_left() {
    let authority = authority();
    let deaf = Running::transport(&authority, Arc::new(Deaf)).await;
    let peers = impatient(&authority, Service::Transport, SOON);
    let sent = peers.submit(&deaf.address, &head(1, LARGE as u64), large()).await;
    assert!(is_lost(&sent, "took nothing"), "{sent:?}");
}

#[tokio::test]
async fn content_that_cannot_be_read_on_is_no_fault_of_the_peer() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&authority, recorder.clone()).await;
    let peers = impatient(&authority, Service::MailboxSubmission, SOON);
    // A disk that does not answer any more in the middle of a message.
    let stuck = futures::stream::iter([Ok(Bytes::from_static(b"ab"))]).chain(futures::stream::pending()).boxed();
    let sent = peers.submit(&server.address, &head(1, 4), stuck).await;
    assert!(matches!(&sent, Err(error @ TransferError::Content(_)) if !error.is_peer_failure()), "{sent:?}");
    // It was called off, and the stream is as good as before.
    assert!(recorder.arrived(1).await[0].content.is_err());
    let _receipt = peers.submit(&server.address, &head(2, 0), no_content()).await.unwrap();
}

#[tokio::test]
async fn content_that_a_client_sends_slowly_is_waited_for() {
    let authority = authority();
    let server = Running::transport(&authority, Recorder::open()).await;
    const PATIENCE: Duration = Duration::from_millis(400);
    let peers = impatient(&authority, Service::FrontendTransport, PATIENCE);
    let slow = futures::stream::iter([b"ab", b"cd"]).then(async |piece| {
        last(PATIENCE * 3).await;
        Ok(Bytes::from_static(piece))
    });
    let _receipt = peers.submit_streamed(&server.address, &head(1, 0), slow.boxed()).await.unwrap();
}

/// Keeps a message waiting for longer than anybody is patient, and says so.
struct Busy(watch::Sender<bool>);

#[async_trait]
impl SubmitHandler for Busy {
    async fn submit(&self, _: &PeerIdentity, message: Incoming) -> Result<Receipt, Reply> {
        let mut gate = self.0.subscribe();
        message.signs.while_at(gate.wait_for(|open| *open)).await.unwrap();
        let content = read(message.content).await;
        assert!(content.is_ok(), "{content:?}");
        Ok(Receipt::after_commit(message.head.id, name(SERVER)))
    }
}

#[tokio::test]
async fn a_peer_that_says_that_it_is_at_it_is_waited_for() {
    let authority = authority();
    let gate = watch::Sender::new(false);
    let busy = Running::transport(&authority, Arc::new(Busy(gate.clone()))).await;
    let peers = impatient(&authority, Service::FrontendTransport, SIGN_INTERVAL + SOON);
    let opening = async {
        last((SIGN_INTERVAL + SOON) * 2).await;
        gate.send_replace(true);
    };
    let (head, content) = (head(1, 2), pieces([Bytes::from_static(b"ab")]));
    let (sent, ()) = tokio::join!(peers.submit(&busy.address, &head, content), opening);
    let _receipt = sent.unwrap();
}

#[tokio::test]
async fn a_delivery_that_stands_still_is_left_as_well() {
    struct Stuck;
    #[async_trait]
    impl rpc::DeliverHandler for Stuck {
        async fn deliver(&self, _: &PeerIdentity, message: Incoming) -> Result<Deliveries, Reply> {
            let _ = read(message.content).await;
            std::future::pending::<()>().await;
            Ok(vec![RecipientDelivery::Delivered; 2])
        }
    }
    let authority = authority();
    let any = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let service = Service::MailboxDelivery;
    let stuck = Running::start(&authority, service, any, |offer| offer.mailbox_delivery(Arc::new(Stuck))).await;
    let peers = impatient(&authority, Service::Transport, SOON);
    let sent = peers.deliver(&stuck.address, &head(1, 0), no_content()).await;
    assert!(matches!(&sent, Err(TransferError::Lost { .. })), "{sent:?}");
}

#[tokio::test]
async fn a_message_that_changes_its_server_takes_along_what_it_went_through() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&authority, recorder.clone()).await;
    let peers = peers(&authority, Service::Transport);
    let tried = RecipientHistory { attempts: 7, last_error: Some("451 4.7.1 Later".into()), delay_reported: true };
    let recipients = vec![tried, RecipientHistory::default()];
    let history = History { age: Duration::from_secs(3600), recipients };
    let _receipt = peers.hand_over(&server.address, &head(1, 0), &history, no_content()).await.unwrap();
    let _receipt = peers.submit(&server.address, &head(2, 0), no_content()).await.unwrap();
    let arrived: Vec<_> = recorder.arrived(2).await.into_iter().map(|arrival| arrival.history).collect();
    assert_eq!(arrived, [Some(history), None]);
}
