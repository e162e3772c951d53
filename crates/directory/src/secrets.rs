//! Secrets of an organization file that is applied: passwords are read from where they are, credentials sealed, verifiers
//! made; what is stored already and still the same is kept, so that applying a file twice changes nothing.
//!
//! This blocks (files, argon2): call it in `spawn_blocking`.

use std::collections::HashMap;
use std::path::PathBuf;

use envelope::ObjectName;
use organization::{Object, PasswordSource, Secrets};
use topology::recipient::PasswordVerifier;
use topology::{RecipientKind, SealedCredential};
use zeroize::Zeroizing;

use crate::password::{create_verifier, verify_password};
use crate::seal::{Credential, Sealer};

/// Makes secrets for `postroad apply`.
#[derive(Debug)]
pub struct ApplySecrets<'a> {
    sealer: &'a Sealer,
    folder: PathBuf,
    credentials: HashMap<ObjectName, SealedCredential>,
    verifiers: HashMap<ObjectName, PasswordVerifier>,
}

impl<'a> ApplySecrets<'a> {
    /// Seals with `sealer`; `passwordFile` is relative to `folder`, that of the organization file; `current` is what the
    /// directory holds now.
    #[must_use]
    pub fn new(sealer: &'a Sealer, folder: PathBuf, current: &[Object]) -> Self {
        let (mut credentials, mut verifiers) = (HashMap::new(), HashMap::new());
        for object in current {
            match object {
                Object::SendConnector(connector) => {
                    let sealed = connector.authentication_credential.clone();
                    credentials.extend(sealed.map(|sealed| (connector.name.clone(), sealed)));
                }
                Object::Recipient(recipient) => {
                    if let RecipientKind::Mailbox { password: Some(verifier), .. } = &recipient.kind {
                        verifiers.insert(recipient.name.clone(), verifier.clone());
                    }
                }
                _ => {}
            }
        }
        Self { sealer, folder, credentials, verifiers }
    }

    fn password(&self, source: PasswordSource<'_>) -> Result<Zeroizing<String>, String> {
        let text = match source {
            PasswordSource::Plain(text) => Zeroizing::new(text.to_owned()),
            PasswordSource::Environment(name) => {
                let value = std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?;
                Zeroizing::new(value)
            }
            PasswordSource::File(name) => {
                let path = self.folder.join(name);
                let read = std::fs::read_to_string(&path);
                let text = Zeroizing::new(read.map_err(|error| format!("{}: {error}", path.display()))?);
                let line = text.strip_suffix('\n').unwrap_or(&text);
                Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned())
            }
        };
        if text.is_empty() { Err("the password is empty".into()) } else { Ok(text) }
    }
}

impl Secrets for ApplySecrets<'_> {
    fn credential(
        &self,
        connector: &ObjectName,
        user: &str,
        password: PasswordSource<'_>,
    ) -> Result<SealedCredential, String> {
        let wanted = Credential { user: user.to_owned(), password: self.password(password)? };
        let stored = self.credentials.get(connector);
        let same = stored.filter(|sealed| self.sealer.unseal(sealed).is_ok_and(|stored| stored == wanted));
        Ok(same.cloned().unwrap_or_else(|| self.sealer.seal(&wanted)))
    }

    fn check_sealed(&self, _: &ObjectName, sealed: &SealedCredential) -> Result<(), String> {
        self.sealer.unseal(sealed).map(drop).map_err(|error| error.to_string())
    }

    fn verifier(&self, mailbox: &ObjectName, password: PasswordSource<'_>) -> Result<PasswordVerifier, String> {
        let password = self.password(password)?;
        let stored = self.verifiers.get(mailbox);
        let same = stored.filter(|verifier| verify_password(verifier, &password).is_ok());
        Ok(same.cloned().unwrap_or_else(|| create_verifier(&password)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use organization::{Document, objects, plan};

    #[test]
    fn applying_a_file_twice_changes_nothing_and_a_new_password_does() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "from a file\n").unwrap();
        let sealer = Sealer::generate(&folder.path().join("key")).unwrap();
        let yaml = "sendConnectors:\n\
                    - {name: P, addressSpaces: ['*'], smartHosts: [a.example], smartHostAuthMechanism: BasicAuth, \
                    authenticationCredential: {user: u, passwordFile: secret}}\n\
                    recipients:\n- {name: alice, address: alice@contoso.com, database: DB1, password: secret}\n";
        let read = |yaml: &str, current: &[Object]| {
            let secrets = ApplySecrets::new(&sealer, folder.path().to_owned(), current);
            let (draft, recipients) = Document::parse(yaml).unwrap().to_draft(&secrets).unwrap();
            objects(&draft, &recipients)
        };
        let first = read(yaml, &[]);
        // A credential of another organization, or none at all.
        let foreign = Sealer::generate(&folder.path().join("other")).unwrap();
        let foreign = foreign.seal(&Credential { user: "u".into(), password: Zeroizing::new("p".into()) });
        for sealed in [&*foreign.0, "garbage"] {
            let yaml = yaml.replace("{user: u, passwordFile: secret}", &format!("{{sealed: '{sealed}'}}"));
            let secrets = ApplySecrets::new(&sealer, folder.path().to_owned(), &first);
            let refused = Document::parse(&yaml).unwrap().to_draft(&secrets).unwrap_err().to_string();
            assert!(
                refused.contains("2:") && refused.contains("was not sealed under this organization's key"),
                "{refused}"
            );
        }
        assert_eq!(read(yaml, &first), first);
        let changed = plan(first.clone(), read(&yaml.replace("password: secret", "password: other"), &first));
        assert_eq!(changed.changes.len(), 1);
        let Some(Object::SendConnector(connector)) = first.iter().find(|object| object.name() == "P") else {
            panic!("there is a connector")
        };
        let sealed = connector.authentication_credential.as_ref().unwrap();
        assert_eq!(*sealer.unseal(sealed).unwrap().password, "from a file");
    }
}
