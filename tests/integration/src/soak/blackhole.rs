//! A thousand domains whose host says nothing: they keep their own mail waiting, and neither that of a host that answers, nor of a
//! mailbox, nor of another site.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::internet::Behavior;

use super::{Plan, settle, wait_for_conservation};
use crate::{Lab, Ledger, Wire, test_message};

/// `{}` stands for the domains. Their one host is silent for half a minute, and hangs up then; there are fewer connections than
/// domains.
const ORGANIZATION: &str = "
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Baltic, sites: [Berlin, Oslo], cost: 10}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: {maxOutboundConnections: 60,
     queueGlitchRetryInterval: 00:00:05, transientFailureRetryInterval: 00:00:05,
     outboundConnectionFailureRetryInterval: 00:00:05, backPressure: {databaseUsedSpace: NEVER_FULL}}}
  - {name: OSLO1, fqdn: oslo1.contoso.example, site: Oslo, transport: QUICK}
databases: [{name: DB-Berlin1, server: BERLIN1}, {name: DB-Oslo1, server: OSLO1}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1], port: 2500}]
recipients:
  - {name: anna, primaryAddress: anna@contoso.example, database: DB-Berlin1, password: demo-anna}
  - {name: olga, primaryAddress: olga@contoso.example, database: DB-Oslo1, password: demo-olga}
internet:
  domains:
    - {name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}
{}  hosts:
    - {name: mx.fabrikam.example}
    - {name: mx.hole.example, behavior: {faults: [{at: connect, delayMillis: 30000, disconnect: true}]}}
lab: {smtpPort: 2500}
";
/// Time for a message that has nothing to do with the holes. A debug build on a busy machine takes its time.
const PROMPT: Duration = Duration::from_secs(30);
/// How often a message of each kind is sent while the holes are there.
const ROUNDS: usize = 10;

pub(super) async fn run(plan: &Plan) {
    let domains =
        (0..plan.holes).map(|number| format!("    - {{name: h{number}.example, mx: [{{host: mx.hole.example}}]}}\n"));
    let lab = Lab::start(&ORGANIZATION.replace("{}", &domains.collect::<String>())).await;
    let (ledger, wire) = (Arc::new(Ledger::new()), Wire::connector(&lab, "BERLIN1"));
    let send = async |to: &str| {
        let message = test_message("anna@contoso.example", to);
        assert!(wire.send(&message).await, "Transport runs and takes everything");
        ledger.acknowledge(&message);
        message.message_id()
    };
    for number in 0..plan.holes {
        send(&format!("somebody@h{number}.example")).await;
    }
    lab.wait_for_queue("BERLIN1", "DnsConnectorDelivery", plan.holes as u64).await;
    let (mut here, mut there) = (lab.inbox("BERLIN1", "DB-Berlin1", "anna"), lab.inbox("OSLO1", "DB-Oslo1", "olga"));
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let ids = [
            send("sales@fabrikam.example").await,
            send("anna@contoso.example").await,
            send("olga@contoso.example").await,
        ];
        let arrive = async {
            lab.wait_for_delivery(&ids[0]).await;
            here.wait_for(&ids[1]).await;
            there.wait_for(&ids[2]).await;
        };
        let arrived = tokio::time::timeout(PROMPT, arrive).await;
        assert!(arrived.is_ok(), "round {round}: {ids:?} wait for {} holes", plan.holes);
        longest = longest.max(begun.elapsed());
    }
    println!("   {} holes; the slowest of {ROUNDS} rounds of other mail took {longest:?}", plan.holes);
    lab.set_behavior("mx.hole.example", Behavior::default()).await;
    let balance = ledger.wait_for_everything(&lab, vec![here, there]).await;
    settle(&format!("{} black holes", plan.holes), &balance);
    assert_eq!(balance.duplicates, 0);
    for server in ["BERLIN1", "OSLO1"] {
        wait_for_conservation(&lab, server).await;
    }
    lab.finish().await;
}
