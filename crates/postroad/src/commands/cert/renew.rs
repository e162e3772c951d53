//! `postroad cert renew`: the certificates of an identity that end soon, issued anew to whomever they name.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use envelope::Timestamp;
use net::certificate::{ADMINISTRATOR_FOLDER, host_of, validity};
use net::{CertificateAuthority, KeyedCertificate, NodeIdentity, Service, parse_administrator, parse_identity};

use super::super::{output, times};
use super::{SMTP_FOLDER, crl, keep_owner, load_authority};

const EXAMPLES: &str = "\
Examples:
  # Every week, wherever the authority is, for each server.
  postroad cert renew --ca contoso-keys --path berlin1
  rsync -a --chown=postroad:postroad berlin1/ root@berlin1.contoso.com:/etc/postroad/identity/
  # Everything now: after the key of a server was revoked, or for another authority.
  postroad cert renew --ca contoso-keys --path berlin1 --within 36500

Services notice within half a minute that the files have changed, and show the new certificates on new
connections; nothing has to be restarted.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RenewArguments {
    /// Folder of `postroad cert init`.
    #[arg(long, value_name = "FOLDER")]
    ca: PathBuf,
    /// The identity of a server or administrator, as `postroad cert issue` wrote it.
    #[arg(long, value_name = "FOLDER")]
    path: PathBuf,
    /// Renew what ends within so many days.
    #[arg(long, value_name = "DAYS", default_value_t = 28)]
    within: u32,
}

pub(super) fn run(arguments: &RenewArguments) -> anyhow::Result<()> {
    let RenewArguments { ca, path, within } = arguments;
    let authority = load_authority(ca)?;
    let deadline = times::now().plus(Duration::from_secs(u64::from(*within) * 24 * 3600));
    let mut found = Vec::new();
    for folder in Service::ALL.map(Service::as_str).into_iter().chain([ADMINISTRATOR_FOLDER, SMTP_FOLDER]) {
        if path.join(folder).join("cert.pem").exists() {
            found.push((folder, KeyedCertificate::load_from(&path.join(folder))?.to_der()?));
        }
    }
    if found.is_empty() {
        bail!("{} holds no certificate of a service: --path is that of `postroad cert issue`", path.display());
    }
    let is_ours = |der: &[u8]| authority.is_issuer_of(der);
    if !found.iter().any(|(_, der)| is_ours(der)) {
        bail!(
            "nothing in {} is of the authority in {}: it is that of another organization",
            path.display(),
            ca.display()
        );
    }
    // Whom everybody believes comes first: a certificate of an authority that nobody believes is of no use.
    authority.save_trusted_to(path)?;
    let mut rows = vec![["CERTIFICATE", "ENDS", ""].map(str::to_owned).to_vec()];
    for (folder, der) in found {
        if folder != SMTP_FOLDER {
            authority.save_trusted_to(&path.join(folder))?;
        }
        let note = if !is_ours(&der) {
            "kept: somebody else issued it"
        } else if end(&der).is_some_and(|end| end > deadline) {
            "kept"
        } else {
            renew(&authority, path, folder, &der).with_context(|| format!("{folder} in {}", path.display()))?;
            "renewed"
        };
        let now = KeyedCertificate::load_from(&path.join(folder))?.to_der()?;
        let end = end(&now).map_or_else(|| "cannot be read".to_owned(), |end| output::time(SystemTime::from(end)));
        rows.push(vec![folder.to_owned(), end, note.to_owned()]);
    }
    crl::record(ca, &authority, path)?;
    keep_owner(path)?;
    output::print(&output::table(&rows))
}

fn end(der: &[u8]) -> Option<Timestamp> {
    validity(der).map(|(_, end)| end)
}

/// Issues what the certificate says to whom it says.
fn renew(authority: &CertificateAuthority, path: &Path, folder: &str, der: &[u8]) -> anyhow::Result<()> {
    let place = path.join(folder);
    if folder == ADMINISTRATOR_FOLDER {
        let known = parse_administrator(der)?;
        authority.save_administrator_to(&known.name, &known.groups, path, times::now())?;
        return Ok(());
    }
    let fqdn = host_of(der).context("the certificate names no host")?;
    if folder == SMTP_FOLDER {
        let server = neighbour(path)?;
        authority.issue_for_smtp(&server, &fqdn, times::now())?.save_to(&place)?;
        return Ok(());
    }
    let known = parse_identity(der)?;
    if known.forest != *authority.forest() {
        bail!("it is of {}, and this is the authority of {}", known.forest, authority.forest());
    }
    let identity = NodeIdentity { server: known.server, fqdn, services: known.services };
    authority.save_identity_to(&identity, path, times::now())?;
    Ok(())
}

/// The server whose services have their certificates beside one that names no server.
fn neighbour(path: &Path) -> anyhow::Result<envelope::ServerName> {
    let services =
        Service::ALL.into_iter().filter_map(|service| KeyedCertificate::load_from(&path.join(service.as_str())).ok());
    let mut servers = services.filter_map(|own| Some(parse_identity(&own.to_der().ok()?).ok()?.server));
    servers.next().context("no certificate of a service is beside it")
}
