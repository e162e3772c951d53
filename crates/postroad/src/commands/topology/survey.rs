//! What there is to show of an organization, each thing once and in the order of names: the one source of the text, the
//! drawing and the JSON form.

use topology::{Connector, Organization, ServerRole};

/// An organization as it is shown.
pub(super) struct Survey {
    pub revision: u64,
    pub sites: Vec<SiteView>,
    pub links: Vec<LinkView>,
    pub connectors: Vec<ConnectorView>,
}

/// A site with its servers.
pub(super) struct SiteView {
    pub name: String,
    pub hub: bool,
    pub inbound: bool,
    pub servers: Vec<ServerView>,
}

/// A server.
pub(super) struct ServerView {
    pub name: String,
    pub edge: bool,
    pub dag: Option<String>,
}

/// A site link.
pub(super) struct LinkView {
    pub name: String,
    /// Places of its sites in [`Survey::sites`].
    pub sites: Vec<usize>,
    /// What counts (RT-02).
    pub cost: u32,
    /// The directory's cost, where `ExchangeCost` replaces it.
    pub replaced: Option<u32>,
    pub limit: Option<String>,
}

/// A connector of any kind.
pub(super) struct ConnectorView {
    pub name: String,
    pub kind: String,
    /// It leads to hosts outside by SMTP.
    pub smtp: bool,
    pub enabled: bool,
    pub scoped: bool,
    pub spaces: Vec<String>,
    pub sources: Vec<String>,
    /// Places of the sites of its sources.
    pub sites: Vec<usize>,
    pub limit: Option<String>,
}

impl Survey {
    pub fn of(organization: &Organization) -> Self {
        let mut sites: Vec<&topology::Site> = organization.sites().iter().collect();
        sites.sort_by(|a, b| a.name.cmp(&b.name));
        let place = |name: &envelope::SiteName| sites.iter().position(|site| site.name == *name);
        let mut links: Vec<&topology::SiteLink> = organization.site_links().iter().collect();
        links.sort_by(|a, b| a.name.cmp(&b.name));
        let mut connectors: Vec<Connector<'_>> = organization.connectors().collect();
        connectors.sort_by_key(|connector| (connector.name(), connector.guid()));
        let link = |link: &&topology::SiteLink| {
            let mut ends: Vec<usize> = link.sites.iter().filter_map(place).collect();
            ends.sort_unstable();
            LinkView {
                name: link.name.to_string(),
                sites: ends,
                cost: link.effective_cost().get(),
                replaced: link.exchange_cost.map(|_| link.cost.get()),
                limit: limit(link.max_message_size),
            }
        };
        Self {
            revision: organization.revision().0,
            links: links.iter().map(link).collect(),
            connectors: connectors.iter().map(|connector| view(*connector, organization, &place)).collect(),
            sites: sites.iter().map(|site| with_servers(site, organization)).collect(),
        }
    }
}

fn with_servers(site: &topology::Site, organization: &Organization) -> SiteView {
    let mut servers: Vec<_> = organization.servers().iter().filter(|server| server.site == site.name).collect();
    servers.sort_by_key(|server| (server.role == ServerRole::Edge, &server.name));
    let server = |server: &&topology::Server| ServerView {
        name: server.name.to_string(),
        edge: server.role == ServerRole::Edge,
        dag: server.dag.as_ref().map(ToString::to_string),
    };
    SiteView {
        name: site.name.to_string(),
        hub: site.hub_site_enabled,
        inbound: site.inbound_mail_enabled,
        servers: servers.iter().map(server).collect(),
    }
}

fn view(
    connector: Connector<'_>,
    organization: &Organization,
    place: &impl Fn(&envelope::SiteName) -> Option<usize>,
) -> ConnectorView {
    let names = connector.source_transport_servers();
    let servers = names.iter().filter_map(|name| organization.server(name));
    let mut sites: Vec<usize> = servers.filter_map(|server| place(&server.site)).collect();
    sites.sort_unstable();
    sites.dedup();
    ConnectorView {
        name: connector.name().to_string(),
        kind: connector.to_string(),
        smtp: matches!(connector, Connector::Send(_)),
        enabled: connector.is_enabled(),
        scoped: connector.is_scoped(),
        spaces: connector.address_spaces().iter().map(short).collect(),
        sources: names.iter().map(ToString::to_string).collect(),
        sites,
        limit: limit(connector.max_message_size()),
    }
}

/// `*;10`: SMTP is what an address space is when nothing else is said.
fn short(space: &topology::AddressSpace) -> String {
    let text = space.to_string();
    text.strip_prefix("SMTP:").map_or(text.clone(), str::to_owned)
}

fn limit(limit: envelope::Limit<envelope::ByteSize>) -> Option<String> {
    match limit {
        envelope::Limit::At(size) => {
            let text = size.to_string();
            Some(text.split(" (").next().unwrap_or(&text).to_owned())
        }
        envelope::Limit::Unlimited => None,
    }
}
