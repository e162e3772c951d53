//! A directory that goes, comes back, comes back older than it was, and holds an object that is none: mail flows by what was
//! known last, and nobody applies anything older or invalid (peers E2 35).

use std::path::Path;
use std::process::Command;

use net::Service;
use telemetry::catalogue;

use super::{Plan, SERVERS, TWO_SERVERS, apply, inboxes, settle, try_to_apply};
use crate::program::run as run_program;
use crate::{Lab, Ledger, Wire, run_postroad, test_message};

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

/// An organization with a Send connector more.
fn with_connector(name: &str) -> String {
    let further = format!(
        "sendConnectors:\n  - {{name: {name}, addressSpaces: [{name}.example], sourceTransportServers: [BERLIN1], \
         port: 2500}}"
    );
    TWO_SERVERS.replace("sendConnectors:", &further)
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
    apply(lab, &with_connector("newer")).await;
    let newer = everybody_beyond(lab, before).await;
    send_some(lab, "the directory is back").await;

    // Written past the rules, by somebody with a key-value client.
    let marker = "/postroad/contoso.example/v1/config/current";
    etcdctl(lab, &["put", marker, "{no object}"]).await;
    for server in SERVERS {
        let log = lab.server(server).log_path(Service::Transport);
        let reported = async || std::fs::read_to_string(&log).unwrap().contains("is not applied").then_some(());
        testkit::until(&format!("{server} reports the object that is none"), reported).await;
    }
    send_some(lab, "the directory holds an object that is none").await;
    apply(lab, &with_connector("repaired")).await;
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
    // Nothing is changed before somebody says that what came back counts.
    testkit::until("services are seen to be ahead of the directory", async || {
        let ended = run_postroad(&["servers", "--lab", lab.folder().to_str().unwrap()]).await;
        String::from_utf8(ended.stdout).unwrap().contains("(ahead)").then_some(())
    })
    .await;
    let again = with_connector("again");
    let refused = try_to_apply(lab, &again, &[]).await;
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("apply --restored"), "{why}");
    let restored = try_to_apply(lab, &again, &["--restored"]).await;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    everybody_beyond(lab, newest).await;
    send_some(lab, "it counts again").await;
}

pub(super) async fn run(_plan: &Plan) {
    let mut lab = Lab::start_with(TWO_SERVERS, |options| options.etcd = true).await;
    run_in(&mut lab).await;
    lab.finish().await;
}
