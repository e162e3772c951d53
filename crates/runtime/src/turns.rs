//! Turns of which there are as many as the configuration says, now: more of them at once when it says more, and no new one before
//! there is room when it says fewer.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many at once.
#[derive(Debug)]
pub struct Turns {
    turns: Arc<Semaphore>,
    /// How many there are, taken ones included.
    all: Mutex<usize>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit);

impl Turns {
    /// So many to begin with.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(count)), all: Mutex::new(count) }
    }

    /// Waits for a turn, of which there are `wanted` now.
    pub async fn take(&self, wanted: usize) -> Turn {
        loop {
            {
                let mut all = self.all.lock();
                if wanted > *all {
                    self.turns.add_permits(wanted - *all);
                    *all = wanted;
                }
            }
            let turn = Arc::clone(&self.turns).acquire_owned().await.expect("the semaphore is never closed");
            let mut all = self.all.lock();
            if *all <= wanted {
                return Turn(turn);
            }
            turn.forget();
            *all -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn there_are_as_many_as_were_asked_for_last() {
        let turns = Turns::new(2);
        let soon = Duration::from_millis(10);
        let (one, two) = (turns.take(2).await, turns.take(2).await);
        assert!(tokio::time::timeout(soon, turns.take(2)).await.is_err());
        let three = turns.take(3).await;
        drop(one);
        // Two of three are held, and there is to be one.
        assert!(tokio::time::timeout(soon, turns.take(1)).await.is_err());
        drop(two);
        drop(three);
        let one = turns.take(1).await;
        assert!(tokio::time::timeout(soon, turns.take(1)).await.is_err());
        drop(one);
        turns.take(1).await;
    }
}
