//! How many small messages a second go through sender and listener on loopback. A figure to look at, not a test: run it
//! with `cargo test --release -p smtp --test throughput -- --ignored --nocapture`.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod support;

use std::time::Instant;

use smtp::{Content, OutboundMessage, OutboundSession};
use support::*;

/// Connections at a time.
const CONNECTIONS: usize = 16;
/// Messages for each connection.
const MESSAGES: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn small_messages() {
    let server = Server::start(settings());
    let body =
        format!("Subject: x\r\n\r\n{}", "A line of the body, as long as lines usually are in mail.\r\n".repeat(68));
    let start = Instant::now();
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (plan, body) = (server.plan(), body.clone());
            tokio::spawn(async move {
                let mut session = plain_sender().open(&plan, 0).await.unwrap();
                let envelope = envelope(&["discard@b.example"]);
                for _ in 0..MESSAGES {
                    let content = Content::Whole(body.as_bytes());
                    let outcome = session.send(OutboundMessage::new(&envelope, content)).await;
                    assert!(outcome.recipients[0].is_ok());
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    let total = CONNECTIONS * MESSAGES;
    println!("{total} messages of {} octets in {seconds:.2} s: {:.0}/s", body.len(), total as f64 / seconds);
}
