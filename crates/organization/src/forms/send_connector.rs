//! `sendConnectors` with every documented property (send-connector.md §2).

use topology::send_connector::Usage;
use topology::{Guid, SendConnector};

use super::{name_property, no_name};
use crate::literal::Literal;
use crate::property::{Form, Property, property};
use crate::secrets;

impl Form for SendConnector {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(SendConnector),
        property!("guid", guid),
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
        ),
        property!("addressSpaces", address_spaces).required(),
        property!("sourceTransportServers", source_transport_servers),
        property!("enabled", enabled),
        property!("isScopedConnector", is_scoped_connector),
        Property::<Self>::new(
            "smartHosts",
            |connector| connector.smart_hosts.write(),
            |connector, node, _| {
                connector.smart_hosts = Literal::read(node)?;
                // A file that names smart hosts need not say as well that MX records are not used (V-2, V-3).
                connector.dns_routing_enabled = connector.smart_hosts.is_empty();
                Ok(())
            },
        ),
        property!("dnsRoutingEnabled", dns_routing_enabled),
        property!("port", port),
        property!("maxMessageSize", max_message_size),
        property!("frontendProxyEnabled", frontend_proxy_enabled),
        property!("fqdn", fqdn),
        property!("forceHELO", force_helo),
        property!("ignoreSTARTTLS", ignore_starttls),
        property!("requireTLS", require_tls),
        property!("tlsAuthLevel", tls_auth_level),
        property!("tlsDomain", tls_domain),
        property!("tlsCertificateName", tls_certificate_name),
        property!("domainSecureEnabled", domain_secure_enabled),
        property!("smartHostAuthMechanism", smart_host_auth_mechanism),
        Property::<Self>::new(
            "authenticationCredential",
            |connector| secrets::write_credential(connector.authentication_credential.as_ref()),
            |connector, node, seal| {
                connector.authentication_credential = secrets::read_credential(&connector.name, node, seal)?;
                Ok(())
            },
        )
        .secret(),
        property!("connectionInactivityTimeOut", connection_inactivity_timeout),
        property!("smtpMaxMessagesPerConnection", smtp_max_messages_per_connection),
        property!("errorPolicies", error_policies),
        property!("protocolLoggingLevel", protocol_logging_level),
        property!("sourceIPAddress", source_ip_address),
        property!("useExternalDNSServersEnabled", use_external_dns_servers_enabled),
        property!("cloudServicesMailEnabled", cloud_services_mail_enabled),
        property!("connectorType", connector_type),
        property!("requireOorg", require_oorg),
        property!("comment", comment),
    ];

    fn blank() -> Self {
        Self::new(Guid::ZERO, no_name(), Usage::Custom, Vec::new(), Vec::new())
    }
}
