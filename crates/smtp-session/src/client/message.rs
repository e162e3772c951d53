//! One message on its way out: what is known of each recipient, and the outcome.

use envelope::{BodyType, Envelope, Reply};

use super::failure::{Cause, SessionFailure};

/// How the content of a message is handed over.
#[derive(Clone, Copy, Debug)]
pub enum MessageContent<'a> {
    /// All of it: sent together with the commands if the server allows, otherwise asked for as if streamed.
    Whole(&'a [u8]),
    /// Asked for with [`super::ClientEvent::Content`]; `size` in octets is announced.
    Streamed {
        /// As announced with `SIZE=`.
        size: u64,
    },
    /// There is none: the server is asked whom it would take mail for, and nothing is sent. Its answer for each recipient that
    /// it would take is the one to `RSET`.
    Nothing,
}

impl MessageContent<'_> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Whole(octets) => octets.len() as u64,
            Self::Streamed { size } => *size,
            Self::Nothing => 0,
        }
    }
}

/// Extensions without which a message cannot go as it is. What is there counts, and a flag only where that cannot be seen:
/// many clients say `BODY=8BITMIME` and `SMTPUTF8` with every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// Octets above 127 in the content (RFC 6152).
    pub eight_bit_mime: bool,
    /// Something beyond ASCII in the envelope or the header (RFC 6531 §3.2).
    pub smtputf8: bool,
    /// The sender's address is long (EN-73).
    pub long_addresses: bool,
}

impl Needs {
    pub(super) fn of(envelope: &Envelope, content: MessageContent<'_>) -> Self {
        let beyond_ascii = envelope.reverse_path.address().is_some_and(|address| !address.is_ascii())
            || envelope.recipients.iter().any(|recipient| !recipient.address.is_ascii());
        let long_addresses = envelope.reverse_path.address().is_some_and(envelope::Address::is_long);
        match content {
            MessageContent::Whole(octets) => {
                let eight_bit_mime = !octets.is_ascii();
                let in_header = envelope.smtputf8 && eight_bit_mime && !header(octets).is_ascii();
                Self { eight_bit_mime, smtputf8: beyond_ascii || in_header, long_addresses }
            }
            MessageContent::Streamed { .. } | MessageContent::Nothing => Self {
                eight_bit_mime: envelope.body == BodyType::EightBitMime,
                smtputf8: beyond_ascii || envelope.smtputf8,
                long_addresses,
            },
        }
    }
}

/// Everything before the first empty line.
fn header(content: &[u8]) -> &[u8] {
    let mut rest = content;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        if matches!(&rest[..end], b"" | b"\r") {
            break;
        }
        rest = &rest[end + 1..];
    }
    &content[..content.len() - rest.len()]
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageOutcome {
    /// One for each recipient, in the order of the envelope; `Ok` holds the reply to end-of-data.
    pub recipients: Vec<Result<Reply, SessionFailure>>,
    /// Whether another message may follow on this connection.
    pub reusable: bool,
}

/// Where one recipient stands.
#[derive(Clone, Debug)]
enum Standing {
    Unanswered,
    Accepted,
    Done(Result<Reply, SessionFailure>),
}

/// The recipients of the message under way.
#[derive(Debug)]
pub(super) struct Exchange {
    recipients: Vec<Standing>,
    accepted: usize,
    pub mail_refused: bool,
    /// The content goes with `BDAT`.
    pub in_chunks: bool,
}

impl Exchange {
    pub(super) fn new(recipients: usize) -> Self {
        Self { recipients: vec![Standing::Unanswered; recipients], accepted: 0, mail_refused: false, in_chunks: false }
    }

    pub(super) fn accept(&mut self, index: usize) {
        if let Some(standing @ Standing::Unanswered) = self.recipients.get_mut(index) {
            *standing = Standing::Accepted;
            self.accepted += 1;
        }
    }

    pub(super) fn fail(&mut self, index: usize, failure: SessionFailure) {
        if let Some(standing @ Standing::Unanswered) = self.recipients.get_mut(index) {
            *standing = Standing::Done(Err(failure));
        }
    }

    /// Recipients that the server accepted and that wait for the reply to the message.
    pub(super) fn accepted(&self) -> usize {
        self.accepted
    }

    /// The reply to the message is the result of every accepted recipient.
    pub(super) fn settle_accepted(&mut self, result: &Result<Reply, SessionFailure>) {
        for standing in self.recipients.iter_mut().filter(|standing| matches!(standing, Standing::Accepted)) {
            *standing = Standing::Done(result.clone());
        }
        self.accepted = 0;
    }

    /// Everybody without a result fails with `failure`.
    pub(super) fn fail_rest(&mut self, failure: &SessionFailure) {
        for standing in self.recipients.iter_mut().filter(|standing| !matches!(standing, Standing::Done(_))) {
            *standing = Standing::Done(Err(failure.clone()));
        }
        self.accepted = 0;
    }

    pub(super) fn outcome(self, reusable: bool) -> MessageOutcome {
        let unanswered = || Err(SessionFailure { phase: super::Phase::Data, cause: Cause::Unsolicited });
        let result = |standing| match standing {
            Standing::Done(result) => result,
            Standing::Unanswered | Standing::Accepted => unanswered(),
        };
        MessageOutcome { recipients: self.recipients.into_iter().map(result).collect(), reusable }
    }
}
