//! Rights on a Receive connector: what its permission groups give, and what is given and denied besides (docs/rules.md,
//! Permissions: PF-4, PF-34…PF-38).

use super::{PermissionGroup, ReceiveConnector, ReceiveRight};
use crate::permission::{ConnectorRight, Grantee, Permission, PermissionKind, held};

/// What a permission group gives (docs/rules.md, Permissions: permission groups).
#[must_use]
pub fn group_default(group: PermissionGroup, grantee: &Grantee, right: ConnectorRight) -> bool {
    use ConnectorRight as R;
    let of_group = match group {
        PermissionGroup::None | PermissionGroup::Custom => return false,
        PermissionGroup::AnonymousUsers => matches!(grantee, Grantee::Anonymous),
        PermissionGroup::ExchangeUsers => matches!(grantee, Grantee::AuthenticatedUsers),
        PermissionGroup::ExchangeServers => matches!(
            grantee,
            Grantee::ExchangeServers
                | Grantee::EdgeTransportServers
                | Grantee::HubTransportServers
                | Grantee::ExternallySecuredServers
        ),
        PermissionGroup::ExchangeLegacyServers => matches!(grantee, Grantee::ExchangeLegacyInterop),
        PermissionGroup::Partners => matches!(grantee, Grantee::PartnerServers),
    };
    let without_foreign_headers = !matches!(right, R::AcceptHeadersOrganization | R::AcceptHeadersForest);
    of_group
        && !right.is_of_sending()
        && match grantee {
            Grantee::Anonymous => matches!(
                right,
                R::Submit | R::AcceptAnySender | R::AcceptAuthoritativeDomainSender | R::AcceptHeadersRouting
            ),
            Grantee::AuthenticatedUsers => {
                matches!(right, R::Submit | R::AcceptAnyRecipient | R::AcceptHeadersRouting | R::BypassAntiSpam)
            }
            Grantee::PartnerServers => matches!(right, R::Submit | R::AcceptHeadersRouting),
            Grantee::ExternallySecuredServers | Grantee::ExchangeLegacyInterop => without_foreign_headers,
            _ => true,
        }
}

impl ReceiveConnector {
    /// Whom `deniedRights` is about.
    pub const DENIED_ALIKE: [Grantee; 3] =
        [Grantee::Anonymous, Grantee::ExternallySecuredServers, Grantee::PartnerServers];

    /// Whether these hold a right of the connector.
    #[must_use]
    pub fn gives(&self, grantees: &[Grantee], right: ConnectorRight) -> bool {
        let by_group =
            |grantee: &Grantee| self.permission_groups.iter().any(|group| group_default(*group, grantee, right));
        held(&self.permissions, grantees, right, by_group)
            && !grantees.iter().any(|grantee| self.denied_to(grantee).any(|denied| denied == right))
    }

    /// Whether a right is denied to somebody, whatever gives it (PF-4).
    #[must_use]
    pub fn denies(&self, grantee: &Grantee, right: ConnectorRight) -> bool {
        let denial = Permission { kind: PermissionKind::Deny, right, grantee: grantee.clone() };
        self.permissions.contains(&denial) || self.denied_to(grantee).any(|denied| denied == right)
    }

    /// What `deniedRights` denies to somebody: whoever speaks for no mailbox of ours.
    pub fn denied_to(&self, grantee: &Grantee) -> impl Iterator<Item = ConnectorRight> {
        let concerned = Self::DENIED_ALIKE.contains(grantee);
        self.denied_rights.iter().filter(move |_| concerned).map(|right| match right {
            ReceiveRight::AcceptAnySender => ConnectorRight::AcceptAnySender,
            ReceiveRight::AcceptAuthoritativeDomainSender => ConnectorRight::AcceptAuthoritativeDomainSender,
        })
    }
}

#[cfg(test)]
mod tests {
    use envelope::ObjectName;

    use super::*;
    use crate::guid::Guid;
    use crate::receive_connector::defaults;
    use crate::send_connector::{SendConnector, Usage};

    fn connector() -> SendConnector {
        SendConnector::new(Guid::ZERO, ObjectName::parse("Out").unwrap(), Usage::Custom, Vec::new(), Vec::new())
    }

    #[test]
    fn a_send_connector_has_the_documented_twenty_one_grants() {
        // PF-10, PF-11
        let connector = connector();
        let gives = |grantee: &Grantee, right: &ConnectorRight| connector.gives(std::slice::from_ref(grantee), *right);
        let count = |grantee: &Grantee| ConnectorRight::ALL.iter().filter(|right| gives(grantee, right)).count();
        let counts: Vec<usize> = Grantee::KNOWN.iter().map(|(grantee, _)| count(grantee)).collect();
        assert_eq!(counts, [1, 0, 5, 5, 5, 2, 2, 0, 1]);
        let user = Grantee::User(ObjectName::parse("anna").unwrap());
        assert_eq!(count(&user), 0);
    }

    #[test]
    fn groups_give_the_documented_rights() {
        // Submit, any recipient, any sender, own domain, flag, routing, organization, forest, antispam, size, Exch50
        let table = [
            (PermissionGroup::AnonymousUsers, Grantee::Anonymous, "1011010 0000"),
            (PermissionGroup::ExchangeUsers, Grantee::AuthenticatedUsers, "1100010 0100"),
            (PermissionGroup::ExchangeServers, Grantee::ExchangeServers, "1111111 1111"),
            (PermissionGroup::ExchangeServers, Grantee::EdgeTransportServers, "1111111 1111"),
            (PermissionGroup::ExchangeServers, Grantee::HubTransportServers, "1111111 1111"),
            (PermissionGroup::ExchangeServers, Grantee::ExternallySecuredServers, "1111110 0111"),
            (PermissionGroup::ExchangeLegacyServers, Grantee::ExchangeLegacyInterop, "1111110 0111"),
            (PermissionGroup::Partners, Grantee::PartnerServers, "1000010 0000"),
            (PermissionGroup::Partners, Grantee::Anonymous, "0000000 0000"),
            (PermissionGroup::None, Grantee::Anonymous, "0000000 0000"),
        ];
        for (group, grantee, expected) in table {
            let rights = ConnectorRight::ALL.iter().filter(|right| !right.is_of_sending());
            let given: String =
                rights.map(|right| if group_default(group, &grantee, *right) { '1' } else { '0' }).collect();
            assert_eq!(given, expected.replace(' ', ""), "{group} {grantee}");
        }
    }

    #[test]
    fn an_administrators_own_hand_is_above_the_tables_and_deny_above_all() {
        // PF-4, PF-33
        let right = ConnectorRight::SendHeadersRouting;
        let permission = |text: &str| text.parse::<Permission>().unwrap();
        let mut send = connector();
        assert!(send.gives(&[Grantee::Anonymous], right));
        send.permissions = vec![permission("without ms-exch-send-headers-routing for anonymous logon")];
        assert!(!send.gives(&[Grantee::Anonymous], right) && send.gives(&[Grantee::PartnerServers], right));
        send.permissions = vec![permission("deny ms-Exch-Send-Headers-Routing for NT AUTHORITY\\ANONYMOUS LOGON")];
        assert!(!send.gives(&[Grantee::Anonymous], right));
        let [mut receive, _] = defaults::front_end(&envelope::ServerName::parse("MAIL1").unwrap());
        let anna = Grantee::User(ObjectName::parse("anna").unwrap());
        let relay = ConnectorRight::AcceptAnyRecipient;
        assert!(!receive.gives(&[Grantee::Anonymous], relay));
        receive.permissions = vec![permission("allow ms-Exch-SMTP-Accept-Any-Recipient for CONTOSO\\anna")];
        assert!(receive.gives(&[Grantee::AuthenticatedUsers, anna.clone()], relay));
        receive.permissions.push(permission("deny ms-Exch-SMTP-Accept-Any-Recipient for Authenticated Users"));
        assert!(!receive.gives(&[Grantee::AuthenticatedUsers, anna], relay), "deny of any of them wins");
        receive.denied_rights = vec![ReceiveRight::AcceptAnySender];
        assert!(!receive.gives(&[Grantee::Anonymous], ConnectorRight::AcceptAnySender));
    }
}
