//! An organization of many servers or connectors in few lines, in the way of `lab status`: a line for each site, and of connectors those
//! that take what no other is for. `--all` names every one.

use std::collections::BTreeMap;

use map::{ConnectorView, SiteView, Survey};
use topology::{DomainPattern, Space};

use crate::commands::output::{SERVERS_NAMED_MAX, cut};

/// Connectors that are named one by one without being asked for.
pub(super) const CONNECTORS_NAMED_MAX: usize = 40;
/// Links of a site that are named.
const LINKS_NAMED_MAX: usize = 4;

/// Whether sites are lines of numbers.
pub(super) fn of_sites(survey: &Survey) -> bool {
    servers(survey) > SERVERS_NAMED_MAX
}

/// Whether connectors are counted.
pub(super) fn of_connectors(survey: &Survey) -> bool {
    survey.connectors.len() > CONNECTORS_NAMED_MAX
}

fn servers(survey: &Survey) -> usize {
    survey.sites.iter().map(|site| site.servers.len()).sum()
}

/// A line for each site, the cheapest of its links among it.
pub(super) fn sites(survey: &Survey) -> Vec<Vec<String>> {
    let heading = ["SITE", "", "SERVERS", "CONNECTORS", "LINKS BY COST"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for (at, site) in survey.sites.iter().enumerate() {
        let connectors = survey.connectors.iter().filter(|connector| connector.sites.contains(&at)).count();
        let edge = site.servers.iter().filter(|server| server.edge).count();
        let servers = match edge {
            0 => site.servers.len().to_string(),
            edge => format!("{}, {edge} of them Edge", site.servers.len()),
        };
        rows.push(vec![site.name.to_string(), flags(site), servers, connectors.to_string(), links(survey, at)]);
    }
    rows
}

/// What is special about a site.
pub(super) fn flags(site: &SiteView) -> String {
    let flags = [(site.hub, "hub"), (!site.inbound, "no inbound mail")];
    flags.iter().filter(|(is, _)| *is).map(|(_, flag)| *flag).collect::<Vec<_>>().join(", ")
}

/// `S001 20, S002 40 and 9 more`.
fn links(survey: &Survey, at: usize) -> String {
    let own = survey.links.iter().filter(|link| link.sites.contains(&at));
    let mut ends: Vec<(u32, &str)> = own
        .flat_map(|link| link.sites.iter().map(|site| (link.cost, *site)))
        .filter(|(_, site)| *site != at)
        .map(|(cost, site)| (cost, survey.sites[site].name.as_str()))
        .collect();
    ends.sort_unstable();
    cut(&ends.iter().map(|(cost, name)| format!("{name} {cost}")).collect::<Vec<_>>(), LINKS_NAMED_MAX)
}

/// How many there are of each kind.
pub(super) fn kinds(survey: &Survey) -> Vec<Vec<String>> {
    let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for connector in &survey.connectors {
        let counts = kinds.entry(&connector.kind).or_default();
        let is = [true, connector.scoped, !connector.enabled];
        counts.iter_mut().zip(is).for_each(|(count, is)| *count += usize::from(is));
    }
    let heading = ["KIND", "CONNECTORS", "SCOPED", "DISABLED"];
    let row = |(kind, counts): (&&str, &[usize; 3])| {
        std::iter::once((*kind).to_owned()).chain(counts.iter().map(ToString::to_string)).collect()
    };
    std::iter::once(heading.map(str::to_owned).to_vec()).chain(kinds.iter().map(row)).collect()
}

/// Those that take what no other is for.
pub(super) fn for_everything(survey: &Survey) -> Vec<&ConnectorView> {
    let everything = |connector: &&ConnectorView| {
        connector.enabled && connector.spaces.iter().any(|space| space.coverage() == Space::Smtp(DomainPattern::Any))
    };
    survey.connectors.iter().filter(everything).collect()
}

/// What it all amounts to.
pub(super) fn counts(survey: &Survey) -> String {
    format!(
        "{} servers in {} sites, {} links, {} connectors; `--all` names every one\n",
        servers(survey),
        survey.sites.len(),
        survey.links.len(),
        survey.connectors.len()
    )
}
