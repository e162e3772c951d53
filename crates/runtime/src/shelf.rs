//! The certificates of a server for SMTP as administrators handle them: made, requested, taken in, enabled, given out, taken away.
//!
//! ```text
//!   identity/smtp/{cert,key}.pem                     the server's own: shown where no other fits, never touched here
//!   identity/smtp/<thumbprint>/{cert,key}.pem        enabled for SMTP: shown by the connectors that it fits (TA-30, TA-36)
//!   identity/smtp-pending/<thumbprint>/{cert,key}.pem        a certificate that is not enabled yet
//!   identity/smtp-pending/<thumbprint>/{request,key}.pem     a request that waits for its certificate
//! ```
//!
//! A key is made in the folder where it stays, and no function here gives one out. What is enabled is noticed by the services within
//! half a minute, as what an administrator puts there himself.

use std::io;
use std::path::{Path, PathBuf};

use envelope::{Domain, Timestamp};
use net::KeyedCertificate;
use net::certificate::{
    CertificateError, KeySize, PendingRequest, PrivateKeyPem, Wanted, chain_of, request_names, write_private,
};
use net::digest::sha1;
use net::tls::{OwnCertificate, in_order};

use crate::certificate;
use crate::places::{folder, further, pending_folder, pending_folders};
use crate::settings::Settings;

/// Certificates and requests of a server: more are not kept. Ours.
const KEPT_MAX: usize = 100;
/// A request in its folder.
const REQUEST_FILE: &str = "request.pem";
const KEY_FILE: &str = "key.pem";

/// Why something was not done, in words.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// It is not what it should be, or not there.
    #[error("{0}")]
    Refused(String),
    /// A certificate or key cannot be made or read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The folder cannot be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// A certificate of the server, or a request.
#[derive(Clone, Debug)]
pub enum Kept {
    /// One that is shown in SMTP.
    Enabled(OwnCertificate),
    /// One that is not.
    Disabled(OwnCertificate),
    /// A request: its thumbprint, and whom it is for.
    Pending {
        /// SHA-1 over the request, 40 digits.
        thumbprint: String,
        /// X.500 name.
        subject: Box<str>,
    },
}

impl Kept {
    /// SHA-1, 40 digits.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        match self {
            Self::Enabled(one) | Self::Disabled(one) => one.thumbprint(),
            Self::Pending { thumbprint, .. } => thumbprint.clone(),
        }
    }
}

/// What is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// X.500 name; empty for the name of the server.
    pub subject: String,
    /// Names in DNS; none for that of the server.
    pub domains: Vec<Domain>,
    /// Bits of the key.
    pub key_size: u32,
    /// A request in the place of a certificate.
    pub request: bool,
    /// Whether the certificate is shown at once.
    pub enabled: bool,
}

/// Everything that lies there, the server's own first; with `hosts` those that are for one of them, the best first (TA-30). Blocks.
#[must_use]
pub fn list(settings: &Settings, hosts: &[Domain], now: Timestamp) -> Vec<Kept> {
    let enabled = certificate::all_on_disk(settings);
    let disabled: Vec<OwnCertificate> = pending_folders(settings).iter().filter_map(|folder| read(folder)).collect();
    if hosts.is_empty() {
        let waiting = pending_folders(settings).into_iter().filter_map(|folder| pending_in(&folder).ok());
        let requests = waiting.map(|(thumbprint, subject, _)| Kept::Pending { thumbprint, subject });
        return enabled
            .into_iter()
            .map(Kept::Enabled)
            .chain(disabled.into_iter().map(Kept::Disabled))
            .chain(requests)
            .collect();
    }
    let mut found: Vec<Kept> = Vec::new();
    for host in hosts {
        let fitting = in_order(&enabled, host, now).into_iter().cloned().map(Kept::Enabled);
        let others = in_order(&disabled, host, now).into_iter().cloned().map(Kept::Disabled);
        for one in fitting.chain(others) {
            if !found.iter().any(|known| known.thumbprint() == one.thumbprint()) {
                found.push(one);
            }
        }
    }
    found
}

/// Makes a key with a certificate or a request; gives it without its key, in PEM. Blocks, for a second or more.
///
/// # Errors
/// [`ShelfError`]
pub fn make(settings: &Settings, fqdn: &Domain, order: Order, now: Timestamp) -> Result<(Kept, String), ShelfError> {
    room(settings)?;
    let key_size = KeySize::of(order.key_size)
        .ok_or_else(|| ShelfError::Refused("a key has 2048, 3072 or 4096 bits; fewer are broken".to_owned()))?;
    let subject = if order.subject.is_empty() { format!("CN={}", settings.server) } else { order.subject };
    let domains = if order.domains.is_empty() { vec![fqdn.clone()] } else { order.domains };
    let wanted = Wanted { subject, domains, key_size };
    if order.request {
        let PendingRequest { request_pem, key_pem } = wanted.request(now)?;
        let names = request_names(&request_pem)?;
        let thumbprint = hexadecimal(&sha1(&names.der));
        let folder = pending_folder(settings).join(&thumbprint);
        write_private(&folder.join(KEY_FILE), key_pem.expose().as_bytes())?;
        write_private(&folder.join(REQUEST_FILE), request_pem.as_bytes())?;
        return Ok((Kept::Pending { thumbprint, subject: names.subject }, request_pem));
    }
    let keyed = wanted.self_signed(now)?;
    let pem = keyed.cert_pem.clone();
    Ok((put(settings, keyed, order.enabled)?, pem))
}

/// Takes a certificate in: what an authority made of a request that waits here, or one that comes with its key. It is not shown
/// before it is enabled. Blocks.
///
/// # Errors
/// [`ShelfError`]
pub fn import(settings: &Settings, content: &[u8]) -> Result<Kept, ShelfError> {
    room(settings)?;
    let chain = chain_of(content)?;
    let key = std::str::from_utf8(content).ok().filter(|text| text.contains("PRIVATE KEY-----"));
    if let Some(text) = key {
        return put(settings, KeyedCertificate::from_pem(chain, PrivateKeyPem::new(text.to_owned()))?, false);
    }
    for folder in pending_folders(settings) {
        let Ok((_, _, pending)) = pending_in(&folder) else { continue };
        if pending.is_answered_by(&chain)? {
            let kept = put(settings, KeyedCertificate::from_pem(chain, pending.key_pem)?, false)?;
            remove_folder(&folder)?;
            return Ok(kept);
        }
    }
    let text = "no request that waits here has its key: it is imported on the server where New-ExchangeCertificate \
                -GenerateRequest was typed, or together with its key, in PEM";
    Err(ShelfError::Refused(text.to_owned()))
}

/// The certificate, with its chain, or the request; never a key. Blocks.
///
/// # Errors
/// [`ShelfError`]
pub fn export(settings: &Settings, thumbprint: &str) -> Result<String, ShelfError> {
    let folder = find(settings, thumbprint)?;
    let keyed = KeyedCertificate::load_from(&folder);
    if let Ok(keyed) = keyed {
        // A file that somebody put there may hold more than certificates.
        return Ok(chain_of(keyed.cert_pem.as_bytes())?);
    }
    Ok(pending_in(&folder)?.2.request_pem)
}

/// Has a certificate shown in SMTP (TA-36). Blocks.
///
/// # Errors
/// [`ShelfError`]
pub fn enable(settings: &Settings, thumbprint: &str) -> Result<(), ShelfError> {
    let from = find(settings, thumbprint)?;
    if from.starts_with(folder(settings)) {
        return Ok(());
    }
    let keyed = KeyedCertificate::load_from(&from)
        .map_err(|_| ShelfError::Refused("it is a request: import what the authority made of it first".to_owned()))?;
    put(settings, keyed, true)?;
    remove_folder(&from)
}

/// Takes a certificate or a request away, with its key. Blocks.
///
/// # Errors
/// [`ShelfError`]; the server's own stays (TA-36).
pub fn remove(settings: &Settings, thumbprint: &str) -> Result<(), ShelfError> {
    let folder_of = find(settings, thumbprint)?;
    if folder_of == folder(settings) {
        let text = "it is the server's own, which is shown where no other fits: put another one into identity/smtp of the server first";
        return Err(ShelfError::Refused(text.to_owned()));
    }
    remove_folder(&folder_of)
}

/// The folder of a certificate or a request.
fn find(settings: &Settings, thumbprint: &str) -> Result<PathBuf, ShelfError> {
    let places = std::iter::once(folder(settings)).chain(further(settings)).chain(pending_folders(settings));
    let is_it = |folder: &PathBuf| {
        let own = read(folder).map(|one| one.thumbprint());
        let own = own.or_else(|| pending_in(folder).ok().map(|(thumbprint, ..)| thumbprint));
        own.is_some_and(|own| own.eq_ignore_ascii_case(thumbprint))
    };
    places.into_iter().find(is_it).ok_or_else(|| {
        ShelfError::Refused(format!("the certificate with thumbprint {thumbprint} wasn't found on {}", settings.server))
    })
}

fn room(settings: &Settings) -> Result<(), ShelfError> {
    if further(settings).len() + pending_folders(settings).len() < KEPT_MAX {
        return Ok(());
    }
    let text = format!("a server keeps {KEPT_MAX} certificates and requests: take away what is not used");
    Err(ShelfError::Refused(text))
}

fn put(settings: &Settings, keyed: KeyedCertificate, enabled: bool) -> Result<Kept, ShelfError> {
    let own = OwnCertificate::of(keyed)?;
    let above = if enabled { folder(settings) } else { pending_folder(settings) };
    own.keyed.save_to(&above.join(own.thumbprint()))?;
    Ok(if enabled { Kept::Enabled(own) } else { Kept::Disabled(own) })
}

fn read(folder: &Path) -> Option<OwnCertificate> {
    KeyedCertificate::load_from(folder).and_then(OwnCertificate::of).ok()
}

fn pending_in(folder: &Path) -> Result<(String, Box<str>, PendingRequest), ShelfError> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|cause| ShelfError::File { path, cause })
    };
    let pending = PendingRequest { request_pem: read(REQUEST_FILE)?, key_pem: PrivateKeyPem::new(read(KEY_FILE)?) };
    let names = pending.names()?;
    Ok((hexadecimal(&sha1(&names.der)), names.subject, pending))
}

fn remove_folder(folder: &Path) -> Result<(), ShelfError> {
    std::fs::remove_dir_all(folder).map_err(|cause| ShelfError::File { path: folder.to_owned(), cause })
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(root: &Path) -> Settings {
        let text = format!(
            "server = 'MAIL1'\nforest = 'contoso.com'\nstate = '{0}/s'\n[directory]\nkind = 'etcd'\nendpoints = \
             ['https://etcd:2379']\n[identity]\npath = '{0}/i'",
            root.display()
        );
        Settings::parse(&text, Path::new("server.toml")).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_millis(1_795_335_330_250);

    fn order(request: bool, enabled: bool) -> Order {
        Order { subject: String::new(), domains: Vec::new(), key_size: 0, request, enabled }
    }

    #[test]
    fn a_certificate_goes_its_way_and_its_key_stays() {
        // TA-30, TA-36, TA-38
        let root = tempfile::tempdir().unwrap();
        let (settings, fqdn) = (settings(root.path()), Domain::parse("mail1.contoso.com").unwrap());
        let (made, pem) = make(&settings, &fqdn, order(false, false), NOW).unwrap();
        let Kept::Disabled(own) = &made else { panic!("{made:?}") };
        assert_eq!((&*own.written.subject, own.is_self_signed()), ("CN=MAIL1", true));
        assert!(own.covers(&fqdn) && !pem.contains("PRIVATE"));
        assert!(list(&settings, &[], NOW).iter().all(|one| matches!(one, Kept::Disabled(_))));
        enable(&settings, &made.thumbprint()).unwrap();
        enable(&settings, &made.thumbprint()).unwrap();
        let found = list(&settings, std::slice::from_ref(&fqdn), NOW);
        assert!(matches!(&found[..], [Kept::Enabled(one)] if one.thumbprint() == made.thumbprint()), "{found:?}");
        assert!(!export(&settings, &made.thumbprint().to_lowercase()).unwrap().contains("PRIVATE"));
        remove(&settings, &made.thumbprint()).unwrap();
        assert!(remove(&settings, &made.thumbprint()).unwrap_err().to_string().contains("wasn't found on MAIL1"));
        // The server's own stays.
        net::certificate::self_signed_for_smtp(&settings.server, &fqdn, NOW)
            .unwrap()
            .save_to(&folder(&settings))
            .unwrap();
        let own = list(&settings, &[], NOW).remove(0).thumbprint();
        assert!(remove(&settings, &own).unwrap_err().to_string().contains("server's own"));
    }

    #[test]
    fn a_request_becomes_the_certificate_that_an_authority_made_of_it() {
        // TA-38; RFC 2986
        let root = tempfile::tempdir().unwrap();
        let (settings, fqdn) = (settings(root.path()), Domain::parse("mail1.contoso.com").unwrap());
        let (request, pem) = make(&settings, &fqdn, order(true, true), NOW).unwrap();
        assert!(pem.contains("BEGIN CERTIFICATE REQUEST") && !pem.contains("PRIVATE"));
        assert_eq!(export(&settings, &request.thumbprint()).unwrap(), pem);
        assert!(enable(&settings, &request.thumbprint()).unwrap_err().to_string().contains("it is a request"));
        // Somebody else's certificate is not what it waits for; with its key it is taken in by itself.
        let other = net::certificate::self_signed_for_smtp(&settings.server, &fqdn, NOW).unwrap();
        let refused = import(&settings, other.cert_pem.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("no request that waits here"), "{refused}");
        let whole = format!("{}{}", other.cert_pem, other.key_pem.expose());
        assert!(matches!(import(&settings, whole.as_bytes()).unwrap(), Kept::Disabled(_)));
        assert_eq!(list(&settings, &[], NOW).len(), 2);
        assert!(make(&settings, &fqdn, Order { key_size: 1024, ..order(true, true) }, NOW).is_err());
    }
}
