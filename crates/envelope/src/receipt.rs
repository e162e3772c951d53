//! The promise behind `250`: proof that a message survives power loss.

use crate::identity::{MessageId, ServerName};

/// Proof that a server holds the message durably (invariant 1). A server answers `250` to end-of-data only by
/// consuming one. Made in exactly two places, which `tests/tidy` checks: `queue`, after its sync, and `rpc`, from the
/// acknowledgement of a Transport service that did so.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a receipt is the only thing that may become a 250"]
pub struct Receipt {
    message: MessageId,
    holder: ServerName,
}

impl Receipt {
    /// States that `holder` has committed `message`. For `queue` and `rpc` only.
    pub fn after_commit(message: MessageId, holder: ServerName) -> Self {
        Self { message, holder }
    }

    /// The message held.
    #[must_use]
    pub fn message(&self) -> MessageId {
        self.message
    }

    /// The server that holds it.
    #[must_use]
    pub fn holder(&self) -> &ServerName {
        &self.holder
    }
}
