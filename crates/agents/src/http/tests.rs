//! What a server answers, and what becomes of it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn delivery(recipients: &[&str]) -> AgentDelivery {
    AgentDelivery {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        connector: "MOBILE".into(),
        sender: "ann@contoso.com".into(),
        recipients: recipients.iter().map(|address| ("MOBILE".into(), (*address).into())).collect(),
        size: 0,
        eight_bit_mime: false,
        smtputf8: false,
        trace: None,
    }
}

const CONTENT: &[u8] = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nsee you at eight\r\n";

/// A server that answers one request so, and what it was asked.
async fn answered(answer: &'static str, secret: Option<&[u8]>, recipients: &[&str]) -> (Vec<AgentAnswer>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = HttpPlace::of(&format!("http://{}/sms?key=1", listener.local_addr().unwrap())).unwrap();
    let hearing = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        loop {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            heard.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&heard).into_owned();
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                body.len() >= length.parse::<usize>().unwrap()
            });
            if whole || read == 0 {
                stream.write_all(answer.as_bytes()).await.unwrap();
                return text;
            }
        }
    });
    let agent = Http {
        place,
        resolver: Resolver::system().unwrap(),
        tls: TlsClient::new(net::tls::TrustedRoots::none()),
        secret: secret.map(|secret| zeroize::Zeroizing::new(secret.to_vec())),
    };
    let answers = agent.deliver(&delivery(recipients), Bytes::from_static(CONTENT)).await;
    (answers, hearing.await.unwrap())
}

#[tokio::test]
async fn a_message_is_one_signed_document() {
    let (answers, heard) = answered("HTTP/1.1 204 No Content\r\n\r\n", Some(b"secret"), &["+49301", "+49302"]).await;
    assert_eq!(answers, [AgentAnswer::Delivered, AgentAnswer::Delivered]);
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /sms?key=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("idempotency-key: 01890a5d-ac96-774b-bcce-b302099a8057"), "{head}");
    let digest: String = keyed_digest(b"secret", body.as_bytes()).iter().map(|octet| format!("{octet:02x}")).collect();
    assert!(head.contains(&format!("postroad-signature: sha256={digest}")), "{head}");
    let said: Value = serde_json::from_str(body).unwrap();
    assert_eq!(said["recipients"][1], serde_json::json!({"type": "MOBILE", "address": "+49302"}));
    assert_eq!((said["subject"].as_str(), said["text"].as_str()), (Some("Grüße"), Some("see you at eight\r\n")));
    assert_eq!(BASE64.decode(said["message"].as_str().unwrap()).unwrap(), CONTENT);
    assert_eq!(said["sender"], "ann@contoso.com");
}

#[tokio::test]
async fn what_a_server_answers_is_delivered_tried_again_or_reported() {
    let again = |answer: &AgentAnswer| matches!(answer, AgentAnswer::Later(reply) if reply.code == 450);
    for status in ["408 A", "425 A", "429 A", "500 A", "503 A"] {
        let answer: &'static str = format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\nbusy").leak();
        let (answers, _) = answered(answer, None, &["1"]).await;
        assert!(again(&answers[0]), "{status}: {answers:?}");
        let AgentAnswer::Later(reply) = &answers[0] else { unreachable!() };
        assert!(reply.text.contains("busy"), "{reply}");
    }
    for status in ["301 A", "400 A", "403 A", "404 A"] {
        let answer: &'static str = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").leak();
        let (answers, _) = answered(answer, None, &["1"]).await;
        assert!(matches!(&answers[0], AgentAnswer::Failed(reply) if reply.code == 550), "{status}: {answers:?}");
    }
    // One for each recipient.
    let body = r#"{"recipients": [{"outcome": "delivered"}, {"outcome": "later", "text": "roaming"}, {"outcome": "failed", "status": "5.1.1", "text": "no such number"}]}"#;
    let answer: &'static str = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).leak();
    let (answers, _) = answered(answer, None, &["1", "2", "3"]).await;
    assert!(answers[0] == AgentAnswer::Delivered && again(&answers[1]), "{answers:?}");
    let AgentAnswer::Failed(reply) = &answers[2] else { panic!("{answers:?}") };
    assert_eq!(reply.to_string(), "550 5.1.1 no such number");
    // It speaks of others, as one does that knows the id of a longer list: who failed is not known.
    let (answers, _) = answered(answer, None, &["1"]).await;
    assert!(again(&answers[0]), "{answers:?}");
    // Nobody is there.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let agent = Http {
        place: HttpPlace::of(&format!("http://{nobody}/")).unwrap(),
        resolver: Resolver::system().unwrap(),
        tls: TlsClient::new(net::tls::TrustedRoots::none()),
        secret: None,
    };
    assert!(again(&agent.deliver(&delivery(&["1"]), Bytes::from_static(CONTENT)).await[0]));
}

#[test]
fn what_is_meant_as_outcomes_is_never_taken_for_a_mere_yes() {
    let of = |body: &str| {
        let answer = HttpAnswer { status: 200, body: Bytes::copy_from_slice(body.as_bytes()) };
        match outcomes(&answer, 1).remove(0) {
            AgentAnswer::Delivered => "delivered".to_owned(),
            AgentAnswer::Later(reply) | AgentAnswer::Failed(reply) => reply.to_string(),
        }
    };
    for (body, expected) in [
        (r#"{"recipients": [{"outcome": "failed", "text": null}]}"#, "550 5.0.0"),
        (r#"{"recipients": [{"outcome": "FAILED", "status": 511, "text": "no\u0000\r\n x"}]}"#, "550 5.0.0 no x"),
        (r#"{"recipients": [{"outcome": "failed", "status": "2.0.0"}]}"#, "550 5.0.0"),
        (r#"{"recipients": [{"outcome": "later", "status": "4.2.2", "more": []}], "id": 7}"#, "450 4.2.2"),
        (r#"{"recipients": [{"outcome": "rejected"}]}"#, "450 4.4.2 its outcome is no word that is known here"),
        (r#"{"recipients": [{"outcome": null}]}"#, "450 4.4.2 its outcome is no word that is known here"),
        (r#"{"recipients": [{"outcome": "delivered"}, {}]}"#, "450 4.4.2 it spoke of 2 recipients of 1"),
        // It says something else.
        (r#"{"recipients": ["+49301234567"]}"#, "delivered"),
        (r#"{"recipients": []}"#, "delivered"),
        (r#"{"status": "queued"}"#, "delivered"),
        ("[1, 2]", "delivered"),
        ("<html>", "delivered"),
        ("", "delivered"),
    ] {
        assert!(of(body).trim_end().starts_with(expected), "{body}: {}", of(body));
    }
}
