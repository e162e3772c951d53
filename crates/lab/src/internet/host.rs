//! One host: its listener, its certificate, and the behavior in force.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envelope::{Domain, ServerName, Timestamp};
use net::certificate::{CertificateError, KeyedCertificate, self_signed_for_smtp};
use net::tls::ClientCertificates;
use net::{CertificateAuthority, Listener, TlsServer};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::InternetError;
use super::description::{Behavior, Host, HostTls};
use super::faults::Faults;
use super::session::{Session, Site};
use crate::deliveries::DeliveryLog;

/// Sessions that one host serves at a time; more wait in the kernel.
pub(super) const SESSIONS_MAX: usize = 1000;
/// How long ago an expired certificate was made: more than its validity of five years.
const EXPIRED_AGE: Duration = Duration::from_secs(6 * 366 * 24 * 3600);

/// A host that is running.
pub(super) struct RunningHost {
    name: Domain,
    address: SocketAddr,
    log: Arc<DeliveryLog>,
    site: watch::Sender<Arc<Site>>,
    task: JoinHandle<()>,
}

impl RunningHost {
    pub(super) async fn start(
        host: &Host,
        listener: Listener,
        log: Arc<DeliveryLog>,
        authority: &Arc<CertificateAuthority>,
    ) -> Result<Self, InternetError> {
        let address = listener.local();
        let site = site(&host.name, host.behavior.clone(), Arc::clone(&log), authority).await?;
        let (sender, receiver) = watch::channel(site);
        // A host that is dead from the start must not take a single connection.
        let listener = (!host.behavior.dead).then_some(listener);
        let task = tokio::spawn(run(address, listener, receiver));
        Ok(Self { name: host.name.clone(), address, log, site: sender, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn set_behavior(
        &self,
        behavior: Behavior,
        authority: &Arc<CertificateAuthority>,
    ) -> Result<(), InternetError> {
        self.site.send_replace(site(&self.name, behavior, Arc::clone(&self.log), authority).await?);
        Ok(())
    }

    pub(super) async fn stop(mut self) {
        self.task.abort();
        // Its only result is that it was aborted.
        let _aborted = (&mut self.task).await;
    }
}

impl Drop for RunningHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens while the host lives; a dead one refuses connections because nothing is bound to its address.
async fn run(address: SocketAddr, mut listener: Option<Listener>, mut site: watch::Receiver<Arc<Site>>) {
    loop {
        let alive = !site.borrow_and_update().faults.behavior.dead;
        if !alive {
            listener = None;
            if site.changed().await.is_err() {
                return;
            }
            continue;
        }
        let current = match listener.take().map_or_else(|| net::listen(address), Ok) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%address, %error, "a host of the lab cannot come back"),
        };
        match serve(&current, &mut site).await {
            true => listener = Some(current),
            false => return,
        }
    }
}

/// Serves sessions until the host dies; whether it may come back.
async fn serve(listener: &Listener, site: &mut watch::Receiver<Arc<Site>>) -> bool {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if sessions.len() < SESSIONS_MAX => {
                let Ok(stream) = accepted else { return false };
                let site = Arc::clone(&site.borrow());
                sessions.spawn(async move {
                    let (name, peer) = (site.name.clone(), stream.peer());
                    let ended = Box::pin(Session::new(site, stream).serve()).await;
                    tracing::debug!(host = %name, %peer, %ended, "session over");
                });
            }
            Some(_) = sessions.join_next() => {}
            changed = site.changed() => {
                if changed.is_err() {
                    return false;
                }
                if site.borrow_and_update().faults.behavior.dead {
                    return true;
                }
            }
        }
    }
}

async fn site(
    name: &Domain,
    behavior: Behavior,
    log: Arc<DeliveryLog>,
    authority: &Arc<CertificateAuthority>,
) -> Result<Arc<Site>, InternetError> {
    let (tls, host, authority) = (behavior.tls, name.clone(), Arc::clone(authority));
    // Making a key takes a tenth of a second of computing.
    let made = tokio::task::spawn_blocking(move || certificate(tls, &host, &authority)).await;
    let certificate = made.expect("making a certificate does not panic");
    let server = certificate
        .and_then(|pair| pair.map(|pair| TlsServer::new(&pair, ClientCertificates::Ignored)).transpose())
        .map_err(|cause| InternetError::Certificate { host: name.clone(), cause })?;
    Ok(Arc::new(Site { name: name.clone(), faults: Faults::new(behavior), tls: server, log }))
}

fn certificate(
    tls: HostTls,
    host: &Domain,
    authority: &CertificateAuthority,
) -> Result<Option<KeyedCertificate>, CertificateError> {
    let now = crate::clock::now();
    let first_label = host.labels().next().expect("a domain has a label");
    let name = ServerName::parse(first_label).expect("a label has 1 to 63 visible characters");
    let past = Timestamp::from_millis(now.as_millis() - u64::try_from(EXPIRED_AGE.as_millis()).expect("six years"));
    let other = Domain::parse("wrong.name.example").expect("a domain");
    let pair = match tls {
        HostTls::None => return Ok(None),
        HostTls::Trusted => authority.issue_for_smtp(&name, host, now)?,
        HostTls::SelfSigned => self_signed_for_smtp(&name, host, now)?,
        HostTls::Expired => authority.issue_for_smtp(&name, host, past)?,
        HostTls::WrongName => authority.issue_for_smtp(&name, &other, now)?,
    };
    Ok(Some(pair))
}
