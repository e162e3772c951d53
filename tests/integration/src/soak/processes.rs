//! Services are killed, ended and paused at random moments under load, and their clocks jump; everything that was
//! acknowledged arrives (peers E2 25, 31, 33, 39).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use net::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::load::Load;
use super::{Plan, SERVERS, TWO_SERVERS, inboxes, settle, wait_for_conservation};
use crate::Lab;

const SERVICES: [Service; 4] =
    [Service::FrontendTransport, Service::Transport, Service::MailboxSubmission, Service::MailboxDelivery];
/// A fault happens when so many more copies have been acknowledged: at once, or after some work.
const WORK: std::ops::Range<usize> = 0..30;
/// Nothing acknowledged for so long, with at most one service away, is a failure of its own.
const PATIENCE: Duration = Duration::from_secs(120);
/// How far clocks jump: less than mail lives, both ways together.
const JUMPS: [&str; 4] = ["-20h", "-50m", "+50m", "+20h"];
/// libfaketime of Debian, multi-threaded; read once a second, so that a service lives in wrong times for longer.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// How long a service lives with a wrong clock.
const WRONG_TIME: Duration = Duration::from_millis(1500);
/// Shortest pause.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// A line is printed after so many faults.
const PRINTED_EVERY: usize = 100;

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill(Service),
    End(Service),
    Pause(Service, Duration),
    Jump(Service, &'static str),
}

fn schedule(plan: &Plan, random: &mut StdRng) -> Vec<Fault> {
    let mut faults: Vec<Fault> =
        SERVICES.iter().flat_map(|service| std::iter::repeat_n(Fault::Kill(*service), plan.kills)).collect();
    let any = |random: &mut StdRng| *SERVICES.choose(random).unwrap();
    for _ in 0..plan.others {
        faults.push(Fault::End(any(random)));
        faults.push(Fault::Pause(any(random), random.random_range(PAUSE_MIN..plan.pause_max)));
        faults.push(Fault::Jump(any(random), JUMPS.choose(random).unwrap()));
    }
    faults.shuffle(random);
    faults
}

/// The lab, and the file by which its clocks are set.
struct Troubled {
    lab: Lab,
    clock: PathBuf,
}

pub(super) async fn run(plan: &Plan) {
    assert!(std::path::Path::new(FAKETIME).exists(), "clocks that jump need libfaketime: apt-get install libfaketime");
    let mut random = StdRng::seed_from_u64(plan.seed);
    let faults = schedule(plan, &mut random);
    let clock = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(clock.path(), "+0").unwrap();
    let lab = Lab::start_with(TWO_SERVERS, |options| {
        options.environment.extend([
            ("LD_PRELOAD".into(), FAKETIME.into()),
            ("FAKETIME_TIMESTAMP_FILE".into(), clock.path().into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC".into(), "1".into()),
            ("FAKETIME_CACHE_DURATION".into(), "1".into()),
        ]);
    })
    .await;
    let mut troubled = Troubled { lab, clock: clock.path().to_owned() };
    let load = Load::start(&troubled.lab);
    let started = Instant::now();
    for (number, fault) in (1..).zip(&faults) {
        let wanted = load.ledger.count() + random.random_range(WORK);
        let waited = tokio::time::timeout(PATIENCE, load.ledger.wait_for_count(wanted)).await;
        assert!(waited.is_ok(), "nothing was acknowledged for {PATIENCE:?}, before fault {number}: {fault:?}");
        troubled.make(*fault, SERVERS.choose(&mut random).unwrap()).await;
        if number % PRINTED_EVERY == 0 {
            let (count, elapsed) = (load.ledger.count(), started.elapsed().as_secs());
            println!("   {number} of {} faults, {count} copies acknowledged, {elapsed} s", faults.len());
        }
    }
    let ledger = load.stop().await;
    let lab = troubled.lab;
    let balance = ledger.wait_for_everything(&lab, inboxes(&lab)).await;
    settle(&format!("{} kills of each service and {} other faults", plan.kills, 3 * plan.others), &balance);
    for server in SERVERS {
        wait_for_conservation(&lab, server).await;
    }
    lab.finish().await;
}

impl Troubled {
    async fn make(&mut self, fault: Fault, server: &str) {
        match fault {
            Fault::Kill(service) => {
                self.lab.kill(server, service).await;
                self.lab.start_again(server, service).await;
            }
            Fault::End(service) => {
                self.lab.stop(server, service).await;
                self.lab.start_again(server, service).await;
            }
            Fault::Pause(service, duration) => {
                let pid = Pid::from_raw(self.lab.pid(server, service).try_into().unwrap());
                kill(pid, Signal::SIGSTOP).unwrap();
                testkit::hold(duration).await;
                kill(pid, Signal::SIGCONT).unwrap();
            }
            // A running service does not look at the clock again; one that starts meanwhile lives in another time.
            Fault::Jump(service, offset) => {
                std::fs::write(&self.clock, offset).unwrap();
                self.lab.kill(server, service).await;
                self.lab.start_again(server, service).await;
                testkit::hold(WRONG_TIME).await;
                std::fs::write(&self.clock, "+0").unwrap();
                self.lab.kill(server, service).await;
                self.lab.start_again(server, service).await;
            }
        }
    }
}
