//! What each command does, and when it may come (RFC 5321 §4.1.4). Reply texts are the documented ones.

use std::net::IpAddr;

use bytes::BytesMut;
use envelope::{Envelope, Limit, Reply};
use zeroize::Zeroize;

use super::authentication;
use super::config::{AuthOffer, UnauthorizedPipelining};
use super::hello::{self, Standing};
use super::session::{Awaiting, Framing, LineFault, Phase, ServerEvent, ServerSession, Transaction};
use crate::command::parameters::{OwnNames, parse_recipient};
use crate::command::{self, Command, CommandError, MailCommand};
use crate::reply::parse_static;

const HELLO_FIRST: &str = "503 5.5.2 Send hello first";

impl ServerSession {
    /// Takes one command out of the input; gives whether there was one.
    pub(super) fn take_command(&mut self) -> bool {
        let long = self.config.extensions.long_addresses;
        let Some(line) = self.next_line(|line| command::line_octets_max(line, long)) else { return false };
        self.words.replies(&self.output);
        match line {
            Ok(mut line) => {
                self.words.command(&line);
                self.command_line(&line);
                // The line of `AUTH` may hold a password.
                if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"AUTH") {
                    line[..].zeroize();
                }
            }
            Err(fault) => {
                self.words.withheld();
                self.line_fault(&fault);
            }
        }
        true
    }

    fn command_line(&mut self, line: &BytesMut) {
        // Old devices have names in Latin-1.
        let lossy = command::is_hello(line).then(|| String::from_utf8_lossy(line));
        let line = lossy.as_ref().map_or(&line[..], |text| text.as_bytes());
        match command::text(line).and_then(Command::parse) {
            Ok(command) => self.command(command),
            Err(CommandError::Characters) => self.protocol_error("501 5.5.2 Invalid characters in command"),
            Err(CommandError::Unknown) => self.protocol_error("500 5.3.3 Unrecognized command"),
            Err(CommandError::Argument) => self.protocol_error("501 5.5.4 Invalid arguments"),
            Err(CommandError::ChunkSize) => self.close_with("501 5.5.4 Invalid chunk size"),
        }
    }

    fn command(&mut self, command: Command<'_>) {
        match command {
            Command::Ehlo(name) => self.hello(name, true),
            Command::Helo(name) => self.hello(name, false),
            Command::Mail(text) => self.mail(text),
            Command::Rcpt(text) => self.rcpt(text),
            Command::Data => self.data(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Rset => {
                self.abort_transaction();
                self.write_static("250 2.0.0 Resetting");
            }
            Command::Noop => self.write_static("250 2.0.0 OK"),
            Command::Quit => self.close_with("221 2.0.0 Service closing transmission channel"),
            Command::Vrfy => self.write_static("252 2.1.5 Cannot VRFY user, but will take message and attempt delivery"),
            Command::Expn => self.protocol_error("502 5.3.3 Command not implemented"),
            Command::Help => self.write(&Reply::plain(
                214,
                "This server supports the following commands:\nHELO EHLO STARTTLS RCPT DATA RSET MAIL QUIT HELP AUTH VRFY NOOP BDAT",
            )),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
        }
    }

    /// RFC 2920 §3.1: some commands must be the last of their group. Gives whether the session is over.
    pub(super) fn sent_too_early(&mut self) -> bool {
        let refused = self.config.unauthorized_pipelining == UnauthorizedPipelining::Refuse && !self.input.is_empty();
        if refused {
            self.close_with("554 5.5.0 Unauthorized pipelining");
        }
        refused
    }

    fn hello(&mut self, name: &str, extended: bool) {
        if self.sent_too_early() {
            return;
        }
        let Some(name) = hello::kept_name(name) else {
            return self.protocol_error("501 5.5.4 Invalid domain name");
        };
        self.abort_transaction();
        self.hello = Some(name);
        self.extended = extended;
        let peer: IpAddr = self.peer.to_canonical();
        if extended {
            let standing = Standing { under_tls: self.under_tls, authenticated: self.user.is_some() };
            hello::write_ehlo_reply(&self.config, peer, &standing, &mut self.output);
        } else {
            self.write(&Reply::plain(250, format!("{} Hello [{peer}]", self.config.hostname)));
        }
    }

    fn mail(&mut self, text: &str) {
        if self.hello.is_none() {
            return self.protocol_error(HELLO_FIRST);
        }
        if self.config.require_tls && !self.under_tls {
            return self.protocol_error("530 5.7.0 Must issue a STARTTLS command first");
        }
        if self.transaction.is_some() {
            return self.protocol_error("503 5.5.2 Sender already specified");
        }
        let mail = match MailCommand::parse(text, &self.config.extensions) {
            Ok(mail) => mail,
            Err(error) => return self.counted_error(&error.mail_reply()),
        };
        // RFC 1870 §6.1: refused before it is sent, if the client tells.
        if mail.size.is_some_and(|size| size > self.config.message_size_max.as_u64()) {
            return self.write_static("552 5.3.4 Message size exceeds fixed maximum message size");
        }
        self.awaiting = Some(Awaiting::Mail(mail.clone()));
        self.events.push_back(ServerEvent::Mail(mail));
    }

    fn rcpt(&mut self, text: &str) {
        if self.content.is_some() {
            return self.protocol_error("503 5.5.1 RCPT after BDAT");
        }
        let Some(Transaction { mail, recipients }) = &self.transaction else {
            return self.protocol_error("503 5.5.2 Need mail command");
        };
        // RC-50: the rest of the message goes on.
        if recipients.len() >= self.config.recipients_max as usize {
            return self.write_static("452 4.5.3 Too many recipients");
        }
        let own = OwnNames { postmaster_domain: &self.config.postmaster_domain, address: self.local };
        let parsed = parse_recipient(text, &self.config.extensions, mail.smtputf8, own);
        match parsed {
            Ok(recipient) => {
                self.awaiting = Some(Awaiting::Rcpt(recipient.clone()));
                self.events.push_back(ServerEvent::Rcpt(recipient));
            }
            Err(error) => self.counted_error(&error.rcpt_reply()),
        }
    }

    fn data(&mut self) {
        if self.sent_too_early() {
            return;
        }
        if self.content.is_some() {
            return self.protocol_error("503 5.5.1 DATA after BDAT");
        }
        match &self.transaction {
            None => self.protocol_error("503 5.5.2 Need mail command"),
            Some(transaction) if transaction.recipients.is_empty() => {
                self.protocol_error("503 5.5.2 Need rcpt command");
            }
            Some(_) => self.begin(Framing::Data),
        }
    }

    fn bdat(&mut self, size: u64, last: bool) {
        // Its octets come whatever we think of the command: take them, or commands could be hidden in them.
        if size > self.config.message_size_max.as_u64() {
            return self.close_with("552 5.3.4 Message size exceeds fixed maximum message size");
        }
        if self.content.is_some() {
            self.phase = Phase::Chunk { remaining: size, last, refusal: None };
            return;
        }
        let ready = self.transaction.as_ref().is_some_and(|transaction| !transaction.recipients.is_empty());
        if ready && self.config.extensions.chunking {
            return self.begin(Framing::Chunk { size, last });
        }
        if self.count_error() {
            let refusal = Some(parse_static("503 5.5.1 Bad sequence of commands"));
            self.phase = Phase::Chunk { remaining: size, last, refusal };
        }
    }

    fn begin(&mut self, framing: Framing) {
        let transaction = self.transaction.as_mut().expect("content belongs to a transaction");
        let mail = &transaction.mail;
        let envelope = Envelope {
            reverse_path: mail.reverse_path.clone(),
            recipients: std::mem::take(&mut transaction.recipients),
            body: mail.body,
            smtputf8: mail.smtputf8,
            dsn_return: mail.dsn_return,
            envelope_id: mail.envelope_id.clone(),
        };
        self.awaiting = Some(Awaiting::Begin(framing));
        self.events.push_back(ServerEvent::Begin(envelope));
    }

    fn start_tls(&mut self) {
        if !self.config.starttls {
            return self.protocol_error("500 5.3.3 Unrecognized command");
        }
        if self.under_tls || self.hello.is_none() || self.transaction.is_some() {
            return self.protocol_error("503 5.5.1 Bad sequence of commands");
        }
        // CVE-2011-0411: what was sent in clear must not be taken for something sent under TLS. Never tolerated.
        if !self.input.is_empty() {
            return self.close_with("554 5.5.0 Unauthorized pipelining after STARTTLS");
        }
        self.write_static("220 2.0.0 SMTP server ready");
        self.phase = Phase::Handshake;
        self.events.push_back(ServerEvent::StartTls);
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if self.hello.is_none() {
            return self.protocol_error(HELLO_FIRST);
        }
        match self.config.auth {
            AuthOffer::Never => return self.protocol_error("500 5.3.3 Unrecognized command"),
            AuthOffer::UnderTls if !self.under_tls => {
                return self.protocol_error("538 5.7.11 Encryption required for requested authentication mechanism");
            }
            _ => {}
        }
        if self.user.is_some() || self.transaction.is_some() {
            return self.protocol_error("503 5.5.1 Bad sequence of commands");
        }
        match authentication::begin(mechanism, initial) {
            Some(step) => self.authentication_step(step),
            None => self.protocol_error("504 5.7.4 Unrecognized authentication type"),
        }
    }

    /// Forgets the transaction; the shell hears of it if it knew of one.
    fn abort_transaction(&mut self) {
        self.content = None;
        if self.transaction.take().is_some() {
            self.events.push_back(ServerEvent::Reset);
        }
    }

    pub(super) fn line_fault(&mut self, fault: &LineFault) {
        self.protocol_error(match fault {
            LineFault::TooLong => "500 5.5.2 Line too long",
            LineFault::BareLineFeed => "500 5.5.2 Line does not end in CRLF",
        });
    }

    pub(super) fn protocol_error(&mut self, line: &'static str) {
        self.counted_error(&parse_static(line));
    }

    fn counted_error(&mut self, reply: &Reply) {
        if self.count_error() {
            self.write(reply);
        }
    }

    /// Counts a protocol error; gives whether the session goes on (`MaxProtocolErrors`).
    fn count_error(&mut self) -> bool {
        self.errors = self.errors.saturating_add(1);
        let allowed = match self.config.protocol_errors_max {
            Limit::At(limit) => self.errors <= limit,
            Limit::Unlimited => true,
        };
        if !allowed {
            self.close_with("421 4.7.0 Too many errors on this connection, closing transmission channel");
        }
        allowed
    }
}
