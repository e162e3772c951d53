//! What administrators administer, and which role groups may: the documented table of permissions for mail flow.

use std::fmt;
use std::str::FromStr;

/// A role group, as documented. Who is in which is said by an administrator's certificate, and for users of a server's
/// operating system by its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleGroup {
    /// Everything.
    OrganizationManagement,
    /// Servers, their services, their queues.
    ServerManagement,
    /// Recipients, and where their mail went.
    RecipientManagement,
    /// Logs.
    RecordsManagement,
    /// What takes mail from outside.
    HygieneManagement,
    /// Reads everything and changes nothing.
    ViewOnlyOrganizationManagement,
}

impl RoleGroup {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::OrganizationManagement,
        Self::ServerManagement,
        Self::RecipientManagement,
        Self::RecordsManagement,
        Self::HygieneManagement,
        Self::ViewOnlyOrganizationManagement,
    ];

    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrganizationManagement => "Organization Management",
            Self::ServerManagement => "Server Management",
            Self::RecipientManagement => "Recipient Management",
            Self::RecordsManagement => "Records Management",
            Self::HygieneManagement => "Hygiene Management",
            Self::ViewOnlyOrganizationManagement => "View-Only Organization Management",
        }
    }
}

impl fmt::Display for RoleGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RoleGroup {
    type Err = String;

    /// In any case; blanks and hyphens may be left out.
    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |text: &str| text.replace([' ', '-'], "").to_lowercase();
        let found = Self::ALL.into_iter().find(|group| plain(group.as_str()) == plain(text));
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is no role group; there are {known}")
        })
    }
}

/// A part of the organization that is administered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// The configuration as a whole, with what was and who is there: it is read as one.
    Organization,
    /// How mail leaves.
    SendConnectors,
    /// Gateways that read files.
    ForeignConnectors,
    /// For which mail is taken.
    AcceptedDomains,
    /// Sites and site links.
    Sites,
    /// Certificates: which are void.
    Certificates,
    /// Transport configuration of the organization.
    TransportConfiguration,
    /// Gateways behind an agent.
    DeliveryAgentConnectors,
    /// Queues and the messages in them.
    Queues,
    /// How mail is taken.
    ReceiveConnectors,
    /// Settings of a server's transport services.
    TransportServices,
    /// Which servers, databases and groups of them there are.
    Servers,
    /// Mailboxes, contacts, groups.
    Recipients,
    /// Message tracking logs.
    MessageTracking,
    /// What was changed, and by whom.
    AuditLog,
}

use RoleGroup::{HygieneManagement, OrganizationManagement, RecipientManagement, RecordsManagement, ServerManagement};

impl Feature {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Organization,
        Self::SendConnectors,
        Self::ForeignConnectors,
        Self::AcceptedDomains,
        Self::Sites,
        Self::Certificates,
        Self::TransportConfiguration,
        Self::DeliveryAgentConnectors,
        Self::Queues,
        Self::ReceiveConnectors,
        Self::TransportServices,
        Self::Servers,
        Self::Recipients,
        Self::MessageTracking,
        Self::AuditLog,
    ];

    /// Its name in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "the organization",
            Self::SendConnectors => "Send connectors",
            Self::ForeignConnectors => "Foreign connectors",
            Self::AcceptedDomains => "accepted domains",
            Self::Sites => "sites and site links",
            Self::Certificates => "certificates",
            Self::TransportConfiguration => "the transport configuration",
            Self::DeliveryAgentConnectors => "Delivery Agent connectors",
            Self::Queues => "queues",
            Self::ReceiveConnectors => "Receive connectors",
            Self::TransportServices => "transport services",
            Self::Servers => "servers and databases",
            Self::Recipients => "recipients",
            Self::MessageTracking => "message tracking logs",
            Self::AuditLog => "the audit log",
        }
    }

    /// Who may administer it. Source: the table "Mail flow permissions"; what that does not have is of those who
    /// manage servers or recipients by the same documentation.
    pub(crate) const fn administered_by(self) -> &'static [RoleGroup] {
        match self {
            // As a whole: setting an epoch after a restore, writing damaged configuration anew.
            Self::Organization
            | Self::SendConnectors
            | Self::ForeignConnectors
            | Self::AcceptedDomains
            | Self::Sites
            | Self::Certificates
            | Self::TransportConfiguration => &[OrganizationManagement],
            Self::DeliveryAgentConnectors | Self::Queues | Self::Servers => &[OrganizationManagement, ServerManagement],
            Self::ReceiveConnectors | Self::TransportServices => {
                &[OrganizationManagement, ServerManagement, HygieneManagement]
            }
            Self::Recipients => &[OrganizationManagement, RecipientManagement],
            Self::MessageTracking => &[OrganizationManagement, RecordsManagement, RecipientManagement],
            Self::AuditLog => &[OrganizationManagement, RecordsManagement],
        }
    }

    /// Who may read it: who may administer it, and who may read everything. The organization and its recipients are read by
    /// everybody who administers any of it: a plan is made against the whole.
    pub(crate) fn is_read_by(self, group: RoleGroup) -> bool {
        matches!(self, Self::Organization | Self::Recipients)
            || group == RoleGroup::ViewOnlyOrganizationManagement
            || self.administered_by().contains(&group)
    }
}
