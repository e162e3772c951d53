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
/// Most services that die at the same moment, of eight.
const AT_ONCE: usize = 5;
/// How often those that died die again at once.
const TWICE: f64 = 0.15;
/// Within this time of their start: before, while and after they take up the queue.
const RECOVERY: Duration = Duration::from_millis(300);
/// Shortest pause.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// A line is printed after so many faults.
const PRINTED_EVERY: usize = 100;

/// A service of a server.
type Victim = (&'static str, Service);

#[derive(Clone, Debug)]
enum Fault {
    /// All at the same moment. Those of `again` are killed once more while they take up what they find.
    Kill {
        victims: Vec<Victim>,
        again: Option<Duration>,
    },
    End(Victim),
    Pause(Victim, Duration),
    Jump(Victim, &'static str),
}

fn schedule(plan: &Plan, random: &mut StdRng) -> Vec<Fault> {
    let mut faults = kills(plan.kills, random);
    for _ in 0..plan.others {
        let any = |random: &mut StdRng| (*SERVERS.choose(random).unwrap(), *SERVICES.choose(random).unwrap());
        faults.push(Fault::End(any(random)));
        faults.push(Fault::Pause(any(random), random.random_range(PAUSE_MIN..plan.pause_max)));
        faults.push(Fault::Jump(any(random), JUMPS.choose(random).unwrap()));
    }
    faults.shuffle(random);
    faults
}

/// Kills of each service so often, up to [`AT_ONCE`] different ones together.
fn kills(each: usize, random: &mut StdRng) -> Vec<Fault> {
    let mut left: Vec<Service> = SERVICES.iter().flat_map(|service| std::iter::repeat_n(*service, each)).collect();
    left.shuffle(random);
    let mut faults = Vec::new();
    while !left.is_empty() {
        let (most, mut victims) = (random.random_range(1..=AT_ONCE), Vec::new());
        while victims.len() < most {
            let Some(service) = left.pop() else { break };
            let victim = (*SERVERS.choose(random).unwrap(), service);
            if victims.contains(&victim) {
                left.push(service);
                break;
            }
            victims.push(victim);
        }
        // Counts as kills of the same services, when there are enough of them to come.
        let twice = random.random_bool(TWICE) && victims.iter().all(|(_, service)| left.contains(service));
        if twice {
            for (_, service) in &victims {
                if let Some(at) = left.iter().position(|other| other == service) {
                    left.swap_remove(at);
                }
            }
        }
        let again = twice.then(|| random.random_range(Duration::ZERO..RECOVERY));
        faults.push(Fault::Kill { victims, again });
    }
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
            // The file of the clock is none of a service's.
            ("POSTROAD_UNCONFINED".into(), "true".into()),
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
        troubled.make(fault).await;
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
    async fn make(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill { victims, again } => {
                self.kill(victims).await;
                if let Some(after) = again {
                    self.lab.spawn_all(victims);
                    testkit::hold(*after).await;
                    self.kill(victims).await;
                }
                self.lab.start_all_again(victims).await;
            }
            Fault::End((server, service)) => {
                self.lab.stop(server, *service).await;
                self.lab.start_again(server, *service).await;
            }
            Fault::Pause((server, service), duration) => {
                let pid = Pid::from_raw(self.lab.pid(server, *service).try_into().unwrap());
                kill(pid, Signal::SIGSTOP).unwrap();
                testkit::hold(*duration).await;
                kill(pid, Signal::SIGCONT).unwrap();
            }
            // A running service does not look at the clock again; one that starts meanwhile lives in another time.
            Fault::Jump(victim, offset) => {
                for (offset, held) in [(*offset, WRONG_TIME), ("+0", Duration::ZERO)] {
                    std::fs::write(&self.clock, offset).unwrap();
                    self.kill(&[*victim]).await;
                    self.lab.start_all_again(&[*victim]).await;
                    testkit::hold(held).await;
                }
            }
        }
    }

    async fn kill(&mut self, victims: &[Victim]) {
        for (server, service) in victims {
            self.lab.kill(server, *service).await;
        }
    }
}
