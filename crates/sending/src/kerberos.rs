//! Who logs on by Kerberos: a principal of the keytab of the server that opens the session, Transport's or a front end's own.

use std::sync::OnceLock;

use kerberos::Initiator;
use runtime::Settings;
use topology::SendConnector;

use crate::plan::Unready;

/// The principal of this process, once it was asked for: its tickets serve all sessions.
#[derive(Debug, Default)]
pub(crate) struct Kerberos(OnceLock<Initiator>);

impl Kerberos {
    pub(crate) fn of(&self, settings: &Settings, connector: &SendConnector) -> Result<Initiator, Unready> {
        if let Some(known) = self.0.get() {
            return Ok(known.clone());
        }
        let unready = |why: &str| {
            Unready::new(format!(
                "{}: smartHostAuthMechanism ExchangeServer logs on by Kerberos: {why}",
                connector.name
            ))
        };
        let settings = settings
            .kerberos
            .as_ref()
            .ok_or_else(|| unready("set kerberos.keytab in the settings of the server that opens the session"))?;
        let initiator = Initiator::new(&settings.keytab, settings.principal.as_deref());
        let initiator = initiator.map_err(|error| unready(&error.to_string()))?;
        Ok(self.0.get_or_init(|| initiator).clone())
    }
}
