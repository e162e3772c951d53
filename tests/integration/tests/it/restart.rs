//! A long queue survives a restart: all of it is taken up and delivered when the destination is back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::internet::Behavior;
use net::Service;
use tokio::task::JoinSet;

use crate::support::{Lab, Ledger, ONE_SERVER, Wire, test_message};

const HOST: &str = "mx.fabrikam.example";
/// Clients that fill the queue.
const CLIENTS: usize = 16;

fn dead() -> Behavior {
    Behavior { dead: true, ..Behavior::default() }
}

/// Puts `count` messages for a dead host into the queue of a server.
async fn fill(lab: &Lab, count: usize) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::new());
    let wire = Wire::connector(lab, "BERLIN1");
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (wire, ledger) = (wire.clone(), Arc::clone(&ledger));
        let share = count / CLIENTS + usize::from(client < count % CLIENTS);
        clients.spawn(async move {
            for _ in 0..share {
                let message = test_message("anna@contoso.example", "sales@fabrikam.example");
                assert!(wire.send(&message).await, "Transport runs and takes everything");
                ledger.acknowledge(&message);
            }
        });
    }
    clients.join_all().await;
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_of_two_thousand_survives_a_restart() {
    let mut lab = Lab::start(ONE_SERVER).await;
    lab.set_behavior(HOST, dead()).await;
    let ledger = fill(&lab, 2000).await;
    lab.stop("BERLIN1", Service::Transport).await;
    lab.start_again("BERLIN1", Service::Transport).await;
    lab.set_behavior(HOST, Behavior::default()).await;
    let balance = ledger.wait_for_everything(&lab, vec![]).await;
    println!("{} acknowledged, {} duplicates", balance.acknowledged, balance.duplicates);
    assert_eq!((balance.acknowledged, balance.missing), (2000, vec![]));
    lab.finish().await;
}

/// Run it with `cargo test --release --package integration -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement of minutes"]
async fn measure_the_restart_of_a_queue_of_two_hundred_thousand() {
    let mut lab = Lab::start(ONE_SERVER).await;
    lab.set_behavior(HOST, dead()).await;
    let started = Instant::now();
    fill(&lab, 200_000).await;
    println!("{:>10.1?}  200,000 messages accepted", started.elapsed());
    println!("{:>6} MiB  resident before the restart", lab.resident("BERLIN1", Service::Transport) >> 20);
    lab.stop("BERLIN1", Service::Transport).await;
    lab.set_behavior(HOST, Behavior::default()).await;
    let started = Instant::now();
    lab.start_again("BERLIN1", Service::Transport).await;
    println!("{:>10.1?}  ready", started.elapsed());
    lab.world.deliveries().wait_for(|_| true, Duration::from_secs(600)).await.unwrap();
    println!("{:>10.1?}  first delivery", started.elapsed());
    println!("{:>6} MiB  resident then", lab.resident("BERLIN1", Service::Transport) >> 20);
    lab.finish().await;
}
