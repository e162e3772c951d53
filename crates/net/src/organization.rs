//! The port of the implicit connector: connections of peers that showed a certificate of the organization's authorities.
//!
//! Whoever has not shown one yet is a stranger: handshakes have a time, a number in all and a number for each address, apart
//! from those of SMTP, so that strangers cost the other servers nothing. A certificate that is renewed, and an authority
//! that is added, count from the next connection on.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::certificate::{CertificateError, KeyedCertificate};
use crate::circles::{Believed, CallerVerifier};
use crate::listener::accept_again;
use crate::provider::provider;
use crate::source::source;
use crate::tls::TLS_VERSIONS;

/// Time for a peer's handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way in all; further connections are closed.
const HANDSHAKES_MAX: u32 = 512;
/// Handshakes under way with one address: a server has four services that call, and a laptop may be many servers.
const HANDSHAKES_OF_ADDRESS_MAX: u32 = 64;
/// Connections that wait to be taken.
const WAITING_MAX: usize = 16;
/// gRPC is HTTP/2 (RFC 9113 §3.2).
const ALPN: &[u8] = b"h2";

/// A connection of a peer whose certificate was verified.
pub type OrganizationStream = tokio_rustls::server::TlsStream<TcpStream>;

/// What a service shows its peers, and by which authorities it knows them. Clones are the same.
#[derive(Clone)]
pub struct OrganizationTls(Arc<ArcSwap<ServerConfig>>);

impl OrganizationTls {
    /// Shows `own`, to whomever is believed.
    ///
    /// # Errors
    /// [`CertificateError`] when they cannot be used.
    pub fn new(own: &KeyedCertificate, believed: &Believed) -> Result<Self, CertificateError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(config(own, believed)?))))
    }

    /// The same from the next connection on with others.
    ///
    /// # Errors
    /// [`CertificateError`] when they cannot be used; what was there stays.
    pub fn replace(&self, own: &KeyedCertificate, believed: &Believed) -> Result<(), CertificateError> {
        self.0.store(Arc::new(config(own, believed)?));
        Ok(())
    }
}

fn config(own: &KeyedCertificate, believed: &Believed) -> Result<ServerConfig, CertificateError> {
    own.certified_key()?;
    let unusable = |error: &dyn std::fmt::Display| CertificateError::Certificate(error.to_string());
    let verifier = Arc::new(CallerVerifier::new(believed)?);
    let chain = CertificateDer::pem_slice_iter(own.cert_pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| unusable(&error))?;
    let key = PrivateKeyDer::from_pem_slice(own.key_pem.expose().as_bytes())
        .map_err(|error| CertificateError::Key(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(TLS_VERSIONS)
        .expect("the provider has cipher suites for both versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&error))?;
    // A session that is resumed would outlive a certificate that was renewed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// The port on which a service serves the organization.
#[derive(Debug)]
pub struct OrganizationListener(TcpListener);

impl OrganizationListener {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// As the system says (address in use, not an address of this machine).
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the system says.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Accepts from now on, until what this gives is dropped.
    #[must_use]
    pub fn incoming(self, tls: OrganizationTls) -> mpsc::Receiver<OrganizationStream> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(accept(self.0, tls, sender));
        receiver
    }
}

impl From<TcpListener> for OrganizationListener {
    fn from(socket: TcpListener) -> Self {
        Self(socket)
    }
}

async fn accept(socket: TcpListener, tls: OrganizationTls, ready: mpsc::Sender<OrganizationStream>) {
    let strangers = Arc::new(Strangers::default());
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = ready.closed() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if accept_again(&error).await => continue,
            Err(error) => {
                tracing::error!(%error, "the port of the organization broke");
                return;
            }
        };
        let Some(stranger) = strangers.enter(peer.ip()) else {
            tracing::debug!(%peer, "a connection to the port of the organization was closed: too many show no certificate");
            continue;
        };
        let (acceptor, ready) = (TlsAcceptor::from(tls.0.load_full()), ready.clone());
        tokio::spawn(async move {
            let handshake = async {
                // An acknowledgement may wait 40 ms for the peer's delayed ACK otherwise.
                stream.set_nodelay(true)?;
                acceptor.accept(stream).await
            };
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                Ok(Ok(stream)) => {
                    drop(stranger);
                    // Nobody takes it any more when the service ends.
                    let _ = ready.send(stream).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "a peer showed no certificate of the organization"),
                Err(_) => tracing::debug!(%peer, "a peer did not finish its handshake"),
            }
        });
    }
}

/// Handshakes under way, by address.
#[derive(Debug, Default)]
struct Strangers(Mutex<HashMap<IpAddr, u32>>);

/// One of them; dropping it makes room.
#[derive(Debug)]
struct Stranger {
    all: Arc<Strangers>,
    address: IpAddr,
}

impl Strangers {
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Stranger> {
        let address = source(peer);
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = under_way.get(&address).copied().unwrap_or(0);
        if of_address >= HANDSHAKES_OF_ADDRESS_MAX || under_way.values().sum::<u32>() >= HANDSHAKES_MAX {
            return None;
        }
        under_way.insert(address, of_address + 1);
        Some(Stranger { all: Arc::clone(self), address })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut under_way = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_have_a_number_each_and_one_in_all() {
        let all = Arc::new(Strangers::default());
        let enter = |text: &str| all.enter(text.parse().unwrap());
        let mut inside: Vec<Stranger> = (0..HANDSHAKES_OF_ADDRESS_MAX).filter_map(|_| enter("192.0.2.1")).collect();
        assert_eq!(inside.len(), 64);
        assert!(enter("192.0.2.1").is_none() && enter("::ffff:192.0.2.1").is_none());
        inside.pop();
        inside.extend(enter("192.0.2.1"));
        let mut network = 0;
        while let Some(one) = enter(&format!("2001:db8:0:{network:x}::1")) {
            inside.push(one);
            network += 1;
        }
        assert_eq!(inside.len(), 512);
        assert!(enter("198.51.100.1").is_none());
        drop(inside);
        assert!(all.0.lock().unwrap().is_empty());
        let _of_network: Vec<Stranger> = (0..64).filter_map(|host| enter(&format!("2001:db8::{host:x}"))).collect();
        assert!(enter("2001:db8::ffff").is_none(), "a network of IPv6 is one stranger");
    }
}
