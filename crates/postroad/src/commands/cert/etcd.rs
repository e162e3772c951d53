//! `postroad cert etcd`: the users and roles of etcd that fit the certificates of `cert issue`.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use directory::{EtcdSettings, EtcdTls, EtcdUsers, connect_etcd, secure_etcd};
use envelope::ServerName;
use net::certificate::{ETCD_ADMINISTRATOR, ETCD_ROOT, etcd_user};
use net::{KeyedCertificate, Service};
use runtime::{DirectorySettings, Settings};

use super::super::output;

const EXAMPLES: &str = "\
Examples:
  postroad cert issue --ca contoso-keys --etcd-root --path etcd-root
  postroad cert etcd --root etcd-root --settings /etc/postroad/server.toml
  # Before the server is in the configuration.
  postroad cert etcd --root etcd-root --settings /etc/postroad/server.toml --server BERLIN3

Makes a user for each service of each server of the configuration, and one for administrators, and turns
etcd's authentication on: from then on a certificate may do in etcd what its user may, and one that is
no user's (that of SMTP, one of another server) nothing. Run it again after servers were added. etcd
must run with --client-cert-auth and --trusted-ca-file.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EtcdArguments {
    /// Folder of `postroad cert issue --etcd-root`.
    #[arg(long, value_name = "FOLDER")]
    root: PathBuf,
    /// Settings of a server (TOML), for forest and endpoints.
    #[arg(long, short, value_name = "FILE", env = "POSTROAD_SETTINGS",
          default_value = postroad::service::SETTINGS_DEFAULT)]
    settings: PathBuf,
    /// A server that the configuration has not yet; may be given several times.
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<ServerName>,
}

pub(super) async fn run(arguments: &EtcdArguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.settings)?;
    let DirectorySettings::Etcd { endpoints, .. } = &settings.directory else {
        bail!("{} names an embedded directory: it is a file, and has no users", arguments.settings.display());
    };
    let own = KeyedCertificate::load_from(&arguments.root)
        .map_err(|error| anyhow!("{error}. --root is the folder of `postroad cert issue --etcd-root`"))?;
    let ca = arguments.root.join("ca.pem");
    let ca = std::fs::read(&ca).with_context(|| format!("cannot read {}", ca.display()))?;
    let tls = EtcdTls::showing(ca, own.cert_pem, own.key_pem.expose());
    let etcd = EtcdSettings { tls: Some(tls), ..EtcdSettings::new(endpoints.clone()) };
    let forest = settings.forest.as_str();
    let organization = connect_etcd(etcd.clone(), forest).snapshot().await.map_err(|error| {
        anyhow!(
            "{error}; check that etcd runs at {}, and that it believes {}",
            endpoints.join(", "),
            arguments.root.display()
        )
    })?;
    let mut servers: Vec<ServerName> = organization.own_servers().map(|server| server.name.clone()).collect();
    servers.extend(arguments.servers.iter().cloned());
    servers.sort();
    servers.dedup();
    let of_server = |server: &ServerName| {
        let server = server.clone();
        Service::ALL.map(move |service| (server.clone(), service, etcd_user(&server, service)))
    };
    let users = EtcdUsers {
        services: servers.iter().flat_map(of_server).collect(),
        administrators: vec![ETCD_ADMINISTRATOR.to_owned()],
        root: ETCD_ROOT.to_owned(),
    };
    secure_etcd(etcd, forest, &users).await.map_err(|error| anyhow!(error))?;
    let names: Vec<&str> = servers.iter().map(ServerName::as_str).collect();
    output::print(&format!(
        "etcd asks who comes: {} users of {} servers ({}), {ETCD_ADMINISTRATOR}, {ETCD_ROOT}\n",
        users.services.len(),
        servers.len(),
        if names.is_empty() { "none yet".to_owned() } else { names.join(", ") }
    ))
}
