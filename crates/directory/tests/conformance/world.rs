//! A small organization and the changes that the suite makes to it.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use directory::{Administration, Author, Change, WatchEvent};
use envelope::{Address, ObjectName, Revision};
use futures::StreamExt;
use futures::stream::BoxStream;
use organization::{Document, Kind, Object, WithoutSecrets, objects};
use topology::{DirectoryRecipient, Organization};

/// Longest wait for anything that must happen; a generous end for hanging tests, no measure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ORGANIZATION: &str = "
sites: [{name: Berlin}]
servers: [{name: mail1, fqdn: mail1.contoso.com, site: Berlin}]
databases: [{name: DB1, server: mail1}]
acceptedDomains: [{name: contoso, domainName: contoso.com, default: true}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [mail1]}]
";

/// The objects of an organization file that somebody wrote: without settings and connectors that are the default.
pub(crate) fn from_yaml(yaml: &str) -> Vec<Object> {
    let (draft, recipients) = Document::parse(yaml).unwrap().to_draft(&WithoutSecrets).unwrap();
    let default = Object::TransportConfig(Box::default());
    objects(&draft, &recipients)
        .into_iter()
        .filter(|object| *object != default && !object.is_untouched_default())
        .collect()
}

/// Who changes things here.
pub(crate) fn author() -> Author {
    Author::new("anna", "a test")
}

pub(crate) fn put(puts: Vec<Object>) -> Change {
    Change { puts, ..Change::by(author()) }
}

/// One more Send connector.
pub(crate) fn connector(name: &str) -> Object {
    let yaml = format!("sendConnectors: [{{name: '{name}', addressSpaces: ['*'], sourceTransportServers: [mail1]}}]");
    from_yaml(&yaml).remove(0)
}

/// A mailbox with proxy addresses.
pub(crate) fn mailbox(name: &str, address: &str, proxies: &[&str]) -> Object {
    let proxies = proxies.join(", ");
    let yaml =
        format!("recipients: [{{name: {name}, address: {address}, proxyAddresses: [{proxies}], database: DB1}}]");
    from_yaml(&yaml).remove(0)
}

pub(crate) fn recipient(object: &Object) -> DirectoryRecipient {
    match object {
        Object::Recipient(recipient) => (**recipient).clone(),
        other => panic!("{} is no recipient", other.place()),
    }
}

pub(crate) fn name(text: &str) -> ObjectName {
    ObjectName::parse(text).unwrap()
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn key_of(object: &Object) -> (Kind, topology::Guid) {
    (object.kind(), object.guid())
}

/// Commits the small organization.
pub(crate) async fn founded(directory: &dyn Administration) -> Revision {
    directory.commit(put(from_yaml(ORGANIZATION))).await.unwrap()
}

pub(crate) fn connectors(organization: &Arc<Organization>) -> Vec<String> {
    organization.send_connectors().iter().map(|connector| connector.name.to_string()).collect()
}

/// The answer, within [`PATIENCE`].
pub(crate) async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, answer).await.expect("it happens within a minute")
}

/// Asks again until the answer is good.
pub(crate) async fn until<T, E: Debug, F: Future<Output = Result<T, E>>>(mut ask: impl FnMut() -> F) -> T {
    soon(async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

/// The next event of a kind, others left out.
pub(crate) async fn snapshot(events: &mut BoxStream<'static, WatchEvent>) -> Arc<Organization> {
    soon(async {
        loop {
            if let WatchEvent::Snapshot(organization) = events.next().await.unwrap() {
                return organization;
            }
        }
    })
    .await
}

pub(crate) async fn rejection(events: &mut BoxStream<'static, WatchEvent>) -> String {
    soon(async {
        loop {
            match events.next().await.unwrap() {
                WatchEvent::Rejected { reason, .. } => return reason,
                WatchEvent::Snapshot(organization) => panic!("revision {} was applied", organization.revision()),
                WatchEvent::Unavailable(_) | WatchEvent::Back => {}
            }
        }
    })
    .await
}
