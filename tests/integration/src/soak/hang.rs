//! Disks that do not answer, neither with an error nor at all: that of a queue, and that of a mailbox database. Who has somewhere else
//! to go has gone there within tens of seconds; others wait for nothing; an end ends; and when the disk is back, everything
//! that was acknowledged is there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::Service;
use telemetry::probe;

use super::{Plan, settle, wait_for_conservation};
use crate::faulty_disk::{DiskControl, DiskState};
use crate::program::PROGRAM_VARIABLE;
use crate::{Lab, Ledger, Wire, faulty_transport, program, test_message};

/// Two servers of one site, the first with two databases.
const ORGANIZATION: &str = "
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}
  - {name: BERLIN2, fqdn: berlin2.contoso.example, site: Berlin, transport: QUICK}
databases: [{name: DB1, server: BERLIN1}, {name: DB2, server: BERLIN1}, {name: DB3, server: BERLIN2}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1, BERLIN2], port: 2500}]
recipients:
  - {name: anna, primaryAddress: anna@contoso.example, database: DB1, password: demo-anna}
  - {name: ben, primaryAddress: ben@contoso.example, database: DB2, password: demo-ben}
  - {name: carla, primaryAddress: carla@contoso.example, database: DB3, password: demo-carla}
internet:
  domains: [{name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}]
  hosts: [{name: mx.fabrikam.example}]
lab: {smtpPort: 2500}
";
/// Those who have begun with a server that hangs are elsewhere by then; a debug build on a busy machine takes its time.
const TENS_OF_SECONDS: Duration = Duration::from_secs(75);
/// Those who come when it is known, and those who have nothing to do with it.
const PROMPT: Duration = Duration::from_secs(30);
/// An end with a disk that hangs: what is under way and the queue are each given twenty seconds.
const END: Duration = Duration::from_secs(75);
/// Messages for each thing that is tried.
const MESSAGES: usize = 10;
/// A database hangs for longer than anybody waits for its disk.
const HANG: Duration = Duration::from_secs(50);

pub(super) async fn run(plan: &Plan) {
    for _ in 0..plan.hangs {
        // Each in a lab of its own; both are little else than the services' patience.
        tokio::join!(queue_hangs(), database_hangs());
    }
}

struct Sender<'a> {
    ledger: Arc<Ledger>,
    lab: &'a Lab,
}

impl Sender<'_> {
    /// Hands a message in at a front end. How long that took.
    async fn visit(&self, server: &str, to: &str) -> Duration {
        let message = test_message("visitor@tailspin.example", to);
        let begun = Instant::now();
        let wire = Wire::smtp(self.lab, server, std::net::Ipv4Addr::LOCALHOST);
        while let Err(answer) = wire.hand_in(&message).await {
            assert!(begun.elapsed() < TENS_OF_SECONDS, "{server} does not take mail for {to}: {answer}");
        }
        self.ledger.acknowledge(&message);
        begun.elapsed()
    }
}

async fn queue_hangs() {
    let mut lab = Lab::start_with(ORGANIZATION, |options| {
        options.environment.insert(PROGRAM_VARIABLE.into(), program().into());
        options.program = faulty_transport();
    })
    .await;
    let ledger = Arc::new(Ledger::new());
    let disk = DiskControl::beside(&lab.server("BERLIN1").settings_path());
    disk.set(1, DiskState::Hanging);
    let sender = Sender { ledger: Arc::clone(&ledger), lab: &lab };
    let servers = ["BERLIN1", "BERLIN2"];
    let all = (0..MESSAGES * 2).map(|number| sender.visit(servers[number % 2], "carla@contoso.example"));
    let slowest = futures::future::join_all(all).await.into_iter().max().unwrap();
    assert!(slowest < TENS_OF_SECONDS, "{slowest:?}");
    let address = lab.server("BERLIN1").services[&Service::Transport].metrics;
    testkit::until("BERLIN1 says that its disk does not answer", async || {
        let answer = probe::ask(address, "/ready").await.ok()?;
        (!answer.is_good() && answer.body.contains("has not answered")).then_some(())
    })
    .await;
    let mut known = Duration::ZERO;
    for number in 0..MESSAGES {
        known = known.max(sender.visit(servers[number % 2], "carla@contoso.example").await);
    }
    assert!(known < PROMPT, "{known:?} with a server that is known to hang");
    println!("   a queue hung: {slowest:?} at most for those who began with it, {known:?} for those who came later");
    drop(sender);
    let begun = Instant::now();
    lab.stop("BERLIN1", Service::Transport).await;
    assert!(begun.elapsed() < END, "{:?}", begun.elapsed());
    println!("   its service ended after {:?}", begun.elapsed());
    disk.set(2, DiskState::Fine);
    lab.start_again("BERLIN1", Service::Transport).await;
    let inbox = lab.inbox("BERLIN2", "DB3", "carla");
    settle("a queue that hung", &ledger.wait_for_everything(&lab, vec![inbox]).await);
    for server in servers {
        wait_for_conservation(&lab, server).await;
    }
    lab.finish().await;
}

/// A file system of its own for a database, that can be made to hang.
struct Volume(PathBuf);

impl Volume {
    /// Mounts one in `folder`. Only root can, where there are loop devices.
    fn mount(image: &Path, folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
        let (image, folder_name) = (image.to_str().unwrap(), folder.to_str().unwrap());
        let made = ran("mkfs.ext4", &["-q", image]) && ran("mount", &["-o", "loop", image, folder_name]);
        made.then(|| Self(folder.to_owned()))
    }

    /// Lets every write wait from now on.
    fn freeze(&self) {
        assert!(ran("fsfreeze", &["--freeze", self.0.to_str().unwrap()]));
    }

    fn thaw(&self) -> bool {
        ran("fsfreeze", &["--unfreeze", self.0.to_str().unwrap()])
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Whoever waits for it could not even be killed.
        self.thaw();
        ran("umount", &["--lazy", self.0.to_str().unwrap()]);
    }
}

fn ran(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

async fn database_hangs() {
    let image = tempfile::NamedTempFile::new().unwrap();
    let mut volume = None;
    // Before anybody looks into its folder.
    let lab = Lab::start_with(ORGANIZATION, |options| {
        volume = Volume::mount(image.path(), &options.directory.join("servers/BERLIN1/state/mailboxes/DB1"));
    })
    .await;
    let Some(volume) = volume else {
        println!("   a database that hangs: left out, which needs root and a loop device");
        return lab.finish().await;
    };
    let ledger = Arc::new(Ledger::new());
    let sender = Sender { ledger: Arc::clone(&ledger), lab: &lab };
    let inboxes = || vec![lab.inbox("BERLIN1", "DB1", "anna"), lab.inbox("BERLIN1", "DB2", "ben")];
    let mut ben = lab.inbox("BERLIN1", "DB2", "ben");
    // Both databases are open, and have their folders.
    for to in ["anna@contoso.example", "ben@contoso.example"] {
        sender.visit("BERLIN1", to).await;
    }
    ledger.wait_for_everything(&lab, inboxes()).await;
    let outboxes = inboxes();
    let writes = |which: usize, from: &str| {
        let message = test_message(from, "sales@fabrikam.example");
        outboxes[which].send(&message.unique.to_string(), &message.content());
        ledger.acknowledge(&message);
        message.message_id()
    };
    // More than are submitted at once, all of which cannot be moved away afterwards.
    let before: Vec<String> = (0..MESSAGES * 3).map(|_| writes(0, "anna@contoso.example")).collect();
    volume.freeze();
    for _ in 0..MESSAGES * 3 {
        sender.visit("BERLIN1", "anna@contoso.example").await;
    }
    let mut longest = Duration::ZERO;
    for _ in 0..MESSAGES {
        let begun = Instant::now();
        let to_ben = test_message("visitor@tailspin.example", "ben@contoso.example");
        assert!(Wire::connector(&lab, "BERLIN1").send(&to_ben).await, "Transport takes everything");
        ledger.acknowledge(&to_ben);
        let of_ben = writes(1, "ben@contoso.example");
        let arrive = async {
            ben.wait_for(&to_ben.message_id()).await;
            lab.wait_for_delivery(&of_ben).await;
        };
        assert!(tokio::time::timeout(PROMPT, arrive).await.is_ok(), "ben waits for the disk of anna");
        longest = longest.max(begun.elapsed());
        testkit::hold(HANG.div_f64(MESSAGES as f64)).await;
    }
    println!(
        "   a database hung, with {} messages in its outboxes: another waited for {longest:?} at most",
        before.len()
    );
    assert!(volume.thaw());
    settle("a database that hung", &ledger.wait_for_everything(&lab, inboxes()).await);
    wait_for_conservation(&lab, "BERLIN1").await;
    // Nobody could remove the lab's folder while it is mounted there.
    drop(volume);
    lab.finish().await;
}
