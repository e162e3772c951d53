//! Credentials that are sealed for somebody who has not the organization's key: he says user and password, the admin service
//! gives back the seal. Nothing is ever opened for him.

use std::path::PathBuf;

use directory::{ApplySecrets, Passwords, Sealer};
use envelope::ObjectName;
use organization::{Object, PasswordSource, Secrets};
use rpc::convert::without_controls;
use tokio::runtime::Handle;
use topology::recipient::PasswordVerifier;
use topology::{SealedCredential, SendConnector};

use super::convert;
use crate::api::Api;
use crate::wire::v1 as wire;
use wire::directory_client::DirectoryClient;
use wire::seal_reply::Result as Sealed;
use wire::seal_request::Credential as Given;

/// Secrets of an organization file that is applied over the API. Blocks: call it in `spawn_blocking`.
#[derive(Debug)]
pub struct RemoteSecrets {
    api: Api,
    runtime: Handle,
    passwords: Passwords,
    /// As they are stored.
    connectors: Vec<SendConnector>,
}

impl RemoteSecrets {
    /// `passwordFile` is relative to `folder`, that of the organization file; `current` is what the directory holds now. Needs
    /// the runtime that it is made in.
    #[must_use]
    pub fn new(api: Api, folder: PathBuf, current: &[Object]) -> Self {
        let stored = |object: &Object| match object {
            Object::SendConnector(connector) => Some(SendConnector::clone(connector)),
            _ => None,
        };
        let connectors = current.iter().filter_map(stored).collect();
        Self { api, runtime: Handle::current(), passwords: Passwords::new(folder, current), connectors }
    }

    fn ask(&self, connector: &SendConnector, credential: Given) -> Result<SealedCredential, String> {
        let connector = SendConnector { authentication_credential: None, ..connector.clone() };
        let connector = convert::object_to_wire(&Object::SendConnector(Box::new(connector)));
        let request = wire::SealRequest { connector, credential: Some(credential) };
        let mut client = DirectoryClient::new(self.api.channel());
        let answer = self.runtime.block_on(client.seal(request)).map_err(|status| self.api.in_words(&status))?;
        match answer.into_inner().result {
            Some(Sealed::Sealed(text)) => Ok(SealedCredential(text.into())),
            Some(Sealed::Failure(why)) => Err(without_controls(&why).into()),
            None => Err("an answer without content".to_owned()),
        }
    }
}

impl Secrets for RemoteSecrets {
    fn credential(
        &self,
        connector: &SendConnector,
        user: &str,
        password: PasswordSource<'_>,
    ) -> Result<SealedCredential, String> {
        let password = self.passwords.read(password)?;
        let password = bytes::Bytes::copy_from_slice(password.as_bytes());
        self.ask(connector, Given::Plain(wire::Plain { user: user.to_owned(), password }))
    }

    fn sealed(&self, connector: &SendConnector, sealed: SealedCredential) -> Result<SealedCredential, String> {
        // What is stored just so is not asked about: a file with all connectors is applied by those too who may change others.
        let unchanged = self.connectors.iter().any(|stored| {
            let of = |connector: &SendConnector| (connector.guid, connector.smart_host_auth_mechanism);
            of(stored) == of(connector)
                && stored.smart_hosts == connector.smart_hosts
                && stored.authentication_credential.as_ref() == Some(&sealed)
        });
        if unchanged { Ok(sealed) } else { self.ask(connector, Given::Sealed(sealed.0.into())) }
    }

    fn verifier(&self, mailbox: &ObjectName, password: PasswordSource<'_>) -> Result<PasswordVerifier, String> {
        self.passwords.verifier(mailbox, password)
    }
}

/// What was asked to be sealed, sealed; what is stored (`current`) is kept while it says the same. Blocks.
pub(super) fn answer(
    sealer: &Sealer,
    current: &[Object],
    request: wire::SealRequest,
) -> Result<SealedCredential, String> {
    let Object::SendConnector(connector) = convert::object_from_wire(&request.connector)? else {
        return Err("that is no Send connector".to_owned());
    };
    let secrets = ApplySecrets::new(sealer, PathBuf::new(), current);
    match request.credential {
        Some(Given::Plain(plain)) => {
            let password = std::str::from_utf8(&plain.password).map_err(|_| "the password is no text".to_owned())?;
            secrets.credential(&connector, &plain.user, PasswordSource::Plain(password))
        }
        Some(Given::Sealed(text)) => secrets.sealed(&connector, SealedCredential(text.into())),
        None => Err("there is no credential".to_owned()),
    }
}
