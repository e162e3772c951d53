//! Where a command finds the directory: the settings of a server, a lab on this machine, or an admin service.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use admin_api::{Api, AuditTrail, Audited, RemoteDirectory};
use anyhow::{Context, anyhow};
use directory::{Administration, Author, Backend, ReadError};
use envelope::{Domain, ServerName, Service};
use lab::LabStatus;
use logs::{Log, LogSettings, audit};
use net::KeyedCertificate;
use net::certificate::ADMINISTRATOR_FOLDER;
use postroad::service::SETTINGS_DEFAULT;
use rpc::{Credentials, PeerAddress};
use runtime::settings::default_organization_port;
use runtime::{Clock, DirectorySettings, Settings};
use topology::{Organization, Server};

/// Where a lab keeps its files unless told otherwise.
pub(crate) const LAB_DEFAULT: &str = ".postroad/lab";
/// Names the settings file when no argument does.
const SETTINGS_VARIABLE: &str = "POSTROAD_SETTINGS";

/// Which organization a command speaks to.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Which organization")]
pub(crate) struct Place {
    /// Settings of one of its servers (TOML) [env: POSTROAD_SETTINGS] [default: /etc/postroad/server.toml, if there is one and no
    /// lab runs here].
    #[arg(long, short, value_name = "FILE", conflicts_with = "lab")]
    settings: Option<PathBuf>,
    /// Folder of a lab that runs on this machine [default: .postroad/lab, if one runs there].
    #[arg(long, value_name = "FOLDER")]
    lab: Option<PathBuf>,
    /// Ask the admin service there, in place of the directory: the name of a server in DNS, with `:PORT` if that is not 5477 and
    /// `=HOST:PORT` if DNS has it elsewhere or not at all; or the path of its Unix socket, on the server itself.
    #[arg(long, value_name = "ADDRESS", env = "POSTROAD_API", conflicts_with = "lab")]
    api: Option<ApiAddress>,
    /// Folder with the certificate of an administrator, for --api by its name [default: identity.path of the settings].
    #[arg(long, value_name = "FOLDER", env = "POSTROAD_IDENTITY")]
    identity: Option<PathBuf>,
}

/// Where an admin service is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ApiAddress {
    Socket(PathBuf),
    Server { fqdn: Domain, port: u16, at: Option<String> },
}

impl FromStr for ApiAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self::Socket(text.into()));
        }
        let (name, at) = match text.split_once('=') {
            Some((name, at)) => {
                let whole =
                    at.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
                if !whole {
                    return Err(format!("{at:?} is no host with a port, such as 192.0.2.1:5477"));
                }
                (name, Some(at.to_owned()))
            }
            None => (text, None),
        };
        let (name, port) = match name.split_once(':') {
            Some((name, port)) => (name, port.parse().map_err(|_| format!("{port:?} is no port"))?),
            None => (name, default_organization_port(Service::Admin)),
        };
        let fqdn = Domain::parse(name).map_err(|error| error.to_string())?;
        if fqdn.as_str().parse::<IpAddr>().is_ok() || fqdn.ends_in_number() {
            return Err(format!("a certificate names its server: write NAME={name}:{port}"));
        }
        Ok(Self::Server { fqdn, port, at })
    }
}

/// A directory that is spoken to, and by which way.
pub(crate) struct Reach {
    pub(crate) directory: Arc<dyn Administration>,
    way: Way,
}

enum Way {
    Opened(Box<Settings>),
    Api(Api),
}

impl Reach {
    /// The admin service, if it is that which is asked.
    pub(crate) fn api(&self) -> Option<&Api> {
        match &self.way {
            Way::Api(api) => Some(api),
            Way::Opened(_) => None,
        }
    }

    /// The settings by which the directory was opened.
    pub(crate) fn settings(&self) -> Option<&Settings> {
        match &self.way {
            Way::Opened(settings) => Some(settings),
            Way::Api(_) => None,
        }
    }

    /// The configuration of now.
    pub(crate) async fn organization(&self) -> anyhow::Result<Arc<Organization>> {
        self.directory.snapshot().await.map_err(|error| self.explained(&error))
    }

    /// What went wrong with the directory, and the next step.
    pub(crate) fn explained(&self, error: &ReadError) -> anyhow::Error {
        match (&self.way, error) {
            (Way::Opened(settings), error) => explained(settings, error),
            (Way::Api(_), ReadError::Unavailable(text)) => anyhow!("{text}"),
            (Way::Api(_), ReadError::Invalid(_)) => {
                anyhow!("{error}. `postroad apply FILE` with the whole organization repairs it")
            }
        }
    }
}

impl Place {
    /// Opens the directory, or reaches the admin service that was named. Changes are written into the audit log: by the service,
    /// or by this command into that of the server whose settings it has.
    pub(crate) async fn reach(&self) -> anyhow::Result<Reach> {
        let Some(api) = self.api().await? else {
            let settings = self.settings()?;
            let directory = audited(connect(&settings)?, &settings)?;
            return Ok(Reach { directory, way: Way::Opened(Box::new(settings)) });
        };
        let directory = Arc::new(RemoteDirectory::new(api.clone()));
        Ok(Reach { directory, way: Way::Api(api) })
    }

    /// The admin service, if one was named.
    pub(crate) async fn api(&self) -> anyhow::Result<Option<Api>> {
        let (fqdn, port, at) = match &self.api {
            None => return Ok(None),
            Some(ApiAddress::Socket(path)) => return Ok(Some(Api::local(path).await?)),
            Some(ApiAddress::Server { fqdn, port, at }) => (fqdn, port, at),
        };
        let place = at.clone().unwrap_or_else(|| format!("{}:{port}", fqdn.ascii()));
        let found = tokio::net::lookup_host(&place).await;
        let address = found.with_context(|| format!("{place} cannot be found in DNS"))?.next();
        let address = address.with_context(|| format!("{place} has no address in DNS"))?;
        let server = ServerName::parse(fqdn.as_str()).map_err(|error| anyhow!("{fqdn}: {error}"))?;
        let identity = match &self.identity {
            Some(folder) => folder.clone(),
            None => self.settings().context("name the folder of your certificate with --identity")?.identity,
        };
        let at = PeerAddress { server, fqdn: fqdn.clone(), address };
        Ok(Some(Api::connect(&at, &administrator(&identity)?).await?))
    }

    /// The settings of a server: those that were named, or those of a lab's first server.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        if let Some(folder) = &self.lab {
            return of_lab(folder, "start it with `postroad lab up`, or name its folder with --lab");
        }
        if let Some(path) = self.settings_named() {
            return Ok(Settings::load(&path)?);
        }
        let lab = Path::new(LAB_DEFAULT);
        let usual = Path::new(SETTINGS_DEFAULT);
        if LabStatus::read(lab).is_err() && usual.exists() {
            return Ok(Settings::load(usual)?);
        }
        of_lab(
            lab,
            "name the settings of a server with --settings FILE, put them at /etc/postroad/server.toml, or start a lab with \
             `postroad lab up`",
        )
    }

    /// The settings that were named, by an argument or by the environment.
    fn settings_named(&self) -> Option<PathBuf> {
        self.settings.clone().or_else(|| std::env::var_os(SETTINGS_VARIABLE).map(PathBuf::from))
    }

    /// The lab that this place is in, or `None`: then nothing is known of other directories than the one that is spoken to.
    pub(crate) fn lab_around(&self) -> Option<LabStatus> {
        if self.api.is_some() {
            return None;
        }
        let folder = match (&self.lab, self.settings_named()) {
            (Some(folder), _) => folder.clone(),
            // LAB/servers/NAME/server.toml
            (None, Some(settings)) => settings.canonicalize().ok()?.ancestors().nth(3)?.to_owned(),
            (None, None) => LAB_DEFAULT.into(),
        };
        LabStatus::read(&folder).ok()
    }

    /// Settings of the subscribed Edge servers of the lab that this place is in.
    pub(crate) fn edges_of_lab(&self, organization: &Organization) -> Vec<Settings> {
        let edges: Vec<&str> = elsewhere(organization).map(|server| server.name.as_str()).collect();
        if edges.is_empty() {
            return Vec::new();
        }
        let servers = self.lab_around().map(|lab| lab.servers).unwrap_or_default();
        let of_edges = servers.into_iter().filter(|server| edges.contains(&server.name.as_str()));
        of_edges.filter_map(|server| Settings::load(&server.settings).ok()).collect()
    }

    /// Whether an argument names settings.
    pub(crate) fn has_settings_argument(&self) -> bool {
        self.settings.is_some()
    }

    /// The folder of an administrator's identity that was named.
    pub(crate) fn identity(&self) -> Option<&Path> {
        self.identity.as_deref()
    }

    /// Where the certificate is that is shown to an admin service in the network, if one was named.
    pub(crate) fn administrator_certificate(&self) -> Option<PathBuf> {
        Some(self.identity.as_ref()?.join(ADMINISTRATOR_FOLDER).join("cert.pem"))
    }

    /// A lab in a folder.
    pub(crate) fn of_lab(folder: &Path) -> Self {
        Self { settings: None, lab: Some(folder.to_owned()), api: None, identity: None }
    }

    /// The authority of the organization, if there is an identity here that says which.
    pub(crate) fn authority_pem(&self) -> Option<String> {
        let folder = match &self.identity {
            Some(folder) => folder.clone(),
            None if self.api.is_some() && self.settings_named().is_none() => return None,
            None => self.settings().ok()?.identity,
        };
        std::fs::read_to_string(folder.join("ca.pem")).ok()
    }

    /// The forest of the administrator's certificate, where the admin service is asked.
    pub(crate) fn forest(&self) -> Option<Domain> {
        let own = KeyedCertificate::load_from(&self.identity.as_deref()?.join(ADMINISTRATOR_FOLDER)).ok()?;
        Some(rpc::principal(&own.to_der().ok()?).ok()?.forest)
    }

    /// The folder of a lab that was named.
    pub(crate) fn lab_folder(&self) -> Option<&Path> {
        self.lab.as_deref()
    }
}

/// The subscribed Edge servers of an organization.
pub(crate) fn elsewhere(organization: &Organization) -> impl Iterator<Item = &Server> {
    organization.servers().iter().filter(|server| server.edge.is_elsewhere())
}

/// How a subscribed Edge server is asked.
pub(crate) fn ask_edge(edge: &Server) -> String {
    format!(
        "its directory and its administrators are its own. Run the same on it, or from here with a certificate of its authority, \
         `--api {} --identity FOLDER`",
        edge.fqdn
    )
}

/// Opens the directory: no last good snapshot, which would hide that it is away.
pub(crate) fn connect(settings: &Settings) -> anyhow::Result<Arc<dyn Backend>> {
    match runtime::node::open_backend(settings) {
        Ok(backend) => Ok(backend),
        Err(error) => Err(anyhow!("{error}; {}", advice(settings))),
    }
}

/// The certificate of an administrator, in the folder of an identity.
pub(crate) fn administrator(identity: &Path) -> anyhow::Result<Credentials> {
    let own = KeyedCertificate::load_from(&identity.join(ADMINISTRATOR_FOLDER)).map_err(|error| {
        anyhow!(
            "{error}. This is for administrators: make the certificate with `postroad cert issue --ca FOLDER --administrator \
             NAME --path {}`",
            identity.display()
        )
    })?;
    let authority = identity.join("ca.pem");
    let authority =
        std::fs::read_to_string(&authority).with_context(|| format!("cannot read {}", authority.display()))?;
    Ok(Credentials::new(own, authority))
}

/// The directory, whose changes are written into the audit log of the server.
fn audited(directory: Arc<dyn Administration>, settings: &Settings) -> anyhow::Result<Arc<dyn Administration>> {
    Ok(Arc::new(Audited::new(directory, audit_trail(settings), "local")))
}

/// The audit log of the server, for what this command does itself.
pub(crate) fn audit_trail(settings: &Settings) -> AuditTrail {
    let folder = audit::folder(&settings.state);
    let unwritten = folder.clone();
    let lost =
        move || eprintln!("warning: this change is not in the audit log: {} cannot be written", unwritten.display());
    let log = LogSettings { folder, prefix: audit::PREFIX, version: runtime::node::VERSION };
    let clock = Clock::default();
    let log = Arc::new(Log::new(log, lost));
    AuditTrail::new(log, Arc::new(move || clock.now()), settings.server.as_str())
}

/// Opens the directory and reads the configuration of now.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<(Arc<dyn Backend>, Arc<Organization>)> {
    let directory = connect(settings)?;
    let organization = directory.snapshot().await.map_err(|error| explained(settings, &error))?;
    Ok((directory, organization))
}

/// Who runs this command: the user who logged on, also behind sudo, and the machine.
pub(crate) fn author(command: &str) -> Author {
    let name = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = name.filter(|name| !name.is_empty()).unwrap_or_else(|| {
        match nix::unistd::User::from_uid(nix::unistd::getuid()) {
            Ok(Some(user)) => user.name,
            _ => nix::unistd::getuid().to_string(),
        }
    });
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let who = if host.trim().is_empty() { user } else { format!("{user}@{}", host.trim()) };
    Author::new(who, format!("postroad {command}"))
}

/// What went wrong with the directory, and the next step.
pub(crate) fn explained(settings: &Settings, error: &ReadError) -> anyhow::Error {
    match error {
        ReadError::Unavailable(_) => anyhow!("{error}; {}", advice(settings)),
        ReadError::Invalid(_) => anyhow!("{error}. `postroad apply FILE` with the whole organization repairs it"),
    }
}

fn advice(settings: &Settings) -> String {
    match &settings.directory {
        DirectorySettings::Embedded { path } => {
            format!("check [directory] in the settings, which names the file {}", path.display())
        }
        DirectorySettings::Etcd { endpoints, .. } => {
            format!("check that etcd runs, and [directory] in the settings, which names {}", endpoints.join(", "))
        }
    }
}

fn of_lab(folder: &Path, advice: &'static str) -> anyhow::Result<Settings> {
    let status = LabStatus::read(folder).map_err(|error| anyhow!("{error}; {advice}"))?;
    let server = status.servers.first().context("the lab has no server: add one to its lab file")?;
    Ok(Settings::load(&server.settings)?)
}
