//! Delivery groups: which servers may take a destination's mail (RT-15, RT-20…RT-23), and who is in which site.

use envelope::{ServerName, SiteName};
use topology::{Guid, Organization, ServerRole};

use crate::path::{PathTree, SiteIndex};

/// Transport servers of each site, and what routing must know about the site.
#[derive(Debug)]
pub(crate) struct Roster {
    sites: Vec<SiteRoster>,
    local: SiteIndex,
}

#[derive(Clone, Debug)]
struct SiteRoster {
    guid: Guid,
    hub: bool,
    inbound: bool,
    /// Mailbox servers, by name.
    servers: Vec<ServerName>,
}

impl Roster {
    pub(crate) fn build(organization: &Organization, tree: &PathTree) -> Self {
        let mut sites: Vec<(SiteIndex, SiteRoster)> = organization
            .sites()
            .iter()
            .filter_map(|site| {
                let roster = SiteRoster {
                    guid: site.guid,
                    hub: site.hub_site_enabled,
                    inbound: site.inbound_mail_enabled,
                    servers: Vec::new(),
                };
                Some((tree.index(&site.name)?, roster))
            })
            .collect();
        sites.sort_by_key(|(at, _)| *at);
        let mut sites: Vec<SiteRoster> = sites.into_iter().map(|(_, roster)| roster).collect();
        for server in organization.servers().iter().filter(|server| server.role == ServerRole::Mailbox) {
            if let Some(at) = tree.index(&server.site) {
                sites[at.at()].servers.push(server.name.clone());
            }
        }
        sites.iter_mut().for_each(|site| site.servers.sort());
        Self { sites, local: tree.source() }
    }

    /// Mailbox servers of a site, by name.
    pub(crate) fn servers(&self, site: SiteIndex) -> &[ServerName] {
        &self.sites[site.at()].servers
    }

    /// Those of them that other sites may send to (RT-43). Mail inside the local site is not incoming mail.
    pub(crate) fn accepting(&self, site: SiteIndex) -> &[ServerName] {
        if self.accepts(site) { self.servers(site) } else { &[] }
    }

    /// Whether servers of the site take mail from here (RT-43).
    pub(crate) fn accepts(&self, site: SiteIndex) -> bool {
        site == self.local || self.sites[site.at()].inbound
    }

    /// Whether mail stops in the site: the flag counts only with a server that can take the mail (RT-29).
    pub(crate) fn is_hub(&self, site: SiteIndex) -> bool {
        self.sites[site.at()].hub && !self.accepting(site).is_empty()
    }

    /// The site's identity.
    pub(crate) fn guid(&self, site: SiteIndex) -> Guid {
        self.sites[site.at()].guid
    }
}

/// What a group serves, as far as its next-hop key tells (RT-18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupKind {
    /// Databases of a DAG.
    Dag { name: Box<str>, guid: Guid },
    /// Databases of a site that are in no DAG.
    MailboxSite(SiteName),
    /// A connector whose sources are other servers.
    Connector { name: Box<str>, guid: Guid },
    /// A connector on Edge servers that are subscribed to another site: the Mailbox servers of that site (RT-58).
    EdgeSite { name: SiteName, guid: Guid },
    /// A connector on Edge servers that are subscribed to the local site (RT-58).
    LocalEdge { name: Box<str>, guid: Guid },
    /// A group's expansion server (RT-72).
    Servers { fqdn: Box<str> },
}

/// Members of a delivery group in one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupSite {
    pub site: SiteIndex,
    pub servers: Vec<ServerName>,
}

/// A delivery group seen from the local site.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub kind: GroupKind,
    /// Sites with members, nearest first; the first is the primary site (RT-20…RT-22). Sites without a path are left out.
    pub sites: Vec<GroupSite>,
}

impl Group {
    /// Sorts `members` (server, site) by how near their sites are.
    pub(crate) fn new<'a>(
        kind: GroupKind,
        members: impl IntoIterator<Item = (&'a ServerName, &'a SiteName)>,
        tree: &PathTree,
    ) -> Self {
        let mut near: Vec<_> = members
            .into_iter()
            .filter_map(|(server, site)| {
                let site = tree.index(site)?;
                Some((tree.proximity(site)?, site, server))
            })
            .collect();
        near.sort();
        let sites = near.chunk_by(|a, b| a.1 == b.1).map(|chunk| GroupSite {
            site: chunk[0].1,
            servers: chunk.iter().map(|(_, _, server)| (*server).clone()).collect(),
        });
        Self { kind, sites: sites.collect() }
    }

    /// The nearest site with a member (RT-20).
    pub(crate) fn primary(&self) -> Option<SiteIndex> {
        self.sites.first().map(|first| first.site)
    }

    /// Whether `server` is a member.
    pub(crate) fn contains(&self, server: &ServerName) -> bool {
        self.sites.iter().any(|site| site.servers.contains(server))
    }
}
