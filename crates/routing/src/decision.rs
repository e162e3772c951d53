//! The question put to routing and its answer.

use std::fmt;
use std::sync::Arc;

use envelope::{ByteSize, Domain, EnhancedStatus, ObjectName, Revision, ServerName, SiteName};
use topology::Guid;

use crate::key::NextHopSolutionKey;
use crate::rule::RuleId;
use crate::way::Way;

/// Where mail for one recipient must get to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination<'a> {
    /// A mailbox in this database.
    Mailbox(&'a ObjectName),
    /// An SMTP address in this domain, outside of the directory.
    External(&'a Domain),
    /// An address of another type, such as `FAX` `5551234`.
    NonSmtp {
        /// Address type; any case.
        kind: &'a str,
        /// The address after the colon.
        text: &'a str,
    },
    /// A group that this server expands (RT-72).
    ExpansionServer(&'a ServerName),
}

impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(database) => write!(f, "mailbox database {database}"),
            Self::External(domain) => write!(f, "domain {domain}"),
            Self::NonSmtp { kind, text } => write!(f, "address {kind}:{text}"),
            Self::ExpansionServer(server) => write!(f, "expansion server {server}"),
        }
    }
}

/// The answer of routing for one recipient, with the configuration it was made by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub outcome: Outcome,
    /// The snapshot that said so (invariant 5).
    pub revision: Revision,
}

/// What to do with mail for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Queue it for this next hop.
    Route(Route),
    /// Keep it in the Unreachable queue until the configuration changes (RT-55).
    Unreachable(UnreachableReason),
    /// Give it up and tell the sender.
    Ndr(NdrReason),
    /// Try again later: nothing is wrong with the address or the configuration.
    Deferred(DeferReason),
    /// The destination is this server's own group expansion (RT-72).
    ExpandHere,
}

/// A next hop and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Recipients with equal keys travel together (RT-31).
    pub key: Arc<NextHopSolutionKey>,
    /// Shared by all mail for the same delivery group.
    pub way: Arc<Way>,
    /// The Send connector chosen, for mail that leaves the organization.
    pub connector: Option<Guid>,
}

/// Why mail has no way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnreachableReason {
    /// RT-55, first row.
    NoConnector,
    /// EN-26: on an Edge server nothing leads to the organization, whose domain it is; the site it is subscribed to.
    NoWayInside(SiteName),
    /// The site links do not join the destination's site to this one.
    NoPath,
    /// The directory names a database that the configuration does not have.
    UnknownDatabase(ObjectName),
    /// The directory names an expansion server that the configuration does not have.
    UnknownServer(ServerName),
    /// An Edge server knows connectors only (RT-59).
    NotOnEdge,
}

impl UnreachableReason {
    /// The rule behind it.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        match self {
            Self::NoConnector => RuleId("RT-55"),
            Self::NoWayInside(_) => RuleId("EN-26"),
            Self::NoPath => RuleId("RT-06"),
            Self::UnknownDatabase(_) => RuleId("RT-18"),
            Self::UnknownServer(_) => RuleId("RT-72"),
            Self::NotOnEdge => RuleId("RT-59"),
        }
    }
}

impl fmt::Display for UnreachableReason {
    /// The message's `LastError`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnector => f.write_str("A matching connector cannot be found to route the external recipient"),
            Self::NoWayInside(site) => write!(
                f,
                "No connector of this Edge server leads to the organization, whose domain it is: one with the address space -- is \
                 missing or disabled, such as EdgeSync - Inbound to {site}"
            ),
            Self::NoPath => f.write_str("No chain of site links leads from this site to a site of the destination"),
            Self::UnknownDatabase(name) => write!(f, "The mailbox database {name} is not in the configuration"),
            Self::UnknownServer(name) => write!(f, "The expansion server {name} is not in the configuration"),
            Self::NotOnEdge => f.write_str("An Edge server routes by Send connector only"),
        }
    }
}

/// Why mail is given up by routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NdrReason {
    /// Connectors match, and all of them are too small (RT-55).
    ConnectorsTooSmall,
    /// A site link on the chosen path is too small (RT-13).
    SiteLinkTooSmall {
        /// The first such link.
        link: ObjectName,
        /// `MaxMessageSize` of that link.
        limit: ByteSize,
    },
    /// No connector takes this address type (RT-55).
    NoConnectorForType,
}

impl NdrReason {
    /// The rule behind it.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        match self {
            Self::ConnectorsTooSmall | Self::NoConnectorForType => RuleId("RT-55"),
            Self::SiteLinkTooSmall { .. } => RuleId("RT-13"),
        }
    }

    /// What the notification states (docs/rules.md, Notifications, DS-46).
    #[must_use]
    pub fn status(&self) -> EnhancedStatus {
        match self {
            Self::ConnectorsTooSmall | Self::SiteLinkTooSmall { .. } => EnhancedStatus::new(5, 3, 4),
            Self::NoConnectorForType => EnhancedStatus::new(5, 1, 2),
        }
    }

    /// The text of the `550` reply to the sender (DS-05).
    #[must_use]
    pub fn reply_text(&self) -> &'static str {
        match self {
            Self::ConnectorsTooSmall | Self::SiteLinkTooSmall { .. } => {
                "ROUTING.SizeLimit; message size exceeds fixed maximum size for route"
            }
            Self::NoConnectorForType => "ROUTING.NoConnectorForAddressType; unable to route for address type",
        }
    }
}

impl fmt::Display for NdrReason {
    /// For the administrator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectorsTooSmall => f.write_str("every connector that matches is too small for the message"),
            Self::SiteLinkTooSmall { link, limit } => {
                write!(f, "site link {link} on the path takes messages up to {limit}; no other path is tried")
            }
            Self::NoConnectorForType => f.write_str("no connector takes addresses of this type and text"),
        }
    }
}

/// Why mail waits although a route is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeferReason {
    /// Every site that could take it has `InboundMailEnabled` false (RT-43).
    TargetSiteInboundMailDisabled,
}

impl fmt::Display for DeferReason {
    /// The documented `DeferReason`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetSiteInboundMailDisabled => f.write_str("Target Site Inbound Mail Disabled"),
        }
    }
}
