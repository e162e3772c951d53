//! The admin service: what administrators ask of the organization, at one place. It opens the directory, rules about every call
//! by role group (`authority`), writes down what is changed, and asks the Transports for whom it has heard.
//!
//! ```text
//!   by mutual TLS, an administrator's certificate ─┐             ┌─▶ the directory's backend, Audited ─▶ audit log
//!   by the server's Unix socket, the user's name ──┴─ admin-api ─┴─▶ queues and tracking logs of every server
//! ```
//!
//! A process of its own, because it may change the configuration and no service that takes mail may: it has a certificate, and
//! with etcd an identity, of its own. Any server may run one; they keep nothing but their audit logs.
//!
//! Not here: what is asked and how it travels (`admin-api`), who may (`authority`), what a change must be (`directory`).

pub mod certificates;
mod service;

pub use service::{Admin, AdminServiceError};
