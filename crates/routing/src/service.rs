//! Which Transport server takes a message from the stateless services: Front End Transport (RT-60…RT-66) and Mailbox
//! Transport Submission (RT-67…RT-69). They use the same delivery groups and paths, and no connectors.

use std::collections::HashSet;

use envelope::{ObjectName, ServerName};

use crate::group::Group;
use crate::path::SiteIndex;
use crate::planning::{TARGET, first_stop};
use crate::rule::RuleId;
use crate::tables::RoutingTables;
use crate::way::{Attempt, rotate};

/// How many recipients are looked at, in the order of the envelope (RT-62, RT-64).
pub const RECIPIENTS_CONSIDERED: usize = 20;

/// RT-63: any Mailbox server of the local site.
const LOCAL_SITE: RuleId = RuleId("RT-63");
/// RT-66: after the chosen group, the fast-failover list.
const FAST_FAILOVER: RuleId = RuleId("RT-66");
/// RT-68: no mailbox among the recipients, hence the local delivery group.
const LOCAL_GROUP: RuleId = RuleId("RT-68");
/// RT-69: the local delivery group after the chosen one.
const LOCAL_GROUP_FALLBACK: RuleId = RuleId("RT-69");

/// What a service knows about one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientHome<'a> {
    /// A mailbox in this database.
    Mailbox(&'a ObjectName),
    /// A group, a contact, an address outside, or nothing known.
    Other,
}

impl RoutingTables {
    /// Transport servers for a message that came in by Front End Transport, in the order of attempts. One takes the whole
    /// message. `rotation` and `failed` as for [`Way::attempts_from`](crate::Way::attempts_from).
    ///
    /// When all fail the transaction fails (PL-25).
    pub fn front_end_target<'a>(
        &self,
        recipients: impl IntoIterator<Item = RecipientHome<'a>>,
        rotation: u64,
        failed: impl Fn(&ServerName) -> bool,
    ) -> Vec<Attempt> {
        let chosen = self.closest_group(recipients);
        let reason = if chosen.is_some() { FAST_FAILOVER } else { LOCAL_SITE };
        let fallback = self.servers_as(self.tree().source(), reason);
        rotate(self.service_attempts(chosen, fallback), rotation, failed)
    }

    /// Transport servers for a message that Mailbox Transport Submission took out of a local mailbox, in the order of
    /// attempts.
    pub fn submission_target<'a>(
        &self,
        recipients: impl IntoIterator<Item = RecipientHome<'a>>,
        rotation: u64,
        failed: impl Fn(&ServerName) -> bool,
    ) -> Vec<Attempt> {
        let chosen = self.closest_group(recipients);
        let reason = if chosen.is_some() { LOCAL_GROUP_FALLBACK } else { LOCAL_GROUP };
        let fallback = match self.local_dag() {
            Some(dag) => self.members_as(dag, |_| reason),
            None => self.servers_as(self.tree().source(), reason),
        };
        rotate(self.service_attempts(chosen, fallback), rotation, failed)
    }

    /// RT-61, RT-62, RT-65: `min_by_key` takes the first in recipient order among equals.
    fn closest_group<'a>(&self, recipients: impl IntoIterator<Item = RecipientHome<'a>>) -> Option<&Group> {
        recipients
            .into_iter()
            .take(RECIPIENTS_CONSIDERED)
            .filter_map(|recipient| match recipient {
                RecipientHome::Mailbox(database) => self.group_of(database),
                RecipientHome::Other => None,
            })
            .filter_map(|group| Some((self.tree().proximity(group.primary()?)?, group)))
            .min_by_key(|(proximity, _)| *proximity)
            .map(|(_, group)| group)
    }

    fn service_attempts(&self, chosen: Option<&Group>, fallback: Vec<Attempt>) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        if let Some(group) = chosen {
            attempts.extend(first_stop(group, self.tree(), self.roster())); // RT-61
            let primary = group.primary();
            attempts.extend(self.members_as(group, |site| if Some(site) == primary { TARGET } else { FAST_FAILOVER }));
        }
        attempts.extend(fallback);
        let mut seen = HashSet::new();
        attempts.retain(|attempt| seen.insert(attempt.server.clone()));
        attempts
    }

    fn members_as(&self, group: &Group, reason: impl Fn(SiteIndex) -> RuleId) -> Vec<Attempt> {
        let sites = group.sites.iter().filter(|member| self.roster().accepts(member.site));
        sites.flat_map(|member| self.attempts(member.site, &member.servers, reason(member.site))).collect()
    }

    fn servers_as(&self, site: SiteIndex, reason: RuleId) -> Vec<Attempt> {
        self.attempts(site, self.roster().accepting(site), reason).collect()
    }

    fn attempts(&self, site: SiteIndex, servers: &[ServerName], reason: RuleId) -> impl Iterator<Item = Attempt> {
        let name = self.tree().name(site).clone();
        servers.iter().map(move |server| Attempt { server: server.clone(), site: name.clone(), reason })
    }
}
