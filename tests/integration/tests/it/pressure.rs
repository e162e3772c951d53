//! A server that is short of something takes no mail: another takes it, what the server has goes out, and it ends by itself.

use net::Service;

use crate::support::{Lab, Wire, organization_text, run_postroad, submit_from_outside, test_message};

const ONE_SITE: &str = "
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers:
  - {name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}
  - {name: BERLIN2, fqdn: berlin2.contoso.example, site: Berlin, transport: QUICK}
databases: [{name: DB-Berlin1, server: BERLIN1}]
recipients: [{name: anna, primaryAddress: anna@contoso.example, database: DB-Berlin1, password: demo-anna}]
internet:
  domains: [{name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}]
  hosts: [{name: mx.fabrikam.example}]
lab: {smtpPort: 2500}
";

/// By these every disk on which there is anything is full.
const FULL: &str = "{lowToMedium: 0, mediumToHigh: 0, highToMedium: 0, mediumToLow: 0}";
const NEVER_FULL: &str = "{lowToMedium: 100, mediumToHigh: 100, highToMedium: 100, mediumToLow: 100}";

async fn apply(lab: &Lab, text: &str) {
    let file = lab.folder().join("change.yaml");
    std::fs::write(&file, text).unwrap();
    let ended =
        run_postroad(&["apply", file.to_str().unwrap(), "--yes", "--lab", lab.folder().to_str().unwrap()]).await;
    assert!(ended.status.success(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_takes_the_mail_of_one_whose_disk_is_full() {
    // BP-13 … BP-16
    let mut lab = Lab::start(ONE_SITE).await;
    let message = || test_message("visitor@tailspin.example", "anna@contoso.example");
    let mut inbox = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    lab.stop("BERLIN1", Service::MailboxDelivery).await;
    let waiting = message();
    assert!(Wire::connector(&lab, "BERLIN1").send(&waiting).await);
    lab.wait_for_queue("BERLIN1", "SmtpDeliveryToMailbox", 1).await;

    let roomy = organization_text(ONE_SITE);
    let full = roomy.replacen(NEVER_FULL, FULL, 1);
    assert_ne!(full, roomy);
    apply(&lab, &full).await;
    let wire = Wire::connector(&lab, "BERLIN1");
    let refusal = testkit::until("mail to be refused", async || wire.hand_in(&message()).await.err()).await;
    assert!(refusal.contains("452 4.3.1 Insufficient system resources"), "{refusal}");

    // Its front end goes to the other Transport at once: no client sees an error.
    let mut taken = Vec::new();
    for _ in 0..5 {
        let message = message();
        submit_from_outside(&lab, "BERLIN1", &message).await.unwrap();
        let received = lab.wait_for_spans(&message.message_id(), "receive", 2).await;
        assert!(received.iter().any(|span| span.server == "BERLIN2"), "{received:?}");
        taken.push(message);
    }
    lab.start_again("BERLIN1", Service::MailboxDelivery).await;
    for message in taken.iter().chain([&waiting]) {
        inbox.wait_for(&message.message_id()).await;
    }

    apply(&lab, &roomy).await;
    testkit::until("mail to be taken again", async || wire.hand_in(&message()).await.ok()).await;
    lab.finish().await;
}
