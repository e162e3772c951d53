//! Messages and wording; whole submissions are tested against the simulated internet.

use super::*;
use envelope::{ByteSize, Timestamp};
use uuid::Uuid;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

#[test]
fn a_test_message_has_the_header_and_the_size_asked_for() {
    let sender = ReversePath::Address(address("ann@contoso.example"));
    let date = Timestamp::from_millis(1_700_000_000_000);
    let mut message = TestMessage::new("Hello", sender, vec![address("bob@fabrikam.example")], date);
    message.unique = Uuid::from_u128(1);
    message.body_size = ByteSize::kib(3);
    let content = message.content();
    let text = String::from_utf8(content.clone()).unwrap();
    for line in [
        "Message-ID: <00000000-0000-0000-0000-000000000001@client.lab.example>\r\n",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
        "Subject: Hello\r\n",
        "From: <ann@contoso.example>\r\n",
        "To: <bob@fabrikam.example>\r\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let body = text.split_once("\r\n\r\n").unwrap().1;
    assert!((3072..3072 + 3).contains(&body.len()), "{}", body.len());
    assert_eq!(crate::deliveries::message_id(&content), Some(message.message_id()));
}

#[test]
fn a_refusal_of_all_is_transient_if_one_of_them_is() {
    let refused = |code| (address("a@b.example"), Reply::plain(code, "no"));
    let error = ClientError::NoRecipient(vec![refused(550), refused(450)]);
    assert_eq!(error.severity(), Severity::Transient);
    assert_eq!(error.to_string(), "the server refused every recipient; a@b.example: 550 no; a@b.example: 450 no");
}
