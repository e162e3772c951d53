//! `transportConfig`, `acceptedDomains` and `x400AuthoritativeDomains` (docs/rules.md, Limits, RT-44, EN-72).

use topology::{AcceptedDomain, AcceptedDomainType, DomainPattern, Guid, TransportConfig, X400AuthoritativeDomain};

use super::{name_property, no_domain, no_name};
use crate::literal::{Fault, Literal, kind_of, shape_of};
use crate::node::Node;
use crate::property::{Form, Property, property};

impl Form for TransportConfig {
    const PROPERTIES: &'static [Property<Self>] = &[
        property!("maxSendSize", max_send_size)
            .is("Largest message that a sender may send.", "LM-05, LM-10")
            .within(0, 2147482624),
        property!("maxReceiveSize", max_receive_size)
            .is("Largest message that a recipient may receive.", "LM-05, LM-10")
            .within(0, 2147482624),
        property!("maxRecipientEnvelopeLimit", max_recipient_envelope_limit)
            .is("Recipients of one message, before groups are expanded.", "LM-12")
            .within(0, 2147483647),
        property!("externalPostmasterAddress", external_postmaster_address)
            .is("Sender of notifications.", "DS-21")
            .defaults_to("postmaster of the default domain"),
        property!("externalDsnMaxMessageAttachSize", dsn_max_message_attach_size)
            .is("Larger messages are not returned whole in a notification.", "DS-13")
            .within(0, 2147483647),
        property!("externalDelayDsnEnabled", delay_dsn_enabled).is("Late mail is reported to its sender.", "QU-45"),
        property!("plusAddressingEnabled", plus_addressing_enabled)
            .is("Where nobody has the very address, anna+lists@contoso.com is anna@contoso.com.", "PL-45"),
        property!("privateTargetRanges", private_target_ranges)
            .is(
                "Private and special networks, and those of sites, to which mail may go by DNS; never the organization's servers.",
                "RFC 6890",
            )
            .defaults_to("none"),
        property!("tlsSendDomainSecureList", tls_send_domain_secure_list)
            .is(
                "Domains to which mail goes by mutual TLS alone, by connectors with domainSecureEnabled.",
                "TA-40, TA-42, TA-43",
            )
            .defaults_to("none"),
        property!("tlsReceiveDomainSecureList", tls_receive_domain_secure_list)
            .is(
                "Domains from which mail comes by mutual TLS alone, to connectors with domainSecureEnabled and Partners.",
                "TA-41, TA-42, TA-43",
            )
            .defaults_to("none"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

impl Form for AcceptedDomain {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(AcceptedDomain),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "RT-44")
            .defaults_to("derived"),
        property!("domainName", domain)
            .is("The domain; *.domain covers it and everything below.", "RT-44")
            .or(&["domain"])
            .required(),
        Property::<Self>::new(
            "domainType",
            |accepted| accepted.domain_type.write(),
            |accepted, node, _| {
                accepted.domain_type = Literal::read(node)?;
                accepted.address_book_enabled = accepted.domain_type.looks_recipients_up();
                Ok(())
            },
        )
        .takes(|accepted| kind_of(&accepted.domain_type))
        .shaped(|accepted| shape_of(&accepted.domain_type))
        .is("Whose recipients are all known here, which are partly elsewhere, which are all elsewhere.", "EN-80, PL-46")
        .or(&["type"]),
        property!("addressBookEnabled", address_book_enabled)
            .is(
                "Recipient Lookup: whom the directory does not have is refused on arrival; in relay domains to who may not relay.",
                "EN-82",
            )
            .defaults_to("true, false for relay domains"),
        property!("default", is_default).is(
            "The domain of what has none; exactly one is it. A single accepted domain is, unless it says no.",
            "RT-44",
        ),
    ];

    fn blank() -> Self {
        Self {
            guid: Guid::ZERO,
            name: no_name(),
            domain: DomainPattern::Exact(no_domain()),
            domain_type: AcceptedDomainType::Authoritative,
            address_book_enabled: true,
            is_default: false,
        }
    }
}

impl Form for X400AuthoritativeDomain {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(X400AuthoritativeDomain),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "EN-72")
            .defaults_to("derived"),
        property!("x400DomainName", domain)
            .is(
                "The attributes that all addresses of the domain have: C, A, P, O, OU1 to OU4, joined by `;`.",
                "EN-70, EN-72",
            )
            .or(&["domain"])
            .required(),
        property!("x400ExternalRelay", external_relay).is(
            "Recipients whom the directory does not have are elsewhere, and mail for them leaves by a connector.",
            "EN-72",
        ),
    ];

    fn blank() -> Self {
        Self {
            guid: Guid::ZERO,
            name: no_name(),
            domain: "C=XX".parse().expect("one attribute is a domain"),
            external_relay: false,
        }
    }
}

impl Literal for AcceptedDomainType {
    fn kind() -> String {
        "Authoritative, InternalRelay, ExternalRelay".to_owned()
    }
    fn shape() -> crate::schema::Shape {
        crate::schema::Shape::Word(vec!["Authoritative", "InternalRelay", "ExternalRelay"])
    }
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
