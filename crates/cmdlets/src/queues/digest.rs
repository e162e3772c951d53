//! `Get-QueueDigest`: queues of several servers in groups (QU-65…QU-69). They are asked when the command runs, so that its figures
//! are of now, not a minute or two old.

use std::collections::BTreeMap;

use envelope::ServerName;
use shell::{Call, Failure, Objects, Session, Value};
use topology::{Server, ServerRole};

use super::filter;
use super::list::result_size;
use super::look::{Ground, Kinds, filter_of};
use super::{QueueInfo, identity, show};

/// Messages from which on a queue that works is told of (QU-67: `QueueLoggingThreshold`).
const THRESHOLD: u64 = 10;

/// `Get-QueueDigest`
pub(crate) fn digest(ground: &mut Ground<'_>, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
    let servers = servers(ground, call)?;
    let (filter, kinds) = (filter_of(call, filter::QUEUE)?, Kinds::of(call));
    let mut found = ground.each(servers, session, |queues, server| queues.queues(server))?;
    found.retain(|(server, queue)| {
        is_told(queue)
            && kinds.mean(queue)
            && filter.as_ref().is_none_or(|filter| filter.holds(&show::queue(server, queue)))
    });
    let by = call.bound.text("GroupBy").unwrap_or_else(|| "NextHopDomain".to_owned());
    let level = call.bound.text("DetailsLevel").unwrap_or_else(|| "Normal".to_owned());
    let mut groups: BTreeMap<String, Vec<(ServerName, QueueInfo)>> = BTreeMap::new();
    for (server, queue) in found {
        groups.entry(key(&by, &server, &queue)).or_default().push((server, queue));
    }
    let mut objects: Vec<(u64, Value)> = groups.iter().map(|(value, queues)| group(value, queues, &level)).collect();
    objects.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let size = result_size(call)?.unwrap_or(usize::MAX);
    Ok(Box::new(objects.into_iter().take(size).map(|(_, object)| object)))
}

/// Servers, a group of them, sites, or all (QU-65).
fn servers(ground: &Ground<'_>, call: &Call<'_>) -> Result<Vec<ServerName>, Failure> {
    let texts = |name: &str| {
        call.bound.get(name).map(Value::each).unwrap_or_default().iter().map(Value::text).collect::<Vec<_>>()
    };
    let (draft, named) = (&ground.draft, texts("Server"));
    if !named.is_empty() {
        return named.iter().map(|name| identity::server(draft, name)).collect();
    }
    let (sites, dags) = (texts("Site"), texts("Dag"));
    let one_of = |names: &[String], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let missing = |names: &[String], known: &[&str]| {
        names.iter().find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name))).cloned()
    };
    let known_sites: Vec<&str> = draft.sites.iter().map(|site| site.name.as_str()).collect();
    let known_dags: Vec<&str> = draft.dags.iter().map(|dag| dag.name.as_str()).collect();
    if let Some(name) = missing(&sites, &known_sites).or_else(|| missing(&dags, &known_dags)) {
        let message = format!(
            "The operation couldn't be performed because object '{name}' couldn't be found on 'the directory'."
        );
        return Err(Failure::new("InvalidData", "ManagementObjectNotFoundException", message).by("CM-53").about(name));
    }
    // Edge servers are never among them; on one, it is the only one.
    let is_edge = |server: &Server| server.role == ServerRole::Edge;
    let on_edge = draft.servers.iter().any(|server| server.edge.is_subscribed()) || draft.servers.iter().all(is_edge);
    let role = if on_edge { ServerRole::Edge } else { ServerRole::Mailbox };
    let mail = draft.servers.iter().filter(|server| server.role == role);
    let meant = mail.filter(|server| match (&sites[..], &dags[..]) {
        ([], []) => true,
        ([], dags) => server.dag.as_ref().is_some_and(|dag| one_of(dags, dag.as_str())),
        (sites, _) => one_of(sites, server.site.as_str()),
    });
    Ok(meant.map(|server| server.name.clone()).collect())
}

/// QU-67
fn is_told(queue: &QueueInfo) -> bool {
    let is_persistent = queue.number <= 2;
    let least = if is_persistent || queue.status == "Suspended" { 1 } else { THRESHOLD };
    queue.message_count >= least
}

fn key(by: &str, server: &ServerName, queue: &QueueInfo) -> String {
    match by {
        "DeliveryType" => queue.delivery_type.clone(),
        "LastError" => queue.last_error.clone().unwrap_or_default(),
        "NextHopCategory" => queue.next_hop_category.clone(),
        "NextHopKey" => format!("[{},{},{}]", queue.next_hop_domain, queue.delivery_type, queue.next_hop_connector),
        "Status" => queue.status.clone(),
        "ServerName" => server.to_string(),
        "RiskLevel" => "Normal".to_owned(),
        "OutboundIPPool" => "0".to_owned(),
        _ => queue.next_hop_domain.clone(),
    }
}

fn group(value: &str, queues: &[(ServerName, QueueInfo)], level: &str) -> (u64, Value) {
    let count = queues.iter().map(|(_, queue)| queue.message_count).sum();
    let sum = |name: &str| {
        let all = queues.iter().filter_map(|(server, queue)| show::queue(server, queue).get(name)?.number());
        all.sum::<f64>()
    };
    #[expect(clippy::cast_possible_truncation, reason = "sums of counts of messages")]
    let whole = |name: &str| Value::Whole(sum(name) as i64);
    let names = match level {
        "None" => &[][..],
        "Verbose" => VERBOSE,
        _ => NORMAL,
    };
    let details = match level {
        "None" => Vec::new(),
        _ => queues.iter().map(|(server, queue)| detail(server, queue, names)).collect(),
    };
    let properties = vec![
        ("GroupByValue", Value::of(value)),
        ("MessageCount", whole("MessageCount")),
        ("DeferredMessageCount", whole("DeferredMessageCount")),
        ("LockedMessageCount", Value::Whole(0)),
        ("IncomingRate", Value::Real(sum("IncomingRate"))),
        ("OutgoingRate", Value::Real(sum("OutgoingRate"))),
        ("Velocity", Value::Real(sum("Velocity"))),
        ("Details", Value::list(details)),
    ];
    (count, Value::Object(show::object(show::DIGEST, value, properties)))
}

/// What is told of each queue (QU-69).
const NORMAL: &[&str] = &["QueueIdentity", "MessageCount"];
const VERBOSE: &[&str] = &[
    "QueueIdentity",
    "MessageCount",
    "DeferredMessageCount",
    "LockedMessageCount",
    "IncomingRate",
    "OutgoingRate",
    "Velocity",
    "NextHopDomain",
    "NextHopCategory",
    "NextHopConnector",
    "DeliveryType",
    "Status",
    "RiskLevel",
    "OutboundIPPool",
    "LastError",
    "TlsDomain",
];

fn detail(server: &ServerName, queue: &QueueInfo, names: &[&'static str]) -> Value {
    let object = show::queue(server, queue);
    let mut properties: Vec<(&'static str, Value)> =
        names.iter().map(|name| (*name, object.get(name).unwrap_or_default())).collect();
    properties.insert(1, ("ServerIdentity", Value::of(server.to_string())));
    let text = show::queue_identity(server, queue.number);
    Value::Object(show::object("QueueDigestDetails", &text, properties))
}
