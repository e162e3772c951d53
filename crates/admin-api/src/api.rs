//! A connection to an admin service.

use std::path::Path;

use envelope::Service;
use rpc::client::{connect, over};
use rpc::{Credentials, PeerAddress};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::error::AdminError;

/// An admin service, and the way to it.
#[derive(Clone, Debug)]
pub struct Api {
    channel: Channel,
    /// For messages.
    name: String,
}

impl Api {
    /// By mutual TLS, with an administrator's certificate.
    ///
    /// # Errors
    /// [`AdminError::Unreachable`]
    pub async fn connect(at: &PeerAddress, credentials: &Credentials) -> Result<Self, AdminError> {
        let name = format!("the admin service of {at}");
        match connect(at, Some(Service::Admin), credentials).await {
            Ok(channel) => Ok(Self { channel, name }),
            Err(cause) => Err(AdminError::Unreachable { peer: name, cause }),
        }
    }

    /// By the Unix socket of a server that this machine is: as the user who runs this process.
    ///
    /// # Errors
    /// [`AdminError::Unreachable`]
    pub async fn local(socket: &Path) -> Result<Self, AdminError> {
        let name = format!("the admin service at {}", socket.display());
        match over(socket).await {
            Ok(channel) => Ok(Self { channel, name }),
            Err(cause) => Err(AdminError::Unreachable { peer: name, cause }),
        }
    }

    pub(crate) fn over(channel: Channel, name: String) -> Self {
        Self { channel, name }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn failure(&self, status: &Status) -> AdminError {
        AdminError::of(self.name.clone(), status)
    }

    /// What went wrong, in words: its own where it refuses, the cause to the end where it is not there.
    pub(crate) fn in_words(&self, status: &Status) -> String {
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => format!("{} refuses: {}", self.name, status.message()),
            _ => format!("{}: {}", self.name, rpc::client::in_words(status)),
        }
    }
}
