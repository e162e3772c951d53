//! The certificate that a server shows to the hosts it sends to (TA-7, TA-21): the one that the connector names
//! (`TlsCertificateName`, TA-32), or the best one for the connector's name (TA-30, TA-31), or the server's own for SMTP.
//!
//! ```text
//!   identity/smtp/{cert,key}.pem            the server's own
//!   identity/smtp/<any name>/{cert,key}.pem further ones
//! ```
//!
//! Which fits is `net`'s to say.

use std::sync::Arc;

use envelope::{Domain, Timestamp};
use net::tls::{self, OwnCertificate, TrustedRoots};
use net::{KeyedCertificate, TlsClient};
use parking_lot::RwLock;
use runtime::{Node, NodeError, Settings, certificate};
use topology::SendConnector;

use crate::plan::Unready;

/// The certificates of this server.
pub(crate) struct Certificates {
    roots: TrustedRoots,
    shown: RwLock<Shown>,
}

/// What there is.
struct Shown {
    own: KeyedCertificate,
    /// Shows `own`.
    client: TlsClient,
    /// The server's own among them.
    all: Vec<OwnCertificate>,
}

impl Certificates {
    /// Reads what is there now.
    pub(crate) fn load(settings: &Settings, own: &KeyedCertificate) -> Result<Self, NodeError> {
        let roots = certificate::trusted_roots(settings)?;
        let shown = RwLock::new(read(settings, &roots, own)?);
        Ok(Self { roots, shown })
    }

    /// As if `one` were there, too: in the place of the server's own where `instead`, otherwise beside it.
    pub(crate) fn with(self, one: &KeyedCertificate, instead: bool, settings: &Settings) -> Result<Self, NodeError> {
        let about = |error: net::certificate::CertificateError| certificate::refused(settings, error.to_string());
        let Self { roots, shown } = self;
        let mut shown = shown.into_inner();
        let new = OwnCertificate::of(one.clone()).map_err(about)?;
        if instead {
            shown.client = TlsClient::new(roots.clone()).with_certificate(one).map_err(about)?;
            shown.own = one.clone();
            shown.all.drain(..usize::from(!shown.all.is_empty()));
        }
        shown.all.push(new);
        Ok(Self { roots, shown: RwLock::new(shown) })
    }

    /// The client that shows what fits the connector, whose name towards others is `fqdn` (TA-7). One that was put there after
    /// the start is found when it is asked for by its own name.
    pub(crate) fn client(
        &self,
        settings: &Settings,
        connector: &SendConnector,
        fqdn: &Domain,
        now: Timestamp,
    ) -> Result<TlsClient, Unready> {
        let Some(wanted) = connector.tls_certificate_name.as_deref() else {
            let shown = self.shown.read();
            let fitting = tls::for_host(&shown.all, fqdn, now).and_then(|fitting| self.showing(fitting));
            return Ok(fitting.unwrap_or_else(|| shown.client.clone()));
        };
        let chosen = || tls::named(&self.shown.read().all, wanted, now).and_then(|chosen| self.showing(chosen));
        if let Some(client) = chosen() {
            return Ok(client);
        }
        let own = self.shown.read().own.clone();
        if let Ok(shown) = read(settings, &self.roots, &own) {
            *self.shown.write() = shown;
        }
        chosen().ok_or_else(|| {
            let folder = certificate::folder(settings);
            let text = format!(
                "no valid certificate is {wanted} (tlsCertificateName); put cert.pem and key.pem into a folder of {}",
                folder.display()
            );
            Unready::new(text)
        })
    }

    /// Its key was found to fit when it was read.
    fn showing(&self, one: &OwnCertificate) -> Option<TlsClient> {
        TlsClient::new(self.roots.clone()).with_certificate(&one.keyed).ok()
    }
}

fn read(settings: &Settings, roots: &TrustedRoots, own: &KeyedCertificate) -> Result<Shown, NodeError> {
    let client = TlsClient::new(roots.clone()).with_certificate(own);
    let client = client.map_err(|error| certificate::refused(settings, error.to_string()))?;
    Ok(Shown { own: own.clone(), client, all: certificate::all_for_smtp(settings, own) })
}

/// Hosts outside are shown what lies there, whenever it is to be read anew.
pub(crate) async fn read_anew(node: Arc<Node>, certificates: Arc<Certificates>) {
    let mut reloads = node.reloads.clone();
    loop {
        reloads.next().await;
        let own = certificate::of_server(&node);
        match own.and_then(|own| read(&node.settings, &certificates.roots, &own)) {
            Ok(shown) => *certificates.shown.write() = shown,
            Err(error) => {
                tracing::error!(%error, "the certificates for hosts outside cannot be read anew; the old ones go on")
            }
        }
    }
}
