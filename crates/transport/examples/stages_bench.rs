//! One SMTP session into Transport, by stage: how long the client waits for each answer. `make bench-parts` runs it; a timer
//! or a hand-over between threads that nobody asked for shows as a stage of a millisecond.

#![expect(clippy::unwrap_used, reason = "a step that fails ends the measurement")]

use std::time::{Duration, Instant};

use net::Service;
use testkit::entrances::{self, STRANGERS};
use testkit::{Client, World};
use tokio_util::sync::CancellationToken;
use transport::Transport;

const ORGANIZATION: &str = "
sites: [{name: Berlin}]
servers: [{name: MAIL1, fqdn: mail1.contoso.com, site: Berlin}]
databases: [{name: DB1, server: MAIL1}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
recipients: [{name: ann, address: ann@contoso.com, database: DB1}]
";
/// Messages, each after the one before.
const MESSAGES: usize = 2000;
/// Left out of the figures: caches fill.
const WARM_UP: usize = 200;
const STAGES: [&str; 4] = ["MAIL", "RCPT", "DATA", "end of data"];

#[tokio::main]
async fn main() {
    let world = World::new(&format!("{ORGANIZATION}{}", entrances::receive_connectors("HubTransport"))).await;
    let node = world.node("MAIL1", Service::Transport).await;
    let drain = CancellationToken::new();
    let transport = Transport::build(node, drain.clone()).await.unwrap();
    let addresses = transport.smtp_addresses();
    let (_, door) = addresses.iter().find(|(binding, _)| binding.to_string() == STRANGERS).unwrap();
    let ended = tokio::spawn(transport.run());
    let mut client = Client::connect(*door).await;
    let mut waits: [Vec<Duration>; 4] = Default::default();
    let begun = Instant::now();
    for number in 0..MESSAGES {
        let lines = [
            "MAIL FROM:<visitor@fabrikam.com>",
            "RCPT TO:<ann@contoso.com>",
            "DATA",
            "Subject: measured\r\n\r\nBody\r\n.",
        ];
        for (stage, line) in lines.iter().enumerate() {
            let asked = Instant::now();
            let answer = client.say(line).await;
            assert!(answer.starts_with(['2', '3']), "{line}: {answer}");
            if number >= WARM_UP {
                waits[stage].push(asked.elapsed());
            }
        }
    }
    let rate = MESSAGES as f64 / begun.elapsed().as_secs_f64();
    println!("{:<14}{:>12}{:>12}{:>12}", "stage", "median µs", "90% µs", "99% µs");
    for (name, waits) in STAGES.iter().zip(&mut waits) {
        waits.sort_unstable();
        let at = |part: f64| waits[(part * (waits.len() - 1) as f64) as usize].as_micros();
        println!("{name:<14}{:>12}{:>12}{:>12}", at(0.5), at(0.9), at(0.99));
    }
    println!("one session, one message after the other: {rate:.0} messages a second");
    drain.cancel();
    ended.await.unwrap().unwrap();
}
