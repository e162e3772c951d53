//! What was imported, as an organization file.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use organization::{Kind, Properties, Written};

use crate::map::Imported;
use crate::report::Verdict;

const TEXT: &str = "a text can be written to";
/// The site of servers of which no export says one.
pub const ASSUMED_SITE: &str = "Default-First-Site-Name";

/// The organization file, with what the exports refer to and do not have: servers and a site (IM-20), each said in the report.
#[must_use]
pub fn organization_file(imported: &mut Imported) -> String {
    complete(imported);
    let mut out = String::new();
    for kind in Kind::ALL {
        let objects: Vec<&Properties> =
            imported.objects.iter().filter(|(known, _)| *known == kind).map(|(_, properties)| properties).collect();
        if objects.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        writeln!(out, "{}:", kind.section()).expect(TEXT);
        for properties in objects {
            for (at, (name, value)) in properties.iter().enumerate() {
                let lead = match (kind, at) {
                    (Kind::TransportConfig, _) => "  ",
                    (_, 0) => "  - ",
                    _ => "    ",
                };
                writeln!(out, "{lead}{name}: {}", flow(value)).expect(TEXT);
            }
        }
    }
    out
}

/// A value on one line: JSON is YAML.
fn flow(value: &Written) -> String {
    match value {
        Written::Nothing => "null".to_owned(),
        Written::Truth(truth) => truth.to_string(),
        Written::Whole(whole) => whole.to_string(),
        Written::Text(text) => serde_json::Value::String(text.clone()).to_string(),
        Written::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Written::Map(entries) => {
            let entries = entries.iter().map(|(name, value)| format!("{name}: {}", flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Servers that are referred to and were not exported, and the sites of servers.
fn complete(imported: &mut Imported) {
    let text = |properties: &Properties, name: &str| match properties.iter().find(|(known, _)| known == name) {
        Some((_, Written::Text(text))) => Some(text.clone()),
        _ => None,
    };
    let names = |imported: &Imported, wanted: Kind| -> BTreeSet<String> {
        let all = imported.objects.iter().filter(|(kind, _)| *kind == wanted);
        all.filter_map(|(_, properties)| text(properties, "name")).map(|name| name.to_lowercase()).collect()
    };
    let domain = imported.objects.iter().find(|(kind, _)| *kind == Kind::AcceptedDomain);
    let domain = domain.and_then(|(_, properties)| text(properties, "domainName"));
    let domain =
        domain.map_or_else(|| "organization.invalid".to_owned(), |domain| domain.trim_start_matches("*.").to_owned());
    let known = names(imported, Kind::Server);
    let mut missing: Vec<String> = Vec::new();
    for (_, properties) in &imported.objects {
        for (_, value) in properties.iter().filter(|(name, _)| name == "sourceTransportServers" || name == "server") {
            let items = match value {
                Written::List(items) => items.clone(),
                other => vec![other.clone()],
            };
            for item in items {
                if let Written::Text(server) = item
                    && !known.contains(&server.to_lowercase())
                    && !missing.iter().any(|other| other.eq_ignore_ascii_case(&server))
                {
                    missing.push(server);
                }
            }
        }
    }
    for server in missing {
        let fqdn = format!("{}.{domain}", server.to_lowercase());
        let place = format!("servers[\"{server}\"]");
        imported.report.add(
            "",
            0,
            &place,
            Verdict::Assumed,
            format!("it is referred to and no export has it: taken for {fqdn} in the site {ASSUMED_SITE}"),
        );
        let properties = [("name", server), ("fqdn", fqdn), ("site", ASSUMED_SITE.to_owned())];
        let properties = properties.into_iter().map(|(name, text)| (name.to_owned(), Written::Text(text))).collect();
        imported.objects.push((Kind::Server, properties));
    }
    for (_, properties) in imported.objects.iter_mut().filter(|(kind, _)| *kind == Kind::Server) {
        let name = text(properties, "name").unwrap_or_default();
        if text(properties, "fqdn").is_none() {
            properties.push(("fqdn".to_owned(), Written::Text(format!("{}.{domain}", name.to_lowercase()))));
        }
        if text(properties, "site").is_none() {
            properties.push(("site".to_owned(), Written::Text(ASSUMED_SITE.to_owned())));
        }
    }
    let sites = names(imported, Kind::Site);
    let wanted: BTreeSet<String> = imported
        .objects
        .iter()
        .filter(|(kind, _)| *kind == Kind::Server)
        .filter_map(|(_, properties)| text(properties, "site"))
        .collect();
    for site in wanted.into_iter().filter(|site| !sites.contains(&site.to_lowercase())) {
        imported.objects.push((Kind::Site, vec![("name".to_owned(), Written::Text(site))]));
    }
}
