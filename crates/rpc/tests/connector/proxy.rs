//! The outbound proxy, between Transport and a front end whose sessions are played.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use envelope::{Address, Domain, EnhancedStatus, Envelope, Recipient, Reply, ReversePath, Revision};
use net::{PeerIdentity, Service};
use rpc::{FrontEnds, NotOpened, OpenError, OpenSession, OpenedSession, ProxyRequest};
use smtp::{Content, Failure, FailurePhase, MessageOutcome, OutboundMessage, OutboundSession, Peer};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use topology::Guid;

use crate::support::{Cable, Running, SERVER, authority, credentials};

/// A front end whose sessions answer by the envelope id: `early` before the content is read, anything else after.
#[derive(Clone, Default)]
pub(crate) struct Stage {
    opened: Arc<watch::Sender<Vec<ProxyRequest>>>,
    /// Content of each message, or that it was cut short.
    sent: Arc<watch::Sender<Vec<Sent>>>,
    /// Recipients of each question.
    asked: Arc<watch::Sender<Vec<usize>>>,
    closed: Arc<watch::Sender<usize>>,
    refuse: Option<NotOpened>,
}

type Sent = Result<Vec<u8>, std::io::ErrorKind>;

struct Played(Stage);

fn peer() -> Peer {
    Peer { host: "mx.fabrikam.com".parse().unwrap(), address: Some("192.0.2.25:25".parse().unwrap()) }
}

fn outcome() -> MessageOutcome {
    let unknown = Reply::new(550, EnhancedStatus::new(5, 1, 1), "User\nunknown");
    let phase = FailurePhase::Dialogue(smtp_session::client::Phase::Recipient);
    let failure = Failure::new(EnhancedStatus::new(5, 1, 1), phase, Some(peer()), "");
    let refused = Failure { reply: Some(unknown), ..failure };
    MessageOutcome {
        recipients: vec![Ok(Reply::new(250, EnhancedStatus::new(2, 6, 0), "queued as 4711")), Err(refused)],
        reusable: true,
        again: false,
        peer: peer(),
        dsn: true,
    }
}

#[async_trait]
impl OpenSession for Stage {
    async fn open(&self, _: &PeerIdentity, request: ProxyRequest) -> Result<OpenedSession, NotOpened> {
        self.opened.send_modify(|opened| opened.push(request));
        match &self.refuse {
            Some(refusal) => Err(refusal.clone()),
            None => {
                let session = Box::new(Played(self.clone()));
                Ok(OpenedSession { session, peer: peer(), tls: "TLSv1.3".into(), dsn: true })
            }
        }
    }
}

#[async_trait]
impl OutboundSession for Played {
    async fn send(&mut self, message: OutboundMessage<'_>) -> MessageOutcome {
        let OutboundMessage { envelope, content, .. } = message;
        if envelope.envelope_id.as_deref() == Some("early") {
            return outcome();
        }
        let mut octets = Vec::new();
        let read = match content {
            Content::Nothing => {
                self.0.asked.send_modify(|asked| asked.push(envelope.recipients.len()));
                return outcome();
            }
            Content::Whole(whole) => Ok(whole.to_vec()),
            Content::Streamed { mut source, .. } => source.read_to_end(&mut octets).await.map(|_| octets),
        };
        let whole = read.is_ok();
        self.0.sent.send_modify(|sent| sent.push(read.map_err(|error| error.kind())));
        MessageOutcome { reusable: whole, ..outcome() }
    }

    async fn is_reusable(&mut self) -> bool {
        true
    }

    async fn close(self: Box<Self>) {
        self.0.closed.send_modify(|closed| *closed += 1);
    }
}

struct World {
    stage: Stage,
    server: Running,
    front_ends: FrontEnds,
}

async fn world(stage: Stage) -> World {
    let authority = authority();
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let handler = Arc::new(stage.clone());
    let server =
        Running::start(&authority, Service::FrontendTransport, any, |offer| offer.outbound_proxy(handler)).await;
    let front_ends = FrontEnds::new(credentials(&authority, "MAIL2", &[Service::Transport]));
    World { stage, server, front_ends }
}

fn request() -> ProxyRequest {
    ProxyRequest {
        connector: Guid::ZERO,
        name: "To Internet".into(),
        revision: Revision(7),
        properties: vec!["requireTLS".into()],
        domain: Some(Domain::parse("fabrikam.com").unwrap()),
        credential: None,
        turn: 3,
        trace: None,
    }
}

fn envelope() -> Envelope {
    let recipient = |text| Recipient::new(Address::parse(text).unwrap());
    let recipients = vec![recipient("cat@fabrikam.com"), recipient("dan@fabrikam.com")];
    Envelope::new(ReversePath::parse("ann@contoso.com").unwrap(), recipients)
}

fn large() -> Vec<u8> {
    (0..1_000_000_u32).map(|at| at.to_le_bytes()[1]).collect()
}

#[tokio::test]
async fn a_question_about_recipients_sends_nothing() {
    let world = world(Stage::default()).await;
    let mut session = world.front_ends.open(&world.server.address, &request()).await.unwrap();
    let said = session.send(OutboundMessage::new(&envelope(), Content::Nothing)).await;
    assert_eq!(said.recipients, outcome().recipients);
    assert!(session.is_reusable().await);
    assert_eq!((world.stage.asked.borrow().clone(), world.stage.sent.borrow().len()), (vec![2], 0));
}

#[tokio::test]
async fn messages_go_out_whole_and_replies_come_back_unchanged() {
    let world = world(Stage::default()).await;
    let mut session = world.front_ends.open(&world.server.address, &request()).await.unwrap();
    assert_eq!((session.peer(), session.tls(), session.reports_itself()), (&peer(), "TLSv1.3", true));
    assert_eq!(*world.stage.opened.borrow(), [request()]);
    let (envelope, large) = (envelope(), large());
    for content in [Content::Whole(b""), Content::Whole(b"small"), Content::Whole(&large)] {
        assert_eq!(session.send(OutboundMessage::new(&envelope, content)).await, outcome());
        assert!(session.is_reusable().await);
    }
    for octets in [&b""[..], b"small", &large] {
        let source = octets;
        let content = Content::Streamed { size: octets.len() as u64, source: Box::new(source) };
        assert_eq!(session.send(OutboundMessage::new(&envelope, content)).await, outcome());
    }
    let each = [vec![], b"small".to_vec(), large.clone()].map(Ok);
    assert_eq!(*world.stage.sent.borrow(), [each.clone(), each].concat());
    Box::new(session).close().await;
    world.stage.closed.subscribe().wait_for(|closed| *closed == 1).await.unwrap();
}

#[tokio::test]
async fn an_outcome_before_the_end_of_the_content_ends_the_message_only() {
    let world = world(Stage::default()).await;
    let mut session = world.front_ends.open(&world.server.address, &request()).await.unwrap();
    let early = Envelope { envelope_id: Some("early".into()), ..envelope() };
    let large = large();
    // One that never ends, and one that does.
    let endless = AsyncReadExt::chain(&large[..], tokio::io::repeat(b'x'));
    let content = Content::Streamed { size: u64::MAX, source: Box::new(endless) };
    assert_eq!(session.send(OutboundMessage::new(&early, content)).await, outcome());
    let content = Content::Whole(&large);
    assert_eq!(session.send(OutboundMessage::new(&early, content)).await, outcome());
    let content = Content::Whole(b"next");
    assert_eq!(session.send(OutboundMessage::new(&envelope(), content)).await, outcome());
    assert_eq!(*world.stage.sent.borrow(), [Ok(b"next".to_vec())]);
}

#[tokio::test]
async fn content_that_cannot_be_read_is_never_sent_as_whole() {
    struct Broken;
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("damaged")))
        }
    }
    let world = world(Stage::default()).await;
    let mut session = world.front_ends.open(&world.server.address, &request()).await.unwrap();
    let source = AsyncReadExt::chain(&b"first part"[..], Broken);
    let content = Content::Streamed { size: 100, source: Box::new(source) };
    let sent = session.send(OutboundMessage::new(&envelope(), content)).await;
    assert!(!sent.reusable);
    assert_eq!(*world.stage.sent.borrow(), [Err(std::io::ErrorKind::ConnectionAborted)]);
}

#[tokio::test]
async fn a_message_left_in_the_middle_leaves_a_session_of_no_use() {
    let world = world(Stage::default()).await;
    let mut session = world.front_ends.open(&world.server.address, &request()).await.unwrap();
    let envelope = envelope();
    {
        let (mut writer, source) = tokio::io::duplex(64);
        let content = Content::Streamed { size: 100, source: Box::new(source) };
        let mut sending = session.send(OutboundMessage::new(&envelope, content));
        // More than the pipe holds: the session has begun to read when this is done.
        let writing = tokio::io::AsyncWriteExt::write_all(&mut writer, &[b'x'; 100]);
        tokio::select! {
            _ = &mut sending => panic!("the content has no end"),
            written = writing => written.unwrap(),
        }
    }
    assert!(!session.is_reusable().await);
    let again = session.send(OutboundMessage::new(&envelope, Content::Whole(b"x"))).await;
    assert!(again.recipients.iter().all(|one| one.as_ref().is_err_and(|failure| !failure.ambiguous)));
    drop(session);
    let sent = world.stage.sent.subscribe().wait_for(|sent| !sent.is_empty()).await.unwrap().clone();
    assert_eq!(sent, [Err(std::io::ErrorKind::ConnectionAborted)]);
    world.stage.closed.subscribe().wait_for(|closed| *closed == 1).await.unwrap();
}

#[tokio::test]
async fn a_failure_to_open_is_the_sessions_or_the_front_ends() {
    let failure = Failure::new(EnhancedStatus::new(4, 4, 1), FailurePhase::Connect, Some(peer()), "refused");
    let world = world(Stage { refuse: Some(NotOpened::Failed(Box::new(failure.clone()))), ..Stage::default() }).await;
    match world.front_ends.open(&world.server.address, &request()).await {
        Err(OpenError::Session(failed)) => assert_eq!(*failed, failure),
        other => panic!("{:?}", other.err()),
    }
    let to = world.server.address.clone();
    world.server.stop().await;
    match world.front_ends.open(&to, &request()).await {
        Err(error @ OpenError::FrontEnd { .. }) => {
            let text = error.to_string();
            assert!(text.contains(SERVER) && text.contains("refused"), "{text}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn what_a_front_end_does_not_know_is_neither_its_failure_nor_the_sessions() {
    let refusal = NotOpened::Unknown("requireTLS of To\u{7}Internet means nothing".to_owned());
    let world = world(Stage { refuse: Some(refusal), ..Stage::default() }).await;
    match world.front_ends.open(&world.server.address, &request()).await {
        Err(error @ OpenError::Unknown { .. }) => {
            let text = error.to_string();
            assert!(text.contains(SERVER) && text.ends_with("requireTLS of To Internet means nothing"), "{text}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn a_drained_front_end_ends_idle_sessions_and_opens_none() {
    let world = world(Stage::default()).await;
    let mut session = world.front_ends.open(&world.server.address, &request()).await.unwrap();
    let to = world.server.address.clone();
    world.server.drain.cancel();
    world.stage.closed.subscribe().wait_for(|closed| *closed == 1).await.unwrap();
    assert!(!session.is_reusable().await);
    assert!(matches!(world.front_ends.open(&to, &request()).await, Err(OpenError::FrontEnd { .. })));
    world.server.stop().await;
}

#[tokio::test]
async fn a_lost_front_end_is_ambiguous_only_after_the_whole_message() {
    let world = world(Stage::default()).await;
    let cable = Cable::to(&world.server.address).await;
    let mut session = world.front_ends.open(&cable.address, &request()).await.unwrap();
    cable.cut().await;
    let (mut pipe, source) = tokio::io::duplex(64);
    tokio::io::AsyncWriteExt::write_all(&mut pipe, b"x").await.unwrap();
    let content = Content::Streamed { size: 100, source: Box::new(source) };
    let lost = session.send(OutboundMessage::new(&envelope(), content)).await;
    let Err(failure) = &lost.recipients[0] else { panic!("{lost:?}") };
    assert!(!failure.ambiguous && failure.text.contains(SERVER), "{failure}");
}
