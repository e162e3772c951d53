//! What there is to show of an organization, each thing once and in the order of names: the one source of the text, the
//! drawing and the JSON form.

use envelope::{ByteSize, Limit, ObjectName, Revision, ServerName, SiteName};
use topology::{AddressSpace, Connector, Organization, ServerRole};

/// An organization as it is shown.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Of the configuration; zero for a file.
    pub revision: Revision,
    /// By name.
    pub sites: Vec<SiteView>,
    /// By name.
    pub links: Vec<LinkView>,
    /// By name.
    pub connectors: Vec<ConnectorView>,
}

/// A site with its servers.
#[derive(Clone, Debug)]
pub struct SiteView {
    /// What stands over its box.
    pub name: SiteName,
    /// `HubSiteEnabled`
    pub hub: bool,
    /// `InboundMailEnabled`
    pub inbound: bool,
    /// Mailbox servers by name, then Edge servers.
    pub servers: Vec<ServerView>,
    /// Sites that stand in this box, where it is that of a region.
    pub fold: Option<FoldView>,
}

/// The sites of a region that are drawn as one box.
#[derive(Clone, Debug)]
pub struct FoldView {
    /// How many sites stand in it,
    pub sites: usize,
    /// of so many in the region.
    pub of: usize,
    /// Their servers.
    pub servers: usize,
    /// Connectors with a source among them.
    pub connectors: usize,
    /// Servers that are not there.
    pub away: usize,
    /// Servers that work by an older configuration.
    pub behind: usize,
    /// Servers that did not say what waits on them.
    pub unknown: usize,
    /// Where a click on it leads.
    pub link: Option<String>,
}

/// A server.
#[derive(Clone, Debug)]
pub struct ServerView {
    /// What stands in its box.
    pub name: ServerName,
    /// An Edge server; a Mailbox server otherwise.
    pub edge: bool,
    /// The availability group that it is a member of.
    pub dag: Option<ObjectName>,
}

/// A site link.
#[derive(Clone, Debug)]
pub struct LinkView {
    /// What is written beside it.
    pub name: ObjectName,
    /// Places of its sites in [`Survey::sites`].
    pub sites: Vec<usize>,
    /// What counts (RT-02).
    pub cost: u32,
    /// The highest of those that this line stands for.
    pub cost_most: u32,
    /// How many links this line stands for.
    pub of: usize,
    /// The directory's cost, where `ExchangeCost` replaces it.
    pub replaced: Option<u32>,
    /// `MaxMessageSize`
    pub limit: Limit<ByteSize>,
}

/// A connector of any kind.
#[derive(Clone, Debug)]
pub struct ConnectorView {
    /// What is written beside it.
    pub name: ObjectName,
    /// The documented name of its kind.
    pub kind: String,
    /// It leads to hosts outside by SMTP.
    pub smtp: bool,
    /// Disabled ones take no mail.
    pub enabled: bool,
    /// Visible in the sites of its sources only.
    pub scoped: bool,
    /// As written.
    pub spaces: Vec<AddressSpace>,
    /// Source servers.
    pub sources: Vec<ServerName>,
    /// Places of the sites of its sources.
    pub sites: Vec<usize>,
    /// `MaxMessageSize`
    pub limit: Limit<ByteSize>,
}

impl Survey {
    /// What there is in `organization`.
    #[must_use]
    pub fn of(organization: &Organization) -> Self {
        let mut sites: Vec<&topology::Site> = organization.sites().iter().collect();
        sites.sort_by(|a, b| a.name.cmp(&b.name));
        let place = |name: &SiteName| sites.iter().position(|site| site.name == *name);
        let mut links: Vec<&topology::SiteLink> = organization.site_links().iter().collect();
        links.sort_by(|a, b| a.name.cmp(&b.name));
        let mut connectors: Vec<Connector<'_>> = organization.connectors().collect();
        connectors.sort_by_key(|connector| (connector.name(), connector.guid()));
        let link = |link: &&topology::SiteLink| {
            let mut ends: Vec<usize> = link.sites.iter().filter_map(place).collect();
            ends.sort_unstable();
            LinkView {
                name: link.name.clone(),
                sites: ends,
                cost: link.effective_cost().get(),
                cost_most: link.effective_cost().get(),
                of: 1,
                replaced: link.exchange_cost.map(|_| link.cost.get()),
                limit: link.max_message_size,
            }
        };
        Self {
            revision: organization.revision(),
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
        name: server.name.clone(),
        edge: server.role == ServerRole::Edge,
        dag: server.dag.clone(),
    };
    SiteView {
        name: site.name.clone(),
        hub: site.hub_site_enabled,
        inbound: site.inbound_mail_enabled,
        servers: servers.iter().map(server).collect(),
        fold: None,
    }
}

fn view(
    connector: Connector<'_>,
    organization: &Organization,
    place: &impl Fn(&SiteName) -> Option<usize>,
) -> ConnectorView {
    let names = connector.source_transport_servers();
    let servers = names.iter().filter_map(|name| organization.server(name));
    let mut sites: Vec<usize> = servers.filter_map(|server| place(&server.site)).collect();
    sites.sort_unstable();
    sites.dedup();
    ConnectorView {
        name: connector.name().clone(),
        kind: connector.to_string(),
        smtp: matches!(connector, Connector::Send(_)),
        enabled: connector.is_enabled(),
        scoped: connector.is_scoped(),
        spaces: connector.address_spaces().to_vec(),
        sources: names.to_vec(),
        sites,
        limit: connector.max_message_size(),
    }
}
