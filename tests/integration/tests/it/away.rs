//! The directory is away: mail flows by what was known last, also through services that were started meanwhile and know what
//! they had on disk.

use envelope::Severity;
use net::Service;

use crate::support::{Lab, ONE_SERVER, Wire, run_postroad, submit_from_outside, test_message};

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
        let path = lab.server("BERLIN1").folder.join("state/last-good").join(format!("{service}.json.{file}"));
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
async fn without_a_quorum_commands_answer_and_what_was_delayed_goes_on_once_the_directory_is_back() {
    // Nobody waits for an hour here.
    let text = ONE_SERVER.replace("transport: QUICK", "transport: {resolverRetryInterval: 01:00:00}");
    let ben =
        "recipients:\n  - {name: ben, primaryAddress: ben@contoso.example, database: DB-Berlin1}\n  - {name: anna,";
    let text = text.replace("recipients: [{name: anna,", ben).replace("password: demo-anna}]", "password: demo-anna}");
    let mut lab = Lab::start_with(&text, |options| options.etcd = true).await;
    let settings = lab.server("BERLIN1").settings_path();
    let settings = settings.to_str().unwrap();
    let mut inbox = lab.inbox("BERLIN1", "DB-Berlin1", "ben");
    let health = async || {
        let ended = run_postroad(&["health", "transport", "--settings", settings]).await;
        assert!(ended.status.success(), "it is ready, directory or not");
        String::from_utf8(ended.stdout).unwrap()
    };
    assert!(!health().await.contains("directory away"));

    for member in [0, 2] {
        lab.world.kill_etcd_member(member).await.unwrap();
    }
    testkit::until("health says that the directory is away", async || {
        health().await.contains("ready, directory away").then_some(())
    })
    .await;
    // Nobody has asked for ben before.
    let message = test_message("anna@contoso.example", "ben@contoso.example");
    assert!(Wire::connector(&lab, "BERLIN1").send(&message).await);
    let queue = testkit::until("the queue says what the message waits for", async || {
        let ended = run_postroad(&["queue", "--messages", "--settings", settings]).await;
        let out = String::from_utf8(ended.stdout).unwrap();
        (ended.status.success() && out.contains("the directory does not answer")).then_some(out)
    })
    .await;
    assert!(queue.contains("ben@contoso.example"), "{queue}");
    for command in [&["track", "--recipient", "ben@contoso.example"][..], &["trace", &message.message_id()]] {
        let ended = run_postroad(&[command, &["--settings", settings]].concat()).await;
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success() && out.contains("RECEIVE"), "{command:?}: {out}{err}");
        assert!(err.contains("were known last"), "{command:?}: {err}");
    }

    lab.world.start_etcd().await.unwrap();
    inbox.wait_for(&message.message_id()).await;
    testkit::until("health says that it is back", async || (!health().await.contains("directory away")).then_some(()))
        .await;
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
