//! What an operator is told: one trace holds every hop, wait and reply of a message, across a restart and a retry; counts by
//! connector and by server agree with what was sent, and a stranger can make no series.

use std::net::Ipv4Addr;

use envelope::Address;
use lab::Trace;
use lab::internet::Behavior;
use lab::traces::{Span, SpanOutcome, TraceQuery};
use net::Service;
use telemetry::catalogue::{
    DELIVERED, Instrument, PEERS_FAILED, QUEUE_BATCH_SIZE, RECEIVE_MESSAGES, SEND_DURATION, SEND_MESSAGES,
    TRANSFER_DURATION, TRANSFER_MESSAGES,
};
use telemetry::keys;

use crate::support::{Lab, Wire, run_postroad, submit_from_outside, test_message};

const HOST: &str = "mx.fabrikam.example";

/// A destination that greylists; we come back after an hour, or after a restart.
const GREYLISTED: &str = "
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers: [{name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: {messageRetryInterval: 01:00:00,
  backPressure: {databaseUsedSpace: NEVER_FULL}}}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1], port: 2500}]
recipients: [{name: carol, primaryAddress: carol@contoso.example, externalAddress: carol@fabrikam.example}]
internet:
  domains: [{name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}]
  hosts:
    - name: mx.fabrikam.example
      behavior: {faults: [{at: endOfData, reply: 451 4.7.1 Greylisted, times: 1}]}
lab: {smtpPort: 2500}
";

async fn trace(lab: &Lab, message_id: &str, what: &str, complete: impl Fn(&Trace) -> bool) -> Trace {
    let query = TraceQuery::InternetMessageId(message_id.to_owned());
    testkit::until(&format!("{what} in the trace of {message_id}"), async || {
        lab.world.traces().find(&query).unwrap().filter(&complete)
    })
    .await
}

fn says(span: &Span, key: &str, text: &str) {
    assert!(span.attribute(key).is_some_and(|value| value.contains(text)), "{key}: {text}\n{span:#?}");
}

/// Taken from a client and by Transport, with the reply; committed; routed, with the reason.
fn tells_how_it_came(trace: &Trace) {
    let received: Vec<&Span> = trace.named("receive").collect();
    assert_eq!(received.len(), 2, "{received:#?}");
    assert_eq!(
        (&*received[0].service, &*received[1].service),
        ("postroad-frontend-transport", "postroad-transport"),
        "{received:#?}"
    );
    assert_eq!(received[1].parent.as_ref(), Some(&received[0].span_id));
    says(received[0], keys::REPLY.name(), "250 2.6.0 <");
    says(received[0], keys::REPLY.name(), "Queued mail for delivery");
    says(received[0], keys::CONNECTOR.name(), "Default Frontend BERLIN1");
    let commit = trace.named("commit").next().unwrap();
    assert_eq!((&commit.outcome, commit.parent.as_ref()), (&SpanOutcome::Done, Some(&received[1].span_id)));
}

/// Before the restart and after it: by which decision, with which reply, and what is waited for.
fn tells_of_both_attempts(trace: &Trace) {
    let decided: Vec<&Span> = trace.named("categorize").collect();
    assert_eq!(decided.len(), 2, "decided anew after the restart: {decided:#?}");
    for span in &decided {
        let decision = span.events.iter().find(|event| event.name == "decision").unwrap();
        assert!(decision.attributes[keys::EXPLANATION.name()].contains("Internet"), "{decision:?}");
    }
    let sent: Vec<&Span> = trace.named("send").collect();
    let [first, second] = sent[..] else { panic!("two attempts: {sent:#?}") };
    assert!(matches!(&first.outcome, SpanOutcome::Failed(why) if why.contains("451 4.7.1 Greylisted")), "{first:#?}");
    says(first, keys::REPLY.name(), "451 4.7.1 Greylisted");
    says(first, keys::WAIT_REASON.name(), "451 4.7.1 Greylisted");
    let until = first.attribute(keys::WAIT_UNTIL.name()).unwrap();
    let an_hour = envelope::Timestamp::from_millis(first.end_nanos / 1_000_000 + 3_600_000).to_iso8601();
    assert_eq!(until[..13], an_hour[..13], "{until} is not about {an_hour}");
    assert_eq!(second.outcome, SpanOutcome::Done);
    says(second, keys::REPLY.name(), "250 ");
    assert_eq!(second.attribute(keys::WAIT_UNTIL.name()), None, "nothing is left to wait for");
    for (span, attempt) in [(first, "1"), (second, "2")] {
        assert_eq!(span.attribute(keys::ATTEMPT.name()), Some(attempt), "{span:#?}");
        says(span, keys::CONNECTOR.name(), "Internet");
        says(span, keys::NEXT_HOP.name(), "fabrikam.example");
        says(span, keys::SERVER_ADDRESS.name(), HOST);
    }
    let recovered: Vec<&Span> = trace.named("recover").collect();
    let [recovered] = recovered[..] else { panic!("one recovery: {recovered:#?}") };
    let order = [decided[0], first, recovered, decided[1], second].map(|span| span.start_nanos);
    assert!(order.is_sorted(), "{trace:#?}");
}

/// A next hop that cannot be reached at all: the wait has a span, with its reason.
async fn a_wait_without_a_session_is_told(lab: &Lab) {
    lab.set_behavior(HOST, Behavior { dead: true, ..Behavior::default() }).await;
    let message = test_message("visitor@fabrikam.example", "carol@contoso.example");
    submit_from_outside(lab, "BERLIN1", &message).await.unwrap();
    let spans = lab.wait_for_spans(&message.message_id(), "connect", 1).await;
    assert!(matches!(&spans[0].outcome, SpanOutcome::Failed(why) if why.contains(HOST)), "{:#?}", spans[0]);
    says(&spans[0], keys::WAIT_REASON.name(), HOST);
    assert!(spans[0].attribute(keys::WAIT_UNTIL.name()).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_tells_every_hop_wait_and_reply_across_a_restart_and_a_retry() {
    let mut lab = Lab::start(GREYLISTED).await;
    let message = test_message("visitor@fabrikam.example", "carol@contoso.example");
    let id = message.message_id();
    submit_from_outside(&lab, "BERLIN1", &message).await.unwrap();
    // Spans leave a process every two seconds: what is not with the collector dies with it.
    trace(&lab, &id, "the first attempt", |trace| trace.named("send").count() == 1).await;
    lab.kill("BERLIN1", Service::Transport).await;
    lab.start_again("BERLIN1", Service::Transport).await;
    lab.wait_for_delivery(&id).await;
    let whole = |trace: &Trace| trace.named("send").count() == 2 && trace.named("receive").count() == 2;
    let trace = trace(&lab, &id, "the second attempt", whole).await;
    assert_eq!(trace.ids().len(), 1, "one trace");
    tells_how_it_came(&trace);
    tells_of_both_attempts(&trace);

    let shown = run_postroad(&["trace", &id, "--lab", lab.folder().to_str().unwrap()]).await;
    let text = String::from_utf8(shown.stdout).unwrap();
    for expected in ["451 4.7.1 Greylisted", "waits-until=", "recover transport@BERLIN1", "attempt=2", "reply=\"250 "] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    a_wait_without_a_session_is_told(&lab).await;
    lab.finish().await;
}

/// Two servers; a Send connector whose name has what separates labels; two people outside, one of whom is unknown there.
const NAMED: &str = "
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Berlin-Oslo, sites: [Berlin, Oslo], cost: 10}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}
  - {name: OSLO1, fqdn: oslo1.contoso.example, site: Oslo, transport: QUICK}
databases: [{name: DB-Oslo1, server: OSLO1}]
sendConnectors: [{name: 'Internet, by MX', addressSpaces: ['*'], sourceTransportServers: [BERLIN1], port: 2500}]
recipients:
  - {name: olga, primaryAddress: olga@contoso.example, database: DB-Oslo1, password: demo-olga}
  - {name: carol, primaryAddress: carol@contoso.example, externalAddress: carol@fabrikam.example}
  - {name: dora, primaryAddress: dora@contoso.example, externalAddress: dora@fabrikam.example}
  - {name: erik, primaryAddress: erik@contoso.example, externalAddress: erik@wingtip.example}
  - {name: frida, primaryAddress: frida@contoso.example, externalAddress: frida@wingtip.example}
internet:
  domains:
    - {name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}
    - {name: wingtip.example, mx: [{host: mx.wingtip.example}]}
  hosts:
    - name: mx.fabrikam.example
      behavior:
        faults:
          - {at: rcpt, reply: 550 5.1.1 Unknown, recipient: dora@fabrikam.example}
          - {at: endOfData, reply: 451 4.7.1 Greylisted, times: 1}
    - name: mx.wingtip.example
      behavior: {faults: [{at: rcpt, reply: 450 4.2.1 Later, recipient: erik@wingtip.example, times: 1}]}
lab: {smtpPort: 2500}
";
const INTERNET: &str = "Internet, by MX";
const FRONT_END: &str = "Default Frontend BERLIN1";

/// Waits until a count is what was sent.
async fn counted(lab: &Lab, of: (&str, Service), instrument: &Instrument, labels: &[&str], expected: u64) {
    let (server, service) = of;
    testkit::until(&format!("{} {labels:?} = {expected} on {server}", instrument.name), async || {
        let counts = lab.counts(server, service).await?;
        (counts.labelled(instrument, labels).unwrap_or_default() == expected).then_some(())
    })
    .await
}

/// Two messages by the Send connector, each greylisted once; one that is refused, and the report about that.
async fn by_send_connector(lab: &Lab) {
    let wire = Wire::smtp(lab, "BERLIN1", Ipv4Addr::LOCALHOST);
    for (sender, to) in
        [("a@fabrikam.example", "carol"), ("b@fabrikam.example", "carol"), ("c@fabrikam.example", "dora")]
    {
        let message = test_message(sender, &format!("{to}@contoso.example"));
        // A front end is ready when it has heard of one Transport, which may be that of the other site.
        let taken = async || wire.send(&message).await.then_some(());
        testkit::until("the front end to have heard of its Transport", taken).await;
    }
    let transport = ("BERLIN1", Service::Transport);
    for (outcome, expected) in [("delivered", 3), ("deferred", 3), ("failed", 1)] {
        counted(lab, transport, &SEND_MESSAGES, &[INTERNET, outcome], expected).await;
    }
    counted(lab, transport, &DELIVERED, &["DnsConnectorDelivery"], 3).await;
    let counts = lab.counts("BERLIN1", Service::Transport).await.unwrap();
    assert_eq!(counts.recorded(&SEND_DURATION, &[INTERNET]), Some(7), "each attempt took its time");
    assert!(counts.recorded(&QUEUE_BATCH_SIZE, &[]).is_some_and(|syncs| syncs > 0));
    counted(lab, ("BERLIN1", Service::FrontendTransport), &RECEIVE_MESSAGES, &[FRONT_END, "accepted"], 3).await;
}

/// One recipient is taken, the other later: two attempts that delivered something, and one copy that was delivered.
async fn a_copy_that_is_taken_in_two_attempts_counts_once(lab: &Lab) {
    let mut message = test_message("a@fabrikam.example", "erik@contoso.example");
    message.recipients.push(Address::parse("frida@contoso.example").unwrap());
    assert!(Wire::smtp(lab, "BERLIN1", Ipv4Addr::LOCALHOST).send(&message).await);
    let transport = ("BERLIN1", Service::Transport);
    counted(lab, transport, &SEND_MESSAGES, &[INTERNET, "delivered"], 5).await;
    testkit::until("the books to be in balance", async || {
        let (accepted, ends) = lab.counts("BERLIN1", Service::Transport).await?.conservation();
        (ends[4] == 0 && ends.iter().sum::<u64>() == accepted).then_some(())
    })
    .await;
    counted(lab, transport, &DELIVERED, &["DnsConnectorDelivery"], 4).await;
}

/// What leaves one server for another arrives there.
async fn by_peer(lab: &mut Lab) {
    let wire = Wire::connector(lab, "BERLIN1");
    for _ in 0..2 {
        assert!(wire.send(&test_message("a@fabrikam.example", "olga@contoso.example")).await);
    }
    counted(lab, ("BERLIN1", Service::Transport), &TRANSFER_MESSAGES, &["OSLO1", "outbound", "accepted"], 2).await;
    counted(lab, ("OSLO1", Service::Transport), &TRANSFER_MESSAGES, &["BERLIN1", "inbound", "accepted"], 2).await;
    let counts = lab.counts("BERLIN1", Service::Transport).await.unwrap();
    assert_eq!(counts.recorded(&TRANSFER_DURATION, &["OSLO1"]), Some(2));
    assert_eq!(counts.labelled(&PEERS_FAILED, &["OSLO1"]), Some(0));
    lab.kill("OSLO1", Service::Transport).await;
    assert!(wire.send(&test_message("a@fabrikam.example", "olga@contoso.example")).await);
    counted(lab, ("BERLIN1", Service::Transport), &PEERS_FAILED, &["OSLO1"], 1).await;
    lab.start_again("OSLO1", Service::Transport).await;
    counted(lab, ("BERLIN1", Service::Transport), &PEERS_FAILED, &["OSLO1"], 0).await;
}

/// Names that somebody makes up are refused, or are mail, and never a series.
async fn a_stranger_makes_no_series(lab: &Lab) {
    let wire = Wire::smtp(lab, "BERLIN1", Ipv4Addr::LOCALHOST);
    let front_end = ("BERLIN1", Service::FrontendTransport);
    let counts = lab.counts(front_end.0, front_end.1).await.unwrap();
    let before = counts.labelled(&RECEIVE_MESSAGES, &[FRONT_END, "refused"]).unwrap_or_default();
    for number in 0..5 {
        let sender = format!("somebody@made-up-{number}.example");
        assert!(!wire.send(&test_message(&sender, &format!("nobody@made-up-{number}.example"))).await, "no relay");
        assert!(wire.send(&test_message(&sender, "carol@contoso.example")).await);
    }
    counted(lab, front_end, &RECEIVE_MESSAGES, &[FRONT_END, "refused"], before + 5).await;
    counted(lab, front_end, &RECEIVE_MESSAGES, &[FRONT_END, "accepted"], 9).await;
    counted(lab, ("BERLIN1", Service::Transport), &SEND_MESSAGES, &[INTERNET, "delivered"], 10).await;
    for (server, service) in [front_end, ("BERLIN1", Service::Transport), ("OSLO1", Service::Transport)] {
        let counts = lab.counts(server, service).await.unwrap();
        for (instrument, key) in [(&SEND_MESSAGES, "connector"), (&RECEIVE_MESSAGES, "connector")] {
            let known = |name: &String| [INTERNET, FRONT_END].contains(&name.as_str());
            assert!(counts.values(instrument, key).iter().all(known), "{:?}", counts.values(instrument, key));
        }
        let known = |name: &String| ["BERLIN1", "OSLO1"].contains(&name.as_str());
        assert!(counts.values(&TRANSFER_MESSAGES, "peer").iter().all(known));
        for made_up in ["made-up", "fabrikam", "wingtip", "client.lab", "carol", "127.0"] {
            assert!(!counts.mentions(made_up), "{made_up} on {server}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_by_connector_and_by_server_agree_with_what_was_sent() {
    let mut lab = Lab::start(NAMED).await;
    by_send_connector(&lab).await;
    a_copy_that_is_taken_in_two_attempts_counts_once(&lab).await;
    a_stranger_makes_no_series(&lab).await;
    by_peer(&mut lab).await;
    lab.finish().await;
}
