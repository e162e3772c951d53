//! The directories that keep passwords of mailboxes which came from there.

use std::collections::BTreeMap;

use envelope::ObjectName;
use ldap::Logons;
use runtime::{Node, NodeError, certificate};
use topology::{DirectoryRecipient, RecipientKind};

/// The directories that keep passwords, by the names that the settings give them.
pub(crate) type Keepers = BTreeMap<ObjectName, Logons>;

/// Those of the settings.
///
/// # Errors
/// [`NodeError::File`] when the authority of one cannot be used.
pub(crate) fn keepers(node: &Node) -> Result<Keepers, NodeError> {
    let keeping = node.settings.ldap.iter().filter(|(_, source)| source.logons);
    let mut keepers = Keepers::new();
    for (name, source) in keeping {
        let roots = certificate::trusted_roots(&node.settings)?;
        let cause = |cause| NodeError::File {
            path: source.ca.clone().unwrap_or_default(),
            cause,
            advice: "It is what [ldap] of the settings says about a directory that keeps passwords",
        };
        keepers.insert(name.clone(), Logons::new(source.source(&node.settings, &roots).map_err(cause)?));
    }
    Ok(keepers)
}

/// Who keeps the password of a mailbox, and of which entry: nobody else where the organization has a verifier of it.
pub(crate) fn kept_elsewhere<'a>(keepers: &'a Keepers, user: &'a DirectoryRecipient) -> Option<(&'a Logons, &'a str)> {
    let (RecipientKind::Mailbox { password: None, .. }, Some(provenance)) = (&user.kind, &user.provenance) else {
        return None;
    };
    Some((keepers.get(&provenance.source)?, &provenance.entry))
}
