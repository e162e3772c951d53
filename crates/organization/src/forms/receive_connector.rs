//! `receiveConnectors` (docs/rules.md, Receive connectors).

use topology::receive_connector::defaults;
use topology::{Guid, ReceiveConnector, TransportRole};

use super::{no_name, no_server};
use crate::literal::{Literal, kind_of};
use crate::property::{Form, Property, property};

impl Form for ReceiveConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        property!("name", name).is("Unique on its server.", "RC-25").required(),
        Property::<Self>::new(
            "server",
            |connector| connector.server.write(),
            |connector, node, _| {
                connector.server = Literal::read(node)?;
                connector.guid = Self::derived_guid(&connector.server, &connector.name);
                // A default connector that is named keeps what is not said of it.
                if let Some(default) = defaults::named(&connector.server, &connector.name) {
                    let (name, server) = (connector.name.clone(), connector.server.clone());
                    *connector = Self { name, server, ..default };
                }
                Ok(())
            },
        )
        .takes(|connector| kind_of(&connector.server))
        .is("The server that listens.", "RC-1")
        .required(),
        property!("guid", guid)
            .is("Stable identity; derived from server and name when it is not given.", "RC-7")
            .defaults_to("derived"),
        property!("transportRole", transport_role).is("The service that listens.", "RC-5"),
        property!("enabled", enabled).is("A connector that is not enabled does not listen.", "New-ReceiveConnector"),
        property!("bindings", bindings).is("Local addresses and ports.", "RC-26, RC-27").defaults_to(""),
        property!("remoteIPRanges", remote_ip_ranges)
            .is("Clients that are served; the most specific range of an endpoint wins.", "RC-28…RC-31"),
        property!("authMechanism", auth_mechanism).is("Mechanisms that are offered.", "RC-45, RC-46").except(&[
            ("Integrated", "is not offered: NTLM and Kerberos are not there yet"),
            ("ExchangeServer", "is not offered: servers of the organization come by the implicit connector"),
        ]),
        property!("permissionGroups", permission_groups).is("Who may submit.", "RC-40, PL-41").except(&[
            ("ExchangeLegacyServers", "means nobody: there are no legacy servers"),
            ("Custom", "gives nothing: it says that `permissions` does"),
        ]),
        property!("deniedRights", denied_rights)
            .is("Rights of the permission groups that clients of this connector do not have.", "RC-52, RC-53, PF-4"),
        property!("permissions", permissions)
            .is(
                "Rights besides those of the groups: allow or deny, a right, for, and whom (Add-ADPermission).",
                "PF-4, PF-36, PF-62",
            )
            .defaults_to("none"),
        property!("fqdn", fqdn)
            .is("Name in banner, EHLO reply and Received.", "New-ReceiveConnector")
            .defaults_to("the server's"),
        property!("banner", banner).is("The greeting; it begins with 220.", "RC-63").defaults_to("the documented one"),
        property!("requireTLS", require_tls).is("MAIL only after STARTTLS.", "RC-45"),
        property!("domainSecureEnabled", domain_secure_enabled).is(
            "Mutual TLS with senders of tlsReceiveDomainSecureList, who are Partners then; needs that permission group.",
            "RC-45, TA-41…TA-45",
        ),
        // Written only where somebody said something: servers of an earlier version do not know it.
        property!("tlsCertificateName", tls_certificate_name)
            .is("The certificate that is shown at STARTTLS: <I>issuer<S>subject.", "TA-30, TA-32"),
        property!("tlsDomainCapabilities", tls_domain_capabilities)
            .is(
                "Domains whose certificate makes a client the other half of a hybrid organization: domain:AcceptCloudServicesMail.",
                "TA-75, PF-41, PF-45",
            )
            .defaults_to("none"),
        property!("maxMessageSize", max_message_size)
            .is("Larger messages are refused.", "message-size-limits")
            .within(65536, 2147483647),
        property!("maxHeaderSize", max_header_size)
            .is("Larger headers are refused.", "message-size-limits")
            .within(1, 2147483647),
        property!("maxRecipientsPerMessage", max_recipients_per_message)
            .is("Further recipients are put off to a next message.", "RC-50, LM-11")
            .within(1, 512000),
        property!("maxHopCount", max_hop_count).is("Received lines that a message may have.", "RT-74").within(1, 500),
        property!("maxLocalHopCount", max_local_hop_count)
            .is("Received lines of this organization that a message may have; 0 is no limit.", "RT-74")
            .within(0, 50),
        property!("maxInboundConnection", max_inbound_connection)
            .is("Connections at one time.", "message-rate-limits")
            .within(1, 2147483647),
        property!("maxInboundConnectionPerSource", max_inbound_connection_per_source)
            .is("Connections at one time from one source.", "message-rate-limits, RC-54")
            .within(1, 10000),
        property!("maxInboundConnectionPercentagePerSource", max_inbound_connection_percentage_per_source)
            .is("Percentage of the connections still free that one source may take.", "LM-19")
            .within(1, 100),
        property!("maxProtocolErrors", max_protocol_errors)
            .is("Errors after which a session is ended.", "message-rate-limits")
            .within(0, 2147483647),
        property!("maxLogonFailures", max_logon_failures)
            .is("Failed logons after which a session is ended; 0 never.", "message-rate-limits")
            .within(0, 10),
        property!("connectionInactivityTimeOut", connection_inactivity_timeout)
            .is(
                "A session without traffic is ended after this time; less than connectionTimeout.",
                "New-ReceiveConnector",
            )
            .within(1, 86_400)
            .on_edge("00:01:00"),
        property!("connectionTimeout", connection_timeout)
            .is("A session is ended after this time, even while it transfers.", "New-ReceiveConnector")
            .within(1, 86_400)
            .on_edge("00:05:00"),
        property!("authTarpitInterval", auth_tarpit_interval)
            .is("Delay after a failed logon; 0 is none.", "New-ReceiveConnector, LM-25"),
        property!("tarpitInterval", tarpit_interval).is(
            "Delay of refusals when a client looks as if it was guessing; 0 is none.",
            "New-ReceiveConnector, LM-25",
        ),
        property!("messageRateLimit", message_rate_limit)
            .is("Messages in a minute from one source.", "LM-21, LM-22")
            .within(1, 2147483647),
        property!("messageRateSource", message_rate_source)
            .is("What a source is: the client's address, the user, or both.", "LM-21"),
        property!("notifyAnonymousOfSuccess", notify_anonymous_of_success)
            .is("Whether senders who are not authenticated are told of success, relaying and expansion.", "DS-02"),
        property!("longAddressesEnabled", long_addresses_enabled).is(
            "Whether X.400 addresses up to 1860 octets are taken, of clients that see XLONGADDR; Transport of Mailbox servers only.",
            "EN-73, LM-15",
        ),
        property!("protocolLoggingLevel", protocol_logging_level)
            .is("Whether sessions are written to the protocol log.", "SC-119…SC-123"),
        property!("comment", comment).is("Free text.", "New-ReceiveConnector"),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), no_server(), TransportRole::FrontendTransport)
    }
}
