//! The organization as one immutable snapshot, and the words of its configuration.
//!
//! [`OrganizationDraft`] is what somebody wrote; [`Organization`] is what was checked and may be routed by. The only way
//! from one to the other is [`Organization::validate`], which reports every problem at once. A change of configuration is
//! a new snapshot with a higher [`Revision`](envelope::Revision), never a change of an old one.
//!
//! Recipients are not part of the snapshot (a million mailboxes must never enter it): [`Recipient`](recipient::DirectoryRecipient)
//! is only the noun; `directory` looks them up one by one.
//!
//! | module | nouns | specification |
//! |---|---|---|
//! | [`site`] | sites, IP site links | docs/rules.md, Routing, RT-01…04 |
//! | [`server`] | servers, DAGs, mailbox databases | docs/rules.md, Routing |
//! | [`send_connector`], [`address_space`] | Send connectors | docs/rules.md, Send connectors |
//! | [`edge`] | Edge subscriptions | docs/rules.md, Edge and addresses that are not SMTP |
//! | [`gateway_connector`] | Delivery Agent and Foreign connectors | docs/rules.md, Edge and addresses that are not SMTP |
//! | [`connector`] | what routing sees of all of them | docs/rules.md, Routing |
//! | [`receive_connector`] | Receive connectors | docs/rules.md, Receive connectors |
//! | [`permission`] | who may what on a connector | docs/rules.md, Permissions |
//! | [`domain`] | accepted domains, domain patterns | RT-44, SC-64 |
//! | [`x400_domain`] | X.400 domains of the organization | EN-72 |
//! | [`recipient`] | mailboxes, contacts, groups | docs/rules.md, Pipeline |
//! | [`external_address`] | where the mail of a contact goes, SMTP or another type | EN-73 |
//! | [`service_logs`] | what is kept of logs; front end and Mailbox Transport of a server | docs/rules.md, Logs |
//! | [`settings`] | organization-wide and per-server transport settings | docs/rules.md, Limits, docs/rules.md, Queues |
//! | [`draft`], [`organization`], [`validation`] | what was written, the snapshot, its checks | V-1…V-26 |

pub mod address_space;
pub mod back_pressure;
pub mod connector;
mod documented;
pub mod domain;
pub mod draft;
pub mod edge;
pub mod external_address;
pub mod gateway_connector;
pub mod guid;
pub mod organization;
pub mod permission;
pub mod receive_connector;
pub mod recipient;
pub mod send_connector;
pub mod server;
pub mod service_logs;
pub mod settings;
pub mod site;
mod transient_reply;
pub mod validation;
pub mod x400_domain;

pub use address_space::{AddressSpace, ConnectorCost, Space, X400Address};
pub use back_pressure::{BackPressureSettings, Thresholds};
pub use connector::Connector;
pub use domain::{AcceptedDomain, AcceptedDomainType, DomainPattern};
pub use draft::OrganizationDraft;
pub use edge::EdgeSubscription;
pub use external_address::{ExternalAddress, ExternalAddressError};
pub use gateway_connector::{DeliveryAgentConnector, ForeignConnector};
pub use guid::Guid;
pub use organization::Organization;
pub use permission::{ConnectorRight, Grantee, Permission, PermissionKind};
pub use receive_connector::{
    AuthMechanism, MessageRateSource, PermissionGroup, ReceiveConnector, ReceiveRight, RemoteRange, TransportRole,
};
pub use recipient::{DeliveryRestrictions, DirectoryRecipient, RecipientKind, Restricted};
pub use send_connector::{SealedCredential, SendConnector, SmartHost};
pub use server::{Dag, Database, DatabaseHome, Server, ServerRole};
pub use service_logs::{
    FrontendTransportSettings, LogRetention, MailboxTransportSettings, ProtocolLogs, TransportLogs,
};
pub use settings::{TransportConfig, TransportServiceSettings};
pub use site::{LinkCost, Site, SiteLink};
pub use transient_reply::TransientReply;
pub use validation::{Problem, Problems, Weight};
pub use x400_domain::{X400AuthoritativeDomain, X400Domain};
