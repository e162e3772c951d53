//! The first promise: accepted mail is never lost. The short run of `make soak`.

use integration::soak::{Plan, Scenario};

/// Names the seed of an earlier run.
const SEED_VARIABLE: &str = "POSTROAD_SEED";

fn plan() -> Plan {
    let named = std::env::var(SEED_VARIABLE).ok().map(|text| text.parse().unwrap());
    Plan::short(named.unwrap_or_else(rand::random))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_arrives_whatever_happens_to_processes() {
    Scenario::Processes.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_only_holds_connections_keeps_nobody_from_sending() {
    Scenario::Crowd.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misbehaving_destinations_get_their_mail() {
    Scenario::Peers.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_goes_or_comes_back_wrong_stops_no_mail() {
    Scenario::Directory.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misbehaving_clients_get_nothing_past_their_reply() {
    Scenario::Clients.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_fails_or_is_slow_loses_nothing() {
    Scenario::Disk.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_answer_keeps_nobody_who_can_go_elsewhere() {
    Scenario::Hang.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_whose_host_says_nothing_keep_only_their_own_mail() {
    Scenario::Blackhole.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_follows_databases_that_move() {
    Scenario::Switchover.run(&plan()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_that_are_known_get_nobody_anything() {
    Scenario::Attack.run(&plan()).await;
}
