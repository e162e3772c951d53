//! A small SMTP client that submits test messages and reports what the server said to each step.
//!
//! Stands on mail-send, not on the product's own sender, so that the two do not share their faults. It sends one command
//! at a time and gives up at the first refusal that leaves nothing to do. It does not retry.

mod test_message;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use envelope::{Address, Domain, EnhancedStatus, Reply, ReversePath, Severity};
use net::tls::TrustedRoots;
use net::{ConnectError, Host, Stream, TlsClient, TlsError, Verification};
use smtp_session::Credentials;
use smtp_session::dot::Stuffer;
use tokio::io::AsyncWriteExt;

pub use test_message::TestMessage;

/// Longest wait for any one reply, unless the submission says otherwise (RFC 5321 §4.5.3.2.6).
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(600);

/// What to submit, and how.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Where to connect.
    pub server: SocketAddr,
    /// Our address, where it matters (a Receive connector goes by it).
    pub source: Option<std::net::IpAddr>,
    /// Our name in EHLO.
    pub hello: Domain,
    /// Whether to encrypt.
    pub encryption: Encryption,
    /// User and password, sent with AUTH PLAIN.
    pub login: Option<Credentials>,
    /// `MAIL FROM`.
    pub sender: ReversePath,
    /// `RCPT TO`, in this order.
    pub recipients: Vec<Address>,
    /// The content; line endings that are not CRLF become CRLF.
    pub content: Vec<u8>,
    /// Longest wait for any one reply.
    pub reply_timeout: Duration,
}

impl Submission {
    /// A submission in clear without a login.
    #[must_use]
    pub fn new(server: SocketAddr, sender: ReversePath, recipients: Vec<Address>, content: Vec<u8>) -> Self {
        Self {
            server,
            source: None,
            hello: Domain::parse("client.lab.example").expect("a domain"),
            encryption: Encryption::None,
            login: None,
            sender,
            recipients,
            content,
            reply_timeout: REPLY_TIMEOUT,
        }
    }
}

/// Whether to encrypt.
#[derive(Clone, Debug)]
pub enum Encryption {
    /// In clear.
    None,
    /// STARTTLS; without it nothing is sent.
    StartTls {
        /// The server's name, sent in the handshake.
        name: Domain,
        /// Which of its certificates will do.
        verification: Verification,
        /// Who has to vouch for it.
        roots: TrustedRoots,
    },
}

/// A step of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Until the server has greeted.
    Banner,
    /// Until its extensions are known, under TLS once more.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// The logon.
    Auth,
    /// The sender, with SIZE and the like.
    Mail,
    /// One of the recipients.
    Rcpt,
    /// Until `354`.
    Data,
    /// The final dot.
    EndOfData,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Banner => "the connection",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::EndOfData => "the end of data",
        })
    }
}

/// A message that the server took for at least one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Everything said up to the last RCPT, recipients left out.
    pub replies: Vec<(Phase, Reply)>,
    /// What each recipient got, in the order given.
    pub recipients: Vec<(Address, Reply)>,
    /// What the message got.
    pub accepted: Reply,
}

/// Why the server has not taken the message.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server said no.
    #[error("the server answered to {phase}: {reply}")]
    Refused {
        /// Where.
        phase: Phase,
        /// How.
        reply: Reply,
    },
    /// The server said no to every recipient.
    #[error("the server refused every recipient{}", refusals(.0))]
    NoRecipient(Vec<(Address, Reply)>),
    /// The connection broke, or what came was no reply, or nothing came in time. After [`Phase::EndOfData`] the server may
    /// have the message all the same.
    #[error("no reply to {phase}: {cause}")]
    NoReply {
        /// Where.
        phase: Phase,
        /// What mail-send made of it.
        cause: Box<str>,
    },
}

fn refusals(recipients: &[(Address, Reply)]) -> String {
    recipients.iter().map(|(address, reply)| format!("; {address}: {reply}")).collect()
}

impl ClientError {
    /// Whether trying again may help. A refusal of every recipient is as good as its best reply.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Refused { reply, .. } => reply.severity(),
            Self::NoRecipient(all) => {
                all.iter().map(|(_, reply)| reply.severity()).min().unwrap_or(Severity::Permanent)
            }
            Self::Connect(_) | Self::Tls(_) | Self::NoReply { .. } => Severity::Transient,
        }
    }
}

/// Submits one message over a connection of its own.
///
/// # Errors
/// [`ClientError`]; no recipient has been accepted for good, except as [`ClientError::NoReply`] says.
pub async fn submit(submission: &Submission) -> Result<Submitted, ClientError> {
    let stream = net::connect(submission.server, submission.source, submission.reply_timeout).await?;
    let mut connection = Connection::new(stream, submission.reply_timeout);
    connection.greeted().await?;
    connection.hello(&submission.hello).await?;
    if let Encryption::StartTls { name, verification, roots } = &submission.encryption {
        connection.expect(Phase::StartTls, "STARTTLS\r\n").await?;
        connection = connection.encrypted(name, verification, roots.clone()).await?;
        connection.hello(&submission.hello).await?;
    }
    if let Some(login) = &submission.login {
        connection.authenticate(login).await?;
    }
    connection.expect(Phase::Mail, &format!("MAIL FROM:<{}>\r\n", submission.sender)).await?;
    let mut recipients = Vec::with_capacity(submission.recipients.len());
    for address in &submission.recipients {
        let reply = connection.command(Phase::Rcpt, &format!("RCPT TO:<{address}>\r\n")).await?;
        recipients.push((address.clone(), reply));
    }
    if recipients.iter().all(|(_, reply)| reply.severity() != Severity::Success) {
        connection.quit().await;
        return Err(ClientError::NoRecipient(recipients));
    }
    connection.expect(Phase::Data, "DATA\r\n").await?;
    let accepted = connection.content(&submission.content).await?;
    connection.quit().await;
    Ok(Submitted { replies: connection.replies, recipients, accepted })
}

struct Connection {
    smtp: mail_send::SmtpClient<Stream>,
    replies: Vec<(Phase, Reply)>,
}

impl Connection {
    fn new(stream: Stream, timeout: Duration) -> Self {
        Self { smtp: mail_send::SmtpClient { stream, timeout }, replies: Vec::new() }
    }

    async fn greeted(&mut self) -> Result<(), ClientError> {
        // An empty command only waits for a reply, with the timeout that a bare read would not have.
        self.expect(Phase::Banner, "").await
    }

    async fn hello(&mut self, name: &Domain) -> Result<(), ClientError> {
        self.expect(Phase::Ehlo, &format!("EHLO {name}\r\n")).await
    }

    async fn encrypted(
        self,
        name: &Domain,
        verification: &Verification,
        roots: TrustedRoots,
    ) -> Result<Self, ClientError> {
        let mail_send::SmtpClient { stream, timeout } = self.smtp;
        let host = Host::Name(name.clone());
        let (stream, _) = TlsClient::new(roots).connect(stream, &host, verification).await?;
        Ok(Self { smtp: mail_send::SmtpClient { stream, timeout }, replies: self.replies })
    }

    /// RFC 4616, with the initial response in the command.
    async fn authenticate(&mut self, login: &Credentials) -> Result<(), ClientError> {
        let response = [b"\0", login.user.as_bytes(), b"\0", login.secret.expose()].concat();
        let command = format!("AUTH PLAIN {}\r\n", BASE64_STANDARD.encode(response));
        self.expect(Phase::Auth, &command).await
    }

    async fn content(&mut self, content: &[u8]) -> Result<Reply, ClientError> {
        let (mut stuffer, mut stuffed) = (Stuffer::default(), BytesMut::with_capacity(content.len() + 64));
        stuffer.encode(content, &mut stuffed);
        stuffer.finish(&mut stuffed);
        let reply = self.command(Phase::EndOfData, &stuffed).await?;
        accepted(Phase::EndOfData, reply)
    }

    /// The message's fate is known; what happens to the connection does not matter any more.
    async fn quit(&mut self) {
        let _farewell = self.smtp.stream.write_all(b"QUIT\r\n").await;
        let _closed = self.smtp.stream.shutdown().await;
    }

    async fn expect(&mut self, phase: Phase, command: &str) -> Result<(), ClientError> {
        let reply = accepted(phase, self.command(phase, command).await?)?;
        self.replies.push((phase, reply));
        Ok(())
    }

    async fn command(&mut self, phase: Phase, command: impl AsRef<[u8]>) -> Result<Reply, ClientError> {
        let response = self.smtp.cmd(command).await.map_err(|cause| no_reply(phase, &cause))?;
        let [class, subject, detail] = response.esc;
        let status =
            matches!(class, 2 | 4 | 5).then(|| EnhancedStatus::new(class, u16::from(subject), u16::from(detail)));
        Ok(Reply { code: response.code, status, text: response.message.into() })
    }
}

fn accepted(phase: Phase, reply: Reply) -> Result<Reply, ClientError> {
    if reply.severity() == Severity::Success { Ok(reply) } else { Err(ClientError::Refused { phase, reply }) }
}

fn no_reply(phase: Phase, cause: &mail_send::Error) -> ClientError {
    let cause = match cause {
        mail_send::Error::Io(error) => error.to_string(),
        mail_send::Error::UnparseableReply => "the connection was closed, or it is no reply of SMTP".to_owned(),
        mail_send::Error::Timeout => "nothing came in time".to_owned(),
        other => other.to_string(),
    };
    ClientError::NoReply { phase, cause: cause.into() }
}
