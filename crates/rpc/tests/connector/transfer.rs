//! Messages and their acknowledgements.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use envelope::{ByteSize, EnhancedStatus, Reply};
use futures::StreamExt;
use net::Service;
use rpc::{RecipientDelivery, TransferError};
use tokio::sync::{mpsc, oneshot};

use crate::support::{
    Cable, Deliverer, FQDN, Recorder, Running, SERVER, authority, head, name, no_content, peers, pieces,
};

#[tokio::test]
async fn many_messages_are_in_flight_at_once_and_each_gets_its_own_receipt() {
    let authority = authority();
    let recorder = Recorder::closed();
    let server = Running::transport(&authority, recorder.clone()).await;
    let peers = Arc::new(peers(&authority, Service::FrontendTransport));
    let under_way: Vec<_> = (0..200_u8)
        .map(|id| {
            let (peers, to) = (Arc::clone(&peers), server.address.clone());
            tokio::spawn(async move { peers.submit(&to, &head(id, 4), pieces([Bytes::from(vec![id; 4])])).await })
        })
        .collect();
    // None is acknowledged before all have arrived.
    let arrivals = recorder.arrived(200).await;
    assert!(arrivals.iter().all(|arrival| arrival.content == Ok(vec![arrival.head.id.as_bytes()[0]; 4])));
    assert!(arrivals.iter().all(|arrival| arrival.from == name("MAIL2")));
    recorder.gate.send_replace(true);
    for (id, message) in (0..200_u8).zip(under_way) {
        let receipt = message.await.unwrap().unwrap();
        assert_eq!((receipt.message(), receipt.holder()), (head(id, 4).id, &name(SERVER)));
    }
}

#[tokio::test]
async fn large_content_arrives_whole_and_waits_where_memory_is_bounded() {
    const PIECE: usize = 1024 * 1024;
    const PIECES: usize = 48;
    // What may wait on the way: content for the receiver, requests of the sender, HTTP/2 windows and buffers.
    const WAITING_MAX: usize = 32;
    let authority = authority();
    let produced = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&produced);
    let content = futures::stream::iter(0..PIECES).map(move |at| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Bytes::from(vec![u8::try_from(at).unwrap(); PIECE]))
    });

    struct Slow(Arc<AtomicUsize>, Arc<AtomicUsize>);
    #[async_trait::async_trait]
    impl rpc::SubmitHandler for Slow {
        async fn submit(&self, _: &net::PeerIdentity, mut message: rpc::Incoming) -> Result<envelope::Receipt, Reply> {
            // Reads nothing until more than a little is on its way.
            while self.0.load(Ordering::SeqCst) < 8 {
                tokio::task::yield_now().await;
            }
            let mut read = 0;
            while let Some(piece) = message.content.next().await {
                let piece = piece.unwrap();
                assert!(piece.iter().all(|octet| usize::from(*octet) == read / PIECE));
                self.1.fetch_max(self.0.load(Ordering::SeqCst) - read / PIECE, Ordering::SeqCst);
                read += piece.len();
            }
            assert_eq!(read, PIECE * PIECES);
            Ok(envelope::Receipt::after_commit(message.head.id, name(SERVER)))
        }
    }
    let waiting = Arc::new(AtomicUsize::new(0));
    let slow = Running::transport(&authority, Arc::new(Slow(produced, Arc::clone(&waiting)))).await;
    let peers = peers(&authority, Service::Transport);
    let receipt = peers.submit(&slow.address, &head(1, (PIECE * PIECES) as u64), content.boxed()).await.unwrap();
    assert_eq!(receipt.message(), head(1, 0).id);
    assert!(waiting.load(Ordering::SeqCst) <= WAITING_MAX, "{waiting:?} MiB waited");
}

#[tokio::test]
async fn content_may_be_empty_or_of_unknown_length() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&authority, recorder.clone()).await;
    let peers = peers(&authority, Service::MailboxSubmission);
    let _receipt = peers.submit(&server.address, &head(1, 0), no_content()).await.unwrap();
    let _receipt = peers.submit(&server.address, &head(2, 0), pieces([Bytes::new()])).await.unwrap();
    let _receipt = peers.submit_streamed(&server.address, &head(3, 0), no_content()).await.unwrap();
    let two = ["ab", "", "cd"].map(Bytes::from);
    let _receipt = peers.submit_streamed(&server.address, &head(4, 99), pieces(two)).await.unwrap();
    let seen: Vec<_> = recorder.arrived(4).await.into_iter().map(|a| (a.size, a.content.unwrap())).collect();
    let stated = Some(ByteSize::bytes(0));
    assert_eq!(seen, [(stated, vec![]), (stated, vec![]), (None, vec![]), (None, b"abcd".to_vec())]);
}

#[tokio::test]
async fn content_of_another_size_than_recorded_is_not_sent_on() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&authority, recorder.clone()).await;
    let peers = peers(&authority, Service::Transport);
    for (size, content) in [(3, "ab"), (1, "ab")] {
        let sent =
            peers.submit(&server.address, &head(1, size), pieces([Bytes::from_static(content.as_bytes())])).await;
        assert!(matches!(sent, Err(TransferError::Content(_))), "{sent:?}");
    }
    // The stream is as good as before.
    let _receipt = peers.submit(&server.address, &head(2, 2), pieces([Bytes::from_static(b"ab")])).await.unwrap();
    let arrivals = recorder.arrived(1).await;
    let whole = arrivals.iter().filter(|arrival| arrival.content.is_ok());
    assert_eq!(whole.map(|arrival| arrival.head.id).collect::<Vec<_>>(), [head(2, 0).id]);
}

#[tokio::test]
async fn a_message_that_is_given_up_is_never_whole_and_does_not_disturb_others() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&authority, recorder.clone()).await;
    let peers = Arc::new(peers(&authority, Service::FrontendTransport));
    let (content, rest) = mpsc::channel(1);
    content.send(Ok(Bytes::from_static(b"ab"))).await.unwrap();
    let rest = tokio_stream::wrappers::ReceiverStream::new(rest);
    let sending = {
        let (peers, to) = (Arc::clone(&peers), server.address.clone());
        tokio::spawn(async move { peers.submit_streamed(&to, &head(1, 0), rest.boxed()).await })
    };
    // Room for another piece: the first has been taken and is on its way.
    content.reserve().await.unwrap().send(Ok(Bytes::from_static(b"cd")));
    sending.abort();
    let _ = sending.await;
    // A read error gives up, too.
    let broken = futures::stream::iter([Ok(Bytes::from_static(b"ab")), Err(std::io::Error::other("damaged"))]);
    let sent = peers.submit(&server.address, &head(2, 9), broken.boxed()).await;
    assert_eq!(sent, Err(TransferError::Content("damaged".to_owned())));
    let _receipt = peers.submit(&server.address, &head(3, 0), no_content()).await.unwrap();
    for arrival in recorder.arrived(3).await {
        assert_eq!(arrival.content.is_ok(), arrival.head.id == head(3, 0).id, "{arrival:?}");
    }
}

#[tokio::test]
async fn a_refusal_before_the_end_stops_the_sender() {
    struct Full;
    #[async_trait::async_trait]
    impl rpc::SubmitHandler for Full {
        async fn submit(&self, _: &net::PeerIdentity, _: rpc::Incoming) -> Result<envelope::Receipt, Reply> {
            Err(Reply::new(452, EnhancedStatus::new(4, 3, 1), "Insufficient system resources"))
        }
    }
    let authority = authority();
    let server = Running::transport(&authority, Arc::new(Full)).await;
    let peers = peers(&authority, Service::FrontendTransport);
    // The content never ends.
    let content = futures::stream::iter([Ok(Bytes::from_static(b"ab"))]).chain(futures::stream::pending());
    let refused = peers.submit_streamed(&server.address, &head(1, 0), content.boxed()).await.unwrap_err();
    assert!(refused.is_peer_failure());
    assert_eq!(refused.to_reply().to_string(), "452 4.3.1 Insufficient system resources");
}

#[tokio::test]
async fn deliveries_have_an_outcome_for_each_recipient() {
    let authority = authority();
    let reply = |code, class| Reply::new(code, EnhancedStatus::new(class, 2, 0), "The mailbox");
    let outcomes = vec![RecipientDelivery::Delivered, RecipientDelivery::Failed(reply(550, 5))];
    let peers = peers(&authority, Service::Transport);
    let at = |outcomes: Vec<_>| {
        let handler = Arc::new(Deliverer(outcomes));
        let any = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        Running::start(&authority, Service::MailboxDelivery, any, |offer| offer.mailbox_delivery(handler))
    };
    let server = at(outcomes.clone()).await;
    assert_eq!(peers.deliver(&server.address, &head(1, 0), no_content()).await.unwrap(), outcomes);
    let server = at(vec![RecipientDelivery::Retry(reply(450, 4))]).await;
    let short = peers.deliver(&server.address, &head(1, 0), no_content()).await;
    assert!(matches!(short, Err(TransferError::Lost { .. })), "one outcome for two recipients: {short:?}");
}

#[tokio::test]
async fn a_connection_lost_before_the_acknowledgement_says_so() {
    let authority = authority();
    let recorder = Recorder::closed();
    let server = Running::transport(&authority, recorder.clone()).await;
    let cable = Cable::to(&server.address).await;
    let peers = Arc::new(peers(&authority, Service::FrontendTransport));
    let sending = {
        let (peers, to) = (Arc::clone(&peers), cable.address.clone());
        tokio::spawn(async move { peers.submit(&to, &head(1, 2), pieces([Bytes::from_static(b"ab")])).await })
    };
    recorder.arrived(1).await;
    cable.cut().await;
    let lost = sending.await.unwrap().unwrap_err();
    assert!(matches!(&lost, TransferError::Lost { peer, .. } if peer.starts_with(SERVER)), "{lost:?}");
    assert_eq!(lost.to_reply().code, 451);
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_left_and_found_again_after_its_restart() {
    let authority = authority();
    let recorder = Recorder::open();
    let server = Running::transport(&authority, recorder.clone()).await;
    let peers = peers(&authority, Service::FrontendTransport);
    let to = server.address.clone();
    let _receipt = peers.submit(&to, &head(1, 0), no_content()).await.unwrap();
    server.stop().await;
    // The stream may not have ended for us yet; then the listener is gone.
    let gone = loop {
        match peers.submit(&to, &head(2, 0), no_content()).await.unwrap_err() {
            TransferError::Unreachable { cause, .. } => break cause,
            error => assert!(error.is_peer_failure(), "{error}"),
        }
    };
    assert!(gone.contains("refused"), "{gone}");
    let again = Running::transport_at(&authority, recorder.clone(), to.address).await;
    let _receipt = peers.submit(&to, &head(3, 0), no_content()).await.unwrap();
    assert_eq!(recorder.arrived(2).await.len(), 2);
    again.stop().await;
}

#[tokio::test]
async fn a_drained_server_acknowledges_what_it_has_and_takes_nothing_new() {
    let authority = authority();
    let recorder = Recorder::closed();
    let server = Running::transport(&authority, recorder.clone()).await;
    let to = server.address.clone();
    let peers = Arc::new(peers(&authority, Service::FrontendTransport));
    let send = |id| {
        let (peers, to) = (Arc::clone(&peers), to.clone());
        tokio::spawn(async move { peers.submit(&to, &head(id, 0), no_content()).await })
    };
    // One on each stream.
    let under_way = [send(1), send(2)];
    recorder.arrived(2).await;
    server.drain.cancel();
    let refused = peers.submit(&to, &head(3, 0), no_content()).await.unwrap_err();
    assert!(refused.is_peer_failure(), "{refused}");
    recorder.gate.send_replace(true);
    for message in under_way {
        let _receipt = message.await.unwrap().unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn those_who_wait_for_a_connection_share_its_failure() {
    // Accepts and never speaks: the handshake runs into its limit once, not once for each who waits.
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let to = rpc::PeerAddress { server: name(SERVER), fqdn: envelope::Domain::parse(FQDN).unwrap(), address };
    let (hung_up, hang_up) = oneshot::channel::<()>();
    let accepted = tokio::spawn(async move {
        let mut connections = Vec::new();
        let mut hang_up = std::pin::pin!(hang_up);
        loop {
            tokio::select! {
                Ok((connection, _)) = listener.accept() => connections.push(connection),
                _ = &mut hang_up => return connections.len(),
            }
        }
    });
    let authority = authority();
    let peers = peers(&authority, Service::FrontendTransport);
    let send = async |id| peers.submit(&to, &head(id, 0), no_content()).await;
    let all = futures::future::join_all((0..20).map(send)).await;
    assert!(all.iter().all(|sent| matches!(sent, Err(TransferError::Unreachable { .. }))), "{all:?}");
    hung_up.send(()).unwrap();
    assert_eq!(accepted.await.unwrap(), rpc::client::STREAMS_PER_PEER);
}
