//! `sendConnectors` with every documented property (docs/rules.md, Send connectors).

use topology::send_connector::Usage;
use topology::{Guid, SendConnector};

use super::{name_property, no_name};
use crate::literal::{Literal, kind_of, shape_of};
use crate::property::{Form, Property, property};
use crate::secrets::{self, CREDENTIAL};

impl Form for SendConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(SendConnector),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "SC-130")
            .defaults_to("derived"),
        Property::<Self>::new(
            "usage",
            |connector| connector.usage.write(),
            |connector, node, _| {
                connector.usage = Usage::read(node)?;
                // SC-23: the default size depends on the usage.
                let named = |usage| Self::new(Guid::ZERO, no_name(), usage, Vec::new(), Vec::new());
                connector.max_message_size = named(connector.usage).max_message_size;
                Ok(())
            },
        )
        .takes(|connector| kind_of(&connector.usage))
        .shaped(|connector| shape_of(&connector.usage))
        .is("A label, given once when the connector is made; it decides the default of maxMessageSize.", "SC-20…SC-23"),
        property!("addressSpaces", address_spaces)
            .is("Addresses that the connector takes, with costs.", "SC-55…SC-65, V-5…V-8")
            .required(),
        property!("sourceTransportServers", source_transport_servers)
            .is("Servers that open the connections: names, or names in DNS.", "SC-83…SC-88, V-19")
            .defaults_to(""),
        property!("enabled", enabled).is("A connector that is not enabled does not exist for routing.", "SC-70"),
        property!("isScopedConnector", is_scoped_connector)
            .is("Only servers in the sites of its source servers see the connector.", "SC-80…SC-82"),
        Property::<Self>::new(
            "smartHosts",
            |connector| connector.smart_hosts.write(),
            |connector, node, _| {
                connector.smart_hosts = Literal::read(node)?;
                // A file that names smart hosts need not say as well that MX records are not used (V-2, V-3).
                connector.dns_routing_enabled = connector.smart_hosts.is_empty();
                Ok(())
            },
        )
        .takes(|connector| kind_of(&connector.smart_hosts))
        .shaped(|connector| shape_of(&connector.smart_hosts))
        .is("Hosts that take the connector's mail instead of the MX hosts of the domain.", "SC-40…SC-47"),
        property!("dnsRoutingEnabled", dns_routing_enabled)
            .is(
                "Deliver to the MX hosts of the domain. What smartHosts says already need not be said again.",
                "SC-35, V-2…V-4",
            )
            .defaults_to("true, false with smartHosts"),
        property!("port", port).is("TCP port at the next hop.", "New-SendConnector").within(0, 65535),
        property!("maxMessageSize", max_message_size)
            .is("Larger messages do not go by the connector.", "SC-23, SC-70, V-24")
            .within(0, 2147483647)
            .defaults_to("35MB, unlimited with usage Internal"),
        property!("frontendProxyEnabled", frontend_proxy_enabled)
            .is("Send through a front end of the local site.", "SC-50…SC-54, V-25"),
        property!("fqdn", fqdn)
            .is("The name given in EHLO.", "New-SendConnector, TA-7")
            .defaults_to("the source server's"),
        property!("forceHELO", force_helo)
            .is("Send HELO instead of EHLO: no extensions, no TLS.", "New-SendConnector, TA-4"),
        property!("ignoreSTARTTLS", ignore_starttls)
            .is("Do not use STARTTLS, although it is offered.", "SC-93, V-11, TA-2"),
        property!("requireTLS", require_tls).is("No message goes without TLS.", "SC-93, TA-3"),
        property!("tlsAuthLevel", tls_auth_level)
            .is(
                "What the next hop's certificate must prove; from CertificateValidation on also that it was not revoked.",
                "SC-94, V-12, TA-8, TA-12",
            ),
        property!("tlsDomain", tls_domain)
            .is("The name that the certificate must have with DomainValidation.", "SC-95, V-13, V-14, TA-10"),
        property!("tlsCertificateName", tls_certificate_name)
            .is("The client certificate that is shown: <I>issuer<S>subject.", "TA-32, V-22"),
        property!("domainSecureEnabled", domain_secure_enabled)
            .is("Mutual TLS with the domains of tlsSendDomainSecureList; not through front ends.", "SC-97, V-15, TA-40…TA-47"),
        property!("smartHostAuthMechanism", smart_host_auth_mechanism)
            .is(
                "How the connector logs on to smartHosts; ExchangeServer by Kerberos, with kerberos.keytab of the settings.",
                "New-SendConnector, V-9, V-10, TA-60",
            ),
        // After what the seal binds it to: identity, smart hosts, mechanism.
        Property::<Self>::new(
            "authenticationCredential",
            |connector| secrets::write_credential(connector.authentication_credential.as_ref()),
            |connector, node, seal| {
                connector.authentication_credential = secrets::read_credential(connector, node, seal)?;
                Ok(())
            },
        )
        .takes(|_| CREDENTIAL.to_owned())
        .is(
            "User and password for smartHosts, sealed for this connector, its smartHosts and its smartHostAuthMechanism.",
            "SC-96, V-9",
        )
        .secret(),
        property!("permissions", permissions)
            .is(
                "Rights besides the documented ones: allow, deny or without, a right, for, whom (Add-, Remove-ADPermission).",
                "PF-3, PF-4, PF-10, PF-33",
            )
            .defaults_to("none"),
        property!("connectionInactivityTimeOut", connection_inactivity_timeout)
            .is("A connection without traffic is closed after this time.", "SC-89, V-21")
            .within(1, 86_400),
        property!("smtpMaxMessagesPerConnection", smtp_max_messages_per_connection)
            .is("Messages in one connection; 0 is no limit.", "SC-90")
            .within(0, 2147483647),
        property!("errorPolicies", error_policies)
            .is("Which failures count as permanent, which as transient.", "SC-112…SC-116"),
        property!("upgradedReplies", upgraded_replies)
            .is("Transient replies that UpgradeCustomFailures makes permanent: codes (450) or statuses (4.2.2).", "SC-115")
            .defaults_to("none"),
        property!("protocolLoggingLevel", protocol_logging_level)
            .is("Whether sessions are written to the protocol log.", "SC-119…SC-123"),
        property!("sourceIPAddress", source_ip_address)
            .is("Local address of outbound connections; Edge servers only.", "New-SendConnector, V-17")
            .defaults_to("any"),
        property!("useExternalDNSServersEnabled", use_external_dns_servers_enabled)
            .is("Resolve by the server's externalDNSServers.", "SC-37"),
        property!("cloudServicesMailEnabled", cloud_services_mail_enabled)
            .is(
                "Header fields of the organization reach the other half of a hybrid one, between accepted domains.",
                "SC-117, PF-40…PF-44",
            ),
        property!("connectorType", connector_type)
            .is("Whether the connector sends to Microsoft 365.", "New-SendConnector")
            .stored_only("it is a label"),
        property!("requireOorg", require_oorg).is("Reserved.", "New-SendConnector").stored_only("it is reserved"),
        property!("comment", comment).is("Free text.", "New-SendConnector"),
    ];

    // SC-125…SC-127, V-23
    const RETIRED: &'static [(&'static str, &'static str)] = &[
        (
            "isCoexistenceConnector",
            "the two halves of a hybrid organization use cloudServicesMailEnabled and connectorType",
        ),
        ("linkedReceiveConnector", "name the connector's addressSpaces: they alone say which mail it takes"),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), Usage::Custom, Vec::new(), Vec::new())
    }
}
