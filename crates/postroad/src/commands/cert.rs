//! `postroad cert`: the organization's own authority, and the identity of each of its servers.
//!
//! ```text
//!   cert init   ─▶ <path>/ca/{cert,key}.pem, <path>/organization.key      once, kept where no server is
//!   cert issue  ─▶ <path>/ca.pem, <service>/{cert,key}.pem, smtp/{cert,key}.pem, and for Transport organization.key
//!   cert revoke ─▶ the directory: certificates issued until now are void
//!   cert issue --administrator  ─▶ <path>/ca.pem, administrator/{cert,key}.pem
//!   cert preview ─▶ which connectors a certificate for SMTP would change; hosts outside are shown it, nothing is sent
//!   cert renew  ─▶ what is in an identity, and ends soon, anew
//!   cert authority ─▶ another authority in the place of one, in three steps
//!   cert etcd   ─▶ users and roles in etcd, for the certificates of services and administrators
//!   cert cluster ─▶ Secrets of a Kubernetes namespace: what `cert issue` writes into folders
//!   cert crl    ─▶ <path>/issued ─▶ a list of what is revoked, for etcd
//! ```
//!
//! The second is what `identity.path` of a server's settings names. Files are those of `net`; no key is ever printed.

mod authority_change;
mod cluster;
mod crl;
mod etcd;
pub(crate) mod preview;
mod renew;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail};
use authority::{Revocation, RoleGroup, Subject};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use directory::{RevocationRecord, Sealer};
use envelope::{Domain, ObjectName, ServerName, Timestamp};
use net::certificate::{ADMINISTRATOR_FOLDER, validity};
use net::{CertificateAuthority, KeyedCertificate, NodeIdentity, Service};

use super::output;
use super::place::{self, Place};
use super::times;

/// Of the authority, below the folder of `cert init`.
const AUTHORITY_FOLDER: &str = "ca";
/// What STARTTLS shows, below the identity of a server.
pub(super) const SMTP_FOLDER: &str = "smtp";
/// The key that seals the organization's secrets.
pub(super) const KEY_FILE: &str = "organization.key";
/// Whoever has the keys of an organization or of a server is that organization or server.
const FOLDER_MODE: u32 = 0o700;
const SECOND: Duration = Duration::from_secs(1);
/// Services of a Mailbox server.
const SERVICES_DEFAULT: [Service; 4] =
    [Service::FrontendTransport, Service::Transport, Service::MailboxSubmission, Service::MailboxDelivery];

const EXAMPLES: &str = "\
Examples:
  postroad cert init --forest contoso.com --path contoso-keys
  postroad cert issue --ca contoso-keys --server BERLIN1 --fqdn berlin1.contoso.com --path berlin1
  scp -r berlin1 berlin1.contoso.com:/etc/postroad/identity";

const INIT_EXAMPLES: &str = "\
Example:
  postroad cert init --forest contoso.com --path contoso-keys

Makes contoso-keys/ca/cert.pem, contoso-keys/ca/key.pem and contoso-keys/organization.key.
Keep the folder off the servers and back it up: without the authority's key no server can be added,
without organization.key no secret can be read.";

const ISSUE_EXAMPLES: &str = "\
Examples:
  postroad cert issue --ca contoso-keys --server BERLIN1 --fqdn berlin1.contoso.com --path berlin1
  # An Edge server runs Transport alone.
  postroad cert issue --ca contoso-keys --server EDGE1 --fqdn edge1.contoso.com --path edge1 \\
    --service transport
  # Somebody who may look at everything (`postroad queue`), from this folder of a server's identity; who may change it.
  postroad cert issue --ca contoso-keys --administrator anna --path berlin1
  postroad cert issue --ca contoso-keys --administrator anna --path anna --role-group 'Organization Management'

Copy the folder to the server and name it in its settings: identity.path = \"/etc/postroad/identity\".
The certificates of services and administrators count for eight weeks: `postroad cert renew` renews
them. A certificate in smtp/ is never replaced: put one there that the world trusts, or delete it to
have a new one issued.";

const REVOKE_EXAMPLES: &str = "\
Examples:
  # A disk of BERLIN1 was stolen: nobody hears its keys any more. Then a new identity for it.
  postroad cert revoke --server BERLIN1
  postroad cert issue --ca contoso-keys --server BERLIN1 --fqdn berlin1.contoso.com --path berlin1

Every certificate that was issued until now is void, for every service within a second; one that is
issued afterwards counts. Restart the services of the server with it.";

const LIST_EXAMPLES: &str = "\
Examples:
  # On a server: what its identity holds, and what is revoked in the organization.
  postroad cert list
  # Where the authority is: what an identity there holds.
  postroad cert list --path berlin1";

/// Arguments of `postroad cert`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CertArguments {
    #[command(subcommand)]
    command: CertCommand,
}

#[derive(clap::Subcommand)]
enum CertCommand {
    /// Make the organization's authority and the key that seals its secrets. Once.
    Init(InitArguments),
    /// Issue the certificates of one server or administrator, or renew them.
    Issue(IssueArguments),
    /// Void the certificates of a server or an administrator whose key may be in wrong hands.
    Revoke(RevokeArguments),
    /// The certificates of a server's identity with their ends, and what is revoked in the organization.
    List(ListArguments),
    /// What a new certificate for SMTP would change, and the handshake with it rehearsed: before it is put into place.
    Preview(preview::PreviewArguments),
    /// Renew the certificates of a server or administrator that end soon: without a restart, as often as you like.
    Renew(renew::RenewArguments),
    /// Put another authority in the place of the organization's, without a moment in which a certificate does not count.
    Authority(authority_change::ChangeArguments),
    /// Revoke certificates for etcd, too: writes the list of what is revoked that etcd reads.
    Crl(crl::CrlArguments),
    /// Make the identities of servers as Secrets of a Kubernetes namespace, and renew those that end soon.
    Cluster(cluster::ClusterArguments),
    /// Make etcd's users and roles: each service reads the configuration and writes its own presence, administrators write.
    Etcd(etcd::EtcdArguments),
}

#[derive(clap::Args)]
#[command(after_help = REVOKE_EXAMPLES)]
struct RevokeArguments {
    /// Name of the server: certificates of all its services.
    #[arg(long, value_name = "NAME", required_unless_present = "administrator", conflicts_with = "administrator")]
    server: Option<ServerName>,
    /// Name of the administrator.
    #[arg(long, value_name = "NAME", value_parser = ObjectName::parse)]
    administrator: Option<ObjectName>,
    /// Also a server that the organization has not, or no more.
    #[arg(long, requires = "server")]
    force: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
struct ListArguments {
    /// Only what is in this folder, as `postroad cert issue` wrote it: no directory is asked.
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
#[command(after_help = INIT_EXAMPLES)]
struct InitArguments {
    /// Name of the forest, such as the organization's domain: `forest` in the settings of every server.
    #[arg(long, value_name = "NAME")]
    forest: Domain,
    /// Folder to make them in.
    #[arg(long, value_name = "FOLDER")]
    path: PathBuf,
}

#[derive(clap::Args)]
#[command(after_help = ISSUE_EXAMPLES)]
struct IssueArguments {
    /// Folder of `postroad cert init`.
    #[arg(long, value_name = "FOLDER")]
    ca: PathBuf,
    /// Name of the server in the organization.
    #[arg(long, value_name = "NAME", requires = "fqdn", required_unless_present_any = ["administrator", "etcd_root"])]
    server: Option<ServerName>,
    /// Name of the server in DNS.
    #[arg(long, value_name = "FQDN", requires = "server")]
    fqdn: Option<Domain>,
    /// Name of an administrator, in place of a server: the certificate is good for what the role groups may.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["server", "fqdn", "services"], value_parser = ObjectName::parse)]
    administrator: Option<ObjectName>,
    /// A role group of the administrator; may be given several times [default: View-Only Organization Management].
    #[arg(long = "role-group", value_name = "GROUP", requires = "administrator")]
    groups: Vec<RoleGroup>,
    /// Root of etcd, in place of a server: for `postroad cert etcd`, to be kept with the authority.
    #[arg(long, conflicts_with_all = ["server", "fqdn", "services", "administrator"])]
    etcd_root: bool,
    /// Folder to write to: the server's identity, also for administrators.
    #[arg(long, value_name = "FOLDER")]
    path: PathBuf,
    /// A service that runs there; may be given several times [default: all four of a Mailbox server].
    #[arg(long = "service", value_name = "SERVICE", value_parser = service_parser())]
    services: Vec<Service>,
}

/// Wrong names are told together with the right ones.
fn service_parser() -> impl TypedValueParser<Value = Service> {
    PossibleValuesParser::new(Service::ALL.map(Service::as_str)).try_map(|name| name.parse::<Service>())
}

pub(crate) async fn run(arguments: &CertArguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        CertCommand::Preview(arguments) => return preview::run(arguments).await,
        CertCommand::Init(arguments) => init(arguments)?,
        CertCommand::Issue(arguments) => issue(arguments)?,
        CertCommand::Revoke(arguments) => revoke(arguments).await?,
        CertCommand::List(arguments) => list(arguments).await?,
        CertCommand::Renew(arguments) => renew::run(arguments)?,
        CertCommand::Authority(arguments) => authority_change::run(arguments)?,
        CertCommand::Crl(arguments) => crl::run(arguments)?,
        CertCommand::Etcd(arguments) => etcd::run(arguments).await?,
        CertCommand::Cluster(arguments) => cluster::run(arguments).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(arguments: &RevokeArguments) -> anyhow::Result<()> {
    let subject = match (&arguments.server, &arguments.administrator) {
        (Some(server), None) => Subject::Server(server.clone()),
        (None, Some(name)) => Subject::Administrator(name.clone()),
        _ => bail!("name a server with --server or an administrator with --administrator"),
    };
    let reach = arguments.place.reach().await?;
    let organization = reach.organization().await?;
    if let Subject::Server(server) = &subject
        && organization.server(server).is_none()
        && !arguments.force
    {
        bail!(
            "the organization has no server {server}: `postroad servers` lists them. One that was taken out is heard by nobody as \
             long as it stays out; --force revokes its certificates for good"
        );
    }
    // Certificates know the second in which they were issued.
    let issued_until = Timestamp::from_millis(times::now().as_millis() / 1000 * 1000);
    let revocation = Revocation { subject, issued_until };
    reach.directory.revoke(revocation.clone(), &place::author("cert revoke")).await?;
    // What is issued next must not be of this second: it would be void as well.
    tokio::time::sleep(issued_until.plus(SECOND).since(times::now())).await;
    output::print(&format!(
        "Revoked: {}, what was issued until {}. Issue a new certificate with `postroad cert issue`. etcd does not hear of it: \
         `postroad cert crl`, where the authority is.\n",
        revocation.subject,
        output::time(SystemTime::from(issued_until))
    ))
}

async fn list(arguments: &ListArguments) -> anyhow::Result<()> {
    if let Some(path) = &arguments.path {
        let Some(table) = ends(path) else {
            bail!("{} holds no certificate: --path is that of `postroad cert issue`", path.display());
        };
        return output::print(&table);
    }
    let reach = arguments.place.reach().await?;
    let table = reach.settings().and_then(|settings| ends(&settings.identity));
    let mut text = table.map(|table| table + "\n").unwrap_or_default();
    let revoked = reach.directory.revocations().await.map_err(|error| reach.explained(&error))?;
    if revoked.is_empty() {
        text.push_str("Nothing is revoked.\n");
    } else {
        let mut rows = vec![["REVOKED", "ISSUED UNTIL", "BY"].map(str::to_owned).to_vec()];
        rows.extend(revoked.into_iter().map(|RevocationRecord { revocation, author }| {
            let until = output::time(SystemTime::from(revocation.issued_until));
            vec![revocation.subject.to_string(), until, format!("{} ({})", author.who, author.through)]
        }));
        text.push_str(&output::table(&rows));
    }
    output::print(&text)
}

/// The certificates of an identity, and when they end; nothing when there is none.
fn ends(identity: &Path) -> Option<String> {
    let mut rows = vec![["CERTIFICATE", "ENDS"].map(str::to_owned).to_vec()];
    for folder in Service::ALL.map(Service::as_str).into_iter().chain([ADMINISTRATOR_FOLDER, SMTP_FOLDER]) {
        let Ok(own) = KeyedCertificate::load_from(&identity.join(folder)) else { continue };
        let end = own.to_der().ok().and_then(|der| validity(&der));
        let end = end.map_or_else(|| "cannot be read".to_owned(), |(_, end)| output::time(SystemTime::from(end)));
        rows.push(vec![folder.to_owned(), end]);
    }
    (rows.len() > 1).then(|| output::table(&rows))
}

fn init(arguments: &InitArguments) -> anyhow::Result<()> {
    let (folder, key) = (arguments.path.join(AUTHORITY_FOLDER), arguments.path.join(KEY_FILE));
    if let Some(there) = [&folder, &key].into_iter().find(|path| path.exists()) {
        bail!("{} is there already; a new one would cut off every server: name another --path", there.display());
    }
    make_private(&folder)?;
    CertificateAuthority::create(&arguments.forest, times::now())?.keyed_certificate().save_to(&folder)?;
    Sealer::generate(&key)?;
    output::print(&format!(
        "Authority of {}: {}\nKey of its secrets: {}\nNext: postroad cert issue --ca {} --server NAME --fqdn FQDN --path \
         FOLDER\n",
        arguments.forest,
        folder.display(),
        key.display(),
        arguments.path.display()
    ))
}

/// The authority of a folder of `cert init`, and whom else is believed while it is changed.
fn load_authority(ca: &Path) -> anyhow::Result<CertificateAuthority> {
    let pair = KeyedCertificate::load_from(&ca.join(AUTHORITY_FOLDER)).and_then(CertificateAuthority::load);
    let authority = pair.map_err(|error| {
        anyhow!("{error}. --ca is the folder that was --path of `postroad cert init`, which makes the authority")
    })?;
    Ok(authority.with_others(authority_change::others(ca)?))
}

fn issue(arguments: &IssueArguments) -> anyhow::Result<()> {
    let IssueArguments { ca, administrator, groups, path, .. } = arguments;
    let authority = load_authority(ca)?;
    make_private(path)?;
    let written = match administrator {
        Some(administrator) => issue_administrator(&authority, administrator, groups, path),
        None if arguments.etcd_root => issue_etcd_root(&authority, path),
        None => issue_server(&authority, arguments),
    };
    written?;
    crl::record(ca, &authority, path)?;
    keep_owner(path)
}

fn issue_server(authority: &CertificateAuthority, arguments: &IssueArguments) -> anyhow::Result<()> {
    let IssueArguments { ca, server, fqdn, path, services, .. } = arguments;
    let (Some(server), Some(fqdn)) = (server, fqdn) else { bail!("name a server with --server and --fqdn") };
    let services: Vec<Service> = if services.is_empty() { SERVICES_DEFAULT.to_vec() } else { services.clone() };
    let identity =
        NodeIdentity { server: server.clone(), fqdn: fqdn.clone(), services: services.into_iter().collect() };
    authority.save_identity_to(&identity, path, times::now())?;
    let smtp = path.join(SMTP_FOLDER);
    let kept = smtp.exists();
    if !kept {
        authority.issue_for_smtp(server, fqdn, times::now())?.save_to(&smtp)?;
    }
    // Whoever opens no credential has no key.
    if [Service::Transport, Service::Admin].iter().any(|service| identity.services.contains(service)) {
        copy_key(&ca.join(KEY_FILE), &path.join(KEY_FILE))?;
    }
    let services: Vec<&str> = identity.services.iter().map(|service| service.as_str()).collect();
    let note = if kept { " (smtp/ was there and is kept)" } else { "" };
    output::print(&format!(
        "{server} of {}, {fqdn}: {}{note}\nIdentity: {}\n",
        authority.forest(),
        services.join(", "),
        path.display()
    ))
}

fn issue_administrator(
    authority: &CertificateAuthority,
    name: &ObjectName,
    groups: &[RoleGroup],
    path: &Path,
) -> anyhow::Result<()> {
    let mut groups: BTreeSet<RoleGroup> = groups.iter().copied().collect();
    if groups.is_empty() {
        groups.insert(RoleGroup::ViewOnlyOrganizationManagement);
    }
    authority.save_administrator_to(name, &groups, path, times::now())?;
    let groups: Vec<&str> = groups.into_iter().map(RoleGroup::as_str).collect();
    output::print(&format!(
        "{name} of {}: administrator, {}\nIdentity: {}\n",
        authority.forest(),
        groups.join(", "),
        path.join(ADMINISTRATOR_FOLDER).display()
    ))
}

fn issue_etcd_root(authority: &CertificateAuthority, path: &Path) -> anyhow::Result<()> {
    authority.save_etcd_root_to(path, times::now())?;
    output::print(&format!(
        "root of etcd: {}\nNext: postroad cert etcd --root {} --settings FILE\n",
        path.display(),
        path.display()
    ))
}

/// One that is there stays, even if it is another: it may have sealed what is in the directory.
fn copy_key(from: &Path, to: &Path) -> anyhow::Result<()> {
    let key = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).and_then(|mut file| {
        file.write_all(&key)?;
        file.sync_all()
    });
    match written {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let same = std::fs::read(to).is_ok_and(|there| there == key);
            if !same {
                bail!(
                    "{} is another key than {}: servers with different keys cannot open each other's secrets; delete the wrong one",
                    to.display(),
                    from.display()
                );
            }
            Ok(())
        }
        written => written.with_context(|| format!("cannot write {}", to.display())),
    }
}

/// What root writes into the folder of a service's user belongs to that user: the service has to read it. Nobody else can
/// give files away, nor needs to.
fn keep_owner(folder: &Path) -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let owner = folder.metadata().with_context(|| format!("cannot look at {}", folder.display()))?;
    let mut left = vec![folder.to_owned()];
    while let Some(at) = left.pop() {
        let about = at.symlink_metadata().with_context(|| format!("cannot look at {}", at.display()))?;
        if (about.uid(), about.gid()) != (owner.uid(), owner.gid()) {
            std::os::unix::fs::lchown(&at, Some(owner.uid()), Some(owner.gid()))
                .with_context(|| format!("cannot give {} to the owner of {}", at.display(), folder.display()))?;
        }
        if about.is_dir() {
            let entries = std::fs::read_dir(&at).with_context(|| format!("cannot read {}", at.display()))?;
            left.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
        }
    }
    Ok(())
}

fn make_private(folder: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder);
    made.with_context(|| format!("cannot make the folder {}", folder.display()))
}
