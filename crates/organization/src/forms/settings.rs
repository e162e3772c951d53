//! `transportConfig` and `acceptedDomains` (limits file §2, RT-44).

use topology::{AcceptedDomain, AcceptedDomainType, DomainPattern, Guid, TransportConfig};

use super::{name_property, no_domain, no_name};
use crate::literal::{Fault, Literal};
use crate::node::Node;
use crate::property::{Form, Property, property};

impl Form for TransportConfig {
    const PROPERTIES: &'static [Property<Self>] = &[
        property!("maxSendSize", max_send_size),
        property!("maxReceiveSize", max_receive_size),
        property!("maxRecipientEnvelopeLimit", max_recipient_envelope_limit),
        property!("externalPostmasterAddress", external_postmaster_address),
        property!("externalDsnMaxMessageAttachSize", dsn_max_message_attach_size),
        property!("externalDelayDsnEnabled", delay_dsn_enabled),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

impl Form for AcceptedDomain {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(AcceptedDomain),
        property!("guid", guid),
        property!("domainName", domain).or(&["domain"]).required(),
        property!("domainType", domain_type).or(&["type"]),
        property!("default", is_default),
    ];

    fn blank() -> Self {
        Self {
            guid: Guid::ZERO,
            name: no_name(),
            domain: DomainPattern::Exact(no_domain()),
            domain_type: AcceptedDomainType::Authoritative,
            is_default: false,
        }
    }
}

impl Literal for AcceptedDomainType {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match node.scalar().unwrap_or_default().to_ascii_lowercase().as_str() {
            "authoritative" => Ok(Self::Authoritative),
            "internalrelay" => Ok(Self::InternalRelay),
            "externalrelay" => Ok(Self::ExternalRelay),
            _ => Err(vec![Fault::at(node, "a type is Authoritative, InternalRelay or ExternalRelay")]),
        }
    }
    fn write(&self) -> Node {
        Node::text(match self {
            Self::Authoritative => "Authoritative",
            Self::InternalRelay => "InternalRelay",
            Self::ExternalRelay => "ExternalRelay",
        })
    }
}
