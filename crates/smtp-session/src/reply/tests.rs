//! Replies of careful, careless and hostile servers.

use proptest::prelude::*;

use super::*;

fn parse(wire: &[u8]) -> Result<Option<Reply>, ReplyError> {
    ReplyParser::default().parse(&mut BytesMut::from(wire))
}

#[test]
fn single_and_multiple_lines() {
    for (wire, shown) in [
        ("250 2.1.5 Recipient OK\r\n", "250 2.1.5 Recipient OK"),
        ("250\r\n", "250"),
        ("250-bare line feeds\n250 are taken\n", "250 bare line feeds / are taken"),
        ("250 \r\n", "250"),
        ("550-5.1.1 No such user\r\n550 5.1.1 here\r\n", "550 5.1.1 No such user / here"),
        ("250-mail.example Hello\r\n250-SIZE\r\n250 HELP\r\n", "250 mail.example Hello / SIZE / HELP"),
        ("250 5.1.1 class does not agree\r\n", "250 5.1.1 class does not agree"),
        ("550 5.1.1 tab\tand \u{1b}[31m colour\r\n", "550 5.1.1 tab?and ?[31m colour"),
        ("450 2001.db8.1 no status\r\n", "450 2001.db8.1 no status"),
    ] {
        let reply = parse(wire.as_bytes()).unwrap().unwrap();
        assert_eq!(reply.to_string(), shown);
    }
    assert_eq!(parse(b"250 5.1.1 class does not agree\r\n").unwrap().unwrap().status, None);
}

#[test]
fn hostile_servers_meet_a_bound() {
    for (wire, error) in [
        ("banana\r\n".to_owned(), ReplyError::Code),
        ("999 no\r\n".to_owned(), ReplyError::Code),
        ("100 no\r\n".to_owned(), ReplyError::Code),
        ("25\r\n".to_owned(), ReplyError::Code),
        ("250_x\r\n".to_owned(), ReplyError::Code),
        ("250-a\r\n550 b\r\n".to_owned(), ReplyError::Mixed),
        ("2".repeat(REPLY_LINE_OCTETS_MAX), ReplyError::LineTooLong),
        (format!("250 {}\r\n", "x".repeat(10 << 20)), ReplyError::LineTooLong),
        ("250-again\r\n".repeat(REPLY_LINES_MAX + 1), ReplyError::TooLong),
        (format!("250-{}\r\n", "x".repeat(4000)).repeat(9), ReplyError::TooLong),
    ] {
        assert_eq!(parse(wire.as_bytes()), Err(error));
    }
    assert_eq!(parse(b"250-more\r\n25"), Ok(None));
}

#[test]
fn writing_cannot_break_out_of_a_line() {
    let mut out = BytesMut::new();
    let reply = Reply::new(550, EnhancedStatus::new(5, 1, 1), "a\rb\n250 injected\0");
    write(&reply, StatusCodes::Written, &mut out);
    assert_eq!(&out[..], b"550-5.1.1 a?b\r\n550 5.1.1 250 injected?\r\n");
    out.clear();
    write(&reply, StatusCodes::LeftOut, &mut out);
    assert_eq!(&out[..], b"550-a?b\r\n550 250 injected?\r\n");
}

proptest! {
    #[test]
    fn any_octets_in_any_split_parse_alike(
        wire in proptest::collection::vec(prop_oneof![Just(b'2'), Just(b'5'), Just(b'-'), Just(b' '), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..60),
        cut in 0usize..60,
    ) {
        let collect = |pieces: &[&[u8]]| {
            let (mut parser, mut input, mut seen) = (ReplyParser::default(), BytesMut::new(), Vec::new());
            for piece in pieces {
                input.extend_from_slice(piece);
                loop {
                    match parser.parse(&mut input) {
                        Ok(Some(reply)) => seen.push(Ok(reply)),
                        Ok(None) => break,
                        Err(error) => { seen.push(Err(error)); return seen; }
                    }
                }
            }
            seen
        };
        let (head, tail) = wire.split_at(cut.min(wire.len()));
        prop_assert_eq!(collect(&[&wire]), collect(&[head, tail]));
    }

    #[test]
    fn what_is_written_is_read(code in 200u16..600, text in "[ -~ü]{0,30}(\n[ -~]{0,30}){0,3}") {
        let reply = Reply::plain(code, text);
        let mut wire = BytesMut::new();
        write(&reply, StatusCodes::Written, &mut wire);
        let read = ReplyParser::default().parse(&mut wire).unwrap().unwrap();
        // A text that happens to start with a status is read as one.
        if read.status.is_none() {
            prop_assert_eq!(read, reply);
        }
    }
}
