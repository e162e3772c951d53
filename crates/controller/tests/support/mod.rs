//! Kubernetes' API server for custom resources as a process over a real etcd, the directory in the same etcd, and controllers between.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use controller::{Cluster, Controller, ControllerSettings, GROUP, KINDS, Seals, definitions};
use directory::{Administration, Announcement, Author, Backend, EtcdSettings, Presence};
use envelope::{Revision, ServerName, Service, Timestamp};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use organization::{Object, Secrets, WithoutSecrets};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::etcd::EtcdServer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Names the program.
const PROGRAM: &str = "POSTROAD_API_SERVER";
/// Where `make test-controller` puts it, seen from this crate.
const BUILT: &str = "../../target/peers/kubernetes/apiextensions-apiserver";
const NAMESPACE: &str = "postroad";

const ORGANIZATION: &str = "\
sites: [{name: Berlin}, {name: Oslo}]
siteLinks: [{name: Berlin-Oslo, sites: [Berlin, Oslo]}]
servers: [{name: M1, fqdn: m1.contoso.example, site: Berlin}, {name: M2, fqdn: m2.contoso.example, site: Oslo}]
databases: [{name: DB1, server: M1}]
acceptedDomains: [{name: Contoso, domainName: contoso.example, default: true}]
sendConnectors: [{name: Internet, addressSpaces: ['*'], sourceTransportServers: [M1]}]
";

/// Waits until `look` finds something.
pub(crate) async fn until<T>(look: impl AsyncFnMut() -> Option<T>) -> T {
    testkit::wait::until("what was to come about", look).await
}

/// Everything that a test needs.
pub(crate) struct Premises {
    directory: Arc<dyn Backend>,
    server: ApiServer,
    _etcd: EtcdServer,
}

/// A controller that runs.
pub(crate) struct Running {
    drain: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn end(self) {
        self.drain.cancel();
        self.task.await.unwrap();
    }
}

impl Premises {
    /// Nothing where there is no API server, aloud.
    pub(crate) async fn open() -> Option<Self> {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join(BUILT);
        let program = std::env::var_os(PROGRAM).map_or(built, PathBuf::from);
        if !program.exists() {
            eprintln!("left out: there is no API server at {}; `make test-controller` builds one", program.display());
            return None;
        }
        let etcd = EtcdServer::start();
        let server = ApiServer::start(program, &etcd.endpoint()).await;
        server.install().await;
        let settings = EtcdSettings {
            endpoints: vec![etcd.endpoint()],
            tls: None,
            user: None,
            lease_ttl: directory::LEASE_TTL_DEFAULT,
            renewal: None,
        };
        let directory = directory::connect_etcd(settings, directory::FOREST_DEFAULT);
        let premises = Self { directory, server, _etcd: etcd };
        premises.apply(str::to_owned).await;
        Some(premises)
    }

    pub(crate) fn directory(&self) -> &dyn Administration {
        self.directory.as_ref()
    }

    pub(crate) fn cluster(&self) -> TestCluster {
        self.server.cluster.clone()
    }

    /// What `postroad apply` does with the organization of the test, changed.
    pub(crate) async fn apply(&self, change: impl Fn(&str) -> String) {
        let contents = organization::load(&change(ORGANIZATION), Revision(1)).unwrap();
        let wanted = organization::objects(contents.organization.draft(), &[]);
        let before = self.directory.snapshot().await.unwrap();
        let plan = organization::plan(organization::objects(before.draft(), &[]), wanted);
        let author = Author::new("a test", "apply");
        directory::apply(self.directory.as_ref(), plan, before.revision(), &author).await.unwrap();
    }

    /// A service of `server` that works by `revision`.
    pub(crate) fn announce(&self, server: &str, revision: Revision) -> Announcement {
        self.directory.announce(Presence {
            server: ServerName::parse(server).unwrap(),
            service: Service::Transport,
            addresses: Vec::new(),
            started: Timestamp::from_millis(1),
            version: "test".to_owned(),
            applied_revision: revision,
            out_of_reach: Vec::new(),
        })
    }

    pub(crate) async fn controller(&self, name: &str) -> Running {
        let cluster = Cluster::of_kubeconfig(&self.server.kubeconfig, Some(NAMESPACE.to_owned())).await.unwrap();
        let settings = ControllerSettings {
            holder: name.to_owned(),
            author: Author::new(name, "test"),
            clock: Arc::new(|| Timestamp::from_millis(1_700_000_000_000)),
        };
        let directory: Arc<dyn Administration> = self.directory.clone();
        let metrics = telemetry::Metrics::off();
        let controller = Controller::new(cluster, directory, Arc::new(NoSecrets), settings, metrics);
        let drain = CancellationToken::new();
        let task = tokio::spawn(controller.run(drain.clone()));
        Running { drain, task }
    }

    pub(crate) async fn restart_api_server(&mut self) {
        self.server.restart().await;
    }
}

struct NoSecrets;

impl Seals for NoSecrets {
    fn with(&self, _: &[Object], then: &mut dyn FnMut(&dyn Secrets)) -> Result<(), String> {
        then(&WithoutSecrets);
        Ok(())
    }
}

struct ApiServer {
    program: PathBuf,
    arguments: Vec<String>,
    child: Child,
    folder: TempDir,
    kubeconfig: PathBuf,
    cluster: TestCluster,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ApiServer {
    async fn start(program: PathBuf, etcd: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        write_keys(folder.path());
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_of(folder.path(), port)).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut arguments = vec![
            format!("--etcd-servers={etcd}"),
            format!("--secure-port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--authentication-skip-lookup".to_owned(),
            // There are no namespaces and no webhooks: it serves custom resources alone.
            "--disable-admission-plugins=NamespaceLifecycle,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,\
             MutatingAdmissionPolicy,ValidatingAdmissionPolicy"
                .replace(' ', ""),
        ];
        for (flag, name) in [
            ("tls-cert-file", "server.crt"),
            ("tls-private-key-file", "server.key"),
            ("client-ca-file", "ca.crt"),
            ("kubeconfig", "kubeconfig"),
            ("authentication-kubeconfig", "kubeconfig"),
            ("authorization-kubeconfig", "kubeconfig"),
        ] {
            arguments.push(format!("--{flag}={}", at(name)));
        }
        let child = spawn(&program, &arguments, folder.path());
        let config = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let cluster = TestCluster { client: Client::try_from(config).unwrap() };
        let server = Self { program, arguments, child, folder, kubeconfig, cluster };
        server.answering().await;
        server
    }

    /// Its definitions are served.
    async fn answering(&self) {
        until(async || {
            self.cluster.list("customresourcedefinitions", "apiextensions.k8s.io").await.is_empty().then_some(())
        })
        .await;
    }

    async fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.program, &self.arguments, self.folder.path());
        until(async || self.cluster.try_list("sendconnectors", GROUP).await.ok()).await;
    }

    async fn install(&self) {
        let mut all: Vec<Value> = KINDS.into_iter().map(definitions::definition).collect();
        all.push(as_custom_resource("coordination.k8s.io", "Lease", "leases"));
        all.push(as_custom_resource("events.k8s.io", "Event", "events"));
        for definition in &all {
            self.cluster.create("customresourcedefinitions", definition).await.unwrap();
        }
        for definition in &all {
            let (names, group) = (&definition["spec"]["names"], definition["spec"]["group"].as_str().unwrap());
            let plural = names["plural"].as_str().unwrap();
            until(async || self.cluster.try_list(plural, group).await.ok()).await;
        }
    }
}

fn spawn(program: &Path, arguments: &[String], folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap()
}

/// What another part of Kubernetes serves, under its own name.
fn as_custom_resource(group: &str, kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

/// An authority, the server's certificate and that of one of `system:masters`.
fn write_keys(folder: &Path) {
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let (ca_key, mut ca) = (KeyPair::generate().unwrap(), CertificateParams::default());
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "test");
    write("ca.crt", ca.self_signed(&ca_key).unwrap().pem());
    let issuer = Issuer::new(ca, ca_key);
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let mut client = CertificateParams::default();
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    client.distinguished_name.push(DnType::OrganizationName, "system:masters");
    client.distinguished_name.push(DnType::CommonName, "controller");
    for (name, params) in [("server", server), ("client", client)] {
        let key = KeyPair::generate().unwrap();
        write(&format!("{name}.crt"), params.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

fn kubeconfig_of(folder: &Path, port: u16) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{port}"), "certificate-authority": at("ca.crt")}}],
        "users": [{"name": "test", "user": {"client-certificate": at("client.crt"), "client-key": at("client.key")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": NAMESPACE}}],
    })
    .to_string()
}

/// The API server, as a person asks it.
#[derive(Clone)]
pub(crate) struct TestCluster {
    client: Client,
}

impl TestCluster {
    fn api(&self, group: &str, plural: &str) -> Api<DynamicObject> {
        let known: BTreeMap<String, String> = KINDS
            .into_iter()
            .map(definitions::definition)
            .map(|one| {
                (
                    one["spec"]["names"]["plural"].as_str().unwrap().to_owned(),
                    one["spec"]["names"]["kind"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let kind = match plural {
            "customresourcedefinitions" => "CustomResourceDefinition",
            "leases" => "Lease",
            "events" => "Event",
            other => &known[other],
        };
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
        match plural {
            "customresourcedefinitions" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), NAMESPACE, &resource),
        }
    }

    pub(crate) async fn create(&self, plural: &str, object: &Value) -> Result<(), String> {
        let group = object["apiVersion"].as_str().unwrap().split('/').next().unwrap();
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let made = self.api(group, plural).create(&PostParams::default(), &object).await;
        made.map(drop).map_err(|error| error.to_string())
    }

    pub(crate) async fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.get_of(GROUP, plural, name).await
    }

    pub(crate) async fn get_of(&self, group: &str, plural: &str, name: &str) -> Option<Value> {
        let found = self.api(group, plural).get_opt(name).await.unwrap()?;
        Some(serde_json::to_value(found).unwrap())
    }

    pub(crate) async fn merge(&self, plural: &str, name: &str, patch: &Value) -> Result<(), String> {
        let patched = self.api(GROUP, plural).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(drop).map_err(|error| error.to_string())
    }

    /// Changes a definition that is there.
    pub(crate) async fn redefine(&self, definition: &Value) {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let api = self.api("apiextensions.k8s.io", "customresourcedefinitions");
        api.patch(name, &PatchParams::default(), &Patch::Merge(definition)).await.unwrap();
    }

    pub(crate) async fn delete(&self, plural: &str, name: &str) -> Result<(), String> {
        let deleted = self.api(GROUP, plural).delete(name, &DeleteParams::default()).await;
        deleted.map(drop).map_err(|error| error.to_string())
    }

    pub(crate) async fn try_list(&self, plural: &str, group: &str) -> Result<Vec<Value>, String> {
        let listed = self.api(group, plural).list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        Ok(listed.into_iter().map(|one| serde_json::to_value(one).unwrap()).collect())
    }

    /// What there is; a failure is something else than nothing.
    pub(crate) async fn list(&self, plural: &str, group: &str) -> Vec<Value> {
        match self.try_list(plural, group).await {
            Ok(found) => found,
            Err(error) => vec![json!({"failed": error})],
        }
    }
}
