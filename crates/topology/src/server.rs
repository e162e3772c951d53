//! Servers, database availability groups and mailbox databases (docs/rules.md, Routing).

use envelope::{Domain, ObjectName, ServerName, SiteName, Span};

use crate::edge::EdgeSubscription;
use crate::guid::Guid;
use crate::service_logs::{FrontendTransportSettings, MailboxTransportSettings};
use crate::settings::TransportServiceSettings;

/// What a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerRole {
    /// All four services.
    Mailbox,
    /// Transport at the perimeter, outside the directory.
    Edge,
}

/// A machine that runs transport services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name.
    pub name: ServerName,
    /// Name in DNS and in certificates.
    pub fqdn: Domain,
    /// The one site of which the server is a member (RT-01).
    pub site: SiteName,
    /// Mailbox or Edge.
    pub role: ServerRole,
    /// The DAG of which the server is a member.
    pub dag: Option<ObjectName>,
    /// Default Receive connectors that the server does not have.
    pub removed_receive_connectors: Vec<ObjectName>,
    /// By what an Edge server and the organization that it is subscribed to know each other; nothing of a Mailbox server.
    pub edge: EdgeSubscription,
    /// `Set-TransportService`.
    pub transport: TransportServiceSettings,
    /// `Set-FrontendTransportService`; nothing on an Edge server, which has no front end (EN-3).
    pub frontend_transport: FrontendTransportSettings,
    /// `Set-MailboxTransportService`; nothing on an Edge server.
    pub mailbox_transport: MailboxTransportSettings,
}

impl TransportServiceSettings {
    /// The documented defaults of a server of that role: an Edge server is more patient (docs/rules.md, Queues).
    #[must_use]
    pub fn of(role: ServerRole) -> Self {
        match role {
            ServerRole::Mailbox => Self::default(),
            ServerRole::Edge => Self {
                transient_failure_retry_interval: Span::minutes(10),
                outbound_connection_failure_retry_interval: Span::minutes(30),
                ..Self::default()
            },
        }
    }
}

/// Major version printed in `Site:<site>;Version:<n>` (RT-18).
pub const MAJOR_VERSION: u32 = 15;

/// A database availability group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dag {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name. Members are the servers that name it.
    pub name: ObjectName,
}

/// Where a database belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseHome {
    /// On one server, without copies.
    Server(ServerName),
    /// In a DAG, active on one of its members.
    Dag {
        /// The group.
        dag: ObjectName,
        /// The member with the active copy.
        active_on: ServerName,
    },
}

/// A mailbox database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name.
    pub name: ObjectName,
    /// Server or DAG.
    pub home: DatabaseHome,
}

impl Database {
    /// The server whose Mailbox Transport Delivery can write to it now (PL-13).
    #[must_use]
    pub fn active_server(&self) -> &ServerName {
        match &self.home {
            DatabaseHome::Server(server) => server,
            DatabaseHome::Dag { active_on, .. } => active_on,
        }
    }
}
