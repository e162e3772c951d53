//! Certificates for SMTP of a server, as administrators handle them by its admin service: keys are made where they stay, and none goes
//! through here. What changes something is written into the audit log as the documented cmdlet.

use std::sync::Arc;

use async_trait::async_trait;
use authority::{Act, Feature};
use envelope::{Domain, Timestamp};
use rpc::Asker;
use rpc::convert::without_controls;
use tonic::{Request, Response, Status};

use crate::api::Api;
use crate::audit::{AuditTrail, Deed};
use crate::error::AdminError;
use crate::wire::v1 as wire;
use wire::smtp_certificates_client::SmtpCertificatesClient;

/// Names that a question may give.
const NAMES_MAX: usize = 100;
/// Octets of what is imported: a chain and a key.
const CONTENT_OCTETS_MAX: usize = 256 * 1024;

/// One certificate, or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpCertificate {
    /// SHA-1 over it, 40 digits; of a request over that.
    pub thumbprint: String,
    /// Whom it is for.
    pub subject: String,
    /// Who signed it; empty of a request.
    pub issuer: String,
    /// Its names.
    pub domains: Vec<String>,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// In hexadecimal digits.
    pub serial_number: String,
    /// Signed by itself.
    pub self_signed: bool,
    /// Shown in SMTP.
    pub enabled: bool,
    /// A request that waits for its certificate.
    pub pending: bool,
}

/// What is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateOrder {
    /// X.500 name; empty for the name of the server.
    pub subject: String,
    /// Names in DNS.
    pub domains: Vec<Domain>,
    /// Bits of the key; 0 for the default.
    pub key_size: u32,
    /// A request in the place of a certificate.
    pub request: bool,
    /// Whether the certificate is shown in SMTP at once.
    pub enabled: bool,
}

/// Who keeps the certificates of a server.
#[async_trait]
pub trait CertificateHandler: Send + Sync + 'static {
    /// All of them; or those for one of these hosts, the best first.
    async fn list(&self, hosts: Vec<Domain>) -> Result<Vec<SmtpCertificate>, String>;
    /// A new key, with a certificate or a request, in PEM.
    async fn make(&self, order: CertificateOrder) -> Result<(SmtpCertificate, String), String>;
    /// A certificate that answers a request, or comes with its key.
    async fn import(&self, content: Vec<u8>) -> Result<SmtpCertificate, String>;
    /// A certificate or a request, in PEM, without its key.
    async fn export(&self, thumbprint: String) -> Result<String, String>;
    /// Has a certificate shown in SMTP.
    async fn enable(&self, thumbprint: String) -> Result<(), String>;
    /// Takes one away.
    async fn remove(&self, thumbprint: String) -> Result<(), String>;
}

/// `postroad.admin.v1.SmtpCertificates` over a handler.
pub(crate) struct CertificatesService {
    pub(crate) handler: Arc<dyn CertificateHandler>,
    pub(crate) trail: AuditTrail,
}

impl CertificatesService {
    /// Rules, does, and writes down.
    async fn change<T>(
        &self,
        asker: &Asker,
        cmdlet: &'static str,
        through: &str,
        object: &str,
        work: impl Future<Output = Result<T, String>>,
        named: impl FnOnce(&T) -> String,
    ) -> Result<T, Status> {
        self.trail.ruled(asker, Act::Change(Feature::Servers), cmdlet)?;
        let done = work.await;
        let object = done.as_ref().map_or_else(|_| object.to_owned(), named);
        let through = without_controls(through);
        let through = if through.is_empty() { format!("admin API of {}", self.trail.server).into() } else { through };
        let (caller, client) = (asker.name(), asker.from());
        let deed = Deed { caller: &caller, through: &through, client, cmdlet, object: &object };
        self.trail.done(deed, done.as_ref().map(|_| ()).map_err(String::as_str));
        done.map_err(Status::failed_precondition)
    }
}

fn hosts(names: &[String]) -> Result<Vec<Domain>, Status> {
    if names.len() > NAMES_MAX {
        return Err(Status::invalid_argument(format!("at most {NAMES_MAX} names")));
    }
    let parsed = names.iter().map(|name| Domain::parse(name));
    parsed.collect::<Result<_, _>>().map_err(|error| Status::invalid_argument(error.to_string()))
}

#[tonic::async_trait]
impl wire::smtp_certificates_server::SmtpCertificates for CertificatesService {
    async fn list_certificates(
        &self,
        request: Request<wire::ListCertificatesRequest>,
    ) -> Result<Response<wire::ListCertificatesReply>, Status> {
        self.trail.ruled(&Asker::of(&request)?, Act::Read(Feature::Servers), "Get-ExchangeCertificate")?;
        let found =
            self.handler.list(hosts(&request.into_inner().hosts)?).await.map_err(Status::failed_precondition)?;
        let certificates = found.into_iter().map(to_wire).collect();
        Ok(Response::new(wire::ListCertificatesReply { certificates }))
    }

    async fn make_certificate(
        &self,
        request: Request<wire::MakeCertificateRequest>,
    ) -> Result<Response<wire::MakeCertificateReply>, Status> {
        let asker = Asker::of(&request)?;
        let wire::MakeCertificateRequest { subject, domains, key_size, request, enabled, through } =
            request.into_inner();
        let order = CertificateOrder { subject, domains: hosts(&domains)?, key_size, request, enabled };
        let subject = order.subject.clone();
        let making = self.handler.make(order);
        let named = |(made, _): &(SmtpCertificate, String)| made.thumbprint.clone();
        let (made, pem) = self.change(&asker, "New-ExchangeCertificate", &through, &subject, making, named).await?;
        Ok(Response::new(wire::MakeCertificateReply { certificate: Some(to_wire(made)), pem }))
    }

    async fn import_certificate(
        &self,
        request: Request<wire::ImportCertificateRequest>,
    ) -> Result<Response<wire::ImportCertificateReply>, Status> {
        let asker = Asker::of(&request)?;
        let wire::ImportCertificateRequest { content, through } = request.into_inner();
        if content.len() > CONTENT_OCTETS_MAX {
            return Err(Status::invalid_argument(format!("at most {CONTENT_OCTETS_MAX} octets")));
        }
        let importing = self.handler.import(content.to_vec());
        let named = |kept: &SmtpCertificate| kept.thumbprint.clone();
        let kept = self.change(&asker, "Import-ExchangeCertificate", &through, "", importing, named).await?;
        Ok(Response::new(wire::ImportCertificateReply { certificate: Some(to_wire(kept)) }))
    }

    async fn export_certificate(
        &self,
        request: Request<wire::ExportCertificateRequest>,
    ) -> Result<Response<wire::ExportCertificateReply>, Status> {
        self.trail.ruled(&Asker::of(&request)?, Act::Read(Feature::Servers), "Export-ExchangeCertificate")?;
        let exporting = self.handler.export(request.into_inner().thumbprint);
        let pem = exporting.await.map_err(Status::failed_precondition)?;
        Ok(Response::new(wire::ExportCertificateReply { pem }))
    }

    async fn enable_certificate(
        &self,
        request: Request<wire::EnableCertificateRequest>,
    ) -> Result<Response<wire::EnableCertificateReply>, Status> {
        let asker = Asker::of(&request)?;
        let wire::EnableCertificateRequest { thumbprint, through } = request.into_inner();
        let enabling = self.handler.enable(thumbprint.clone());
        let named = |(): &()| thumbprint.clone();
        self.change(&asker, "Enable-ExchangeCertificate", &through, &thumbprint, enabling, named).await?;
        Ok(Response::new(wire::EnableCertificateReply {}))
    }

    async fn remove_certificate(
        &self,
        request: Request<wire::RemoveCertificateRequest>,
    ) -> Result<Response<wire::RemoveCertificateReply>, Status> {
        let asker = Asker::of(&request)?;
        let wire::RemoveCertificateRequest { thumbprint, through } = request.into_inner();
        let removing = self.handler.remove(thumbprint.clone());
        let named = |(): &()| thumbprint.clone();
        self.change(&asker, "Remove-ExchangeCertificate", &through, &thumbprint, removing, named).await?;
        Ok(Response::new(wire::RemoveCertificateReply {}))
    }
}

impl Api {
    /// The certificates for SMTP of the server behind this connection: all, or those for one of these hosts, the best first.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn certificates(&self, hosts: &[Domain]) -> Result<Vec<SmtpCertificate>, AdminError> {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let asked = self.of_certificates().list_certificates(wire::ListCertificatesRequest { hosts }).await;
        let found = asked.map_err(|status| self.failure(&status))?.into_inner().certificates;
        Ok(found.iter().map(from_wire).collect())
    }

    /// A new key there, with a certificate or a request, which is given in PEM.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn make_certificate(
        &self,
        order: &CertificateOrder,
        through: &str,
    ) -> Result<(SmtpCertificate, String), AdminError> {
        let request = wire::MakeCertificateRequest {
            subject: order.subject.clone(),
            domains: order.domains.iter().map(ToString::to_string).collect(),
            key_size: order.key_size,
            request: order.request,
            enabled: order.enabled,
            through: through.to_owned(),
        };
        let asked = self.of_certificates().make_certificate(request).await;
        let wire::MakeCertificateReply { certificate, pem } =
            asked.map_err(|status| self.failure(&status))?.into_inner();
        Ok((self.told(certificate.as_ref())?, pem))
    }

    /// Brings a certificate there.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn import_certificate(&self, content: &[u8], through: &str) -> Result<SmtpCertificate, AdminError> {
        let request = wire::ImportCertificateRequest { content: content.to_vec().into(), through: through.to_owned() };
        let asked = self.of_certificates().import_certificate(request).await;
        let kept = asked.map_err(|status| self.failure(&status))?.into_inner().certificate;
        self.told(kept.as_ref())
    }

    /// A certificate or a request, in PEM, without its key.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn export_certificate(&self, thumbprint: &str) -> Result<String, AdminError> {
        let request = wire::ExportCertificateRequest { thumbprint: thumbprint.to_owned() };
        let asked = self.of_certificates().export_certificate(request).await;
        Ok(asked.map_err(|status| self.failure(&status))?.into_inner().pem)
    }

    /// Has a certificate shown in SMTP.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn enable_certificate(&self, thumbprint: &str, through: &str) -> Result<(), AdminError> {
        let (thumbprint, through) = (thumbprint.to_owned(), through.to_owned());
        let asked =
            self.of_certificates().enable_certificate(wire::EnableCertificateRequest { thumbprint, through }).await;
        asked.map(drop).map_err(|status| self.failure(&status))
    }

    /// Has a certificate taken away.
    ///
    /// # Errors
    /// [`AdminError`]
    pub async fn remove_certificate(&self, thumbprint: &str, through: &str) -> Result<(), AdminError> {
        let (thumbprint, through) = (thumbprint.to_owned(), through.to_owned());
        let asked =
            self.of_certificates().remove_certificate(wire::RemoveCertificateRequest { thumbprint, through }).await;
        asked.map(drop).map_err(|status| self.failure(&status))
    }

    fn told(&self, certificate: Option<&wire::SmtpCertificate>) -> Result<SmtpCertificate, AdminError> {
        let nothing = || self.failure(&Status::internal("the answer names no certificate"));
        certificate.map(from_wire).ok_or_else(nothing)
    }

    fn of_certificates(&self) -> SmtpCertificatesClient<tonic::transport::Channel> {
        SmtpCertificatesClient::new(self.channel())
    }
}

fn to_wire(one: SmtpCertificate) -> wire::SmtpCertificate {
    wire::SmtpCertificate {
        thumbprint: one.thumbprint,
        subject: one.subject,
        issuer: one.issuer,
        domains: one.domains,
        not_before_millis: one.not_before.as_millis(),
        not_after_millis: one.not_after.as_millis(),
        serial_number: one.serial_number,
        self_signed: one.self_signed,
        enabled: one.enabled,
        pending: one.pending,
    }
}

fn from_wire(one: &wire::SmtpCertificate) -> SmtpCertificate {
    let text = |text: &str| String::from(without_controls(text));
    SmtpCertificate {
        thumbprint: text(&one.thumbprint),
        subject: text(&one.subject),
        issuer: text(&one.issuer),
        domains: one.domains.iter().take(NAMES_MAX).map(|name| text(name)).collect(),
        not_before: Timestamp::from_millis(one.not_before_millis),
        not_after: Timestamp::from_millis(one.not_after_millis),
        serial_number: text(&one.serial_number),
        self_signed: one.self_signed,
        enabled: one.enabled,
        pending: one.pending,
    }
}
