//! Whom the sender calls: mail exchangers, smart hosts, and addresses that it never calls.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod support;

use std::net::{IpAddr, Ipv4Addr};

use net::tls::TrustedRoots;
use net::{Host, TargetPolicy};
use smtp::{NextHop, SessionPlan};
use support::*;
use testkit::dns::{self, Record};

const HERE: Record = Record::A(Ipv4Addr::LOCALHOST);
/// Nobody listens on this address of loopback.
const DEAD: Record = Record::A(Ipv4Addr::new(127, 0, 0, 99));

/// The internet of these tests.
fn loopback() -> TargetPolicy {
    TargetPolicy::new([IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0))..=Ipv4Addr::new(127, 255, 255, 255).into()], [])
}

/// Opens a session to `next_hop`; gives the host that took it, or why none did.
async fn open(table: &[(&'static str, Record)], next_hop: NextHop, targets: TargetPolicy) -> String {
    let server = Server::start(settings());
    let sender = sender(dns::serve(table).await, TrustedRoots::none());
    let plan = SessionPlan { next_hop, port: server.address.port(), targets, ..server.plan() };
    match sender.open(&plan, 0).await {
        Ok(session) => session.peer().host.to_string(),
        Err(failure) => format!("{:?} {failure}", failure.severity).replace(&format!(":{}", plan.port), ":PORT"),
    }
}

#[tokio::test]
async fn mail_exchangers() {
    let mx = |name| NextHop::Mx(domain(name));
    let table = &[
        ("two.test", Record::Mx(10, "dead.test")),
        ("two.test", Record::Mx(20, "here.test")),
        ("dead.test", DEAD),
        ("here.test", HERE),
        ("half.test", Record::Mx(5, "gone.test")),
        ("half.test", Record::Mx(9, "here.test")),
        ("null.test", Record::Mx(0, ".")),
        ("only-dead.test", Record::Mx(10, "dead.test")),
    ];
    for (name, expected) in [
        ("two.test", "here.test"),
        ("half.test", "here.test"),
        ("here.test", "here.test"),
        ("null.test", "Permanent null.test, DNS: 556 5.1.10 Recipient address has null MX"),
        // SC-39
        ("none.test", "Permanent none.test, DNS: 550 5.4.4 SMTPSEND.DNS.NonExistentDomain; nonexistent domain"),
    ] {
        assert_eq!(open(table, mx(name), loopback()).await, expected, "{name}");
    }
    let refused = open(table, mx("only-dead.test"), loopback()).await;
    assert!(
        refused.starts_with("Transient dead.test (127.0.0.99:PORT), connect: 451 4.4.1 cannot connect to"),
        "{refused}"
    );
    // E2.18
    assert_eq!(
        open(table, mx("here.test"), TargetPolicy::default()).await,
        "Permanent here.test (127.0.0.1:PORT), DNS: 550 5.4.4 mail routed by DNS never goes to a loopback address"
    );
}

#[tokio::test]
async fn smart_hosts() {
    let hosts = |names: &[&str]| NextHop::SmartHosts(names.iter().map(|name| name.parse::<Host>().unwrap()).collect());
    let table = &[("relay.test", Record::Mx(10, "here.test")), ("here.test", HERE), ("dead.test", DEAD)];
    for (names, expected) in [
        // SC-42: MX first.
        (&["relay.test"][..], "here.test"),
        (&["here.test"], "here.test"),
        (&["127.0.0.1"], "[127.0.0.1]"),
        // SC-45: the next takes over.
        (&["dead.test", "none.test", "here.test"], "here.test"),
        (&["none.test"], "Transient none.test, DNS: 451 4.4.4 SMTPSEND.DNS.NonExistentDomain; nonexistent domain"),
    ] {
        // Smart hosts are the administrator's choice: no address is refused.
        assert_eq!(open(table, hosts(names), TargetPolicy::default()).await, expected, "{names:?}");
    }
}
