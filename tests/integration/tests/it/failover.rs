//! A service dies: another server does its work, or mail waits where it is and goes on when it is back. At once, and not after the
//! retry intervals of production, which hold here.

use net::Service;

use crate::support::{Lab, Wire, submit_from_outside, test_message};

/// Two servers here, two there. Mail for the internet leaves through the front ends of Berlin.
const TWO_SITES: &str = "
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Berlin-Oslo, sites: [Berlin, Oslo], cost: 10}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: {backPressure: {databaseUsedSpace: NEVER_FULL}}}
  - {name: BERLIN2, fqdn: berlin2.contoso.example, site: Berlin, transport: {backPressure: {databaseUsedSpace: NEVER_FULL}}}
  - {name: OSLO1, fqdn: oslo1.contoso.example, site: Oslo, transport: {backPressure: {databaseUsedSpace: NEVER_FULL}}}
  - {name: OSLO2, fqdn: oslo2.contoso.example, site: Oslo, transport: {backPressure: {databaseUsedSpace: NEVER_FULL}}}
databases: [{name: DB-Oslo1, server: OSLO1}]
sendConnectors:
  - {name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1], frontendProxyEnabled: true, port: 2500}
recipients: [{name: olga, primaryAddress: olga@contoso.example, database: DB-Oslo1, password: demo-olga}]
internet:
  domains: [{name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}]
  hosts: [{name: mx.fabrikam.example}]
lab: {smtpPort: 2500}
";

/// Front ends of the site take each other's place.
async fn mail_leaves_through_the_other_front_end(lab: &mut Lab) {
    let transport = Wire::connector(lab, "BERLIN1");
    for (away, there) in [("BERLIN1", "BERLIN2"), ("BERLIN2", "BERLIN1")] {
        lab.kill(away, Service::FrontendTransport).await;
        let message = test_message("olga@contoso.example", "sales@fabrikam.example");
        assert!(transport.send(&message).await);
        lab.wait_for_delivery(&message.message_id()).await;
        let sent = lab.wait_for_spans(&message.message_id(), "send", 1).await;
        let peer = sent.last().and_then(|span| span.attribute("server.address")).unwrap();
        assert!(peer.ends_with(&format!(" through {there}")), "{peer}");
        lab.start_again(away, Service::FrontendTransport).await;
    }
}

/// Without any front end it waits, on the server that would send it.
async fn mail_waits_for_a_front_end(lab: &mut Lab) {
    for server in ["BERLIN1", "BERLIN2"] {
        lab.kill(server, Service::FrontendTransport).await;
    }
    let message = test_message("olga@contoso.example", "sales@fabrikam.example");
    assert!(Wire::connector(lab, "BERLIN1").send(&message).await);
    lab.wait_for_queue("BERLIN1", "DnsConnectorDelivery", 1).await;
    for server in ["BERLIN1", "BERLIN2"] {
        lab.start_again(server, Service::FrontendTransport).await;
    }
    lab.wait_for_delivery(&message.message_id()).await;
}

/// Any Transport of the site of a database takes its mail; without one it waits across the link (RT-39).
async fn mail_goes_to_the_other_transport_of_the_site_or_waits(lab: &mut Lab) {
    let mut inbox = lab.inbox("OSLO1", "DB-Oslo1", "olga");
    let message = || test_message("visitor@tailspin.example", "olga@contoso.example");
    for (away, there) in [("OSLO1", "OSLO2"), ("OSLO2", "OSLO1")] {
        lab.kill(away, Service::Transport).await;
        let message = message();
        assert!(Wire::connector(lab, "BERLIN1").send(&message).await);
        inbox.wait_for(&message.message_id()).await;
        let received = lab.wait_for_spans(&message.message_id(), "receive", 2).await;
        assert!(received.iter().any(|span| span.server == there), "{received:?}");
        lab.start_again(away, Service::Transport).await;
    }
    for server in ["OSLO1", "OSLO2"] {
        lab.kill(server, Service::Transport).await;
    }
    let waiting = message();
    assert!(Wire::connector(lab, "BERLIN1").send(&waiting).await);
    lab.wait_for_queue("BERLIN1", "SmtpRelayToMailboxDeliveryGroup", 1).await;
    lab.start_again("OSLO2", Service::Transport).await;
    inbox.wait_for(&waiting.message_id()).await;
    lab.start_again("OSLO1", Service::Transport).await;
}

/// The service in front of a database is stopped: mail waits on the server of the database.
async fn mail_waits_for_mailbox_delivery(lab: &mut Lab) {
    lab.stop("OSLO1", Service::MailboxDelivery).await;
    let message = test_message("visitor@tailspin.example", "olga@contoso.example");
    assert!(Wire::connector(lab, "OSLO1").send(&message).await);
    lab.wait_for_queue("OSLO1", "SmtpDeliveryToMailbox", 1).await;
    lab.start_again("OSLO1", Service::MailboxDelivery).await;
    lab.inbox("OSLO1", "DB-Oslo1", "olga").wait_for(&message.message_id()).await;
}

/// A front end that has lost the Transport of its own server hands over to another of the site.
async fn mail_comes_in_without_the_transport_of_the_server(lab: &mut Lab) {
    lab.kill("BERLIN1", Service::Transport).await;
    let message = test_message("visitor@tailspin.example", "olga@contoso.example");
    submit_from_outside(lab, "BERLIN1", &message).await.unwrap();
    lab.inbox("OSLO1", "DB-Oslo1", "olga").wait_for(&message.message_id()).await;
    lab.start_again("BERLIN1", Service::Transport).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_takes_over_or_mail_waits() {
    let mut lab = Lab::start(TWO_SITES).await;
    mail_leaves_through_the_other_front_end(&mut lab).await;
    mail_waits_for_a_front_end(&mut lab).await;
    mail_goes_to_the_other_transport_of_the_site_or_waits(&mut lab).await;
    mail_waits_for_mailbox_delivery(&mut lab).await;
    mail_comes_in_without_the_transport_of_the_server(&mut lab).await;
    lab.finish().await;
}
