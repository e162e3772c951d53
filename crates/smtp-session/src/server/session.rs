//! The machine itself: buffers, events and answers. What each command does is in [`super::commands`].

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use envelope::{Envelope, Receipt, Recipient, Reply, Severity};
use memchr::memchr;
use zeroize::Zeroize;

use super::authentication::{Exchange, Step};
use super::config::{ServerConfig, UnauthorizedPipelining};
use super::content::Content;
use crate::command::MailCommand;
use crate::credentials::Credentials;
use crate::dot::Unstuffer;
use crate::limits::{AUTH_LINE_OCTETS_MAX, INPUT_OCTETS_MAX};
use crate::reply::{self, StatusCodes, parse_static};
use crate::spoken::{KeptWords, Spoken};

/// So many refused senders and recipients of a session without authentication are answered at once; people mistype.
const REFUSALS_FREE: u32 = 2;
/// So many end it. Lists with more stale addresses come in several sessions.
const REFUSALS_MAX: u32 = 100;

/// Octets read at once while commands are expected: a whole small message with its commands fits.
const COMMAND_INPUT_OCTETS: usize = 8 * 1024;

/// What the shell has to know or to answer.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// Answer with [`ServerSession::accept`] or [`ServerSession::reject`].
    Authenticate(Credentials),
    /// A transaction starts. Answer with `accept` or `reject`.
    Mail(MailCommand),
    /// Answer with `accept` or `reject`.
    Rcpt(Recipient),
    /// Content is about to come. Answer with `accept` or `reject`; after `reject` the transaction is over.
    Begin(Envelope),
    /// Content, dots unstuffed, in order. No answer; [`ServerSession::refuse_content`] stops it.
    Chunk(Bytes),
    /// Answer with [`ServerSession::end_of_data_accepted`] or [`ServerSession::end_of_data_rejected`].
    EndOfData,
    /// The transaction that was begun with `Mail` is over without end-of-data. No answer.
    Reset,
    /// Transmit, take the connection through the handshake, then call [`ServerSession::tls_established`].
    StartTls,
    /// Transmit, then close the connection.
    Close,
}

/// What the machine is doing.
#[derive(Debug)]
pub(super) enum Phase {
    Connected,
    Command,
    Authenticating(Exchange),
    Data(Unstuffer),
    /// Within a `BDAT` chunk; with a refusal its octets are dropped and the refusal is the reply.
    Chunk {
        remaining: u64,
        last: bool,
        refusal: Option<Reply>,
    },
    ContentEnd,
    Handshake,
    Closed,
}

/// How content will come after [`ServerEvent::Begin`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    Data,
    Chunk { size: u64, last: bool },
}

/// The answer that is outstanding.
#[derive(Debug)]
pub(super) enum Awaiting {
    Authentication { user: Box<str> },
    Mail(MailCommand),
    Rcpt(Recipient),
    Begin(Framing),
    EndOfData,
}

/// `MAIL` and its accepted `RCPT`s.
#[derive(Debug)]
pub(super) struct Transaction {
    pub mail: MailCommand,
    pub recipients: Vec<Recipient>,
}

/// What the session knows of time. It reads no clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    started: Option<Instant>,
    /// When the client was last heard.
    heard: Option<Instant>,
    held: Option<Held>,
}

/// A reply that is held back.
#[derive(Clone, Copy, Debug)]
enum Held {
    For(Duration),
    Until(Instant),
}

impl Held {
    fn until(&mut self, now: Instant) -> Instant {
        match *self {
            Self::Until(until) => until,
            Self::For(delay) => {
                *self = Self::Until(now + delay);
                now + delay
            }
        }
    }
}

impl Clock {
    fn session_end(&self, config: &ServerConfig) -> Option<Instant> {
        self.started.map(|started| started + config.session_timeout)
    }

    fn hold(&mut self, delay: Duration) {
        let longest = match self.held {
            Some(Held::For(before)) => before.max(delay),
            Some(Held::Until(_)) | None => delay,
        };
        if !longest.is_zero() {
            self.held = Some(Held::For(longest));
        }
    }
}

/// One inbound connection.
pub struct ServerSession {
    pub(super) config: Arc<ServerConfig>,
    pub(super) peer: IpAddr,
    /// The address at which the client came in.
    pub(super) local: Option<IpAddr>,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    pub(super) events: VecDeque<ServerEvent>,
    pub(super) phase: Phase,
    pub(super) awaiting: Option<Awaiting>,
    pub(super) hello: Option<Box<str>>,
    /// The name was given with `EHLO`.
    pub(super) extended: bool,
    pub(super) under_tls: bool,
    pub(super) user: Option<Box<str>>,
    pub(super) transaction: Option<Transaction>,
    /// Set from [`ServerEvent::Begin`] to the end of the message.
    pub(super) content: Option<Content>,
    pub(super) errors: u32,
    pub(super) logon_failures: u32,
    /// Answers of the shell that refused a sender or a recipient.
    pub(super) refusals: u32,
    pub(super) clock: Clock,
    pub(super) words: KeptWords,
    /// Octets at the start of the input that hold no line end.
    searched: usize,
    /// The rest of an overlong line is being dropped.
    skipping_line: bool,
}

impl fmt::Debug for ServerSession {
    /// Without the buffers: passwords pass through them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession").field("peer", &self.peer).field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// Why a line is not looked at.
pub(super) enum LineFault {
    TooLong,
    BareLineFeed,
}

impl ServerSession {
    /// A session with `peer`; [`Self::greet`] starts it.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>, peer: IpAddr) -> Self {
        Self {
            config,
            peer,
            local: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            events: VecDeque::new(),
            phase: Phase::Connected,
            awaiting: None,
            hello: None,
            extended: false,
            under_tls: false,
            user: None,
            transaction: None,
            content: None,
            errors: 0,
            logon_failures: 0,
            refusals: 0,
            clock: Clock::default(),
            words: KeptWords::default(),
            searched: 0,
            skipping_line: false,
        }
    }

    /// The address at which the client came in: that literal is a domain of ours (RFC 5321 §4.1.3).
    #[must_use]
    pub fn at(self, local: IpAddr) -> Self {
        Self { local: Some(local.to_canonical()), ..self }
    }

    /// Keeps what is said, for [`Self::poll_spoken`].
    pub fn keep_words(&mut self) {
        self.words.keep();
    }

    /// The next command or reply, if they are kept. To be asked after each event and before each transmission.
    pub fn poll_spoken(&mut self) -> Option<Spoken> {
        self.words.next()
    }

    /// The same on a connection that is under TLS from its first octet (RFC 8314 §3.3). Before [`Self::greet`].
    #[must_use]
    pub fn under_tls(self) -> Self {
        Self { under_tls: true, ..self }
    }

    /// Sends the banner; `date` stands in the default one, in the form of RFC 5322. A client that has already talked is
    /// sent away (unless tolerated).
    pub fn greet(&mut self, date: &str, now: Instant) {
        self.clock.started = Some(now);
        self.clock.heard = Some(now);
        let tolerated = self.config.unauthorized_pipelining == UnauthorizedPipelining::Tolerate;
        if !self.input.is_empty() && !tolerated {
            return self.close_with("554 5.5.0 Client talked before the greeting");
        }
        let text: Box<str> = match &self.config.banner {
            Some(banner) => banner.clone(),
            None => format!("{} ESMTP MAIL Service ready at {date}", self.config.hostname).into(),
        };
        self.phase = Phase::Command;
        self.write(&Reply::plain(220, text));
    }

    /// Where the shell reads to; `None` while the machine wants no input. Reading more than the spare capacity at once
    /// would defeat the bound.
    pub fn input_space(&mut self) -> Option<&mut BytesMut> {
        let wanted = match self.phase {
            Phase::Data(_) | Phase::Chunk { .. } => INPUT_OCTETS_MAX,
            _ => COMMAND_INPUT_OCTETS,
        };
        if !self.wants_input() {
            return None;
        }
        if self.input.capacity() - self.input.len() < wanted / 2 {
            self.input.reserve(wanted);
        }
        Some(&mut self.input)
    }

    /// Something was read, at `now`. The session ends in its time even while octets flow (`ConnectionTimeout`).
    pub fn handle_read(&mut self, now: Instant) {
        self.clock.heard = Some(now);
        if self.clock.session_end(&self.config).is_some_and(|end| now >= end) {
            self.time_out();
        }
    }

    /// Takes octets from a buffer of the caller; gives how many, at most [`INPUT_OCTETS_MAX`] being held.
    pub fn handle_input(&mut self, octets: &[u8]) -> usize {
        if !self.wants_input() {
            return 0;
        }
        let count = octets.len().min(INPUT_OCTETS_MAX.saturating_sub(self.input.len()));
        self.input.put_slice(&octets[..count]);
        count
    }

    fn wants_input(&self) -> bool {
        self.awaiting.is_none()
            && self.events.is_empty()
            && self.clock.held.is_none()
            && !matches!(self.phase, Phase::Handshake | Phase::Closed)
    }

    /// The next thing to do. `None` means: transmit, then read or wait for the outstanding answer.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.awaiting.is_some() || self.clock.held.is_some() {
                return None;
            }
            let progress = match &mut self.phase {
                Phase::Connected | Phase::Handshake | Phase::Closed => false,
                Phase::Command => self.take_command(),
                Phase::Authenticating(_) => self.take_response(),
                Phase::Data(_) => self.take_data(),
                Phase::Chunk { .. } => self.take_chunk(),
                Phase::ContentEnd => {
                    self.end_content();
                    true
                }
            };
            if !progress {
                return None;
            }
        }
    }

    /// Octets to send, all there are. Nothing while a reply is held back.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        if self.clock.held.is_some() {
            return None;
        }
        self.words.replies(&self.output);
        self.words.transmitted();
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    /// When [`Self::handle_timeout`] is next to be called, as long as nothing else happens. `None` while an answer is
    /// outstanding. The wait of a reply that is held back begins with the first call.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        if let Some(held) = &mut self.clock.held {
            return Some(held.until(now));
        }
        if self.awaiting.is_some() || !self.events.is_empty() || matches!(self.phase, Phase::Handshake | Phase::Closed)
        {
            return None;
        }
        let silence = self.clock.heard.map(|heard| heard + self.config.inactivity_timeout);
        silence.into_iter().chain(self.clock.session_end(&self.config)).min()
    }

    /// Lets a reply go that was held back, or ends a session whose client kept silent too long or that as a whole has lasted
    /// too long. Nothing before the time of [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout(now).is_none_or(|due| now < due) {
            return;
        }
        // Whoever waited for a reply has not been silent.
        match self.clock.held.take() {
            Some(_) => self.clock.heard = Some(now),
            None => self.time_out(),
        }
    }

    fn time_out(&mut self) {
        self.close_with("421 4.4.2 Connection timed out");
    }

    /// Whether the session may be closed without breaking a transaction.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.awaiting.is_none() && self.transaction.is_none() && self.content.is_none() && self.events.is_empty()
    }

    /// Ends the session with `reply`, which should be a 421; for a service that stops.
    pub fn shut_down(&mut self, reply: &Reply) {
        self.write(reply);
        self.close();
    }

    /// Whether the client said `EHLO`.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.extended
    }

    /// The name given with EHLO or HELO in this (encrypted) session.
    #[must_use]
    pub fn hello_name(&self) -> Option<&str> {
        self.hello.as_deref()
    }

    /// The user that authenticated.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The handshake of [`ServerEvent::StartTls`] is done: everything said in clear is forgotten (RFC 3207 §4.2).
    ///
    /// # Panics
    /// Without an outstanding [`ServerEvent::StartTls`].
    pub fn tls_established(&mut self) {
        assert!(matches!(self.phase, Phase::Handshake), "no handshake was asked for");
        self.phase = Phase::Command;
        self.under_tls = true;
        self.hello = None;
        self.user = None;
    }

    /// Answers `Authenticate`, `Mail`, `Rcpt` or `Begin` with yes.
    ///
    /// # Panics
    /// Without such an outstanding event.
    pub fn accept(&mut self) {
        match self.awaiting.take().expect("an answer is outstanding") {
            Awaiting::Authentication { user } => {
                self.user = Some(user);
                self.write_static("235 2.7.0 Authentication successful");
            }
            Awaiting::Mail(mail) => {
                self.transaction = Some(Transaction { mail, recipients: Vec::new() });
                self.write_static("250 2.1.0 Sender OK");
            }
            Awaiting::Rcpt(recipient) => {
                self.transaction.as_mut().expect("RCPT is within a transaction").recipients.push(recipient);
                self.write_static("250 2.1.5 Recipient OK");
            }
            Awaiting::Begin(framing) => {
                self.content = Some(Content::default());
                match framing {
                    Framing::Data => {
                        self.phase = Phase::Data(Unstuffer::default());
                        self.write_static("354 Start mail input; end with <CRLF>.<CRLF>");
                    }
                    Framing::Chunk { size, last } => {
                        self.phase = Phase::Chunk { remaining: size, last, refusal: None };
                    }
                }
            }
            Awaiting::EndOfData => panic!("end of data is accepted with a receipt only"),
        }
    }

    /// Answers the outstanding event, whichever it is, with `reply`. A reply with code 421 also ends the session.
    ///
    /// # Panics
    /// Without an outstanding event.
    pub fn reject(&mut self, reply: Reply) {
        let reply = refusal(reply);
        let close = reply.code == 421;
        // What is refused for now (the directory is away, a disk is full) says nothing about the client.
        let is_guess = reply.severity() == Severity::Permanent;
        self.tarpit(is_guess);
        match self.awaiting.take().expect("an answer is outstanding") {
            Awaiting::Authentication { .. } => self.logon_failed(&reply),
            Awaiting::Begin(Framing::Chunk { size, last }) if !close => {
                self.transaction = None;
                self.phase = Phase::Chunk { remaining: size, last, refusal: Some(reply) };
            }
            Awaiting::Begin(_) | Awaiting::EndOfData => {
                self.transaction = None;
                self.write(&reply);
            }
            Awaiting::Mail(_) | Awaiting::Rcpt(_) => {
                self.refusals += u32::from(is_guess);
                self.write(&reply);
                if !close && self.user.is_none() && self.refusals > REFUSALS_MAX {
                    self.close_with("421 4.7.0 Too many refusals on this connection, closing transmission channel");
                }
            }
        }
        if close {
            self.close();
        }
    }

    /// Holds the replies back that a client without authentication gets to what is refused, once it looks as if it was
    /// guessing (`TarpitInterval`, LM-25); after a failed logon always (`AuthTarpitInterval`).
    fn tarpit(&mut self, is_guess: bool) {
        let delay = match self.awaiting {
            Some(Awaiting::Authentication { .. }) => self.config.auth_tarpit_interval,
            Some(Awaiting::Mail(_) | Awaiting::Rcpt(_))
                if is_guess && self.user.is_none() && self.refusals >= REFUSALS_FREE =>
            {
                self.config.tarpit_interval
            }
            _ => return,
        };
        self.clock.hold(delay);
    }

    /// Holds the next reply back for at least `delay`: the shell knows something of the client from elsewhere.
    pub fn hold_reply(&mut self, delay: Duration) {
        self.clock.hold(delay);
    }

    /// Takes no more content: what still comes of this message is dropped and `reply` is the answer to its end.
    pub fn refuse_content(&mut self, reply: Reply) {
        if let Some(content) = &mut self.content {
            content.refuse(refusal(reply));
        }
    }

    /// The only way to a `250` after end-of-data (invariant 1): somebody holds the message durably. `text` follows
    /// `250 2.6.0 `.
    ///
    /// # Panics
    /// Without an outstanding [`ServerEvent::EndOfData`].
    pub fn end_of_data_accepted(&mut self, _receipt: Receipt, text: &str) {
        assert!(matches!(self.awaiting.take(), Some(Awaiting::EndOfData)), "end of data is outstanding");
        self.write(&Reply::new(250, envelope::EnhancedStatus::new(2, 6, 0), text));
    }

    /// The message was not taken.
    ///
    /// # Panics
    /// Without an outstanding [`ServerEvent::EndOfData`].
    pub fn end_of_data_rejected(&mut self, reply: Reply) {
        assert!(matches!(self.awaiting, Some(Awaiting::EndOfData)), "end of data is outstanding");
        self.reject(reply);
    }

    fn codes(&self) -> StatusCodes {
        let written = self.config.extensions.enhanced_status_codes;
        if written { StatusCodes::Written } else { StatusCodes::LeftOut }
    }

    pub(super) fn write(&mut self, reply: &Reply) {
        reply::write(reply, self.codes(), &mut self.output);
    }

    pub(super) fn write_static(&mut self, line: &'static str) {
        reply::write_static(line, self.codes(), &mut self.output);
    }

    pub(super) fn close_with(&mut self, line: &'static str) {
        self.write_static(line);
        self.close();
    }

    /// Nothing that is still buffered or outstanding matters any more.
    pub(super) fn close(&mut self) {
        self.phase = Phase::Closed;
        self.awaiting = None;
        self.searched = 0;
        self.input.clear();
        self.events.clear();
        self.events.push_back(ServerEvent::Close);
    }

    /// One line out of the input, without its CRLF. A bare LF ends a line too, so that nobody waits for the rest of it,
    /// but such a line is never looked at.
    pub(super) fn next_line(&mut self, octets_max: impl Fn(&[u8]) -> usize) -> Option<Result<BytesMut, LineFault>> {
        // Each octet is looked at once, however small the segments are that a line comes in.
        let searched = std::mem::take(&mut self.searched).min(self.input.len());
        let Some(end) = memchr(b'\n', &self.input[searched..]).map(|at| searched + at) else {
            if self.input.len() > AUTH_LINE_OCTETS_MAX {
                self.skipping_line = true;
                self.input.clear();
            }
            self.searched = self.input.len();
            return None;
        };
        let mut line = self.input.split_to(end + 1);
        if std::mem::take(&mut self.skipping_line) || line.len() > octets_max(&line) {
            return Some(Err(LineFault::TooLong));
        }
        if !line.ends_with(b"\r\n") {
            return Some(Err(LineFault::BareLineFeed));
        }
        line.truncate(end - 1);
        Some(Ok(line))
    }

    /// An answer within `AUTH`.
    fn take_response(&mut self) -> bool {
        let Some(line) = self.next_line(|_| AUTH_LINE_OCTETS_MAX) else { return false };
        let Phase::Authenticating(exchange) = std::mem::replace(&mut self.phase, Phase::Command) else {
            unreachable!("only called while authenticating")
        };
        self.words.replies(&self.output);
        self.words.withheld();
        match line {
            Ok(mut line) => {
                self.authentication_step(exchange.answer(&line));
                line[..].zeroize();
            }
            Err(fault) => self.line_fault(&fault),
        }
        true
    }

    pub(super) fn authentication_step(&mut self, step: Step) {
        match step {
            Step::Ask(question, exchange) => {
                // Nothing may be sent before the question is read (RFC 4954 §4).
                if self.sent_too_early() {
                    return;
                }
                // The trailing space of `334 ` belongs to it.
                self.output.put_slice(question.as_bytes());
                self.output.put_slice(b"\r\n");
                self.phase = Phase::Authenticating(exchange);
            }
            Step::Done(credentials) => {
                self.awaiting = Some(Awaiting::Authentication { user: credentials.user.clone() });
                self.events.push_back(ServerEvent::Authenticate(credentials));
            }
            Step::Fail(line) if line.starts_with("535") => self.logon_failed(&parse_static(line)),
            Step::Fail(line) => self.protocol_error(line),
        }
    }

    fn logon_failed(&mut self, reply: &Reply) {
        self.logon_failures += 1;
        let allowed = self.config.logon_failures_max;
        if allowed > 0 && self.logon_failures >= allowed {
            return self
                .close_with("421 4.7.0 Too many logon failures on this connection, closing transmission channel");
        }
        self.write(reply);
    }

    fn take_data(&mut self) -> bool {
        let Phase::Data(unstuffer) = &mut self.phase else { unreachable!("only called within DATA") };
        let decoded = unstuffer.decode(&mut self.input);
        self.pass_on(decoded.chunk);
        if decoded.end {
            self.phase = Phase::ContentEnd;
        }
        decoded.end || !self.events.is_empty()
    }

    fn take_chunk(&mut self) -> bool {
        let Phase::Chunk { remaining, last, refusal } = &mut self.phase else {
            unreachable!("only called within a chunk")
        };
        let available = usize::try_from(*remaining).unwrap_or(usize::MAX).min(self.input.len());
        *remaining -= available as u64;
        let (complete, last) = (*remaining == 0, *last);
        if refusal.is_some() {
            self.input.advance(available);
        } else {
            let chunk = self.input.split_to(available).freeze();
            self.pass_on(chunk);
        }
        if complete {
            self.end_chunk(last);
        }
        complete || !self.events.is_empty()
    }

    fn end_chunk(&mut self, last: bool) {
        let Phase::Chunk { refusal, .. } = std::mem::replace(&mut self.phase, Phase::Command) else {
            unreachable!("only called within a chunk")
        };
        let faulty = self.content.as_ref().is_some_and(|content| content.is_faulty(&self.config));
        match refusal {
            Some(reply) => self.write(&reply),
            // A faulty message is over with the chunk that holds the fault: what follows gets 503 (RFC 3030 §2).
            None if last || faulty => self.phase = Phase::ContentEnd,
            None => self.write_static("250 2.6.0 Chunk received"),
        }
    }

    fn pass_on(&mut self, chunk: Bytes) {
        let content = self.content.as_mut().expect("content comes after it was accepted");
        let was_faulty = content.is_faulty(&self.config);
        let passed = content.take(chunk, &self.config);
        if content.is_faulty(&self.config) && !was_faulty {
            self.events.push_back(ServerEvent::Reset);
        }
        self.events.extend(passed.map(ServerEvent::Chunk));
    }

    fn end_content(&mut self) {
        let mut content = self.content.take().expect("content ends after it began");
        let was_faulty = content.is_faulty(&self.config);
        content.finish(&self.config);
        self.phase = Phase::Command;
        self.transaction = None;
        let Some(fault) = content.into_fault(&self.config) else {
            self.awaiting = Some(Awaiting::EndOfData);
            self.events.push_back(ServerEvent::EndOfData);
            return;
        };
        self.write(&fault.reply);
        if fault.close {
            self.close();
        } else if !was_faulty {
            self.events.push_back(ServerEvent::Reset);
        }
    }
}

/// A refusal must refuse: anything else comes from a fault in whoever gave it.
fn refusal(reply: Reply) -> Reply {
    if reply.severity() == Severity::Success { parse_static("451 4.3.0 Internal error") } else { reply }
}
