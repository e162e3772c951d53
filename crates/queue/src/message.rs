//! What the spool keeps of a message besides its content: the ground state, never anything that can be derived from it.
//!
//! Routes, next hops, delivery queues and retry times are not here: they are recomputed from this at start and on each
//! new configuration (invariant 3).

use envelope::{MessageHead, Recipient};

/// Everything stored about a message except its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Identity, envelope and history; the recipients as last replaced.
    pub head: MessageHead,
    /// State of each of the envelope's recipients, in the same order and number.
    pub states: Vec<RecipientState>,
    /// How often processing it ended in a crash: poison detection counts up before it begins (QU-13).
    pub crashes: u32,
}

impl StoredMessage {
    /// A message as it is when it has just been stored: every recipient pending.
    #[must_use]
    pub fn new(head: MessageHead) -> Self {
        let states = vec![RecipientState::default(); head.envelope.recipients.len()];
        Self { head, states, crashes: 0 }
    }

    /// Recipients with their states.
    pub fn recipients(&self) -> impl Iterator<Item = (&Recipient, &RecipientState)> {
        self.head.envelope.recipients.iter().zip(&self.states)
    }
}

/// What is known about one recipient.
///
/// ```text
/// Pending ──▶ Delivered | Failed | Expanded        (the last three are final)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientState {
    /// Still to be delivered.
    Pending(Pending),
    /// The next hop has taken responsibility.
    Delivered,
    /// Given up; the sender was told, if he wanted to know.
    Failed,
    /// Replaced by the members of the group that it named (PL-49).
    Expanded,
}

impl Default for RecipientState {
    fn default() -> Self {
        Self::Pending(Pending::default())
    }
}

impl RecipientState {
    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending(_))
    }
}

/// A recipient that is still to be delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Delivery attempts so far: the position on the retry ladder.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<Box<str>>,
    /// Whether the sender was told about the delay, so that he is told once.
    pub delay_notified: bool,
}

/// A change of a stored message. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Another list of recipients with their states, in place of the present one.
    pub recipients: Option<Vec<(Recipient, RecipientState)>>,
    /// New states of single recipients, by position in the (new) list. Positions outside of it are ignored.
    pub states: Vec<(usize, RecipientState)>,
    /// Another count of crashes.
    pub crashes: Option<u32>,
}

impl Update {
    /// New states of single recipients, by position.
    #[must_use]
    pub fn states(states: impl IntoIterator<Item = (usize, RecipientState)>) -> Self {
        Self { states: states.into_iter().collect(), ..Self::default() }
    }

    /// Another list of recipients.
    #[must_use]
    pub fn recipients(recipients: impl IntoIterator<Item = (Recipient, RecipientState)>) -> Self {
        Self { recipients: Some(recipients.into_iter().collect()), ..Self::default() }
    }

    /// Another count of crashes.
    #[must_use]
    pub fn crashes(crashes: u32) -> Self {
        Self { crashes: Some(crashes), ..Self::default() }
    }

    /// Makes the change.
    pub fn apply_to(self, stored: &mut StoredMessage) {
        if let Some(recipients) = self.recipients {
            (stored.head.envelope.recipients, stored.states) = recipients.into_iter().unzip();
        }
        for (position, state) in self.states {
            if let Some(present) = stored.states.get_mut(position) {
                *present = state;
            }
        }
        if let Some(crashes) = self.crashes {
            stored.crashes = crashes;
        }
    }
}
