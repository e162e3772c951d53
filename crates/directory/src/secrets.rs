//! Secrets of an organization file that is applied: passwords are read from where they are, credentials sealed, verifiers
//! made; what is stored already and still the same is kept, so that applying a file twice changes nothing.
//!
//! This blocks (files, argon2): call it in `spawn_blocking`.

use std::collections::HashMap;
use std::path::PathBuf;

use envelope::ObjectName;
use envelope::text::folded;
use organization::{Object, PasswordSource, Secrets};
use topology::recipient::PasswordVerifier;
use topology::{RecipientKind, SealedCredential, SendConnector};
use zeroize::Zeroizing;

use crate::password::{create_verifier, verify_password};
use crate::seal::{Credential, Sealer, is_unbound};

/// Passwords that an organization file names, and verifiers of them.
#[derive(Debug)]
pub struct Passwords {
    folder: PathBuf,
    verifiers: HashMap<ObjectName, PasswordVerifier>,
}

impl Passwords {
    /// `passwordFile` is relative to `folder`, that of the organization file; `current` is what the directory holds now.
    #[must_use]
    pub fn new(folder: PathBuf, current: &[Object]) -> Self {
        let stored = |object: &Object| match object {
            Object::Recipient(recipient) => match &recipient.kind {
                RecipientKind::Mailbox { password: Some(verifier), .. } => {
                    Some((recipient.name.clone(), verifier.clone()))
                }
                _ => None,
            },
            _ => None,
        };
        Self { folder, verifiers: current.iter().filter_map(stored).collect() }
    }

    /// The password itself.
    ///
    /// # Errors
    /// Why it cannot be read; it is not empty.
    pub fn read(&self, source: PasswordSource<'_>) -> Result<Zeroizing<String>, String> {
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

    /// The verifier of a mailbox user's password: that which is stored, while it fits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn verifier(&self, mailbox: &ObjectName, source: PasswordSource<'_>) -> Result<PasswordVerifier, String> {
        let password = self.read(source)?;
        let stored = self.verifiers.get(mailbox);
        let same = stored.filter(|verifier| verify_password(verifier, &password).is_ok());
        Ok(same.cloned().unwrap_or_else(|| create_verifier(&password)))
    }
}

/// Makes secrets for `postroad apply`.
#[derive(Debug)]
pub struct ApplySecrets<'a> {
    sealer: &'a Sealer,
    passwords: Passwords,
    /// As they are stored.
    connectors: Vec<SendConnector>,
}

impl<'a> ApplySecrets<'a> {
    /// Seals with `sealer`; `passwordFile` is relative to `folder`, that of the organization file; `current` is what the
    /// directory holds now.
    #[must_use]
    pub fn new(sealer: &'a Sealer, folder: PathBuf, current: &[Object]) -> Self {
        let stored = |object: &Object| match object {
            Object::SendConnector(connector) => Some(SendConnector::clone(connector)),
            _ => None,
        };
        let connectors = current.iter().filter_map(stored).collect();
        Self { sealer, passwords: Passwords::new(folder, current), connectors }
    }

    /// What is stored of a connector, by the rule by which a plan finds it: by identity, then by name.
    fn stored(&self, connector: &SendConnector) -> Option<&SendConnector> {
        let named = |stored: &&SendConnector| folded(stored.name.as_str()) == folded(connector.name.as_str());
        let same = self.connectors.iter().find(|stored| stored.guid == connector.guid);
        same.or_else(|| self.connectors.iter().find(named))
    }

    /// The seal of `wanted` for `connector`: that which is stored, while it says the same.
    fn seal(&self, connector: &SendConnector, wanted: &Credential) -> SealedCredential {
        let stored = self.stored(connector);
        // A connector that is found by its name keeps the identity that it has, and is sealed for that.
        let connector =
            SendConnector { guid: stored.map_or(connector.guid, |stored| stored.guid), ..connector.clone() };
        let kept = stored.and_then(|stored| stored.authentication_credential.as_ref());
        let kept = kept.filter(|sealed| !is_unbound(sealed));
        let kept = kept.filter(|sealed| self.sealer.unseal(sealed, &connector).is_ok_and(|stored| stored == *wanted));
        kept.cloned().unwrap_or_else(|| self.sealer.seal(wanted, &connector))
    }
}

impl Secrets for ApplySecrets<'_> {
    fn credential(
        &self,
        connector: &SendConnector,
        user: &str,
        password: PasswordSource<'_>,
    ) -> Result<SealedCredential, String> {
        let wanted = Credential { user: user.to_owned(), password: self.passwords.read(password)? };
        Ok(self.seal(connector, &wanted))
    }

    fn sealed(&self, connector: &SendConnector, sealed: SealedCredential) -> Result<SealedCredential, String> {
        let guid = self.stored(connector).map_or(connector.guid, |stored| stored.guid);
        let own = SendConnector { guid, ..connector.clone() };
        let opened = self.sealer.unseal(&sealed, &own).map_err(|error| error.to_string())?;
        Ok(if is_unbound(&sealed) { self.seal(connector, &opened) } else { sealed })
    }

    fn verifier(&self, mailbox: &ObjectName, password: PasswordSource<'_>) -> Result<PasswordVerifier, String> {
        self.passwords.verifier(mailbox, password)
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
        let Some(Object::SendConnector(connector)) = first.iter().find(|object| object.name() == "P") else {
            panic!("there is a connector")
        };
        let foreign = foreign.seal(&Credential { user: "u".into(), password: Zeroizing::new("p".into()) }, connector);
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
        let sealed = connector.authentication_credential.as_ref().unwrap();
        assert_eq!(*sealer.unseal(sealed, connector).unwrap().password, "from a file");
        // Other hosts: by the password it is sealed for them, by the seal of an export it is refused.
        let elsewhere = yaml.replace("a.example", "b.example");
        let changed = plan(first.clone(), read(&elsewhere, &first)).changes[0].properties();
        let names: Vec<_> = changed.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["smartHosts", "authenticationCredential"]);
        let exported = elsewhere.replace("{user: u, passwordFile: secret}", &format!("{{sealed: '{}'}}", sealed.0));
        let secrets = ApplySecrets::new(&sealer, folder.path().to_owned(), &first);
        let refused = Document::parse(&exported).unwrap().to_draft(&secrets).unwrap_err().to_string();
        assert!(refused.contains("give user and password again"), "{refused}");
    }
}
