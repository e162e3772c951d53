//! Clients as bad as they come, many at once, at every entrance of both servers, while others send: nobody's mail is lost,
//! nothing arrives that its sender was not told of, no process dies, and memory stays bounded (peers E2 1, 3 to 8).
//!
//! Every message of an attacker has a `Message-ID` of its own, a smuggled one another than the one around it.

mod attacks;
mod book;
mod session;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use net::Service;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use telemetry::catalogue;
use tokio::task::JoinSet;

use self::attacks::{Attacker, Kind};
use self::book::Book;
pub(super) use self::session::Session;
use super::load::Load;
use super::{Plan, SERVERS, TWO_SERVERS, inboxes, settle, wait_for_conservation};
use crate::ledger::arrived;
use crate::{Lab, Wire};

/// Sessions of attackers at the same time.
const AT_ONCE: usize = 100;
/// Sources of attackers: a Receive connector limits each.
const SOURCES: usize = 250;
/// Those who have clients.
const ENTERED: [Service; 2] = [Service::FrontendTransport, Service::Transport];
/// How often an attacker comes in where everybody may send; the others are for users and servers.
const OPEN_ENTRANCE: f64 = 0.7;
/// Most octets of memory that a service may use for a session: what is held of its message, in a buffer that grows by doubling,
/// its input, and what is on its way to a Transport.
const SESSION_OCTETS_MAX: u64 = 1024 * 1024;
/// Memory that a service may use for whatever else it begins to do meanwhile, checks of passwords above all; and that it may
/// keep when all is over, however many there were.
const SLACK: u64 = 64 * 1024 * 1024;
/// What Transport keeps of the messages stored last.
const RECENT_OCTETS: u64 = queue::RECENT_OCTETS_DEFAULT as u64;
/// Memory is looked at whenever so many attacks are over.
const LOOKED_AT_EVERY: usize = 20;
/// A line is printed after so many attacks.
const PRINTED_EVERY: usize = 5000;

/// An address where clients come in, and whether it takes passwords in clear.
type Entrance = (SocketAddr, bool);

/// Where everybody may send, and where only users and servers may.
fn entrances(lab: &Lab) -> (Vec<Entrance>, Vec<Entrance>) {
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for server in SERVERS {
        let services = &lab.server(server).services;
        let [front_end, transport] = ENTERED.map(|service| &services[&service]);
        open.extend(front_end.smtp.map(|at| (at, false)));
        closed.extend(front_end.submission.map(|at| (at, false)));
        // `Default <server>` offers it, for servers of old.
        closed.extend(transport.smtp.map(|at| (at, true)));
        closed.extend(transport.submission.map(|at| (at, false)));
    }
    (open, closed)
}

/// How much memory each service has used at most.
struct Memory {
    before: Vec<(&'static str, Service, u64)>,
    most: Vec<u64>,
}

impl Memory {
    fn measure(lab: &Lab) -> Self {
        let pairs = SERVERS.into_iter().flat_map(|server| ENTERED.map(|service| (server, service)));
        let before: Vec<_> = pairs.map(|(server, service)| (server, service, lab.resident(server, service))).collect();
        let most = before.iter().map(|(_, _, octets)| *octets).collect();
        Self { before, most }
    }

    fn look(&mut self, lab: &Lab) {
        for ((server, service, _), most) in self.before.iter().zip(&mut self.most) {
            *most = lab.resident(server, *service).max(*most);
        }
    }

    /// The most must be what so many sessions need, and what is left no more than before.
    fn check(&self, lab: &Lab) {
        for ((server, service, before), most) in self.before.iter().zip(&self.most) {
            let left = lab.resident(server, *service);
            let mebi = [*before, *most, left].map(|octets| octets >> 20);
            println!("   {service} of {server}: {mebi:?} MiB resident before, at most, and after");
            let kept = SLACK + if *service == Service::Transport { RECENT_OCTETS } else { 0 };
            for (octets, allowed) in [(*most, kept + AT_ONCE as u64 * SESSION_OCTETS_MAX), (left, kept)] {
                let grown = octets.saturating_sub(*before);
                assert!(grown <= allowed, "{service} of {server} has grown by {grown} octets, {allowed} are allowed");
            }
        }
    }
}

pub(super) async fn run(plan: &Plan) {
    let lab = Lab::start(TWO_SERVERS).await;
    let mut random = StdRng::seed_from_u64(plan.seed);
    let (book, mut memory) = (Arc::new(Book::default()), Memory::measure(&lab));
    let load = Load::start(&lab);
    attack(plan.attacks, &lab, &book, &mut random, &mut memory).await;
    let ledger = load.stop().await;
    everybody_lives(&lab);
    let balance = ledger.wait_for_everything(&lab, inboxes(&lab)).await;
    println!("   {}", book.counted());
    settle(&format!("beside {} attacks", plan.attacks), &balance);
    let (mut deliveries, mut inboxes) = (lab.world.deliveries(), inboxes(&lab));
    testkit::until("everything that attackers were acknowledged has arrived", async || {
        book.missing(&arrived(&mut deliveries, &mut inboxes)).is_empty().then_some(())
    })
    .await;
    for server in SERVERS {
        nobody_is_connected(&lab, server).await;
        wait_for_conservation(&lab, server).await;
    }
    // Nothing is on its way any more.
    let (arrived, (acknowledged, unknown)) = (arrived(&mut deliveries, &mut inboxes), book.totals());
    let intruders = book.intruders(&arrived);
    assert!(intruders.is_empty(), "nobody was told of these, or they came twice: {intruders:#?}");
    println!("   attackers: {acknowledged} acknowledged and arrived, {unknown} that may have, no other");
    memory.check(&lab);
    everybody_lives(&lab);
    lab.finish().await;
}

async fn attack(count: usize, lab: &Lab, book: &Arc<Book>, random: &mut StdRng, memory: &mut Memory) {
    let (open, closed) = entrances(lab);
    let wires = SERVERS.map(|server| Wire::connector(lab, server));
    let (mut attackers, mut over) = (JoinSet::new(), 0_usize);
    for number in 0..count {
        let (at, clear_logons) =
            *(if random.random_bool(OPEN_ENTRANCE) { &open } else { &closed }).choose(random).unwrap();
        let attacker = Attacker {
            number,
            kind: *Kind::ALL.choose(random).unwrap(),
            random: StdRng::seed_from_u64(random.random()),
            book: Arc::clone(book),
            at,
            clear_logons,
            source: Ipv4Addr::new(127, 3, 0, u8::try_from(1 + number % SOURCES).unwrap()),
            wire: wires.choose(random).unwrap().clone(),
        };
        attackers.spawn(attacker.run());
        while attackers.len() >= AT_ONCE || (number + 1 == count && !attackers.is_empty()) {
            attackers.join_next().await.unwrap().unwrap();
            over += 1;
            if over.is_multiple_of(LOOKED_AT_EVERY) {
                memory.look(lab);
            }
            if over.is_multiple_of(PRINTED_EVERY) {
                println!("   {over} of {count} attacks are over");
            }
        }
    }
}

/// Whom nobody killed has not ended.
fn everybody_lives(lab: &Lab) {
    for server in SERVERS {
        for service in ENTERED {
            assert!(!lab.has_ended(server, service), "{service} of {server} has died");
        }
    }
}

async fn nobody_is_connected(lab: &Lab, server: &str) {
    for service in ENTERED {
        testkit::until(&format!("the connections to {service} of {server} are gone"), async || {
            let counts = lab.counts(server, service).await?;
            (counts.labelled(&catalogue::CONNECTIONS, &["inbound"]).unwrap_or_default() == 0).then_some(())
        })
        .await;
    }
}
