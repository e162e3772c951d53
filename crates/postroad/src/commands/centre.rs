//! `postroad admin-centre`: the admin centre over the organization of a place, as `postroad shell` reaches it.

mod brought;
mod estate;
mod views;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use admin_centre::accounts::Accounts;
use admin_centre::{Centre, CentreOptions, Passwords, serve};
use anyhow::{Context, anyhow};
use envelope::{Domain, ServerName};
use net::certificate::{KeyedCertificate, self_signed_for_smtp};
use net::tls::{ClientCertificates, OwnCertificate, TlsServer, TrustedRoots};
use runtime::drain_on_signals;
use tokio_util::sync::CancellationToken;
use topology::recipient::PasswordVerifier;

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
  # By an admin service, with the certificate of an administrator.
  postroad admin-centre --api mail1.contoso.com --identity ~/postroad --state ~/postroad/centre

At first start it prints a link that is good once: whoever opens it makes the first account. There
is no password before. An administrator's certificate of the organization signs in without an
account, where the browser has it. What somebody may is ruled by his role groups, as the admin
service rules it; everything that is done stands in the audit log under his name.
docs/admin-centre.md says more.";

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
    #[arg(long, value_name = "ADDRESS", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    /// A name by which browsers call it, besides its address and localhost; may be given several times.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Folder with the certificate that it shows (cert.pem, key.pem) [default: one of its own, which browsers ask about once].
    #[arg(long, value_name = "FOLDER")]
    certificate: Option<PathBuf>,
    /// Folder for its accounts and its own certificate [default: admin-centre in the state of the server's settings].
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
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
    let drain = drain_on_signals().context("cannot listen for signals")?;
    let ready = build(arguments).await?;
    output::print(&ready.told)?;
    ready.serve(drain).await?;
    Ok(ExitCode::SUCCESS)
}

impl Ready {
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
    build(CentreArguments { listen, hosts: Vec::new(), certificate: None, state, place }).await
}

async fn build(arguments: CentreArguments) -> anyhow::Result<Ready> {
    let CentreArguments { listen, hosts, certificate, state, place } = arguments;
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
    let told = told(&accounts, address, &hosts, &shown, certificate.is_none())?;
    let estate = LiveEstate::open(place, reach, &organization, &state).await?;
    let names = hosts.into_iter().chain(names(address)).collect();
    let options = CentreOptions {
        estate: Arc::new(estate),
        accounts,
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

fn told(
    accounts: &Accounts,
    address: SocketAddr,
    hosts: &[String],
    shown: &KeyedCertificate,
    own: bool,
) -> anyhow::Result<String> {
    let host = hosts.first().cloned().unwrap_or_else(|| in_address(address.ip()));
    let base = format!("https://{host}:{}", address.port());
    let mut told = format!("The admin centre: {base}/\n");
    if own {
        let fingerprint = OwnCertificate::of(shown.clone())?.fingerprint;
        told.push_str(&format!(
            "  Its certificate is its own; your browser asks about it once. SHA-256:\n  {fingerprint}\n"
        ));
    }
    if accounts.is_empty() {
        let token = accounts.first_link(times::now())?;
        told.push_str(&format!(
            "  Nobody has an account yet. This link makes the first, once, within a day:\n  {base}/welcome/{token}\n"
        ));
    }
    Ok(told)
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
