//! Kubernetes' API as far as it is needed: objects of a few kinds in one namespace, as trees.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, WatchEvent};
use kube::{Client, Config};
use organization::Kind;
use serde_json::{Value, json};

use crate::definitions::{kind_name, plural};
use crate::resource::{FINALIZER, GROUP, KINDS, Resource, VERSION};

/// Resources that are read at once.
const PAGE: u32 = 500;
/// Who changes what, for `managedFields`.
pub(crate) const MANAGER: &str = "postroad-controller";
/// Until the API server answers: one that was cut off says nothing for ever.
const ANSWER: Duration = Duration::from_secs(30);
/// A watch is begun anew then. The API server is asked to end it before (290 s is what it is asked for).
const WATCH_MOST: Duration = Duration::from_secs(320);
/// Answers of the API server (RFC 9110).
const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;
const BAD_REQUEST: u16 = 400;
const UNPROCESSABLE: u16 = 422;

/// Why the API server was of no use.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nobody says where it is, or what was said cannot be used.
    #[error("there is no cluster to ask: {0}")]
    Nowhere(String),
    /// It is not there.
    #[error("there is no {0}")]
    Absent(String),
    /// Somebody else was faster.
    #[error("somebody else changed it at the same time: {0}")]
    Conflict(String),
    /// Its schema does not allow it: of one resource, and for as long as that is as it is.
    #[error("the API server does not take it: {0}")]
    Refused(String),
    /// It cannot be reached, or did not want.
    #[error("the API server: {0}")]
    Failed(String),
}

impl From<kube::Error> for ClusterError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                NOT_FOUND => Self::Absent(status.message),
                CONFLICT => Self::Conflict(status.message),
                BAD_REQUEST | UNPROCESSABLE => Self::Refused(status.message),
                _ => Self::Failed(format!("{} ({})", status.message, status.code)),
            },
            other => Self::Failed(other.to_string()),
        }
    }
}

/// What the API server answers, unless it takes longer than [`ANSWER`].
pub(crate) async fn answered<T>(asked: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ClusterError> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => answer.map_err(ClusterError::from),
        Err(_) => Err(ClusterError::Failed(format!("no answer within {} s", ANSWER.as_secs()))),
    }
}

/// One namespace of a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    /// The cluster that this pod is in, or that `KUBECONFIG` or `~/.kube/config` names, with its namespace unless another one is given.
    ///
    /// # Errors
    /// [`ClusterError::Nowhere`]
    pub async fn infer(namespace: Option<String>) -> Result<Self, ClusterError> {
        let config = Config::infer().await.map_err(|error| ClusterError::Nowhere(error.to_string()))?;
        Self::of(config, namespace)
    }

    /// The cluster that a file names, as [`infer`](Self::infer) takes it.
    ///
    /// # Errors
    /// [`ClusterError::Nowhere`]
    pub async fn of_kubeconfig(path: &Path, namespace: Option<String>) -> Result<Self, ClusterError> {
        let nowhere = |error: kube::config::KubeconfigError| ClusterError::Nowhere(error.to_string());
        let file = Kubeconfig::read_from(path).map_err(nowhere)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(nowhere)?;
        Self::of(config, namespace)
    }

    fn of(config: Config, namespace: Option<String>) -> Result<Self, ClusterError> {
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|error| ClusterError::Nowhere(error.to_string()))?;
        Ok(Self { client, namespace })
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn api(&self, group: &str, version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    fn custom(&self, kind: Kind) -> Api<DynamicObject> {
        self.api(GROUP, VERSION, &kind_name(kind), &plural(kind))
    }

    pub(crate) fn leases(&self) -> Api<DynamicObject> {
        self.api("coordination.k8s.io", "v1", "Lease", "leases")
    }

    pub(crate) fn secrets(&self) -> Api<DynamicObject> {
        self.api("", "v1", "Secret", "secrets")
    }

    /// Every resource of every kind.
    pub(crate) async fn resources(&self) -> Result<Vec<Resource>, ClusterError> {
        let mut all = Vec::new();
        for kind in KINDS {
            let api = self.custom(kind);
            let mut parameters = ListParams::default().limit(PAGE);
            loop {
                let page = answered(api.list(&parameters)).await?;
                let next = page.metadata.continue_.clone().filter(|next| !next.is_empty());
                for object in page {
                    let object =
                        serde_json::to_value(object).map_err(|error| ClusterError::Failed(error.to_string()))?;
                    all.extend(Resource::read(kind, &object));
                }
                match next {
                    Some(next) => parameters = parameters.continue_token(&next),
                    None => break,
                }
            }
        }
        Ok(all)
    }

    /// Tells when something about the resources of a kind may have changed: when it begins to look, as nobody looked before, and after
    /// each change. Returns when the watch ended.
    ///
    /// # Errors
    /// When it could not begin.
    pub(crate) async fn watch(&self, kind: Kind, tell: impl Fn()) -> Result<(), ClusterError> {
        let api = self.custom(kind);
        let newest = answered(api.list(&ListParams::default().limit(1))).await?;
        let newest = newest.metadata.resource_version.unwrap_or_default();
        let mut events = answered(api.watch(&WatchParams::default(), &newest)).await?.boxed();
        tell();
        let looking = async {
            while let Ok(Some(event)) = events.try_next().await {
                match event {
                    WatchEvent::Bookmark(_) => {}
                    // The version from which it looks is too old: it begins anew.
                    WatchEvent::Error(_) => break,
                    _ => tell(),
                }
            }
        };
        let _ = tokio::time::timeout(WATCH_MOST, looking).await;
        Ok(())
    }

    /// Sets or removes our finalizer. Of the version that was read: what came in between is looked at first. Gives the version after.
    pub(crate) async fn finalize(&self, resource: &Resource, ours: bool) -> Result<String, ClusterError> {
        let api = self.custom(resource.kind);
        let there = answered(api.get(&resource.key)).await?.metadata.finalizers.unwrap_or_default();
        let patch = json!({"metadata": {"resourceVersion": resource.version, "finalizers": with_ours(there, ours)}});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let after = answered(api.patch(&resource.key, &parameters, &patch)).await?;
        Ok(after.metadata.resource_version.unwrap_or_default())
    }

    pub(crate) async fn set_status(&self, resource: &Resource, status: &Value) -> Result<(), ClusterError> {
        let patch = json!({"status": status});
        let (api, parameters, patch) = (self.custom(resource.kind), PatchParams::default(), Patch::Merge(&patch));
        answered(api.patch_status(&resource.key, &parameters, &patch)).await.map(drop)
    }

    /// Says something about a resource. Nobody waits for it: who cannot be told is not.
    pub(crate) async fn tell(
        &self,
        resource: &Resource,
        (sort, reason, text): (&str, &str, String),
        by: &str,
        now: &str,
    ) {
        let event = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"generateName": format!("{}-", resource.key), "namespace": self.namespace},
            "eventTime": now, "type": sort, "reason": reason, "note": note(&text), "action": "Reconcile",
            "reportingController": format!("{GROUP}/controller"), "reportingInstance": by,
            "regarding": {
                "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind_name(resource.kind), "name": resource.key,
                "namespace": self.namespace, "uid": resource.uid,
            },
        });
        let events = self.api("events.k8s.io", "v1", "Event", "events");
        let made = match serde_json::from_value(event) {
            Ok(event) => answered(events.create(&PostParams::default(), &event)).await.map(drop),
            Err(error) => Err(ClusterError::Failed(error.to_string())),
        };
        if let Err(error) = made {
            tracing::debug!(%error, resource = resource.key, "an event could not be written");
        }
    }
}

/// An event takes 1 kB.
fn note(text: &str) -> String {
    const NOTE_MAX: usize = 1000;
    text.chars().take(NOTE_MAX / 4).collect()
}

/// The finalizers with ours, or without.
fn with_ours(mut finalizers: Vec<String>, ours: bool) -> Vec<String> {
    finalizers.retain(|one| one != FINALIZER);
    if ours {
        finalizers.push(FINALIZER.to_owned());
    }
    finalizers
}
