//! Ways to a site that cost as much as the chosen one, for explanations: which they were, and what decided against them.
//!
//! Nothing is decided here: costs and hops are those of the tree that routing uses.

use envelope::{ObjectName, SiteName};

use crate::path::{Hops, Path, PathCost};
use crate::rule::RuleId;
use crate::tables::RoutingTables;

/// A way to a site on a path that costs as much as the one that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EqualWay {
    /// The site that both lead to.
    pub to: SiteName,
    /// The site before it on the way that was taken.
    pub taken: SiteName,
    /// The site before it on the other way.
    pub other: SiteName,
    /// The link from there.
    pub link: ObjectName,
    /// What both cost.
    pub cost: PathCost,
    /// Links of the other way.
    pub hops: Hops,
    /// RT-07 when the other way has more links, RT-08 when the name decided.
    pub rule: RuleId,
}

impl RoutingTables {
    /// Every equally cheap way to a site of `path`, which is one of this server's, in the order of the path.
    #[must_use]
    pub fn equal_ways(&self, path: &Path) -> Vec<EqualWay> {
        let tree = self.tree();
        let mut found = Vec::new();
        for (leg, taken) in path.legs.iter().zip(path.sites()) {
            let Some(chosen) = tree.index(&leg.to).and_then(|site| tree.proximity(site)) else { continue };
            let links = self.organization().site_links().iter().filter(|link| link.sites.contains(&leg.to));
            for link in links {
                for other in link.sites.iter().filter(|site| *site != taken && **site != leg.to) {
                    let Some(near) = tree.index(other).and_then(|site| tree.proximity(site)) else { continue };
                    let (cost, hops) = (near.cost.0 + u64::from(link.effective_cost().get()), Hops(near.hops.0 + 1));
                    if cost == chosen.cost.0 {
                        let rule = RuleId(if hops > chosen.hops { "RT-07" } else { "RT-08" });
                        let (to, taken, other) = (leg.to.clone(), taken.clone(), other.clone());
                        found.push(EqualWay {
                            to,
                            taken,
                            other,
                            link: link.name.clone(),
                            cost: chosen.cost,
                            hops,
                            rule,
                        });
                    }
                }
            }
        }
        found
    }
}
