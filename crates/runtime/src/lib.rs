//! What every service needs to live: settings, the configuration as it changes, the other servers' addresses, drain.
//!
//! ```text
//!   Settings (file, read once) ─▶ Node ◀─ directory: snapshots ─▶ RoutingTables   (watched, last good kept)
//!                                  │   ◀─ directory: presences ─▶ addresses of the other servers' services
//!                                  ├─ peers, tracer, metrics, clock
//!                                  └─ drain: SIGTERM ─▶ no new work ─▶ work in hand settled ─▶ exit, within a bound
//! ```
//!
//! Two kinds of configuration, never mixed: *process settings* ([`Settings`]) are read once; what the *organization* looks
//! like is seen only as an immutable snapshot with a revision ([`Node::tables`]).
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | the settings file |
//! | [`node`] | [`Node`]: start-up, and what a service is given |
//! | [`commons`] | what the services of a process share |
//! | `opening` | the directory, and the configuration to begin with |
//! | `error` | why a service cannot start |
//! | `expiry` | when certificates end |
//! | [`follow`] | new snapshots and presences as they come |
//! | [`peers`] | where the other servers' services are, and which failed lately |
//! | [`certificate`] | the certificate that this server shows in SMTP, and the roots that it believes |
//! | [`resolvers`] | the name servers that are asked |
//! | [`clock`] | time that does not jump |
//! | [`service_logs`] | logs that are kept as the configuration says |
//! | [`turns`] | as many turns as it says |
//! | [`reload`] | SIGHUP, and certificates whose files change |
//! | [`confine`] | what a process takes away from itself |
//! | [`descriptors`] | how many files and connections it may have open |
//! | [`memory`] | what the process and the machine use of it |
//! | [`twin`] | another process that says that it is this one |
//! | [`shelf`] | certificates of the server for SMTP, as administrators handle them |
//! | [`signals`] | SIGTERM and SIGINT become one drain |

pub mod certificate;
pub mod clock;
pub mod commons;
pub mod confine;
pub mod descriptors;
mod error;
mod expiry;
pub mod follow;
pub mod memory;
pub mod node;
mod opening;
pub mod peers;
mod places;
mod private;
pub mod reload;
pub mod resolvers;
pub mod service_logs;
pub mod settings;
pub mod shelf;
pub mod signals;
pub mod turns;
pub mod twin;

pub use clock::Clock;
pub use commons::Commons;
pub use confine::Confinement;
pub use memory::{MemoryUse, memory_use};
pub use node::{Behind, Node, NodeError};
pub use peers::{PeerBook, PeerHealth};
pub use reload::Reloads;
pub use resolvers::Resolvers;
pub use settings::{DirectorySettings, LdapSettings, ServiceSettings, Settings, SettingsError};
pub use signals::drain_on_signals;
pub use turns::Turns;
pub use twin::Twin;
