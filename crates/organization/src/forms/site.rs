//! `sites` and `siteLinks` (routing.md §1, RT-01…RT-04).

use envelope::Limit;
use topology::{Guid, LinkCost, Site, SiteLink};

use super::{name_property, no_name, no_site};
use crate::property::{Form, Property, property};

impl Form for Site {
    const PROPERTIES: &'static [Property<Self>] = &[
        name_property!(Site),
        property!("guid", guid),
        property!("hubSiteEnabled", hub_site_enabled),
        property!("inboundMailEnabled", inbound_mail_enabled),
        property!("subnets", subnets),
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
        property!("guid", guid),
        property!("sites", sites).required(),
        property!("cost", cost),
        property!("exchangeCost", exchange_cost),
        property!("maxMessageSize", max_message_size),
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
