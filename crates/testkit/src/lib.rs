//! What tests share: real peers as processes, conditions to wait for, disks that fail

pub mod away;
pub mod browser;
mod daemon;
pub mod dns;
pub mod entrances;
pub mod etcd;
pub mod kerberos;
pub mod ldap;
pub mod node;
pub mod oidc;
pub mod smtp;
pub mod wait;

pub use away::AwayDirectory;
pub use node::World;
pub use smtp::Client;
pub use wait::{hold, stall, until, until_or};
