//! Who did not answer lately, for all connections of a sender.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::Host;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Who did not answer is called after the others for this long. Default 15 minutes: longer than the intervals of the first
/// attempts (SC-92), and than all calls of one attempt take.
pub const LATELY: Duration = Duration::from_mins(15);
/// Hosts remembered as not answering; more are forgotten, and cost a call each.
const SILENT_HOSTS_MAX: usize = 4096;

/// Hosts and addresses that did not answer lately.
#[derive(Clone, Default)]
pub(crate) struct Silent(Arc<Mutex<HashMap<Whom, Instant>>>);

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Whom {
    Host(Host),
    Address(SocketAddr),
}

impl Silent {
    pub(crate) fn note(&self, whom: Whom) {
        let mut known = self.0.lock();
        if known.len() >= SILENT_HOSTS_MAX {
            known.retain(|_, since| since.elapsed() < LATELY);
            if known.len() >= SILENT_HOSTS_MAX {
                known.clear();
            }
        }
        known.insert(whom, Instant::now());
    }

    pub(crate) fn forget(&self, whom: &Whom) {
        self.0.lock().remove(whom);
    }

    pub(crate) fn has(&self, whom: &Whom) -> bool {
        self.0.lock().get(whom).is_some_and(|since| since.elapsed() < LATELY)
    }
}
