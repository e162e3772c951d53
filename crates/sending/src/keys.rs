//! What a session logs on with: opened under the organization's key where that is, which is Transport; handed over with the
//! session where it is not, which is a front end. A credential leaves for the hosts and the mechanism that it was given for,
//! and for no others.

use directory::Sealer;
use rpc::HandedCredential;
use runtime::{NodeError, Settings};
use smtp_session::{Credentials, Secret};
use topology::SendConnector;

use crate::plan::{self, Unready};

/// The organization's key, or none.
#[derive(Debug)]
pub struct Keys(Option<Sealer>);

impl Keys {
    /// Of a service that opens credentials: Transport.
    ///
    /// # Errors
    /// [`NodeError::File`] when the key cannot be read.
    pub fn of_organization(settings: &Settings) -> Result<Self, NodeError> {
        let loaded = Sealer::load(&settings.organization_key);
        loaded.map(|sealer| Self(Some(sealer))).map_err(|error| NodeError::File {
            path: settings.organization_key.clone(),
            cause: error.to_string(),
            advice: "`postroad cert init` makes it; the Transport of every server needs the same one",
        })
    }

    /// Of a service that is handed what it needs: Front End Transport.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The credential of a connector, for a session of this server.
    pub(crate) fn open(&self, connector: &SendConnector) -> Result<Credentials, String> {
        let sealer = self.0.as_ref().ok_or("this service has no key of the organization")?;
        let sealed = connector.authentication_credential.as_ref().ok_or("there is none")?;
        let opened = sealer.unseal(sealed, connector).map_err(|error| error.to_string())?;
        let secret = Secret::new(opened.password.as_bytes().to_vec());
        Ok(Credentials { user: opened.user.as_str().into(), secret })
    }
}

/// What a front end is given for a session by `connector`: nothing, unless it authenticates.
pub(crate) fn hand_over(keys: &Keys, connector: &SendConnector) -> Result<Option<HandedCredential>, Unready> {
    if plan::requirement(connector)?.is_none() {
        return Ok(None);
    }
    let opened = keys.open(connector);
    let credentials = opened
        .map_err(|error| Unready::new(format!("the credential of {} cannot be used: {error}", connector.name)))?;
    let (smart_hosts, mechanism) = purpose(connector);
    Ok(Some(HandedCredential { credentials, smart_hosts, mechanism }))
}

/// The credential that was handed over.
pub(crate) fn handed(credential: Option<&HandedCredential>) -> Result<Credentials, String> {
    let handed = credential.ok_or("Transport handed none over; its version may be older than this one")?;
    Ok(handed.credentials.clone())
}

/// For what a credential was handed over, if that is not `connector` as it is here.
pub(crate) fn not_for(handed: &HandedCredential, connector: &SendConnector) -> Option<String> {
    let same = (&handed.smart_hosts, &handed.mechanism) == (&purpose(connector).0, &purpose(connector).1);
    (!same).then(|| format!("{} by {}", handed.smart_hosts.join(", "), handed.mechanism))
}

fn purpose(connector: &SendConnector) -> (Vec<Box<str>>, Box<str>) {
    let hosts = connector.smart_hosts.iter().map(|host| host.to_string().into()).collect();
    (hosts, connector.smart_host_auth_mechanism.as_str().into())
}
