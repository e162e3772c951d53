//! Process settings of one server: addresses, paths, who it is. Read once, typed, checked before any port opens.
//!
//! One file (TOML) serves every service of a server; each process reads the part of its own service. What the
//! organization looks like is not here: that is in the directory.
//!
//! ```toml
//! server = "BERLIN1"                     # its name in the directory
//! forest = "contoso.com"
//! state = "/var/lib/postroad"            # spool, last good configuration
//! [directory]
//! kind = "embedded"                      # or "etcd" with endpoints = ["https://etcd1:2379"]
//! path = "/var/lib/postroad/directory.db"
//! [identity]
//! path = "/etc/postroad/identity"        # ca.pem and <service>/{cert,key}.pem, from `postroad cert`
//! [services.transport]
//! organization = "0.0.0.0:7525"          # the implicit connector
//! metrics = "127.0.0.1:9525"             # /metrics, /live, /ready
//! [peers.OSLO1]                          # only where another server is not found at what it announces
//! transport = "192.0.2.7:7525"
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use envelope::{Domain, ObjectName, ServerName};
use net::Service;
use serde::Deserialize;

/// What is wrong with a settings file.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}: {cause}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is no valid TOML, or says something that it may not. The text has line and column.
    #[error("{path}: {cause}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        cause: Box<toml::de::Error>,
    },
    /// A value that its type does not rule out but its meaning does.
    #[error("{path}: {place}: {text}")]
    Value {
        /// Which file.
        path: PathBuf,
        /// Which setting.
        place: String,
        /// What is wrong and what to do.
        text: String,
    },
}

/// Where the organization's configuration is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectorySettings {
    /// A SQLite file that the processes of one machine share.
    Embedded {
        /// The file.
        path: PathBuf,
    },
    /// etcd.
    Etcd {
        /// `http://` or `https://` addresses of its members.
        endpoints: Vec<String>,
        /// PEM of the authority that certified them; needed for `https://`.
        ca: Option<PathBuf>,
        /// Directory with `cert.pem` and `key.pem` to show to them.
        identity: Option<PathBuf>,
        /// User, when authentication is on.
        user: Option<String>,
        /// File that holds the user's password.
        password_file: Option<PathBuf>,
    },
}

/// Addresses of one service. Every service has `metrics`; what else applies is said with each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceSettings {
    /// The implicit connector (gRPC): Transport, Front End Transport (outbound proxy), Mailbox Transport Delivery.
    pub organization: Option<SocketAddr>,
    /// Metrics and health over HTTP. Default: none.
    pub metrics: Option<SocketAddr>,
    /// SMTP. Stands for every binding of the service's Receive connectors on port 25 (Front End Transport: from the
    /// internet) or 2525 (Transport: from servers).
    pub smtp: Option<SocketAddr>,
    /// SMTP from mail clients. Stands for every binding on port 587 (Front End Transport) or 465 (Transport).
    pub submission: Option<SocketAddr>,
}

/// Process settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This server's name in the directory.
    pub server: ServerName,
    /// The forest, first part of every key in the directory.
    pub forest: Domain,
    /// Directory for the spool and the last good configuration.
    pub state: PathBuf,
    /// Where mailbox databases live: `<mailboxes>/<database>/<mailbox>`.
    pub mailboxes: PathBuf,
    /// Where the configuration is.
    pub directory: DirectorySettings,
    /// Certificates of the services: `ca.pem`, `<service>/{cert,key}.pem`, `smtp/{cert,key}.pem`.
    pub identity: PathBuf,
    /// The key under which the organization's secrets are sealed. Default: `<identity>/organization.key`.
    pub organization_key: PathBuf,
    /// OTLP collector (`http://host:4317`). Default: none, no traces.
    pub otlp: Option<String>,
    /// Address by which other servers reach this one, when it differs from the one listened on.
    pub advertise: Option<IpAddr>,
    /// Name servers used instead of the machine's, for a lab.
    pub dns: Vec<SocketAddr>,
    /// Roots trusted besides the system's when certificates of hosts outside are checked (PEM).
    pub trusted_roots: Option<PathBuf>,
    /// Mail may be delivered to loopback and private addresses found by MX, for a lab. Default: false.
    pub allow_private_targets: bool,
    /// Where services of other servers are found from here, when that is not what they announce: behind address translation
    /// or a tunnel. Default: none.
    pub peers: BTreeMap<ServerName, BTreeMap<Service, SocketAddr>>,
    services: BTreeMap<Service, ServiceSettings>,
}

/// Ports of the implicit connector when nothing is said. Sources: 2525, 717 and 475 of the port table of the documentation
/// (docs/rules.md, Pipeline), moved by 5000 because this connector speaks gRPC there, not SMTP.
#[must_use]
pub const fn default_organization_port(service: Service) -> u16 {
    match service {
        Service::Transport => 7525,
        Service::FrontendTransport => 5717,
        Service::MailboxDelivery => 5475,
        Service::MailboxSubmission => 5476,
        Service::Admin => 5477,
    }
}

impl Settings {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// [`SettingsError`] with the place in the file.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text =
            std::fs::read_to_string(path).map_err(|cause| SettingsError::Read { path: path.to_owned(), cause })?;
        Self::parse(&text, path)
    }

    /// Checks the text of a settings file; `path` is for messages.
    ///
    /// # Errors
    /// [`SettingsError`] with the place in the file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let file: File = toml::from_str(text)
            .map_err(|cause| SettingsError::Parse { path: path.to_owned(), cause: Box::new(cause) })?;
        file.check().map_err(|(place, text)| SettingsError::Value {
            path: path.to_owned(),
            place: place.to_owned(),
            text,
        })
    }

    /// Addresses of one service.
    #[must_use]
    pub fn service(&self, service: Service) -> ServiceSettings {
        self.services.get(&service).cloned().unwrap_or_default()
    }

    /// Where a service listens for the organization.
    #[must_use]
    pub fn organization_address(&self, service: Service) -> SocketAddr {
        let default = SocketAddr::from(([0, 0, 0, 0], default_organization_port(service)));
        self.service(service).organization.unwrap_or(default)
    }

    /// The spool of Transport.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.state.join("queue")
    }

    /// The folder of a mailbox database: below [`mailboxes`](Self::mailboxes) whatever its name is.
    #[must_use]
    pub fn mailbox_database(&self, database: &ObjectName) -> PathBuf {
        let name = database.as_str().replace('%', "%25").replace('/', "%2F");
        let name = name.strip_prefix('.').map_or(name.clone(), |rest| format!("%2E{rest}"));
        self.mailboxes.join(name)
    }

    /// Where a service keeps the last good configuration. One file per service: processes do not share files.
    #[must_use]
    pub fn last_good(&self, service: Service) -> PathBuf {
        self.state.join(format!("last-good-{service}.json"))
    }
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    server: String,
    forest: String,
    state: PathBuf,
    mailboxes: Option<PathBuf>,
    directory: DirectoryFile,
    identity: IdentityFile,
    otlp: Option<String>,
    advertise: Option<IpAddr>,
    #[serde(default)]
    dns: Vec<SocketAddr>,
    trusted_roots: Option<PathBuf>,
    #[serde(default)]
    allow_private_targets: bool,
    #[serde(default)]
    peers: BTreeMap<String, BTreeMap<String, SocketAddr>>,
    #[serde(default)]
    services: BTreeMap<String, ServiceSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", tag = "kind")]
enum DirectoryFile {
    Embedded {
        path: PathBuf,
    },
    #[serde(rename_all = "kebab-case")]
    Etcd {
        endpoints: Vec<String>,
        ca: Option<PathBuf>,
        identity: Option<PathBuf>,
        user: Option<String>,
        password_file: Option<PathBuf>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IdentityFile {
    path: PathBuf,
    organization_key: Option<PathBuf>,
}

impl File {
    fn check(self) -> Result<Settings, (&'static str, String)> {
        let services = self.services.into_iter().map(|(name, settings)| Ok((name.parse::<Service>()?, settings)));
        let services = services.collect::<Result<_, net::ServiceError>>();
        let peers = peers(self.peers).map_err(|text| ("peers", text))?;
        let directory = match self.directory {
            DirectoryFile::Embedded { path } => DirectorySettings::Embedded { path },
            DirectoryFile::Etcd { endpoints, .. } if endpoints.is_empty() => {
                return Err((
                    "directory.endpoints",
                    "name at least one member, such as \"https://etcd1:2379\"".to_owned(),
                ));
            }
            DirectoryFile::Etcd { endpoints, ca, identity, user, password_file } => {
                if user.is_some() != password_file.is_some() {
                    return Err(("directory.user", "user and password-file go together".to_owned()));
                }
                DirectorySettings::Etcd { endpoints, ca, identity, user, password_file }
            }
        };
        let key = self.identity.organization_key.unwrap_or_else(|| self.identity.path.join("organization.key"));
        Ok(Settings {
            server: ServerName::parse(&self.server).map_err(|error| ("server", error.to_string()))?,
            forest: Domain::parse(&self.forest).map_err(|error| ("forest", error.to_string()))?,
            mailboxes: self.mailboxes.unwrap_or_else(|| self.state.join("mailboxes")),
            state: self.state,
            directory,
            identity: self.identity.path,
            organization_key: key,
            otlp: self.otlp,
            advertise: self.advertise,
            dns: self.dns,
            trusted_roots: self.trusted_roots,
            allow_private_targets: self.allow_private_targets,
            peers,
            services: services.map_err(|error| ("services", error.to_string()))?,
        })
    }
}

type PeerAddresses = BTreeMap<ServerName, BTreeMap<Service, SocketAddr>>;

fn peers(written: BTreeMap<String, BTreeMap<String, SocketAddr>>) -> Result<PeerAddresses, String> {
    let service = |(name, address): (String, SocketAddr)| {
        name.parse::<Service>().map(|service| (service, address)).map_err(|error| error.to_string())
    };
    let server = |(name, services): (String, BTreeMap<String, SocketAddr>)| {
        let name = ServerName::parse(&name).map_err(|error| error.to_string())?;
        Ok((name, services.into_iter().map(service).collect::<Result<_, _>>()?))
    };
    written.into_iter().map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        server = "BERLIN1"
        forest = "contoso.com"
        state = "/var/lib/postroad"
        otlp = "http://127.0.0.1:4317"
        [directory]
        kind = "etcd"
        endpoints = ["https://etcd1:2379"]
        [identity]
        path = "/etc/postroad/identity"
        [services.transport]
        organization = "127.0.0.1:7525"
        metrics = "127.0.0.1:9525"
        [peers.OSLO1]
        transport = "192.0.2.7:7525"
    "#;

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let settings = Settings::parse(GOOD, Path::new("server.toml")).unwrap();
        assert_eq!(settings.organization_address(Service::Transport), "127.0.0.1:7525".parse().unwrap());
        assert_eq!(settings.organization_address(Service::MailboxDelivery).port(), 5475);
        assert_eq!(settings.organization_key, Path::new("/etc/postroad/identity/organization.key"));
        assert!(!settings.allow_private_targets);
        let oslo = &settings.peers[&ServerName::parse("oslo1").unwrap()];
        assert_eq!(oslo[&Service::Transport], "192.0.2.7:7525".parse().unwrap());
    }

    #[test]
    fn no_database_leaves_the_folder_of_mailboxes() {
        let settings = Settings::parse(GOOD, Path::new("server.toml")).unwrap();
        for (name, folder) in
            [("Mailbox Database 1", "Mailbox Database 1"), ("..", "%2E."), ("../x", "%2E.%2Fx"), ("a%2Fb", "a%252Fb")]
        {
            let path = settings.mailbox_database(&ObjectName::parse(name).unwrap());
            assert_eq!(path.parent().map(|parent| parent.join(folder)), Some(path.clone()), "{name}");
            assert!(path.starts_with(&settings.mailboxes));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (change, expected) in [
            (GOOD.replace("BERLIN1", " "), "server: "),
            (GOOD.replace("services.transport", "services.transports"), "services: "),
            (GOOD.replace("\"https://etcd1:2379\"", ""), "directory.endpoints: "),
            (GOOD.replace("transport = \"192", "transports = \"192"), "peers: "),
            (GOOD.replace("otlp", "oltp"), "unknown field `oltp`"),
            (GOOD.replace("127.0.0.1:9525", "nowhere"), "line 13"),
        ] {
            let error = Settings::parse(&change, Path::new("server.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
