//! The next-hop solution key: what tells one delivery queue from another (QU-20, RT-18).

use std::fmt;

use topology::Guid;

/// Whether mail of a delivery queue leaves the organization (QU-21).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NextHopCategory {
    /// To another server of the organization, or into a mailbox database.
    Internal,
    /// Out of the organization.
    External,
}

impl NextHopCategory {
    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "Internal",
            Self::External => "External",
        }
    }
}

/// How mail of a delivery queue travels. Only types that are produced exist; names are the documented ones (QU-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryType {
    /// By MX from this server.
    DnsConnectorDelivery,
    /// Through smart hosts from this server.
    SmartHostConnectorDelivery,
    /// Through a delivery agent on this server.
    DeliveryAgent,
    /// Into a Foreign connector's drop directory on this server.
    NonSmtpGatewayDelivery,
    /// Into a mailbox database of a group of which this server is a member.
    SmtpDeliveryToMailbox,
    /// To a member of another DAG.
    SmtpRelayToDag,
    /// To a Mailbox server of another site, for databases outside of DAGs.
    SmtpRelayToMailboxDeliveryGroup,
    /// To a source server of a connector.
    SmtpRelayToConnectorSourceServers,
    /// To a hub site, or to the site of a subscribed Edge server.
    SmtpRelayToRemoteActiveDirectorySite,
    /// To a group's expansion server.
    SmtpRelayToServers,
    /// To an Edge server subscribed to the local site.
    SmtpRelayWithinAdSiteToEdge,
    /// Held as a shadow for another server.
    ShadowRedundancy,
    /// The Submission and poison queues.
    Undefined,
    /// The Unreachable queue.
    Unreachable,
}

/// Which service of the servers in a [`Way`](crate::Way) is handed the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandedTo {
    /// Transport, which queues it again.
    Transport,
    /// Mailbox Transport Delivery, where the database is active (RT-16).
    MailboxDelivery,
    /// Front End Transport, through which it leaves the organization (PL-27).
    FrontEnd,
}

impl DeliveryType {
    /// Which service of the servers that are tried is handed the mail.
    #[must_use]
    pub const fn handed_to(self) -> HandedTo {
        match self {
            Self::SmtpDeliveryToMailbox => HandedTo::MailboxDelivery,
            Self::DnsConnectorDelivery | Self::SmartHostConnectorDelivery => HandedTo::FrontEnd,
            _ => HandedTo::Transport,
        }
    }

    /// Every type, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::DnsConnectorDelivery,
        Self::SmartHostConnectorDelivery,
        Self::DeliveryAgent,
        Self::NonSmtpGatewayDelivery,
        Self::SmtpDeliveryToMailbox,
        Self::SmtpRelayToDag,
        Self::SmtpRelayToMailboxDeliveryGroup,
        Self::SmtpRelayToConnectorSourceServers,
        Self::SmtpRelayToRemoteActiveDirectorySite,
        Self::SmtpRelayToServers,
        Self::SmtpRelayWithinAdSiteToEdge,
        Self::ShadowRedundancy,
        Self::Undefined,
        Self::Unreachable,
    ];

    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DnsConnectorDelivery => "DnsConnectorDelivery",
            Self::SmartHostConnectorDelivery => "SmartHostConnectorDelivery",
            Self::DeliveryAgent => "DeliveryAgent",
            Self::NonSmtpGatewayDelivery => "NonSmtpGatewayDelivery",
            Self::SmtpDeliveryToMailbox => "SmtpDeliveryToMailbox",
            Self::SmtpRelayToDag => "SmtpRelayToDag",
            Self::SmtpRelayToMailboxDeliveryGroup => "SmtpRelayToMailboxDeliveryGroup",
            Self::SmtpRelayToConnectorSourceServers => "SmtpRelayToConnectorSourceServers",
            Self::SmtpRelayToRemoteActiveDirectorySite => "SmtpRelayToRemoteActiveDirectorySite",
            Self::SmtpRelayToServers => "SmtpRelayToServers",
            Self::SmtpRelayWithinAdSiteToEdge => "SmtpRelayWithinAdSiteToEdge",
            Self::ShadowRedundancy => "ShadowRedundancy",
            Self::Undefined => "Undefined",
            Self::Unreachable => "Unreachable",
        }
    }

    /// Internal or external (QU-21).
    #[must_use]
    pub const fn category(self) -> NextHopCategory {
        match self {
            Self::DnsConnectorDelivery
            | Self::SmartHostConnectorDelivery
            | Self::DeliveryAgent
            | Self::NonSmtpGatewayDelivery => NextHopCategory::External,
            _ => NextHopCategory::Internal,
        }
    }
}

impl std::str::FromStr for DeliveryType {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

impl fmt::Display for DeliveryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What recipients must share to travel in one copy and wait in one queue (RT-31). Share it by `Arc`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHopSolutionKey {
    /// How.
    pub delivery_type: DeliveryType,
    /// Where to: the queue's name.
    pub domain: Box<str>,
    /// The connector, DAG, database or site meant by the name; all zeros when there is none.
    pub connector: Guid,
}

impl NextHopSolutionKey {
    /// A key.
    #[must_use]
    pub fn new(delivery_type: DeliveryType, domain: impl Into<Box<str>>, connector: Guid) -> Self {
        Self { delivery_type, domain: domain.into(), connector }
    }

    /// The key of the Unreachable queue (RT-18).
    #[must_use]
    pub fn unreachable() -> Self {
        Self::new(DeliveryType::Unreachable, "Unreachable Domain", Guid::ZERO)
    }
}

impl fmt::Display for NextHopSolutionKey {
    /// `SmtpRelayToDag DAG1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.delivery_type, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_exactly_four_types_leave_the_organization() {
        // QU-20, QU-21
        for kind in DeliveryType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        let external = DeliveryType::ALL.iter().filter(|kind| kind.category() == NextHopCategory::External);
        assert_eq!(external.count(), 4);
        assert_eq!("MapiDelivery".parse::<DeliveryType>(), Err(()));
    }
}
