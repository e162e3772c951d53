//! Why an Edge server was not synchronized.

use admin_api::AdminError;
use directory::ReadError;
use envelope::ServerName;

/// Why an Edge server was not synchronized.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// There is none of that name, or it is not subscribed.
    #[error("{0} is no Edge server with a subscription: New-EdgeSubscription -FileData makes one")]
    NoEdge(ServerName),
    /// Its address is not known.
    #[error(
        "the address of Edge server {0} is not known: its name has to resolve, or [peers] of the settings names it"
    )]
    NoAddress(ServerName),
    /// It cannot be reached from here.
    #[error("{0}")]
    Unreachable(String),
    /// It says no, or cannot do it.
    #[error("{0}")]
    Edge(String),
    /// The organization's directory.
    #[error("{0}")]
    Directory(String),
    /// A credential of a Send connector cannot be handed over.
    #[error("the credential of Send connector {0} cannot be handed over: {1}")]
    Credential(String, String),
}

impl From<AdminError> for SyncError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Unreachable { .. } => Self::Unreachable(error.to_string()),
            AdminError::Refused { .. } | AdminError::Cannot { .. } | AdminError::Answer { .. } => {
                Self::Edge(error.to_string())
            }
        }
    }
}

impl From<ReadError> for SyncError {
    fn from(error: ReadError) -> Self {
        Self::Directory(error.to_string())
    }
}
