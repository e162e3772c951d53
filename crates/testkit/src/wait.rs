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
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_or(what, look, async || String::new()).await
}

/// The same; when it takes too long, `instead` says what there is instead.
///
/// # Panics
/// When it takes longer than a minute.
pub async fn until_or<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
    instead: impl AsyncFnOnce() -> String,
) -> T {
    let watching = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    match tokio::time::timeout(PATIENCE, watching).await {
        Ok(found) => found,
        Err(_) => panic!("waited in vain for {what}\n{}", instead().await),
    }
}

/// Lets a fault last: a pause, an outage. Not for waiting until something has happened; that is [`until`].
pub async fn hold(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// The same for a thread of its own, such as that of a slow disk.
pub fn stall(duration: Duration) {
    std::thread::sleep(duration);
}
