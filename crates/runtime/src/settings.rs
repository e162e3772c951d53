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
//! [administrators]                       # users of this server, by the socket of its admin service
//! anna = ["Server Management"]
//! [agents]                               # users of this server who are delivery agents, by the socket of Transport
//! fax = ["FAX"]
//! [ldap.contoso]                         # another directory that keeps recipients, and log-ons
//! servers = ["ldaps://dc1.contoso.com"]
//! base = "DC=contoso,DC=com"
//! schema = "active-directory"
//! [kerberos]                             # who logs on to smart hosts with smartHostAuthMechanism ExchangeServer
//! keytab = "/etc/postroad/krb5.keytab"
//! [services.frontend-transport]
//! smtp = ["0.0.0.0:25", "[::]:25"]       # without it, where the Receive connectors say
//! submissions = ["0.0.0.0:465"]          # TLS from the first octet
//! [services.transport]
//! organization = "0.0.0.0:7525"          # the implicit connector
//! metrics = "127.0.0.1:9525"             # /metrics, /live, /ready
//! [peers.OSLO1]                          # only where another server is not found at what it announces
//! transport = "192.0.2.7:7525"
//! ```

pub mod schema;
pub mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use authority::RoleGroup;
use envelope::{Domain, ObjectName, ServerName};
use net::Service;
use serde::{Deserialize, Deserializer};
use topology::RemoteRange;

use self::schema::UnknownKey;
use self::sources::LdapFile;
pub use self::sources::LdapSettings;

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
    /// It has keys that there are not.
    #[error("{}", unknown(path, keys))]
    Unknown {
        /// Which file.
        path: PathBuf,
        /// Which keys.
        keys: Vec<UnknownKey>,
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

fn unknown(path: &Path, keys: &[UnknownKey]) -> String {
    let line = |UnknownKey { line, path: key, known }: &UnknownKey| {
        format!("{}:{line}: there is no setting {key}; there are {}", path.display(), known.join(", "))
    };
    keys.iter().map(line).collect::<Vec<_>>().join("\n       ")
}

/// Where the organization's configuration is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectorySettings {
    /// A SQLite file that the processes of one machine share.
    Embedded {
        /// The file.
        path: PathBuf,
    },
    /// A cluster that several machines share: what an organization of more than one server needs.
    Etcd {
        /// `http://` or `https://` addresses of its members.
        endpoints: Vec<String>,
        /// PEM of the authority that certified them. Default for `https://`: the organization's.
        ca: Option<PathBuf>,
        /// Directory with `cert.pem` and `key.pem` that every service and command shows to them. Default: each its own, in
        /// folder `etcd` of its certificate.
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
    #[serde(default, deserialize_with = "one_or_several")]
    pub smtp: Vec<SocketAddr>,
    /// SMTP from mail clients. Stands for every binding on port 587 (Front End Transport) or 465 (Transport).
    #[serde(default, deserialize_with = "one_or_several")]
    pub submission: Vec<SocketAddr>,
    /// SMTP from mail clients by the same connector, under TLS from the first octet (RFC 8314). Default: none.
    #[serde(default, deserialize_with = "one_or_several")]
    pub submissions: Vec<SocketAddr>,
    /// Who begins connections with the PROXY protocol. Default: nobody.
    #[serde(default, deserialize_with = "ranges")]
    pub load_balancers: Vec<RemoteRange>,
    /// A Unix socket for users of this server. Of the admin service: default `<state>/admin.sock`. Of Transport, for delivery
    /// agents: none by default.
    pub socket: Option<PathBuf>,
}

/// One address, or a list of them.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Several(Vec<String>),
    }
    let written = match Written::deserialize(deserializer) {
        Ok(Written::One(one)) => vec![one],
        Ok(Written::Several(several)) => several,
        Err(_) => {
            return Err(serde::de::Error::custom(
                "an address with its port, such as \"0.0.0.0:25\", or a list of them",
            ));
        }
    };
    let address = |text: String| {
        let wrong =
            || serde::de::Error::custom(format!("{text:?} is no address with its port, such as \"0.0.0.0:25\""));
        text.parse().map_err(|_| wrong())
    };
    written.into_iter().map(address).collect()
}

fn ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RemoteRange>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// What the queue takes of the disk at a time unless told otherwise, in MiB.
pub const QUEUE_SEGMENT_MIB_DEFAULT: u32 = 64;
/// And at the most.
pub const QUEUE_SEGMENT_MIB_MAX: u32 = 1024;

const fn queue_segment_default() -> u32 {
    QUEUE_SEGMENT_MIB_DEFAULT
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
    /// Folder below which Foreign connectors of this server write files. Default: none, and their mail waits.
    pub drop: Option<PathBuf>,
    /// Folder of files that Transport sends as messages (PL-56 ff.). Default: none.
    pub pickup: Option<PathBuf>,
    /// The same of files that have their envelope in front. Default: none.
    pub replay: Option<PathBuf>,
    /// MiB that the queue takes of the disk at a time, and at the least: 1 to [`QUEUE_SEGMENT_MIB_MAX`].
    pub queue_segment_mib: u32,
    /// Where the configuration is.
    pub directory: DirectorySettings,
    /// Certificates of the services: `ca.pem`, `<service>/{cert,key}.pem`, `smtp/{cert,key}.pem`.
    pub identity: PathBuf,
    /// The key under which the organization's secrets are sealed: read by Transport and by commands, by no other service.
    /// Default: `<identity>/organization.key`.
    pub organization_key: PathBuf,
    /// OTLP collector (`http://host:4317`, `https://host:4317`). Default: none, no traces.
    pub otlp: Option<String>,
    /// Address by which other servers reach this one, when it differs from the one listened on.
    pub advertise: Option<IpAddr>,
    /// Name servers used instead of the machine's, for a lab.
    pub dns: Vec<SocketAddr>,
    /// Roots trusted besides the system's when certificates of hosts outside are checked (PEM).
    pub trusted_roots: Option<PathBuf>,
    /// The authority of a collector at `https://` (PEM).
    pub otlp_ca: Option<PathBuf>,
    /// Where services of other servers are found from here, when that is not what they announce: behind address translation
    /// or a tunnel. Default: none.
    pub peers: BTreeMap<ServerName, BTreeMap<Service, SocketAddr>>,
    /// Role groups of users of this server's operating system who come by the socket of its admin service. Default: none but
    /// root and the service's own user, who are in Organization Management.
    pub administrators: BTreeMap<String, BTreeSet<RoleGroup>>,
    /// Which users of this server's operating system may be delivery agents, and for which protocols, in lower case. Default: none
    /// but root and the service's own user, for all.
    pub agents: BTreeMap<String, BTreeSet<String>>,
    /// Other directories that keep recipients, by the name that each is given here.
    pub ldap: BTreeMap<ObjectName, LdapSettings>,
    /// Who logs on to smart hosts by Kerberos. Default: nobody.
    pub kerberos: Option<KerberosSettings>,
    services: BTreeMap<Service, ServiceSettings>,
}

/// Who this server is in a realm of Kerberos.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KerberosSettings {
    /// The file with its keys.
    pub keytab: PathBuf,
    /// Which principal of it. Default: the first.
    pub principal: Option<String>,
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
        let keys = schema::unknown_keys(text);
        if !keys.is_empty() {
            return Err(SettingsError::Unknown { path: path.to_owned(), keys });
        }
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

    /// Whether this server runs a service, where that is for the settings to say: the admin service.
    #[must_use]
    pub fn has_service(&self, service: Service) -> bool {
        self.services.contains_key(&service)
    }

    /// The Unix socket of the admin service.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.service(Service::Admin).socket.unwrap_or_else(|| self.state.join("admin.sock"))
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

    /// Where services keep what the directory said last.
    #[must_use]
    pub fn remembered(&self) -> PathBuf {
        self.state.join("last-good")
    }

    /// Where a service keeps the last good configuration. One file per service: processes do not share files.
    #[must_use]
    pub fn last_good(&self, service: Service) -> PathBuf {
        self.remembered().join(format!("{service}.json"))
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
    drop: Option<PathBuf>,
    pickup: Option<PathBuf>,
    replay: Option<PathBuf>,
    #[serde(default = "queue_segment_default")]
    queue_segment: u32,
    directory: DirectoryFile,
    identity: IdentityFile,
    otlp: Option<String>,
    advertise: Option<IpAddr>,
    #[serde(default)]
    dns: Vec<SocketAddr>,
    trusted_roots: Option<PathBuf>,
    otlp_ca: Option<PathBuf>,
    #[serde(default)]
    peers: BTreeMap<String, BTreeMap<String, SocketAddr>>,
    #[serde(default)]
    administrators: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    agents: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    ldap: BTreeMap<String, LdapFile>,
    kerberos: Option<KerberosSettings>,
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
    /// What has no effect, or contradicts itself.
    fn contradictions(&self) -> Result<(), (&'static str, String)> {
        if !(1..=QUEUE_SEGMENT_MIB_MAX).contains(&self.queue_segment) {
            return Err(("queue-segment", format!("a number of MiB, from 1 to {QUEUE_SEGMENT_MIB_MAX}")));
        }
        let has_socket = |name: &str| matches!(name, "admin" | "transport");
        if self.services.iter().any(|(name, service)| service.socket.is_some() && !has_socket(name)) {
            return Err(("services", "only the admin service and Transport have a socket".to_owned()));
        }
        // PL-56. Nor may what leaves by files come in again as mail of anybody.
        let folders = [("pickup", &self.pickup), ("replay", &self.replay), ("drop", &self.drop)];
        for (at, (name, folder)) in folders.iter().enumerate() {
            for (other, above) in folders.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other) {
                if let (Some(folder), Some(above)) = (folder, above)
                    && folder.starts_with(above)
                {
                    return Err((name, format!("it lies in the folder of `{other}`: name another one")));
                }
            }
        }
        Ok(())
    }

    fn check(self) -> Result<Settings, (&'static str, String)> {
        self.contradictions()?;
        let services = self.services.into_iter().map(|(name, settings)| Ok((name.parse::<Service>()?, settings)));
        let services = services.collect::<Result<_, net::ServiceError>>();
        let peers = peers(self.peers).map_err(|text| ("peers", text))?;
        let groups = |(user, groups): (String, Vec<String>)| {
            let groups: Result<BTreeSet<RoleGroup>, String> = groups.iter().map(|group| group.parse()).collect();
            Ok((user, groups?))
        };
        let administrators = self.administrators.into_iter().map(groups).collect::<Result<_, String>>();
        let ldap = sources::check(self.ldap)?;
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
        match (&self.otlp, &self.otlp_ca) {
            (Some(otlp), None) if otlp.starts_with("https:") => {
                return Err(("otlp-ca", "name the authority of the collector, a file in PEM".to_owned()));
            }
            (otlp, Some(_)) if otlp.as_ref().is_none_or(|otlp| !otlp.starts_with("https:")) => {
                return Err((
                    "otlp",
                    "with otlp-ca it is an https address, such as \"https://collector:4317\"".to_owned(),
                ));
            }
            _ => {}
        }
        let key = self.identity.organization_key.unwrap_or_else(|| self.identity.path.join("organization.key"));
        Ok(Settings {
            server: ServerName::parse(&self.server).map_err(|error| ("server", error.to_string()))?,
            forest: Domain::parse(&self.forest).map_err(|error| ("forest", error.to_string()))?,
            mailboxes: self.mailboxes.unwrap_or_else(|| self.state.join("mailboxes")),
            state: self.state,
            drop: self.drop,
            pickup: self.pickup,
            replay: self.replay,
            queue_segment_mib: self.queue_segment,
            directory,
            identity: self.identity.path,
            organization_key: key,
            otlp: self.otlp,
            advertise: self.advertise,
            dns: self.dns,
            trusted_roots: self.trusted_roots,
            otlp_ca: self.otlp_ca,
            peers,
            ldap,
            kerberos: self.kerberos,
            administrators: administrators.map_err(|text| ("administrators", text))?,
            agents: self.agents.into_iter().map(|(user, protocols)| (user, lower(&protocols))).collect(),
            services: services.map_err(|error| ("services", error.to_string()))?,
        })
    }
}

fn lower(protocols: &BTreeSet<String>) -> BTreeSet<String> {
    protocols.iter().map(|protocol| protocol.to_lowercase()).collect()
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
        [administrators]
        anna = ["Server Management"]
        [ldap.contoso]
        servers = ["ldaps://dc1.contoso.com", "ldap://dc2.contoso.com"]
        base = "DC=contoso,DC=com"
        schema = "active-directory"
        bind-dn = "CN=reader,DC=contoso,DC=com"
        password-file = "/etc/postroad/ldap-password"
    "#;

    #[test]
    fn a_file_is_read_with_its_defaults() {
        let settings = Settings::parse(GOOD, Path::new("server.toml")).unwrap();
        assert_eq!(settings.organization_address(Service::Transport), "127.0.0.1:7525".parse().unwrap());
        assert_eq!(settings.organization_address(Service::MailboxDelivery).port(), 5475);
        assert_eq!(settings.organization_key, Path::new("/etc/postroad/identity/organization.key"));
        assert_eq!(settings.administrators["anna"], [RoleGroup::ServerManagement].into());
        assert_eq!(settings.admin_socket(), Path::new("/var/lib/postroad/admin.sock"));
        let contoso = &settings.ldap[&ObjectName::parse("Contoso").unwrap()];
        assert_eq!((contoso.servers.len(), contoso.deletions_percent_max, contoso.logons), (2, 10, false));
        let oslo = &settings.peers[&ServerName::parse("oslo1").unwrap()];
        assert_eq!(oslo[&Service::Transport], "192.0.2.7:7525".parse().unwrap());
    }

    #[test]
    fn an_entrance_has_one_address_or_several() {
        let written = "organization = \"127.0.0.1:7525\"\nsmtp = '192.0.2.1:25'\nsubmissions = ['0.0.0.0:465', '[::]:465']\n\
            load-balancers = ['192.0.2.0/28']";
        let text = GOOD.replace("organization = \"127.0.0.1:7525\"", written);
        let transport = Settings::parse(&text, Path::new("server.toml")).unwrap().service(Service::Transport);
        assert_eq!(transport.smtp, ["192.0.2.1:25".parse().unwrap()]);
        assert_eq!(transport.submissions, ["0.0.0.0:465", "[::]:465"].map(|text| text.parse().unwrap()));
        assert!(transport.load_balancers[0].contains("192.0.2.15".parse().unwrap()));
        let wrong = Settings::parse(&text.replace("192.0.2.1:25", "192.0.2.1"), Path::new("server.toml")).unwrap_err();
        assert!(wrong.to_string().contains("such as \"0.0.0.0:25\""), "{wrong}");
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
            (GOOD.replace("Server Man", "Serve Man"), "administrators: \"Serve Management\" is no role group"),
            (GOOD.replace("ldaps://", "http://"), "ldap.servers: \"http://dc1.contoso.com\" is no server"),
            (GOOD.replace("active-d", "d"), "ldap.schema: "),
            (GOOD.replace("bind-dn", "filter"), "ldap.bind-dn: "),
            (GOOD.replace("schema =", "deletions-percent-max = 101\n        schema ="), "ldap.deletions-percent-max: "),
            (
                GOOD.replace("otlp =", "queue-segment = 0\n        otlp ="),
                "queue-segment: a number of MiB, from 1 to 1024",
            ),
            (GOOD.replace("http://127", "https://127"), "otlp-ca: "),
            (GOOD.replace("otlp =", "otlp-ca = '/ca.pem'\n        otlp ="), "otlp: "),
            (
                GOOD.replace("otlp =", "allow-private-targets = true\n        otlp ="),
                "no setting allow-private-targets",
            ),
            (GOOD.replace("otlp", "oltp"), "server.toml:5: there is no setting oltp; there are server, forest, state"),
            // All at once.
            (
                GOOD.replace("otlp", "oltp").replace("metrics", "metric"),
                "server.toml:13: there is no setting services.transport.metric;",
            ),
            (GOOD.replace("127.0.0.1:9525", "nowhere"), "line 13"),
        ] {
            let error = Settings::parse(&change, Path::new("server.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn folders_of_files_do_not_lie_in_one_another() {
        // PL-56
        let with = |folders: &str| {
            let text = GOOD.replace("        otlp", &format!("{folders}\n        otlp"));
            Settings::parse(&text, "server.toml".as_ref()).map(drop)
        };
        for folders in
            ["pickup = '/m'\nreplay = '/m'", "pickup = '/m/in'\ndrop = '/m'", "replay = '/m'\ndrop = '/m/out'"]
        {
            let told = with(folders).unwrap_err().to_string();
            assert!(told.contains("it lies in the folder of"), "{folders}: {told}");
        }
        with("pickup = '/m/in'\nreplay = '/m/again'\ndrop = '/m/out'").unwrap();
    }
}
