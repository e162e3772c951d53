//! Certificates that a server shows in SMTP. They are files of that server, with keys that stay there: [`Certificates`] is what
//! whoever embeds the commands implements, where the files are or by the admin service of the server (TA-30, TA-36, TA-38).

pub(crate) mod act;
pub(crate) mod signatures;

use std::rc::Rc;

use envelope::{Domain, ServerName, Timestamp};
use shell::{Call, Failure, Object, Objects, Value};
use time::OffsetDateTime;
use topology::OrganizationDraft;

use crate::queues::server_of;

/// The type of what is shown.
const CERTIFICATE: &str = "ExchangeCertificate";
/// The command.
pub(crate) const GET: &str = "Get-ExchangeCertificate";

/// The certificates of servers.
pub trait Certificates {
    /// Those of a server for SMTP; for one of `hosts`, where any are named, in the order in which a connector of that name
    /// would choose (TA-30).
    ///
    /// # Errors
    /// Why they cannot be read.
    fn of_server(&mut self, server: &ServerName, hosts: &[String]) -> Result<Vec<CertificateEntry>, String>;

    /// Makes a key there, with a certificate or a request; gives that in PEM.
    ///
    /// # Errors
    /// Why not.
    fn make(
        &mut self,
        server: &ServerName,
        order: &CertificateOrder,
        command: &str,
    ) -> Result<(CertificateEntry, String), String>;

    /// Brings a certificate there.
    ///
    /// # Errors
    /// Why not.
    fn import(&mut self, server: &ServerName, content: &[u8], command: &str) -> Result<CertificateEntry, String>;

    /// A certificate or a request, in PEM, without its key.
    ///
    /// # Errors
    /// Why not.
    fn export(&mut self, server: &ServerName, thumbprint: &str) -> Result<String, String>;

    /// Has a certificate shown in SMTP.
    ///
    /// # Errors
    /// Why not.
    fn enable(&mut self, server: &ServerName, thumbprint: &str, command: &str) -> Result<(), String>;

    /// Takes a certificate or a request away.
    ///
    /// # Errors
    /// Why not.
    fn remove(&mut self, server: &ServerName, thumbprint: &str, command: &str) -> Result<(), String>;
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateEntry {
    /// SHA-1 over it, 40 digits.
    pub thumbprint: String,
    /// Whom it is for.
    pub subject: String,
    /// Who signed it.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateOrder {
    /// X.500 name; empty for the name of the server.
    pub subject: String,
    /// Names in DNS; none for that of the server.
    pub domains: Vec<Domain>,
    /// Bits of the key; 0 for the default.
    pub key_size: u32,
    /// A request in the place of a certificate.
    pub request: bool,
    /// Whether the certificate is shown in SMTP at once.
    pub enabled: bool,
}

/// The columns of its table (CM-75).
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    (of == CERTIFICATE).then(|| ["Thumbprint", "Services", "Subject"].map(|name| (name, name)).to_vec())
}

/// Which certificate is meant, and of which server.
pub(crate) struct Named {
    server: ServerName,
    /// Without blanks and colons.
    digest: Option<String>,
}

impl Named {
    fn not_found(&self) -> Failure {
        let digest = self.digest.as_deref().unwrap_or_default();
        let message = format!("The certificate with thumbprint {digest} wasn't found on {}.", self.server);
        Failure::new("ObjectNotFound", "CertificateNotFound", message)
    }
}

fn named(draft: &OrganizationDraft, local: Option<ServerName>, call: &Call<'_>) -> Result<Named, Failure> {
    let text = |name: &str| call.bound.get(name).map(Value::text).filter(|text| !text.is_empty());
    let identity = text("Identity");
    let (of, digest) = match identity.as_deref().map(|identity| identity.rsplit_once('\\').ok_or(identity)) {
        Some(Ok((server, digest))) => (Some(server.to_owned()), Some(digest.to_owned())),
        Some(Err(digest)) => (None, Some(digest.to_owned())),
        None => (None, text("Thumbprint")),
    };
    let server = match text("Server").or(of) {
        Some(named) => server_of(draft, &named)?,
        None => local.ok_or_else(|| {
            let failure = Failure::new("InvalidArgument", "ServerMissing", "It is not known which server this is.");
            failure.advise("name one with -Server")
        })?,
    };
    let plain = |text: &str| text.chars().filter(|one| !one.is_whitespace() && *one != ':').collect::<String>();
    Ok(Named { server, digest: digest.map(|digest| plain(&digest)) })
}

/// `Get-ExchangeCertificate`
pub(crate) fn get(
    certificates: &mut dyn Certificates,
    draft: &OrganizationDraft,
    local: Option<ServerName>,
    now: OffsetDateTime,
    call: &Call<'_>,
) -> Result<Objects, Failure> {
    let of = named(draft, local, call)?;
    let hosts: Vec<String> =
        call.bound.get("DomainName").map(Value::each).unwrap_or_default().iter().map(Value::text).collect();
    let away = |why| Failure::new("ResourceUnavailable", "CertificatesUnavailable", why);
    let mut found = certificates.of_server(&of.server, &hosts).map_err(away)?;
    if let Some(digest) = &of.digest {
        found.retain(|entry| entry.thumbprint.eq_ignore_ascii_case(digest));
        if found.is_empty() {
            return Err(of.not_found());
        }
    }
    Ok(Box::new(found.into_iter().map(move |entry| Value::Object(shown(&of.server, &entry, now)))))
}

fn shown(server: &ServerName, entry: &CertificateEntry, now: OffsetDateTime) -> Rc<Object> {
    let date = |at: Timestamp| OffsetDateTime::from(std::time::SystemTime::from(at));
    let (from, until) = (date(entry.not_before), date(entry.not_after));
    // TA-34: whether it leads to a root, and was not revoked, is for whoever is shown it to say.
    let status = match (entry.pending, (from..=until).contains(&now)) {
        (true, _) => "PendingRequest",
        (false, true) => "Unknown",
        (false, false) => "DateInvalid",
    };
    let services = if entry.enabled { "SMTP" } else { "None" };
    let domains = entry.domains.iter().map(|domain| Value::of(domain.as_str())).collect();
    let identity = format!("{server}\\{}", entry.thumbprint);
    let properties = vec![
        ("CertificateDomains".into(), Value::list(domains)),
        ("HasPrivateKey".into(), Value::Bool(true)),
        ("IsSelfSigned".into(), Value::Bool(entry.self_signed)),
        ("Issuer".into(), Value::of(entry.issuer.as_str())),
        ("NotAfter".into(), Value::Date(until)),
        ("NotBefore".into(), Value::Date(from)),
        ("SerialNumber".into(), Value::of(entry.serial_number.as_str())),
        ("Services".into(), Value::of(services)),
        ("Status".into(), Value::of(status)),
        ("Subject".into(), Value::of(entry.subject.as_str())),
        ("Thumbprint".into(), Value::of(entry.thumbprint.as_str())),
        ("Identity".into(), Value::of(identity.as_str())),
    ];
    Object::new(CERTIFICATE, Some(&entry.thumbprint), properties)
}
