//! `postroad probe` in front of real hosts: what works is told as such, each thing that does not is told at its step, and no
//! mail arrives anywhere.

use serde_json::Value;

use crate::support::{Lab, run_postroad};

const ORGANIZATION: &str = "
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}
sendConnectors:
  - {name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1], port: 2500}
  - name: Partner
    addressSpaces: [partner.example]
    sourceTransportServers: [BERLIN1]
    smartHosts: [relay.partner.example]
    smartHostAuthMechanism: BasicAuthRequireTLS
    authenticationCredential: {user: contoso, password: correct-horse}
    port: 2500
  - name: Wrong password
    addressSpaces: [partner.example]
    sourceTransportServers: [BERLIN1]
    smartHosts: [relay.partner.example]
    smartHostAuthMechanism: BasicAuthRequireTLS
    authenticationCredential: {user: contoso, password: battery-staple}
    port: 2500
  - name: Bank
    addressSpaces: ['*.bank.example']
    sourceTransportServers: [BERLIN1]
    frontendProxyEnabled: true
    requireTLS: true
    tlsAuthLevel: DomainValidation
    tlsDomain: mx.bank.example
    port: 2500
  - name: Insurance
    addressSpaces: [insurance.example]
    sourceTransportServers: [BERLIN1]
    frontendProxyEnabled: true
    requireTLS: true
    tlsAuthLevel: CertificateValidation
    port: 2500
internet:
  domains:
    - {name: fabrikam.example, mx: [{host: mx1.fabrikam.example, preference: 10}, {host: mx2.fabrikam.example, preference: 20}]}
    - {name: bank.example, mx: [{host: mx.bank.example}]}
    - {name: insurance.example, mx: [{host: mx.insurance.example}]}
  hosts:
    - {name: mx1.fabrikam.example, behavior: {dead: true}}
    - {name: mx2.fabrikam.example, behavior: {tls: none, faults: [{at: rcpt, reply: 550 5.1.1 Nobody, recipient: nobody@fabrikam.example}]}}
    - {name: relay.partner.example, behavior: {login: {user: contoso, password: correct-horse}}}
    - {name: mx.bank.example}
    - {name: mx.insurance.example, behavior: {tls: selfSigned}}
lab: {smtpPort: 2500}
";

/// Status, and step, state, text and advice of each finding.
async fn probe(lab: &Lab, arguments: &[&str]) -> (Option<i32>, Vec<[String; 4]>) {
    let settings = lab.server("BERLIN1").settings_path();
    let all = [&["probe"], arguments, &["--json", "--settings", settings.to_str().unwrap()]].concat();
    let ended = run_postroad(&all).await;
    let (out, err) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8_lossy(&ended.stderr).into_owned());
    assert!(ended.status.success() || !out.is_empty(), "{arguments:?}: {err}");
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = lines.map(|line| ["subject", "state", "text", "advice"].map(|name| text(&line, name))).collect();
    (ended.status.code(), told)
}

fn found<'a>(told: &'a [[String; 4]], step: &str, state: &str) -> &'a [String; 4] {
    let found = told.iter().find(|told| told[0] == step && told[1] == state);
    found.unwrap_or_else(|| panic!("no {step} that is {state}: {told:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_out_is_tried_step_by_step_and_nothing_is_sent() {
    let lab = Lab::start(ORGANIZATION).await;

    // By DNS: the first exchanger is dead, the second has no TLS; each is told.
    let (status, told) = probe(&lab, &["Internet", "--recipient", "sales@fabrikam.example"]).await;
    assert_eq!(status, Some(1));
    let dead = found(&told, "connect", "wrong");
    assert!(dead[2].contains("mx1.fabrikam.example") && dead[3].contains("port 2500"), "{dead:?}");
    assert!(found(&told, "connect", "good")[2].contains("mx2.fabrikam.example"));
    assert!(found(&told, "TLS", "warning")[3].contains("requireTLS"), "{told:#?}");
    found(&told, "RCPT", "good");
    let (_, told) = probe(&lab, &["internet", "--recipient", "nobody@fabrikam.example"]).await;
    assert!(found(&told, "RCPT", "wrong")[2].contains("550 5.1.1 Nobody"), "{told:#?}");
    let (_, told) = probe(&lab, &["Internet", "--recipient", "who@nowhere.example"]).await;
    assert!(found(&told, "resolve", "wrong")[2].contains("NonExistentDomain"), "{told:#?}");

    // A smart host that wants a password; its domain needs no recipient.
    let (status, told) = probe(&lab, &["Partner"]).await;
    assert_eq!(status, Some(0), "{told:#?}");
    for step in ["source server", "connect", "TLS", "log on", "MAIL", "RCPT"] {
        found(&told, step, "good");
    }
    let (status, told) = probe(&lab, &["Wrong password"]).await;
    assert_eq!(status, Some(1));
    assert!(found(&told, "log on", "wrong")[3].contains("authenticationCredential"), "{told:#?}");

    // Through the front end, as its mail goes.
    let (status, told) = probe(&lab, &["Bank"]).await;
    assert_eq!(status, Some(0), "{told:#?}");
    assert!(found(&told, "TLS", "good")[2].starts_with("TLSv1"), "{told:#?}");
    found(&told, "RCPT", "good");
    let (status, told) = probe(&lab, &["Insurance"]).await;
    assert_eq!(status, Some(1));
    assert!(found(&told, "TLS", "wrong")[3].contains("trusted-roots"), "{told:#?}");
    let (_, directly) = probe(&lab, &["Insurance", "--directly"]).await;
    assert_eq!(found(&told, "TLS", "wrong")[3], found(&directly, "TLS", "wrong")[3]);

    let mut deliveries = lab.world.deliveries();
    let delivered = deliveries.all().unwrap();
    assert!(delivered.is_empty(), "a probe sends nothing: {delivered:?}");
    let settings = lab.server("BERLIN1").settings_path();
    for (arguments, expected) in
        [(&["Nothing"][..], "it has Bank, Insurance"), (&["Internet"], "--recipient someone@fabrikam.example")]
    {
        let all = [&["probe"], arguments, &["--settings", settings.to_str().unwrap()]].concat();
        let ended = run_postroad(&all).await;
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(1) && err.contains(expected), "{err}");
    }
    lab.finish().await;
}
