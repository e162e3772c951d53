//! Opening a channel to a server of the organization, and saying in full why it did not work.

use std::path::Path;

use envelope::Service;
use net::certificate::service_name;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::{CONNECT_TIMEOUT, PeerAddress};
use crate::limits::client_endpoint;
use crate::security::Credentials;

/// Connects and proves both identities: the other end is `service` of that server, or any where none is named.
///
/// # Errors
/// Why not, to the last cause.
pub async fn connect(to: &PeerAddress, service: Option<Service>, credentials: &Credentials) -> Result<Channel, String> {
    established(endpoint(to, service, credentials)?).await
}

/// Connects by a Unix socket of this machine, where the operating system says to the other end who is there.
///
/// # Errors
/// Why not, to the last cause.
pub async fn over(socket: &Path) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display())).map_err(|error| chain(&error))?;
    established(client_endpoint(endpoint)).await
}

/// Connects to `service` of a server that knows nobody of ours yet: nothing is shown to it, and it is known by `authorities_pem`
/// alone.
///
/// # Errors
/// Why not, to the last cause.
pub async fn connect_unknown(to: &PeerAddress, service: Service, authorities_pem: &str) -> Result<Channel, String> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authorities_pem))
        .domain_name(service_name(Some(service), &to.fqdn));
    established(at(to)?.tls_config(tls).map_err(|error| chain(&error))?).await
}

async fn established(connecting: Endpoint) -> Result<Channel, String> {
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting.connect()).await;
    connected.map_err(|_| "no connection in time".to_owned())?.map_err(|error| chain(&error))
}

/// A channel that connects when it is first used, and again after a failure.
pub(crate) fn connect_lazily(to: &PeerAddress, service: Service, credentials: &Credentials) -> Result<Channel, String> {
    Ok(endpoint(to, Some(service), credentials)?.connect_lazy())
}

fn endpoint(to: &PeerAddress, service: Option<Service>, credentials: &Credentials) -> Result<Endpoint, String> {
    at(to)?.tls_config(credentials.client(to, service)).map_err(|error| chain(&error))
}

fn at(to: &PeerAddress) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(format!("https://{}", to.address)).map_err(|error| chain(&error))?;
    Ok(client_endpoint(endpoint).connect_timeout(CONNECT_TIMEOUT))
}

/// An error with all its causes: the last one is what helps. What two layers say in the same words is said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut all: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    all.dedup();
    all.join(": ")
}

/// A status with its causes, among them the TLS alert by which a server sends a stranger away.
#[must_use]
pub fn in_words(status: &Status) -> String {
    let text = format!("{:?}: {}", status.code(), status.message());
    match std::error::Error::source(status) {
        Some(source) => format!("{text}: {}", chain(source)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn what_two_layers_say_alike_is_said_once() {
        let last = Layer("connection refused", None);
        let layers =
            Layer("transport error", Some(Box::new(Layer("tcp", Some(Box::new(Layer("tcp", Some(Box::new(last)))))))));
        assert_eq!(chain(&layers), "transport error: tcp: connection refused");
    }
}
