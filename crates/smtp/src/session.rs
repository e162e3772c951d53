//! An open session with a next hop, over connections of this server: whichever of the next hop's hosts takes a message.
//!
//! What one host does not take, another one may, at once (RFC 5321 §5.1); a host that takes a few recipients at a time gets
//! the others at once too (RFC 5321 §4.5.3.1.10). Which of that comes next is known here; that the message is sent again,
//! to whom is left, is the caller's to do: it has the content.

use std::net::SocketAddr;

use async_trait::async_trait;
use envelope::{Reply, Severity};
use smtp_session::client::{Capabilities, Phase};

use crate::failure::{Failure, FailurePhase, Lack, Peer};
use crate::outbound::{MessageOutcome, OutboundMessage, OutboundSession, SmtpSession, TlsOutcome, Turn};
use crate::search::{Search, nobody_to_call};

/// What a message that goes on is offered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The same connection.
    SameSession,
    /// The same host, by another connection.
    SameHost,
    /// Another host.
    OtherHost,
}

/// A session with a next hop.
pub struct NextHopSession {
    search: Search,
    current: SmtpSession,
    next: Next,
    /// What the host said of the message last, if it did not take it for everybody.
    last: Option<Failure>,
}

impl NextHopSession {
    /// Finds the first host that takes a session.
    pub(crate) async fn open(mut search: Search) -> Result<Self, Box<Failure>> {
        match search.next().await {
            Some(current) => Ok(Self { search, current, next: Next::SameSession, last: None }),
            None => Err(search.failure().unwrap_or_else(nobody_to_call)),
        }
    }

    /// Who is at the other end now.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.current.peer()
    }

    /// How the connection is secured.
    #[must_use]
    pub fn tls(&self) -> &TlsOutcome {
        self.current.tls()
    }

    /// What the host offers.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.current.capabilities()
    }

    /// Makes the session one with the host that is next.
    async fn go_on(&mut self, next: Next) -> Result<(), Box<Failure>> {
        let opened = match next {
            Next::SameSession if self.current.is_reusable().await => return Ok(()),
            Next::SameSession | Next::SameHost => self.search.caller().call_again(&self.current).await?,
            Next::OtherHost => match self.search.next().await {
                Some(opened) => opened,
                // There was nobody else: what the last host said stands.
                None => {
                    let said = || self.last.take().map_or_else(nobody_to_call, Box::new);
                    return Err(self.search.failure().unwrap_or_else(said));
                }
            },
        };
        std::mem::replace(&mut self.current, opened).close().await;
        Ok(())
    }

    fn address(&self) -> Option<SocketAddr> {
        self.current.peer().address
    }

    /// What is to be done for whom the message did not reach.
    fn next_for(&self, outcome: &MessageOutcome) -> Option<Next> {
        let failures = || outcome.recipients.iter().filter_map(|result| result.as_ref().err());
        let taken = outcome.recipients.iter().any(Result::is_ok);
        if taken && failures().any(is_too_many) {
            return Some(if outcome.reusable { Next::SameSession } else { Next::SameHost });
        }
        if failures().any(|failure| failure.lacks == Some(Lack::Chunking)) {
            return Some(Next::SameHost);
        }
        // What the host cannot take as it is may be given another form: whoever has the content knows.
        if failures().any(|failure| failure.lacks.is_some()) {
            return Some(Next::SameSession);
        }
        let undone = failures().any(|failure| failure.severity == Severity::Transient || failure.reply.is_none());
        (undone && !failures().any(is_ours) && self.search.may_go_on()).then_some(Next::OtherHost)
    }
}

/// RFC 5321 §4.5.3.1.10: too many recipients in one transaction.
fn is_too_many(failure: &Failure) -> bool {
    let full = |reply: &Reply| reply.code == 452 || reply.code == 552;
    failure.phase == FailurePhase::Dialogue(Phase::Recipient) && failure.reply.as_ref().is_some_and(full)
}

/// Whether the connection was gone before anything of the message was.
fn is_lost(result: &Result<Reply, Failure>) -> bool {
    result
        .as_ref()
        .is_err_and(|failure| failure.reply.is_none() && !failure.ambiguous && failure.lacks.is_none() && !failure.ours)
}

/// Whether our own side is at fault: no other host would make it better.
fn is_ours(failure: &Failure) -> bool {
    failure.ours
}

#[async_trait]
impl OutboundSession for NextHopSession {
    async fn send(&mut self, message: OutboundMessage<'_>) -> MessageOutcome {
        let next = match message.turn {
            Turn::First => {
                self.search.restart(self.address());
                None
            }
            Turn::Again => Some(self.next),
            Turn::NextHost => Some(Next::OtherHost),
        };
        if let Some(next) = next
            // In a box: a message that the first host takes makes no room for it.
            && let Err(failure) = Box::pin(self.go_on(next)).await
        {
            let recipients = vec![Err(*failure); message.envelope.recipients.len()];
            let again = next != Next::OtherHost && self.search.may_go_on();
            self.next = Next::OtherHost;
            return MessageOutcome { recipients, reusable: false, again, peer: self.peer().clone(), dsn: false };
        }
        let mut outcome = self.current.send(message).await;
        self.last = outcome.recipients.iter().find_map(|result| result.as_ref().err()).cloned();
        // The host closed the connection after the turn before, and it was not noticed in time.
        let was_stale = next == Some(Next::SameSession) && outcome.recipients.iter().all(is_lost);
        let next = if was_stale { Some(Next::SameHost) } else { self.next_for(&outcome) };
        outcome.again = next.is_some();
        self.next = next.unwrap_or(Next::OtherHost);
        outcome
    }

    async fn is_reusable(&mut self) -> bool {
        self.current.is_reusable().await
    }

    async fn close(self: Box<Self>) {
        self.current.close().await;
    }
}
