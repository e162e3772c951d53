//! A change of the configuration, made as administrators make it: with `postroad apply`.

use crate::support::{Lab, ONE_SERVER, Wire, organization_text, run_postroad, test_message};

/// The way out, which is missing at first.
const CONNECTOR: &str =
    "sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1], port: 2500}]";

/// Applies an organization file; what the command said, and whether it did it.
async fn apply(lab: &Lab, text: &str) -> (bool, String) {
    let file = lab.folder().join("change.yaml");
    std::fs::write(&file, organization_text(text)).unwrap();
    let arguments = ["apply", file.to_str().unwrap(), "--yes", "--lab", lab.folder().to_str().unwrap()];
    let ended = run_postroad(&arguments).await;
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8(said).unwrap())
}

/// What `postroad servers` says: one object for each service.
async fn servers(lab: &Lab) -> Vec<serde_json::Value> {
    let ended = run_postroad(&["servers", "--json", "--lab", lab.folder().to_str().unwrap()]).await;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let lines = String::from_utf8(ended.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until all four services have applied what the directory holds; its revision.
async fn wait_until_applied(lab: &Lab) -> u64 {
    testkit::until("every service works by the newest configuration", async || {
        let services = servers(lab).await;
        let current = services.len() == 4 && services.iter().all(|service| service["current"] == true);
        current.then(|| services[0]["directoryRevision"].as_u64().unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_reaches_every_service_and_frees_what_waited_for_it() {
    let without = ONE_SERVER.replace(CONNECTOR, "");
    assert_ne!(without, ONE_SERVER);
    let lab = Lab::start(&without).await;
    let before = wait_until_applied(&lab).await;
    let transport = Wire::connector(&lab, "BERLIN1");
    let parked = test_message("anna@contoso.example", "sales@fabrikam.example");
    assert!(transport.send(&parked).await);
    lab.wait_for_queue("BERLIN1", "Unreachable", 1).await;

    // Invalid: the whole change is refused, and everybody goes on as before.
    let invalid = ONE_SERVER.replace("sourceTransportServers: [BERLIN1]", "sourceTransportServers: [BERLIN9]");
    let (done, said) = apply(&lab, &invalid).await;
    assert!(!done && said.contains("BERLIN9"), "{said}");
    assert_eq!(wait_until_applied(&lab).await, before);

    // What the change would do to the mail that waits is told before it is made.
    let wanted = lab.folder().join("wanted.yaml");
    std::fs::write(&wanted, organization_text(ONE_SERVER)).unwrap();
    let question = ["explain", "--queued", "--diff", wanted.to_str().unwrap(), "--lab", lab.folder().to_str().unwrap()];
    let told = run_postroad(&question).await;
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(said.contains("sales@fabrikam.example gets a way") && told.status.code() == Some(1), "{said}{told:?}");

    let (done, said) = apply(&lab, ONE_SERVER).await;
    assert!(done && said.contains("Internet"), "{said}");
    assert!(wait_until_applied(&lab).await > before);
    lab.wait_for_delivery(&parked.message_id()).await;

    // Once more, the same: nothing to do, and no new revision.
    let after = wait_until_applied(&lab).await;
    let (done, said) = apply(&lab, ONE_SERVER).await;
    assert!(done, "{said}");
    assert_eq!(wait_until_applied(&lab).await, after);

    // What mail meets now at connectors that are not for SMTP, Transport says itself (EN-61, EN-64).
    let gateways = "deliveryAgentConnectors: [{name: Text, addressSpaces: ['MOBILE:*'], deliveryProtocol: MOBILE, \
                    sourceTransportServers: [BERLIN1]}]\nforeignConnectors: [{name: Fax, addressSpaces: ['FAX:*'], \
                    sourceTransportServers: [BERLIN1]}]\n";
    let (done, said) = apply(&lab, &ONE_SERVER.replace(CONNECTOR, &format!("{CONNECTOR}\n{gateways}"))).await;
    assert!(done, "{said}");
    wait_until_applied(&lab).await;
    let lab_folder = lab.folder().to_str().unwrap();
    let told = run_postroad(&["explain", "MOBILE:+4930", "FAX:1", "--json", "--lab", lab_folder]).await;
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let gateway = |at: usize| (lines[at]["gateways"][0]["ready"].clone(), lines[at]["gateways"][0]["why"].to_string());
    let (mobile, fax) = (gateway(0), gateway(1));
    assert!(mobile.0 == false && mobile.1.contains("no delivery agent for protocol MOBILE is at BERLIN1"), "{said}");
    assert!(fax.0 == false && fax.1.contains("the settings of this server name no folder"), "{said}");
    lab.finish().await;
}
