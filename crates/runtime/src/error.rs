//! Why a service cannot start.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why a service cannot start. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file is missing or cannot be used.
    #[error("{path}: {cause}. {advice}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// The directory can never be used with these settings.
    #[error("the directory cannot be used: {0}")]
    Directory(String),
    /// The configuration has no such server.
    #[error("{0}. Add the server to the organization file and run `postroad apply`")]
    Server(String),
    /// A port cannot be opened.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
}

pub(crate) fn file_error(path: &Path, cause: &dyn std::fmt::Display, advice: &'static str) -> NodeError {
    NodeError::File { path: path.to_owned(), cause: cause.to_string(), advice }
}
