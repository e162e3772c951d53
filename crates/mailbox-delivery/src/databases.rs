//! The databases opened so far. One that cannot be opened is tried again with the next message for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use mailbox_store::{MailboxDatabase, StoreError};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// Databases by folder. They stay open when they become active elsewhere: what is open costs next to nothing, and
/// whether mail may be written to one is asked of the snapshot each time.
#[derive(Debug, Default)]
pub(crate) struct Databases(Mutex<HashMap<PathBuf, Arc<OnceCell<MailboxDatabase>>>>);

impl Databases {
    /// Waits for nobody who opens another database.
    pub(crate) async fn open(&self, folder: PathBuf) -> Result<MailboxDatabase, StoreError> {
        let cell = Arc::clone(self.0.lock().entry(folder.clone()).or_default());
        cell.get_or_try_init(|| MailboxDatabase::open(folder)).await.cloned()
    }
}
