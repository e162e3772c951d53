//! The certificates of this server for SMTP, for administrators: what [`runtime::shelf`] does, beside the runtime.

use std::sync::Arc;

use admin_api::{CertificateHandler, CertificateOrder, SmtpCertificate};
use async_trait::async_trait;
use envelope::{Domain, Timestamp};
use net::certificate::serial_of;
use net::tls::OwnCertificate;
use runtime::shelf::{self, Kept, Order};
use runtime::{Node, Settings};

/// Over the files of a server.
pub(crate) struct Shelf(pub(crate) Arc<Node>);

impl Shelf {
    /// Files and keys take their time.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Settings, Timestamp) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (settings, now) = (Arc::clone(&self.0.settings), self.0.clock.now());
        tokio::task::spawn_blocking(move || work(&settings, now)).await.map_err(|error| error.to_string())?
    }
}

#[async_trait]
impl CertificateHandler for Shelf {
    async fn list(&self, hosts: Vec<Domain>) -> Result<Vec<SmtpCertificate>, String> {
        self.aside(move |settings, now| Ok(list(settings, &hosts, now))).await
    }

    async fn make(&self, order: CertificateOrder) -> Result<(SmtpCertificate, String), String> {
        let fqdn = self.0.tables().local_server().fqdn.clone();
        self.aside(move |settings, now| make(settings, &fqdn, order, now)).await
    }

    async fn import(&self, content: Vec<u8>) -> Result<SmtpCertificate, String> {
        self.aside(move |settings, _| import(settings, &content)).await
    }

    async fn export(&self, thumbprint: String) -> Result<String, String> {
        self.aside(move |settings, _| shelf::export(settings, &thumbprint).map_err(|error| error.to_string())).await
    }

    async fn enable(&self, thumbprint: String) -> Result<(), String> {
        self.aside(move |settings, _| shelf::enable(settings, &thumbprint).map_err(|error| error.to_string())).await
    }

    async fn remove(&self, thumbprint: String) -> Result<(), String> {
        self.aside(move |settings, _| shelf::remove(settings, &thumbprint).map_err(|error| error.to_string())).await
    }
}

/// What lies there. Blocks.
#[must_use]
pub fn list(settings: &Settings, hosts: &[Domain], now: Timestamp) -> Vec<SmtpCertificate> {
    shelf::list(settings, hosts, now).iter().map(told).collect()
}

/// Makes one. Blocks.
///
/// # Errors
/// Why not, in words.
pub fn make(
    settings: &Settings,
    fqdn: &Domain,
    order: CertificateOrder,
    now: Timestamp,
) -> Result<(SmtpCertificate, String), String> {
    let CertificateOrder { subject, domains, key_size, request, enabled } = order;
    let order = Order { subject, domains, key_size, request, enabled };
    let made = shelf::make(settings, fqdn, order, now);
    made.map(|(kept, pem)| (told(&kept), pem)).map_err(|error| error.to_string())
}

/// Takes one in. Blocks.
///
/// # Errors
/// Why not, in words.
pub fn import(settings: &Settings, content: &[u8]) -> Result<SmtpCertificate, String> {
    shelf::import(settings, content).map(|kept| told(&kept)).map_err(|error| error.to_string())
}

fn told(kept: &Kept) -> SmtpCertificate {
    match kept {
        Kept::Enabled(one) => described(one, true),
        Kept::Disabled(one) => described(one, false),
        Kept::Pending { thumbprint, subject } => SmtpCertificate {
            thumbprint: thumbprint.clone(),
            subject: subject.to_string(),
            issuer: String::new(),
            domains: Vec::new(),
            not_before: Timestamp::from_millis(0),
            not_after: Timestamp::from_millis(0),
            serial_number: String::new(),
            self_signed: false,
            enabled: false,
            pending: true,
        },
    }
}

fn described(one: &OwnCertificate, enabled: bool) -> SmtpCertificate {
    let serial = one.keyed.to_der().ok().and_then(|der| serial_of(&der)).unwrap_or_default();
    SmtpCertificate {
        thumbprint: one.thumbprint(),
        subject: one.written.subject.to_string(),
        issuer: one.written.issuer.to_string(),
        domains: one.names.iter().map(ToString::to_string).collect(),
        not_before: one.written.not_before,
        not_after: one.written.not_after,
        serial_number: serial.iter().map(|octet| format!("{octet:02X}")).collect(),
        self_signed: one.is_self_signed(),
        enabled,
        pending: false,
    }
}
