//! The organization as text, and as one JSON object.

use envelope::{ByteSize, Limit};
use map::{ConnectorView, Journey, LinkView, SiteView, Survey, headline, link_cost, plain, server_text, space};
use serde_json::{Value, json};

use super::summary;
use crate::commands::output;

/// Sections of columns; of many servers and connectors a summary, unless all of them are wanted.
pub(super) fn text(survey: &Survey, journey: Option<&Journey>, all: bool) -> String {
    let mut sections = Vec::new();
    let (every_site, every_connector) = (all || !summary::of_sites(survey), all || !summary::of_connectors(survey));
    if every_site {
        sections.push(section("Sites", &sites(survey)));
        if !survey.links.is_empty() {
            sections.push(section("Site links", &links(survey)));
        }
    } else {
        sections.push(section("Sites", &summary::sites(survey)));
    }
    if every_connector {
        if !survey.connectors.is_empty() {
            sections.push(section("Connectors", &connectors(&survey.connectors)));
        }
    } else {
        sections.push(section("Connectors", &summary::kinds(survey)));
        sections.extend(for_everything(survey));
    }
    if let Some(journey) = journey {
        let mut lines = format!("{}\n", headline(journey));
        for (at, step) in journey.steps.iter().enumerate() {
            lines += &format!("  {}  {}\n", at + 1, step);
        }
        sections.push(format!("{lines}  {}\n", journey.end));
    }
    if !(every_site && every_connector) {
        sections.push(summary::counts(survey));
    }
    sections.join("\n")
}

/// Connectors for what no other is for, the first of them.
fn for_everything(survey: &Survey) -> Option<String> {
    let found = summary::for_everything(survey);
    let shown: Vec<ConnectorView> =
        found.iter().take(summary::CONNECTORS_NAMED_MAX).map(|one| (*one).clone()).collect();
    let mut text = section("For what no other connector is for", &connectors(&shown));
    match found.len() - shown.len() {
        0 => {}
        more => text += &format!("  … {more} more\n"),
    }
    (!found.is_empty()).then_some(text)
}

fn section(title: &str, rows: &[Vec<String>]) -> String {
    let table = output::table(rows);
    let lines: String = table.lines().map(|line| format!("  {line}\n")).collect();
    format!("{title}\n{lines}")
}

fn sites(survey: &Survey) -> Vec<Vec<String>> {
    let site = |site: &SiteView| {
        let servers: Vec<String> = site.servers.iter().map(server_text).collect();
        let servers = if servers.is_empty() { "no server".to_owned() } else { servers.join(", ") };
        vec![site.name.to_string(), summary::flags(site), servers]
    };
    survey.sites.iter().map(site).collect()
}

fn links(survey: &Survey) -> Vec<Vec<String>> {
    let link = |link: &LinkView| {
        let sites: Vec<&str> = link.sites.iter().map(|at| survey.sites[*at].name.as_str()).collect();
        vec![link.name.to_string(), sites.join(" – "), format!("cost {}", link_cost(link))]
    };
    survey.links.iter().map(link).collect()
}

fn connectors(connectors: &[ConnectorView]) -> Vec<Vec<String>> {
    let connector = |connector: &ConnectorView| {
        let mut notes = vec![connector.kind.clone()];
        notes.extend(limit(connector.limit).map(|limit| format!("up to {limit}")));
        notes.extend(connector.scoped.then(|| "scoped".to_owned()));
        notes.extend((!connector.enabled).then(|| "disabled".to_owned()));
        let sources = format!("on {}", joined(&connector.sources));
        let spaces: Vec<String> = connector.spaces.iter().map(space).collect();
        vec![connector.name.to_string(), spaces.join(", "), sources, notes.join(", ")]
    };
    connectors.iter().map(connector).collect()
}

fn joined(names: &[impl ToString]) -> String {
    texts(names).join(", ")
}

fn texts(names: &[impl ToString]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn limit(limit: Limit<ByteSize>) -> Option<String> {
    match limit {
        Limit::At(size) => Some(plain(size)),
        Limit::Unlimited => None,
    }
}

/// One object; fields are only ever added.
pub(super) fn json(survey: &Survey, journey: Option<&Journey>) -> Value {
    let name = |at: &usize| survey.sites[*at].name.as_str();
    let sites = survey.sites.iter().map(|site| {
        let servers = site.servers.iter().map(|server| {
            json!({"name": server.name.as_str(), "role": if server.edge { "Edge" } else { "Mailbox" },
                   "dag": server.dag.as_ref().map(ToString::to_string)})
        });
        json!({"name": site.name.as_str(), "hubSiteEnabled": site.hub, "inboundMailEnabled": site.inbound,
               "servers": servers.collect::<Vec<_>>()})
    });
    let links = survey.links.iter().map(|link| {
        json!({"name": link.name.as_str(), "sites": link.sites.iter().map(name).collect::<Vec<_>>(), "cost": link.cost,
               "replacedCost": link.replaced, "maxMessageSize": limit(link.limit)})
    });
    let connectors = survey.connectors.iter().map(|connector| {
        json!({"name": connector.name.as_str(), "kind": connector.kind, "enabled": connector.enabled,
               "scoped": connector.scoped, "addressSpaces": connector.spaces.iter().map(space).collect::<Vec<_>>(),
               "sources": texts(&connector.sources),
               "sites": connector.sites.iter().map(name).collect::<Vec<_>>(), "maxMessageSize": limit(connector.limit)})
    });
    let journey = journey.map(|journey| {
        let legs = journey
            .legs
            .iter()
            .map(|leg| json!({"from": name(&leg.from), "to": name(&leg.to), "link": leg.link.as_str()}));
        let steps = journey.steps.iter().map(|step| {
            json!({"from": step.from.as_str(), "to": step.to.as_str(),
                   "deliveryType": step.key.delivery_type.as_str(), "nextHopDomain": step.key.domain})
        });
        json!({"from": journey.from.as_str(), "cost": journey.cost, "hops": journey.legs.len(),
               "connector": journey.connector.as_ref().map(ToString::to_string), "path": legs.collect::<Vec<_>>(),
               "steps": steps.collect::<Vec<_>>(), "end": journey.end.to_string()})
    });
    json!({"revision": survey.revision.0, "sites": sites.collect::<Vec<_>>(), "siteLinks": links.collect::<Vec<_>>(),
           "connectors": connectors.collect::<Vec<_>>(), "journey": journey})
}
