//! Sites and IP site links (docs/rules.md, Routing, RT-01…RT-04).

use envelope::{ByteSize, Limit, ObjectName, SiteName};

use crate::guid::Guid;
use crate::receive_connector::RemoteRange;

/// Cost of a site link: 1 to 99999, default 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkCost(u32);

impl LinkCost {
    /// What a link costs when nothing is said.
    pub const DEFAULT: Self = Self(100);
    /// The highest that may be written.
    pub const MAX: Self = Self(99_999);

    /// `cost`, if it is within 1 to 99999.
    #[must_use]
    pub fn new(cost: u32) -> Option<Self> {
        (1..=Self::MAX.0).contains(&cost).then_some(Self(cost))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A place with good connectivity inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name.
    pub name: SiteName,
    /// Mail that passes the site on its least-cost path stops here (RT-25). Default false.
    pub hub_site_enabled: bool,
    /// Servers of the site accept incoming mail (RT-43). Default true.
    pub inbound_mail_enabled: bool,
    /// Addresses by which a server finds its site.
    pub subnets: Vec<RemoteRange>,
}

/// A set of sites of which every pair communicates directly at the link's cost (RT-03).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteLink {
    /// Stable identity.
    pub guid: Guid,
    /// Unique name.
    pub name: ObjectName,
    /// At least two different sites.
    pub sites: Vec<SiteName>,
    /// Active Directory's cost.
    pub cost: LinkCost,
    /// Replaces `cost` for mail when set (RT-02).
    pub exchange_cost: Option<LinkCost>,
    /// Larger messages do not pass; at least 64 KB when set (RT-13).
    pub max_message_size: Limit<ByteSize>,
}

/// Smallest `MaxMessageSize` that may be set on a site link (docs/rules.md, Routing).
pub const SITE_LINK_SIZE_MIN: ByteSize = ByteSize::kib(64);

impl SiteLink {
    /// The cost that routing counts (RT-02).
    #[must_use]
    pub fn effective_cost(&self) -> LinkCost {
        self.exchange_cost.unwrap_or(self.cost)
    }
}
