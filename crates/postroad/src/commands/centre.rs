//! `postroad admin-centre`: the admin centre over the organization of a place, as `postroad shell` reaches it.

mod brought;
mod estate;
mod provider;
mod views;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use admin_centre::accounts::Accounts;
use admin_centre::{Centre, CentreOptions, Passwords, has_port, serve};
use anyhow::{Context, anyhow};
use envelope::{Domain, ServerName};
use net::certificate::{KeyedCertificate, self_signed_for_smtp};
use net::tls::{ClientCertificates, OwnCertificate, TlsServer, TrustedRoots};
use runtime::drain_on_signals;
use telemetry::{Health, HealthChecks, LogFormat, LogSettings, Telemetry, TelemetrySettings};
use tokio_util::sync::CancellationToken;
use topology::recipient::PasswordVerifier;

use super::controller::end_when_renewed;
use super::place::Place;
use super::{output, times};
use estate::LiveEstate;

const EXAMPLES: &str = "\
Examples:
  # Over the lab that runs here, or the server whose settings there are.
  postroad admin-centre
  postroad admin-centre --settings /etc/postroad/server.toml
  # For other machines, with a certificate of your own for its name.
  postroad admin-centre --listen 192.0.2.10:443 --host centre.contoso.com --certificate ./centre
  # People of an OpenID Connect provider sign in as well; centre.toml is told of below.
  postroad admin-centre --provider centre.toml
  # By an admin service, with the certificate of an administrator.
  postroad admin-centre --api mail1.contoso.com --identity ~/postroad --state ~/postroad/centre

At first start it prints a link that is good once: whoever opens it makes the first account. There
is no password before. An administrator's certificate of the organization signs in without an
account, where the browser has it. What somebody may is ruled by his role groups, as the admin
service rules it; everything that is done stands in the audit log under his name.

A file for --provider (TOML), whose [role-groups] say what somebody of a group may:
  name = \"Contoso\"                            # on the button
  issuer = \"https://id.contoso.com\"
  client-id = \"postroad\"
  client-secret-file = \"/etc/postroad/centre.secret\"
  groups-claim = \"groups\"                     # the default
  [role-groups]
  \"mail-admins\" = [\"Organization Management\"]
Register https://HOST:PORT/sign-in/callback at the provider. docs/admin-centre.md says more.";

/// Where it listens unless told otherwise.
const LISTEN_DEFAULT: &str = "127.0.0.1:8443";
/// A page waits so long for servers; what they say later comes after it.
const PAGE_PATIENCE: Duration = Duration::from_millis(60);
/// Its folder in the state of a server.
const STATE_FOLDER: &str = "admin-centre";

/// Arguments of `postroad admin-centre`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CentreArguments {
    /// Where it listens; by TLS only.
    #[arg(long, value_name = "ADDRESS", env = "POSTROAD_CENTRE_LISTEN", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    /// A name by which browsers call it, besides its address and localhost, with `:PORT` where that is not the port of --listen; may
    /// be given several times.
    #[arg(long = "host", value_name = "NAME", env = "POSTROAD_CENTRE_HOSTS", value_delimiter = ',')]
    hosts: Vec<String>,
    /// Folder with the certificate that it shows (cert.pem, key.pem) [default: one of its own, which browsers ask about once].
    #[arg(long, value_name = "FOLDER", env = "POSTROAD_CENTRE_CERTIFICATE")]
    certificate: Option<PathBuf>,
    /// Folder for its accounts and its own certificate [default: admin-centre in the state of the server's settings].
    #[arg(long, value_name = "FOLDER", env = "POSTROAD_CENTRE_STATE")]
    state: Option<PathBuf>,
    /// Where to serve /metrics, /live and /ready, by HTTP without authentication.
    #[arg(long, value_name = "ADDRESS:PORT", env = "POSTROAD_CENTRE_METRICS")]
    metrics: Option<SocketAddr>,
    /// Levels of the log, such as `info` or `warn,admin_centre=debug`.
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "warn")]
    log: String,
    /// `text` for people, `json` for collectors.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Settings of an OpenID Connect provider by which people sign in as well (TOML).
    #[arg(long, value_name = "FILE", env = "POSTROAD_CENTRE_PROVIDER")]
    provider: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// A centre that is ready to serve.
pub(crate) struct Ready {
    centre: Arc<Centre>,
    listener: net::Listener,
    tls: TlsServer,
    /// What somebody has to know to sign in.
    pub(crate) told: String,
}

pub(crate) async fn run(arguments: CentreArguments) -> anyhow::Result<ExitCode> {
    let telemetry = Telemetry::install(&TelemetrySettings {
        service: "postroad-admin-centre",
        version: runtime::node::VERSION,
        server: ServerName::parse("admin-centre").map_err(|error| anyhow!("{error}"))?,
        site: None,
        logs: LogSettings { filter: arguments.log.clone(), format: arguments.log_format },
        collector: None,
    })?;
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let (metrics, place) = (arguments.metrics, arguments.place.clone());
    let ready = build(arguments).await?;
    tokio::spawn(end_when_renewed(place, drain.clone()));
    let operations = match metrics {
        Some(address) => {
            let serving = telemetry.serve(address, ready.health(drain.clone())).await;
            Some(
                serving
                    .with_context(|| format!("cannot serve metrics on {address}; --metrics names another address"))?,
            )
        }
        None => None,
    };
    output::print(&ready.told)?;
    ready.serve(drain).await?;
    drop(operations);
    telemetry.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

impl Ready {
    /// Alive while it runs; ready while it knows who is revoked and does not drain.
    fn health(&self, drain: CancellationToken) -> HealthChecks {
        let centre = Arc::clone(&self.centre);
        let ready = move || match centre.not_ready() {
            _ if drain.is_cancelled() => Health::Bad("it ends".into()),
            Some(why) => Health::Bad(why.into()),
            None => Health::Good,
        };
        HealthChecks::new(|| Health::Good, ready)
    }

    pub(crate) async fn serve(self, drain: CancellationToken) -> anyhow::Result<()> {
        serve::serve(self.centre, self.listener, self.tls, drain).await.context("the admin centre failed")
    }
}

/// That of a lab which starts: at the usual port if that is free, for as long as the lab runs.
pub(crate) async fn of_lab(folder: &Path) -> anyhow::Result<Ready> {
    let place = Place::of_lab(folder);
    let usual: SocketAddr = LISTEN_DEFAULT.parse()?;
    let listen = if net::listen(usual).is_ok() { usual } else { SocketAddr::new(usual.ip(), 0) };
    let state = Some(folder.join(STATE_FOLDER));
    let arguments = CentreArguments {
        listen,
        hosts: Vec::new(),
        certificate: None,
        state,
        metrics: None,
        log: String::new(),
        log_format: LogFormat::Text,
        provider: None,
        place,
    };
    build(arguments).await
}

async fn build(arguments: CentreArguments) -> anyhow::Result<Ready> {
    let CentreArguments { listen, hosts, certificate, state, provider, place, .. } = arguments;
    let reach = place.reach().await?;
    let organization = reach.organization().await?;
    let state = match (state, reach.settings()) {
        (Some(state), _) => state,
        (None, Some(settings)) => settings.state.join(STATE_FOLDER),
        (None, None) => anyhow::bail!("name a folder for its accounts with --state"),
    };
    std::fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
    let shown = match &certificate {
        Some(folder) => KeyedCertificate::load_from(folder)?,
        None => own_certificate(&state)?,
    };
    let clients = match place.authority_pem() {
        Some(pem) => ClientCertificates::Requested(TrustedRoots::none().and_pem(&pem)?),
        None => ClientCertificates::Ignored,
    };
    let tls = TlsServer::new(&shown, clients)?;
    let listener =
        net::listen(listen).with_context(|| format!("cannot listen on {listen}; --listen names another address"))?;
    let address = listener.local();
    let accounts = Accounts::open(&state, Arc::new(Argon2))
        .with_context(|| format!("cannot read the accounts in {}", state.display()))?;
    let provider = provider.as_deref().map(|file| provider::open(file, reach.settings())).transpose()?;
    let mut told = shown_at(&base(address, &hosts), &shown, certificate.is_none())?;
    if let Some(provider) = &provider {
        told.push_str(&provider::told(provider, &base(address, &hosts)).await);
    }
    told.push_str(&first_link(&accounts, &base(address, &hosts))?);
    let estate = LiveEstate::open(place, reach, &organization, &state).await?;
    let names = hosts.into_iter().chain(names(address)).collect();
    let options = CentreOptions {
        estate: Arc::new(estate),
        accounts,
        provider,
        hosts: names,
        port: address.port(),
        patience: PAGE_PATIENCE,
        now: Arc::new(times::now),
    };
    Ok(Ready { centre: Arc::new(Centre::new(options)), listener, tls, told })
}

/// An IP address as it stands in the address of a page (RFC 3986 §3.2.2).
fn in_address(ip: IpAddr) -> String {
    if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
}

/// By what an address is called, where nobody says otherwise.
fn names(address: SocketAddr) -> Vec<String> {
    let mut all = vec![in_address(address.ip())];
    if address.ip().is_loopback() || address.ip().is_unspecified() {
        all.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()]);
    }
    all
}

/// The certificate of this centre: made once, and kept.
fn own_certificate(state: &Path) -> anyhow::Result<KeyedCertificate> {
    let folder = state.join("tls");
    if folder.join("cert.pem").exists() {
        return Ok(KeyedCertificate::load_from(&folder)?);
    }
    let (server, host) = (ServerName::parse("localhost"), Domain::parse("localhost"));
    let server = server.map_err(|error| anyhow!("{error}"))?;
    let host = host.map_err(|error| anyhow!("{error}"))?;
    let made = self_signed_for_smtp(&server, &host, times::now())?;
    std::fs::create_dir_all(&folder)?;
    made.save_to(&folder)?;
    Ok(made)
}

/// By which browsers call it.
fn base(address: SocketAddr, hosts: &[String]) -> String {
    let host = hosts.first().cloned().unwrap_or_else(|| in_address(address.ip()));
    if has_port(&host) { format!("https://{host}") } else { format!("https://{host}:{}", address.port()) }
}

/// Where it is, and by what a browser knows it.
fn shown_at(base: &str, shown: &KeyedCertificate, own: bool) -> anyhow::Result<String> {
    let mut told = format!("The admin centre: {base}/\n");
    if own {
        let fingerprint = OwnCertificate::of(shown.clone())?.fingerprint;
        told.push_str(&format!(
            "  Its certificate is its own; your browser asks about it once. SHA-256:\n  {fingerprint}\n"
        ));
    }
    Ok(told)
}

/// What makes the first account, where nobody has one.
fn first_link(accounts: &Accounts, base: &str) -> anyhow::Result<String> {
    if !accounts.is_empty() {
        return Ok(String::new());
    }
    let token = accounts.first_link(times::now())?;
    Ok(format!(
        "  Nobody has an account yet. This link makes the first, once, within a day:\n  {base}/welcome/{token}\n"
    ))
}

/// Verifiers as the directory makes them.
struct Argon2;

impl Passwords for Argon2 {
    fn verifier(&self, password: &str) -> String {
        directory::create_verifier(password).0.into()
    }

    fn verify(&self, verifier: &str, password: &str) -> bool {
        directory::verify_password(&PasswordVerifier(verifier.into()), password).is_ok()
    }
}
