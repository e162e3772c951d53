//! A database moves to another server with its mail, while mail comes and whoever takes part is killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use net::Service;

use crate::support::{Lab, Ledger, Wire, organization_text, run_postroad, test_message};

const LAB: &str = "
transportConfig: {privateTargetRanges: [127.0.0.0/8]}
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}
  - {name: BERLIN2, fqdn: berlin2.contoso.example, site: Berlin, transport: QUICK}
databases: [{name: DB1, server: BERLIN1}, {name: DB2, server: BERLIN2}]
recipients:
  - {name: anna, primaryAddress: anna@contoso.example, database: DB1}
  - {name: ben, primaryAddress: ben@contoso.example, database: DB1}
  - {name: olga, primaryAddress: olga@contoso.example, database: DB2}
internet: {}
lab: {smtpPort: 2500}
";
/// Messages that anna has kept: enough for a copy to take a while.
const KEPT: usize = 600;
/// Messages that wait in her outbox.
const WAITING: usize = 20;
/// Between two messages that come from outside: some arrive in every step of a move, and passes come to an end.
const PACE: Duration = Duration::from_millis(20);
const MAILBOXES: [&str; 2] = ["anna", "ben"];

fn mailboxes(lab: &Lab, server: &str) -> PathBuf {
    lab.server(server).folder.join("state/mailboxes")
}

/// Mail of former years, in a folder that she made herself, some of it with flags.
fn keep(lab: &Lab) {
    let folder = mailboxes(lab, "BERLIN1").join("DB1/anna/Maildir/.Kept");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    for number in 0..KEPT {
        let name = format!("cur/1600000000.{number}.old:2,S");
        std::fs::write(folder.join(name), format!("Subject: {number}\n\n{}\n", "x".repeat(number % 4096))).unwrap();
    }
}

fn move_command(lab: &Lab) -> Child {
    let mut command = Command::new(integration::program());
    command.args(["database", "move", "DB1", "--to", "BERLIN2", "--lab"]).arg(lab.folder());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

async fn move_database(lab: &Lab, arguments: &[&str]) -> (bool, String) {
    let folder = lab.folder().to_str().unwrap();
    let ended = run_postroad(&[&["database", "move", "DB1", "--lab", folder], arguments].concat()).await;
    (ended.status.success(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

/// Waits until so many files of the copy are there; it is not whole yet, which the test needs to be true.
async fn copied(lab: &Lab, files: usize) {
    let arriving = mailboxes(lab, "BERLIN2").join(".arriving/DB1");
    testkit::until(&format!("{files} files have come"), async || (files_below(&arriving) >= files).then_some(())).await;
}

/// Sends to both mailboxes all the time, until told to stop.
fn send_all_the_time(lab: &Lab, ledger: &Arc<Ledger>, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<()> {
    let (wire, ledger, stop) = (Wire::connector(lab, "BERLIN2"), Arc::clone(ledger), Arc::clone(stop));
    tokio::spawn(async move {
        let (mut turns, mut pace) = (MAILBOXES.into_iter().cycle(), tokio::time::interval(PACE));
        while !stop.load(Ordering::SeqCst) {
            pace.tick().await;
            let to = format!("{}@contoso.example", turns.next().unwrap());
            let message = test_message("visitor@tailspin.example", &to);
            if wire.send(&message).await {
                ledger.acknowledge(&message);
            }
        }
    })
}

/// Kills the command and both services at different points of the copy; each time the same command goes on.
async fn kill_everybody_once(lab: &mut Lab) {
    let (old, new) = (("BERLIN1", Service::MailboxDelivery), ("BERLIN2", Service::MailboxDelivery));
    let mut command = move_command(lab);
    copied(lab, 60).await;
    command.kill().unwrap();
    command.wait().unwrap();
    for (files, (server, service)) in [(150, new), (300, old)] {
        let mut command = move_command(lab);
        copied(lab, files).await;
        lab.kill(server, service).await;
        let status = tokio::task::spawn_blocking(move || command.wait().unwrap()).await.unwrap();
        assert!(!status.success(), "it ended although {server} was killed in the middle of it");
        assert!(!mailboxes(lab, "BERLIN2").join("DB1").exists(), "nothing takes its place before it is whole");
        lab.start_again(server, service).await;
    }
    // Nobody knows when: between the hold and the last change of the configuration, or after that.
    let mark = mailboxes(lab, "BERLIN1").join("DB1/.move");
    let mut command = move_command(lab);
    testkit::until("it is held", async || {
        std::fs::read_to_string(&mark).is_ok_and(|text| text.contains("held")).then_some(())
    })
    .await;
    command.kill().unwrap();
    command.wait().unwrap();
    for (server, service) in [old, new, ("BERLIN1", Service::MailboxSubmission)] {
        lab.kill(server, service).await;
        lab.start_again(server, service).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_with_its_mail_while_mail_comes_and_everybody_is_killed() {
    let mut lab = Lab::start(LAB).await;
    let (ledger, stop) = (Arc::new(Ledger::new()), Arc::new(AtomicBool::new(false)));
    let first = test_message("visitor@tailspin.example", "anna@contoso.example");
    assert!(Wire::connector(&lab, "BERLIN2").send(&first).await);
    lab.inbox("BERLIN1", "DB1", "anna").wait_for(&first.message_id()).await;
    keep(&lab);
    let sending = send_all_the_time(&lab, &ledger, &stop);
    ledger.wait_for_count(20).await;

    kill_everybody_once(&mut lab).await;
    let (done, said) = move_database(&lab, &["--to", "BERLIN2"]).await;
    assert!(done && said.contains("DB1 is on BERLIN2"), "{said}");
    let so_far = ledger.count();
    ledger.wait_for_count(so_far + 20).await;
    stop.store(true, Ordering::SeqCst);
    sending.await.unwrap();

    let inboxes = MAILBOXES.map(|name| lab.inbox("BERLIN2", "DB1", name));
    let balance = ledger.wait_for_everything(&lab, inboxes.into()).await;
    assert_eq!((balance.missing, balance.duplicates), (Vec::new(), 0), "of {}", balance.acknowledged);
    let kept = mailboxes(&lab, "BERLIN2").join("DB1/anna/Maildir/.Kept/cur");
    assert_eq!(std::fs::read_dir(kept).unwrap().count(), KEPT);
    // The old copy is whole and aside, and nothing was written where it was.
    testkit::until("the old copy is put aside", async || {
        let parts = std::fs::read_dir(mailboxes(&lab, "BERLIN1").join("DB1")).unwrap();
        let mut names = parts.map(|part| part.unwrap().file_name().into_string().unwrap());
        names.all(|name| name.starts_with('.')).then_some(())
    })
    .await;
    let aside = std::fs::read_dir(mailboxes(&lab, "BERLIN1").join(".moved")).unwrap().next().unwrap().unwrap();
    assert_eq!(std::fs::read_dir(aside.path().join("anna/Maildir/.Kept/cur")).unwrap().count(), KEPT);

    let (done, said) = move_database(&lab, &["--to", "BERLIN2"]).await;
    assert!(done && said.contains("DB1 is on BERLIN2"), "once more, nothing to do: {said}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_an_outbox_is_sent_once_and_a_move_that_is_cancelled_changes_nothing() {
    let mut lab = Lab::start(LAB).await;
    let anna = lab.inbox("BERLIN1", "DB1", "anna");
    // Without the other side it stays where it is.
    lab.kill("BERLIN2", Service::MailboxDelivery).await;
    let (done, said) = move_database(&lab, &["--to", "BERLIN2"]).await;
    assert!(!done && said.contains("run this again"), "{said}");
    let (done, said) = move_database(&lab, &["--cancel"]).await;
    assert!(done && said.contains("stays on BERLIN1"), "{said}");
    lab.start_again("BERLIN2", Service::MailboxDelivery).await;
    for (wrong, expected) in [("BERLIN9", "no server BERLIN9"), ("BERLIN1", "DB1 is on BERLIN1")] {
        let (_, said) = move_database(&lab, &["--to", wrong]).await;
        assert!(said.contains(expected), "{said}");
    }

    // What was submitted and not put into Sent before the process died is submitted under the same id by the other server.
    let ledger = Ledger::new();
    let messages: Vec<_> = (0..WAITING).map(|_| test_message("anna@contoso.example", "olga@contoso.example")).collect();
    for message in &messages {
        anna.send(&message.unique.to_string(), &message.content());
        ledger.acknowledge(message);
    }
    let sent = mailboxes(&lab, "BERLIN1").join("DB1/anna/Maildir/.Sent/cur");
    testkit::until("one was sent", async || std::fs::read_dir(&sent).ok()?.next().map(drop)).await;
    lab.kill("BERLIN1", Service::MailboxSubmission).await;
    let (done, said) = move_database(&lab, &["--to", "BERLIN2"]).await;
    assert!(done, "{said}");
    let balance = ledger.wait_for_everything(&lab, vec![lab.inbox("BERLIN2", "DB2", "olga")]).await;
    let outbox = mailboxes(&lab, "BERLIN2").join("DB1/anna/Maildir/.Outbox");
    testkit::until("the outbox is empty", async || {
        let waiting = files_below(&outbox.join("new")) + files_below(&outbox.join("cur"));
        (waiting == 0).then_some(())
    })
    .await;
    assert_eq!((balance.missing, balance.duplicates), (Vec::new(), 0));

    // The file of before would take the database back without its mail.
    let file = lab.folder().join("before.yaml");
    std::fs::write(&file, organization_text(LAB)).unwrap();
    let arguments = ["apply", file.to_str().unwrap(), "--yes", "--lab", lab.folder().to_str().unwrap()];
    let refused = run_postroad(&arguments).await;
    let said = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
    assert!(!refused.status.success() && said.contains("2 mailboxes") && said.contains("database move"), "{said}");
    lab.start_again("BERLIN1", Service::MailboxSubmission).await;
    lab.finish().await;
}
