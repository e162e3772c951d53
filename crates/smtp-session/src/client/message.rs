//! One message on its way out: what is known of each recipient, and the outcome.

use envelope::Reply;

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
}

impl MessageContent<'_> {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Whole(octets) => octets.len() as u64,
            Self::Streamed { size } => *size,
        }
    }
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
}

impl Exchange {
    pub fn new(recipients: usize) -> Self {
        Self { recipients: vec![Standing::Unanswered; recipients], accepted: 0, mail_refused: false }
    }

    pub fn accept(&mut self, index: usize) {
        if let Some(standing @ Standing::Unanswered) = self.recipients.get_mut(index) {
            *standing = Standing::Accepted;
            self.accepted += 1;
        }
    }

    pub fn fail(&mut self, index: usize, failure: SessionFailure) {
        if let Some(standing @ Standing::Unanswered) = self.recipients.get_mut(index) {
            *standing = Standing::Done(Err(failure));
        }
    }

    /// Recipients that the server accepted and that wait for the reply to the message.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// The reply to the message is the result of every accepted recipient.
    pub fn settle_accepted(&mut self, result: &Result<Reply, SessionFailure>) {
        for standing in self.recipients.iter_mut().filter(|standing| matches!(standing, Standing::Accepted)) {
            *standing = Standing::Done(result.clone());
        }
        self.accepted = 0;
    }

    /// Everybody without a result fails with `failure`.
    pub fn fail_rest(&mut self, failure: &SessionFailure) {
        for standing in self.recipients.iter_mut().filter(|standing| !matches!(standing, Standing::Done(_))) {
            *standing = Standing::Done(Err(failure.clone()));
        }
        self.accepted = 0;
    }

    pub fn outcome(self, reusable: bool) -> MessageOutcome {
        let unanswered = || Err(SessionFailure { phase: super::Phase::Data, cause: Cause::Unsolicited });
        let result = |standing| match standing {
            Standing::Done(result) => result,
            Standing::Unanswered | Standing::Accepted => unanswered(),
        };
        MessageOutcome { recipients: self.recipients.into_iter().map(result).collect(), reusable }
    }
}
