//! What an admin service stands on.

use std::path::PathBuf;
use std::sync::Arc;

use directory::{Administration, Sealer};

use crate::audit::AuditTrail;

/// What the admin service manages.
#[derive(Clone)]
pub struct Managed {
    /// A backend that takes changes, not what services read of it.
    pub directory: Arc<dyn Administration>,
    /// Seals credentials, where the server has the organization's key.
    pub sealer: Option<Arc<Sealer>>,
    /// Where changes are written.
    pub trail: AuditTrail,
    /// And found again.
    pub log_folder: PathBuf,
}
