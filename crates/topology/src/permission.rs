//! Rights of a session on a connector: what the documented tables give to whom, and what an administrator gives, denies or takes
//! away (docs/rules.md, Permissions: PF-1…PF-6, PF-10…PF-14, PF-20, PF-34…PF-38). Deny wins (PF-4).
//!
//! ```text
//!   default table, permission groups ──▶ given ─┐
//!   allow RIGHT for SOMEBODY         ──▶ given ─┼─▶ held, unless
//!   without RIGHT for SOMEBODY       ──▶ taken ─┘   deny RIGHT for SOMEBODY
//! ```

use std::fmt;
use std::str::FromStr;

use envelope::ObjectName;

use crate::documented::documented_enum;

documented_enum! {
    /// A right, under the name that the commands of permissions know.
    ConnectorRight {
        /// Send connector: forest header fields stay.
        SendHeadersForest = "ms-Exch-Send-Headers-Forest",
        /// Send connector: organization header fields stay.
        SendHeadersOrganization = "ms-Exch-Send-Headers-Organization",
        /// Send connector: `Received` and `Resent-*` stay.
        SendHeadersRouting = "ms-Exch-Send-Headers-Routing",
        /// Send connector: data of Exchange 2003; without effect.
        SendExch50 = "ms-Exch-SMTP-Send-Exch50",
        /// Send connector: reserved; without effect.
        SendXShadow = "ms-Exch-SMTP-Send-XShadow",
        /// Receive connector: may submit.
        Submit = "ms-Exch-SMTP-Submit",
        /// Receive connector: may relay.
        AcceptAnyRecipient = "ms-Exch-SMTP-Accept-Any-Recipient",
        /// Receive connector: senders of any domain (RC-52).
        AcceptAnySender = "ms-Exch-SMTP-Accept-Any-Sender",
        /// Receive connector: senders in the organization's authoritative domains (RC-53).
        AcceptAuthoritativeDomainSender = "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender",
        /// Receive connector: counts as authenticated.
        AcceptAuthenticationFlag = "ms-Exch-SMTP-Accept-Authentication-Flag",
        /// Receive connector: `Received` and `Resent-*` stay.
        AcceptHeadersRouting = "ms-Exch-Accept-Headers-Routing",
        /// Receive connector: organization header fields stay.
        AcceptHeadersOrganization = "ms-Exch-Accept-Headers-Organization",
        /// Receive connector: forest header fields stay.
        AcceptHeadersForest = "ms-Exch-Accept-Headers-Forest",
        /// Receive connector: without effect, for there is no antispam.
        BypassAntiSpam = "ms-Exch-Bypass-Anti-Spam",
        /// Receive connector: its size limit does not hold; without effect, every message has one.
        BypassMessageSizeLimit = "ms-Exch-Bypass-Message-Size-Limit",
        /// Receive connector: data of Exchange 2003; without effect.
        AcceptExch50 = "ms-Exch-SMTP-Accept-Exch50",
    }
}

impl ConnectorRight {
    /// Whether it is one of Send connectors.
    #[must_use]
    pub const fn is_of_sending(self) -> bool {
        matches!(
            self,
            Self::SendHeadersForest
                | Self::SendHeadersOrganization
                | Self::SendHeadersRouting
                | Self::SendExch50
                | Self::SendXShadow
        )
    }

    /// The name in the directory's dialogues, such as `Send Routing Headers` (PF-69).
    #[must_use]
    pub const fn display_name(self) -> &'static str {
        match self {
            Self::SendHeadersForest => "Send Forest Headers",
            Self::SendHeadersOrganization => "Send Organization Headers",
            Self::SendHeadersRouting => "Send Routing Headers",
            Self::SendExch50 => "Send Exch50",
            Self::SendXShadow => "Send XShadow",
            Self::Submit => "Submit Messages to Server",
            Self::AcceptAnyRecipient => "Submit Messages to any Recipient",
            Self::AcceptAnySender => "Accept any Sender",
            Self::AcceptAuthoritativeDomainSender => "Accept Authoritative Domain Sender",
            Self::AcceptAuthenticationFlag => "Accept Authentication Flag",
            Self::AcceptHeadersRouting => "Accept Routing Headers",
            Self::AcceptHeadersOrganization => "Accept Organization Headers",
            Self::AcceptHeadersForest => "Accept Forest Headers",
            Self::BypassAntiSpam => "Bypass Anti-Spam",
            Self::BypassMessageSizeLimit => "Bypass Message Size Limit",
            Self::AcceptExch50 => "Accept Exch50",
        }
    }
}

/// Whom a right is for (docs/rules.md, Permissions).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// Whoever did not log on.
    Anonymous,
    /// Mailbox users who logged on.
    AuthenticatedUsers,
    /// Servers of the forest.
    ExchangeServers,
    /// Edge servers.
    EdgeTransportServers,
    /// Mailbox servers.
    HubTransportServers,
    /// Hosts that `ExternalAuthoritative` trusts.
    ExternallySecuredServers,
    /// Servers of before 2007, on Send connectors.
    LegacyExchangeServers,
    /// Servers of before 2007, on Receive connectors.
    ExchangeLegacyInterop,
    /// Hosts that Domain Security proved.
    PartnerServers,
    /// One mailbox user, by name.
    User(ObjectName),
}

impl Grantee {
    /// All but single users, under their documented names.
    pub const KNOWN: [(Self, &'static str); 9] = [
        (Self::Anonymous, "NT AUTHORITY\\ANONYMOUS LOGON"),
        (Self::AuthenticatedUsers, "NT AUTHORITY\\Authenticated Users"),
        (Self::ExchangeServers, "Exchange Servers"),
        (Self::EdgeTransportServers, "MS Exchange\\Edge Transport Servers"),
        (Self::HubTransportServers, "MS Exchange\\Hub Transport Servers"),
        (Self::ExternallySecuredServers, "MS Exchange\\Externally Secured Servers"),
        (Self::LegacyExchangeServers, "MS Exchange\\Legacy Exchange Servers"),
        (Self::ExchangeLegacyInterop, "ExchangeLegacyInterop"),
        (Self::PartnerServers, "MS Exchange\\Partner Servers"),
    ];
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::User(name) = self {
            return name.fmt(f);
        }
        let known = Self::KNOWN.iter().find(|(known, _)| known == self);
        f.write_str(known.map_or("", |(_, name)| name))
    }
}

impl FromStr for Grantee {
    type Err = String;

    /// With or without what stands before the last `\` (PF-68); who is none of the known is a user.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let last = |text: &str| text.rsplit('\\').next().unwrap_or_default().to_lowercase();
        if let Some((known, _)) = Self::KNOWN.iter().find(|(_, name)| last(name) == last(text)) {
            return Ok(known.clone());
        }
        let name = text.rsplit('\\').next().unwrap_or_default();
        ObjectName::parse(name).map(Self::User).map_err(|error| format!("{text:?} is nobody: {error}"))
    }
}

documented_enum! {
    /// What is done with a right.
    PermissionKind {
        /// It is given.
        Allow = "allow",
        /// It is refused, whatever else gives it (PF-4).
        Deny = "deny",
        /// It is not given by default.
        Without = "without",
    }
}

/// One right for somebody, in an administrator's own hand: `allow ms-Exch-SMTP-Submit for NT AUTHORITY\ANONYMOUS LOGON`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// Given, denied, taken away.
    pub kind: PermissionKind,
    /// Which right.
    pub right: ConnectorRight,
    /// For whom.
    pub grantee: Grantee,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} for {}", self.kind, self.right, self.grantee)
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no permission: write allow, deny or without, a right, for, and whom");
        let (kind, rest) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let (right, grantee) = rest.split_once(" for ").ok_or_else(wrong)?;
        Ok(Self { kind: kind.parse()?, right: right.trim().parse()?, grantee: grantee.trim().parse()? })
    }
}

/// What every Send connector gives (PF-10).
#[must_use]
pub fn send_default(grantee: &Grantee, right: ConnectorRight) -> bool {
    use ConnectorRight::{SendExch50, SendHeadersRouting};
    match grantee {
        Grantee::Anonymous | Grantee::PartnerServers => right == SendHeadersRouting,
        Grantee::ExternallySecuredServers | Grantee::LegacyExchangeServers => {
            matches!(right, SendHeadersRouting | SendExch50)
        }
        Grantee::ExchangeServers | Grantee::EdgeTransportServers | Grantee::HubTransportServers => {
            right.is_of_sending()
        }
        _ => false,
    }
}

/// Whether one of these holds a right: given to any of them, and denied to none.
pub(crate) fn held(
    permissions: &[Permission],
    grantees: &[Grantee],
    right: ConnectorRight,
    by_default: impl Fn(&Grantee) -> bool,
) -> bool {
    let says = |kind, grantee: &Grantee| {
        permissions.iter().any(|one| one.kind == kind && one.right == right && one.grantee == *grantee)
    };
    let given = |grantee: &Grantee| {
        says(PermissionKind::Allow, grantee) || (by_default(grantee) && !says(PermissionKind::Without, grantee))
    };
    grantees.iter().any(given) && !grantees.iter().any(|grantee| says(PermissionKind::Deny, grantee))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_back_as_they_are_written() {
        for (grantee, _) in Grantee::KNOWN {
            let permission = Permission { kind: PermissionKind::Allow, right: ConnectorRight::Submit, grantee };
            assert_eq!(permission.to_string().parse(), Ok(permission));
        }
        for wrong in [
            "",
            "allow",
            "allow ms-Exch-SMTP-Submit",
            "give ms-Exch-SMTP-Submit for anna",
            "allow Submit for anna",
            "deny ms-Exch-SMTP-Submit for ",
        ] {
            assert!(wrong.parse::<Permission>().is_err(), "{wrong}");
        }
    }
}
