//! One message through the categorizer: its recipients are resolved, routed, and divided into copies.
//!
//! Directory look-ups are somebody else's work, so categorization is a machine that asks for what it needs, twenty
//! addresses at a time, and goes on with the answers:
//!
//! ```text
//!   Message ──▶ Categorization ──step──▶ Done(CategorizationOutcome)
//!                    ▲           └─────▶ NeedRecipients(Pending)
//!                    └── Pending::supply(answers) ──┘
//!
//!   resolve     sender and envelope first, then members of groups          PL-43…PL-50
//!     limits    recipients of the envelope, size by sender and recipient   LM-02…LM-14
//!   route       each final recipient, by `routing`                         RT-06…RT-72
//!   bifurcate   equal next-hop keys travel together, at most 1000 a copy   RT-31, PL-54
//! ```
//!
//! Every recipient of the envelope ends in exactly one place of [`Categorized`]: in a copy, unreachable, failed, deferred,
//! expanded, or merged with an equal one. A recipient that a group brought in is named with the envelope recipient that
//! it came from.
//!
//! Not here: mail flow rules, the text of notifications. Nothing in the directory
//! changes the sender of a message yet, so copies never differ by it (PL-53).

mod failure;
mod message;
mod outcome;
mod resolution;
mod size;
#[cfg(test)]
mod tests;

pub use failure::RecipientFailure;
pub use message::{
    Arrival, Detail, Home, Incoming, Message, Origin, Position, ResolvedRecipient, SenderKind, SizeFacts,
};
pub use outcome::{
    CategorizationOutcome, Categorized, Deferred, Expanded, Explained, Failed, Merged, MessageCopy, Unreachable,
};
pub use resolution::{
    Begun, Categorization, EXPANDED_RECIPIENTS_MAX, EXPANSION_SIZE_LIMIT, LOOKUP_BATCH_MAX, Lookup, Pending, Step,
};
