//! A directory that goes, comes back, comes back older than it was, and holds an object that is none: mail flows by what was
//! known last, and nobody applies anything older or invalid (peers E2 35).

use std::path::Path;
use std::process::Command;

use net::Service;
use telemetry::catalogue;

use super::{Plan, SERVERS, TWO_SERVERS, inboxes, settle};
use crate::program::run as run_program;
use crate::{Lab, Ledger, Wire, organization_text, run_postroad, test_message};

/// Those that show the revision they work by.
const SERVICES: [Service; 2] = [Service::FrontendTransport, Service::Transport];

/// Mail in and out through both servers.
async fn send_some(lab: &Lab, what: &str) {
    let ledger = Ledger::new();
    for server in SERVERS {
        let visitor = Wire::smtp(lab, server, std::net::Ipv4Addr::LOCALHOST);
        let service = Wire::connector(lab, server);
        for (wire, from, to) in [
            (&visitor, "visitor@tailspin.example", "anna@contoso.example"),
            (&visitor, "visitor@tailspin.example", "ben@contoso.example"),
            (&service, "anna@contoso.example", "sales@fabrikam.example"),
            (&service, "ben@contoso.example", "clerk@bank.example"),
        ] {
            let message = test_message(from, to);
            assert!(wire.send(&message).await, "{what}: {server} does not take mail for {to}");
            ledger.acknowledge(&message);
        }
    }
    let balance = ledger.wait_for_everything(lab, inboxes(lab)).await;
    settle(what, &balance);
}

/// The revision that each service works by.
async fn applied(lab: &Lab) -> Vec<u64> {
    let mut revisions = Vec::new();
    for server in SERVERS {
        for service in SERVICES {
            revisions.push(lab.counts(server, service).await.unwrap().sum(&catalogue::REVISION));
        }
    }
    revisions
}

/// Applies an organization with a Send connector more.
async fn apply(lab: &Lab, name: &str) {
    let further = format!(
        "sendConnectors:\n  - {{name: {name}, addressSpaces: [{name}.example], sourceTransportServers: [BERLIN1], \
         port: 2500}}"
    );
    let file = lab.folder().join("change.yaml");
    std::fs::write(&file, organization_text(TWO_SERVERS).replace("sendConnectors:", &further)).unwrap();
    let folder = lab.folder().to_str().unwrap();
    let ended = run_postroad(&["apply", file.to_str().unwrap(), "--yes", "--lab", folder]).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// Waits until everybody works by a later configuration than `before`. The earliest that somebody works by.
async fn everybody_beyond(lab: &Lab, before: u64) -> u64 {
    testkit::until(&format!("everybody works by a configuration after {before}"), async || {
        let earliest = applied(lab).await.into_iter().min().unwrap();
        (earliest > before).then_some(earliest)
    })
    .await
}

/// Runs Debian's etcdctl.
async fn etcdctl(lab: &Lab, arguments: &[&str]) {
    let status = lab.world.etcd_endpoint().unwrap();
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", &status]).args(arguments);
    let ended = run_program(command).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

async fn run_in(lab: &mut Lab) {
    let (data, older) = (lab.folder().join("etcd"), lab.folder().join("etcd-older"));
    send_some(lab, "all is well").await;

    lab.world.kill_etcd().await.unwrap();
    copy(&data, &older);
    send_some(lab, "the directory is away").await;
    lab.world.start_etcd().await.unwrap();
    let before = applied(lab).await.into_iter().max().unwrap();
    apply(lab, "newer").await;
    let newer = everybody_beyond(lab, before).await;
    send_some(lab, "the directory is back").await;

    // Written past the rules, by somebody with a key-value client.
    let marker = "/postroad/contoso.example/v1/config/current";
    etcdctl(lab, &["put", marker, "{no object}"]).await;
    for server in SERVERS {
        let log = lab.server(server).log_path(Service::Transport);
        let reported = async || std::fs::read_to_string(&log).unwrap().contains("invalid").then_some(());
        testkit::until(&format!("{server} reports the object that is none"), reported).await;
    }
    send_some(lab, "the directory holds an object that is none").await;
    apply(lab, "repaired").await;
    let newest = everybody_beyond(lab, newer).await;

    lab.world.kill_etcd().await.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&older, &data);
    lab.world.start_etcd().await.unwrap();
    for server in SERVERS {
        lab.kill(server, Service::Transport).await;
        lab.start_again(server, Service::Transport).await;
    }
    send_some(lab, "the directory is older than it was").await;
    let known = applied(lab).await;
    assert!(known.iter().all(|revision| *revision >= newest), "{known:?}, not older than {newest}");
    // Each change counts the directory's revision up, until it is beyond what was known.
    for number in 0.. {
        apply(lab, &format!("again{number}")).await;
        if directory_revision(lab).await > newest {
            break;
        }
    }
    everybody_beyond(lab, newest).await;
    send_some(lab, "it has caught up").await;
}

/// The revision of the configuration in the directory.
async fn directory_revision(lab: &Lab) -> u64 {
    let ended = run_postroad(&["servers", "--json", "--lab", lab.folder().to_str().unwrap()]).await;
    let first = String::from_utf8(ended.stdout).unwrap();
    let first: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    first["directoryRevision"].as_u64().unwrap()
}

pub(super) async fn run(_plan: &Plan) {
    let mut lab = Lab::start_with(TWO_SERVERS, |options| options.etcd = true).await;
    run_in(&mut lab).await;
    lab.finish().await;
}
