//! Secrets, for the Job that makes identities within the cluster: read, made once, replaced.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterError, MANAGER, answered};

/// The sort of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// `tls.crt`, `tls.key`, `ca.crt`, as cert-manager makes it.
    Tls,
    /// Anything else.
    Opaque,
}

impl SecretKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "kubernetes.io/tls",
            Self::Opaque => "Opaque",
        }
    }
}

/// A Secret with what is in it. Never printed but by whoever asks for [`PrivateSecret::manifest`].
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateSecret {
    /// Its name.
    pub name: String,
    /// Its sort, which cannot be changed.
    pub kind: SecretKind,
    /// Key and content.
    pub entries: BTreeMap<String, Vec<u8>>,
}

impl PrivateSecret {
    /// As `kubectl apply` takes it.
    #[must_use]
    pub fn manifest(&self) -> Value {
        let data: BTreeMap<&String, ByteString> =
            self.entries.iter().map(|(key, content)| (key, ByteString(content.clone()))).collect();
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": self.kind.as_str(),
            "metadata": {"name": self.name, "labels": {"app.kubernetes.io/part-of": "postroad"}},
            "data": data,
        })
    }
}

impl Cluster {
    /// The entries of a Secret; nothing when there is none.
    ///
    /// # Errors
    /// [`ClusterError`]
    pub async fn secret(&self, name: &str) -> Result<Option<BTreeMap<String, Vec<u8>>>, ClusterError> {
        let there = match answered(self.secrets().get(name)).await {
            Ok(there) => there,
            Err(ClusterError::Absent(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        let data = there.data.get("data").cloned().unwrap_or_else(|| json!({}));
        let data: BTreeMap<String, ByteString> =
            serde_json::from_value(data).map_err(|error| ClusterError::Failed(error.to_string()))?;
        Ok(Some(data.into_iter().map(|(key, content)| (key, content.0)).collect()))
    }

    /// Makes a Secret unless there is one of that name. Whether it was made.
    ///
    /// # Errors
    /// [`ClusterError`]
    pub async fn create_secret(&self, secret: &PrivateSecret) -> Result<bool, ClusterError> {
        let object: DynamicObject =
            serde_json::from_value(secret.manifest()).map_err(|error| ClusterError::Failed(error.to_string()))?;
        match answered(self.secrets().create(&PostParams::default(), &object)).await {
            Ok(_) => Ok(true),
            Err(ClusterError::Conflict(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Makes a Secret what it shall be.
    ///
    /// # Errors
    /// [`ClusterError`]
    pub async fn put_secret(&self, secret: &PrivateSecret) -> Result<(), ClusterError> {
        let parameters = PatchParams::apply(MANAGER).force();
        answered(self.secrets().patch(&secret.name, &parameters, &Patch::Apply(&secret.manifest()))).await.map(drop)
    }
}
