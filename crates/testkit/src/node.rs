//! A whole organization in a temporary folder: an embedded directory filled from a YAML file, an authority, and the nodes
//! of its servers, all on loopback.
//!
//! ```no_run
//! # async fn test() {
//! use net::Service;
//! let world = testkit::World::new("sites: [{name: Berlin}]\nservers: [{name: BERLIN1, …}]").await;
//! let transport = world.node("BERLIN1", Service::Transport).await;
//! # }
//! ```

#![expect(clippy::disallowed_methods, reason = "certificates and messages of a test are of now")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use directory::{Author, Backend, EmbeddedSettings, Sealer};
use envelope::{Domain, Revision, ServerName};
use net::certificate::NodeIdentity;
use net::{CertificateAuthority, Service};
use organization::{Document, WithoutSecrets, objects, plan};
use runtime::{Commons, Node, Settings};
use telemetry::{LogSettings, Telemetry, TelemetrySettings};
use tempfile::TempDir;
use topology::Thresholds;

use crate::wait::until;

/// The forest of every world.
pub const FOREST: &str = "contoso.com";

/// By these no disk is too full for mail.
const NEVER_FULL: Thresholds = match Thresholds::new(100, 100, 100, 100) {
    Ok(thresholds) => thresholds,
    Err(_) => panic!("they fit each other"),
};

/// Who changes the organizations of tests.
#[must_use]
pub fn author() -> Author {
    Author::new("testkit", "a test")
}

/// An organization for one test. Everything is gone when it is dropped.
pub struct World {
    folder: TempDir,
    authority: CertificateAuthority,
    directory: Arc<dyn Backend>,
}

impl World {
    /// The organization of a YAML file. Secrets in it become placeholders.
    ///
    /// # Panics
    /// When the file has a mistake, with its position.
    pub async fn new(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Sealer::generate(&folder.path().join("organization.key")).expect("a key can be made");
        let forest = Domain::parse(FOREST).expect("a domain");
        let authority = CertificateAuthority::create(&forest, SystemTime::now().into()).expect("an authority");
        let file = EmbeddedSettings::new(folder.path().join("directory.db"));
        let directory = directory::open_embedded(&file, FOREST).expect("a directory");
        let world = Self { folder, authority, directory };
        world.apply(yaml).await;
        world
    }

    /// Changes the organization to what another file says; nodes follow soon ([`Self::applied`]).
    ///
    /// # Panics
    /// When the file has a mistake.
    pub async fn apply(&self, yaml: &str) -> Revision {
        let document = Document::parse(yaml).unwrap_or_else(|problems| panic!("{problems}"));
        let (mut draft, recipients) =
            document.to_draft(&WithoutSecrets).unwrap_or_else(|problems| panic!("{problems}"));
        if draft.transport_config.private_target_ranges.is_empty() {
            // Hosts outside are on loopback.
            draft.transport_config.private_target_ranges.push("127.0.0.0/8".parse().expect("a range"));
        }
        for server in &mut draft.servers {
            // What else the machine's disk is full of is no business of a test's.
            server.transport.back_pressure.database_used_space.get_or_insert(NEVER_FULL);
        }
        let now = self.directory.snapshot().await.expect("the directory is there");
        let known = directory::all_recipients(self.directory.as_ref()).await.expect("the directory is there");
        let plan = plan(objects(now.draft(), &known), objects(&draft, &recipients));
        let applied = directory::apply(self.directory.as_ref(), plan, now.revision(), &author()).await;
        applied.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The directory that all nodes share.
    #[must_use]
    pub fn directory(&self) -> &Arc<dyn Backend> {
        &self.directory
    }

    /// The authority of the organization.
    #[must_use]
    pub fn authority(&self) -> &CertificateAuthority {
        &self.authority
    }

    /// The settings of a server: every service listens on a free port of loopback.
    ///
    /// # Panics
    /// When the name is none.
    #[must_use]
    pub fn settings(&self, server: &str) -> Settings {
        self.settings_with(server, "", "")
    }

    /// The same for services whose clients come by a load balancer, which says who they are.
    ///
    /// # Panics
    /// As [`Self::settings`].
    #[must_use]
    pub fn settings_behind_balancer(&self, server: &str) -> Settings {
        self.settings_with(server, "load-balancers = [\"127.0.0.0/8\"]\n", "")
    }

    /// The same with a Unix socket of Transport, for delivery agents.
    ///
    /// # Panics
    /// As [`Self::settings`].
    #[must_use]
    pub fn settings_with_socket(&self, server: &str) -> Settings {
        let socket = self.folder.path().join(format!("{server}.sock"));
        self.settings_with(server, "", &format!("socket = \"{}\"\n", socket.display()))
    }

    fn settings_with(&self, server: &str, of_services: &str, of_transport: &str) -> Settings {
        let (folder, home) = (self.folder.path().display(), self.home(server));
        let home = home.display();
        let services = ["frontend-transport", "transport", "mailbox-submission", "mailbox-delivery", "admin"];
        let free = "\"127.0.0.1:0\"";
        let services = services.map(|name| {
            let own = if name == "transport" { of_transport } else { "" };
            format!("[services.{name}]\norganization = {free}\nsmtp = {free}\nsubmission = {free}\n{of_services}{own}")
        });
        let text = format!(
            "server = \"{server}\"\nforest = \"{FOREST}\"\nstate = \"{home}/state\"\n\
             [directory]\nkind = \"embedded\"\npath = \"{folder}/directory.db\"\n\
             [identity]\npath = \"{home}/identity\"\norganization-key = \"{folder}/organization.key\"\n{}",
            services.concat()
        );
        Settings::parse(&text, &self.folder.path().join("server.toml")).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A service of a server, as its process would have it.
    ///
    /// # Panics
    /// When the organization has no such server.
    pub async fn node(&self, server: &str, service: Service) -> Arc<Node> {
        self.node_with(self.settings(server), service).await
    }

    /// The same with settings of one's own, made from [`Self::settings`].
    ///
    /// # Panics
    /// As [`Self::node`].
    pub async fn node_with(&self, settings: Settings, service: Service) -> Arc<Node> {
        self.certify(&settings, service).await;
        let telemetry = Telemetry::install(&TelemetrySettings {
            service: "test",
            version: "0",
            server: settings.server.clone(),
            site: None,
            logs: LogSettings { filter: "warn".to_owned(), ..LogSettings::default() },
            collector: None,
        });
        let telemetry = telemetry.unwrap_or_else(|error| panic!("{error}"));
        let node = Node::start(Arc::new(settings), service, &telemetry, &Commons::default()).await;
        Arc::new(node.unwrap_or_else(|error| panic!("{error}")))
    }

    /// Waits until a node knows where a service of a server is.
    pub async fn found(&self, node: &Node, server: &str, service: Service) -> rpc::PeerAddress {
        let server = ServerName::parse(server).expect("a server name");
        until("the address of a service", async || node.find(&server, service).await).await
    }

    /// Waits until a node has heard of a service of a server from itself.
    pub async fn found_by_presence(&self, node: &Node, server: &str, service: Service) -> rpc::PeerAddress {
        let server = ServerName::parse(server).expect("a server name");
        until("a service to be heard of", async || node.heard_of(&server, service)).await
    }

    /// Waits until a node has applied a revision.
    pub async fn applied(&self, node: &Node, revision: Revision) {
        until("a configuration to be applied", async || (node.revision() >= revision).then_some(())).await;
    }

    async fn certify(&self, settings: &Settings, service: Service) {
        let organization = self.directory.snapshot().await.expect("the directory is there");
        let server = organization.server(&settings.server);
        let server = server.unwrap_or_else(|| panic!("the organization has no server {}", settings.server));
        let (name, fqdn) = (server.name.clone(), server.fqdn.clone());
        let identity = NodeIdentity { server: name, fqdn, services: BTreeSet::from([service]) };
        let issued = self.authority.issue(&identity, SystemTime::now().into()).expect("a certificate");
        issued.save_to(&settings.identity.join(service.as_str())).expect("files can be written");
        std::fs::write(settings.identity.join("ca.pem"), self.authority.certificate_pem())
            .expect("files can be written");
    }

    fn home(&self, server: &str) -> PathBuf {
        self.folder.path().join(server.to_lowercase())
    }
}
