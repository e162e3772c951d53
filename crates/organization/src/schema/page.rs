//! The pages that are made from the schema: `docs/properties.md` and `docs/organization-file.md`.

use std::fmt::Write as _;

use envelope::{ObjectName, ServerName};
use topology::receive_connector::defaults;

use super::{Effect, Row};
use crate::kind::Kind;

const NOTE: &str = "<!-- Made from the schema by a test of crate organization; POSTROAD_REWRITE=1 writes it anew. -->";

/// `docs/properties.md`: every property with its rules and its effect.
#[must_use]
pub fn properties() -> String {
    let mut page = format!(
        "# Properties\n\n{NOTE}\n\nEvery property of every kind of object, as the directory keeps it: what it takes, its default, the rules \
         that it follows, and whether\nanything follows from it. What has no effect is accepted, stored and shown, and `postroad apply` warns \
         of it.\n`docs/organization-file.md` says how they are written.\n"
    );
    for kind in Kind::ALL {
        write!(page, "\n## {}\n\n", title(kind)).expect(TEXT);
        page.push_str("| property | rules | effect |\n|---|---|---|\n");
        for (name, row) in flat(&super::properties(kind), "") {
            line(&mut page, &[&format!("`{name}`"), row.rule, &effect(&row)]);
        }
    }
    page
}

/// `docs/organization-file.md`: how an organization is written.
#[must_use]
pub fn organization_file() -> String {
    let mut page = format!("# The organization file\n\n{NOTE}\n\n{INTRODUCTION}\n");
    for kind in Kind::ALL {
        write!(page, "\n## `{}`\n\n{}\n\n", kind.section(), about(kind)).expect(TEXT);
        page.push_str("| property | takes | default | meaning |\n|---|---|---|---|\n");
        for (name, row) in flat(&super::properties(kind), "") {
            let aliases: Vec<String> = row.aliases.iter().map(|alias| format!("`{alias}`")).collect();
            let name = match aliases.is_empty() {
                true => format!("`{name}`"),
                false => format!("`{name}` (also {})", aliases.join(", ")),
            };
            line(&mut page, &[&name, &takes(&row), &default(&row), row.help]);
        }
    }
    page.push_str(&default_connectors());
    page
}

const TEXT: &str = "a text can be written to";

/// Each row under its full name, those of an object that is a value after it.
fn flat(rows: &[Row], prefix: &str) -> Vec<(String, Row)> {
    let mut all = Vec::new();
    for row in rows {
        let name = format!("{prefix}{}", row.name);
        all.push((name.clone(), row.clone()));
        all.extend(flat(&row.holds, &format!("{name}.")));
    }
    all
}

fn line(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('<', "&lt;")).collect();
    writeln!(page, "| {} |", cells.join(" | ")).expect(TEXT);
}

fn takes(row: &Row) -> String {
    match &row.range {
        Some(range) => format!("{}; {range}", row.takes),
        None => row.takes.clone(),
    }
}

fn default(row: &Row) -> String {
    let usual = match (row.required, row.default.as_str()) {
        (true, _) => "required".to_owned(),
        (false, "") => "none".to_owned(),
        (false, text) => text.to_owned(),
    };
    match row.edge_default {
        Some(edge) => format!("{usual}; on Edge {edge}"),
        None => usual,
    }
}

fn effect(row: &Row) -> String {
    let idle = row.idle_values.iter().map(|(value, why)| format!("; `{value}` {why}"));
    match row.effect {
        Effect::Works => format!("works{}", idle.collect::<String>()),
        Effect::StoredOnly(why) => format!("**none**: {why}"),
    }
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::TransportConfig => "Organization-wide settings (`transportConfig`)",
        Kind::Site => "Sites",
        Kind::SiteLink => "IP site links",
        Kind::Dag => "Database availability groups",
        Kind::Server => "Servers and their Transport service",
        Kind::Database => "Mailbox databases",
        Kind::AcceptedDomain => "Accepted domains",
        Kind::X400AuthoritativeDomain => "X.400 domains",
        Kind::SendConnector => "Send connectors",
        Kind::DeliveryAgentConnector => "Delivery Agent connectors",
        Kind::ForeignConnector => "Foreign connectors",
        Kind::ReceiveConnector => "Receive connectors",
        Kind::Recipient => "Recipients",
    }
}

fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::TransportConfig => "Settings of the whole organization: a mapping, not a list.",
        Kind::Site => "Places with good connectivity inside.",
        Kind::SiteLink => "Which sites reach each other, and at what cost.",
        Kind::Dag => "Groups of servers with copies of databases; their members are the servers that name them.",
        Kind::Server => "Machines with transport services.",
        Kind::Database => "Either on a server (`server`) or in a DAG (`dag` and `activeOn`).",
        Kind::AcceptedDomain => "Domains for which the organization takes mail.",
        Kind::X400AuthoritativeDomain => "X.400 addresses for which the organization answers.",
        Kind::SendConnector => "Ways out by SMTP.",
        Kind::DeliveryAgentConnector => "Ways out by an agent that speaks another system's protocol.",
        Kind::ForeignConnector => "Ways out by files in a directory.",
        Kind::ReceiveConnector => {
            "How a server listens. Each server has default connectors, which need not be written: see below."
        }
        Kind::Recipient => {
            "What has a `database` is a mailbox, what has an `externalAddress` a contact, what has `members` a group. A file \
             without this section leaves recipients alone."
        }
    }
}

const INTRODUCTION: &str = "\
One YAML file describes the whole organization: `postroad apply FILE` makes the directory say the same, `postroad export`
writes it. Every section is a list of objects, each with a `name`; what is left out has its default. What the file does not
name is deleted, but for recipients, which a file without a `recipients` section leaves alone, and the Delivery Agent connector
for text messages that a new organization has, which one without a `deliveryAgentConnectors` section does.

* Names are compared without regard to case, keys too. Domains are compared in one canonical form: `müller.example` and
  `xn--mller-kva.example` are one domain, and each is shown as it was written.
* Sizes: `35MB`, `1.5GB`, `512B`; a number alone counts octets. Time spans: `[days.]hours:minutes:seconds`; a number alone
  counts days. `unlimited` stands where a limit may be absent.
* A credential is written as `{user: …, passwordFile: …}` and kept sealed; an export holds `{sealed: …}`, which only this
  organization can open.
* `postroad apply --dry-run` reports everything that is wrong at once, with line and column, warns of what has no effect, and
  shows what would change.";

/// The default connectors, and the ports that a firewall must let through.
fn default_connectors() -> String {
    let mailbox = ServerName::parse("SERVER").expect("a name");
    let named =
        |prefix: &str| defaults::named(&mailbox, &ObjectName::parse(&format!("{prefix} SERVER")).expect("a name"));
    let mut page = format!(
        "\n{DEFAULT_CONNECTORS}\n\n| name | service | bindings | mechanisms | groups | for |\n|---|---|---|---|---|---|\n"
    );
    let of = [
        ("Default Frontend", "mail from the internet"),
        ("Client Frontend", "mail clients of users, with STARTTLS and a password"),
        ("Default", "servers and users straight to Transport"),
        ("Client Proxy", "users straight to Transport"),
        ("Default internal receive connector", "Edge servers only: the internet and the organization"),
    ];
    for (prefix, purpose) in of {
        let connector = named(prefix).expect("a default connector");
        let bindings: Vec<String> = connector.bindings.iter().map(ToString::to_string).collect();
        let mechanisms: Vec<&str> = connector.auth_mechanism.iter().map(|mechanism| mechanism.as_str()).collect();
        let groups: Vec<&str> = connector.permission_groups.iter().map(|group| group.as_str()).collect();
        let cells = [
            &format!("{prefix} *server*"),
            connector.transport_role.as_str(),
            &bindings.join(", "),
            &mechanisms.join(", "),
            &groups.join(", "),
            purpose,
        ];
        line(&mut page, &cells);
    }
    page
}

const DEFAULT_CONNECTORS: &str = "\
## Default Receive connectors

Every Mailbox server has four Receive connectors, every Edge server one, as soon as the server is there. They are in an export
like any other, and no other connector takes them away. One is changed by writing it by its name and its server, with what
shall be different; it is removed by its name in `removedReceiveConnectors` of the server, or stays and does not listen with
`enabled: false`.";
