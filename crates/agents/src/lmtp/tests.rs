//! What a server answers, and what becomes of it.

use std::sync::Arc;

use envelope::MessageId;
use tokio::net::TcpListener;

use super::*;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn delivery(recipients: &[&str]) -> AgentDelivery {
    AgentDelivery {
        id: ID.parse::<MessageId>().unwrap(),
        connector: "Lists".into(),
        sender: "ann@contoso.com".into(),
        recipients: recipients.iter().map(|address| ("SMTP".into(), (*address).into())).collect(),
        size: 0,
        eight_bit_mime: false,
        smtputf8: false,
        trace: None,
    }
}

/// A server that answers each line with the next of `replies`, and hears everything.
async fn answered(
    replies: &'static [&'static str],
    delivery: &AgentDelivery,
    content: &'static [u8],
) -> (Vec<AgentAnswer>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = Place::Address(listener.local_addr().unwrap());
    let hearing = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut heard = String::new();
        for reply in replies {
            stream.write_all(reply.as_bytes()).await.unwrap();
            let ends_content = reply.starts_with("354");
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
                    return heard;
                }
                heard.push_str(&line);
                if !ends_content || line == ".\r\n" {
                    break;
                }
            }
        }
        heard
    });
    let agent = Arc::new(Lmtp { place, host: "mail1.contoso.com".into() });
    let answers = agent.deliver(delivery, Bytes::from_static(content)).await;
    (answers, hearing.await.unwrap())
}

#[tokio::test]
async fn each_recipient_has_an_answer_of_its_own() {
    // RFC 2033 §4.2
    let replies = &[
        "220 there\r\n",
        "250-there\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
        "250 2.1.0 ok\r\n",
        "250 2.1.5 ok\r\n",
        "550 5.1.1 who is that\r\n",
        "250 2.1.5 ok\r\n",
        "250 2.1.5 ok\r\n",
        "354 go on\r\n",
        "250 2.0.0 saved\r\n452 4.2.2 full\r\n554 5.3.0 broken\r\n",
    ];
    let wanted = delivery(&["a@lists.example", "b@lists.example", "c@lists.example", "d@lists.example", "e> <f"]);
    let (answers, heard) = answered(replies, &wanted, b"Subject: x\r\n\r\n.dot\r\nend").await;
    let [delivered, unknown, full, broken, strange] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(*delivered, AgentAnswer::Delivered);
    assert!(
        matches!(unknown, AgentAnswer::Failed(reply) if reply.to_string() == "550 5.1.1 who is that"),
        "{unknown:?}"
    );
    assert!(matches!(full, AgentAnswer::Later(reply) if reply.to_string() == "452 4.2.2 full"), "{full:?}");
    assert!(matches!(broken, AgentAnswer::Failed(reply) if reply.to_string() == "554 5.3.0 broken"), "{broken:?}");
    assert!(matches!(strange, AgentAnswer::Failed(_)), "{strange:?}");
    let expected = "LHLO mail1.contoso.com\r\nMAIL FROM:<ann@contoso.com>\r\nRCPT TO:<a@lists.example>\r\nRCPT TO:<b@lists.example>\r\n\
                    RCPT TO:<c@lists.example>\r\nRCPT TO:<d@lists.example>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\nQUIT\r\n";
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn what_was_not_answered_is_tried_again() {
    let cases: [&'static [&'static str]; 8] = [
        // What speaks something else, or is being repaired, has said nothing of the message.
        &["220 smtp\r\n", "500 5.5.1 unknown command\r\n"],
        &["554 5.3.2 no service\r\n"],
        &["354 what\r\n"],
        &["220 there\r\n", "250 there\r\n", "250 ok\r\n", "250 ok\r\n", "250 2.0.0 no need of content\r\n"],
        &[],
        &["220 there\r\n", "what\r\n"],
        &["220 there\r\n", "250 there\r\n", "250 ok\r\n", "250 ok\r\n", "354 go on\r\n"],
        &["421 4.3.2 not now\r\n"],
    ];
    for replies in cases {
        let (answers, _) = answered(replies, &delivery(&["a@lists.example"]), b"x\r\n").await;
        assert!(matches!(answers.as_slice(), [AgentAnswer::Later(_)]), "{replies:?}: {answers:?}");
    }
    let nowhere = Lmtp { place: Place::Socket("/nowhere".into()), host: "h".into() };
    let answers = nowhere.deliver(&delivery(&["a@lists.example"]), Bytes::new()).await;
    assert!(matches!(answers.as_slice(), [AgentAnswer::Later(_)]), "{answers:?}");
}

#[test]
fn whatever_number_a_server_answers_is_an_answer() {
    for code in 200..600 {
        for line in ["", "2.0.0 ok", "4.9.9", "5.1.1 no", "9.9.9 what", "5.1", "é"] {
            let answer = answer_of(&reply_of(code, &[line.to_owned()]));
            let expected = match code / 100 {
                2 => matches!(answer, AgentAnswer::Delivered),
                3 | 4 => matches!(answer, AgentAnswer::Later(_)),
                _ => matches!(answer, AgentAnswer::Failed(_)),
            };
            assert!(expected, "{code} {line}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_the_server_cannot_take_is_given_up() {
    let replies = &["220 there\r\n", "250 there\r\n", "250 ok\r\n"];
    let wanted = AgentDelivery { eight_bit_mime: true, ..delivery(&["a@lists.example"]) };
    let (answers, _) = answered(replies, &wanted, b"x\r\n").await;
    assert!(
        matches!(answers.as_slice(), [AgentAnswer::Failed(reply)] if reply.to_string().contains("8BITMIME")),
        "{answers:?}"
    );
}

#[tokio::test]
async fn an_address_in_quotes_is_one() {
    // RFC 5321 §4.1.2
    let replies = &[
        "220 there\r\n",
        "250-there\r\n250 SIZE 100\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go on\r\n",
        "250 saved\r\n",
    ];
    let wanted =
        AgentDelivery { sender: "\"ann <of> b\"@contoso.com".into(), ..delivery(&["\"a list\"@lists.example"]) };
    let (answers, heard) = answered(replies, &wanted, b"x\r\n").await;
    assert_eq!(answers, [AgentAnswer::Delivered], "{heard}");
    let said = "MAIL FROM:<\"ann <of> b\"@contoso.com> SIZE=3\r\nRCPT TO:<\"a list\"@lists.example>\r\n";
    assert!(heard.contains(said), "{heard}");
    // Of another type it would end the path.
    let wanted = AgentDelivery { recipients: vec![("FAX".into(), "1> <2".into())], ..delivery(&[]) };
    let (answers, heard) = answered(replies, &wanted, b"x\r\n").await;
    assert!(matches!(answers.as_slice(), [AgentAnswer::Failed(_)]) && !heard.contains("RCPT"), "{answers:?} {heard}");
}

#[tokio::test]
async fn what_is_too_large_for_the_server_is_not_sent_to_it() {
    // RFC 1870
    let replies = &["220 there\r\n", "250-there\r\n250 SIZE 10\r\n", "250 ok\r\n"];
    let (answers, heard) = answered(replies, &delivery(&["a@lists.example"]), b"Subject: x\r\n\r\n").await;
    let is_expected = |reply: &Reply| reply.to_string().starts_with("552 5.3.4") && !heard.contains("MAIL");
    assert!(matches!(answers.as_slice(), [AgentAnswer::Failed(reply)] if is_expected(reply)), "{answers:?} {heard}");
}
