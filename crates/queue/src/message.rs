//! What the spool keeps of a message besides its content: the ground state, never anything that can be derived from it.
//!
//! Routes, next hops, delivery queues and retry times are not here: they are recomputed from this at start and on each
//! new configuration (invariant 3).

use std::collections::BTreeMap;

use envelope::{MessageHead, Recipient, ServerName, Timestamp};

/// Everything stored about a message except its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMessage {
    /// Identity, envelope and history; the recipients as last replaced.
    pub head: MessageHead,
    /// State of each of the envelope's recipients, in the same order and number.
    pub states: Vec<RecipientState>,
    /// How often processing it ended in a crash (QU-13). The spool counts: a message that was in hands
    /// ([`Spool::take_in_hand`](crate::Spool::take_in_hand)) when the process died has one more at the next start.
    pub crashes: u32,
    /// Whose it is.
    pub role: Role,
    /// What a newer version stored and this one does not know: kept, and passed on when the message is moved.
    pub unknown: Vec<UnknownField>,
}

/// A field of a newer version that may be passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// Which: below 128, since any other would have ended the reading.
    pub tag: u8,
    /// As it was stored.
    pub value: Box<[u8]>,
}

/// Whose a stored message is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// This server's: it delivers it, or tells its sender.
    #[default]
    Own,
    /// A copy of a message that another server is responsible for (HA): kept until that server says that it is done, delivered
    /// by this one only when that server is gone.
    Shadow {
        /// The server that is responsible.
        primary: ServerName,
    },
}

impl StoredMessage {
    /// A message as it is when it has just been stored: every recipient pending.
    #[must_use]
    pub fn new(head: MessageHead) -> Self {
        let states = vec![RecipientState::default(); head.envelope.recipients.len()];
        Self { head, states, crashes: 0, role: Role::Own, unknown: Vec::new() }
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
    Delivered(Ended),
    /// Given up; the sender was told, if he wanted to know.
    Failed(Ended),
    /// Replaced by the members of the group that it named (PL-49).
    Expanded(Ended),
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

/// When and where a recipient came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// When; not known of what a version before 3 stored.
    pub at: Option<Timestamp>,
    /// Who took it or answered: a server, a host, a mailbox database. None when it was this server's own decision.
    pub by: Option<Box<str>>,
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
    /// An administrator has suspended the message in the queue of this recipient (QU-27, `Suspend-Message`).
    pub suspended: bool,
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
    /// Another role: a server takes over what it kept for another (HA).
    pub role: Option<Role>,
    /// What a newer version wrote and this one does not know.
    pub unknown: Vec<UnknownField>,
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

    /// Another count of crashes: none any more, when the message was processed without one.
    #[must_use]
    pub fn crashes(crashes: u32) -> Self {
        Self { crashes: Some(crashes), ..Self::default() }
    }

    /// Another role.
    #[must_use]
    pub fn role(role: Role) -> Self {
        Self { role: Some(role), ..Self::default() }
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
        stored.crashes = self.crashes.unwrap_or(stored.crashes);
        if let Some(role) = self.role {
            stored.role = role;
        }
        replace(&mut stored.unknown, self.unknown);
    }

    /// Changes that were made one after the other, as one.
    pub(crate) fn all_as_one(updates: impl IntoIterator<Item = Self>) -> Self {
        let (mut all, mut states) = (Self::default(), BTreeMap::new());
        for later in updates {
            if later.recipients.is_some() {
                (all.recipients, states) = (later.recipients, BTreeMap::new());
            }
            states.extend(later.states);
            all.crashes = later.crashes.or(all.crashes);
            all.role = later.role.or(all.role);
            replace(&mut all.unknown, later.unknown);
        }
        all.states = states.into_iter().collect();
        all
    }
}

/// A field that comes again takes the place of the former.
fn replace(fields: &mut Vec<UnknownField>, later: Vec<UnknownField>) {
    fields.retain(|field| later.iter().all(|other| other.tag != field.tag));
    fields.extend(later);
}
