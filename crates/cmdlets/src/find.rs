//! Which object an identity names: its name, its GUID, `Server\Name`, its DN; `*` at the beginning and the end of it in `Get-`
//! (CM-51…CM-55, SC-130…SC-132).

use envelope::ServerName;
use organization::{Kind, Object};
use shell::{Failure, like};

use crate::noun::Noun;

/// The objects that an identity of `Get-` names: all of them for none (CM-53).
///
/// # Errors
/// A wildcard in the middle, and a name that nothing has.
pub(crate) fn several(
    noun: &Noun,
    objects: Vec<Object>,
    identity: Option<&str>,
    local: Option<&ServerName>,
) -> Result<Vec<Object>, Failure> {
    let Some(identity) = identity.filter(|identity| !identity.is_empty()) else { return Ok(objects) };
    let middle = identity.trim_matches('*');
    if middle.rsplit('\\').next().unwrap_or(middle).contains('*') {
        let message =
            format!("The wildcard in '{identity}' stands in the middle; it may stand at the beginning and at the end.");
        return Err(Failure::new("InvalidArgument", "WildcardInMiddle", message).by("CM-52"));
    }
    let pattern = identity.contains('*');
    let found: Vec<Object> = objects.into_iter().filter(|object| is(object, identity, local, pattern)).collect();
    if found.is_empty() && !pattern { Err(nothing(noun, identity, local)) } else { Ok(found) }
}

/// The one object that an identity names.
///
/// # Errors
/// A name that nothing has.
pub(crate) fn one(
    noun: &Noun,
    objects: &[Object],
    identity: &str,
    local: Option<&ServerName>,
) -> Result<Object, Failure> {
    let mut found = objects.iter().filter(|object| is(object, identity, local, false));
    match (found.next(), found.next()) {
        (Some(object), None) => Ok(object.clone()),
        (Some(_), Some(_)) => {
            let message = format!("'{identity}' matches several objects; write SERVER\\NAME or the GUID.");
            Err(Failure::new("InvalidArgument", "ManagementObjectAmbiguousException", message).about(identity))
        }
        (None, _) => Err(nothing(noun, identity, local)),
    }
}

fn nothing(noun: &Noun, identity: &str, local: Option<&ServerName>) -> Failure {
    let server = local.map_or_else(|| "the directory".to_owned(), ToString::to_string);
    let message =
        format!("The operation couldn't be performed because object '{identity}' couldn't be found on '{server}'.");
    let failure = Failure::new("InvalidData", "ManagementObjectNotFoundException", message).about(identity);
    failure.by("CM-53").advise(format!("Get-{} lists what there is", noun.name))
}

fn is(object: &Object, identity: &str, local: Option<&ServerName>, pattern: bool) -> bool {
    let same = |name: &str| if pattern { like(name, identity, false) } else { name.eq_ignore_ascii_case(identity) };
    let name = object.name();
    if same(&name) || object.guid().to_string().eq_ignore_ascii_case(identity.trim_matches(['{', '}'])) {
        return true;
    }
    if let Some(rest) = identity.get(..3).filter(|lead| lead.eq_ignore_ascii_case("CN=")).map(|_| &identity[3..]) {
        let first = rest.split(",CN=").next().unwrap_or(rest);
        return first.eq_ignore_ascii_case(name.rsplit('\\').next().unwrap_or(&name));
    }
    match object {
        // CM-54: a child's name alone is looked up under the local server; without one, wherever it is.
        Object::ReceiveConnector(connector) => {
            let here = local.is_none_or(|local| connector.server == *local);
            (here || pattern) && same(connector.name.as_str())
        }
        Object::Server(server) => same(server.fqdn.as_str()),
        Object::Recipient(recipient) => {
            // CM-51: the canonical name, `contoso.com/john`.
            let (domain, last) = identity.rsplit_once('/').unwrap_or_default();
            let primary = recipient.primary_address.to_string();
            let (alias, own) = primary.rsplit_once('@').unwrap_or_default();
            let canonical = own.eq_ignore_ascii_case(domain.split('/').next().unwrap_or_default())
                && [alias, &name].iter().any(|known| known.eq_ignore_ascii_case(last));
            canonical || recipient.addresses().any(|address| same(&address.to_string()))
        }
        // SC-130: `ServerName\ConnectorName`.
        Object::SendConnector(connector) => identity.split_once('\\').is_some_and(|(server, name)| {
            let known =
                connector.source_transport_servers.iter().any(|source| source.as_str().eq_ignore_ascii_case(server));
            known && connector.name.as_str().eq_ignore_ascii_case(name)
        }),
        Object::AcceptedDomain(domain) => domain.domain.to_string().eq_ignore_ascii_case(identity),
        _ => false,
    }
}

/// Whether objects of a kind are recipients, which are kept apart.
pub(crate) fn are_recipients(kind: Kind) -> bool {
    kind == Kind::Recipient
}
