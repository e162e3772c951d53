//! Thousands who only hold connections, or send an octet now and then: memory stays bounded, and others send as if they were
//! alone (peers E2 6).

use std::net::{Ipv4Addr, SocketAddr};

use net::Service;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use telemetry::catalogue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Plan, settle};
use crate::{Lab, Ledger, Wire, test_message};

/// Most octets of memory that a service may use for a connection that says nothing.
const IDLE_OCTETS_MAX: u64 = 32 * 1024;
/// The same for one in the middle of a message: its session, and the message's stream to Transport.
const SLOW_OCTETS_MAX: u64 = 128 * 1024;
/// Memory that a service may use for whatever else it begins to do meanwhile.
const SLACK: u64 = 24 * 1024 * 1024;
/// Sources of connections: a Receive connector may limit each.
const SOURCES: usize = 250;
/// Descriptors beside those of the connections.
const OTHER_DESCRIPTORS: u64 = 1000;
/// One in so many connections is slow; the others are idle.
const SLOW_SHARE: usize = 5;

/// A front end that takes everybody who comes.
const CROWDED: &str = "receiveConnectors:
  - {name: Default Frontend BERLIN1, server: BERLIN1, bindings: ['0.0.0.0:25'], permissionGroups: [AnonymousUsers],
     maxInboundConnection: 100000, maxInboundConnectionPerSource: 10000, maxInboundConnectionPercentagePerSource: 100}
internet:";

async fn connect(to: SocketAddr, number: usize) -> TcpStream {
    let source = Ipv4Addr::new(127, 2, 0, u8::try_from(1 + number % SOURCES).unwrap());
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    let mut stream = socket.connect(to).await.unwrap_or_else(|error| panic!("connection {number}: {error}"));
    expect(&mut stream, "220").await;
    stream
}

/// Reads a reply of one or more lines.
async fn expect(stream: &mut TcpStream, code: &str) {
    let mut reply = Vec::new();
    let last = |reply: &[u8]| {
        let text = String::from_utf8_lossy(reply);
        text.ends_with("\r\n") && text.lines().last().is_some_and(|line| line.as_bytes().get(3) == Some(&b' '))
    };
    while !last(&reply) {
        assert!(stream.read_buf(&mut reply).await.unwrap() > 0, "hung up on");
    }
    assert!(reply.starts_with(code.as_bytes()), "{}", String::from_utf8_lossy(&reply));
}

/// Goes as far as the middle of a message.
async fn begin(stream: &mut TcpStream) {
    for (command, code) in [
        ("EHLO slow.example", "250"),
        ("MAIL FROM:<slow@tailspin.example>", "250"),
        ("RCPT TO:<anna@contoso.example>", "250"),
        ("DATA", "354"),
    ] {
        stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        expect(stream, code).await;
    }
    stream.write_all(b"Subject: slow\r\n\r\n").await.unwrap();
}

/// Descriptors for both ends: the services inherit the limit.
fn raise_limit(connections: usize) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let wanted = connections as u64 + OTHER_DESCRIPTORS;
    assert!(wanted <= hard, "{connections} connections need {wanted} descriptors, `ulimit -Hn` allows {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// Somebody else sends, and it arrives.
async fn send_some(lab: &Lab, what: &str) {
    const MESSAGES: usize = 20;
    let ledger = Ledger::new();
    let wire = Wire::smtp(lab, "BERLIN1", Ipv4Addr::LOCALHOST);
    for _ in 0..MESSAGES {
        let message = test_message("visitor@tailspin.example", "anna@contoso.example");
        wire.hand_in(&message).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        ledger.acknowledge(&message);
    }
    let balance = ledger.wait_for_everything(lab, vec![lab.inbox("BERLIN1", "DB-Berlin1", "anna")]).await;
    settle(what, &balance);
}

pub(super) async fn run(plan: &Plan) {
    raise_limit(plan.connections);
    let lab = Lab::start(&crate::ONE_SERVER.replace("internet:", CROWDED)).await;
    let front_end = lab.server("BERLIN1").smtp().unwrap();
    send_some(&lab, "alone").await;
    let services = [Service::FrontendTransport, Service::Transport];
    let before = services.map(|service| lab.resident("BERLIN1", service));

    let slow = plan.connections / SLOW_SHARE;
    let idle = plan.connections - slow;
    let mut streams = Vec::new();
    for number in 0..idle {
        streams.push(connect(front_end, number).await);
    }
    send_some(&lab, &format!("beside {idle} idle connections")).await;
    check_memory(&lab, services[0], before[0], idle as u64 * IDLE_OCTETS_MAX);

    for number in 0..slow {
        let mut stream = connect(front_end, number).await;
        begin(&mut stream).await;
        streams.push(stream);
    }
    for stream in &mut streams[idle..] {
        stream.write_all(b"a").await.unwrap();
    }
    send_some(&lab, &format!("beside {slow} slow ones as well")).await;
    for (service, before) in services.into_iter().zip(before) {
        let allowed = idle as u64 * IDLE_OCTETS_MAX + slow as u64 * SLOW_OCTETS_MAX;
        check_memory(&lab, service, before, allowed);
    }
    drop(streams);
    testkit::until("the connections are gone", async || {
        let counts = lab.counts("BERLIN1", Service::FrontendTransport).await?;
        (counts.labelled(&catalogue::CONNECTIONS, &["inbound"]).unwrap_or_default() == 0).then_some(())
    })
    .await;
    send_some(&lab, "alone again").await;
    lab.finish().await;
}

fn check_memory(lab: &Lab, service: Service, before: u64, allowed: u64) {
    let now = lab.resident("BERLIN1", service);
    let grown = now.saturating_sub(before);
    println!("   {service}: {} MiB resident, {} MiB more than before", now >> 20, grown >> 20);
    assert!(grown <= allowed + SLACK, "{service} has grown by {grown} octets, {allowed} are allowed");
}
