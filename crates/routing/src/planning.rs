//! Plans the way to a delivery group: hub stops and the order of connection attempts (RT-23…RT-43).
//!
//! ```text
//!   no hub ahead:  targets in the primary site (RT-34) ▸ members in other sites, nearest first (RT-35)
//!                  ▸ a member in the local site? stop (RT-36)
//!                  ▸ other servers of the primary site (RT-37) ▸ back off site by site toward here (RT-38)
//!   hub ahead:     servers of the first hub, group members first if it is the primary site (RT-27, RT-28)
//!                  ▸ back off site by site toward here (RT-41)
//! ```

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use envelope::{ServerName, SiteName};
use topology::Guid;
use topology::server::MAJOR_VERSION;

use crate::decision::{DeferReason, UnreachableReason};
use crate::group::{Group, GroupKind, Roster};
use crate::key::{DeliveryType, NextHopSolutionKey};
use crate::path::{Path, PathTree, SiteIndex};
use crate::rule::RuleId;
use crate::way::{Attempt, BACKOFF, Way};

/// RT-34: a target server.
pub(crate) const TARGET: RuleId = RuleId("RT-34");
/// RT-35: a member in another site.
const OTHER_MEMBER: RuleId = RuleId("RT-35");
/// RT-37: another server of the primary site.
const PRIMARY_SITE: RuleId = RuleId("RT-37");
/// RT-27: a server of the first hub site.
const HUB: RuleId = RuleId("RT-27");
/// RT-28: a member of the group in the hub site that is the primary site.
const HUB_MEMBER: RuleId = RuleId("RT-28");

/// A group's key and way, or why there is none.
#[derive(Clone, Debug)]
pub(crate) enum Planned {
    Ready { key: Arc<NextHopSolutionKey>, way: Arc<Way> },
    Unreachable(UnreachableReason),
    Deferred(DeferReason),
}

/// A delivery group with its plan, made when first asked for: most groups of a large organization are never needed.
#[derive(Debug)]
pub(crate) struct Planner {
    group: Group,
    planned: OnceLock<Planned>,
}

impl Planner {
    pub(crate) fn new(group: Group) -> Self {
        Self { group, planned: OnceLock::new() }
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    pub(crate) fn planned(&self, tree: &PathTree, roster: &Roster) -> &Planned {
        self.planned.get_or_init(|| plan(&self.group, tree, roster))
    }
}

/// Finds the way to `group`, of which the local server is no member.
fn plan(group: &Group, tree: &PathTree, roster: &Roster) -> Planned {
    let Some((primary, path)) = group.primary().and_then(|site| Some((site, tree.path(site)?))) else {
        return Planned::Unreachable(UnreachableReason::NoPath);
    };
    let hubs: Vec<SiteIndex> = hubs(&path, tree, roster).collect();
    let mut stops: Vec<SiteName> = hubs.iter().map(|hub| tree.name(*hub).clone()).collect();
    if hubs.last() != Some(&primary) && !path.legs.is_empty() {
        stops.push(tree.name(primary).clone());
    }
    let itinerary = Itinerary { group, tree, roster, path: &path };
    let (key, attempts) = match hubs.first() {
        Some(&hub) => {
            let attempts = itinerary.stop(hub).into_iter().chain(itinerary.backoff(hub)); // RT-41
            (hub_key(tree.name(hub), roster.guid(hub)), attempts.collect())
        }
        None => (group_key(&group.kind), itinerary.direct(primary)),
    };
    if attempts.iter().all(|attempt| attempt.reason == BACKOFF) {
        return Planned::Deferred(DeferReason::TargetSiteInboundMailDisabled); // RT-43
    }
    Planned::Ready { key: Arc::new(key), way: Arc::new(Way { path, stops, attempts }) }
}

/// Hub sites of the path, nearest first. Only those on the path count (RT-25), and never the local site (RT-26).
fn hubs(path: &Path, tree: &PathTree, roster: &Roster) -> impl Iterator<Item = SiteIndex> {
    path.legs.iter().filter_map(|leg| tree.index(&leg.to)).filter(|site| roster.is_hub(*site))
}

/// Servers of the first hub on the way to `group`, its members first if the hub is its primary site (RT-27, RT-28);
/// nothing if no hub is ahead.
pub(crate) fn first_stop(group: &Group, tree: &PathTree, roster: &Roster) -> Vec<Attempt> {
    let Some(path) = group.primary().and_then(|site| tree.path(site)) else { return Vec::new() };
    let hub = hubs(&path, tree, roster).next();
    hub.map(|hub| Itinerary { group, tree, roster, path: &path }.stop(hub)).unwrap_or_default()
}

struct Itinerary<'a> {
    group: &'a Group,
    tree: &'a PathTree,
    roster: &'a Roster,
    path: &'a Path,
}

impl Itinerary<'_> {
    fn attempts(&self, site: SiteIndex, servers: &[ServerName], reason: RuleId) -> impl Iterator<Item = Attempt> {
        let site = self.tree.name(site).clone();
        servers.iter().map(move |server| Attempt { server: server.clone(), site: site.clone(), reason })
    }

    fn direct(&self, primary: SiteIndex) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for (at, member) in self.group.sites.iter().filter(|site| self.roster.accepts(site.site)).enumerate() {
            let reason = if at == 0 && member.site == primary { TARGET } else { OTHER_MEMBER };
            attempts.extend(self.attempts(member.site, &member.servers, reason));
        }
        if self.path.legs.is_empty() {
            return attempts; // RT-36
        }
        let members: HashSet<&ServerName> = self.group.sites.iter().flat_map(|site| &site.servers).collect();
        let others: Vec<ServerName> =
            self.roster.accepting(primary).iter().filter(|server| !members.contains(server)).cloned().collect();
        attempts.extend(self.attempts(primary, &others, PRIMARY_SITE));
        attempts.extend(self.backoff(primary));
        attempts
    }

    /// A hub with members of the group is the primary site: a member on the way there would be nearer.
    fn stop(&self, hub: SiteIndex) -> Vec<Attempt> {
        let (members, others): (Vec<ServerName>, Vec<ServerName>) =
            self.roster.accepting(hub).iter().cloned().partition(|server| self.group.contains(server));
        let mut attempts: Vec<Attempt> = self.attempts(hub, &members, HUB_MEMBER).collect();
        attempts.extend(self.attempts(hub, &others, HUB));
        attempts
    }

    /// RT-38: from the site before `stop` toward the source, which is never a backoff target.
    fn backoff(&self, stop: SiteIndex) -> Vec<Attempt> {
        let before = self.path.legs.iter().filter_map(|leg| self.tree.index(&leg.to)).take_while(|site| *site != stop);
        let mut before: Vec<SiteIndex> = before.collect();
        before.reverse();
        before.into_iter().flat_map(|site| self.attempts(site, self.roster.accepting(site), BACKOFF)).collect()
    }
}

fn hub_key(site: &SiteName, guid: Guid) -> NextHopSolutionKey {
    NextHopSolutionKey::new(DeliveryType::SmtpRelayToRemoteActiveDirectorySite, site.as_str(), guid)
}

/// RT-18, without hubs.
fn group_key(kind: &GroupKind) -> NextHopSolutionKey {
    match kind {
        GroupKind::Dag { name, guid } => NextHopSolutionKey::new(DeliveryType::SmtpRelayToDag, name.clone(), *guid),
        GroupKind::MailboxSite(site) => NextHopSolutionKey::new(
            DeliveryType::SmtpRelayToMailboxDeliveryGroup,
            format!("Site:{site};Version:{MAJOR_VERSION}"),
            Guid::ZERO,
        ),
        GroupKind::Connector { name, guid } => {
            NextHopSolutionKey::new(DeliveryType::SmtpRelayToConnectorSourceServers, name.clone(), *guid)
        }
        GroupKind::EdgeSite { name, guid } => hub_key(name, *guid),
        GroupKind::LocalEdge { name, guid } => {
            NextHopSolutionKey::new(DeliveryType::SmtpRelayWithinAdSiteToEdge, name.clone(), *guid)
        }
        GroupKind::Servers { fqdn } => {
            NextHopSolutionKey::new(DeliveryType::SmtpRelayToServers, fqdn.clone(), Guid::ZERO)
        }
    }
}
