//! `postroad servers`: who is there, and whether everybody works by the configuration of now.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use authority::Subject;
use directory::{Presence, RevocationRecord};
use envelope::{Revision, ServerName};
use serde::Serialize;
use topology::{Organization, ServerRole};

use super::output;
use super::place::{self, Place};
use super::queued::found;

const EXAMPLES: &str = "\
Examples:
  # Of the lab in .postroad/lab; of an organization; those that are not up to date.
  postroad servers
  postroad servers --settings /etc/postroad/server.toml
  postroad servers --json | jq -r 'select(.current | not) | .server'

A service that is behind has not applied the newest configuration yet; one that stays behind says
why in its log.";

/// Arguments of `postroad servers`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServersArguments {
    /// JSON Lines: one object for each service that is there, and for each server without any.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// A service that is there, or a server without any.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    server: String,
    site: Option<String>,
    /// `Mailbox` or `Edge`.
    role: Option<&'static str>,
    /// A subscribed Edge server that is not asked here.
    #[serde(skip)]
    is_elsewhere: bool,
    /// A subscribed Edge server that was asked.
    #[serde(skip)]
    is_beyond: bool,
    service: Option<&'static str>,
    addresses: Vec<String>,
    version: Option<String>,
    applied_revision: Option<u64>,
    directory_revision: u64,
    current: bool,
    /// Certificates of the server that were issued until then are void.
    revoked_until: Option<String>,
}

pub(crate) async fn run(arguments: ServersArguments) -> anyhow::Result<ExitCode> {
    let reach = arguments.place.reach().await?;
    // Presences first: whoever is then ahead of the configuration has not just applied something newer.
    let presences = reach.directory.presences().await.map_err(|error| reach.explained(&error))?;
    let organization = reach.organization().await?;
    let revoked = reach.directory.revocations().await.map_err(|error| reach.explained(&error))?;
    let beyond = beyond(&arguments.place, &organization).await;
    let unreached = unreached(&presences);
    let entries = entries(&organization, presences, &beyond, &revoked);
    if arguments.json {
        let line = |entry: &Entry| serde_json::to_string(entry).map(|line| line + "\n");
        output::print_json(&entries.iter().map(line).collect::<Result<String, _>>()?)?;
    } else {
        output::print(&human(&entries, organization.revision()))?;
        output::print(&voided(&revoked))?;
        output::print(&unreached)?;
    }
    if let Some(edge) = place::elsewhere(&organization).find(|edge| !beyond.contains_key(&edge.name)) {
        eprintln!("note: an Edge server is not asked: {}", place::ask_edge(edge));
    }
    Ok(ExitCode::SUCCESS)
}

/// An Edge server of a lab: what its own directory says.
struct Beyond {
    organization: Arc<Organization>,
    presences: Vec<Presence>,
}

/// Those that can be read.
async fn beyond(place: &Place, organization: &Organization) -> BTreeMap<ServerName, Beyond> {
    let mut all = BTreeMap::new();
    for settings in place.edges_of_lab(organization) {
        let Ok((organization, mut presences)) = found(&settings).await else { continue };
        presences.retain(|presence| presence.server == settings.server);
        all.insert(settings.server, Beyond { organization, presences });
    }
    all
}

/// In the order of the organization; servers that it does not have come last.
fn entries(
    organization: &Organization,
    presences: Vec<Presence>,
    beyond: &BTreeMap<ServerName, Beyond>,
    revoked: &[RevocationRecord],
) -> Vec<Entry> {
    let mut by_server: BTreeMap<ServerName, Vec<Presence>> = BTreeMap::new();
    for presence in presences {
        by_server.entry(presence.server.clone()).or_default().push(presence);
    }
    let mut entries = Vec::new();
    for server in organization.servers() {
        // A subscribed Edge server tells nobody inside how it is, and what it is told by works by another directory's revisions.
        let (by, services) = match beyond.get(&server.name) {
            Some(edge) => (&*edge.organization, Some(edge.presences.clone()).filter(|there| !there.is_empty())),
            None => (organization, by_server.remove(&server.name)),
        };
        match services {
            Some(services) => {
                let is_beyond = beyond.contains_key(&server.name);
                let services = services.into_iter().map(|presence| there(by, presence));
                entries.extend(services.map(|entry| Entry { is_beyond, ..entry }));
            }
            None => entries.push(missing(by, &server.name)),
        }
    }
    entries.extend(by_server.into_values().flatten().map(|presence| there(organization, presence)));
    for entry in &mut entries {
        let of_it = |record: &&RevocationRecord| match &record.revocation.subject {
            Subject::Server(name) => name.as_str().eq_ignore_ascii_case(&entry.server),
            Subject::Administrator(_) => false,
        };
        entry.revoked_until =
            revoked.iter().find(of_it).map(|record| output::time(SystemTime::from(record.revocation.issued_until)));
    }
    entries
}

/// Which certificates of servers are void: a service that shows one is there, and heard by nobody.
fn voided(revoked: &[RevocationRecord]) -> String {
    let of_servers = revoked.iter().filter(|record| matches!(record.revocation.subject, Subject::Server(_)));
    let line = |RevocationRecord { revocation, author }: &RevocationRecord| {
        let until = output::time(SystemTime::from(revocation.issued_until));
        format!(
            "Certificates of {} that were issued until {until} are revoked, by {}.\n",
            revocation.subject, author.who
        )
    };
    of_servers.map(line).collect()
}

/// Who should synchronize an Edge server and cannot (EN-32).
fn unreached(presences: &[Presence]) -> String {
    let each = presences.iter().flat_map(|one| one.out_of_reach.iter().map(move |edge| (&one.server, edge)));
    each.map(|(server, edge)| {
        format!("The admin service of {server} does not reach Edge server {edge}: another one of the site synchronizes it, if there is one.\n")
    })
    .collect()
}

fn there(organization: &Organization, presence: Presence) -> Entry {
    // What is not of this forest counts by another directory.
    let is_own = organization.server(&presence.server).is_none_or(|server| organization.is_own(server));
    Entry {
        service: Some(presence.service.as_str()),
        addresses: presence.addresses.iter().map(ToString::to_string).collect(),
        version: Some(presence.version),
        applied_revision: is_own.then_some(presence.applied_revision.0),
        // Between the two questions a service may have applied something newer.
        current: !is_own || presence.applied_revision >= organization.revision(),
        ..missing(organization, &presence.server)
    }
}

fn missing(organization: &Organization, server: &ServerName) -> Entry {
    Entry {
        server: server.to_string(),
        site: organization.server(server).map(|server| server.site.to_string()),
        role: organization
            .server(server)
            .map(|server| if server.role == ServerRole::Edge { "Edge" } else { "Mailbox" }),
        is_elsewhere: organization.server(server).is_some_and(|server| server.edge.is_elsewhere()),
        is_beyond: false,
        service: None,
        addresses: Vec::new(),
        version: None,
        applied_revision: None,
        directory_revision: organization.revision().0,
        current: false,
        revoked_until: None,
    }
}

/// The revision that a service works by. That of an Edge server in a lab counts by its own directory.
fn applied(entry: &Entry) -> String {
    let Some(applied) = entry.applied_revision else { return String::new() };
    let behind = match applied.cmp(&entry.directory_revision) {
        Ordering::Less => " (behind)",
        Ordering::Equal => "",
        Ordering::Greater => " (ahead)",
    };
    let own = if entry.is_beyond { " of its own directory" } else { "" };
    format!("{applied}{own}{behind}")
}

fn human(entries: &[Entry], revision: Revision) -> String {
    if entries.is_empty() {
        return "The organization has no servers: describe them in a file and run `postroad apply FILE`.\n".to_owned();
    }
    let mut rows = vec![["SERVER", "SITE", "SERVICE", "ADDRESS", "VERSION", "REVISION"].map(str::to_owned).to_vec()];
    for entry in entries {
        let site = entry.site.as_deref().unwrap_or("(not in the organization)");
        let mut row = vec![entry.server.clone(), site.to_owned()];
        match entry.service {
            Some(service) => {
                let version = entry.version.clone().unwrap_or_default();
                row.extend([service.to_owned(), entry.addresses.join(", "), version, applied(entry)]);
            }
            None if entry.is_elsewhere => row.push("an Edge server, not asked".to_owned()),
            None => row.push("no service is there".to_owned()),
        }
        rows.push(row);
    }
    let ahead = entries.iter().any(|entry| entry.applied_revision > Some(entry.directory_revision));
    let restored = if ahead {
        "Services are ahead of it: it was restored from a backup. `postroad apply --restored FILE` makes it count again.\n"
    } else {
        ""
    };
    format!("{}\nThe directory is at revision {revision}.\n{restored}", output::table(&rows))
}
