//! Why somebody who administers has no answer.

use rpc::client::in_words;
use tonic::{Code, Status};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It is not there.
    #[error("cannot reach {peer}: {cause}")]
    Unreachable {
        /// Whom.
        peer: String,
        /// What happened, to the last cause.
        cause: String,
    },
    /// It does not take this certificate for an administrator's.
    #[error("{peer} refuses: {cause}")]
    Refused {
        /// Who.
        peer: String,
        /// What it said.
        cause: String,
    },
    /// It says why it cannot do what it was asked for.
    #[error("{peer}: {cause}")]
    Cannot {
        /// Who.
        peer: String,
        /// What it said.
        cause: String,
    },
    /// The answer ended, or cannot be understood.
    #[error("the answer of {peer} cannot be used: {cause}")]
    Answer {
        /// Whose.
        peer: String,
        /// What is wrong.
        cause: String,
    },
}

impl AdminError {
    pub(crate) fn of(peer: String, status: &Status) -> Self {
        let cause = in_words(status);
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => {
                Self::Refused { peer, cause: status.message().to_owned() }
            }
            Code::FailedPrecondition => Self::Cannot { peer, cause: status.message().to_owned() },
            Code::Unavailable => Self::Unreachable { peer, cause },
            _ => Self::Answer { peer, cause },
        }
    }
}
