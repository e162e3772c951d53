//! Destinations as bad as they come: each message finds its way all the same, and what cannot be known (a host that hangs up
//! between taking a message and saying so) makes a duplicate, never a loss (peers E2 15).

use std::sync::Arc;

use super::{Plan, settle};
use crate::{Lab, Ledger, Wire, test_message};

/// Each domain has a host that fails in its own way, once or twice for each message, and then takes it.
const HOSTS: [(&str, &str); 12] = [
    ("greylisting", "{at: rcpt, reply: 450 4.7.1 Greylisted, times: 1}"),
    ("refusing-mail", "{at: mail, reply: 451 4.3.0 Come back, times: 2}"),
    ("refusing-data", "{at: data, reply: 421 4.3.2 Closing, times: 1}"),
    ("refusing-dot", "{at: endOfData, reply: 452 4.3.1 Full, times: 2}"),
    ("closing-at-mail", "{at: mail, disconnect: true, times: 1}"),
    ("closing-at-rcpt", "{at: rcpt, disconnect: true, times: 1}"),
    ("closing-at-data", "{at: data, disconnect: true, times: 1}"),
    ("closing-at-dot", "{at: endOfData, disconnect: true, times: 1}"),
    ("taking-and-closing", "{at: accepted, disconnect: true, times: 1}"),
    ("closing-at-once", "{at: connect, disconnect: true, times: 5}"),
    ("late", "{at: connect, delayMillis: 700}"),
    ("late-to-answer", "{at: endOfData, delayMillis: 400, times: 1}"),
];

fn organization() -> String {
    let mut text = crate::ONE_SERVER.split("\ninternet:").next().unwrap().to_owned();
    let domain =
        |(name, _): &(&str, &str)| format!("    - {{name: {name}.example, mx: [{{host: mx.{name}.example}}]}}\n");
    let host =
        |(name, fault): &(&str, &str)| format!("    - {{name: mx.{name}.example, behavior: {{faults: [{fault}]}}}}\n");
    text.push_str("\ninternet:\n  domains:\n");
    text.extend(HOSTS.iter().map(domain));
    text.push_str("  hosts:\n");
    text.extend(HOSTS.iter().map(host));
    text.push_str("lab: {smtpPort: 2500}\n");
    text
}

pub(super) async fn run(plan: &Plan) {
    let lab = Lab::start(&organization()).await;
    let (ledger, wire) = (Arc::new(Ledger::new()), Wire::connector(&lab, "BERLIN1"));
    for number in 0..plan.messages {
        let (host, _) = HOSTS[number % HOSTS.len()];
        // Hosts count faults by sender and recipient: each message is a new acquaintance.
        let message = test_message("anna@contoso.example", &format!("r{number}@{host}.example"));
        assert!(wire.send(&message).await, "Transport runs and takes everything");
        ledger.acknowledge(&message);
    }
    let balance = ledger.wait_for_everything(&lab, vec![]).await;
    settle("misbehaving destinations", &balance);
    let taking = plan.messages.div_ceil(HOSTS.len());
    assert!(balance.duplicates <= 2 * taking, "only a host that takes a message and says nothing makes duplicates");
    super::wait_for_conservation(&lab, "BERLIN1").await;
    lab.finish().await;
}
