//! What administrators ask, and how it is answered: protobuf over tonic, on the connections of `rpc`.
//!
//! ```text
//!   Administrator ── queues, tracking logs ─▶ Transport, Mailbox Transport Delivery
//!        └─────────── or through ──▶ admin service ─┘  (it asks for whom it has heard)
//!   RemoteDirectory: Administration ─▶ admin service ─▶ Audited ─▶ a backend of `directory`
//!        └ by mutual TLS, or the Unix socket of the server (SO_PEERCRED)        └▶ audit log
//! ```
//!
//! * [`RemoteDirectory`] implements the traits of `directory`: a command or a face runs over a backend or over the API alike.
//! * Each RPC names its act; `authority` rules by role group, loopback and the Unix socket no exception.
//! * A change carries who makes it, as the server knows it and not as he says; [`Audited`] writes what was changed.
//!
//! | module | what |
//! |---|---|
//! | [`api`] | [`Api`]: a connection to an admin service |
//! | [`directory`] | the directory: client, server, seals |
//! | [`queues`], [`tracking`] | what Transport and Mailbox Transport Delivery tell administrators, and what these do to queues |
//! | [`databases`] | a mailbox database changes its server |
//! | [`administrator`] | [`Administrator`]: who asks for these |
//! | [`certificates`] | certificates of the server for SMTP |
//! | [`health`] | how the services of a server are |
//! | [`forward`] | the admin service asks others for administrators |
//! | [`audit`] | [`Audited`], and the search in what it wrote |

pub mod administrator;
pub mod api;
pub mod audit;
pub mod certificates;
pub mod databases;
pub mod directory;
pub mod edge;
pub mod edge_sync;
pub mod error;
pub mod forward;
pub mod health;
pub mod managed;
pub mod offer;
pub mod queues;
pub mod tracking;
mod wire;

pub use self::directory::{RemoteDirectory, RemoteSecrets};
pub use administrator::{Administrator, Exported};
pub use api::Api;
pub use audit::{AuditTrail, Audited, Deed};
pub use certificates::{CertificateHandler, CertificateOrder, SmtpCertificate};
pub use databases::{ArriveProgress, DatabaseHandler};
pub use edge::{EdgeHandler, Subscriber, ToldLast};
pub use edge_sync::{Compared, Comparison, EdgeSyncHandler, Synchronized};
pub use error::AdminError;
pub use forward::Whereabouts;
pub use health::{HealthHandler, ServiceHealth};
pub use managed::Managed;
pub use queues::QueueHandler;
