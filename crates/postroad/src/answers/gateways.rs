//! What happens today at connectors that are not for SMTP: whether an agent is there, whether a file can be written (EN-61, EN-65,
//! EN-66). Only their source servers know; who was not asked is not spoken for.

use std::collections::{BTreeMap, BTreeSet};

use admin_api::queues::{GatewayEntry, GatewayState};
use envelope::ServerName;
use inquiry::{Answer, End};
use routing::DeliveryType;
use serde::Serialize;
use topology::{Connector, Organization};

/// What source servers said, or why nobody was asked.
#[derive(Debug)]
pub(crate) enum Gateways {
    /// The answer is not about what runs: by a file, or by an older revision.
    NotAsked,
    /// By server; an error says why it cannot be asked.
    Asked(BTreeMap<ServerName, Result<Vec<GatewayEntry>, String>>),
}

/// A connector at one of its source servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gateway {
    server: String,
    /// Whether mail leaves there now; nothing where that is not known.
    ready: Option<bool>,
    /// What is there, in words.
    why: String,
    agents: Option<Agents>,
    drop: Option<Drop>,
}

/// Connections of delivery agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Agents {
    protocol: String,
    free: u32,
    at_work: u32,
}

/// A Drop directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Drop {
    directory: String,
    /// Octets that the gateway has not taken yet.
    held: Option<u64>,
}

impl Gateways {
    /// The servers that know about the ends of an answer, and were not asked yet.
    pub(crate) fn wanted(&self, answer: &Answer) -> BTreeSet<ServerName> {
        let Self::Asked(asked) = self else { return BTreeSet::new() };
        let organization = answer.tables.organization();
        let servers = answer.ends.iter().filter_map(|end| Some(sources(end, connector(end, organization)?)));
        servers.flatten().filter(|server| !asked.contains_key(server)).collect()
    }

    /// What a server said.
    pub(crate) fn add(&mut self, server: ServerName, told: Result<Vec<GatewayEntry>, String>) {
        if let Self::Asked(asked) = self {
            asked.insert(server, told);
        }
    }

    /// What mail meets that ends so; nothing where it is for SMTP.
    pub(super) fn of(&self, end: &End, organization: &Organization) -> Vec<Gateway> {
        let Some(connector) = connector(end, organization) else { return Vec::new() };
        sources(end, connector).iter().map(|server| self.at(server, connector)).collect()
    }

    fn at(&self, server: &ServerName, connector: Connector<'_>) -> Gateway {
        let unknown = |why: String| Gateway { server: server.to_string(), ready: None, why, agents: None, drop: None };
        let Self::Asked(asked) = self else {
            let what = match connector {
                Connector::DeliveryAgent(_) => "a delivery agent is there",
                _ => "its Drop directory is there and has room",
            };
            return unknown(format!("whether {what} now is known to {server} alone, and this answer asks no server"));
        };
        let entry = match asked.get(server) {
            Some(Ok(entries)) => entries.iter().find(|entry| entry.connector == connector.guid()),
            Some(Err(why)) => return unknown(format!("{server} cannot be asked: {why}")),
            None => return unknown(format!("{server} was not asked")),
        };
        match (entry.map(|entry| &entry.state), connector) {
            (Some(GatewayState::Agents { free, at_work }), Connector::DeliveryAgent(connector)) => {
                let protocol = connector.delivery_protocol.clone();
                let agents = Some(Agents { protocol, free: *free, at_work: *at_work });
                let why = of_agents(server, &connector.delivery_protocol, *free, *at_work);
                Gateway { ready: Some(free + at_work > 0), agents, ..unknown(why) }
            }
            (Some(GatewayState::Drop { directory, held, trouble }), Connector::Foreign(_)) => {
                let held_now = held
                    .map_or_else(|| "what it holds cannot be counted".to_owned(), |held| format!("it holds {held}"));
                let why = match trouble {
                    Some(trouble) => format!("{server}: {trouble}; mail waits in its queue"),
                    None => format!("{server} writes to {directory} now; {held_now}"),
                };
                let drop = Some(Drop { directory: directory.to_string(), held: held.map(|held| held.as_u64()) });
                Gateway { ready: Some(trouble.is_none()), drop, ..unknown(why) }
            }
            _ => unknown(format!("{server} does not work by a configuration with this connector yet")),
        }
    }
}

impl Gateway {
    /// In words.
    pub(super) fn text(&self) -> &str {
        &self.why
    }
}

fn of_agents(server: &ServerName, protocol: &str, free: u32, at_work: u32) -> String {
    match (free, at_work) {
        (0, 0) => format!(
            "no delivery agent for protocol {protocol} is at {server}: mail waits in its queue until one comes (EN-61)"
        ),
        (0, busy) => {
            format!("a delivery agent for protocol {protocol} is at {server}; its connections are busy, all {busy}")
        }
        (free, busy) => {
            format!("a delivery agent for protocol {protocol} is at {server}: {free} connections are free, {busy} busy")
        }
    }
}

/// The connector that mail leaves by, where it is not for SMTP.
fn connector<'a>(end: &End, organization: &'a Organization) -> Option<Connector<'a>> {
    let selected = end.explanation()?.selected()?.guid;
    organization.connector(selected).filter(|connector| !matches!(connector, Connector::Send(_)))
}

/// The servers that it may leave at.
fn sources(end: &End, connector: Connector<'_>) -> Vec<ServerName> {
    let here = |kind| matches!(kind, DeliveryType::DeliveryAgent | DeliveryType::NonSmtpGatewayDelivery);
    match (end.route(), end.explanation()) {
        (Some(route), Some(explanation)) if here(route.key.delivery_type) => vec![explanation.from.clone()],
        (Some(_), _) => connector.source_transport_servers().to_vec(),
        _ => Vec::new(),
    }
}
