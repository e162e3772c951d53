//! Settings of the OpenID Connect provider of an admin centre: a file of its own, because whoever may change it says who is who.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use admin_centre::provider::{CALLBACK, Provider, ProviderOptions};
use anyhow::{Context, anyhow};
use authority::RoleGroup;
use net::dns::{DnsProtocol, Resolver};
use net::tls::{TlsClient, TrustedRoots};
use runtime::Settings;
use serde::Deserialize;

use crate::commands::times;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProviderFile {
    /// On the button [default: the issuer].
    name: Option<String>,
    issuer: String,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    /// Besides `openid`.
    #[serde(default = "scopes")]
    scopes: Vec<String>,
    #[serde(default = "name_claim")]
    name_claim: String,
    #[serde(default = "groups_claim")]
    groups_claim: String,
    /// Whether its ID tokens say when somebody proved himself.
    #[serde(default = "yes")]
    auth_time: bool,
    /// Authorities that are believed besides those of the system (PEM).
    trusted_roots: Option<PathBuf>,
    #[serde(default)]
    role_groups: BTreeMap<String, Vec<String>>,
}

const fn yes() -> bool {
    true
}

fn scopes() -> Vec<String> {
    vec!["profile".to_owned()]
}

fn name_claim() -> String {
    "preferred_username".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

/// Reads the file. The provider is not asked: the centre starts without it.
pub(super) fn open(file: &Path, settings: Option<&Settings>) -> anyhow::Result<Provider> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let read: ProviderFile = toml::from_str(&text).with_context(|| format!("{} cannot be used", file.display()))?;
    // Where the file is, the others are.
    let beside = |path: &Path| file.parent().unwrap_or(Path::new(".")).join(path);
    let secret = read.client_secret_file.as_deref().map(|path| secret(&beside(path))).transpose()?;
    let mut roots = TrustedRoots::system();
    if let Some(path) = &read.trusted_roots {
        let path = beside(path);
        let pem = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        roots = roots.and_pem(&pem).with_context(|| format!("{} has no authorities", path.display()))?;
    }
    let options = ProviderOptions {
        name: read.name.unwrap_or_else(|| read.issuer.clone()),
        issuer: read.issuer,
        client: read.client_id,
        secret,
        scopes: read.scopes,
        name_claim: read.name_claim,
        groups_claim: read.groups_claim,
        auth_time: read.auth_time,
        role_groups: role_groups(read.role_groups)?,
        resolver: resolver(settings)?,
        tls: TlsClient::new(roots),
    };
    Provider::new(options).with_context(|| format!("{} cannot be used", file.display()))
}

/// As the services of a server find others, where its settings say so.
fn resolver(settings: Option<&Settings>) -> anyhow::Result<Resolver> {
    let servers = settings.map(|settings| settings.dns.as_slice()).unwrap_or_default();
    let found = if servers.is_empty() { Resolver::system() } else { Resolver::with_servers(servers, DnsProtocol::Any) };
    found.context("the provider could not be found in DNS")
}

fn secret(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(anyhow!("{} is empty; write the client secret that the provider gave into it", file.display()));
    }
    Ok(secret.to_owned())
}

fn role_groups(named: BTreeMap<String, Vec<String>>) -> anyhow::Result<BTreeMap<String, BTreeSet<RoleGroup>>> {
    let known = || RoleGroup::ALL.map(|group| group.as_str()).join(", ");
    let one = |name: &String| {
        name.parse::<RoleGroup>()
            .map_err(|_| anyhow!("role-groups: there is no role group {name:?}; there are {}", known()))
    };
    let group = |(group, names): (String, Vec<String>)| {
        Ok((group, names.iter().map(one).collect::<anyhow::Result<BTreeSet<RoleGroup>>>()?))
    };
    named.into_iter().map(group).collect()
}

/// What somebody has to know to sign in by it.
pub(super) async fn told(provider: &Provider, base: &str) -> String {
    let name = provider.name();
    let mut told = format!("  People of {name} sign in as well; register this at the provider:\n  {base}{CALLBACK}\n");
    if let Err(why) = provider.look(times::now()).await {
        told.push_str(&format!(
            "  {name} cannot be asked just now: {why}.\n  Accounts and certificates sign in; it is asked again whenever somebody \
             wants to sign in by it.\n"
        ));
    }
    told
}
