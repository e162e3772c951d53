//! `postroad cert cluster`: what `cert issue` writes into folders, as Secrets of a Kubernetes namespace.
//!
//! At the desk it prints them, made by an authority that stays there. Within the cluster, as a Job, it keeps the authority in a Secret too,
//! issues what is not there, and renews what ends soon. A Secret has the shape that cert-manager gives it, whoever makes it:
//! `berlin1-transport-tls` and `berlin1-transport-etcd` for each service, `berlin1-smtp`, `berlin1-organization`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use authority::RoleGroup;
use controller::{Cluster, PrivateSecret, SecretKind};
use directory::Sealer;
use envelope::{Domain, ObjectName, ServerName, Timestamp};
use net::certificate::{CertificateError, ETCD_ADMINISTRATOR, PrivateKeyPem, etcd_user, first_end};
use net::{CertificateAuthority, KeyedCertificate, NodeIdentity, Service};
use serde_json::json;

use super::super::{output, times};
use super::{KEY_FILE, SERVICES_DEFAULT};

const EXAMPLES: &str = "\
Examples:
  # At the desk: the authority stays here, the cluster gets what servers need.
  postroad cert init --forest contoso.example --path keys
  postroad cert cluster --ca keys --forest contoso.example --server BERLIN1=berlin1.contoso.example --print \\
    | kubectl -n postroad apply -f -
  # In the cluster, as the Job of deploy/k8s/identities: the authority is a Secret as well.
  postroad cert cluster --forest contoso.example --server BERLIN1=berlin1.contoso.example

What is printed has keys in it: into a pipe, not into a file. Run again, in the cluster it renews what
ends within four weeks; printed, everything is new. Pods show renewed certificates without a restart.";

/// The authority, where it is in the cluster.
const AUTHORITY_SECRET: &str = "authority";
/// The organization's key, beside it.
const KEY_SECRET: &str = "organization";
/// What ends within so long is renewed: half of the life of an identity.
const RENEW_WITHIN: Duration = Duration::from_secs(28 * 24 * 3600);

/// A server and its name in DNS, `BERLIN1=berlin1.contoso.example`.
#[derive(Clone, Debug)]
struct Named {
    server: ServerName,
    fqdn: Domain,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (server, fqdn) = text.split_once('=').ok_or("write NAME=FQDN, such as BERLIN1=berlin1.contoso.example")?;
        let server = ServerName::parse(server).map_err(|error| error.to_string())?;
        Ok(Self { server, fqdn: Domain::parse(fqdn).map_err(|error| error.to_string())? })
    }
}

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ClusterArguments {
    /// Name of the forest, as `postroad cert init` has it.
    #[arg(long, value_name = "NAME", env = "POSTROAD_FOREST")]
    forest: Domain,
    /// A server with its name in DNS; may be given several times.
    #[arg(long = "server", value_name = "NAME=FQDN", env = "POSTROAD_SERVERS", value_delimiter = ' ', required = true)]
    servers: Vec<Named>,
    /// Name of an etcd in the cluster, for a certificate of its own.
    #[arg(long, value_name = "NAME", env = "POSTROAD_ETCD")]
    etcd: Option<Domain>,
    /// Folder of `postroad cert init`, in place of the Secret `authority`.
    #[arg(long, value_name = "FOLDER")]
    ca: Option<PathBuf>,
    /// Print the Secrets for `kubectl apply` and ask no cluster.
    #[arg(long, requires = "ca")]
    print: bool,
    /// Namespace [default: that of the pod or of the context].
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
}

/// A Secret that shall be there, and how it is made.
struct Wanted<'a> {
    name: String,
    make: Box<dyn Fn() -> Result<KeyedCertificate, CertificateError> + 'a>,
}

pub(super) async fn run(arguments: &ClusterArguments) -> anyhow::Result<()> {
    if arguments.print {
        let ca = arguments.ca.as_ref().context("name the folder of the authority with --ca")?;
        return print(&Papers::of_folder(ca)?, arguments);
    }
    let cluster = Cluster::infer(arguments.namespace.clone()).await?;
    let papers = match &arguments.ca {
        Some(ca) => Papers::of_folder(ca)?,
        None => Papers::of_cluster(&cluster, &arguments.forest).await?,
    };
    let now = times::now();
    let (mut made, mut kept) = (Vec::new(), 0_usize);
    for wanted in papers.certificates(arguments)? {
        let there = cluster.secret(&wanted.name).await?;
        if there.is_some_and(|entries| papers.still_counts(&entries, now)) {
            kept += 1;
            continue;
        }
        cluster.put_secret(&papers.secret(&wanted)?).await?;
        made.push(wanted.name);
    }
    for secret in papers.keys(arguments) {
        cluster.put_secret(&secret).await?;
    }
    let made_text = if made.is_empty() { "nothing was to be renewed".to_owned() } else { made.join(", ") };
    output::print(&format!("Secrets in {}: {made_text}; {kept} stay as they are\n", cluster.namespace()))
}

/// What signs, and what opens the organization's secrets.
struct Papers {
    authority: CertificateAuthority,
    key: Vec<u8>,
}

impl Papers {
    fn of_folder(ca: &std::path::Path) -> anyhow::Result<Self> {
        let key = ca.join(KEY_FILE);
        let key = std::fs::read(&key).with_context(|| format!("cannot read {}", key.display()))?;
        Ok(Self { authority: super::load_authority(ca)?, key })
    }

    /// Those of the cluster; new ones where there are none. Of two Jobs at once one makes them.
    async fn of_cluster(cluster: &Cluster, forest: &Domain) -> anyhow::Result<Self> {
        if cluster.secret(AUTHORITY_SECRET).await?.is_none() {
            let pair = CertificateAuthority::create(forest, times::now())?.keyed_certificate().clone();
            let entries = tls(&pair, &pair.cert_pem);
            cluster.create_secret(&secret(AUTHORITY_SECRET, SecretKind::Tls, entries)).await?;
        }
        if cluster.secret(KEY_SECRET).await?.is_none() {
            let entries = BTreeMap::from([(KEY_FILE.to_owned(), new_key()?)]);
            cluster.create_secret(&secret(KEY_SECRET, SecretKind::Opaque, entries)).await?;
        }
        let read = async |name: &str, entry: &str| -> anyhow::Result<Vec<u8>> {
            let entries = cluster.secret(name).await?.unwrap_or_default();
            entries.get(entry).cloned().with_context(|| format!("the Secret {name} has no {entry}"))
        };
        let entries = cluster.secret(AUTHORITY_SECRET).await?.unwrap_or_default();
        let pair = pair_of(&entries).with_context(|| format!("the Secret {AUTHORITY_SECRET} holds no authority"))?;
        let authority = CertificateAuthority::load(pair)?;
        if authority.forest() != forest {
            bail!("the Secret {AUTHORITY_SECRET} is the authority of {}, not of {forest}", authority.forest());
        }
        Ok(Self { authority, key: read(KEY_SECRET, KEY_FILE).await? })
    }

    /// Every certificate that shall be there.
    fn certificates<'a>(&'a self, arguments: &'a ClusterArguments) -> anyhow::Result<Vec<Wanted<'a>>> {
        let (authority, now) = (&self.authority, times::now());
        let mut all: Vec<Wanted<'a>> = Vec::new();
        let mut want = |name: String, make: Box<dyn Fn() -> Result<KeyedCertificate, CertificateError> + 'a>| {
            all.push(Wanted { name, make });
        };
        for named in &arguments.servers {
            let name = named.server.as_str().to_lowercase();
            for service in SERVICES_DEFAULT.into_iter().chain([Service::Admin]) {
                let identity = NodeIdentity {
                    server: named.server.clone(),
                    fqdn: named.fqdn.clone(),
                    services: BTreeSet::from([service]),
                };
                want(format!("{name}-{service}-tls"), Box::new(move || authority.issue(&identity, now)));
                let user = etcd_user(&named.server, service);
                want(format!("{name}-{service}-etcd"), Box::new(move || authority.issue_for_etcd(&user, now)));
            }
            want(format!("{name}-smtp"), Box::new(move || authority.issue_for_smtp(&named.server, &named.fqdn, now)));
        }
        let groups = BTreeSet::from([RoleGroup::OrganizationManagement]);
        for administrator in ["administrator", "controller", "centre"] {
            let (name, groups) =
                (ObjectName::parse(administrator).map_err(|error| anyhow!("{error}"))?, groups.clone());
            let make = move || authority.issue_administrator(&name, &groups, now);
            want(format!("{administrator}-tls"), Box::new(make));
        }
        want("administrator-etcd".to_owned(), Box::new(move || authority.issue_for_etcd(ETCD_ADMINISTRATOR, now)));
        if let Some(etcd) = &arguments.etcd {
            let server = ServerName::parse("ETCD").map_err(|error| anyhow!("{error}"))?;
            want("etcd-tls".to_owned(), Box::new(move || authority.issue_for_smtp(&server, etcd, now)));
        }
        Ok(all)
    }

    /// The organization's key, for those who open its secrets.
    fn keys(&self, arguments: &ClusterArguments) -> Vec<PrivateSecret> {
        let servers = arguments.servers.iter().map(|named| named.server.as_str().to_lowercase());
        let entries = || BTreeMap::from([(KEY_FILE.to_owned(), self.key.clone())]);
        let named = servers.chain(["administrator".to_owned()]);
        named.map(|name| secret(&format!("{name}-organization"), SecretKind::Opaque, entries())).collect()
    }

    fn secret(&self, wanted: &Wanted<'_>) -> anyhow::Result<PrivateSecret> {
        Ok(secret(&wanted.name, SecretKind::Tls, tls(&(wanted.make)()?, &self.authority.trusted_pem())))
    }

    /// Whether a certificate is of this authority, and does not end soon.
    fn still_counts(&self, entries: &BTreeMap<String, Vec<u8>>, now: Timestamp) -> bool {
        let Some(pair) = pair_of(entries) else { return false };
        let ours = pair.to_der().is_ok_and(|der| self.authority.is_issuer_of(&der));
        let believed = entries.get("ca.crt").is_some_and(|there| there == self.authority.trusted_pem().as_bytes());
        ours && believed && first_end(&pair.cert_pem).is_some_and(|end| end > now.plus(RENEW_WITHIN))
    }
}

fn print(papers: &Papers, arguments: &ClusterArguments) -> anyhow::Result<()> {
    let mut items = Vec::new();
    for wanted in papers.certificates(arguments)? {
        items.push(papers.secret(&wanted)?.manifest());
    }
    items.extend(papers.keys(arguments).iter().map(PrivateSecret::manifest));
    output::print_raw(&format!("{:#}\n", json!({"apiVersion": "v1", "kind": "List", "items": items})))
}

/// Certificate and key of a Secret.
fn pair_of(entries: &BTreeMap<String, Vec<u8>>) -> Option<KeyedCertificate> {
    let text = |key: &str| String::from_utf8(entries.get(key)?.clone()).ok();
    KeyedCertificate::from_pem(text("tls.crt")?, PrivateKeyPem::new(text("tls.key")?)).ok()
}

fn secret(name: &str, kind: SecretKind, entries: BTreeMap<String, Vec<u8>>) -> PrivateSecret {
    PrivateSecret { name: name.to_owned(), kind, entries }
}

fn tls(pair: &KeyedCertificate, trusted: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = [("ca.crt", trusted), ("tls.crt", &pair.cert_pem), ("tls.key", pair.key_pem.expose())];
    entries.into_iter().map(|(key, text)| (key.to_owned(), text.as_bytes().to_vec())).collect()
}

/// As `cert init` makes it, by a file that is there for a moment.
fn new_key() -> anyhow::Result<Vec<u8>> {
    let path = std::env::temp_dir().join(format!("{KEY_FILE}.{}", std::process::id()));
    Sealer::generate(&path)?;
    let key = std::fs::read(&path);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    key.with_context(|| format!("cannot read {}", path.display()))
}
