//! `make soak`: faults for hours, with the ledger of what was acknowledged.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use integration::soak::{Plan, Scenario};

/// Kills, pauses, confuses and attacks real Postroad processes and spoils their disks while mail flows, and checks that nothing
/// acknowledged is lost.
///
/// Each scenario prints its seed; the same seed makes the same choices again. Exits with 0 when everything held; else it says
/// what did not, and leaves the logs of the lab.
#[derive(Parser)]
struct Arguments {
    /// What to do; everything when left out.
    #[arg(value_enum)]
    scenarios: Vec<Name>,
    /// As short as in `make test`.
    #[arg(long)]
    short: bool,
    /// Choices of an earlier run.
    #[arg(long, env = "POSTROAD_SEED")]
    seed: Option<u64>,
    /// How often each of the four services is killed [default: 1000].
    #[arg(long)]
    kills: Option<usize>,
    /// How many connections are held [default: 10000].
    #[arg(long)]
    connections: Option<usize>,
    /// How many misbehaving clients come [default: 40000].
    #[arg(long)]
    attacks: Option<usize>,
    /// How many minutes an organization is attacked [default: 5].
    #[arg(long)]
    minutes: Option<u64>,
    /// How often a disk is full, fails or is slow [default: 210].
    #[arg(long)]
    disk_faults: Option<usize>,
    /// How often the disks of a queue and of a database hang [default: 10].
    #[arg(long)]
    hangs: Option<usize>,
    /// How many domains have a host that says nothing [default: 1000].
    #[arg(long)]
    holes: Option<usize>,
    /// How often a database moves [default: 200].
    #[arg(long)]
    switchovers: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Services are killed, ended and paused; clocks jump.
    Processes,
    /// Thousands of idle and slow connections.
    Crowd,
    /// Destinations that misbehave.
    Peers,
    /// Clients that smuggle, inject, lie and hang up.
    Clients,
    /// Attacks of docs/security.md, from outside and from beside.
    Attack,
    /// The disk under a queue is full, fails or is slow.
    Disk,
    /// Disks that do not answer, of a queue and of a mailbox database.
    Hang,
    /// A thousand domains whose host says nothing.
    Blackhole,
    /// Databases move while mail keeps coming.
    Switchover,
    /// The directory goes, comes back, older or broken.
    Directory,
}

impl From<Name> for Scenario {
    fn from(name: Name) -> Self {
        match name {
            Name::Processes => Self::Processes,
            Name::Crowd => Self::Crowd,
            Name::Peers => Self::Peers,
            Name::Clients => Self::Clients,
            Name::Attack => Self::Attack,
            Name::Disk => Self::Disk,
            Name::Hang => Self::Hang,
            Name::Blackhole => Self::Blackhole,
            Name::Switchover => Self::Switchover,
            Name::Directory => Self::Directory,
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let mut plan = if arguments.short { Plan::short(seed) } else { Plan::long(seed) };
    plan.kills = arguments.kills.unwrap_or(plan.kills);
    plan.connections = arguments.connections.unwrap_or(plan.connections);
    plan.attacks = arguments.attacks.unwrap_or(plan.attacks);
    plan.attack_for = arguments.minutes.map_or(plan.attack_for, |minutes| Duration::from_secs(minutes * 60));
    plan.disk_faults = arguments.disk_faults.unwrap_or(plan.disk_faults);
    plan.hangs = arguments.hangs.unwrap_or(plan.hangs);
    plan.holes = arguments.holes.unwrap_or(plan.holes);
    plan.switchovers = arguments.switchovers.unwrap_or(plan.switchovers);
    let chosen: Vec<Scenario> = match arguments.scenarios.as_slice() {
        [] => Scenario::ALL.to_vec(),
        named => named.iter().map(|name| Scenario::from(*name)).collect(),
    };
    for scenario in chosen {
        scenario.run(&plan).await;
    }
    println!("everything held");
}
