//! What categorization comes to.

use envelope::{Address, Recipient, Revision, Span};
use routing::{Explanation, Route, UnreachableReason};

use crate::failure::RecipientFailure;
use crate::message::{Origin, Position, ResolvedRecipient};

/// The end of one categorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CategorizationOutcome {
    /// Every recipient has its place.
    Categorized(Box<Categorized>),
    /// The directory did not answer: back to the Submission queue (PL-43).
    DirectoryUnavailable {
        /// When to try again: the server's `ResolverRetryInterval`.
        retry_after: Span,
    },
}

/// A categorized message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categorized {
    /// One message for each next hop, in the order in which recipients led to them.
    pub copies: Vec<MessageCopy>,
    /// For the Unreachable queue.
    pub unreachable: Vec<Unreachable>,
    /// For a failure notification.
    pub failed: Vec<Failed>,
    /// Waiting for something other than configuration.
    pub deferred: Vec<Deferred>,
    /// Groups of the envelope that were expanded here.
    pub expanded: Vec<Expanded>,
    /// Recipients that another one already stands for: delivered once.
    pub merged: Vec<Merged>,
    /// Each routing decision with its candidates, when [`Detail::Explanation`](crate::Detail) was asked for.
    pub explained: Vec<Explained>,
    /// The configuration that all of it was decided by.
    pub revision: Revision,
}

/// Recipients that travel together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCopy {
    /// Where to. Copies that were chipped share one (PL-54).
    pub route: Route,
    /// At least one, at most [`EXPANSION_SIZE_LIMIT`](crate::EXPANSION_SIZE_LIMIT).
    pub recipients: Vec<ResolvedRecipient>,
}

/// A recipient without a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Who.
    pub recipient: ResolvedRecipient,
    /// The message's `LastError`.
    pub reason: UnreachableReason,
}

/// A recipient that is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Who, as far as it was resolved.
    pub recipient: Recipient,
    /// What it came from.
    pub origin: Origin,
    /// Why.
    pub failure: RecipientFailure,
}

/// A recipient whose route is closed for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// Who.
    pub recipient: ResolvedRecipient,
    /// Why.
    pub reason: routing::DeferReason,
}

/// A group of the envelope whose members took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expanded {
    /// As it stood in the envelope. With `NOTIFY=SUCCESS` the sender is told that it was expanded (RFC 3461 §5.2.7.3).
    pub recipient: Recipient,
    /// Where it stood.
    pub position: Position,
}

/// A recipient that is delivered under another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The address that was there again.
    pub address: Address,
    /// What it came from.
    pub origin: Origin,
}

/// A routing decision with its candidates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Who.
    pub address: Address,
    /// Why.
    pub explanation: Explanation,
}
