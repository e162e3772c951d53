//! What a peer may do wrong on a stream, played without a network.

use std::collections::BTreeMap;

use envelope::head::{Origin, OriginKind};
use envelope::{
    Address, Domain, Envelope, MessageHead, MessageId, Recipient, ReversePath, Revision, ServerName, Timestamp,
};
use tokio::task::JoinHandle;

use super::*;

/// Content that the handler got to see, by the first octet of the message id; `Err` when it was cut short.
type Seen = Arc<parking_lot::Mutex<BTreeMap<u8, Result<Vec<u8>, io::ErrorKind>>>>;

/// A stream whose other end is the test.
struct Stage {
    requests: Option<mpsc::UnboundedSender<Result<wire::TransferRequest, Status>>>,
    replies: mpsc::Receiver<Result<wire::TransferReply, Status>>,
    drain: CancellationToken,
    seen: Seen,
    intake: JoinHandle<()>,
}

impl Stage {
    fn new() -> Self {
        let seen = Seen::default();
        let record = Arc::clone(&seen);
        Self::with(seen, move |incoming| {
            let record = Arc::clone(&record);
            Box::pin(async move {
                let id = incoming.head.id.as_bytes()[0];
                let content = read(incoming.content).await;
                let whole = content.is_ok();
                record.lock().insert(id, content);
                if whole { Outcome::Accepted(wire::Accepted::default()) } else { refused() }
            })
        })
    }

    fn with(seen: Seen, handler: impl Fn(Incoming) -> super::super::OutcomeFuture + Send + Sync + 'static) -> Self {
        let (requests, incoming) = mpsc::unbounded_channel();
        let (outgoing, replies) = mpsc::channel(16);
        let drain = CancellationToken::new();
        let peer = PeerIdentity {
            forest: Domain::parse("contoso.com").unwrap(),
            server: ServerName::parse("MAIL1").unwrap(),
            services: std::collections::BTreeSet::new(),
        };
        let receive: Receive = Arc::new(move |_, incoming| handler(incoming));
        let intake = Intake::new(peer, receive, outgoing, drain.clone());
        let incoming = tokio_stream::wrappers::UnboundedReceiverStream::new(incoming);
        Self { requests: Some(requests), replies, drain, seen, intake: tokio::spawn(intake.run(incoming)) }
    }

    fn send(&self, transfer: u64, part: Part) {
        let request = wire::TransferRequest { transfer, part: Some(part) };
        self.requests.as_ref().unwrap().send(Ok(request)).unwrap();
    }

    /// Transfer number and `accepted` or the code of the refusal.
    async fn reply(&mut self) -> (u64, String) {
        let reply = self.replies.recv().await.expect("a reply").expect("no error");
        let outcome = match reply.outcome.unwrap() {
            Outcome::Accepted(_) => "accepted".to_owned(),
            Outcome::Refused(reply) => reply.code.to_string(),
            Outcome::Deliveries(_) => "deliveries".to_owned(),
            Outcome::AtIt(_) => "at it".to_owned(),
        };
        (reply.transfer, outcome)
    }

    /// Ends the stream; gives what the handler saw.
    async fn end(mut self) -> BTreeMap<u8, Result<Vec<u8>, io::ErrorKind>> {
        self.requests = None;
        while self.replies.recv().await.is_some() {}
        self.intake.await.unwrap();
        Arc::try_unwrap(std::mem::take(&mut self.seen))
            .map_or_else(|seen| seen.lock().clone(), |seen| seen.into_inner())
    }
}

async fn read(mut content: Content) -> Result<Vec<u8>, io::ErrorKind> {
    let mut octets = Vec::new();
    while let Some(piece) = content.next().await {
        octets.extend_from_slice(&piece.map_err(|error| error.kind())?);
    }
    Ok(octets)
}

fn refused() -> Outcome {
    Outcome::Refused(convert::reply_to_wire(&internal_error()))
}

fn head(id: u8, size: Option<u64>) -> wire::MessageHead {
    let recipient = Recipient::new(Address::parse("ann@contoso.com").unwrap());
    let head = MessageHead {
        id: MessageId::from_bytes([id; 16]),
        envelope: Envelope::new(ReversePath::Null, vec![recipient]),
        arrived: Timestamp::from_millis(0),
        size: ByteSize::bytes(0),
        original_size: None,
        trace: None,
        revision: Revision(1),
        origin: Origin { kind: OriginKind::Anonymous, connector: "Default Frontend MAIL1".into() },
        backed_off: vec![],
    };
    convert::head_to_wire(&head, size.map(ByteSize::bytes))
}

fn begin(id: u8, size: Option<u64>, content: &'static str, last: bool) -> Part {
    Part::Begin(wire::Begin { head: Some(head(id, size)), content: content.into(), last, ..wire::Begin::default() })
}

fn chunk(content: &'static str, last: bool) -> Part {
    Part::Chunk(wire::Chunk { content: content.into(), last })
}

#[tokio::test]
async fn interleaved_messages_are_put_together_each_for_itself() {
    let mut stage = Stage::new();
    stage.send(1, begin(1, Some(6), "ab", false));
    stage.send(2, begin(2, None, "", false));
    stage.send(1, chunk("cd", false));
    stage.send(2, chunk("xy", false));
    stage.send(3, begin(3, Some(0), "", true));
    stage.send(2, chunk("", true));
    stage.send(1, chunk("ef", true));
    let mut replies = [stage.reply().await, stage.reply().await, stage.reply().await];
    replies.sort();
    assert_eq!(replies, [1, 2, 3].map(|transfer| (transfer, "accepted".to_owned())));
    let whole = |text: &str| Ok(text.as_bytes().to_vec());
    assert_eq!(stage.end().await, BTreeMap::from([(1, whole("abcdef")), (2, whole("xy")), (3, whole(""))]));
}

#[tokio::test]
async fn content_that_is_not_whole_is_never_seen_as_whole() {
    use io::ErrorKind::{ConnectionAborted, InvalidData};
    type Case = (Vec<Part>, io::ErrorKind);
    let cases: [Case; 8] = [
        (vec![begin(1, Some(3), "ab", true)], InvalidData),
        (vec![begin(1, Some(1), "ab", true)], InvalidData),
        (vec![begin(1, Some(1), "ab", false)], InvalidData),
        (vec![begin(1, Some(4), "ab", false), chunk("c", true)], InvalidData),
        (vec![begin(1, Some(4), "ab", false), chunk("cde", false)], InvalidData),
        (vec![begin(1, Some(4), "ab", false), Part::Abort(wire::Abort {})], ConnectionAborted),
        (vec![begin(1, None, "ab", false), chunk("c", false)], ConnectionAborted),
        // All octets are there, but not the word that they are.
        (vec![begin(1, Some(2), "ab", false)], ConnectionAborted),
    ];
    for (at, (parts, expected)) in cases.into_iter().enumerate() {
        let stage = Stage::new();
        parts.into_iter().for_each(|part| stage.send(7, part));
        assert_eq!(stage.end().await, BTreeMap::from([(1, Err(expected))]), "case {at}");
    }
}

#[tokio::test]
async fn parts_of_an_unknown_transfer_are_let_pass() {
    let mut stage = Stage::new();
    stage.send(9, chunk("ab", true));
    stage.send(9, Part::Abort(wire::Abort {}));
    stage.send(1, begin(1, Some(2), "ab", true));
    stage.send(1, chunk("after the end", true));
    stage.send(2, begin(2, Some(0), "", true));
    assert_eq!(stage.reply().await, (1, "accepted".to_owned()));
    assert_eq!(stage.reply().await, (2, "accepted".to_owned()));
}

#[tokio::test]
async fn a_malformed_head_harms_its_own_message_only() {
    let mut stage = Stage::new();
    let mut wrong = head(1, None);
    wrong.message_id = Bytes::from_static(b"short");
    stage.send(1, Part::Begin(wire::Begin { head: Some(wrong), ..wire::Begin::default() }));
    stage.send(2, Part::Begin(wire::Begin { last: true, ..wire::Begin::default() }));
    stage.send(1, chunk("the rest", true));
    assert_eq!(stage.reply().await, (1, "554".to_owned()));
    assert_eq!(stage.reply().await, (2, "554".to_owned()));
    stage.send(3, begin(3, None, "ab", true));
    assert_eq!(stage.reply().await, (3, "accepted".to_owned()));
    assert_eq!(stage.end().await.len(), 1);
}

#[tokio::test]
async fn a_broken_protocol_ends_the_stream_and_cuts_open_messages_off() {
    let violations = [
        wire::TransferRequest { transfer: 1, part: None },
        wire::TransferRequest { transfer: 1, part: Some(begin(2, None, "", false)) },
    ];
    for violation in violations {
        let mut stage = Stage::new();
        stage.send(1, begin(1, None, "ab", false));
        stage.requests.as_ref().unwrap().send(Ok(violation)).unwrap();
        let error = loop {
            if let Err(error) = stage.replies.recv().await.expect("the stream ends with an error") {
                break error;
            }
        };
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        assert_eq!(stage.end().await, BTreeMap::from([(1, Err(io::ErrorKind::ConnectionAborted))]));
    }
}

#[tokio::test]
async fn one_message_too_many_is_refused_for_now() {
    let mut stage = Stage::new();
    for transfer in 0..TRANSFERS_IN_FLIGHT_MAX as u64 {
        stage.send(transfer, begin(1, None, "", false));
    }
    stage.send(u64::MAX, begin(2, None, "", true));
    assert_eq!(stage.reply().await, (u64::MAX, "451".to_owned()));
    // The end of one makes room for another: nobody was locked out by those that wait for their content.
    stage.send(5, chunk("", true));
    assert_eq!(stage.reply().await, (5, "accepted".to_owned()));
    stage.send(u64::MAX, begin(2, None, "", true));
    // Its permit may be freed after its reply.
    while stage.reply().await != (u64::MAX, "accepted".to_owned()) {
        stage.send(u64::MAX, begin(2, None, "", true));
    }
}

#[tokio::test]
async fn a_draining_stream_finishes_what_it_has_and_takes_nothing_new() {
    let mut stage = Stage::new();
    stage.send(1, begin(1, None, "ab", false));
    stage.send(2, begin(2, None, "", true));
    assert_eq!(stage.reply().await, (2, "accepted".to_owned()));
    stage.drain.cancel();
    stage.send(3, begin(3, None, "", true));
    assert_eq!(stage.reply().await, (3, "421".to_owned()));
    stage.send(1, chunk("cd", true));
    assert_eq!(stage.reply().await, (1, "accepted".to_owned()));
    // The peer keeps its side open; the stream ends all the same.
    assert!(stage.replies.recv().await.is_none());
}

#[tokio::test]
async fn a_handler_that_panics_refuses() {
    let mut stage = Stage::with(Seen::default(), |incoming| {
        Box::pin(async move {
            assert!(incoming.head.id.as_bytes()[0] != 1, "the fault that this test is about");
            Outcome::Accepted(wire::Accepted::default())
        })
    });
    stage.send(1, begin(1, None, "", true));
    assert_eq!(stage.reply().await, (1, "451".to_owned()));
    stage.send(2, begin(2, None, "", true));
    assert_eq!(stage.reply().await, (2, "accepted".to_owned()));
}
