//! What a message waits for before it is tried again.

use std::sync::Arc;

use envelope::Timestamp;
use telemetry::{Hop, keys};

/// A wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Until then, unless somebody or something wakes it earlier.
    pub(crate) until: Timestamp,
    /// For whoever looks at the queue: its `LastError`.
    pub(crate) why: Arc<str>,
}

impl Wait {
    /// Notes it in a span.
    pub(crate) fn note(&self, span: &mut Hop) {
        span.attribute(keys::WAIT_UNTIL, &self.until);
        span.attribute(keys::WAIT_REASON, &*self.why);
    }
}
