//! Conditions to wait for, instead of sleeping in tests.

use std::time::Duration;

/// How long a condition may take on a machine that is busy with everything else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(5);

/// Looks again and again until there is something, and gives that.
///
/// # Panics
/// When it takes longer than a minute; `what` says what was waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let watching = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::time::timeout(PATIENCE, watching).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Lets a fault last: a pause, an outage. Not for waiting until something has happened; that is [`until`].
pub async fn hold(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// The same for a thread of its own, such as that of a slow disk.
pub fn stall(duration: Duration) {
    std::thread::sleep(duration);
}
