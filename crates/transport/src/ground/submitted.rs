//! What is submitted: a stored message as the ledger knows it.

use envelope::Revision;
use queue::{RecipientState, StoredMessage};
use scheduler::{Item, MessageNumber, RecipientIndexes};

/// Recipients that have not come to their end.
pub(crate) fn open_positions(stored: &StoredMessage) -> Vec<u32> {
    let open = |(at, state): (usize, &RecipientState)| (!state.is_final()).then(|| u32::try_from(at).ok()).flatten();
    stored.states.iter().enumerate().filter_map(open).collect()
}

/// What is left of a message, which has that place in the order of acceptance; `None` when nothing is.
pub(crate) fn item(stored: &StoredMessage, sequence: u64) -> Option<Item> {
    of(stored, sequence, &open_positions(stored), false)
}

/// The same after a restart: what an administrator suspended is an item of its own.
pub(crate) fn items(stored: &StoredMessage, sequence: u64) -> Vec<Item> {
    let is_suspended = |at: &u32| matches!(stored.states.get(*at as usize), Some(RecipientState::Pending(pending)) if pending.suspended);
    let (suspended, open): (Vec<u32>, Vec<u32>) = open_positions(stored).into_iter().partition(is_suspended);
    [of(stored, sequence, &open, false), of(stored, sequence, &suspended, true)].into_iter().flatten().collect()
}

fn of(stored: &StoredMessage, sequence: u64, positions: &[u32], suspended: bool) -> Option<Item> {
    let told = |state: &RecipientState| matches!(state, RecipientState::Pending(pending) if pending.delay_notified);
    Some(Item {
        message: stored.head.id,
        // QU-24: durable, and another one for each message.
        number: MessageNumber::new(sequence),
        recipients: RecipientIndexes::new(positions)?,
        arrived: stored.head.arrived,
        delay_reported: stored.states.iter().any(told),
        deferrals: 0,
        crashes: u8::try_from(stored.crashes).unwrap_or(u8::MAX),
        suspended,
        decided: Revision::default(),
    })
}
