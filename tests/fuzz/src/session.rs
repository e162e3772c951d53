//! Whole sessions: the two SMTP machines with shells that accept everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::{Address, Domain, Envelope, MessageId, Receipt, Recipient, ReversePath, ServerName};
use smtp_session::client::{ClientConfig, ClientEvent, CredentialUse, MessageContent, StartTlsUse};
use smtp_session::{ClientSession, ExchangeTls, Logon, ServerConfig, ServerEvent, ServerSession};

/// A client's octets, given to a server in pieces as the first octet says. Every command has one reply, and nothing is said
/// that is not a line.
pub(crate) fn server(input: &[u8]) {
    let config = ServerConfig::new(Domain::parse("mail.contoso.com").unwrap());
    let mut session = ServerSession::new(Arc::new(config), [192, 0, 2, 1].into());
    session.greet("today", Instant::now());
    let (piece, mut rest) = input.split_first().map_or((1, input), |(first, rest)| (usize::from(*first) + 1, rest));
    let mut said = Vec::new();
    loop {
        let given = &rest[..piece.min(rest.len())];
        let taken = session.handle_input(given);
        rest = &rest[taken..];
        let open = answer(&mut session);
        said.extend(session.poll_transmit().into_iter().flatten());
        if !open || rest.is_empty() || taken == 0 {
            break;
        }
    }
    let said = String::from_utf8(said).expect("replies are text");
    assert!(said.is_empty() || said.ends_with("\r\n"), "{said:?}");
    for line in said.split_terminator("\r\n") {
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
        assert!(code.is_some_and(|code| (200..600).contains(&code)), "{line:?}");
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
    }
}

/// Does what the machine asks for. Whether the session goes on.
fn answer(session: &mut ServerSession) -> bool {
    while let Some(event) = session.poll_event() {
        match event {
            ServerEvent::Authenticate(_) | ServerEvent::Mail(_) | ServerEvent::Rcpt(_) | ServerEvent::Begin(_) => {
                session.accept()
            }
            ServerEvent::EndOfData => {
                let server = ServerName::parse("mbx01").unwrap();
                session.end_of_data_accepted(Receipt::after_commit(MessageId::from_bytes([1; 16]), server), "Queued");
            }
            ServerEvent::Chunk(_) | ServerEvent::Reset => {}
            ServerEvent::StartTls => session.tls_established(),
            ServerEvent::Close => return false,
        }
    }
    true
}

/// A server's octets, given to a client that sends one message.
pub(crate) fn client(input: &[u8]) {
    // Every second input meets a client that proves who it is, and wants to be proved to.
    let exchange = input.len() % 2 == 1;
    let config = ClientConfig {
        hello_name: Domain::parse("mail.contoso.com").unwrap(),
        force_helo: false,
        starttls: StartTlsUse::IfOffered,
        logon: exchange.then_some(Logon::Exchange(ExchangeTls::IfOffered)),
        chunking: true,
        credentials_in_clear: CredentialUse::Withheld,
        inactivity_timeout: Duration::from_mins(10),
    };
    let mut session = ClientSession::new(config, Instant::now());
    let recipients = vec![Recipient::new(Address::parse("anna@fabrikam.com").unwrap())];
    let envelope = Envelope::new(ReversePath::Null, recipients);
    for piece in input.chunks(64) {
        session.handle_input(piece);
        while let Some(event) = session.poll_event() {
            match event {
                ClientEvent::StartTls => session.tls_established(CredentialUse::Withheld),
                // A server that says more than it was asked for is not sent anything.
                ClientEvent::Ready if !session.is_ready() => return,
                ClientEvent::Ready => session.send(&envelope, MessageContent::Whole(b"Subject: x\r\n\r\n.\r\n")),
                ClientEvent::Content => {
                    session.content(b"Subject: x\r\n\r\n.\r\n");
                    session.end_content();
                }
                ClientEvent::Challenge(token) if token.len() % 7 == 6 => session.give_up_logon("no"),
                ClientEvent::Challenge(token) => session.respond(&token),
                ClientEvent::LoggedOn(None, _) => session.give_up_logon("nothing is proved"),
                ClientEvent::LoggedOn(Some(_), _) => session.server_proved(),
                ClientEvent::Finished(_) => session.quit(),
                ClientEvent::Failed(_) | ClientEvent::Closed => return,
            }
        }
        let _ = session.poll_transmit();
    }
    session.handle_disconnect();
}
