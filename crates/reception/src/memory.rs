//! Memory of half-received messages, over all sessions of a service: thousands of clients that begin and never end may not
//! take it all. At the limit mail is refused for now, first at `MAIL`, so that what is under way can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envelope::{ByteSize, EnhancedStatus, Reply};

/// Octets of half-received messages held at a time.
const HELD_MAX: ByteSize = ByteSize::mib(256);
/// Beyond this share of it, in per cent, no new message is begun.
const BEGUN_UP_TO_PERCENT: u64 = 80;
/// Octets of one message that are held at most before they are passed on or stored: its header, and what a front end holds of
/// small ones.
const HELD_OF_MESSAGE_MAX: u64 = 512 * 1024;

/// What all sessions hold.
#[derive(Debug, Default)]
pub(crate) struct HeldOctets(AtomicU64);

/// What one message holds; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    all: Arc<HeldOctets>,
    octets: u64,
}

impl HeldOctets {
    /// Whether a message may begin.
    ///
    /// # Errors
    /// The `452` for one that may not now.
    pub(crate) fn check(&self) -> Result<(), Reply> {
        let few = self.0.load(Ordering::Relaxed) <= HELD_MAX.as_u64() / 100 * BEGUN_UP_TO_PERCENT;
        if few { Ok(()) } else { Err(insufficient()) }
    }

    /// A message that holds nothing yet.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        Hold { all: Arc::clone(self), octets: 0 }
    }
}

impl Hold {
    /// So many octets more.
    ///
    /// # Errors
    /// The `452` when there is no memory for them.
    pub(crate) fn add(&mut self, octets: u64) -> Result<(), Reply> {
        let more = octets.min(HELD_OF_MESSAGE_MAX.saturating_sub(self.octets));
        self.octets += more;
        let before = self.all.0.fetch_add(more, Ordering::Relaxed);
        if more == 0 || before + more <= HELD_MAX.as_u64() { Ok(()) } else { Err(insufficient()) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

/// BP-14.
fn insufficient() -> Reply {
    Reply::new(452, EnhancedStatus::new(4, 3, 1), "Insufficient system resources")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit_nothing_begins_and_what_ends_makes_room() {
        let all = Arc::new(HeldOctets::default());
        let most = HELD_MAX.as_u64() / HELD_OF_MESSAGE_MAX;
        let mut holds = Vec::new();
        for number in 0..most {
            assert_eq!(all.check().is_ok(), number * 100 <= most * 80, "{number}");
            let mut hold = all.hold();
            assert!(hold.add(HELD_OF_MESSAGE_MAX - 1).is_ok() && hold.add(1 << 30).is_ok(), "large ones are passed on");
            holds.push(hold);
        }
        assert_eq!(all.hold().add(1).unwrap_err().code, 452);
        holds.truncate(holds.len() / 2);
        assert!(all.check().is_ok() && all.hold().add(1).is_ok());
        drop(holds);
        assert_eq!(all.0.load(Ordering::Relaxed), 0);
    }
}
