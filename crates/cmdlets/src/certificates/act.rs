//! `New-`, `Import-`, `Export-`, `Enable-` and `Remove-ExchangeCertificate` (TA-36, TA-38): done on the server where the key is, and
//! stays.

use envelope::{Domain, ServerName};
use shell::{Call, Failure, Object, Objects, Session, Value};
use topology::OrganizationDraft;

use super::signatures::{KEYS_STAY, OTHERS};
use super::{CertificateEntry, CertificateOrder, Certificates, Named, named, shown};

/// Runs one of them.
pub(crate) fn run(
    certificates: &mut dyn Certificates,
    draft: &OrganizationDraft,
    local: Option<ServerName>,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    if call.bound.is_on("PrivateKeyExportable") {
        let message = format!("-PrivateKeyExportable $true is not available yet: {KEYS_STAY}.");
        return Err(Failure::new("NotImplemented", "KeysStay", message));
    }
    let of = named(draft, local, call)?;
    let command = &*call.signature.name;
    let nothing: Objects = Box::new(std::iter::empty());
    match command {
        "New-ExchangeCertificate" => return make(certificates, draft, &of, call, session),
        "Import-ExchangeCertificate" => return take_in(certificates, &of, call, session),
        "Export-ExchangeCertificate" => {
            let entry = wanted(certificates, &of)?;
            let pem = certificates.export(&of.server, &entry.thumbprint).map_err(refused)?;
            return out(pem, call.bound.text("FileName"), call, session);
        }
        "Enable-ExchangeCertificate" => {
            let entry = wanted(certificates, &of)?;
            if !for_smtp(call, session) {
                let message = "Only SMTP shows certificates here, and it is not among the services.";
                let failure = Failure::new("InvalidArgument", "ServicesWithoutSmtp", message).by("TA-36");
                return Err(failure.advise("-Services SMTP; Remove-ExchangeCertificate takes one away"));
            }
            if session.should(&format!("Enabling certificate {} for SMTP on {}.", entry.thumbprint, of.server))? {
                certificates.enable(&of.server, &entry.thumbprint, command).map_err(refused)?;
            }
        }
        _ => {
            let entry = wanted(certificates, &of)?;
            in_use(draft, &of.server, &entry)?;
            if session.should(&format!("Removing certificate {} from {}.", entry.thumbprint, of.server))? {
                certificates.remove(&of.server, &entry.thumbprint, command).map_err(refused)?;
            }
        }
    }
    Ok(nothing)
}

fn refused(why: String) -> Failure {
    Failure::new("InvalidOperation", "CertificateRefused", why)
}

/// The certificate that is named.
fn wanted(certificates: &mut dyn Certificates, of: &Named) -> Result<CertificateEntry, Failure> {
    let Some(digest) = &of.digest else {
        let failure = Failure::new("InvalidArgument", "ThumbprintMissing", "It is not said which certificate.");
        return Err(failure.advise("Get-ExchangeCertificate lists them: give the Thumbprint of one"));
    };
    let all = certificates.of_server(&of.server, &[]).map_err(refused)?;
    all.into_iter().find(|entry| entry.thumbprint.eq_ignore_ascii_case(digest)).ok_or_else(|| of.not_found())
}

/// TA-36: one that a connector names is in use.
fn in_use(draft: &OrganizationDraft, server: &ServerName, entry: &CertificateEntry) -> Result<(), Failure> {
    let name = format!("<I>{}<S>{}", entry.issuer, entry.subject);
    let names = |wanted: &Option<String>| wanted.as_deref().is_some_and(|wanted| wanted.eq_ignore_ascii_case(&name));
    let send = draft.send_connectors.iter().filter(|one| one.source_transport_servers.contains(server));
    let send = send.filter(|one| names(&one.tls_certificate_name)).map(|one| one.name.to_string());
    let receive = draft.receive_connectors.iter().filter(|one| one.server == *server);
    let receive = receive.filter(|one| names(&one.tls_certificate_name)).map(|one| one.name.to_string());
    let users: Vec<String> = send.chain(receive).collect();
    if users.is_empty() {
        return Ok(());
    }
    let message = format!("The certificate is in use: TlsCertificateName of {} names it.", users.join(", "));
    Err(Failure::new("InvalidOperation", "CertificateInUse", message).by("TA-36"))
}

/// Whether SMTP is among the services; of the others it is told that they are nobody's here.
fn for_smtp(call: &Call<'_>, session: &mut Session<'_>) -> bool {
    let said = call.bound.get("Services").map(Value::each).unwrap_or_default();
    let said: Vec<String> =
        said.iter().flat_map(|one| one.text().split(',').map(str::to_owned).collect::<Vec<_>>()).collect();
    let says = |service: &str| said.iter().any(|word| word.trim().eq_ignore_ascii_case(service));
    let others: Vec<&str> = OTHERS.into_iter().filter(|other| says(other)).collect();
    if !others.is_empty() {
        session.warn(&format!(
            "{}: nobody serves that here, and who does has certificates of its own. The certificate is for SMTP alone.",
            others.join(", ")
        ));
    }
    says("SMTP")
}

fn make(
    certificates: &mut dyn Certificates,
    draft: &OrganizationDraft,
    of: &Named,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let order = order(draft, of, call, session)?;
    let what = if order.request { "a request" } else { "a certificate" };
    let whom = if order.subject.is_empty() { format!("CN={}", of.server) } else { order.subject.clone() };
    if !session.should(&format!("Making a key and {what} for {whom} on {}.", of.server))? {
        return Ok(Box::new(std::iter::empty()));
    }
    let (entry, pem) = certificates.make(&of.server, &order, &call.signature.name).map_err(refused)?;
    if order.request {
        return out(pem, call.bound.text("RequestFile"), call, session);
    }
    let object = shown(&of.server, &entry, session.now());
    Ok(Box::new(std::iter::once(Value::Object(object))))
}

/// What is to be made.
fn order(
    draft: &OrganizationDraft,
    of: &Named,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<CertificateOrder, Failure> {
    let renewed = match call.bound.get("Instance") {
        Some(Value::Object(object)) => Some(object.clone()),
        _ => None,
    };
    let of_renewed = |name: &str| renewed.as_ref().and_then(|object| object.get(name));
    let subject = call.bound.text("SubjectName").or_else(|| of_renewed("Subject").map(|subject| subject.text()));
    let said = call.bound.get("DomainName").map(Value::each);
    let said = said.or_else(|| of_renewed("CertificateDomains").map(|names| names.each())).unwrap_or_default();
    let mut names: Vec<String> = said.iter().map(Value::text).collect();
    if call.bound.is_on("IncludeServerFQDN") {
        let server = draft.servers.iter().find(|server| server.name == of.server);
        names.extend(server.map(|server| server.fqdn.to_string()));
    }
    if call.bound.is_on("IncludeAcceptedDomains") {
        names.extend(draft.accepted_domains.iter().map(|domain| domain.domain.to_string()));
    }
    let mut domains: Vec<Domain> = Vec::new();
    for name in names {
        let bare = name.strip_prefix("*.").unwrap_or(&name);
        let known = Domain::parse(&name).or_else(|error| if bare == name { Err(error) } else { Domain::parse(bare) });
        let domain = known
            .map_err(|error| Failure::new("InvalidArgument", "NoDomain", format!("{name}: {error}")).about(&*name))?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    let key_size = match call.bound.get("KeySize") {
        Some(Value::Whole(bits)) => u32::try_from(*bits).unwrap_or_default(),
        _ => 0,
    };
    let enabled = !call.bound.has("Services") || for_smtp(call, session);
    let request = call.bound.is_on("GenerateRequest");
    Ok(CertificateOrder { subject: subject.unwrap_or_default(), domains, key_size, request, enabled })
}

fn take_in(
    certificates: &mut dyn Certificates,
    of: &Named,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let content = match (call.bound.get("FileData"), call.bound.text("FileName")) {
        (Some(Value::Octets(octets)), None) => octets.to_vec(),
        (None, Some(path)) => {
            let read = session.read(&path);
            read.map_err(|why| Failure::new("ReadError", "NotRead", format!("{path}: {why}")).about(path.as_str()))?
        }
        _ => {
            let message = "Give the certificate with FileName or with FileData.";
            return Err(Failure::new("InvalidArgument", "NoFile", message));
        }
    };
    if !session.should(&format!("Importing a certificate to {}.", of.server))? {
        return Ok(Box::new(std::iter::empty()));
    }
    let entry = certificates.import(&of.server, &content, &call.signature.name).map_err(refused)?;
    let object = shown(&of.server, &entry, session.now());
    Ok(Box::new(std::iter::once(Value::Object(object))))
}

/// Into a file, or returned: as a text, or as octets in FileData.
fn out(pem: String, path: Option<String>, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
    if let Some(path) = path {
        let saved = session.save(&path, pem.as_bytes());
        saved.map_err(|why| Failure::new("WriteError", "NotSaved", format!("{path}: {why}")).about(path.as_str()))?;
        return Ok(Box::new(std::iter::empty()));
    }
    let value = if call.bound.is_on("BinaryEncoded") {
        let data = vec![("FileData".into(), Value::Octets(pem.as_bytes().into()))];
        Value::Object(Object::new("BinaryFileDataObject", None, data))
    } else {
        Value::of(pem)
    };
    Ok(Box::new(std::iter::once(value)))
}
