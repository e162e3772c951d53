//! The sender against servers that lie, stall and break off (E2.15): every wait ends, every recipient has its result.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod support;

use std::time::Duration;

use smtp::{Content, NextHop, OutboundMessage, OutboundSession, SessionPlan};
use support::scripted::{Step, play, say};
use support::*;

const BODY: &[u8] = b"Subject: x\r\n\r\nbody\r\n";

/// Plays `script` to a sender that wants to deliver one message; gives the failure, or the recipient's result.
async fn deliver(script: Vec<Step>) -> String {
    // Only servers that keep silent on purpose are not waited for.
    let silent = script.iter().any(|step| matches!(step, Step::Hear("never")));
    let patience = if silent { Duration::from_millis(300) } else { GRACE };
    let address = play(script).await;
    let plan = SessionPlan {
        inactivity_timeout: patience,
        ..SessionPlan::new(NextHop::Addresses(vec![address]), domain("mbx01.contoso.com"))
    };
    let show = |text: String| text.replace(&address.to_string(), "PEER");
    let mut session = match plain_sender().open(&plan, 0).await {
        Ok(session) => session,
        Err(failure) => return show(failure.to_string()),
    };
    let envelope = envelope(&["a@b.example"]);
    let outcome = session.send(OutboundMessage::new(&envelope, Content::Whole(BODY))).await;
    let reusable = if outcome.reusable { "reusable" } else { "closed" };
    let result = &outcome.recipients[0];
    show(format!("{reusable}: {}", result.as_ref().map_or_else(ToString::to_string, ToString::to_string)))
}

fn greeted(keywords: &str, rest: Vec<Step>) -> Vec<Step> {
    let hello = [say("220 mx\n"), Step::Hear("EHLO"), say(&format!("250-mx\n{keywords}250 HELP\n"))];
    hello.into_iter().chain(rest).collect()
}

const AMBIGUOUS: &str = "(the server may have taken the message all the same)";

#[tokio::test]
async fn before_the_first_message() {
    for (script, expected) in [
        (vec![], "PEER, banner: 451 4.4.2 the server closed the connection"),
        (vec![say("554 5.7.1 Not here\n")], "PEER, banner: 554 5.7.1 Not here"),
        (vec![Step::Hear("never")], "PEER, banner: 451 4.4.2 the server did not answer in time"),
        (
            vec![say("220-x\n"), say(&"220-x\n".repeat(100_000))],
            "PEER, banner: 451 4.5.0 the server broke the protocol: a reply has more than 128 lines or 32768 octets",
        ),
        (
            vec![say(&"2".repeat(10 << 20))],
            "PEER, banner: 451 4.5.0 the server broke the protocol: a reply line is longer than 4096 octets",
        ),
    ] {
        assert_eq!(deliver(script).await, expected);
    }
}

#[tokio::test]
async fn while_a_message_is_sent() {
    let both = "250-PIPELINING\n250-CHUNKING\n";
    for (script, expected) in [
        (
            greeted(both, vec![Step::Hear("body"), say("250 ok\n250 ok\n")]),
            format!("closed: PEER, end of data: 451 4.4.2 the server closed the connection {AMBIGUOUS}"),
        ),
        (
            greeted(both, vec![Step::Hear("body"), say("250 ok\n250 ok\n"), Step::Hear("never")]),
            format!("closed: PEER, end of data: 451 4.4.2 the server did not answer in time {AMBIGUOUS}"),
        ),
        (
            greeted(both, vec![Step::Hear("body"), say("250 ok\n421 4.3.2 Going down\n")]),
            "closed: PEER, RCPT: 421 4.3.2 Going down".to_owned(),
        ),
        (
            greeted(both, vec![Step::Hear("body"), say("250 ok\n250 ok\n250 2.6.0 Queued\n250 and again\n")]),
            "closed: 250 2.6.0 Queued".to_owned(),
        ),
        (
            greeted(
                "",
                vec![
                    Step::Hear("MAIL"),
                    say("250 ok\n"),
                    Step::Hear("RCPT"),
                    say("250 ok\n"),
                    Step::Hear("DATA"),
                    say("354 go\n"),
                    Step::Hear("."),
                    say("451 4.3.0 Disk full\n"),
                ],
            ),
            "reusable: PEER, end of data: 451 4.3.0 Disk full".to_owned(),
        ),
        (
            greeted(
                "",
                vec![
                    Step::Hear("MAIL"),
                    say("250 ok\n"),
                    Step::Hear("RCPT"),
                    say("250 ok\n"),
                    Step::Hear("DATA"),
                    say("354 go\n"),
                    Step::Hear("."),
                    say("554 5.6.0 No\n"),
                ],
            ),
            "reusable: PEER, end of data: 554 5.6.0 No".to_owned(),
        ),
    ] {
        assert_eq!(deliver(script).await, expected);
    }
}

#[tokio::test]
async fn a_reset_before_the_last_reply_is_ambiguous() {
    let script = greeted(
        "250-PIPELINING\n",
        vec![Step::Hear("DATA"), say("250 ok\n250 ok\n354 go\n"), Step::Hear("."), Step::Reset],
    );
    let result = deliver(script).await;
    assert!(result.starts_with("closed: PEER, end of data: 451 4.4.2 the server closed the connection"), "{result}");
    assert!(result.ends_with(AMBIGUOUS), "{result}");
}

#[tokio::test]
async fn a_server_that_hangs_up_after_354() {
    let script = greeted("250-PIPELINING\n", vec![Step::Hear("DATA"), say("250 ok\n250 ok\n354 go\n")]);
    let result = deliver(script).await;
    assert!(
        result.starts_with("closed: PEER, ") && result.contains("451 4.4.2 the server closed the connection"),
        "{result}"
    );
}
