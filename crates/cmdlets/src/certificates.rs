//! `Get-ExchangeCertificate`: what a server can show in SMTP. They are files of that server: [`Certificates`] is what whoever
//! embeds the commands implements where it can read them. Every one that lies there is enabled for SMTP, and for nothing else; to
//! put one there, or to take it away, is no command of the organization (TA-36, TA-38).

use std::rc::Rc;

use envelope::{ServerName, Timestamp};
use shell::{Call, Failure, Object, Objects, Parameter, Signature, Takes, Value};
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
}

/// The command.
pub(crate) fn signature() -> Signature {
    let example = |command: &str, meaning: &str| (Rc::from(command), Rc::from(meaning));
    let thumbprint = Parameter::new("Thumbprint", Takes::Text, "The one with this SHA-1 digest.").at(0).piped();
    Signature {
        name: GET.into(),
        synopsis: "Shows the certificates that a server can show in SMTP: those of identity/smtp of its settings."
            .into(),
        examples: vec![
            example(GET, "those of this server"),
            example(
                "Get-ExchangeCertificate -DomainName mail.contoso.com",
                "first the one that a connector of this name shows",
            ),
        ],
        returns: CERTIFICATE.into(),
        parameters: vec![
            thumbprint,
            Parameter::new("Identity", Takes::Text, "The same: its digest, or server\\digest."),
            Parameter::new("DomainName", Takes::List, "Those for one of these hosts, the best first."),
            Parameter::new("Server", Takes::Text, "Of which server: this one unless told otherwise."),
            Parameter::new("DomainController", Takes::Text, "Accepted without effect: there is one directory."),
        ],
        ..Signature::default()
    }
}

/// The columns of its table (CM-75).
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    (of == CERTIFICATE).then(|| ["Thumbprint", "Services", "Subject"].map(|name| (name, name)).to_vec())
}

/// `Get-ExchangeCertificate`
pub(crate) fn get(
    certificates: &mut dyn Certificates,
    draft: &OrganizationDraft,
    local: Option<ServerName>,
    now: OffsetDateTime,
    call: &Call<'_>,
) -> Result<Objects, Failure> {
    let text = |name: &str| call.bound.get(name).map(Value::text).filter(|text| !text.is_empty());
    let identity = text("Identity");
    let (named, digest) = match identity.as_deref().map(|identity| identity.rsplit_once('\\').ok_or(identity)) {
        Some(Ok((server, digest))) => (Some(server.to_owned()), Some(digest.to_owned())),
        Some(Err(digest)) => (None, Some(digest.to_owned())),
        None => (None, text("Thumbprint")),
    };
    let server = match text("Server").or(named) {
        Some(named) => server_of(draft, &named)?,
        None => local.ok_or_else(|| {
            let failure = Failure::new("InvalidArgument", "ServerMissing", "It is not known which server this is.");
            failure.advise("name one with -Server")
        })?,
    };
    let hosts: Vec<String> =
        call.bound.get("DomainName").map(Value::each).unwrap_or_default().iter().map(Value::text).collect();
    let away = |why| Failure::new("ResourceUnavailable", "CertificatesUnavailable", why);
    let mut found = certificates.of_server(&server, &hosts).map_err(away)?;
    if let Some(digest) = digest {
        let plain = |text: &str| text.chars().filter(|one| !one.is_whitespace() && *one != ':').collect::<String>();
        found.retain(|entry| entry.thumbprint.eq_ignore_ascii_case(&plain(&digest)));
        if found.is_empty() {
            let message = format!("The certificate with thumbprint {digest} wasn't found on {server}.");
            return Err(Failure::new("ObjectNotFound", "CertificateNotFound", message));
        }
    }
    Ok(Box::new(found.into_iter().map(move |entry| Value::Object(shown(&server, &entry, now)))))
}

fn shown(server: &ServerName, entry: &CertificateEntry, now: OffsetDateTime) -> Rc<Object> {
    let date = |at: Timestamp| OffsetDateTime::from(std::time::SystemTime::from(at));
    let (from, until) = (date(entry.not_before), date(entry.not_after));
    // TA-34: whether it leads to a root, and was not revoked, is for whoever is shown it to say.
    let status = if (from..=until).contains(&now) { "Unknown" } else { "DateInvalid" };
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
        ("Services".into(), Value::of("SMTP")),
        ("Status".into(), Value::of(status)),
        ("Subject".into(), Value::of(entry.subject.as_str())),
        ("Thumbprint".into(), Value::of(entry.thumbprint.as_str())),
        ("Identity".into(), Value::of(identity.as_str())),
    ];
    Object::new(CERTIFICATE, Some(&entry.thumbprint), properties)
}
