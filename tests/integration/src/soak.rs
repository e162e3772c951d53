//! Faults made on purpose while mail flows, and the ledger that says whether any acknowledged message was lost by them.
//!
//! | scenario | what is done |
//! |---|---|
//! | `processes` | every service is killed (SIGKILL), ended (SIGTERM) and paused (SIGSTOP) again and again; clocks jump |
//! | `crowd` | thousands of idle and of very slow connections while others send |
//! | `peers` | destinations that greylist, refuse, hang up at every step, or answer late |
//! | `clients` | clients that smuggle, inject, lie and hang up at every step, while others send |
//! | `attack` | the attacks of docs/security.md that need a running organization, for as long as one likes |
//! | `disk` | the disk under a queue is full, fails, hangs or is slow, and its Transport is killed meanwhile |
//! | `hang` | the disk of a queue does not answer, and that of a mailbox database |
//! | `blackhole` | a thousand domains whose host says nothing |
//! | `switchover` | databases and Send connectors move between the servers of a DAG while mail keeps coming |
//! | `directory` | etcd goes, comes back, comes back older than it was, and holds an object that is none |
//!
//! Every scenario takes a [`Plan`] and prints what it does; what must hold is asserted. The same seed makes the same choices;
//! how processes interleave is the machine's affair.

mod attack;
mod blackhole;
mod clients;
mod crowd;
mod directory;
mod disk;
mod hang;
mod load;
mod peers;
mod processes;
mod switchover;

use std::fmt;
use std::process::Output;
use std::time::Duration;

use net::Service;

use crate::{Balance, Inbox, Lab, organization_text, run_postroad};

/// What to do, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Makes the choices.
    pub seed: u64,
    /// How often each of the four services is killed.
    pub kills: usize,
    /// How often a random service is ended in order, how often one is paused, how often a clock jumps.
    pub others: usize,
    /// Longest pause.
    pub pause_max: Duration,
    /// Idle connections, and slow ones.
    pub connections: usize,
    /// Messages for misbehaving destinations.
    pub messages: usize,
    /// Sessions of misbehaving clients.
    pub attacks: usize,
    /// How often a disk is full, fails, hangs or is slow.
    pub disk_faults: usize,
    /// How often the disks of a queue and of a database hang.
    pub hangs: usize,
    /// Domains whose host says nothing.
    pub holes: usize,
    /// How often a database moves.
    pub switchovers: usize,
    /// How long an organization is attacked; one round at least.
    pub attack_for: Duration,
}

impl Plan {
    /// A part of `make test`: about a minute.
    #[must_use]
    pub fn short(seed: u64) -> Self {
        let pause_max = Duration::from_millis(1500);
        Self {
            seed,
            kills: 4,
            others: 2,
            pause_max,
            connections: 600,
            messages: 150,
            attacks: 400,
            disk_faults: 9,
            hangs: 1,
            holes: 150,
            switchovers: 4,
            attack_for: Duration::ZERO,
        }
    }

    /// `make soak`: about an hour.
    #[must_use]
    pub fn long(seed: u64) -> Self {
        let pause_max = Duration::from_secs(60);
        Self {
            seed,
            kills: 1000,
            others: 20,
            pause_max,
            connections: 10_000,
            messages: 5000,
            attacks: 40_000,
            disk_faults: 210,
            hangs: 10,
            holes: 1000,
            switchovers: 200,
            attack_for: Duration::from_secs(300),
        }
    }
}

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Services die, pause and live in wrong times.
    Processes,
    /// Many who only hold connections.
    Crowd,
    /// Destinations that misbehave.
    Peers,
    /// Clients that misbehave.
    Clients,
    /// Attacks from outside and from beside.
    Attack,
    /// A disk that is full, fails, hangs or is slow.
    Disk,
    /// Disks that do not answer.
    Hang,
    /// Hosts that say nothing.
    Blackhole,
    /// Databases that move.
    Switchover,
    /// A directory that fails.
    Directory,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Processes,
        Self::Crowd,
        Self::Peers,
        Self::Clients,
        Self::Attack,
        Self::Disk,
        Self::Hang,
        Self::Blackhole,
        Self::Switchover,
        Self::Directory,
    ];

    /// Runs it, and returns when everything is as it must be.
    ///
    /// # Panics
    /// When it is not.
    pub async fn run(self, plan: &Plan) {
        println!("── {self}: POSTROAD_SEED={}", plan.seed);
        match self {
            Self::Processes => processes::run(plan).await,
            Self::Crowd => crowd::run(plan).await,
            Self::Peers => peers::run(plan).await,
            Self::Clients => clients::run(plan).await,
            Self::Attack => attack::run(plan).await,
            Self::Disk => disk::run(plan).await,
            Self::Hang => Box::pin(hang::run(plan)).await,
            Self::Blackhole => blackhole::run(plan).await,
            Self::Switchover => switchover::run(plan).await,
            Self::Directory => directory::run(plan).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processes => "processes",
            Self::Crowd => "crowd",
            Self::Peers => "peers",
            Self::Clients => "clients",
            Self::Attack => "attack",
            Self::Disk => "disk",
            Self::Hang => "hang",
            Self::Blackhole => "blackhole",
            Self::Switchover => "switchover",
            Self::Directory => "directory",
        })
    }
}

/// Two servers of one site: what one cannot do for a moment, the other does. Bank's mail goes out through the front ends.
const TWO_SERVERS: &str = "
transportConfig: {privateTargetRanges: [127.0.0.0/8]}
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}
  - {name: BERLIN2, fqdn: berlin2.contoso.example, site: Berlin, transport: QUICK}
databases: [{name: DB-Berlin1, server: BERLIN1}, {name: DB-Berlin2, server: BERLIN2}]
sendConnectors:
  - {name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1, BERLIN2], port: 2500}
  - {name: Bank, addressSpaces: [bank.example], sourceTransportServers: [BERLIN1, BERLIN2], port: 2500,
     frontendProxyEnabled: true}
recipients:
  - {name: anna, primaryAddress: anna@contoso.example, database: DB-Berlin1, password: demo-anna}
  - {name: ben, primaryAddress: ben@contoso.example, database: DB-Berlin2, password: demo-ben}
internet:
  domains:
    - {name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}
    - {name: tailspin.example, mx: [{host: mx.fabrikam.example}]}
    - {name: bank.example, mx: [{host: mx.bank.example}]}
  hosts: [{name: mx.fabrikam.example}, {name: mx.bank.example}]
lab: {smtpPort: 2500}
";

/// The servers of [`TWO_SERVERS`].
const SERVERS: [&str; 2] = ["BERLIN1", "BERLIN2"];

/// The mailboxes of [`TWO_SERVERS`].
fn inboxes(lab: &Lab) -> Vec<Inbox> {
    vec![lab.inbox("BERLIN1", "DB-Berlin1", "anna"), lab.inbox("BERLIN2", "DB-Berlin2", "ben")]
}

/// Applies another organization file, as an administrator does.
async fn apply(lab: &Lab, text: &str) {
    let ended = try_to_apply(lab, text, &[]).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

async fn try_to_apply(lab: &Lab, text: &str, options: &[&str]) -> Output {
    let file = lab.folder().join("change.yaml");
    std::fs::write(&file, organization_text(text)).unwrap();
    let folder = lab.folder().to_str().unwrap();
    run_postroad(&[&["apply", file.to_str().unwrap(), "--yes", "--lab", folder], options].concat()).await
}

/// Prints a balance; nothing may be missing.
fn settle(what: &str, balance: &Balance) {
    println!(
        "   {what}: {} acknowledged, {} missing, {} duplicates",
        balance.acknowledged,
        balance.missing.len(),
        balance.duplicates
    );
    assert!(balance.missing.is_empty() && balance.acknowledged > 0, "{balance:?}");
}

/// Waits until the conservation counters of a Transport say that everything it was responsible for has found an end.
async fn wait_for_conservation(lab: &Lab, server: &str) {
    let counted = async || Some(lab.counts(server, Service::Transport).await?.conservation());
    let what = format!("accepted = delivered + failed + expired + removed + queued, and nothing queued, on {server}");
    let even = async || {
        let (accepted, ends) = counted().await?;
        let [ended @ .., queued] = ends;
        let ended: u64 = ended.iter().sum();
        (queued == 0 && accepted == ended).then_some((accepted, ended))
    };
    let uneven = async || {
        let folder = lab.folder().to_str().unwrap();
        let waits = run_postroad(&["queue", "--lab", folder, "--messages", "--all"]).await;
        format!("accepted and ended: {:?}\n{}", counted().await, String::from_utf8_lossy(&waits.stdout))
    };
    let (accepted, ended) = testkit::until_or(&what, even, uneven).await;
    println!("   {server} since its last start: {accepted} accepted = {ended} ended");
}
