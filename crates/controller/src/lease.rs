//! Which of several controllers works: the one whose name is in the Lease, for as long as it renews it.
//!
//! As in Kubernetes' own controllers, no clock is compared with another's: a lease has ended when it did not change for as long as it was
//! given for, by the clock of whoever looks.

use std::time::{Duration, Instant};

use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterError, answered};

/// For how long a lease is given, and how often it is renewed: two renewals may fail.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
pub(crate) const RENEWAL: Duration = Duration::from_secs(5);
const NAME: &str = "postroad-controller";

/// The Lease, as this process knows it.
pub(crate) struct Lease {
    cluster: Cluster,
    holder: String,
    /// Holder and version as they were seen last, and since when they are the same.
    seen: Option<(String, Instant)>,
}

impl Lease {
    pub(crate) fn new(cluster: Cluster, holder: String) -> Self {
        Self { cluster, holder, seen: None }
    }

    /// Takes or renews the lease. Whether it is ours for the next [`LEASE`].
    pub(crate) async fn take(&mut self, now: &str) -> Result<bool, ClusterError> {
        let leases = self.cluster.leases();
        let there = match answered(leases.get(NAME)).await {
            Ok(there) => there,
            Err(ClusterError::Absent(_)) => return self.create(now).await,
            Err(other) => return Err(other),
        };
        let there = serde_json::to_value(there).map_err(|error| ClusterError::Failed(error.to_string()))?;
        let held_by = there["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let ours = held_by == self.holder;
        if !ours && !held_by.is_empty() && !self.has_ended(&there) {
            return Ok(false);
        }
        let transitions = there["spec"]["leaseTransitions"].as_i64().unwrap_or_default();
        let since = there["spec"]["acquireTime"].as_str().filter(|_| ours).unwrap_or(now);
        let mut next = there.clone();
        next["spec"] = self.spec(now, since, transitions + i64::from(!ours));
        self.store(next, false).await
    }

    /// Gives it up, so that another one need not wait for its end.
    pub(crate) async fn release(&mut self, now: &str) {
        let Ok(there) = answered(self.cluster.leases().get(NAME)).await else { return };
        let Ok(mut next) = serde_json::to_value(there) else { return };
        if next["spec"]["holderIdentity"] == json!(self.holder) {
            next["spec"]["holderIdentity"] = json!("");
            next["spec"]["renewTime"] = json!(now);
            let _ = self.store(next, false).await;
        }
    }

    async fn create(&self, now: &str) -> Result<bool, ClusterError> {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME},
            "spec": self.spec(now, now, 0),
        });
        self.store(lease, true).await
    }

    fn spec(&self, now: &str, since: &str, transitions: i64) -> Value {
        json!({
            "holderIdentity": self.holder, "leaseDurationSeconds": LEASE.as_secs(), "acquireTime": since, "renewTime": now,
            "leaseTransitions": transitions,
        })
    }

    /// The version that was read is in it: of two who want it at once one gets it.
    async fn store(&self, lease: Value, new: bool) -> Result<bool, ClusterError> {
        let lease: DynamicObject =
            serde_json::from_value(lease).map_err(|error| ClusterError::Failed(error.to_string()))?;
        let leases = self.cluster.leases();
        let parameters = PostParams::default();
        let stored = match new {
            true => answered(leases.create(&parameters, &lease)).await,
            false => answered(leases.replace(NAME, &parameters, &lease)).await,
        };
        match stored {
            Ok(_) => Ok(true),
            Err(ClusterError::Conflict(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn has_ended(&mut self, there: &Value) -> bool {
        let version = there["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if seen == version => since.elapsed() >= LEASE,
            _ => {
                self.seen = Some((version.to_owned(), Instant::now()));
                false
            }
        }
    }
}
