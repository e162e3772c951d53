//! How secrets of an organization file become what is stored: sealed credentials and one-way verifiers.
//!
//! The cryptography is elsewhere (`directory`): this crate only says what it needs, and never prints a secret.

use envelope::ObjectName;
use topology::recipient::PasswordVerifier;
use topology::{SealedCredential, SendConnector};

use crate::literal::Fault;
use crate::node::{Key, Node};

/// Where a password is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PasswordSource<'a> {
    /// In the organization file itself.
    Plain(&'a str),
    /// In a file of its own; one line end after it does not count.
    File(&'a str),
    /// In an environment variable of the program that reads the organization file.
    Environment(&'a str),
}

/// Turns passwords into what is stored.
///
/// An implementation that knows what is stored now returns that unchanged while the password is still the same, so that
/// applying a file twice changes nothing.
pub trait Secrets {
    /// Seals the credential of a Send connector, of which everything is known that the seal binds it to: identity, smart
    /// hosts, mechanism.
    ///
    /// # Errors
    /// What is wrong, without the password.
    fn credential(
        &self,
        connector: &SendConnector,
        user: &str,
        password: PasswordSource<'_>,
    ) -> Result<SealedCredential, String>;

    /// Takes a credential that is given sealed, if the organization can open it for that connector. What comes back is
    /// stored: the same, or in the form of now.
    ///
    /// # Errors
    /// What is wrong with it.
    fn sealed(&self, connector: &SendConnector, sealed: SealedCredential) -> Result<SealedCredential, String>;

    /// Makes the verifier of a mailbox user's password.
    ///
    /// # Errors
    /// What is wrong, without the password.
    fn verifier(&self, mailbox: &ObjectName, password: PasswordSource<'_>) -> Result<PasswordVerifier, String>;
}

/// For whoever only routes by a file (`explain`): credentials exist, yet nothing can be done with them.
#[derive(Clone, Copy, Debug)]
pub struct WithoutSecrets;

impl Secrets for WithoutSecrets {
    fn credential(&self, _: &SendConnector, _: &str, _: PasswordSource<'_>) -> Result<SealedCredential, String> {
        Ok(SealedCredential("".into()))
    }
    fn sealed(&self, _: &SendConnector, sealed: SealedCredential) -> Result<SealedCredential, String> {
        Ok(sealed)
    }
    fn verifier(&self, _: &ObjectName, _: PasswordSource<'_>) -> Result<PasswordVerifier, String> {
        Ok(PasswordVerifier("".into()))
    }
}

/// What may be written for a credential.
pub(crate) const CREDENTIAL: &str =
    "{user: …, password: …}, {user: …, passwordFile: …}, {user: …, passwordEnvironment: …}";

const CREDENTIAL_FORM: &str = "write {user: …, password: …}, {user: …, passwordFile: …}, {user: …, passwordEnvironment: \
                               …} or the {sealed: …} of an export";

/// Reads `authenticationCredential`.
pub(crate) fn read_credential(
    connector: &SendConnector,
    node: &Node,
    secrets: &dyn Secrets,
) -> Result<Option<SealedCredential>, Vec<Fault>> {
    if node.is_null() {
        return Ok(None);
    }
    let (mut user, mut sealed, mut password) = (None, None, None);
    for (Key { text: key, at }, value) in node.entries().unwrap_or_default() {
        let text = value.scalar().ok_or_else(|| vec![Fault::at(value, "write a text")])?;
        match key.to_ascii_lowercase().as_str() {
            "user" => user = Some(text),
            "sealed" => sealed = Some(text),
            "password" | "passwordfile" | "passwordenvironment" if password.is_none() => password = Some((key, text)),
            _ => return Err(vec![Fault { path: String::new(), at: *at, text: CREDENTIAL_FORM.into() }]),
        }
    }
    match (user, password, sealed) {
        (None, None, Some(sealed)) => {
            let sealed = SealedCredential(sealed.into());
            secrets.sealed(connector, sealed).map(Some).map_err(|error| vec![Fault::at(node, error)])
        }
        (Some(user), Some((key, text)), None) => {
            let source = match key.to_ascii_lowercase().as_str() {
                "passwordfile" => PasswordSource::File(&text),
                "passwordenvironment" => PasswordSource::Environment(&text),
                _ => PasswordSource::Plain(&text),
            };
            secrets.credential(connector, &user, source).map(Some).map_err(|error| vec![Fault::at(node, error)])
        }
        _ => Err(vec![Fault::at(node, CREDENTIAL_FORM)]),
    }
}

/// Writes `authenticationCredential`.
pub(crate) fn write_credential(credential: Option<&SealedCredential>) -> Node {
    credential.map_or_else(Node::null, |sealed| Node::map(vec![("sealed", Node::text(&sealed.0))]))
}

/// Reads `password` of a mailbox: the password itself, or the verifier of an export.
pub(crate) fn read_password(
    mailbox: &ObjectName,
    node: &Node,
    secrets: &dyn Secrets,
) -> Result<Option<PasswordVerifier>, Vec<Fault>> {
    if node.is_null() {
        return Ok(None);
    }
    if let Some(text) = node.scalar() {
        return password(mailbox, PasswordSource::Plain(&text), node, secrets);
    }
    match node.entries() {
        Some([(key, value)]) if key.text.eq_ignore_ascii_case("verifier") && value.scalar().is_some() => {
            Ok(value.scalar().map(|text| PasswordVerifier(text.into())))
        }
        _ => Err(vec![Fault::at(node, "write the password, or the {verifier: …} of an export")]),
    }
}

/// Makes the verifier of the password at `source`, which `node` names.
pub(crate) fn password(
    mailbox: &ObjectName,
    source: PasswordSource<'_>,
    node: &Node,
    secrets: &dyn Secrets,
) -> Result<Option<PasswordVerifier>, Vec<Fault>> {
    secrets.verifier(mailbox, source).map(Some).map_err(|error| vec![Fault::at(node, error)])
}

/// Writes `password`.
pub(crate) fn write_password(verifier: Option<&PasswordVerifier>) -> Node {
    verifier.map_or_else(Node::null, |verifier| Node::map(vec![("verifier", Node::text(&verifier.0))]))
}
