//! `sites` and `siteLinks` (docs/rules.md, Routing, RT-01…RT-04).

use envelope::Limit;
use topology::{Guid, LinkCost, Site, SiteLink};

use super::{name_property, no_name, no_site};
use crate::property::{Form, Property, property};

impl Form for Site {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(Site),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "RT-01")
            .defaults_to("derived"),
        property!("hubSiteEnabled", hub_site_enabled)
            .is("Mail whose least-cost path passes the site stops here.", "RT-25…RT-29"),
        property!("inboundMailEnabled", inbound_mail_enabled)
            .is("The site's servers take mail from other sites.", "RT-43"),
        property!("subnets", subnets)
            .is("Networks of the site: mail goes there by DNS only if privateTargetRanges lists them.", "RT-01"),
    ];

    fn blank() -> Self {
        Self {
            guid: Guid::ZERO,
            name: no_site(),
            hub_site_enabled: false,
            inbound_mail_enabled: true,
            subnets: Vec::new(),
        }
    }
}

impl Form for SiteLink {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(SiteLink),
        property!("guid", guid)
            .is("Stable identity; derived from the name when it is not given.", "RT-02")
            .defaults_to("derived"),
        property!("sites", sites).is("Two or more sites that reach each other directly.", "RT-03").required(),
        property!("cost", cost).is("Active Directory's cost.", "RT-02").within(1, 99999),
        property!("exchangeCost", exchange_cost).is("Replaces cost for mail.", "RT-02").within(1, 99999),
        property!("maxMessageSize", max_message_size).is("Larger messages do not pass.", "RT-13"),
    ];

    fn blank() -> Self {
        Self {
            guid: Guid::ZERO,
            name: no_name(),
            sites: Vec::new(),
            cost: LinkCost::DEFAULT,
            exchange_cost: None,
            max_message_size: Limit::Unlimited,
        }
    }
}
