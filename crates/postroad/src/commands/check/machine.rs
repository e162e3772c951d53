//! What is on this machine: certificates and keys, the disk of the state, ports.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use directory::Sealer;
use envelope::Timestamp;
use net::certificate::{CertificateError, parse_identity, validity};
use net::{KeyedCertificate, Service};
use queue::{Disk, RealDisk};
use runtime::Settings;
use telemetry::probe;
use topology::receive_connector::defaults::{CLIENT_PORT, CLIENT_PROXY_PORT, FRONTEND_PORT, HUB_PORT};
use topology::{Organization, ServerRole, TransportRole};

use super::super::findings::Findings;
use super::super::times::span;

/// A certificate that ends within this time is told of. Ours: time to make another without haste.
const EXPIRY_SOON: Duration = Duration::from_secs(30 * 24 * 3600);
/// Less free room than this on the disk of the state is wrong. Source: back pressure's threshold of free octets, 500 MB.
const SPACE_MIN: u64 = 500 * 1024 * 1024;
/// Rights of the group and of everybody.
const OTHERS: u32 = 0o077;
/// Ports below this need a privilege.
const UNPRIVILEGED: u16 = 1024;

/// Whether this server is an Edge server.
fn is_edge(settings: &Settings, organization: Option<&Organization>) -> bool {
    let own = organization.and_then(|organization| organization.server(&settings.server));
    own.is_some_and(|own| own.role == ServerRole::Edge)
}

/// The services of this server: an Edge server has Transport and the admin service that keeps its directory (EN-3); of others those
/// that have an identity have an admin service.
fn services(settings: &Settings, organization: Option<&Organization>) -> Vec<Service> {
    let edge = is_edge(settings, organization);
    let has = |service: &Service| match service {
        Service::Transport => true,
        Service::Admin => edge || settings.identity.join(service.as_str()).exists(),
        _ => !edge,
    };
    Service::ALL.into_iter().filter(has).collect()
}

/// Certificates of the services, the authority, the organization's key.
pub(super) fn files(settings: &Settings, organization: Option<&Organization>, now: Timestamp, findings: &mut Findings) {
    let authority = settings.identity.join("ca.pem");
    if let Err(error) = std::fs::read_to_string(&authority) {
        findings.wrong(
            "authority",
            format!("{}: {error}", authority.display()),
            "`postroad cert issue --ca FOLDER --server NAME --fqdn FQDN --path FOLDER` puts it beside the certificates",
        );
    }
    let (mut there, mut ends): (Vec<&str>, Vec<Timestamp>) = (Vec::new(), Vec::new());
    for service in services(settings, organization) {
        if let Some(end) = certificate(settings, service, now, findings) {
            there.push(service.as_str());
            ends.push(end);
        }
    }
    if let Some(first) = ends.iter().min() {
        findings.good("certificates", format!("of {}; valid until {}", there.join(", "), &first.to_iso8601()[..10]));
    }
    smtp_certificate(settings, now, findings);
    further_certificates(settings, now, findings);
    keytab(settings, findings);
    // Transport alone opens credentials; a server of front ends has no key.
    if !settings.identity.join(Service::Transport.as_str()).exists() {
        return;
    }
    match Sealer::load(&settings.organization_key) {
        Ok(_) => findings.good("organization key", settings.organization_key.display().to_string()),
        Err(error) => findings.wrong(
            "organization key",
            error.to_string(),
            "`postroad cert init` makes it, `postroad cert issue` copies it to a server with Transport: it is the same on all",
        ),
    }
}

/// The keys by which the server logs on by Kerberos, if it does.
fn keytab(settings: &Settings, findings: &mut Findings) {
    let Some(kerberos) = &settings.kerberos else { return };
    let (subject, path) = ("keytab", kerberos.keytab.display());
    let principal = kerberos.principal.as_deref().unwrap_or("PRINCIPAL");
    let try_it = format!("`kinit -k -t {path} {principal}` says whether the realm takes it");
    match std::fs::File::open(&kerberos.keytab).and_then(|file| Ok((starts_as_keytab(&file)?, file.metadata()?))) {
        Ok((false, _)) => findings.wrong(subject, format!("{path} is no keytab of MIT Kerberos"), try_it),
        Ok((true, about)) if about.mode() & OTHERS != 0 => {
            let text = format!("{path} can be read by others (mode {:o})", about.mode() & 0o777);
            findings.wrong(subject, text, format!("whoever has it is this server: chmod 600 {path}"));
        }
        Ok((true, _)) => findings.good(subject, path.to_string()),
        Err(error) => findings.wrong(subject, format!("{path}: {error}"), "kerberos.keytab of the settings names it"),
    }
}

/// Version 5 of the format, in its second edition.
fn starts_as_keytab(mut file: &std::fs::File) -> io::Result<bool> {
    let mut beginning = [0; 2];
    Ok(file.read_exact(&mut beginning).is_ok() && beginning == [5, 2])
}

/// Until when a service's certificate is valid, if it can be used.
fn certificate(settings: &Settings, service: Service, now: Timestamp, findings: &mut Findings) -> Option<Timestamp> {
    let subject = format!("certificate of {service}");
    let folder = settings.identity.join(service.as_str());
    let issue = "issue one by `postroad cert issue --ca FOLDER --server NAME --fqdn FQDN --path FOLDER`";
    let der = match KeyedCertificate::load_from(&folder).and_then(|pair| pair.to_der()) {
        Ok(der) => der,
        Err(error) => {
            findings.wrong(subject, error.to_string(), issue);
            return None;
        }
    };
    match parse_identity(&der) {
        Ok(identity) if identity.server != settings.server || !identity.services.contains(&service) => {
            let text = format!(
                "{} is for {} of {}, and this is {service} of {}",
                folder.display(),
                identity.services.iter().map(Service::to_string).collect::<Vec<_>>().join(" and "),
                identity.server,
                settings.server
            );
            findings.wrong(subject, text, issue);
            None
        }
        Ok(_) => in_time(subject, &der, now, findings),
        Err(error) => {
            findings.wrong(subject, format!("{}: {error}", folder.display()), issue);
            None
        }
    }
}

fn in_time(subject: String, der: &[u8], now: Timestamp, findings: &mut Findings) -> Option<Timestamp> {
    let (from, until) = validity(der)?;
    if now < from {
        let text = format!("valid from {} on, and the clock says {}", from.to_iso8601(), now.to_iso8601());
        findings.wrong(subject, text, "set the clock, or issue the certificate anew");
        None
    } else if now >= until {
        findings.wrong(subject, format!("ended at {}", until.to_iso8601()), "issue it anew with `postroad cert issue`");
        None
    } else {
        let left = until.since(now);
        if left < EXPIRY_SOON {
            let text = format!("ends in {}, at {}", span(left), until.to_iso8601());
            findings.warning(subject, text, "issue it anew with `postroad cert issue`");
        }
        Some(until)
    }
}

/// The one that SMTP clients and hosts outside see.
fn smtp_certificate(settings: &Settings, now: Timestamp, findings: &mut Findings) {
    let folder = settings.identity.join("smtp");
    match KeyedCertificate::load_from(&folder).and_then(|pair| pair.to_der()) {
        Ok(der) => {
            if let Some(until) = in_time("certificate of SMTP".to_owned(), &der, now, findings) {
                let text = format!("{}; valid until {}", folder.display(), &until.to_iso8601()[..10]);
                findings.good("certificate of SMTP", text);
            }
        }
        Err(CertificateError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => findings.warning(
            "certificate of SMTP",
            format!(
                "{} is not there: STARTTLS shows a self-signed certificate, another one after each start",
                folder.display()
            ),
            "put cert.pem and key.pem of an authority that others trust into it",
        ),
        Err(error) => findings.wrong("certificate of SMTP", error.to_string(), "it holds cert.pem and key.pem"),
    }
}

/// Those that connectors show by their name (TA-30): a coming end is told, and what cannot be read.
fn further_certificates(settings: &Settings, now: Timestamp, findings: &mut Findings) {
    let folders = std::fs::read_dir(settings.identity.join("smtp")).into_iter().flatten().flatten();
    for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let subject = format!("certificate of SMTP in {}", folder.display());
        match KeyedCertificate::load_from(&folder).and_then(|pair| pair.to_der()) {
            Ok(der) => {
                if let Some(until) = in_time(subject.clone(), &der, now, findings) {
                    findings.good(subject, format!("valid until {}", &until.to_iso8601()[..10]));
                }
            }
            Err(error) => findings.wrong(subject, error.to_string(), "it holds cert.pem and key.pem, or is taken away"),
        }
    }
}

/// Whether the state can be written, and how much room there is.
pub(super) fn disk(settings: &Settings, findings: &mut Findings) {
    let state = &settings.state;
    if let Err(error) = writable(state) {
        return findings.wrong(
            "state",
            format!("{}: {error}", state.display()),
            "make the folder, owned by the user that runs the services: it holds the queue",
        );
    }
    match RealDisk.space(state) {
        Ok(space) => {
            let (available, total) = (map::plain(space.available), map::plain(space.total));
            let text = format!("{}: {available} of {total} free", state.display());
            if space.available.as_u64() < SPACE_MIN {
                findings.wrong("state", text, "make room: below this, Transport refuses mail (docs/back-pressure.md)");
            } else {
                findings.good("state", text);
            }
        }
        Err(error) => findings.wrong("state", format!("{}: {error}", state.display()), ""),
    }
}

/// A file is made, synced and removed again.
fn writable(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".postroad-check-{}", std::process::id()));
    let written = std::fs::File::create_new(&path).and_then(|file| file.sync_all());
    written.and_then(|()| std::fs::remove_file(&path))
}

/// A port that a service opens.
struct Port {
    what: String,
    address: SocketAddr,
    /// Where the service says whether it runs.
    metrics: Option<SocketAddr>,
}

/// Whether the ports of the services can be opened, or are by them.
pub(super) async fn ports(settings: &Settings, organization: Option<&Organization>, findings: &mut Findings) {
    let mut free = Vec::new();
    for port in wanted(settings, organization) {
        match net::listener::listen(port.address) {
            Ok(listener) => free.push(format!("{} ({})", listener.local(), port.what)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => in_use(&port, findings).await,
            Err(error) => {
                let advice = match error.kind() {
                    io::ErrorKind::PermissionDenied if port.address.port() < UNPRIVILEGED => {
                        "run as the user that has it, or give the service the capability CAP_NET_BIND_SERVICE \
                         (AmbientCapabilities= in the unit), or lower net.ipv4.ip_unprivileged_port_start"
                    }
                    io::ErrorKind::AddrNotAvailable => "no interface of this machine has the address: correct it",
                    _ => "",
                };
                findings.wrong(format!("port {}", port.address), format!("{}: {error}", port.what), advice);
            }
        }
    }
    if !free.is_empty() {
        findings.good("ports", format!("can be opened: {}", free.join(", ")));
    }
}

async fn in_use(port: &Port, findings: &mut Findings) {
    let subject = format!("port {}", port.address);
    let runs = match port.metrics {
        Some(metrics) => probe::ask(metrics, "/live").await.is_ok(),
        None => false,
    };
    if runs {
        findings.good(subject, format!("{}: open, the service runs", port.what));
    } else {
        let advice = "if it is the service itself, or its socket unit of systemd, all is well; `ss -ltnp` names the process otherwise";
        findings.warning(subject, format!("{}: something listens there already", port.what), advice);
    }
}

fn wanted(settings: &Settings, organization: Option<&Organization>) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::new();
    let mut add = |what: String, address: SocketAddr, metrics: Option<SocketAddr>| {
        if !ports.iter().any(|port| port.address == address) {
            ports.push(Port { what, address, metrics });
        }
    };
    let services = services(settings, organization);
    // Mailbox Transport Submission listens to nobody.
    for service in services.iter().copied().filter(|service| *service != Service::MailboxSubmission) {
        let metrics = settings.service(service).metrics;
        add(format!("{service}, organization"), settings.organization_address(service), metrics);
    }
    for service in services.iter().copied() {
        if let Some(metrics) = settings.service(service).metrics {
            add(format!("{service}, metrics"), metrics, Some(metrics));
        }
    }
    let hub = match is_edge(settings, organization) {
        true => [FRONTEND_PORT, CLIENT_PROXY_PORT], // EN-6
        false => [HUB_PORT, CLIENT_PROXY_PORT],
    };
    let listening = [
        (Service::FrontendTransport, TransportRole::FrontendTransport, [FRONTEND_PORT, CLIENT_PORT]),
        (Service::Transport, TransportRole::HubTransport, hub),
    ];
    for (service, role, instead) in listening.into_iter().filter(|(service, ..)| services.contains(service)) {
        let own = settings.service(service);
        let bindings = organization.map(|organization| bindings(organization, settings, role)).unwrap_or_default();
        // Until an organization says otherwise a server has the documented connectors.
        let bindings = if bindings.is_empty() {
            instead.map(|port| SocketAddr::from(([0, 0, 0, 0], port))).to_vec()
        } else {
            bindings
        };
        for binding in bindings {
            let (addresses, under_tls) = match binding.port() {
                port if port == instead[0] => (&own.smtp[..], &[][..]),
                port if port == instead[1] => (&own.submission[..], &own.submissions[..]),
                _ => (&[][..], &[][..]),
            };
            let addresses = if addresses.is_empty() { &[binding][..] } else { addresses };
            for address in addresses.iter().chain(under_tls) {
                add(format!("{service}, SMTP"), *address, own.metrics);
            }
        }
    }
    ports
}

fn bindings(organization: &Organization, settings: &Settings, role: TransportRole) -> Vec<SocketAddr> {
    organization
        .receive_connectors_of(&settings.server)
        .filter(|connector| connector.transport_role == role)
        .flat_map(|connector| connector.bindings.clone())
        .collect()
}
