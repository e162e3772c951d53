//! The disk under a queue is full, fails, hangs or is slow, again and again under load, and its Transport is killed meanwhile:
//! mail that cannot be kept is refused for now, a queue whose disk has failed says that it must be started again, one whose
//! disk does not answer that it is not ready, and everything that was acknowledged arrives (peers E2 27), also when the power
//! goes after a start that has read what a failed sync left in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::lab::client::ClientError;
use envelope::{ByteSize, Severity};
use net::Service;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rpc::TransferError;
use telemetry::probe;

use super::load::Load;
use super::{Plan, SERVERS, TWO_SERVERS, inboxes, settle, wait_for_conservation};
use crate::faulty_disk::{DiskControl, DiskState, Lost};
use crate::lab::{NEVER_FULL, quick};
use crate::program::PROGRAM_VARIABLE;
use crate::{Lab, Ledger, Wire, faulty_transport, program, submit_by_connector, submit_from_outside, test_message};

/// A fault happens when so many more copies have been acknowledged.
const WORK: std::ops::Range<usize> = 0..30;
/// Nothing acknowledged for so long, while every disk is as it should be or slow, is a failure of its own.
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets that a full disk has left: nothing, or enough for a small segment.
const LEFT_MAX: u64 = 256 * 1024;
/// Writes or syncs that succeed before one fails.
const AFTER_MAX: u32 = 12;
/// How long a slow disk takes for a sync.
const SLOW: std::ops::Range<Duration> = Duration::from_millis(20)..Duration::from_millis(300);
/// So much is acknowledged while disks are slow.
const SLOW_WORK: usize = 20;
/// How often all servers have the fault, and nobody can take mail.
const EVERYWHERE: f64 = 0.2;
/// How often Transport is killed under the fault, instead of being looked at.
const KILLED: f64 = 0.4;
/// Within this time of the fault, and for so long it tries to start under it.
const KILL_DELAY: Duration = Duration::from_millis(400);
/// A message too large for the log: a file of its own, whose space nobody has reserved.
const LARGE: ByteSize = ByteSize::kib(400);
/// One that is not.
const SMALL: ByteSize = ByteSize::bytes(0);
/// A destination that takes its time: there is always mail in the queues that is nowhere else.
const LATE: &str = "{name: mx.fabrikam.example, behavior: {faults: [{at: endOfData, delayMillis: 300}]}}";
/// As it is written elsewhere.
const PROMPT: &str = "{name: mx.fabrikam.example}";
/// A line is printed after so many faults.
const PRINTED_EVERY: usize = 50;

struct Fault {
    state: DiskState,
    servers: Vec<&'static str>,
    /// Killed so long after it began, and once more so long after a start under it; or looked at and, if need be, started
    /// again as an orchestrator does.
    killed: Option<[Duration; 2]>,
    /// What an orchestrator asks before it kills.
    asked_to_end: bool,
}

/// Thresholds for a disk of which next to nothing is left.
const FULL_AT_LAST: &str = "{lowToMedium: 99, mediumToHigh: 99, highToMedium: 99, mediumToLow: 99}";

/// Every kind equally often, in any order.
fn schedule(count: usize, random: &mut StdRng) -> Vec<Fault> {
    let kinds = (0..count).map(|number| number % 9);
    let mut faults: Vec<Fault> = kinds.map(|kind| fault(kind, random)).collect();
    faults.shuffle(random);
    faults
}

fn fault(kind: usize, random: &mut StdRng) -> Fault {
    let after = random.random_range(0..AFTER_MAX);
    let left = if random.random_bool(0.5) { 0 } else { random.random_range(0..LEFT_MAX) };
    let state = match kind {
        0 => DiskState::Full { left, everywhere: false, told: false },
        1 => DiskState::Full { left, everywhere: false, told: true },
        2 => DiskState::Full { left, everywhere: true, told: false },
        3 => DiskState::FailingWrite { after },
        4 => DiskState::FailingSync { after, lost: Lost::Nothing },
        5 => DiskState::FailingSync { after, lost: Lost::AtOnce },
        6 => DiskState::FailingSync { after, lost: Lost::WithThePower },
        7 => DiskState::Hanging,
        _ => DiskState::Slow(random.random_range(SLOW)),
    };
    let one = *SERVERS.choose(random).unwrap();
    let servers = if random.random_bool(EVERYWHERE) { SERVERS.to_vec() } else { vec![one] };
    let mut delay = || random.random_range(Duration::ZERO..KILL_DELAY);
    let delays = [delay(), delay()];
    let killed = random.random_bool(KILLED).then_some(delays);
    Fault { state, servers, killed, asked_to_end: random.random_bool(0.5) }
}

/// What a Transport says to a message.
#[derive(PartialEq, Eq)]
enum Answer {
    Taken,
    /// For now.
    Refused,
    /// It went away, or is not there.
    Nothing,
}

/// The lab, and what has happened in it.
struct Troubled {
    lab: Lab,
    ledger: Arc<Ledger>,
    /// Faults so far: names each state of a disk.
    number: usize,
    seen: BTreeMap<&'static str, usize>,
}

pub(super) async fn run(plan: &Plan) {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let faults = schedule(plan.disk_faults, &mut random);
    // A disk that says that it is full is to be believed.
    let organization = quick(&TWO_SERVERS.replace(PROMPT, LATE)).replace(NEVER_FULL, FULL_AT_LAST);
    let lab = Lab::start_with(&organization, |options| {
        options.environment.insert(PROGRAM_VARIABLE.into(), program().into());
        options.program = faulty_transport();
    })
    .await;
    let mut load = Load::start(&lab);
    load.add_large(&lab);
    let mut troubled = Troubled { lab, ledger: Arc::clone(&load.ledger), number: 0, seen: BTreeMap::new() };
    let started = Instant::now();
    for fault in &faults {
        troubled.wait_for_work(random.random_range(WORK)).await;
        troubled.make(fault).await;
        if troubled.number.is_multiple_of(PRINTED_EVERY) {
            let (count, elapsed) = (load.ledger.count(), started.elapsed().as_secs());
            println!("   {} of {} faults, {count} copies acknowledged, {elapsed} s", troubled.number, faults.len());
        }
    }
    let ledger = load.stop().await;
    let Troubled { lab, seen, .. } = troubled;
    let balance = ledger.wait_for_everything(&lab, inboxes(&lab)).await;
    let seen: Vec<String> = seen.iter().map(|(what, times)| format!("{times} {what}")).collect();
    println!("   {}", seen.join(", "));
    settle(&format!("{} faults of disks", faults.len()), &balance);
    for server in SERVERS {
        wait_for_conservation(&lab, server).await;
        nothing_was_set_aside(&lab, server);
    }
    lab.finish().await;
}

impl Troubled {
    async fn make(&mut self, fault: &Fault) {
        self.number += 1;
        self.set(fault, fault.state);
        match (fault.killed, fault.state) {
            (Some(delays), _) => return self.kill_under(fault, delays).await,
            (None, DiskState::Full { .. }) => self.is_full(fault).await,
            (None, DiskState::FailingWrite { .. } | DiskState::FailingSync { .. }) => {
                return self.has_failed(fault).await;
            }
            (None, DiskState::Hanging) => self.hangs(fault).await,
            (None, DiskState::Fine | DiskState::Slow(_) | DiskState::PowerLost) => self.is_slow(fault).await,
        }
        self.set(fault, DiskState::Fine);
        for server in &fault.servers {
            self.wait_until_well(server).await;
        }
    }

    fn set(&self, fault: &Fault, state: DiskState) {
        for server in &fault.servers {
            DiskControl::beside(&self.lab.server(server).settings_path()).set(self.number, state);
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    async fn wait_for_work(&self, copies: usize) {
        let wanted = self.ledger.count() + copies;
        let waited = tokio::time::timeout(PATIENCE, self.ledger.wait_for_count(wanted)).await;
        assert!(waited.is_ok(), "nothing was acknowledged for {PATIENCE:?}, after fault {}", self.number);
    }

    /// Hands a message to a Transport.
    async fn hand_in(&self, server: &str, size: ByteSize) -> Answer {
        let mut message = test_message("anna@contoso.example", "sales@fabrikam.example");
        message.body_size = size;
        let Wire::Connector(peers, to) = Wire::connector(&self.lab, server) else { unreachable!("asked for above") };
        match submit_by_connector(&peers, &to, &message).await {
            Ok(()) => {
                self.ledger.acknowledge(&message);
                Answer::Taken
            }
            Err(TransferError::Refused { reply, .. }) => {
                assert_eq!(reply.severity(), Severity::Transient, "nothing is wrong with the message: {reply}");
                Answer::Refused
            }
            Err(_) => Answer::Nothing,
        }
    }

    async fn wait_for_refusal(&self, server: &str, size: ByteSize) {
        let what = format!("{server} refuses {size} under fault {}", self.number);
        let refused = async || (self.hand_in(server, size).await == Answer::Refused).then_some(());
        testkit::until(&what, refused).await;
    }

    /// When nobody can take mail, clients are told to come again.
    async fn nobody_takes(&self, fault: &Fault, size: ByteSize) {
        if fault.servers.len() < SERVERS.len() {
            return;
        }
        for server in SERVERS {
            testkit::until(&format!("the front end of {server} refuses {size}"), async || {
                let mut message = test_message("visitor@tailspin.example", "anna@contoso.example");
                message.body_size = size;
                let Err(error) = submit_from_outside(&self.lab, server, &message).await else {
                    self.ledger.acknowledge(&message);
                    return None;
                };
                let answered = matches!(error, ClientError::Refused { .. } | ClientError::NoRecipient(_));
                assert!(answered && error.severity() == Severity::Transient, "{server}: {error}");
                Some(())
            })
            .await;
        }
    }

    /// Full is no reason to be started again; mail comes back when space does.
    async fn is_full(&mut self, fault: &Fault) {
        let everywhere = matches!(fault.state, DiskState::Full { everywhere: true, .. });
        let size = if everywhere { SMALL } else { LARGE };
        for server in &fault.servers {
            self.wait_for_refusal(server, size).await;
            assert!(self.answers(server, "/live").await, "{server} is to be started again because it is full");
            self.count("refused for space");
        }
        // Else what is delivered meanwhile leaves room for the next.
        if everywhere {
            self.nobody_takes(fault, size).await;
        }
    }

    /// An orchestrator that finds it dead starts it again.
    async fn has_failed(&mut self, fault: &Fault) {
        for server in &fault.servers {
            let live = self.lab.server(server).services[&Service::Transport].metrics;
            testkit::until(&format!("{server} says that its queue has failed"), async || {
                // What brings it to a write, if nothing else does.
                self.hand_in(server, SMALL).await;
                let answer = probe::ask(live, "/live").await.unwrap();
                (!answer.is_good() && answer.body.contains("the queue has failed")).then_some(())
            })
            .await;
            assert!(!self.answers(server, "/ready").await, "{server} is ready with a queue that has failed");
            self.wait_for_refusal(server, SMALL).await;
            self.count("refused after an error");
        }
        self.nobody_takes(fault, SMALL).await;
        self.set(fault, DiskState::Fine);
        for server in &fault.servers {
            if fault.asked_to_end {
                self.lab.stop(server, Service::Transport).await;
            } else {
                self.lab.kill(server, Service::Transport).await;
            }
        }
        self.start_again(fault).await;
        self.count("started again after an error");
        if matches!(fault.state, DiskState::FailingSync { lost: Lost::WithThePower, .. }) {
            self.lose_power(fault).await;
        }
    }

    /// The start has read what a failed sync left in memory, and goes on from there. Whatever it was, it is there afterwards.
    async fn lose_power(&mut self, fault: &Fault) {
        self.wait_for_work(SLOW_WORK).await;
        self.set(fault, DiskState::PowerLost);
        for server in &fault.servers {
            self.lab.kill(server, Service::Transport).await;
        }
        self.start_again(fault).await;
        self.count("started again after a loss of power");
    }

    /// Whoever waits for a receipt waits; nobody else begins to, and nothing is ended.
    async fn hangs(&mut self, fault: &Fault) {
        for server in &fault.servers {
            let what = format!("{server} says that its disk does not answer");
            let refused = testkit::until(&what, async || {
                let address = self.lab.server(server).services[&Service::Transport].metrics;
                let answer = probe::ask(address, "/ready").await.unwrap();
                (!answer.is_good() && answer.body.contains("has not answered")).then_some(())
            });
            tokio::select! {
                () = refused => {}
                // It gives the disk something to do, and waits for it.
                () = async { while self.hand_in(server, SMALL).await == Answer::Taken {}; std::future::pending().await } => {}
            }
            assert!(self.answers(server, "/live").await, "{server} is to be started again because its disk hangs");
            self.wait_for_refusal(server, SMALL).await;
            self.count("refused while the disk hung");
        }
        self.nobody_takes(fault, SMALL).await;
    }

    async fn is_slow(&mut self, fault: &Fault) {
        for server in &fault.servers {
            let what = format!("{server} takes mail, however slow its disk is");
            let taken = async || (self.hand_in(server, SMALL).await == Answer::Taken).then_some(());
            testkit::until(&what, taken).await;
            assert!(
                self.answers(server, "/live").await && self.answers(server, "/ready").await,
                "{server} is slow only"
            );
            self.count("slow");
        }
        self.wait_for_work(SLOW_WORK).await;
    }

    /// Dies under the fault and starts under it. With a disk that is only full or slow it lives on when that is over, unless
    /// it could not even begin; else it dies again.
    async fn kill_under(&mut self, fault: &Fault, [before, after]: [Duration; 2]) {
        testkit::hold(before).await;
        for server in &fault.servers {
            self.lab.kill(server, Service::Transport).await;
        }
        self.lab.spawn_all(&transports(fault));
        testkit::hold(after).await;
        if matches!(fault.state, DiskState::Full { .. } | DiskState::Slow(_) | DiskState::Hanging) {
            self.set(fault, DiskState::Fine);
            if self.all_come_up(fault).await {
                return self.count("killed and started under a fault");
            }
        }
        for server in &fault.servers {
            self.lab.kill(server, Service::Transport).await;
        }
        self.set(fault, DiskState::Fine);
        self.start_again(fault).await;
        self.count("killed twice under a fault");
    }

    /// Waits until they are well, or one has ended.
    async fn all_come_up(&self, fault: &Fault) -> bool {
        for server in &fault.servers {
            let address = self.lab.server(server).services[&Service::Transport].metrics;
            let well = testkit::until(&format!("{server} is well after its start, or ends"), async || {
                let ready = probe::ask(address, "/ready").await.is_ok_and(|answer| answer.is_good());
                if ready { Some(true) } else { self.lab.has_ended(server, Service::Transport).then_some(false) }
            })
            .await;
            if !well {
                return false;
            }
        }
        true
    }

    async fn start_again(&mut self, fault: &Fault) {
        self.lab.start_all_again(&transports(fault)).await;
    }

    async fn wait_until_well(&self, server: &str) {
        testkit::until(&format!("{server} takes large mail again"), async || {
            (self.answers(server, "/ready").await && self.hand_in(server, LARGE).await == Answer::Taken).then_some(())
        })
        .await;
    }

    /// Whether its operations endpoint says yes. It always says something.
    async fn answers(&self, server: &str, path: &str) -> bool {
        let address = self.lab.server(server).services[&Service::Transport].metrics;
        probe::ask(address, path).await.unwrap().is_good()
    }
}

fn transports(fault: &Fault) -> Vec<(&'static str, Service)> {
    fault.servers.iter().map(|server| (*server, Service::Transport)).collect()
}

/// What a failed write leaves is no damage: the start knows where it may be.
fn nothing_was_set_aside(lab: &Lab, server: &str) {
    let folder = lab.server(server).folder.join("state/queue/quarantine");
    let set_aside: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(set_aside.is_empty(), "{}: {set_aside:?}", folder.display());
}
