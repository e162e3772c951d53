//! Six sites with thirty servers, each site one process, as `postroad generate --lab` describes a lab of many servers: mail arrives at the
//! other end, a cut link holds it up, spans and status say who it was, and what stands still is not heard of in the directory.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use envelope::{Address, ReversePath, Timestamp};
use futures::StreamExt;
use integration::Counts;
use lab::{Submission, TestMessage};
use net::Service;
use telemetry::catalogue;

use crate::support::{Lab, run};

const SITES: usize = 6;
const SERVERS: usize = 30;
const SERVICES: usize = 4;

fn postroad(arguments: &[&str]) -> Command {
    let mut command = Command::new(integration::program());
    command.args(arguments);
    command
}

fn said(output: &Output) -> String {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A mailbox of the organization on a server other than those of the first site: server, database, name.
fn far(text: &str, site: &str) -> (String, String, String) {
    let line = text.lines().find(|line| line.contains(", server: ") && line.contains(site)).unwrap();
    let field = |line: &str, key: &str| {
        let (_, rest) = line.split_once(key).unwrap();
        rest.split([',', '}']).next().unwrap().trim().to_owned()
    };
    let (database, server) = (field(line, "name: "), field(line, "server: "));
    let mailbox =
        text.lines().find(|line| line.contains("name: user") && line.contains(&format!("database: {database}}}")));
    (server, database, field(mailbox.unwrap(), "name: "))
}

async fn send(lab: &Lab, to: &str) -> String {
    let recipients = vec![Address::parse(&format!("{to}@corp.example")).unwrap()];
    let message = TestMessage::new("far", ReversePath::Null, recipients.clone(), Timestamp::from_millis(0));
    let entrance = lab.server("S000-MBX1").smtp().unwrap();
    let submission = Submission::new(entrance, ReversePath::Null, recipients, message.content());
    lab::client::submit(&submission).await.unwrap();
    message.message_id()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_of_many_servers_runs_with_a_process_for_each_site() {
    let sizes = ["generate", "--sites", "6", "--servers", "30", "--connectors", "40", "--recipients", "900", "--lab"];
    let text = said(&run(postroad(&sizes)).await).replace("transport: *laptop", "transport: QUICK");
    let (before, after) = text.split_once("&laptop ").expect("the first server has thresholds");
    let text = format!("{before}QUICK{}", after.split_once("}}}").expect("which end").1);
    let lab = Lab::start(&text).await;
    let status = lab.world.status();
    let services = status.servers.iter().flat_map(|server| &server.processes);
    let pids: BTreeSet<u32> = services.clone().map(|process| process.pid).collect();
    assert_eq!((status.servers.len(), services.count(), pids.len()), (SERVERS, SERVERS * SERVICES, SITES));

    let (server, database, mailbox) = far(&text, "S005-");
    let first = send(&lab, &mailbox).await;
    lab.inbox(&server, &database, &mailbox).wait_for(&first).await;
    let delivered = lab.wait_for_spans(&first, "deliver", 1).await;
    assert_eq!((delivered[0].server.as_str(), delivered[0].service.as_str()), (&*server, "postroad-mailbox-delivery"));

    // Of two servers in one process each knows its own peers.
    lab.world.cut("S000", "S005").await.unwrap();
    let second = send(&lab, &mailbox).await;
    testkit::until("mail that waits for a link that is cut", async || waits(&lab).await.then_some(())).await;
    lab.world.heal("S000", "S005").await.unwrap();
    lab.inbox(&server, &database, &mailbox).wait_for(&second).await;
    told_in_few_lines(lab.folder()).await;
    stands_still(&lab).await;
    lab.finish().await;
}

/// Whether mail for another site waits on a server of the first: its front end chooses which.
async fn waits(lab: &Lab) -> bool {
    for number in 1..=SERVERS / SITES {
        let counts = lab.counts(&format!("S000-MBX{number}"), Service::Transport).await;
        let length = |counts: Counts| counts.labelled(&catalogue::QUEUE_LENGTH, &["SmtpRelayToMailboxDeliveryGroup"]);
        if counts.and_then(length).is_some_and(|length| length > 0) {
            return true;
        }
    }
    false
}

/// A line for each site, and no server by its name while all are well.
async fn told_in_few_lines(folder: &Path) {
    let folder = folder.to_str().unwrap();
    let short = said(&run(postroad(&["lab", "status", "--lab", folder])).await);
    let all = said(&run(postroad(&["lab", "status", "--all", "--lab", folder])).await);
    assert!(short.contains("30 servers in 6 sites, 120 of 120 services ready"), "{short}");
    assert!(short.lines().count() < 20 && !short.contains("S003-MBX2"), "{short}");
    assert!(all.matches("S003-MBX2").count() > SERVICES, "{all}");
}

/// Every service is announced, and stays so.
async fn stands_still(lab: &Lab) {
    let embedded = directory::EmbeddedSettings::new(lab.folder().join("directory.db"));
    let directory = directory::open_embedded(&embedded, "corp.example").unwrap();
    let mut there = directory.watch_presences();
    let presences = there.next().await.unwrap();
    assert_eq!(presences.len(), SERVERS * SERVICES);
    let again = tokio::time::timeout(directory::LEASE_TTL_DEFAULT, there.next()).await;
    assert!(again.is_err(), "somebody came or went");
}
