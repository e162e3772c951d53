//! The directory is away: mail flows by what was known last, also through services that were started meanwhile and know what
//! they had on disk.

use envelope::Severity;
use net::Service;

use crate::support::{Lab, ONE_SERVER, Wire, submit_from_outside, test_message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_flows_while_the_directory_is_away_and_after_it_is_back() {
    let mut lab = Lab::start_with(ONE_SERVER, |options| options.etcd = true).await;
    let mut inbox = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    let inwards = || test_message("visitor@tailspin.example", "anna@contoso.example");
    let outwards = || test_message("anna@contoso.example", "sales@fabrikam.example");
    let transport = Wire::connector(&lab, "BERLIN1");

    let (first_in, first_out) = (inwards(), outwards());
    submit_from_outside(&lab, "BERLIN1", &first_in).await.unwrap();
    assert!(transport.send(&first_out).await);
    inbox.wait_for(&first_in.message_id()).await;
    lab.wait_for_delivery(&first_out.message_id()).await;

    // What is learnt is written down a moment later, for each service on its own.
    for (service, file) in [
        ("transport", "recipients"),
        ("transport", "services"),
        ("frontend-transport", "recipients"),
        ("frontend-transport", "services"),
    ] {
        let path = lab.server("BERLIN1").folder.join("state").join(format!("last-good-{service}.json.{file}"));
        let needle = if file == "recipients" { "anna@contoso.example" } else { "mailbox-delivery" };
        testkit::until("it is written down", async || {
            std::fs::read_to_string(&path).ok().filter(|text| text.contains(needle))
        })
        .await;
    }

    lab.world.kill_etcd().await.unwrap();
    let (in_running, out_running) = (inwards(), outwards());
    submit_from_outside(&lab, "BERLIN1", &in_running).await.unwrap();
    assert!(transport.send(&out_running).await);
    inbox.wait_for(&in_running.message_id()).await;
    lab.wait_for_delivery(&out_running.message_id()).await;

    // Killed, not stopped: what they know is what they had on disk.
    for service in [Service::Transport, Service::FrontendTransport] {
        lab.kill("BERLIN1", service).await;
        lab.start_again("BERLIN1", service).await;
    }
    let (in_restarted, out_restarted) = (inwards(), outwards());
    submit_from_outside(&lab, "BERLIN1", &in_restarted).await.unwrap();
    assert!(transport.send(&out_restarted).await);
    inbox.wait_for(&in_restarted.message_id()).await;
    lab.wait_for_delivery(&out_restarted.message_id()).await;

    // About somebody never heard of nothing can be said: the sender is asked to come again.
    let unknown = test_message("visitor@tailspin.example", "stranger@contoso.example");
    let answer = submit_from_outside(&lab, "BERLIN1", &unknown).await.unwrap_err();
    assert_eq!(answer.severity(), Severity::Transient, "{answer}");

    lab.world.start_etcd().await.unwrap();
    testkit::until("the front end says that there is no such recipient", async || {
        let refused = submit_from_outside(&lab, "BERLIN1", &unknown).await.err()?;
        (refused.severity() == Severity::Permanent).then_some(())
    })
    .await;
    let back = inwards();
    submit_from_outside(&lab, "BERLIN1", &back).await.unwrap();
    inbox.wait_for(&back.message_id()).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_etcd_may_die_and_nobody_outside_notices() {
    let mut lab = Lab::start_with(ONE_SERVER, |options| options.etcd = true).await;
    let mut inbox = lab.inbox("BERLIN1", "DB-Berlin1", "anna");
    for at in 0..3 {
        lab.world.kill_etcd_member(at).await.unwrap();
        for number in 0..5 {
            // Nobody has asked for these: the directory has to answer, and does.
            let stranger = format!("stranger{at}{number}@contoso.example");
            let unknown = test_message("visitor@tailspin.example", &stranger);
            let refused = submit_from_outside(&lab, "BERLIN1", &unknown).await.unwrap_err();
            assert_eq!(refused.severity(), Severity::Permanent, "member {at} is dead: {refused}");
            let known = test_message("visitor@tailspin.example", "anna@contoso.example");
            submit_from_outside(&lab, "BERLIN1", &known).await.unwrap();
            inbox.wait_for(&known.message_id()).await;
        }
        lab.world.start_etcd().await.unwrap();
    }
    lab.finish().await;
}
