//! Regions: sites that belong together, so that a large organization is a picture of few boxes. Nobody configures them. A region is a
//! hub site with all sites that are nearest to it by cost; in a part of the organization without a hub, the site with the most
//! links stands for one, and where that part is large, those that lie farthest from each other. The same organization always has the
//! same regions.

use std::collections::{BTreeMap, BTreeSet};

use envelope::{ServerName, SiteName};

use super::journey::{Journey, LegView};
use super::marks::Marks;
use super::survey::{FoldView, LinkView, SiteView, Survey};

/// Up to so many sites are drawn as they are.
pub const SITES_LEGIBLE: usize = 24;
/// Centres of a part without a hub: one for so many sites.
const SITES_OF_CENTRE: usize = 8;
/// More hubs than this make no picture of few boxes: then they are sites like others.
const HUBS_MAX: usize = 20;

/// Sites that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// That of its centre.
    pub name: SiteName,
    /// Places of its sites in [`Survey::sites`], in order.
    pub sites: Vec<usize>,
}

/// An organization as it is drawn: sites of regions that are shut stand in one box.
#[derive(Clone, Debug)]
pub struct Folded {
    /// What is drawn.
    pub survey: Survey,
    /// The way of a message through it.
    pub journey: Option<Journey>,
    /// All regions, and whether each is open; none where all sites are drawn anyway.
    pub regions: Vec<(Region, bool)>,
}

/// Costs between sites that a link joins.
struct Costs(Vec<BTreeMap<usize, u64>>);

impl Costs {
    fn of(survey: &Survey) -> Self {
        let mut all = vec![BTreeMap::new(); survey.sites.len()];
        for link in &survey.links {
            for from in &link.sites {
                for to in link.sites.iter().filter(|to| *to != from) {
                    let cost = u64::from(link.cost);
                    all[*from].entry(*to).and_modify(|known: &mut u64| *known = cost.min(*known)).or_insert(cost);
                }
            }
        }
        Self(all)
    }

    /// For each site its cost, hops and place of the nearest of some; the first by name of equals.
    fn nearest(&self, centres: &[usize]) -> Vec<Option<(u64, usize, usize)>> {
        let mut found: Vec<Option<(u64, usize, usize)>> = vec![None; self.0.len()];
        let mut open: BTreeSet<(u64, usize, usize, usize)> =
            centres.iter().map(|centre| (0, 0, *centre, *centre)).collect();
        while let Some((cost, hops, centre, at)) = open.pop_first() {
            if found[at].is_some() {
                continue;
            }
            found[at] = Some((cost, hops, centre));
            open.extend(self.0[at].iter().map(|(to, more)| (cost + more, hops + 1, centre, *to)));
        }
        found
    }

    /// Sites of a part by themselves: the one with the most links, then each time the one that is farthest from those chosen.
    fn apart(&self, part: &[usize]) -> Vec<usize> {
        let links = |at: &usize| (self.0[*at].len(), std::cmp::Reverse(*at));
        let mut chosen: Vec<usize> = part.iter().copied().max_by_key(links).into_iter().collect();
        let wanted = if part.len() <= SITES_LEGIBLE / 2 { 1 } else { part.len().div_ceil(SITES_OF_CENTRE) };
        while chosen.len() < wanted {
            let near = self.nearest(&chosen);
            let far = |at: &usize| (near[*at].map(|(cost, hops, _)| (cost, hops)), links(at));
            let rest = part.iter().copied().filter(|at| !chosen.contains(at));
            let Some(next) = rest.max_by_key(far) else { break };
            chosen.push(next);
        }
        chosen
    }
}

/// The regions of an organization, by name.
#[must_use]
pub fn regions(survey: &Survey) -> Vec<Region> {
    let costs = Costs::of(survey);
    let mut left: BTreeSet<usize> = (0..survey.sites.len()).collect();
    let mut centres = Vec::new();
    while let Some(first) = left.first().copied() {
        let joined = costs.nearest(&[first]);
        let part: Vec<usize> = left.iter().copied().filter(|at| joined[*at].is_some()).collect();
        left.retain(|at| joined[*at].is_none());
        let hubs: Vec<usize> = part.iter().copied().filter(|at| survey.sites[*at].hub).collect();
        centres.extend(if hubs.is_empty() || hubs.len() > HUBS_MAX { costs.apart(&part) } else { hubs });
    }
    let mut sites: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, nearest) in costs.nearest(&centres).into_iter().enumerate() {
        sites.entry(nearest.map_or(at, |(_, _, centre)| centre)).or_default().push(at);
    }
    sites.into_iter().map(|(centre, sites)| Region { name: survey.sites[centre].name.clone(), sites }).collect()
}

/// The organization with its regions shut, but for those that are `open` by name. What the picture is about is drawn even so: the
/// way of the message, links that are broken, sites where mail waits. Organizations that are legible as they are stay so.
#[must_use]
pub fn fold(survey: &Survey, journey: Option<&Journey>, marks: &Marks, open: &BTreeSet<String>) -> Folded {
    let all = if survey.sites.len() > SITES_LEGIBLE { regions(survey) } else { Vec::new() };
    let apart = apart(survey, journey, marks);
    let is_open = |region: &Region| open.iter().any(|name| name.eq_ignore_ascii_case(region.name.as_str()));
    let mut boxes: Vec<(Vec<usize>, Option<FoldView>, SiteName)> = Vec::new();
    let mut shut = BTreeSet::new();
    for region in all.iter().filter(|region| !is_open(region)) {
        let within: Vec<usize> = region.sites.iter().copied().filter(|at| !apart.contains(at)).collect();
        // One site alone is no smaller as a box of one.
        if within.len() > 1 {
            shut.extend(within.iter().copied());
            boxes.push((within.clone(), Some(folded(survey, marks, region, &within)), region.name.clone()));
        }
    }
    for (at, site) in survey.sites.iter().enumerate().filter(|(at, _)| !shut.contains(at)) {
        boxes.push((vec![at], None, site.name.clone()));
    }
    boxes.sort_by_key(|(sites, _, _)| sites.first().copied());
    let mut place = vec![0; survey.sites.len()];
    for (number, (sites, _, _)) in boxes.iter().enumerate() {
        sites.iter().for_each(|at| place[*at] = number);
    }
    let sites = boxes.into_iter().map(|(sites, fold, name)| match fold {
        Some(fold) => SiteView { name, hub: false, inbound: true, servers: Vec::new(), fold: Some(fold) },
        None => survey.sites[sites[0]].clone(),
    });
    let sites: Vec<SiteView> = sites.collect();
    let drawn = Survey {
        revision: survey.revision,
        links: links(survey, &sites, &place),
        connectors: survey
            .connectors
            .iter()
            .cloned()
            .map(|mut one| {
                one.sites = placed(&one.sites, &place);
                one
            })
            .collect(),
        sites,
    };
    let regions = all.into_iter().map(|region| (region.clone(), is_open(&region))).collect();
    Folded { survey: drawn, journey: journey.map(|journey| moved(journey, &place)), regions }
}

/// Sites that are drawn whatever is shut.
fn apart(survey: &Survey, journey: Option<&Journey>, marks: &Marks) -> BTreeSet<usize> {
    let mut apart = BTreeSet::new();
    let site_of = |server: &ServerName| {
        survey.sites.iter().position(|site| site.servers.iter().any(|known| known.name == *server))
    };
    if let Some(journey) = journey {
        apart.extend(journey.legs.iter().flat_map(|leg| [leg.from, leg.to]).chain(journey.last));
        let passed = journey.steps.iter().flat_map(|step| [&step.from, &step.to]);
        apart.extend(passed.chain([&journey.from, &journey.end.server]).filter_map(site_of));
    }
    let broken = survey.links.iter().filter(|link| marks.broken.contains(&link.name));
    apart.extend(broken.flat_map(|link| link.sites.clone()));
    let waits = marks.servers.iter().filter(|(_, mark)| mark.waiting.is_some_and(|count| count > 0));
    apart.extend(waits.filter_map(|(server, _)| site_of(server)));
    apart
}

fn folded(survey: &Survey, marks: &Marks, region: &Region, within: &[usize]) -> FoldView {
    let servers = || within.iter().flat_map(|at| &survey.sites[*at].servers);
    let marked = |what: fn(&super::ServerMark) -> bool| {
        servers().filter(|server| marks.servers.get(&server.name).is_some_and(what)).count()
    };
    FoldView {
        sites: within.len(),
        of: region.sites.len(),
        servers: servers().count(),
        connectors: survey.connectors.iter().filter(|one| one.sites.iter().any(|at| within.contains(at))).count(),
        away: marked(|mark| mark.away),
        behind: marked(|mark| mark.behind && !mark.away),
        unknown: marked(|mark| mark.waiting.is_none() && !mark.away && !mark.behind),
        link: None,
    }
}

fn placed(sites: &[usize], place: &[usize]) -> Vec<usize> {
    let mut placed: Vec<usize> = sites.iter().map(|at| place[*at]).collect();
    placed.sort_unstable();
    placed.dedup();
    placed
}

/// Links between boxes. Those that end in a region are one line, with all their costs.
fn links(survey: &Survey, sites: &[SiteView], place: &[usize]) -> Vec<LinkView> {
    let mut drawn: Vec<LinkView> = Vec::new();
    for link in &survey.links {
        let ends = placed(&link.sites, place);
        if ends.len() < 2 && link.sites.len() > 1 {
            continue;
        }
        let is_bundled = ends.len() == 2 && ends.iter().any(|at| sites[*at].fold.is_some());
        let same = drawn.iter_mut().find(|known| is_bundled && known.sites == ends);
        match same {
            Some(known) => {
                known.of += 1;
                known.cost_most = known.cost_most.max(link.cost);
                known.cost = known.cost.min(link.cost);
                known.replaced = None;
                known.limit = known.limit.min(link.limit);
            }
            None => drawn.push(LinkView { sites: ends, ..link.clone() }),
        }
    }
    drawn
}

/// The way in the places of what is drawn: the sites that it passes are.
fn moved(journey: &Journey, place: &[usize]) -> Journey {
    let legs = journey.legs.iter();
    let legs = legs.map(|leg| LegView { from: place[leg.from], to: place[leg.to], link: leg.link.clone() }).collect();
    Journey { legs, last: journey.last.map(|at| place[at]), ..journey.clone() }
}
