//! Servers: what is there, by which configuration, how it is; and one server with its limits and DNS lookups (AC-50…53).

use std::sync::Arc;

use envelope::ServerName;
use organization::{Kind, Object, properties_of};
use topology::{Organization, Server, ServerRole};

use super::{Answered, Area, Outcome, edit, home, missing, objects, place_of, queues};
use crate::centre::Visit;
use crate::estate::{HealthView, Serving};
use crate::view::{Bit, Bits, Block, Column, Grid, Sheet, Tone};

const AREA: Area = Area {
    path: "servers",
    kind: Kind::Server,
    title: "Servers",
    one: "server",
    about: "What is there, by which configuration it works, and how it is.",
};

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    let organization = visit.ruled.organization().await?;
    let find = |name: &str| {
        edit::named(&organization, Kind::Server, name).ok_or_else(|| edit::nobody(&organization, &AREA, name))
    };
    match (visit.ask.post, rest) {
        (false, []) => list(visit, &organization).await,
        (false, [name]) => one(visit, &organization, &find(name)?).await,
        (false, [name, "edit"]) => {
            let object = find(name)?;
            Ok(Outcome::Sheet(edit::based(
                edit::sheet(visit, &AREA, &properties_of(&object), Some(&object.name()), None, &[]),
                &organization.revision().to_string(),
            )))
        }
        (true, [name, "edit"]) => edit::edited(visit, &AREA, find(name)?).await,
        _ => Err(missing("page", &visit.ask.path)),
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::new("Server", "Name"),
        Column::new("Site", "Site"),
        Column::new("Role", "ServerRole"),
        Column::new("Services", ""),
        Column::new("Revision", ""),
        Column::new("Condition", ""),
        Column::number("Queued", ""),
        Column::new("Certificates", ""),
    ]
}

/// The condition of a server, from those of its services that can be asked.
fn condition(name: &str, health: &[HealthView]) -> (Bits, Bits, Bits) {
    let own: Vec<&HealthView> = health.iter().filter(|one| one.server.eq_ignore_ascii_case(name)).collect();
    if own.is_empty() {
        return (Bit::Quiet("not asked".into()).into(), Bits::default(), Bits::default());
    }
    let bad: Vec<String> =
        own.iter().filter(|one| !one.ready).map(|one| format!("{}: {}", one.service, one.condition)).collect();
    let pressed: Vec<&str> = own.iter().map(|one| one.pressure.as_str()).filter(|text| !text.is_empty()).collect();
    let state: Bits = if !bad.is_empty() {
        Bits::of(vec![Bit::Badge(Tone::Bad, "not ready".into()), Bit::Quiet(bad.join("; "))])
    } else if !pressed.is_empty() {
        Bits::of(vec![Bit::Badge(Tone::Warn, "short".into()), Bit::Quiet(pressed.join("; "))])
    } else {
        Bit::Badge(Tone::Good, "ready".into()).into()
    };
    let queued: u64 = own.iter().filter_map(|one| one.queued).sum();
    let first = own.iter().flat_map(|one| &one.certificates).min_by_key(|(_, days)| *days);
    let certificates = first.map_or_else(Bits::default, |(name, days)| days_left(name, *days));
    (state, queued.to_string().into(), certificates)
}

/// When a certificate ends.
pub(crate) fn days_left(name: &str, days: u64) -> Bits {
    let tone = match days {
        0..=7 => Tone::Bad,
        8..=30 => Tone::Warn,
        _ => Tone::Good,
    };
    Bits::of(vec![Bit::Badge(tone, format!("{days} days")), Bit::Quiet(name.to_owned())])
}

/// The services of a server, and whether they are behind.
fn there(name: &str, services: &[Serving], organization: &Organization) -> (Bits, Bits) {
    let own: Vec<&Serving> = services.iter().filter(|one| one.server.as_str().eq_ignore_ascii_case(name)).collect();
    let server = organization.servers().iter().find(|server| server.name.as_str().eq_ignore_ascii_case(name));
    let is_elsewhere = server.is_some_and(|server| !organization.is_own(server));
    if own.is_empty() {
        let none = if is_elsewhere {
            Bit::Quiet("told by itself".into())
        } else {
            Bit::Badge(Tone::Warn, "none is there".into())
        };
        return (none.into(), Bits::default());
    }
    let names: Vec<&str> = own.iter().map(|one| one.service).collect();
    let least = own.iter().map(|one| one.revision).min().unwrap_or(organization.revision());
    let revision = if is_elsewhere {
        Bit::Quiet("of its own".into())
    } else if least < organization.revision() {
        Bit::Badge(Tone::Warn, format!("{least}, behind"))
    } else {
        Bit::Badge(Tone::Good, least.to_string())
    };
    (names.join(", ").into(), revision.into())
}

async fn list(visit: &Visit<'_>, organization: &Organization) -> Answered {
    let mut sheet = Sheet::new("Servers").says(AREA.about);
    sheet.live = true;
    let services = visit.ruled.services().await?;
    let health = match visit.ruled.health().await {
        Err(why) => {
            sheet.notice(Tone::Plain, "How services are is not told to you", vec![why.into()]);
            Arc::default()
        }
        Ok(last) => {
            if let Some(line) = home::not_known(&last) {
                sheet.notice(Tone::Warn, "How services are is not known", vec![line]);
            }
            last.value.map(|(health, _)| health).unwrap_or_default()
        }
    };
    let mut grid = Grid::new("Servers", columns());
    grid.quiet_caption = true;
    let all = organization.servers();
    for server in objects::page_of(all, visit) {
        let name = server.name.as_str();
        let (state, queued, certificates) = condition(name, &health);
        let (names, revision) = there(name, &services, organization);
        let role = if server.role == ServerRole::Edge { "Edge" } else { "Mailbox" };
        grid.row(vec![
            Bit::link(place_of(Kind::Server, name), name).into(),
            Bit::link(place_of(Kind::Site, server.site.as_str()), &server.site).into(),
            role.into(),
            names,
            revision,
            state,
            queued,
            certificates,
        ]);
    }
    grid.empty = "The organization has no servers: describe them in a file, and run `postroad apply FILE`.".into();
    grid.foot = objects::foot(visit, "/servers", all.len(), all.len());
    sheet.grid(grid);
    if !health.is_empty() {
        let asked = |name: &ServerName| health.iter().any(|one| one.server.eq_ignore_ascii_case(name.as_str()));
        let asked: Vec<ServerName> = all.iter().map(|server| server.name.clone()).filter(asked).collect();
        sheet.add(Block::Prose(Bit::Quiet(format!("Asked how they are: {}.", queues::named(&asked))).into()));
    }
    Ok(Outcome::Sheet(sheet))
}

/// What holds for a subscribed Edge server.
fn elsewhere(sheet: &mut Sheet, edge: &Server) {
    let state = match &edge.edge.voucher {
        Some(_) => "It has not been synchronized yet.",
        None => "What it is told is kept up to date by EdgeSync; Test-EdgeSynchronization compares.",
    };
    let own = "Its directory, its administrators, its Receive connectors and the settings of its Transport are its own: they are \
               changed on it, by the shell there or over its admin service.";
    sheet.notice(Tone::Plain, format!("Subscribed to {}", edge.site), vec![state.into(), own.into()]);
}

async fn one(visit: &Visit<'_>, organization: &Organization, object: &Object) -> Answered {
    let Object::Server(server) = object else { return Err(missing("server", &object.name())) };
    let name = server.name.as_str();
    let mut sheet = Sheet::new(name).under("/servers", "Servers");
    sheet.lead = format!(
        "{} server in {}: {}",
        if server.role == ServerRole::Edge { "Edge" } else { "Mailbox" },
        server.site,
        server.fqdn
    );
    let refused = visit.ruled.why_not(edit::changing(Kind::Server));
    sheet.action(format!("{}/edit", place_of(Kind::Server, name)), "Edit", "primary", refused);
    objects::findings(&mut sheet, organization, object);
    let services = visit.ruled.services().await?;
    let health = visit.ruled.health_if_allowed().await;
    let columns = ["Service", "Address", "Version", "Revision", "Since", "Condition"]
        .map(|title| Column::new(title, ""))
        .to_vec();
    let mut grid = Grid::new("Services that are there", columns);
    for one in services.iter().filter(|one| one.server == server.name) {
        let tone = if one.is_behind(organization) { Tone::Warn } else { Tone::Good };
        let state = health.iter().find(|state| state.server == name && state.service == one.service);
        let state = state.map_or_else(
            || Bit::Quiet("not asked".into()),
            |state| Bit::Badge(if state.ready { Tone::Good } else { Tone::Bad }, state.condition.clone()),
        );
        grid.row(vec![
            one.service.into(),
            one.addresses.clone().into(),
            one.version.clone().into(),
            Bit::Badge(tone, one.revision.to_string()).into(),
            Bit::Time(one.started).into(),
            state.into(),
        ]);
    }
    let is_elsewhere = !organization.is_own(server);
    grid.empty = if is_elsewhere {
        Bit::Quiet("Its services tell nobody here that they are there.".into()).into()
    } else {
        Bit::Badge(Tone::Warn, "No service of it is there.".into()).into()
    };
    if is_elsewhere && server.role == ServerRole::Edge {
        elsewhere(&mut sheet, server);
    }
    sheet.grid(grid);
    let by: Vec<Bits> = organization
        .connectors()
        .filter(|connector| connector.source_transport_servers().contains(&server.name))
        .take(20)
        .map(|connector| Bit::link(place_of(Kind::SendConnector, connector.name().as_str()), connector.name()).into())
        .collect();
    sheet.add(Block::Links(vec![
        Bit::link(format!("/queues?server={}", super::segment(name)), "Its queues").into(),
        Bit::link(format!("/receive-connectors?q={}", super::segment(name)), "Its Receive connectors").into(),
    ]));
    if !by.is_empty() {
        sheet.heading("Connectors that it is a source of");
        sheet.add(Block::Links(by));
    }
    objects::described(&mut sheet, Kind::Server, object);
    Ok(Outcome::Sheet(sheet))
}
