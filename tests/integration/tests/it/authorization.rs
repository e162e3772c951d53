//! The implicit connector is for services of the organization, and each RPC for those that it names. Asked of running
//! processes, from their own machine.

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::time::SystemTime;

use envelope::{Domain, ServerName};
use net::{CertificateAuthority, NodeIdentity, Service};
use rpc::{Peers, TransferError};

use crate::support::{
    Lab, ONE_SERVER, deliver_by_connector, peer_address, peers, stranger, submit_by_connector, test_message,
};

/// Who may hand mail to Transport, and who to Mailbox Transport Delivery.
const SUBMITTERS: [Service; 3] = [Service::FrontendTransport, Service::MailboxSubmission, Service::Transport];
const DELIVERERS: [Service; 1] = [Service::Transport];

/// All services, all certificates of a server.
const CERTIFICATES: [&str; 5] = ["frontend-transport", "transport", "mailbox-submission", "mailbox-delivery", "smtp"];

/// A certificate of another organization, for the same server and all services; its holder believes ours.
fn foreigner(lab: &Lab) -> Peers {
    let authority = CertificateAuthority::create(&Domain::parse("contoso.example").unwrap(), SystemTime::now().into());
    let identity = NodeIdentity {
        server: ServerName::parse("BERLIN1").unwrap(),
        fqdn: Domain::parse("berlin1.contoso.example").unwrap(),
        services: Service::ALL.into_iter().collect(),
    };
    let own = authority.unwrap().issue(&identity, SystemTime::now().into()).unwrap();
    stranger(lab, "BERLIN1", own)
}

fn is_refused(result: &Result<(), TransferError>) -> bool {
    matches!(result, Err(TransferError::Unreachable { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_services_that_are_meant_get_in() {
    let lab = Lab::start(ONE_SERVER).await;
    let message = || test_message("visitor@tailspin.example", "anna@contoso.example");
    let transport = peer_address(&lab, "BERLIN1", Service::Transport);
    let delivery = peer_address(&lab, "BERLIN1", Service::MailboxDelivery);
    for certificate in CERTIFICATES {
        let peers = peers(&lab, "BERLIN1", certificate);
        let may = |services: &[Service]| services.iter().any(|service| service.as_str() == certificate);
        let submitted = submit_by_connector(&peers, &transport, &message()).await;
        assert_eq!(is_refused(&submitted), !may(&SUBMITTERS), "{certificate} to Transport: {submitted:?}");
        let delivered = deliver_by_connector(&peers, &delivery, &message()).await;
        assert_eq!(is_refused(&delivered), !may(&DELIVERERS), "{certificate} to Delivery: {delivered:?}");
    }
    let foreigner = foreigner(&lab);
    let unwanted = message();
    assert!(is_refused(&submit_by_connector(&foreigner, &transport, &unwanted).await));
    assert!(is_refused(&deliver_by_connector(&foreigner, &delivery, &unwanted).await));

    // Both go on, and nothing of it has arrived.
    let wanted = message();
    submit_by_connector(&peers(&lab, "BERLIN1", "transport"), &transport, &wanted).await.unwrap();
    let mut inbox = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    inbox.wait_for(&wanted.message_id()).await;
    assert!(inbox.message_ids().all(|id| id != unwanted.message_id()));
    lab.finish().await;
}
