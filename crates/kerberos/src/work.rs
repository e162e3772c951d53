//! Calls of the library block: they read files and wait for the servers of a realm.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::error::KerberosError;

/// At once. A realm that does not answer holds so many threads and no more: the others of the runtime read and write files.
const CALLS_MAX: usize = 8;
/// For one call, its turn included. The library asks each KDC several times, one after the other, for about this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does them beside the runtime. Clones take turns.
#[derive(Clone, Debug)]
pub(crate) struct Work(Arc<Semaphore>);

impl Work {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(CALLS_MAX)))
    }

    /// Does `job`. One that takes too long goes on, and keeps its turn.
    pub(crate) async fn run<T, J>(&self, job: J) -> Result<T, KerberosError>
    where
        T: Send + 'static,
        J: FnOnce() -> Result<T, KerberosError> + Send + 'static,
    {
        let turn = Arc::clone(&self.0);
        let done = async {
            let held = turn.acquire_owned().await;
            let work = tokio::task::spawn_blocking(move || {
                let _held = held;
                job()
            });
            // It ends without an answer when the process does.
            work.await.unwrap_or(Err(KerberosError::Garbled("the process ends")))
        };
        tokio::time::timeout(PATIENCE, done).await.unwrap_or(Err(KerberosError::TimedOut(PATIENCE)))
    }
}
