//! A lab for one test: the program under test, an organization that does not wait long, and ways to send mail and to see
//! where it has come to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ::lab::traces::{Span, TraceQuery};
use ::lab::world::{ServerLayout, WorldOptions};
use ::lab::{LabFile, World};
use envelope::{Domain, ServerName};
use net::Service;
use telemetry::catalogue;
use tempfile::TempDir;

use crate::{Counts, program};

/// One server, one mailbox, one way out.
pub const ONE_SERVER: &str = "
transportConfig: {privateTargetRanges: [127.0.0.0/8]}
acceptedDomains: [{name: contoso, domain: contoso.example, type: Authoritative, default: true}]
sites: [{name: Berlin}]
servers: [{name: BERLIN1, fqdn: berlin1.contoso.example, site: Berlin, transport: QUICK}]
databases: [{name: DB-Berlin1, server: BERLIN1}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [BERLIN1], port: 2500}]
recipients: [{name: anna, primaryAddress: anna@contoso.example, database: DB-Berlin1, password: demo-anna}]
internet:
  domains: [{name: fabrikam.example, mx: [{host: mx.fabrikam.example}]}]
  hosts: [{name: mx.fabrikam.example}]
lab: {smtpPort: 2500}
";

/// What `transport: QUICK` in a lab file stands for: what waits for minutes in production waits for a second here, and what else the
/// machine's disk is full of does not matter.
const QUICK: &str = "{queueGlitchRetryInterval: 00:00:01, transientFailureRetryInterval: 00:00:01, \
    outboundConnectionFailureRetryInterval: 00:00:01, messageRetryInterval: 00:00:01, \
    mailboxDeliveryQueueRetryInterval: 00:00:01, resolverRetryInterval: 00:00:01, \
    backPressure: {databaseUsedSpace: NEVER_FULL}}";

/// What `NEVER_FULL` stands for: by these thresholds no disk is too full for mail.
pub(crate) const NEVER_FULL: &str = "{lowToMedium: 100, mediumToHigh: 100, highToMedium: 100, mediumToLow: 100}";

/// A running lab.
pub struct Lab {
    /// What runs, and the internet around it.
    pub world: World,
    folder: Files,
}

/// Where a lab keeps its files. They stay when the test fails.
struct Files(TempDir);

impl Drop for Files {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("the files of this lab, logs among them, stay in {}", self.0.path().display());
        }
    }
}

impl Lab {
    /// Starts one from a lab file.
    pub async fn start(text: &str) -> Self {
        Self::start_with(text, |_| {}).await
    }

    /// The same, with other options.
    pub async fn start_with(text: &str, change: impl FnOnce(&mut WorldOptions)) -> Self {
        let file = LabFile::parse(&quick(text)).unwrap_or_else(|error| panic!("{error}"));
        let folder = Files(tempfile::Builder::new().prefix("postroad-it-").tempdir().unwrap());
        let mut options = WorldOptions::new(folder.0.path(), folder.0.path(), &program());
        options.log_filter = Some("info".to_owned());
        change(&mut options);
        let started = World::start(&file, options).await;
        let world = started.unwrap_or_else(|error| panic!("{error}"));
        Self { world, folder }
    }

    /// Ends everything in order.
    pub async fn finish(self) {
        let Self { world, folder } = self;
        world.stop().await;
        drop(folder);
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.folder.0.path()
    }

    /// Addresses and files of a server.
    pub fn server(&self, name: &str) -> &ServerLayout {
        self.world.server(&ServerName::parse(name).unwrap()).unwrap()
    }

    /// Kills a service with SIGKILL.
    pub async fn kill(&mut self, server: &str, service: Service) {
        self.world.kill_service(&ServerName::parse(server).unwrap(), service).await.unwrap();
    }

    /// Ends a service with SIGTERM.
    pub async fn stop(&mut self, server: &str, service: Service) {
        self.world.stop_service(&ServerName::parse(server).unwrap(), service).await.unwrap();
    }

    /// Starts a service that was killed or stopped, and waits until it is ready.
    pub async fn start_again(&mut self, server: &str, service: Service) {
        self.start_all_again(&[(server, service)]).await;
    }

    /// The same for several at once.
    pub async fn start_all_again(&mut self, services: &[(&str, Service)]) {
        let started = self.world.start_services(&named(services)).await;
        started.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts services and does not wait for them.
    pub fn spawn_all(&mut self, services: &[(&str, Service)]) {
        self.world.spawn_services(&named(services)).unwrap();
    }

    /// Lets a host of the internet behave so from now on.
    pub async fn set_behavior(&self, host: &str, behavior: ::lab::internet::Behavior) {
        self.world.internet().set_behavior(&Domain::parse(host).unwrap(), behavior).await.unwrap();
    }

    /// Waits until a host of the internet has taken the message.
    pub async fn wait_for_delivery(&self, message_id: &str) -> ::lab::Delivery {
        let mut deliveries = self.world.deliveries();
        let wanted = |delivery: &::lab::Delivery| delivery.message_id.as_deref() == Some(message_id);
        testkit::until(&format!("{message_id} at a host of the internet"), async || {
            deliveries.all().unwrap().iter().find(|delivery| wanted(delivery)).cloned()
        })
        .await
    }

    /// A mailbox, and the first part of its address.
    pub fn inbox(&self, server: &str, database: &str, mailbox: &str) -> Inbox {
        let mailboxes = self.server(server).folder.join("state/mailboxes");
        let maildir = mailboxes.join(database).join(mailbox).join("Maildir");
        Inbox { mailbox: mailbox.to_owned(), maildir, seen: HashMap::new() }
    }

    /// Waits until as many messages as said wait for next hops of a delivery type, as the metrics tell it.
    pub async fn wait_for_queue(&self, server: &str, delivery_type: &str, length: u64) {
        testkit::until(&format!("{length} messages for {delivery_type} on {server}"), async || {
            let counts = self.counts(server, Service::Transport).await.unwrap();
            (counts.labelled(&catalogue::QUEUE_LENGTH, &[delivery_type])? == length).then_some(())
        })
        .await
    }

    /// What a service counts. `None` while nothing answers.
    pub async fn counts(&self, server: &str, service: Service) -> Option<Counts> {
        Counts::ask(self.server(server).services[&service].metrics).await.ok()
    }

    /// Octets of memory that a service uses, as the kernel says it.
    pub fn resident(&self, server: &str, service: Service) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid(server, service))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// The process of a service.
    pub fn pid(&self, server: &str, service: Service) -> u32 {
        let status = self.world.status();
        let server = status.servers.iter().find(|status| status.name == server).unwrap();
        server.processes.iter().find(|process| process.service == service.as_str()).unwrap().pid
    }

    /// Whether a service that was started is no more: it has ended by itself, and nobody has started it again.
    pub fn has_ended(&self, server: &str, service: Service) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid(server, service)));
        !status.is_ok_and(|status| !status.contains("State:\tZ"))
    }

    /// Waits until a message's trace has so many spans of this name, and gives them.
    pub async fn wait_for_spans(&self, message_id: &str, name: &str, count: usize) -> Vec<Span> {
        let query = TraceQuery::InternetMessageId(message_id.to_owned());
        testkit::until(&format!("{count} spans {name} of {message_id}"), async || {
            let trace = self.world.traces().find(&query).unwrap()?;
            let spans: Vec<Span> = trace.named(name).cloned().collect();
            (spans.len() >= count).then_some(spans)
        })
        .await
    }
}

/// A lab file with `QUICK` and `NEVER_FULL` put in their places.
pub(crate) fn quick(text: &str) -> String {
    text.replace("QUICK", QUICK).replace("NEVER_FULL", NEVER_FULL)
}

/// The part of a lab file that is an organization file, when the others stand after it.
pub fn organization_text(text: &str) -> String {
    quick(text.split("\ninternet:").next().unwrap())
}

/// A mailbox as its owner's mail reader sees it: a plain Maildir.
pub struct Inbox {
    mailbox: String,
    maildir: PathBuf,
    seen: HashMap<PathBuf, String>,
}

impl Inbox {
    /// Its name.
    pub fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// Puts a message into the outbox, as a mail reader does: written aside, then moved in whole.
    pub fn send(&self, name: &str, content: &[u8]) {
        let outbox = self.maildir.join(".Outbox");
        for folder in ["tmp", "new", "cur"] {
            std::fs::create_dir_all(outbox.join(folder)).unwrap();
        }
        let aside = outbox.join("tmp").join(name);
        std::fs::write(&aside, content).unwrap();
        std::fs::rename(&aside, outbox.join("new").join(name)).unwrap();
    }

    /// The `Message-ID` of every message in it.
    pub fn message_ids(&mut self) -> impl Iterator<Item = &str> {
        for file in std::fs::read_dir(self.maildir.join("new")).into_iter().flatten().flatten() {
            let path = file.path();
            self.seen.entry(path).or_insert_with_key(|path| message_id(&std::fs::read(path).unwrap()));
        }
        self.seen.values().map(String::as_str)
    }

    /// Waits until the message is there.
    pub async fn wait_for(&mut self, message_id: &str) {
        testkit::until(&format!("{message_id} in {}", self.maildir.display()), async || {
            self.message_ids().any(|id| id == message_id).then_some(())
        })
        .await
    }
}

fn message_id(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let value = text.lines().find_map(|line| line.strip_prefix("Message-ID:"));
    value.unwrap_or_default().trim().to_owned()
}

fn named(services: &[(&str, Service)]) -> Vec<(ServerName, Service)> {
    services.iter().map(|(server, service)| (ServerName::parse(server).unwrap(), *service)).collect()
}
