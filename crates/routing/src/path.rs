//! Least-cost paths from one site to all others (RT-02…RT-13).
//!
//! Sites are numbered in the order of their names, so that comparing numbers is the documented comparison of names
//! (RT-10). A site link stays a set of sites: the first of its members to be reached offers the link to all others,
//! which is enough because none that is reached later can offer a better or equal path by it. A link of a thousand
//! sites therefore costs a thousand steps, not a million.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;

use envelope::{ByteSize, Limit, ObjectName, SiteName};
use topology::{Organization, Site, SiteLink};

/// Sum of effective link costs (RT-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathCost(pub u64);

impl fmt::Display for PathCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of links of a path (RT-07).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hops(pub u32);

impl fmt::Display for Hops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One link of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The site at its end.
    pub to: SiteName,
    /// The cheapest link that joins the two sites (RT-04).
    pub link: ObjectName,
    /// What the link costs (RT-02).
    pub cost: PathCost,
    /// The link's `MaxMessageSize` (RT-13).
    pub max_message_size: Limit<ByteSize>,
}

/// The least-cost path from the local site to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The local site.
    pub source: SiteName,
    /// Links in order; none for the local site itself.
    pub legs: Vec<Leg>,
}

impl Path {
    /// Every site from the local one to the last.
    pub fn sites(&self) -> impl DoubleEndedIterator<Item = &SiteName> {
        std::iter::once(&self.source).chain(self.legs.iter().map(|leg| &leg.to))
    }

    /// The site at the end.
    #[must_use]
    pub fn destination(&self) -> &SiteName {
        self.legs.last().map_or(&self.source, |leg| &leg.to)
    }

    /// RT-06.
    #[must_use]
    pub fn cost(&self) -> PathCost {
        PathCost(self.legs.iter().map(|leg| leg.cost.0).sum())
    }

    /// RT-07.
    #[must_use]
    pub fn hops(&self) -> Hops {
        Hops(u32::try_from(self.legs.len()).expect("a path visits no site twice and sites are numbered by u32"))
    }

    /// The first link that is too small for a message, and its limit (RT-13).
    #[must_use]
    pub fn too_small_for(&self, size: ByteSize) -> Option<(&Leg, ByteSize)> {
        self.legs.iter().find_map(|leg| match leg.max_message_size {
            Limit::At(limit) if limit < size => Some((leg, limit)),
            Limit::At(_) | Limit::Unlimited => None,
        })
    }
}

impl fmt::Display for Path {
    /// `A-B-D`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.as_str())?;
        self.legs.iter().try_for_each(|leg| write!(f, "-{}", leg.to))
    }
}

/// A site's number in the order of names (RT-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SiteIndex(u32);

impl SiteIndex {
    fn of(at: usize) -> Self {
        Self(u32::try_from(at).expect("fewer than 2^32 sites fit into memory"))
    }

    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// What makes one path to a site better than another, in the documented order (RT-06, RT-07, RT-08). The last field only
/// makes equal links between the same two sites definite: the lowest name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    cost: PathCost,
    hops: Hops,
    predecessor: SiteIndex,
    link: usize,
}

/// How near a site is; the least is nearest. The order between *different* sites is RT-06…RT-08, then RT-21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Proximity {
    pub cost: PathCost,
    pub hops: Hops,
    predecessor: SiteIndex,
    site: SiteIndex,
}

/// The tree of least-cost paths from one site.
#[derive(Debug)]
pub(crate) struct PathTree {
    names: Vec<SiteName>,
    by_name: HashMap<SiteName, SiteIndex>,
    links: Vec<SiteLink>,
    source: SiteIndex,
    arrivals: Vec<Option<Arrival>>,
}

impl PathTree {
    /// The tree from `source`, which is a site of the organization.
    pub(crate) fn build(organization: &Organization, source: &SiteName) -> Option<Self> {
        let mut sites: Vec<&Site> = organization.sites().iter().collect();
        sites.sort_by(|a, b| a.name.cmp(&b.name));
        let by_name: HashMap<_, _> =
            sites.iter().enumerate().map(|(at, site)| (site.name.clone(), SiteIndex::of(at))).collect();
        let mut links: Vec<SiteLink> = organization.site_links().to_vec();
        links.sort_by(|a, b| a.name.cmp(&b.name));
        let source = *by_name.get(source)?;
        let names = sites.into_iter().map(|site| site.name.clone()).collect();
        let mut tree = Self { names, by_name, links, source, arrivals: Vec::new() };
        tree.arrivals = tree.grow();
        Some(tree)
    }

    /// Dijkstra on (cost, hops), keeping the predecessor with the lowest name (RT-11).
    fn grow(&self) -> Vec<Option<Arrival>> {
        let members: Vec<Vec<SiteIndex>> =
            self.links.iter().map(|link| link.sites.iter().filter_map(|site| self.index(site)).collect()).collect();
        let mut links_of: Vec<Vec<usize>> = vec![Vec::new(); self.names.len()];
        for (link, sites) in members.iter().enumerate() {
            sites.iter().for_each(|site| links_of[site.at()].push(link));
        }
        let mut offered = vec![false; self.links.len()];
        let mut settled = vec![false; self.names.len()];
        let mut best: Vec<Option<Arrival>> = vec![None; self.names.len()];
        let mut frontier = BinaryHeap::from([Reverse((PathCost(0), Hops(0), self.source))]);
        while let Some(Reverse((cost, hops, site))) = frontier.pop() {
            if std::mem::replace(&mut settled[site.at()], true) {
                continue;
            }
            for &link in &links_of[site.at()] {
                if std::mem::replace(&mut offered[link], true) {
                    continue;
                }
                let arrival = Arrival {
                    cost: PathCost(cost.0 + u64::from(self.links[link].effective_cost().get())),
                    hops: Hops(hops.0 + 1),
                    predecessor: site,
                    link,
                };
                for &to in members[link].iter().filter(|to| !settled[to.at()]) {
                    if best[to.at()].is_none_or(|known| arrival < known) {
                        best[to.at()] = Some(arrival);
                        frontier.push(Reverse((arrival.cost, arrival.hops, to)));
                    }
                }
            }
        }
        best
    }

    /// The number of a site.
    pub(crate) fn index(&self, name: &SiteName) -> Option<SiteIndex> {
        self.by_name.get(name).copied()
    }

    /// The name of a site.
    pub(crate) fn name(&self, site: SiteIndex) -> &SiteName {
        &self.names[site.at()]
    }

    /// The local site.
    pub(crate) fn source(&self) -> SiteIndex {
        self.source
    }

    /// How near a site is, unless no chain of links leads there.
    pub(crate) fn proximity(&self, site: SiteIndex) -> Option<Proximity> {
        if site == self.source {
            return Some(Proximity { cost: PathCost(0), hops: Hops(0), predecessor: site, site });
        }
        let Arrival { cost, hops, predecessor, .. } = self.arrivals[site.at()]?;
        // RT-08 goes back site by site. It need not: different predecessors have different names, which decides, and
        // equal predecessors have the same path before them.
        Some(Proximity { cost, hops, predecessor, site })
    }

    /// The path to a site.
    pub(crate) fn path(&self, site: SiteIndex) -> Option<Path> {
        let mut legs = Vec::new();
        let mut at = site;
        while at != self.source {
            let arrival = self.arrivals[at.at()]?;
            let link = &self.links[arrival.link];
            legs.push(Leg {
                to: self.name(at).clone(),
                link: link.name.clone(),
                cost: PathCost(u64::from(link.effective_cost().get())),
                max_message_size: link.max_message_size,
            });
            at = arrival.predecessor;
        }
        legs.reverse();
        Some(Path { source: self.name(self.source).clone(), legs })
    }
}
