//! A server that leaves the organization: not before somebody says that its mail may stay behind, and then it sends what it holds
//! and takes nothing more.

use lab::internet::Behavior;
use net::Service;

use crate::support::{Lab, Wire, organization_text, run_postroad, test_message};

const LAB: &str = "
transportConfig: {privateTargetRanges: [127.0.0.0/8]}
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}
  - {name: BERLIN2, fqdn: berlin2.contoso.example, site: Berlin, transport: QUICK}
databases: [{name: DB1, server: BERLIN1}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1, BERLIN2], port: 2500}]
recipients: [{name: anna, primaryAddress: anna@contoso.example, database: DB1}]
internet:
  domains: [{name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}]
  hosts: [{name: mx.fabrikam.example}]
lab: {smtpPort: 2500}
";
const HOST: &str = "mx.fabrikam.example";

async fn apply(lab: &Lab, text: &str, more: &[&str]) -> (bool, String) {
    let file = lab.folder().join("change.yaml");
    std::fs::write(&file, organization_text(text)).unwrap();
    let arguments = ["apply", file.to_str().unwrap(), "--yes", "--lab", lab.folder().to_str().unwrap()];
    let ended = run_postroad(&[&arguments, more].concat()).await;
    (ended.status.success(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
}

/// What `postroad health transport` says on a server.
async fn health(lab: &Lab, server: &str) -> String {
    let settings = lab.server(server).settings_path();
    let ended = run_postroad(&["health", "transport", "--settings", settings.to_str().unwrap()]).await;
    String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_leaves_sends_what_it_holds_and_takes_no_more() {
    let mut lab = Lab::start(LAB).await;
    let alone = LAB.replace("  - {name: BERLIN2, fqdn: berlin2.contoso.example, site: Berlin, transport: QUICK}\n", "");
    let alone = alone.replace("[BERLIN1, BERLIN2]", "[BERLIN1]");
    lab.set_behavior(HOST, Behavior { dead: true, ..Behavior::default() }).await;
    let wire = Wire::connector(&lab, "BERLIN2");
    let waiting: Vec<_> = (0..3).map(|_| test_message("anna@contoso.example", "sales@fabrikam.example")).collect();
    for message in &waiting {
        assert!(wire.send(message).await);
    }
    lab.wait_for_queue("BERLIN2", "DnsConnectorDelivery", 3).await;

    let (done, said) = apply(&lab, &alone, &[]).await;
    assert!(!done && said.contains("BERLIN2 holds 3 messages") && said.contains("--force"), "{said}");
    assert!(wire.send(&test_message("anna@contoso.example", "anna@contoso.example")).await, "nothing was changed");
    let (done, said) = apply(&lab, &alone, &["--force"]).await;
    assert!(done, "{said}");

    testkit::until("health says what is left", async || health(&lab, "BERLIN2").await.contains("3 wait").then_some(()))
        .await;
    assert!(!wire.send(&test_message("anna@contoso.example", "anna@contoso.example")).await, "it takes no more");
    // It goes on with that over a restart: it knows the configuration that had it.
    lab.kill("BERLIN2", Service::Transport).await;
    lab.spawn_all(&[("BERLIN2", Service::Transport)]);
    testkit::until("it is back, with what it holds", async || {
        health(&lab, "BERLIN2").await.contains("3 wait").then_some(())
    })
    .await;
    lab.set_behavior(HOST, Behavior::default()).await;
    for message in &waiting {
        lab.wait_for_delivery(&message.message_id()).await;
    }
    testkit::until("nothing is left", async || health(&lab, "BERLIN2").await.contains("nothing is left").then_some(()))
        .await;
    // The others never noticed.
    let after = test_message("anna@contoso.example", "sales@fabrikam.example");
    assert!(Wire::connector(&lab, "BERLIN1").send(&after).await);
    lab.wait_for_delivery(&after.message_id()).await;
    lab.finish().await;
}
