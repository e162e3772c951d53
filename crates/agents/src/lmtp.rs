//! Mail for a server that speaks LMTP (RFC 2033), such as Dovecot: one session for each message, one reply for each recipient.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use envelope::{Address, EnhancedStatus, Reply};
use rpc::{AgentAnswer, AgentDelivery};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use crate::Agent;

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for each reply, and for what is written before it: RFC 5321 §4.5.3.2.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Time for all of a message: below the ten minutes after which Transport gives it to another.
const SESSION_TIMEOUT: Duration = Duration::from_secs(9 * 60);
/// Octets of a line of a reply.
const LINE_OCTETS_MAX: u64 = 2048;
/// Lines of a reply.
const LINES_MAX: usize = 64;
/// The type of addresses that LMTP is made for.
const SMTP: &str = "SMTP";

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// By TCP.
    Address(SocketAddr),
    /// By a Unix socket of this machine.
    Socket(PathBuf),
}

/// Delivers by LMTP.
#[derive(Clone, Debug)]
pub struct Lmtp {
    /// Where the server is.
    pub place: Place,
    /// How this host calls itself.
    pub host: Box<str>,
}

/// Why a session ended before everybody was answered.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the LMTP server: {0}")]
    Io(#[from] io::Error),
    #[error("the LMTP server gave no answer in time")]
    Silent,
    #[error("the LMTP server answered what is no reply")]
    Strange,
    /// Before it heard of a message: it may be repaired.
    #[error("the LMTP server answered {0}")]
    Refused(Reply),
    /// It heard of the message.
    #[error("the LMTP server answered {0}")]
    RefusedMessage(Reply),
}

#[async_trait]
impl Agent for Lmtp {
    async fn deliver(&self, delivery: &AgentDelivery, content: Bytes) -> Vec<AgentAnswer> {
        let mut answers: Vec<Option<AgentAnswer>> = vec![None; delivery.recipients.len()];
        let session = timeout(SESSION_TIMEOUT, self.session(delivery, &content, &mut answers)).await;
        let done = session.unwrap_or(Err(Broken::Silent));
        let why = match &done {
            Ok(()) => "no answer came".to_owned(),
            Err(broken) => broken.to_string(),
        };
        // What was refused for good once it heard of the message is about the message.
        let rest = match done {
            Err(Broken::RefusedMessage(reply)) if reply.code >= 500 => AgentAnswer::Failed(reply),
            _ => AgentAnswer::Later(Reply::new(450, EnhancedStatus::new(4, 4, 2), why)),
        };
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| rest.clone())).collect()
    }
}

impl Lmtp {
    async fn session(
        &self,
        delivery: &AgentDelivery,
        content: &[u8],
        answers: &mut [Option<AgentAnswer>],
    ) -> Result<(), Broken> {
        match &self.place {
            Place::Address(address) => {
                let stream = net::stream::connect(*address, None, CONNECT_TIMEOUT).await;
                let stream = stream.map_err(|error| Broken::Io(io::Error::other(error.to_string())))?;
                Session::new(stream).deliver(&self.host, delivery, content, answers).await
            }
            Place::Socket(path) => {
                let stream =
                    timeout(CONNECT_TIMEOUT, net::local::connect(path)).await.map_err(|_| Broken::Silent)??;
                Session::new(stream).deliver(&self.host, delivery, content, answers).await
            }
        }
    }
}

/// One connection.
struct Session<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    async fn deliver(
        &mut self,
        host: &str,
        delivery: &AgentDelivery,
        content: &[u8],
        answers: &mut [Option<AgentAnswer>],
    ) -> Result<(), Broken> {
        self.accepted().await?;
        let offered = self.ask(&format!("LHLO {host}\r\n")).await?;
        let reply = self.ask_any(&mail(delivery, content.len(), &offered)?).await?;
        if !is_positive(&reply) {
            return Err(Broken::RefusedMessage(reply));
        }
        let mut taken = Vec::new();
        for (at, (kind, address)) in delivery.recipients.iter().enumerate() {
            if !is_sayable(kind, address) {
                let reply =
                    Reply::new(550, EnhancedStatus::new(5, 1, 3), format!("{kind}:{address} cannot be said in LMTP"));
                answers[at] = Some(AgentAnswer::Failed(reply));
                continue;
            }
            let reply = self.ask_any(&format!("RCPT TO:<{address}>\r\n")).await?;
            match is_positive(&reply) {
                true => taken.push(at),
                false => answers[at] = Some(answer_of(&reply)),
            }
        }
        if !taken.is_empty() {
            let reply = self.ask_any("DATA\r\n").await?;
            if reply.code != 354 {
                return Err(Broken::RefusedMessage(reply));
            }
            self.write(&dot_stuffed(content)).await?;
            // RFC 2033 §4.2: a reply for each recipient that was accepted, in their order.
            for at in taken {
                answers[at] = Some(answer_of(&self.reply().await?));
            }
        }
        // What it says to that changes nothing.
        let _ = self.write(b"QUIT\r\n").await;
        Ok(())
    }

    /// Says something, and wants it accepted.
    async fn ask(&mut self, command: &str) -> Result<Reply, Broken> {
        self.write(command.as_bytes()).await?;
        self.accepted().await
    }

    async fn ask_any(&mut self, command: &str) -> Result<Reply, Broken> {
        self.write(command.as_bytes()).await?;
        self.reply().await
    }

    async fn accepted(&mut self) -> Result<Reply, Broken> {
        let reply = self.reply().await?;
        if is_positive(&reply) { Ok(reply) } else { Err(Broken::Refused(reply)) }
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), Broken> {
        let writing = async {
            self.stream.get_mut().write_all(octets).await?;
            self.stream.get_mut().flush().await
        };
        Ok(timeout(REPLY_TIMEOUT, writing).await.map_err(|_| Broken::Silent)??)
    }

    async fn reply(&mut self) -> Result<Reply, Broken> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let line = timeout(REPLY_TIMEOUT, self.line()).await.map_err(|_| Broken::Silent)??;
            let (code, rest) = line.split_at_checked(3).ok_or(Broken::Strange)?;
            let is_last = match rest.as_bytes().first() {
                Some(b'-') => false,
                Some(b' ') | None => true,
                Some(_) => return Err(Broken::Strange),
            };
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if is_last {
                let code: u16 = code.parse().ok().filter(|code| (200..600).contains(code)).ok_or(Broken::Strange)?;
                return Ok(reply_of(code, &lines));
            }
            if lines.len() > LINES_MAX {
                return Err(Broken::Strange);
            }
        }
    }

    async fn line(&mut self) -> Result<String, Broken> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(LINE_OCTETS_MAX).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Err(Broken::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        let text = line.strip_suffix(b"\n").ok_or(Broken::Strange)?;
        Ok(String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned())
    }
}

/// With the enhanced status code that stands in front of each line (RFC 2034), or one that says the same as the code.
fn reply_of(code: u16, lines: &[String]) -> Reply {
    let status = lines.first().and_then(|line| line.split(' ').next()?.parse::<EnhancedStatus>().ok());
    let generic = match code {
        200..400 => EnhancedStatus::new(2, 0, 0),
        500.. => EnhancedStatus::new(5, 0, 0),
        _ => EnhancedStatus::new(4, 0, 0),
    };
    let fits = |status: &EnhancedStatus| status.severity() == generic.severity();
    let text: Vec<&str> = lines
        .iter()
        .map(|line| match (status, line.split_once(' ')) {
            (Some(_), Some((first, rest))) if first.parse::<EnhancedStatus>().is_ok() => rest,
            _ => line,
        })
        .collect();
    let text = text.join("\n");
    match status.filter(fits) {
        Some(status) => Reply::new(code, status, text),
        None => Reply::new(code, generic, text),
    }
}

fn is_positive(reply: &Reply) -> bool {
    reply.code < 300
}

fn answer_of(reply: &Reply) -> AgentAnswer {
    match reply.code {
        200..300 => AgentAnswer::Delivered,
        500.. => AgentAnswer::Failed(reply.clone()),
        _ => AgentAnswer::Later(reply.clone()),
    }
}

/// `MAIL`, with what the message needs; what the server cannot take, as it `offered` itself, is said here.
fn mail(delivery: &AgentDelivery, octets: usize, offered: &Reply) -> Result<String, Broken> {
    let offer = |word: &str| {
        let mut lines = offered.text.lines().map(|line| line.split_once(' ').unwrap_or((line, "")));
        lines.find(|(has, _)| has.eq_ignore_ascii_case(word)).map(|(_, parameter)| parameter)
    };
    let refused = |code, status, text: &str| Broken::RefusedMessage(Reply::new(code, status, text.to_owned()));
    let lacks = |what: &str| {
        let text = format!("the LMTP server does not offer {what}, which the message needs");
        refused(550, EnhancedStatus::new(5, 6, 3), &text)
    };
    if !delivery.sender.is_empty() && !is_sayable(SMTP, &delivery.sender) {
        return Err(refused(550, EnhancedStatus::new(5, 1, 7), "the sender cannot be said in LMTP"));
    }
    let mut line = format!("MAIL FROM:<{}>", delivery.sender);
    // RFC 1870 §6.1: 0 is no limit.
    if let Some(most) = offer("SIZE") {
        if most.trim().parse().is_ok_and(|most: usize| most > 0 && octets > most) {
            let text = format!("the LMTP server takes {} octets at most", most.trim());
            return Err(refused(552, EnhancedStatus::new(5, 3, 4), &text));
        }
        line.push_str(&format!(" SIZE={octets}"));
    }
    if delivery.smtputf8 {
        offer("SMTPUTF8").ok_or_else(|| lacks("SMTPUTF8"))?;
        line.push_str(" SMTPUTF8");
    }
    if delivery.eight_bit_mime || delivery.smtputf8 {
        offer("8BITMIME").ok_or_else(|| lacks("8BITMIME"))?;
        line.push_str(" BODY=8BITMIME");
    }
    line.push_str("\r\n");
    Ok(line)
}

/// Whether an address can stand between angle brackets. One of SMTP is made for that, with whatever it has in quotes; one of another
/// type ends no line and no path.
fn is_sayable(kind: &str, address: &str) -> bool {
    if kind.eq_ignore_ascii_case(SMTP) && Address::parse(address).is_ok() {
        return true;
    }
    !address.is_empty() && !address.chars().any(|one| one.is_control() || matches!(one, '<' | '>' | ' '))
}

/// Content with its end (RFC 5321 §4.5.2).
fn dot_stuffed(content: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(content.len() + content.len() / 64 + 8);
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        if line.first() == Some(&b'.') {
            out.put_u8(b'.');
        }
        out.put_slice(line);
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        out.put_slice(b"\r\n");
    }
    out.put_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests;
