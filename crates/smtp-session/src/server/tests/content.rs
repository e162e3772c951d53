//! Content over `DATA` and `BDAT`: smuggling, sizes, order.

use envelope::ByteSize;

use super::*;
use crate::lines::BareLineEndings;

const QUEUED: &str = "250 2.6.0 Queued";
const BARE: &str = "550 5.6.11 The message contains a bare CR or LF";
const TOO_LARGE: &str = "552 5.3.4 Message size exceeds fixed maximum message size";
const ORDER: &str = "503 5.5.1 Bad sequence of commands";

/// A desk with a transaction that waits for content.
fn ready(config: ServerConfig) -> Desk {
    let mut desk = Desk::greeted(config);
    desk.hear("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
    desk.heard();
    desk
}

/// Sends `wire` after `DATA`; gives all replies and what was heard after `begin`.
fn data(config: ServerConfig, wire: &str) -> (String, String) {
    let mut desk = ready(config);
    desk.hear("DATA\r\n");
    let said = desk.hear(wire);
    (said.replace("\r\n", "|"), desk.heard().trim_start_matches("begin 1 ").to_owned())
}

#[test]
fn bare_line_endings_never_end_a_message_and_refuse_it_at_its_end() {
    // E2.1: CVE-2023-51764, -51765, -51766.
    for smuggled in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\0.\r\n", "\r\n\r.\r\n", "\r\r\n"]
    {
        let wire = format!("Subject: x\r\n\r\na{smuggled}MAIL FROM:<evil@b.example>\r\nRCPT TO:<x@y.example>\r\n.\r\n");
        let (said, heard) = data(config(), &wire);
        assert_eq!((said, heard.as_str()), (format!("{BARE}|"), "reset "), "{smuggled:?}");
    }
    let (said, _) = data(config(), "a\rb\r\n.\r\nNOOP\r\n");
    assert_eq!(said, format!("{BARE}|250 2.0.0 OK|"), "commands start again after the real end");
}

#[test]
fn or_are_made_crlf_where_the_connector_says_so() {
    let lenient = || ServerConfig { bare_line_endings: BareLineEndings::Normalize, ..config() };
    for (wire, content) in [
        ("a\n.\nb\r\n.\r\n", r"a\r\n.\r\nb\r\n"),
        ("a\n.\r\nb\r\n.\r\n", r"a\r\n.\r\nb\r\n"),
        ("a\rb\r\n..c\r\n.\r\n", r"a\r\nb\r\n.c\r\n"),
    ] {
        let (said, heard) = data(lenient(), wire);
        assert_eq!((said, heard), (format!("{QUEUED}|"), format!("end \"{content}\" ")), "{wire:?}");
    }
}

#[test]
fn sizes_are_judged_by_what_comes_not_by_what_was_said() {
    let small = || ServerConfig { message_size_max: ByteSize::bytes(100), ..config() };
    let mut desk = Desk::greeted(small());
    check(
        &mut desk,
        &[("MAIL FROM:<> SIZE=10\r\nRCPT TO:<a@b.example>\r\n", "250 2.1.0 Sender OK|250 2.1.5 Recipient OK")],
    );
    desk.hear("DATA\r\n");
    let line = format!("{}\r\n", "x".repeat(98));
    assert_eq!(desk.hear(&format!("{line}{line}.\r\n")), format!("{TOO_LARGE}\r\n"));
    assert!(desk.heard().ends_with("reset "));
    let (said, _) = data(small(), &format!("{line}.\r\n"));
    assert_eq!(said, format!("{QUEUED}|"), "equal passes");
    let mut desk = ready(small());
    check(&mut desk, &[("BDAT 60\r\n", ""), (&"x".repeat(60), "250 2.6.0 Chunk received")]);
    check(&mut desk, &[("BDAT 60\r\n", ""), (&"x".repeat(60), TOO_LARGE), ("BDAT 1 LAST\r\nx", ORDER)]);
    check(&mut ready(small()), &[("BDAT 101 LAST\r\nx", TOO_LARGE)]);
}

#[test]
fn a_header_without_end_closes_the_session() {
    let small = ServerConfig { header_size_max: ByteSize::bytes(50), ..config() };
    let (said, heard) = data(small.clone(), &format!("{}.\r\n", "X: y\r\n".repeat(20)));
    assert_eq!((said.as_str(), heard.as_str()), ("552 5.3.4 Header size exceeds fixed maximum size|", "reset close "));
    let (said, _) = data(small, &format!("X: y\r\n\r\n{}.\r\n", "body\r\n".repeat(20)));
    assert_eq!(said, format!("{QUEUED}|"));
}

#[test]
fn chunks() {
    // RFC 3030, E2.3.
    let mut desk = ready(config());
    check(
        &mut desk,
        &[
            ("BDAT 7\r\nX: y\r\n\r", "250 2.6.0 Chunk received"),
            ("RCPT TO:<e@d.example>\r\n", "503 5.5.1 RCPT after BDAT"),
            ("DATA\r\n", "503 5.5.1 DATA after BDAT"),
            ("MAIL FROM:<>\r\n", "503 5.5.2 Sender already specified"),
            ("NOOP\r\n", "250 2.0.0 OK"),
            ("BDAT 3\r\n\n.\r", "250 2.6.0 Chunk received"),
            ("BDAT 1\r\n\n", "250 2.6.0 Chunk received"),
            ("BDAT 0 LAST\r\n", QUEUED),
        ],
    );
    assert_eq!(desk.heard(), "begin 1 end \"X: y\\r\\n\\r\\n.\\r\\n\" ");
}

#[test]
fn chunks_out_of_order_are_swallowed_whole() {
    let mut desk = Desk::greeted(config());
    check(
        &mut desk,
        &[
            ("BDAT 17 LAST\r\nMAIL FROM:<evil>\r", ORDER),
            ("MAIL FROM:<a@b.example>\r\n", "250 2.1.0 Sender OK"),
            ("BDAT 6\r\nNOOP\r\n", ORDER),
            ("RCPT TO:<full@b.example>\r\n", "250 2.1.5 Recipient OK"),
            ("BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n", "452 4.1.1 No space|250 2.0.0 OK"),
        ],
    );
    check(&mut ready(config()), &[("BDAT x\r\nNOOP\r\n", "501 5.5.4 Invalid chunk size"), ("NOOP\r\n", "")]);
}

#[test]
fn a_reset_between_chunks_forgets_them() {
    let mut desk = ready(config());
    check(
        &mut desk,
        &[
            ("BDAT 3\r\nabc", "250 2.6.0 Chunk received"),
            ("RSET\r\n", "250 2.0.0 Resetting"),
            ("BDAT 3 LAST\r\nabc", ORDER),
        ],
    );
    assert_eq!(desk.heard(), "begin 1 reset ");
}

#[test]
fn bare_line_endings_in_chunks_refuse_the_message() {
    for chunks in [
        &[("BDAT 4 LAST\r\na\nb.", BARE)][..],
        &[("BDAT 2\r\na\r", "250 2.6.0 Chunk received"), ("BDAT 1 LAST\r\nb", BARE)],
        &[("BDAT 2\r\na\r", "250 2.6.0 Chunk received"), ("BDAT 0 LAST\r\n", BARE)],
        &[("BDAT 2\r\na\n", BARE), ("BDAT 1 LAST\r\nb", ORDER)],
    ] {
        let mut desk = ready(config());
        check(&mut desk, chunks);
        assert_eq!(desk.heard(), "begin 1 reset ", "{chunks:?}");
        check(&mut desk, &[("NOOP\r\n", "250 2.0.0 OK")]);
    }
}

#[test]
fn content_that_the_shell_refuses_is_taken_to_its_end() {
    let (said, heard) = data(config(), "virus\r\nmore\r\n.\r\nNOOP\r\n");
    assert_eq!((said.as_str(), heard.as_str()), ("550 5.1.1 No thanks|250 2.0.0 OK|", ""));
    check(
        &mut ready(config()),
        &[("BDAT 5 LAST\r\nvirus", "550 5.1.1 No thanks"), ("DATA\r\n", "503 5.5.2 Need mail command")],
    );
}

#[test]
fn data_that_the_shell_refuses_is_never_invited() {
    let mut desk = Desk::greeted(config());
    check(
        &mut desk,
        &[
            ("MAIL FROM:<>\r\nRCPT TO:<full@b.example>\r\n", "250 2.1.0 Sender OK|250 2.1.5 Recipient OK"),
            ("DATA\r\n", "452 4.1.1 No space"),
            ("MAIL FROM:<>\r\n", "250 2.1.0 Sender OK"),
        ],
    );
}
