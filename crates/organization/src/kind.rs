//! The kinds of objects in the directory, and the identity of an object that was given none.

use std::fmt;

use authority::Feature;
use topology::Guid;

/// A kind of directory object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The one object of organization-wide settings.
    TransportConfig,
    /// Key `sites` of the organization file.
    Site,
    /// IP site link.
    SiteLink,
    /// Database availability group.
    Dag,
    /// Key `servers`.
    Server,
    /// Mailbox database.
    Database,
    /// Key `acceptedDomains`.
    AcceptedDomain,
    /// Key `x400AuthoritativeDomains`.
    X400AuthoritativeDomain,
    /// Key `sendConnectors`.
    SendConnector,
    /// Key `deliveryAgentConnectors`.
    DeliveryAgentConnector,
    /// Key `foreignConnectors`.
    ForeignConnector,
    /// Key `receiveConnectors`.
    ReceiveConnector,
    /// Mailbox, contact or group; apart from the configuration.
    Recipient,
}

impl Kind {
    /// What administers objects of this kind. A server's services are set more often than servers are made.
    #[must_use]
    pub const fn feature(self, is_new: bool) -> Feature {
        match self {
            Self::TransportConfig => Feature::TransportConfiguration,
            Self::Site | Self::SiteLink => Feature::Sites,
            Self::Server if !is_new => Feature::TransportServices,
            Self::Server | Self::Dag | Self::Database => Feature::Servers,
            Self::AcceptedDomain | Self::X400AuthoritativeDomain => Feature::AcceptedDomains,
            Self::SendConnector => Feature::SendConnectors,
            Self::DeliveryAgentConnector => Feature::DeliveryAgentConnectors,
            Self::ForeignConnector => Feature::ForeignConnectors,
            Self::ReceiveConnector => Feature::ReceiveConnectors,
            Self::Recipient => Feature::Recipients,
        }
    }

    /// Every kind, in the order of an organization file.
    pub const ALL: [Self; 13] = [
        Self::TransportConfig,
        Self::Site,
        Self::SiteLink,
        Self::Dag,
        Self::Server,
        Self::Database,
        Self::AcceptedDomain,
        Self::X400AuthoritativeDomain,
        Self::SendConnector,
        Self::DeliveryAgentConnector,
        Self::ForeignConnector,
        Self::ReceiveConnector,
        Self::Recipient,
    ];

    /// The name in keys and in the stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportConfig => "transportConfig",
            Self::Site => "site",
            Self::SiteLink => "siteLink",
            Self::Dag => "dag",
            Self::Server => "server",
            Self::Database => "database",
            Self::AcceptedDomain => "acceptedDomain",
            Self::X400AuthoritativeDomain => "x400AuthoritativeDomain",
            Self::SendConnector => "sendConnector",
            Self::DeliveryAgentConnector => "deliveryAgentConnector",
            Self::ForeignConnector => "foreignConnector",
            Self::ReceiveConnector => "receiveConnector",
            Self::Recipient => "recipient",
        }
    }

    /// The kind called `name` in the stored form.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind whose objects are in the section of that key.
    #[must_use]
    pub fn of_section(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.section() == key)
    }

    /// The key of the organization file that holds objects of this kind.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::TransportConfig => "transportConfig",
            Self::Site => "sites",
            Self::SiteLink => "siteLinks",
            Self::Dag => "dags",
            Self::Server => "servers",
            Self::Database => "databases",
            Self::AcceptedDomain => "acceptedDomains",
            Self::X400AuthoritativeDomain => "x400AuthoritativeDomains",
            Self::SendConnector => "sendConnectors",
            Self::DeliveryAgentConnector => "deliveryAgentConnectors",
            Self::ForeignConnector => "foreignConnectors",
            Self::ReceiveConnector => "receiveConnectors",
            Self::Recipient => "recipients",
        }
    }

    /// The identity of the object of that name when none was given: always the same one, so that a plain file means the
    /// same objects wherever and whenever it is read.
    #[must_use]
    pub fn derived_guid(self, name: &str) -> Guid {
        Guid::derived(self.as_str(), name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
