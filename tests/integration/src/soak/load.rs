//! Clients that send all the time, by every way in, and note in the ledger what somebody took responsibility for.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use envelope::ByteSize;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::SERVERS;
use crate::{Inbox, Lab, Ledger, Wire, test_message};

/// Time between two messages of one client, at least: the load is steady, and faults happen at any moment of it.
const PACE: Duration = Duration::from_millis(15);
/// The same for one with large messages.
const LARGE_PACE: Duration = Duration::from_millis(250);
/// Sizes of large messages: below what goes into the log of a queue, and above, where a message is a file of its own.
const LARGE_SIZES: [ByteSize; 2] = [ByteSize::kib(200), ByteSize::kib(400)];
/// Clients of the front end of each server.
const VISITORS: u8 = 3;

/// Clients at work.
pub(super) struct Load {
    pub ledger: Arc<Ledger>,
    clients: JoinSet<()>,
    stop: CancellationToken,
}

impl Load {
    /// Starts them, for both servers.
    pub(super) fn start(lab: &Lab) -> Self {
        let mut load =
            Self { ledger: Arc::new(Ledger::new()), clients: JoinSet::new(), stop: CancellationToken::new() };
        for (position, server) in (0u8..).zip(SERVERS) {
            for visitor in 1..=VISITORS {
                let source = Ipv4Addr::new(127, 0, position, visitor);
                let wire = Wire::smtp(lab, server, source);
                load.clients.spawn(visit(wire, Arc::clone(&load.ledger), load.stop.clone()));
            }
            for to in ["sales@fabrikam.example", "clerk@bank.example"] {
                let wire = Wire::connector(lab, server);
                load.clients.spawn(hand_over(wire, to, Arc::clone(&load.ledger), load.stop.clone()));
            }
        }
        for (mailbox, from, to) in [
            (lab.inbox("BERLIN1", "DB-Berlin1", "anna"), "anna@contoso.example", "ben@contoso.example"),
            (lab.inbox("BERLIN2", "DB-Berlin2", "ben"), "ben@contoso.example", "sales@fabrikam.example"),
        ] {
            load.clients.spawn(write(mailbox, from, to, Arc::clone(&load.ledger), load.stop.clone()));
        }
        load
    }

    /// Adds clients with large messages, one for each server.
    pub(super) fn add_large(&mut self, lab: &Lab) {
        for server in SERVERS {
            let wire = Wire::connector(lab, server);
            self.clients.spawn(haul(wire, Arc::clone(&self.ledger), self.stop.clone()));
        }
    }

    /// Ends them. What was sent is on its way.
    pub(super) async fn stop(self) -> Arc<Ledger> {
        self.stop.cancel();
        self.clients.join_all().await;
        self.ledger
    }
}

fn pace() -> Interval {
    every(PACE)
}

fn every(period: Duration) -> Interval {
    let mut pace = interval(period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// Somebody outside: a message that is not taken is given up. Every other one has two recipients.
async fn visit(wire: Wire, ledger: Arc<Ledger>, stop: CancellationToken) {
    let mut pace = pace();
    for number in 0u64.. {
        pace.tick().await;
        let mut message = test_message("visitor@tailspin.example", "anna@contoso.example");
        if number % 2 == 0 {
            message.recipients.push(envelope::Address::parse("ben@contoso.example").unwrap());
        }
        let Some(taken) = stop.run_until_cancelled(wire.send(&message)).await else { return };
        if taken {
            ledger.acknowledge(&message);
        }
    }
}

/// A service of the organization: keeps a message until it is taken.
async fn hand_over(wire: Wire, to: &'static str, ledger: Arc<Ledger>, stop: CancellationToken) {
    let mut pace = pace();
    let new = || test_message("anna@contoso.example", to);
    let mut message = new();
    loop {
        pace.tick().await;
        let Some(taken) = stop.run_until_cancelled(wire.send(&message)).await else { return };
        if taken {
            ledger.acknowledge(&message);
            message = new();
        }
    }
}

/// A service with large messages: one that is not taken is given up.
async fn haul(wire: Wire, ledger: Arc<Ledger>, stop: CancellationToken) {
    let mut pace = every(LARGE_PACE);
    for size in LARGE_SIZES.into_iter().cycle() {
        pace.tick().await;
        let mut message = test_message("anna@contoso.example", "sales@fabrikam.example");
        message.body_size = size;
        let Some(taken) = stop.run_until_cancelled(wire.send(&message)).await else { return };
        if taken {
            ledger.acknowledge(&message);
        }
    }
}

/// A user with a mail reader: what is in the outbox counts as sent.
async fn write(mailbox: Inbox, from: &'static str, to: &'static str, ledger: Arc<Ledger>, stop: CancellationToken) {
    let mut pace = every(PACE * 4);
    while stop.run_until_cancelled(pace.tick()).await.is_some() {
        let message = test_message(from, to);
        mailbox.send(&message.unique.to_string(), &message.content());
        ledger.acknowledge(&message);
    }
}
