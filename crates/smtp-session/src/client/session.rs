//! The client machine itself.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use envelope::{Domain, Envelope, Reply, Severity};

use super::capabilities::Capabilities;
use super::commands;
use super::failure::{Cause, Phase, SessionFailure};
use super::message::{Exchange, MessageContent, MessageOutcome, Needs};
use crate::credentials::{ExchangeTls, Logon};
use crate::dot::Stuffer;
use crate::limits;
use crate::lines::LineEndings;
use crate::reply::ReplyParser;
use crate::spoken::{KeptWords, Spoken};

/// Octets read at once.
const INPUT_OCTETS: usize = 4 * 1024;
/// Most commands sent ahead of their replies. Replies to so many fit into any socket buffer, so the server never stops
/// reading because we do not (RFC 2920 §3.1).
const PIPELINED_COMMANDS_MAX: usize = 100;

/// Whether to use `STARTTLS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTlsUse {
    /// Never (`IgnoreSTARTTLS`, or second attempt after a failed handshake).
    Never,
    /// When it is offered (TA-1).
    IfOffered,
    /// Or not at all (`RequireTLS`, TA-3).
    Required,
}

/// Whether credentials may be sent over the connection as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialUse {
    /// They may.
    Permitted,
    /// They may not: the session fails rather than go on without.
    Withheld,
}

/// How a session is to be opened.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The name given with EHLO or HELO (TA-7).
    pub hello_name: Domain,
    /// `ForceHELO`: no EHLO, hence no extensions (TA-4).
    pub force_helo: bool,
    /// When to use `STARTTLS`.
    pub starttls: StartTlsUse,
    /// Whether to use CHUNKING when it is offered: not with a host that has refused `BDAT`.
    pub chunking: bool,
    /// How to log on.
    pub logon: Option<Logon>,
    /// Whether they may be sent in clear; under TLS [`ClientSession::tls_established`] says.
    pub credentials_in_clear: CredentialUse,
    /// `ConnectionInactivityTimeOut`: bounds every wait, below the limits of RFC 5321.
    pub inactivity_timeout: Duration,
}

/// What the shell has to do or to know.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// Take the connection through the handshake, then call [`ClientSession::tls_established`].
    StartTls,
    /// Answer this challenge of Exchange Server authentication with [`ClientSession::respond`], or end the session with
    /// [`ClientSession::give_up_logon`]. The first one is empty.
    Challenge(Vec<u8>),
    /// The server took Exchange Server authentication, with this last token if it sent one; `true` where it came by
    /// `X-EXPS`. Call [`ClientSession::server_proved`] if it has proved who it is.
    LoggedOn(Option<Vec<u8>>, bool),
    /// A message may be sent.
    Ready,
    /// Give the content with [`ClientSession::content`] and [`ClientSession::end_content`].
    Content,
    /// The message is done; see [`MessageOutcome::reusable`].
    Finished(MessageOutcome),
    /// The session is over without a message being under way.
    Failed(SessionFailure),
    /// The server answered `QUIT`: close the connection.
    Closed,
}

/// A reply that is owed to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Banner,
    Ehlo,
    Helo,
    StartTls,
    LoginUser,
    LoginPassword,
    Authenticated,
    /// `true` for the first: what stands there is no token.
    Challenge(bool),
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    EndOfData,
    Quit,
}

impl Expected {
    fn phase(self) -> Phase {
        match self {
            Self::Banner => Phase::Banner,
            Self::Ehlo | Self::Helo => Phase::Hello,
            Self::StartTls => Phase::StartTls,
            Self::LoginUser | Self::LoginPassword | Self::Authenticated | Self::Challenge(_) => Phase::Authentication,
            Self::Reset => Phase::Reset,
            Self::Mail => Phase::Mail,
            Self::Rcpt(_) => Phase::Recipient,
            Self::Data => Phase::Data,
            Self::EndOfData => Phase::EndOfData,
            Self::Quit => Phase::Quit,
        }
    }
}

#[derive(Debug)]
enum State {
    Opening,
    Handshake,
    Ready,
    Sending(Exchange),
    Content(Exchange, Stuffer),
    Over,
}

/// One outbound connection.
pub struct ClientSession {
    config: ClientConfig,
    capabilities: Capabilities,
    under_tls: bool,
    credential_use: CredentialUse,
    input: BytesMut,
    output: BytesMut,
    parser: ReplyParser,
    events: VecDeque<ClientEvent>,
    state: State,
    expected: VecDeque<Expected>,
    /// Commands of the message that may not be sent yet.
    steps: VecDeque<(Expected, Bytes)>,
    /// The server still has a transaction of an earlier message.
    needs_reset: bool,
    /// When the wait that is under way began.
    waiting_since: Instant,
    /// Something was sent or answered: the next wait is another one.
    progress: bool,
    words: KeptWords,
}

impl fmt::Debug for ClientSession {
    /// Without the buffers: passwords pass through them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("state", &self.state)
            .field("owed", &self.expected)
            .finish_non_exhaustive()
    }
}

impl ClientSession {
    /// A session on a connection that is up since `now`, waiting for the banner.
    #[must_use]
    pub fn new(config: ClientConfig, now: Instant) -> Self {
        Self {
            credential_use: config.credentials_in_clear,
            config,
            capabilities: Capabilities::default(),
            under_tls: false,
            input: BytesMut::new(),
            output: BytesMut::new(),
            parser: ReplyParser::default(),
            events: VecDeque::new(),
            state: State::Opening,
            expected: VecDeque::from([Expected::Banner]),
            steps: VecDeque::new(),
            needs_reset: false,
            waiting_since: now,
            progress: false,
            words: KeptWords::default(),
        }
    }

    /// Keeps what is said, for [`Self::poll_spoken`].
    pub fn keep_words(&mut self) {
        self.words.keep();
    }

    /// The next command or reply, if they are kept. To be asked after each event and before each transmission.
    pub fn poll_spoken(&mut self) -> Option<Spoken> {
        self.words.next()
    }

    /// Where the shell reads to. Call [`Self::poll_event`] after each read.
    pub fn input_space(&mut self) -> &mut BytesMut {
        if self.input.capacity() - self.input.len() < INPUT_OCTETS / 2 {
            self.input.reserve(INPUT_OCTETS);
        }
        &mut self.input
    }

    /// Takes octets from a buffer of the caller.
    pub fn handle_input(&mut self, octets: &[u8]) {
        self.input.put_slice(octets);
    }

    /// The next thing to do. `None` means: transmit, then read.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.input.is_empty() || matches!(self.state, State::Over | State::Handshake) {
                return None;
            }
            match self.parser.parse(&mut self.input) {
                Ok(Some(reply)) => self.reply(reply),
                Ok(None) => return None,
                Err(error) => self.fail(Cause::Garbled(error)),
            }
        }
    }

    /// Octets to send, all there are.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.progress |= !self.output.is_empty();
        (!self.output.is_empty()).then(|| self.output.split().freeze())
    }

    /// Until when to wait for the reply that is owed, or for content to be taken. Ask before each read and each write. It
    /// moves when a reply is complete or something was sent, not with every octet: a server that answers one letter at a
    /// time answers too late.
    pub fn poll_timeout(&mut self, now: Instant) -> Instant {
        if std::mem::take(&mut self.progress) {
            self.waiting_since = now;
        }
        self.waiting_since + self.patience()
    }

    /// Whether another `BDAT` may be tried with this server.
    #[must_use]
    pub fn may_chunk(&self) -> bool {
        self.config.chunking
    }

    /// RFC 5321 §4.5.3.2.
    fn patience(&self) -> Duration {
        self.limit().min(self.config.inactivity_timeout)
    }

    fn limit(&self) -> Duration {
        if matches!(self.state, State::Content(..)) {
            return limits::DATA_BLOCK_TIMEOUT;
        }
        match self.expected.front() {
            Some(Expected::Banner) => limits::BANNER_TIMEOUT,
            Some(Expected::Mail) => limits::MAIL_TIMEOUT,
            Some(Expected::Rcpt(_)) => limits::RCPT_TIMEOUT,
            Some(Expected::Data) => limits::DATA_START_TIMEOUT,
            Some(Expected::EndOfData) => limits::DATA_END_TIMEOUT,
            Some(Expected::Quit) => limits::QUIT_TIMEOUT,
            _ => limits::COMMAND_TIMEOUT,
        }
    }

    /// Ends the session when [`Self::poll_timeout`] is over by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if now >= self.waiting_since + self.patience() {
            self.fail(Cause::TimedOut);
        }
    }

    /// The connection is closed or broken. Replies that came before are read first.
    pub fn handle_disconnect(&mut self) {
        while !self.input.is_empty() && !matches!(self.state, State::Over | State::Handshake) {
            match self.parser.parse(&mut self.input) {
                Ok(Some(reply)) => self.reply(reply),
                Ok(None) | Err(_) => break,
            }
        }
        self.fail(Cause::Disconnected);
    }

    /// What the server offers, as of the last EHLO.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether another message may be sent.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready) && self.input.is_empty()
    }

    /// The handshake of [`ClientEvent::StartTls`] is done. What was offered before it is forgotten (RFC 3207 §4.2, TA-6).
    ///
    /// # Panics
    /// Without an outstanding [`ClientEvent::StartTls`].
    pub fn tls_established(&mut self, credential_use: CredentialUse) {
        assert!(matches!(self.state, State::Handshake), "no handshake was asked for");
        self.state = State::Opening;
        self.under_tls = true;
        self.credential_use = credential_use;
        self.capabilities = Capabilities::default();
        self.progress = true;
        self.hello();
    }

    /// Starts a message. [`ClientEvent::Finished`] tells the outcome, also when nothing could be sent.
    ///
    /// # Panics
    /// When [`Self::is_ready`] does not hold.
    pub fn send(&mut self, envelope: &Envelope, content: MessageContent<'_>) {
        assert!(self.is_ready(), "one message at a time on a ready session");
        self.state = State::Sending(Exchange::new(envelope.recipients.len()));
        self.progress = true;
        let needs = Needs::of(envelope, content);
        if let Some(cause) = self.obstacle(needs, content.size()) {
            let failure = SessionFailure { phase: Phase::Mail, cause };
            self.exchange().fail_rest(&failure);
            return self.finish(true);
        }
        let is_sent = self.refuse_long(envelope);
        if !is_sent.contains(&true) && !is_sent.is_empty() {
            return self.finish(true);
        }
        if std::mem::take(&mut self.needs_reset) {
            self.command(Expected::Reset, |_, out| out.put_slice(b"RSET\r\n"));
        }
        self.command(Expected::Mail, |offered, out| commands::mail(envelope, needs, content.size(), offered, out));
        let recipients = envelope.recipients.iter().enumerate().zip(is_sent);
        for ((index, recipient), _) in recipients.filter(|(_, is_sent)| *is_sent) {
            self.command(Expected::Rcpt(index), |offered, out| commands::rcpt(recipient, offered, out));
        }
        match content {
            MessageContent::Nothing => self.command(Expected::Reset, |_, out| out.put_slice(b"RSET\r\n")),
            MessageContent::Whole(octets)
                if self.capabilities.chunking && octets.len() <= limits::SINGLE_WRITE_OCTETS_MAX =>
            {
                self.exchange().in_chunks = true;
                self.command(Expected::EndOfData, |_, out| whole_chunk(octets, out));
            }
            _ => self.command(Expected::Data, |_, out| out.put_slice(b"DATA\r\n")),
        }
    }

    /// Gives a piece of the content after [`ClientEvent::Content`]. Transmit before giving the next.
    ///
    /// # Panics
    /// Outside content.
    pub fn content(&mut self, chunk: &[u8]) {
        let State::Content(_, stuffer) = &mut self.state else { panic!("content was not asked for") };
        stuffer.encode(chunk, &mut self.output);
    }

    /// The content is complete.
    ///
    /// # Panics
    /// Outside content.
    pub fn end_content(&mut self) {
        let State::Content(exchange, stuffer) = std::mem::replace(&mut self.state, State::Over) else {
            panic!("content was not asked for")
        };
        stuffer.finish(&mut self.output);
        self.state = State::Sending(exchange);
        self.expected.push_back(Expected::EndOfData);
    }

    /// The content cannot be completed. The connection must be closed without the end of data, or the server would take
    /// half a message.
    pub fn abort_content(&mut self) {
        self.output.clear();
        self.fail(Cause::ContentUnavailable);
    }

    /// Ends the session politely; [`ClientEvent::Closed`] or [`ClientEvent::Failed`] follows.
    pub fn quit(&mut self) {
        if matches!(self.state, State::Ready) {
            self.say(|out| out.put_slice(b"QUIT\r\n"));
            self.expected.push_back(Expected::Quit);
        }
    }

    /// Writes a command now if it may go now, else keeps it.
    fn command(&mut self, expected: Expected, write: impl FnOnce(&Capabilities, &mut BytesMut)) {
        if self.steps.is_empty() && self.expected.len() < self.window() {
            let from = self.output.len();
            write(&self.capabilities, &mut self.output);
            self.words.sent(&self.output[from..]);
            self.expected.push_back(expected);
        } else {
            let mut line = BytesMut::new();
            write(&self.capabilities, &mut line);
            self.steps.push_back((expected, line.freeze()));
        }
    }

    /// Writes a line that holds no secret.
    fn say(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let from = self.output.len();
        write(&mut self.output);
        self.words.sent(&self.output[from..]);
    }

    fn window(&self) -> usize {
        if self.capabilities.pipelining { PIPELINED_COMMANDS_MAX } else { 1 }
    }

    /// Sends what was kept, as far as it may go now and still has a point.
    fn pump(&mut self) {
        while self.expected.len() < self.window() {
            let Some((expected, line)) = self.steps.pop_front() else { return };
            let owed = !self.expected.is_empty();
            let State::Sending(exchange) = &self.state else { return self.steps.clear() };
            let nobody = !owed && exchange.accepted() == 0;
            let pointless = match expected {
                Expected::Rcpt(_) => exchange.mail_refused,
                Expected::Data | Expected::EndOfData => exchange.mail_refused || nobody,
                _ => false,
            };
            if !pointless {
                self.words.sent(&line);
                self.output.put_slice(&line);
                self.expected.push_back(expected);
            }
        }
    }

    /// EN-73: recipients whose address the server does not take fail; gives which are sent.
    fn refuse_long(&mut self, envelope: &Envelope) -> Vec<bool> {
        let offered = self.capabilities.long_addresses;
        let is_sent: Vec<bool> = envelope.recipients.iter().map(|one| offered || !one.address.is_long()).collect();
        for (index, _) in is_sent.iter().enumerate().filter(|(_, is_sent)| !**is_sent) {
            let failure = SessionFailure { phase: Phase::Recipient, cause: Cause::LongAddressNotOffered };
            self.exchange().fail(index, failure);
        }
        is_sent
    }

    /// Why this message cannot go to this server at all.
    fn obstacle(&self, needs: Needs, size: u64) -> Option<Cause> {
        let offered = &self.capabilities;
        if needs.smtputf8 && !offered.smtputf8 {
            return Some(Cause::SmtpUtf8NotOffered);
        }
        if needs.long_addresses && !offered.long_addresses {
            return Some(Cause::LongAddressNotOffered);
        }
        // RFC 6152 §3: it is converted or comes back, but is never sent all the same.
        if needs.eight_bit_mime && !offered.eight_bit_mime {
            return Some(Cause::EightBitMimeNotOffered);
        }
        offered.size_max.filter(|&limit| size > limit).map(Cause::TooLarge)
    }

    fn reply(&mut self, reply: Reply) {
        self.progress = true;
        let reply = self.without_secrets(reply);
        self.words.reply(&reply);
        let Some(expected) = self.expected.pop_front() else {
            // Usually a 421 of a server that will not wait any longer.
            let cause = if reply.code == 421 { Cause::Reply(reply) } else { Cause::Unsolicited };
            return self.fail(cause);
        };
        if expected == Expected::Quit {
            self.over(ClientEvent::Closed);
        } else if matches!(self.state, State::Opening) {
            self.opening_reply(expected, reply);
        } else if reply.code == 421 {
            self.expected.push_front(expected);
            self.fail(Cause::Reply(reply));
        } else {
            self.message_reply(expected, reply);
        }
    }

    /// A server that repeats what it does not understand would write our password into every log.
    fn without_secrets(&self, reply: Reply) -> Reply {
        match &self.config.logon {
            Some(Logon::Password(credentials)) if credentials.appear_in(&reply.text) => {
                Reply { text: "(the reply repeats the credentials)".into(), ..reply }
            }
            _ => reply,
        }
    }

    fn opening_reply(&mut self, expected: Expected, reply: Reply) {
        let positive = reply.code / 100 == 2;
        match expected {
            Expected::Banner if positive => self.hello(),
            Expected::Ehlo if positive => {
                self.capabilities = Capabilities::parse(&reply.text);
                self.capabilities.chunking &= self.config.chunking;
                self.after_hello();
            }
            // RFC 5321 §3.2: a server that does not know EHLO.
            Expected::Ehlo if reply.severity() == Severity::Permanent && reply.code != 554 => self.send_helo(),
            Expected::Helo if positive => self.after_hello(),
            Expected::StartTls if reply.code == 220 => self.begin_handshake(),
            Expected::StartTls if self.config.starttls == StartTlsUse::IfOffered => self.authenticate(),
            Expected::LoginUser if reply.code == 334 => self.auth_answer(Expected::LoginPassword),
            Expected::LoginPassword if reply.code == 334 => self.auth_answer(Expected::Authenticated),
            Expected::Authenticated if positive => self.ready(),
            Expected::Challenge(first) if reply.code == 334 => self.challenged(first, &reply),
            Expected::Challenge(_) if positive => self.taken(&reply),
            other => {
                self.expected.push_front(other);
                self.fail(Cause::Reply(reply));
            }
        }
    }

    fn hello(&mut self) {
        if self.config.force_helo {
            return self.send_helo();
        }
        self.hello_as(b"EHLO ", Expected::Ehlo);
    }

    fn send_helo(&mut self) {
        self.hello_as(b"HELO ", Expected::Helo);
    }

    fn hello_as(&mut self, verb: &[u8], expected: Expected) {
        let name = self.config.hello_name.clone();
        self.say(|out| {
            out.put_slice(verb);
            out.put_slice(name.as_str().as_bytes());
            out.put_slice(b"\r\n");
        });
        self.expected.push_back(expected);
    }

    fn after_hello(&mut self) {
        let offered = self.capabilities.starttls;
        match self.config.starttls {
            _ if self.under_tls => self.authenticate(),
            // TA-60: TLS between Exchange servers, where nothing is asked of the certificate.
            _ if self.wants_exchange_tls() => {
                self.say(|out| out.put_slice(b"X-ANONYMOUSTLS\r\n"));
                self.expected.push_back(Expected::StartTls);
            }
            StartTlsUse::Required if !offered => self.fail_at(Phase::StartTls, Cause::TlsNotOffered),
            StartTlsUse::Required | StartTlsUse::IfOffered if offered => {
                self.say(|out| out.put_slice(b"STARTTLS\r\n"));
                self.expected.push_back(Expected::StartTls);
            }
            _ => self.authenticate(),
        }
    }

    /// CVE-2021-38371: whatever follows the `220` in clear was not sent by whom the handshake will show.
    fn begin_handshake(&mut self) {
        if !self.input.is_empty() {
            return self.fail_at(Phase::StartTls, Cause::Unsolicited);
        }
        self.state = State::Handshake;
        self.events.push_back(ClientEvent::StartTls);
    }

    fn authenticate(&mut self) {
        let credentials = match &self.config.logon {
            None => return self.ready(),
            Some(Logon::Exchange(_)) => return self.authenticate_as_server(),
            Some(Logon::Password(credentials)) => credentials,
        };
        if self.credential_use == CredentialUse::Withheld {
            return self.fail_at(Phase::Authentication, Cause::CredentialsWithheld);
        }
        // TA-22: LOGIN if it is offered.
        if self.capabilities.auth_login {
            self.output.put_slice(b"AUTH LOGIN\r\n");
            self.words.sent(b"AUTH LOGIN");
            self.expected.push_back(Expected::LoginUser);
        } else if self.capabilities.auth_plain {
            commands::auth_plain(credentials, &mut self.output);
            self.words.sent_secret("AUTH PLAIN ");
            self.expected.push_back(Expected::Authenticated);
        } else {
            self.fail_at(Phase::Authentication, Cause::AuthNotOffered);
        }
    }

    fn auth_answer(&mut self, next: Expected) {
        let Some(Logon::Password(credentials)) = &self.config.logon else {
            unreachable!("AUTH LOGIN is only started with credentials")
        };
        let octets = match next {
            Expected::LoginPassword => credentials.user.as_bytes(),
            _ => credentials.secret.expose(),
        };
        commands::base64_line(octets, &mut self.output);
        self.words.sent_secret("");
        self.expected.push_back(next);
    }

    fn wants_exchange_tls(&self) -> bool {
        self.config.logon == Some(Logon::Exchange(ExchangeTls::IfOffered)) && self.capabilities.x_anonymoustls
    }

    /// TA-60, TA-61: the verb of Exchange, else the one of everybody.
    fn authenticate_as_server(&mut self) {
        let line: &[u8] = match (self.capabilities.x_exps_gssapi, self.capabilities.auth_gssapi) {
            (true, _) => b"X-EXPS GSSAPI\r\n",
            (false, true) => b"AUTH GSSAPI\r\n",
            // TA-62: never without.
            (false, false) => return self.fail_at(Phase::Authentication, Cause::ExchangeAuthNotOffered),
        };
        self.say(|out| out.put_slice(line));
        self.expected.push_back(Expected::Challenge(true));
    }

    /// RFC 4752 §3.1: the client begins, so the first challenge is empty; Exchange writes words there.
    fn challenged(&mut self, first: bool, reply: &Reply) {
        let token = if first { Some(Vec::new()) } else { commands::challenge(&reply.text) };
        match token {
            Some(token) => self.events.push_back(ClientEvent::Challenge(token)),
            None => self.give_up_logon("the server's challenge is no base64"),
        }
    }

    fn taken(&mut self, reply: &Reply) {
        let by_exps = self.capabilities.x_exps_gssapi;
        let token = if by_exps { commands::challenge(&reply.text).filter(|token| !token.is_empty()) } else { None };
        self.events.push_back(ClientEvent::LoggedOn(token, by_exps));
    }

    /// Answers a [`ClientEvent::Challenge`].
    pub fn respond(&mut self, token: &[u8]) {
        if matches!(self.state, State::Opening) {
            commands::base64_line(token, &mut self.output);
            self.words.sent_secret("");
            self.expected.push_back(Expected::Challenge(false));
        }
    }

    /// The server of a [`ClientEvent::LoggedOn`] has proved who it is.
    pub fn server_proved(&mut self) {
        if matches!(self.state, State::Opening) {
            self.ready();
        }
    }

    /// Logging on came to no good end on our side: the session fails with this reason.
    pub fn give_up_logon(&mut self, why: &str) {
        self.fail_at(Phase::Authentication, Cause::ExchangeAuthFailed(why.into()));
    }

    fn ready(&mut self) {
        self.state = State::Ready;
        self.config.logon = None;
        self.events.push_back(ClientEvent::Ready);
    }

    fn exchange(&mut self) -> &mut Exchange {
        match &mut self.state {
            State::Sending(exchange) | State::Content(exchange, _) => exchange,
            _ => unreachable!("only called while a message is under way"),
        }
    }

    fn message_reply(&mut self, expected: Expected, reply: Reply) {
        let positive = reply.code / 100 == 2;
        let failure = |reply| SessionFailure { phase: expected.phase(), cause: Cause::Reply(reply) };
        match expected {
            Expected::Reset if !positive => {
                self.expected.push_front(expected);
                return self.fail(Cause::Reply(reply));
            }
            // Before a message nobody has been accepted; after a question it is the end.
            Expected::Reset => {
                self.needs_reset = false;
                self.exchange().settle_accepted(&Ok(reply));
            }
            Expected::Mail if !positive => {
                let failure = failure(reply);
                self.exchange().mail_refused = true;
                self.exchange().fail_rest(&failure);
            }
            Expected::Mail => self.needs_reset = true,
            Expected::Rcpt(index) if positive && !self.exchange().mail_refused => self.exchange().accept(index),
            Expected::Rcpt(index) => self.exchange().fail(index, failure(reply)),
            Expected::Data if reply.code == 354 => return self.content_invited(),
            Expected::Data => self.exchange().settle_accepted(&Err(failure(reply))),
            // The host offers CHUNKING and does not know it. What it makes of the content that follows is no reply to us.
            Expected::EndOfData if self.exchange().in_chunks && (500..=504).contains(&reply.code) => {
                self.config.chunking = false;
                let cause = Cause::ChunkingRefused(reply);
                self.exchange().settle_accepted(&Err(SessionFailure { phase: Phase::EndOfData, cause }));
                return self.finish(false);
            }
            Expected::EndOfData => {
                // RFC 5321 §4.1.1.5: after the reply to the message the server has no transaction any more. After a
                // refused BDAT it may still have one (RFC 3030 §2).
                self.needs_reset &= !positive;
                let result = if positive { Ok(reply) } else { Err(failure(reply)) };
                self.exchange().settle_accepted(&result);
            }
            _ => {}
        }
        self.pump();
        if self.expected.is_empty() && self.steps.is_empty() {
            self.finish(true);
        }
    }

    /// `354` has come. With nobody to send to, the server gets an empty message that nobody accepted (RFC 2920 §3.1).
    fn content_invited(&mut self) {
        if self.exchange().accepted() == 0 {
            self.output.put_slice(b".\r\n");
            self.expected.push_back(Expected::EndOfData);
            return;
        }
        let State::Sending(exchange) = std::mem::replace(&mut self.state, State::Over) else {
            unreachable!("DATA is sent while sending")
        };
        self.state = State::Content(exchange, Stuffer::default());
        self.events.push_back(ClientEvent::Content);
    }

    fn finish(&mut self, healthy: bool) {
        let reusable = healthy && self.input.is_empty() && !self.parser.is_inside_reply();
        let next = if reusable { State::Ready } else { State::Over };
        if let State::Sending(exchange) | State::Content(exchange, _) = std::mem::replace(&mut self.state, next) {
            self.events.push_back(ClientEvent::Finished(exchange.outcome(reusable)));
        }
    }

    /// Ends the session; the phase is that of the reply that is owed.
    fn fail(&mut self, cause: Cause) {
        let phase = match (&self.state, self.expected.front()) {
            // The handshake is the shell's; what it meets there, it reports itself.
            (State::Handshake, _) => Phase::StartTls,
            (State::Content(..), _) => Phase::Data,
            // Replies to earlier commands of the group are missing too, but the message itself is out.
            (State::Sending(_), Some(_)) if self.expected.contains(&Expected::EndOfData) && !has_said_no(&cause) => {
                Phase::EndOfData
            }
            (_, Some(expected)) => expected.phase(),
            (_, None) => Phase::Idle,
        };
        self.fail_at(phase, cause);
    }

    fn fail_at(&mut self, phase: Phase, cause: Cause) {
        let failure = SessionFailure { phase, cause };
        self.expected.clear();
        self.steps.clear();
        self.input.clear();
        match &mut self.state {
            State::Over => {}
            State::Sending(exchange) | State::Content(exchange, _) => {
                exchange.fail_rest(&failure);
                self.finish(false);
            }
            _ => self.over(ClientEvent::Failed(failure)),
        }
    }

    fn over(&mut self, event: ClientEvent) {
        self.state = State::Over;
        self.events.push_back(event);
    }
}

/// A reply settles what became of the message; silence does not.
fn has_said_no(cause: &Cause) -> bool {
    matches!(cause, Cause::Reply(_))
}

/// `BDAT size LAST` and the content, its line endings made CRLF.
fn whole_chunk(octets: &[u8], out: &mut BytesMut) {
    let mut endings = LineEndings::default();
    if endings.check(octets) && endings.is_complete() {
        commands::last_chunk(octets.len(), out);
        return out.put_slice(octets);
    }
    let mut normal = BytesMut::with_capacity(octets.len() + octets.len() / 8 + 2);
    LineEndings::default().normalize_into(octets, &mut normal);
    commands::last_chunk(normal.len(), out);
    out.put_slice(&normal);
}
