//! Exchange Server authentication of one connection: what the host says goes to Kerberos, and back (TA-60).
//!
//! The name that the host has to prove is the configured one: what DNS makes of it proves nothing.

use kerberos::{Dialogue, End, Initiator, KerberosError};
use net::Host;
use smtp_session::ClientSession;

/// One log-on.
pub(crate) struct ServerLogon<'a> {
    kerberos: Option<&'a Initiator>,
    host: &'a Host,
    dialogue: Option<Dialogue>,
}

impl<'a> ServerLogon<'a> {
    pub(crate) fn new(kerberos: Option<&'a Initiator>, host: &'a Host) -> Self {
        Self { kerberos, host, dialogue: None }
    }

    /// Answers a challenge.
    pub(crate) async fn answer(&mut self, challenge: &[u8], machine: &mut ClientSession) {
        match self.token(challenge).await {
            Ok(token) => machine.respond(&token),
            Err(why) => machine.give_up_logon(&why),
        }
    }

    /// The host takes us for one of its own: whether it is one of ours.
    pub(crate) async fn end(&mut self, last: Option<&[u8]>, by_exps: bool, machine: &mut ClientSession) {
        let end = if by_exps { End::Proved } else { End::Chosen };
        let proved = match &mut self.dialogue {
            Some(dialogue) => dialogue.end(last, end).await,
            None => Err(KerberosError::NotMutual),
        };
        match proved {
            Ok(()) => machine.server_proved(),
            Err(error) => machine.give_up_logon(&error.to_string()),
        }
    }

    async fn token(&mut self, challenge: &[u8]) -> Result<Vec<u8>, String> {
        let dialogue = match &mut self.dialogue {
            Some(dialogue) => dialogue,
            None => {
                let begun = begin(self.kerberos, self.host).await?;
                self.dialogue.insert(begun)
            }
        };
        dialogue.answer(challenge).await.map_err(|error| error.to_string())
    }
}

async fn begin(kerberos: Option<&Initiator>, host: &Host) -> Result<Dialogue, String> {
    let kerberos = kerberos.ok_or("Kerberos is not set up on this server (kerberos.keytab of its settings)")?;
    let Host::Name(name) = host else {
        return Err("Kerberos knows hosts by name: smartHosts has an address".to_owned());
    };
    kerberos.begin(name.ascii()).await.map_err(|error| error.to_string())
}
