//! The organization as text, and as one JSON object.

use serde_json::{Value, json};

use super::journey::Journey;
use super::shapes;
use super::survey::Survey;
use crate::commands::output;

/// Sections of columns.
pub(super) fn text(survey: &Survey, journey: Option<&Journey>) -> String {
    let mut sections = vec![section("Sites", &sites(survey))];
    if !survey.links.is_empty() {
        sections.push(section("Site links", &links(survey)));
    }
    if !survey.connectors.is_empty() {
        sections.push(section("Connectors", &connectors(survey)));
    }
    if let Some(journey) = journey {
        let mut lines = format!("{}\n", journey.headline());
        for (at, step) in journey.steps.iter().enumerate() {
            lines += &format!("  {}  {}\n", at + 1, step.text());
        }
        sections.push(format!("{lines}  {}\n", journey.end));
    }
    sections.join("\n")
}

fn section(title: &str, rows: &[Vec<String>]) -> String {
    let table = output::table(rows);
    let lines: String = table.lines().map(|line| format!("  {line}\n")).collect();
    format!("{title}\n{lines}")
}

fn sites(survey: &Survey) -> Vec<Vec<String>> {
    let site = |site: &super::survey::SiteView| {
        let flags = [(site.hub, "hub"), (!site.inbound, "no inbound mail")];
        let flags: Vec<&str> = flags.iter().filter(|(is, _)| *is).map(|(_, flag)| *flag).collect();
        let servers: Vec<String> = site.servers.iter().map(shapes::server_text).collect();
        let servers = if servers.is_empty() { "no server".to_owned() } else { servers.join(", ") };
        vec![site.name.clone(), flags.join(", "), servers]
    };
    survey.sites.iter().map(site).collect()
}

fn links(survey: &Survey) -> Vec<Vec<String>> {
    let link = |link: &super::survey::LinkView| {
        let sites: Vec<&str> = link.sites.iter().map(|at| survey.sites[*at].name.as_str()).collect();
        vec![link.name.clone(), sites.join(" – "), format!("cost {}", shapes::cost(link))]
    };
    survey.links.iter().map(link).collect()
}

fn connectors(survey: &Survey) -> Vec<Vec<String>> {
    let connector = |connector: &super::survey::ConnectorView| {
        let mut notes = vec![connector.kind.clone()];
        notes.extend(connector.limit.as_ref().map(|limit| format!("up to {limit}")));
        notes.extend(connector.scoped.then(|| "scoped".to_owned()));
        notes.extend((!connector.enabled).then(|| "disabled".to_owned()));
        let sources = format!("on {}", connector.sources.join(", "));
        vec![connector.name.clone(), connector.spaces.join(", "), sources, notes.join(", ")]
    };
    survey.connectors.iter().map(connector).collect()
}

/// One object; fields are only ever added.
pub(super) fn json(survey: &Survey, journey: Option<&Journey>) -> Value {
    let name = |at: &usize| survey.sites[*at].name.as_str();
    let sites = survey.sites.iter().map(|site| {
        let servers = site.servers.iter().map(|server| {
            json!({"name": server.name, "role": if server.edge { "Edge" } else { "Mailbox" }, "dag": server.dag})
        });
        json!({"name": site.name, "hubSiteEnabled": site.hub, "inboundMailEnabled": site.inbound,
               "servers": servers.collect::<Vec<_>>()})
    });
    let links = survey.links.iter().map(|link| {
        json!({"name": link.name, "sites": link.sites.iter().map(name).collect::<Vec<_>>(), "cost": link.cost,
               "replacedCost": link.replaced, "maxMessageSize": link.limit})
    });
    let connectors = survey.connectors.iter().map(|connector| {
        json!({"name": connector.name, "kind": connector.kind, "enabled": connector.enabled,
               "scoped": connector.scoped, "addressSpaces": connector.spaces, "sources": connector.sources,
               "sites": connector.sites.iter().map(name).collect::<Vec<_>>(), "maxMessageSize": connector.limit})
    });
    let journey = journey.map(|journey| {
        let legs = journey.legs.iter().map(|leg| json!({"from": name(&leg.from), "to": name(&leg.to), "link": leg.link}));
        let steps = journey.steps.iter().map(|step| {
            json!({"from": step.from, "to": step.to, "deliveryType": step.delivery_type, "nextHopDomain": step.next_hop})
        });
        json!({"from": journey.from, "cost": journey.cost, "hops": journey.legs.len(),
               "connector": journey.connector, "path": legs.collect::<Vec<_>>(),
               "steps": steps.collect::<Vec<_>>(), "end": journey.end})
    });
    json!({"revision": survey.revision, "sites": sites.collect::<Vec<_>>(), "siteLinks": links.collect::<Vec<_>>(),
           "connectors": connectors.collect::<Vec<_>>(), "journey": journey})
}
