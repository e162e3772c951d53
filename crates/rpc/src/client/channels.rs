//! Connections for questions beside the streams of messages: one to each service that is asked, made when it is first needed and
//! again after a failure.

use std::collections::HashMap;
use std::sync::Arc;

use envelope::Service;
use parking_lot::Mutex;
use tonic::transport::Channel;

use super::PeerAddress;
use super::connect::connect_lazily;
use crate::security::Credentials;

/// Connections, by service.
pub(crate) struct Channels {
    credentials: Arc<Credentials>,
    /// Each with the renewals of our certificate until it was made.
    known: Mutex<HashMap<(Service, PeerAddress), (u64, Channel)>>,
}

impl Channels {
    /// None yet; they will be made with these credentials.
    pub(crate) fn new(credentials: Arc<Credentials>) -> Self {
        Self { credentials, known: Mutex::default() }
    }

    /// The one to a service of a server.
    pub(crate) fn to(&self, at: &PeerAddress, service: Service) -> Result<Channel, String> {
        let mut known = self.known.lock();
        let (renewals, key) = (self.credentials.renewals(), (service, at.clone()));
        if let Some((made, channel)) = known.get(&key)
            && *made == renewals
        {
            return Ok(channel.clone());
        }
        let channel = connect_lazily(at, service, &self.credentials)?;
        // A service that moved: its old connection ends with its last question.
        known.retain(|(other, old), _| *other != service || old.server != at.server);
        known.insert(key, (renewals, channel.clone()));
        Ok(channel)
    }
}
