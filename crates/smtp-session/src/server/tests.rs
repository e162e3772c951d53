//! Tables of dialogues with the server machine: what is sent, what comes back, what the shell hears.

mod content;
mod dialogue;
mod fuzz;
mod time;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use envelope::{Domain, EnhancedStatus, MessageId, Receipt, Reply, ServerName};

use super::*;

pub(super) fn config() -> ServerConfig {
    ServerConfig {
        starttls: true,
        auth: AuthOffer::UnderTls,
        tarpit_interval: Duration::ZERO,
        auth_tarpit_interval: Duration::ZERO,
        ..ServerConfig::new(Domain::parse("mail.contoso.com").unwrap())
    }
}

fn no(code: u16, text: &str) -> Reply {
    Reply::new(code, EnhancedStatus::new(u8::try_from(code / 100).unwrap(), 1, 1), text)
}

/// A machine with a shell that accepts nearly everything and writes down what it hears.
pub(super) struct Desk {
    pub session: ServerSession,
    pub heard: String,
    pub content: Vec<u8>,
    pub said: Vec<u8>,
    pub started: Instant,
}

impl Desk {
    pub(super) fn new(config: ServerConfig) -> Self {
        let mut session = ServerSession::new(Arc::new(config), [192, 0, 2, 1].into());
        let started = Instant::now();
        session.greet("today", started);
        let mut desk = Self { session, heard: String::new(), content: Vec::new(), said: Vec::new(), started };
        assert!(desk.hear("").starts_with("220 mail.contoso.com "));
        desk
    }

    /// Past EHLO.
    pub(super) fn greeted(config: ServerConfig) -> Self {
        let mut desk = Self::new(config);
        desk.hear("EHLO client.example\r\n");
        desk
    }

    /// Gives `input` as one segment; answers with what is transmitted.
    pub(super) fn hear(&mut self, input: &str) -> String {
        self.hear_octets(input.as_bytes())
    }

    pub(super) fn hear_octets(&mut self, mut input: &[u8]) -> String {
        loop {
            let taken = self.session.handle_input(input);
            input = &input[taken..];
            self.work();
            if input.is_empty() || taken == 0 {
                break;
            }
        }
        String::from_utf8(std::mem::take(&mut self.said)).unwrap()
    }

    pub(super) fn heard(&mut self) -> String {
        std::mem::take(&mut self.heard)
    }

    fn work(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.note(&event);
            match event {
                ServerEvent::Authenticate(credentials) if credentials.secret.expose() != b"secret" => {
                    self.session.reject(no(535, "Authentication unsuccessful"));
                }
                ServerEvent::Rcpt(recipient) if recipient.address.local_part() == "unknown" => {
                    self.session.reject(no(550, "User unknown"));
                }
                ServerEvent::Rcpt(recipient) if recipient.address.local_part() == "later" => {
                    self.session.reject(no(451, "Not now"));
                }
                ServerEvent::Begin(envelope) if envelope.recipients[0].address.local_part() == "full" => {
                    self.session.reject(no(452, "No space"));
                }
                ServerEvent::Authenticate(_) | ServerEvent::Mail(_) | ServerEvent::Rcpt(_) | ServerEvent::Begin(_) => {
                    self.session.accept()
                }
                ServerEvent::Chunk(chunk) => {
                    self.content.extend_from_slice(&chunk);
                    if chunk.starts_with(b"virus") {
                        self.session.refuse_content(no(550, "No thanks"));
                    }
                }
                ServerEvent::EndOfData => {
                    let server = ServerName::parse("mbx01").unwrap();
                    let receipt = Receipt::after_commit(MessageId::from_bytes([1; 16]), server);
                    self.session.end_of_data_accepted(receipt, "Queued");
                }
                ServerEvent::Reset | ServerEvent::StartTls | ServerEvent::Close => {}
            }
        }
        if let Some(octets) = self.session.poll_transmit() {
            self.said.extend_from_slice(&octets);
        }
    }

    fn note(&mut self, event: &ServerEvent) {
        let written = match event {
            ServerEvent::Authenticate(credentials) => write!(self.heard, "auth {} ", credentials.user),
            ServerEvent::Mail(mail) => write!(self.heard, "mail <{}> ", mail.reverse_path),
            ServerEvent::Rcpt(recipient) => write!(self.heard, "rcpt {} ", recipient.address),
            ServerEvent::Begin(envelope) => write!(self.heard, "begin {} ", envelope.recipients.len()),
            // Where one chunk ends and the next begins is no matter.
            ServerEvent::Chunk(_) => Ok(()),
            ServerEvent::EndOfData => {
                write!(self.heard, "end {:?} ", String::from_utf8_lossy(&std::mem::take(&mut self.content)))
            }
            ServerEvent::Reset => write!(self.heard, "reset "),
            ServerEvent::StartTls => write!(self.heard, "tls "),
            ServerEvent::Close => write!(self.heard, "close "),
        };
        written.unwrap();
        if matches!(event, ServerEvent::Reset | ServerEvent::Close) {
            self.content.clear();
        }
    }
}

/// Each line of `table` is sent as one segment and must get exactly the reply.
pub(super) fn check(desk: &mut Desk, table: &[(&str, &str)]) {
    for (input, reply) in table {
        let said = desk.hear(input);
        assert_eq!(said.trim_end_matches("\r\n").replace("\r\n", "|"), *reply, "to {input:?}");
    }
}
