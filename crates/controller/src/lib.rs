//! Configuration as code: what the custom resources of a namespace say becomes what the organization says, and each resource is told
//! what became of it.
//!
//! ```text
//!   API server ──list, watch──▶ resources ─┐                        ┌─▶ one change of the directory, or none
//!                                          ├──▶ round (pure) ──plan─┤
//!   directory ──snapshot, watch──▶ objects ┘                        └─▶ status, events, finalizers
//! ```
//!
//! **What it manages** is what a resource names that carries its finalizer; nothing else is ever changed. The finalizer is set before
//! the object is: so whoever finds a resource gone knows that its object is gone too, also when the controller was away meanwhile,
//! unless an annotation let it go. An object that is there before its resource, and says otherwise, is taken over only where the resource says so.
//!
//! **One truth**: for what it manages the cluster is right. What somebody changes by another way is put back, with an event.
//!
//! All resources of a round are one change. One that stands in the way of a valid organization is left out, told why, and its object
//! stays as it was; the others go on.
//!
//! This is the only crate that names Kubernetes' API. It opens no directory and seals no secret: both are handed in.

mod cluster;
pub mod definitions;
mod identities;
mod lease;
mod resource;
mod round;
mod run;
mod status;

pub use cluster::{Cluster, ClusterError};
pub use identities::{PrivateSecret, SecretKind};
pub use resource::{ADOPT_ANNOTATION, FINALIZER, GROUP, KEEP_ANNOTATION, KINDS, VERSION};
pub use run::{Controller, ControllerSettings, Seals};
