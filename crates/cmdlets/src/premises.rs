//! What the commands ask of whoever keeps the organization: read it, and change it as a whole or not at all.

use std::sync::Arc;

use envelope::ServerName;
use organization::{Kind, Object, Secrets};
use shell::Failure;
use topology::{DirectoryRecipient, Guid, OrganizationDraft, Problems};

/// An organization that can be read and changed.
pub trait Premises {
    /// The configuration as it is.
    ///
    /// # Errors
    /// Why it cannot be read, and what to do.
    fn configuration(&mut self) -> Result<Arc<OrganizationDraft>, String>;

    /// Every recipient.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn recipients(&mut self) -> Result<Arc<Vec<DirectoryRecipient>>, String>;

    /// Makes a change of one sort, configuration or recipients, as a whole or not at all.
    ///
    /// # Errors
    /// Why nothing was changed.
    fn commit(&mut self, puts: Vec<Object>, deletes: Vec<(Kind, Guid)>, command: &str) -> Result<(), Refused>;

    /// Seals credentials.
    fn secrets(&self) -> &dyn Secrets;

    /// The server on which this runs, if it is one of the organization.
    fn local_server(&self) -> Option<ServerName>;
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The organization would not be valid.
    Invalid(Problems),
    /// Anything else, in a sentence.
    Other(String),
}

/// What is wrong with reading.
pub(crate) fn away(why: String) -> Failure {
    Failure::new("ResourceUnavailable", "DirectoryUnavailable", why)
}
