//! The client machine against the server machine, in memory: whatever is sent arrives, in segments of any size.

use std::sync::Arc;

use bytes::BytesMut;
use envelope::{BodyType, MessageId, Receipt, ServerName};
use proptest::prelude::*;

use super::*;
use crate::lines::LineEndings;
use crate::server::{Extensions, ServerConfig, ServerEvent, ServerSession};

#[derive(Debug, Default, PartialEq)]
struct Received {
    envelope: Option<Envelope>,
    content: Vec<u8>,
}

/// Everything that has arrived, in the order of arrival.
struct Server {
    session: ServerSession,
    received: Vec<Received>,
}

impl Server {
    fn new(extensions: Extensions) -> Self {
        let config = ServerConfig { extensions, ..ServerConfig::new(Domain::parse("mx.example").unwrap()) };
        let mut session = ServerSession::new(Arc::new(config), [192, 0, 2, 1].into());
        session.greet("today", Instant::now());
        Self { session, received: Vec::new() }
    }

    fn work(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                ServerEvent::Begin(envelope) => {
                    self.received.push(Received { envelope: Some(envelope), content: Vec::new() });
                    self.session.accept();
                }
                ServerEvent::Chunk(chunk) => self.received.last_mut().unwrap().content.extend_from_slice(&chunk),
                ServerEvent::EndOfData => {
                    let holder = ServerName::parse("mx").unwrap();
                    let receipt = Receipt::after_commit(MessageId::from_bytes([1; 16]), holder);
                    self.session.end_of_data_accepted(receipt, "Queued");
                }
                ServerEvent::Mail(_) | ServerEvent::Rcpt(_) => self.session.accept(),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Runs both until the client has an event to tell.
fn until_event(client: &mut ClientSession, server: &mut Server, segment: usize) -> ClientEvent {
    loop {
        if let Some(event) = client.poll_event() {
            return event;
        }
        for piece in client.poll_transmit().unwrap_or_default().chunks(segment) {
            let mut rest = piece;
            while !rest.is_empty() {
                rest = &rest[server.session.handle_input(rest)..];
                server.work();
            }
        }
        server.work();
        for piece in server.session.poll_transmit().expect("an answer is owed").chunks(segment) {
            client.handle_input(piece);
        }
    }
}

fn deliver(client: &mut ClientSession, server: &mut Server, mail: &Envelope, body: &[u8], segment: usize) {
    client.send(mail, MessageContent::Whole(body));
    loop {
        match until_event(client, server, segment) {
            ClientEvent::Content => {
                body.chunks(segment * 7).for_each(|chunk| client.content(chunk));
                client.end_content();
            }
            ClientEvent::Finished(outcome) => {
                assert!(outcome.reusable && outcome.recipients.iter().all(Result::is_ok));
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        ".",
        "..",
        "QUIT",
        "\r\n.\r\n",
        "Subject: x\r\n",
        "\u{fc}",
        "\0",
    ]);
    proptest::collection::vec(word, 0..30).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn what_is_sent_arrives(
        bodies in proptest::collection::vec(body(), 1..4),
        recipients in 1usize..5,
        segment in 1usize..50,
        pipelining in any::<bool>(),
        chunking in any::<bool>(),
    ) {
        let extensions = Extensions { pipelining, chunking, ..Extensions::default() };
        let mut client = ClientSession::new(config(), Instant::now());
        let mut server = Server::new(extensions);
        prop_assert_eq!(until_event(&mut client, &mut server, segment), ClientEvent::Ready);
        let addresses: Vec<String> = (0..recipients).map(|number| format!("r{number}@c.example")).collect();
        let mut mail = envelope(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
        mail.body = BodyType::EightBitMime;
        mail.envelope_id = Some("x y=z".into());
        for body in &bodies {
            deliver(&mut client, &mut server, &mail, body, segment);
            let mut expected = BytesMut::new();
            LineEndings::default().normalize_into(body, &mut expected);
            // Only DATA has to end in a CRLF.
            if !chunking && !expected.is_empty() && !expected.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            let received = server.received.pop();
            // What is there counts: octets above 127.
            let shown = if body.is_ascii() { BodyType::SevenBit } else { BodyType::EightBitMime };
            let envelope = Envelope { body: shown, ..mail.clone() };
            prop_assert_eq!(received, Some(Received { envelope: Some(envelope), content: expected.to_vec() }));
        }
    }
}
