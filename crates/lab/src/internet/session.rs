//! One SMTP session of a simulated host: takes mail strictly by RFC 5321 and goes wrong exactly where it was told to.
//!
//! Written apart from the product's own session machine, so that a fault in that one is not mirrored here; only the
//! grammar of commands and dots is shared. There is no promise behind its `250`: the lab keeps messages for looking at.

mod authentication;
mod content;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use envelope::{Domain, EnhancedStatus, Reply};
use memchr::memchr;
use net::{PeerTls, Stream, TlsServer};
use smtp_session::command::parameters::{OwnNames, parse_recipient};
use smtp_session::command::{self, Command, MailCommand};
use smtp_session::reply::{self, StatusCodes};
use smtp_session::server::Extensions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::description::{Extension, Reaction, Step};
use super::faults::{Faults, Party};
use crate::deliveries::{DeliveredTo, DeliveryLog};

/// Largest message that a host takes, in octets.
pub const CONTENT_OCTETS_MAX: usize = 64 * 1024 * 1024;
/// A host hangs up on a peer that has been silent for so long (RFC 5321 §4.5.3.2.7).
pub const INACTIVITY: Duration = Duration::from_secs(300);
const LINE_OCTETS_MAX: usize = smtp_session::limits::AUTH_LINE_OCTETS_MAX;
const READ_OCTETS: usize = 16 * 1024;

/// What all sessions of one host share.
pub(super) struct Site {
    pub name: Domain,
    pub faults: Faults,
    pub tls: Option<TlsServer>,
    pub log: Arc<DeliveryLog>,
}

/// Why a session is over. None of it is an error of the lab.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("QUIT")]
    Quit,
    #[error("a fault closed the connection")]
    ByFault,
    #[error("the peer was silent for too long")]
    Silent,
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("TLS failed: {0}")]
    Tls(#[from] net::TlsError),
    #[error(transparent)]
    Connection(#[from] io::Error),
}

#[derive(Default)]
struct Transaction {
    sender_parameters: String,
    recipients: Vec<DeliveredTo>,
    smtputf8: bool,
    party: Party,
    content: Vec<u8>,
    /// Content has begun to come in chunks.
    chunked: bool,
}

pub(super) struct Session {
    site: Arc<Site>,
    stream: Stream,
    peer: SocketAddr,
    input: BytesMut,
    tls: Option<PeerTls>,
    hello: Option<String>,
    user: Option<String>,
    transaction: Option<Transaction>,
}

enum Next {
    Command,
    StartTls,
}

impl Session {
    pub(super) fn new(site: Arc<Site>, stream: Stream) -> Self {
        let (peer, input) = (stream.peer(), BytesMut::new());
        Self { site, stream, peer, input, tls: None, hello: None, user: None, transaction: None }
    }

    /// Serves the peer until one of the two has enough.
    pub(super) async fn serve(mut self) -> Ended {
        if let Err(ended) = self.greet().await {
            return ended;
        }
        loop {
            self = match self.serve_command().await {
                Ok(Next::Command) => self,
                Ok(Next::StartTls) => match self.start_tls().await {
                    Ok(encrypted) => encrypted,
                    Err(ended) => return ended,
                },
                Err(ended) => return ended,
            };
        }
    }

    async fn greet(&mut self) -> Result<(), Ended> {
        let banner = Reply::plain(220, format!("{} ESMTP simulated", self.site.name));
        match self.fault(Step::Connect, &Party::default()).await? {
            // RFC 5321 §3.1: after a refusal the server waits for QUIT; a lab need not.
            Some(refusal) => {
                self.send(&refusal).await?;
                Err(Ended::ByFault)
            }
            None => self.send(&banner).await,
        }
    }

    async fn serve_command(&mut self) -> Result<Next, Ended> {
        let line = self.line().await?;
        let parsed = command::text(&line).and_then(Command::parse);
        let reply = match parsed {
            Ok(Command::StartTls) if self.may_start_tls() => {
                return match self.fault(Step::StartTls, &Party::default()).await? {
                    Some(refusal) => self.send(&refusal).await.map(|()| Next::Command),
                    None => Ok(Next::StartTls),
                };
            }
            Ok(Command::Quit) => {
                self.send(&status(221, "2.0.0 Bye")).await?;
                return Err(Ended::Quit);
            }
            Ok(command) => self.answer(command).await?,
            Err(error) => status(500, &format!("5.5.2 {error}")),
        };
        self.send(&reply).await.map(|()| Next::Command)
    }

    async fn answer(&mut self, command: Command<'_>) -> Result<Reply, Ended> {
        Ok(match command {
            Command::Ehlo(name) | Command::Helo(name) => {
                let extended = matches!(command, Command::Ehlo(_));
                let fault = self.fault(Step::Ehlo, &Party::default()).await?;
                fault.unwrap_or_else(|| self.greeted(name, extended))
            }
            Command::Auth { mechanism, initial } => self.authenticate(mechanism, initial).await?,
            Command::Mail(argument) => self.mail(argument).await?,
            Command::Rcpt(argument) => self.rcpt(argument).await?,
            Command::Data => self.data().await?,
            Command::Bdat { size, last } => self.chunk(size, last).await?,
            Command::Rset => {
                self.transaction = None;
                status(250, "2.0.0 Forgotten")
            }
            Command::Noop => status(250, "2.0.0 Nothing done"),
            Command::Vrfy => status(252, "2.5.2 Try RCPT"),
            Command::StartTls | Command::Expn | Command::Help | Command::Quit => status(502, "5.5.1 Not here"),
        })
    }

    fn greeted(&mut self, name: &str, extended: bool) -> Reply {
        self.hello = Some(name.to_owned());
        self.transaction = None;
        let mut text = self.site.name.to_string();
        if extended {
            self.offered().iter().for_each(|keyword| text = format!("{text}\n{keyword}"));
        }
        Reply::plain(250, text)
    }

    fn offered(&self) -> Vec<String> {
        let behavior = &self.site.faults.behavior;
        let extensions = [
            (Extension::Pipelining, "PIPELINING".to_owned()),
            (Extension::Chunking, "CHUNKING".to_owned()),
            (Extension::Size, format!("SIZE {CONTENT_OCTETS_MAX}")),
            (Extension::EightBitMime, "8BITMIME".to_owned()),
            (Extension::SmtpUtf8, "SMTPUTF8".to_owned()),
            (Extension::Dsn, "DSN".to_owned()),
            (Extension::EnhancedStatusCodes, "ENHANCEDSTATUSCODES".to_owned()),
        ];
        let offered = extensions.into_iter().filter(|(extension, _)| self.offers(*extension));
        let mut keywords: Vec<_> = offered.map(|(_, keyword)| keyword).collect();
        if self.may_start_tls() {
            keywords.push("STARTTLS".to_owned());
        }
        if behavior.login.is_some() && self.tls.is_some() {
            keywords.push("AUTH PLAIN LOGIN".to_owned());
        }
        keywords
    }

    fn offers(&self, extension: Extension) -> bool {
        !self.site.faults.behavior.without.contains(&extension)
    }

    fn extensions(&self) -> Extensions {
        Extensions {
            size: self.offers(Extension::Size),
            pipelining: self.offers(Extension::Pipelining),
            dsn: self.offers(Extension::Dsn),
            enhanced_status_codes: self.offers(Extension::EnhancedStatusCodes),
            eight_bit_mime: self.offers(Extension::EightBitMime),
            chunking: self.offers(Extension::Chunking),
            smtputf8: self.offers(Extension::SmtpUtf8),
            long_addresses: false,
        }
    }

    fn may_start_tls(&self) -> bool {
        self.site.tls.is_some() && self.tls.is_none()
    }

    async fn start_tls(mut self) -> Result<Self, Ended> {
        self.send(&status(220, "2.0.0 Go ahead")).await?;
        // RFC 3207 §4.2: nothing said in clear counts under TLS, least of all what was sent ahead of it.
        if !self.input.is_empty() {
            return Err(Ended::Protocol("octets after STARTTLS"));
        }
        let server = self.site.tls.clone().expect("checked before STARTTLS was accepted");
        let (stream, about) = server.accept(self.stream).await?;
        Ok(Self { stream, tls: Some(about), hello: None, user: None, transaction: None, ..self })
    }

    async fn mail(&mut self, argument: &str) -> Result<Reply, Ended> {
        if self.hello.is_none() || self.transaction.is_some() {
            return Ok(status(503, "5.5.1 Not now"));
        }
        let parsed = match MailCommand::parse(argument, &self.extensions()) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(error.mail_reply()),
        };
        if self.site.faults.behavior.login.is_some() && self.user.is_none() {
            return Ok(status(530, "5.7.0 Authentication required"));
        }
        let party = Party { sender: Some(parsed.reverse_path), recipient: None };
        if let Some(refusal) = self.fault(Step::Mail, &party).await? {
            return Ok(refusal);
        }
        let sender_parameters = parameters_of(argument);
        let smtputf8 = parsed.smtputf8;
        self.transaction = Some(Transaction { sender_parameters, smtputf8, party, ..Transaction::default() });
        Ok(status(250, "2.1.0 Sender accepted"))
    }

    async fn rcpt(&mut self, argument: &str) -> Result<Reply, Ended> {
        let Some(transaction) = self.transaction.as_ref().filter(|transaction| !transaction.chunked) else {
            return Ok(status(503, "5.5.1 Not now"));
        };
        let own = OwnNames { postmaster_domain: &self.site.name, address: None };
        let parsed = parse_recipient(argument, &self.extensions(), transaction.smtputf8, own);
        let recipient = match parsed {
            Ok(recipient) => recipient.address,
            Err(error) => return Ok(error.rcpt_reply()),
        };
        let party = Party { recipient: Some(recipient.clone()), ..transaction.party.clone() };
        if let Some(refusal) = self.fault(Step::Rcpt, &party).await? {
            return Ok(refusal);
        }
        let transaction = self.transaction.as_mut().expect("looked at above");
        transaction.party.recipient.get_or_insert(recipient.clone());
        let parameters = parameters_of(argument);
        transaction.recipients.push(DeliveredTo { address: recipient.to_string(), parameters });
        Ok(status(250, "2.1.5 Recipient accepted"))
    }

    /// Lets everything happen that goes wrong at `step`; gives the reply that takes the place of the ordinary one.
    async fn fault(&self, step: Step, party: &Party) -> Result<Option<Reply>, Ended> {
        for fault in self.site.faults.at(step, party) {
            tokio::time::sleep(fault.delay).await;
            match &fault.outcome {
                Reaction::Continue => {}
                Reaction::Reply(reply) => return Ok(Some(reply.clone())),
                Reaction::Disconnect => return Err(Ended::ByFault),
            }
        }
        Ok(None)
    }

    async fn line(&mut self) -> Result<BytesMut, Ended> {
        let end = loop {
            match memchr(b'\n', &self.input) {
                Some(end) => break end,
                None if self.input.len() > LINE_OCTETS_MAX => return Err(Ended::Protocol("an endless line")),
                None => self.read().await?,
            }
        };
        let mut line = self.input.split_to(end);
        self.input.advance(1);
        if line.last() != Some(&b'\r') {
            return Err(Ended::Protocol("a line without CR"));
        }
        line.truncate(line.len() - 1);
        Ok(line)
    }

    async fn read(&mut self) -> Result<(), Ended> {
        self.input.reserve(READ_OCTETS);
        let read = tokio::time::timeout(INACTIVITY, self.stream.read_buf(&mut self.input)).await;
        match read.map_err(|_| Ended::Silent)?? {
            0 => Err(Ended::Connection(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    async fn send(&mut self, reply: &Reply) -> Result<(), Ended> {
        let codes = self.offers(Extension::EnhancedStatusCodes);
        let mut output = BytesMut::new();
        reply::write(reply, if codes { StatusCodes::Written } else { StatusCodes::LeftOut }, &mut output);
        self.stream.write_all(&output).await?;
        Ok(self.stream.flush().await?)
    }
}

/// A reply from `2.1.0 Sender accepted`.
fn status(code: u16, text: &str) -> Reply {
    let (status, text) = EnhancedStatus::strip_from(text).expect("replies in code start with their status");
    Reply::new(code, status, text)
}

/// What follows the path.
fn parameters_of(argument: &str) -> String {
    argument.rsplit_once('>').map_or("", |(_, parameters)| parameters).trim().to_owned()
}
