//! Lists and pages of objects of any kind: receive connectors, accepted domains, sites, links, databases, groups, the other
//! connectors, the settings. What a kind has of its own are its columns.

use organization::{Kind, Object, Written, properties_of, schema};
use topology::{Organization, Weight};

use super::{Answered, Area, Outcome, Trouble, edit, missing, place_of, segment};
use crate::centre::Visit;
use crate::form;
use crate::view::{Bit, Bits, Block, Button, Column, Field, Form, Grid, Group, Sheet, Tone};

/// Rows of a page.
pub(crate) const ROWS: usize = 100;

pub(crate) async fn page(visit: &Visit<'_>, area: &Area, rest: &[&str]) -> Answered {
    let organization = visit.ruled.organization().await?;
    let post = visit.ask.post;
    if area.kind == Kind::TransportConfig {
        let object = edit::named(&organization, area.kind, "").ok_or_else(|| missing("page", area.path))?;
        return match (post, rest) {
            (false, []) => Ok(Outcome::Sheet(one(visit, &organization, area, &object))),
            (false, ["edit"]) => Ok(Outcome::Sheet(edit::based(
                edit::sheet(visit, area, &properties_of(&object), Some(""), None, &[]),
                &organization.revision().to_string(),
            ))),
            (true, ["edit"]) => edit::edited(visit, area, object).await,
            _ => Err(missing("page", &visit.ask.path)),
        };
    }
    let find =
        |name: &str| edit::named(&organization, area.kind, name).ok_or_else(|| edit::nobody(&organization, area, name));
    match (post, rest) {
        (false, []) => Ok(Outcome::Sheet(list(visit, &organization, area))),
        (_, ["new"]) => {
            let base = base(visit, &organization, area);
            if post {
                return edit::made(visit, area, &base).await;
            }
            Ok(Outcome::Sheet(edit::sheet(visit, area, &base, None, None, &[])))
        }
        (false, [name]) => Ok(Outcome::Sheet(one(visit, &organization, area, &find(name)?))),
        (false, [name, "edit"]) => {
            let object = find(name)?;
            Ok(Outcome::Sheet(edit::based(
                edit::sheet(visit, area, &properties_of(&object), Some(&object.name()), None, &[]),
                &organization.revision().to_string(),
            )))
        }
        (true, [name, "edit"]) => edit::edited(visit, area, find(name)?).await,
        (true, [name, "do"]) => act(visit, &organization, area, &find(name)?).await,
        _ => Err(missing("page", &visit.ask.path)),
    }
}

/// What a new object starts from: a copy of another, or the defaults.
fn base(visit: &Visit<'_>, organization: &Organization, area: &Area) -> organization::Properties {
    let mut base = match edit::named(organization, area.kind, visit.ask.query("copy")) {
        Some(object) if !visit.ask.query("copy").is_empty() => {
            let mut properties = properties_of(&object);
            properties.retain(|(name, _)| !matches!(name.as_str(), "guid" | "authenticationCredential"));
            form::set(&mut properties, "name", Written::Text(String::new()));
            if matches!(object, Object::AcceptedDomain(_)) {
                form::set(&mut properties, "default", Written::Truth(false));
            }
            properties
        }
        _ => schema::properties(area.kind).iter().filter_map(chosen_by_default).collect(),
    };
    if area.kind == Kind::ReceiveConnector && visit.ask.query("copy").is_empty() {
        // AC-33, AC-34: what the wizard of the Exchange admin center fills in.
        let all = |text: &str| Written::List(vec![Written::Text(text.to_owned())]);
        form::set(&mut base, "bindings", all("0.0.0.0:25"));
        form::set(&mut base, "remoteIPRanges", all("0.0.0.0-255.255.255.255"));
        if let Some(server) = organization.servers().first() {
            form::set(&mut base, "server", Written::Text(server.name.to_string()));
        }
    }
    base
}

/// What is ticked in a form of something new: a box that is not ticked says no.
fn chosen_by_default(row: &schema::Row) -> Option<(String, Written)> {
    let value = match &row.shape {
        schema::Shape::Truth if !row.default.is_empty() => Written::Truth(row.default.starts_with("true")),
        schema::Shape::List(inner) => {
            let schema::Shape::Word(words) = &**inner else { return None };
            let chosen = row.default.split(", ").filter(|word| words.contains(word));
            Written::List(chosen.map(|word| Written::Text(word.to_owned())).collect())
        }
        _ => return None,
    };
    Some((row.name.to_owned(), value))
}

/// Enabling, disabling, removing: each a plan.
pub(crate) async fn act(visit: &Visit<'_>, organization: &Organization, area: &Area, object: &Object) -> Answered {
    let name = object.name();
    let back = place_of(area.kind, &name);
    match visit.ask.field("do") {
        "remove" if matches!(object, Object::AcceptedDomain(domain) if domain.is_default) => {
            let text = format!(
                "{name} is the default accepted domain and stays (EN-81): make another one the default before."
            );
            Err(Trouble::Wrong(text))
        }
        "remove" => {
            let changes = edit::removed(organization, object);
            edit::planned(visit, organization, changes, &format!("Remove {} {name}", area.one), &back)
        }
        verb @ ("enable" | "disable") => {
            let mut properties = properties_of(object);
            form::set(&mut properties, "enabled", Written::Truth(verb == "enable"));
            let to = organization::object_of(area.kind, properties, &organization::WithoutSecrets)
                .map_err(|wrong| Trouble::Wrong(wrong.into_iter().map(|wrong| wrong.text).collect()))?;
            let title = format!("{} {} {name}", if verb == "enable" { "Enable" } else { "Disable" }, area.one);
            let change = organization::Change::Update { from: object.clone(), to };
            edit::planned(visit, organization, vec![change], &title, &back)
        }
        other => Err(Trouble::Wrong(format!("there is nothing called {other} that can be done"))),
    }
}

fn columns(kind: Kind) -> Vec<Column> {
    let new = Column::new;
    match kind {
        Kind::ReceiveConnector => vec![
            new("Name", "Identity"),
            new("Server", "Server"),
            new("Status", "Enabled"),
            new("Role", "TransportRole"),
            new("Bindings", "Bindings"),
            new("Remote addresses", "RemoteIPRanges"),
            new("Who may", "PermissionGroups"),
            new("Authentication", "AuthMechanism"),
            new("Same as", ""),
        ],
        Kind::AcceptedDomain => {
            vec![new("Name", "Name"), new("Domain", "DomainName"), new("Type", "DomainType"), new("Default", "Default")]
        }
        Kind::X400AuthoritativeDomain => {
            vec![new("Name", "Name"), new("Domain", "X400DomainName"), new("Others are elsewhere", "X400ExternalRelay")]
        }
        Kind::Site => vec![
            new("Name", "Name"),
            new("Hub site", "HubSiteEnabled"),
            new("Mail from outside", "InboundMailEnabled"),
            new("Servers", ""),
            new("Links", ""),
        ],
        Kind::SiteLink => vec![
            new("Name", "Name"),
            new("Sites", "Sites"),
            Column::number("Cost", "Cost"),
            Column::number("Cost for mail", "ExchangeCost"),
            new("Size limit", "MaxMessageSize"),
        ],
        _ => vec![new("Name", "Name"), new("What it says", "")],
    }
}

fn list(visit: &Visit<'_>, organization: &Organization, area: &Area) -> Sheet {
    let mut sheet = Sheet::new(area.title).says(area.about);
    let refused = visit.ruled.why_not(edit::changing(area.kind));
    sheet.action(format!("/{}/new", area.path), &format!("New {}", area.one), "primary", refused);
    let wanted = visit.ask.query("q").to_lowercase();
    let mut objects = edit::objects_of(organization, area.kind);
    let all = objects.len();
    objects.retain(|object| wanted.is_empty() || searched(object).contains(&wanted));
    objects.sort_by_key(|object| object.name().to_lowercase());
    sheet.form(filter(area, visit.ask.query("q")));
    let rows = page_of(&objects, visit);
    let mut grid = Grid::new(area.title, columns(area.kind));
    grid.quiet_caption = true;
    for object in rows {
        grid.row(cells(organization, area, object));
    }
    grid.empty = if all == 0 {
        format!("There is none. {}", area.about).into()
    } else {
        Bits::of(vec![
            Bit::text(format!("None of {all} has “{}” in it.", visit.ask.query("q"))),
            Bit::link(format!("/{}", area.path), "Show all"),
        ])
    };
    grid.foot = foot(visit, &format!("/{}", area.path), objects.len(), all);
    sheet.grid(grid);
    sheet
}

/// The search above a list.
pub(crate) fn filter(area: &Area, typed: &str) -> Form {
    let mut field = Field::line("q", "Search in this list", typed);
    field.entry = crate::view::Entry::Line { kind: "search", complete: "off" };
    Form {
        action: format!("/{}", area.path),
        get: true,
        row: true,
        groups: vec![Group { fields: vec![field], ..Group::default() }],
        buttons: vec![Button::new("Search", "", "", "")],
        ..Form::default()
    }
}

/// The rows of a page; of a file, all.
pub(crate) fn page_of<'a, T>(all: &'a [T], visit: &Visit<'_>) -> &'a [T] {
    if !visit.ask.query("as").is_empty() {
        return all;
    }
    let page = visit.ask.query("page").parse::<usize>().unwrap_or(1).max(1);
    let from = (page - 1).saturating_mul(ROWS).min(all.len());
    &all[from..(from + ROWS).min(all.len())]
}

/// How many there are, and the other pages; the list in other forms.
pub(crate) fn foot(visit: &Visit<'_>, path: &str, shown: usize, all: usize) -> Bits {
    let page = visit.ask.query("page").parse::<usize>().unwrap_or(1).max(1);
    let with = |name: &str, value: &str| {
        let pairs = visit.ask.query.iter().filter(|(known, _)| known != name && known != "as");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        query.append_pair(name, value);
        query.finish()
    };
    let mut bits = vec![Bit::Quiet(if shown == all { format!("{all} in all") } else { format!("{shown} of {all}") })];
    if page > 1 {
        bits.push(Bit::link(format!("{path}?{}", with("page", &(page - 1).to_string())), "Page before"));
    }
    if page * ROWS < shown {
        bits.push(Bit::Quiet(format!("page {page} of {}", shown.div_ceil(ROWS))));
        bits.push(Bit::link(format!("{path}?{}", with("page", &(page + 1).to_string())), "Next page"));
    }
    if shown > 0 {
        bits.push(Bit::link(format!("{path}?{}", with("as", "csv")), "CSV"));
        bits.push(Bit::link(format!("{path}?{}", with("as", "json")), "JSON"));
    }
    Bits::of(bits)
}

/// Everything of an object in which a search looks.
pub(crate) fn searched(object: &Object) -> String {
    let mut text = object.name().to_lowercase();
    for (name, value) in properties_of(object) {
        if name != "authenticationCredential" && name != "guid" {
            text.push('\n');
            text.push_str(&form::text(Some(&value)).to_lowercase());
        }
    }
    text
}

pub(crate) fn state(enabled: bool) -> Bits {
    if enabled {
        Bit::Badge(Tone::Good, "Enabled".into()).into()
    } else {
        Bit::Badge(Tone::Plain, "Disabled".into()).into()
    }
}

/// Values, the first few and how many more.
pub(crate) fn few(text: &str, most: usize) -> Bits {
    let all: Vec<&str> = text.lines().collect();
    let mut bits: Vec<Bit> = Vec::new();
    for (at, value) in all.iter().take(most).enumerate() {
        if at > 0 {
            bits.push(Bit::Break);
        }
        bits.push(Bit::text(value));
    }
    if all.len() > most {
        bits.push(Bit::Quiet(format!("and {} more", all.len() - most)));
    }
    Bits::of(bits)
}

fn cells(organization: &Organization, area: &Area, object: &Object) -> Vec<Bits> {
    let name = object.name();
    let to = place_of(area.kind, &name);
    let properties = properties_of(object);
    let text = |property: &str| form::text(form::get(&properties, property));
    let mut cells: Vec<Bits> = vec![Bit::link(to, &name).into()];
    match object {
        Object::ReceiveConnector(connector) => {
            cells[0] = Bit::link(place_of(area.kind, &name), &connector.name).into();
            cells.push(Bit::link(place_of(Kind::Server, connector.server.as_str()), &connector.server).into());
            cells.push(state(connector.enabled));
            cells.extend([
                text("transportRole").into(),
                few(&text("bindings"), 3),
                ranges(&text("remoteIPRanges")),
                listed(&text("permissionGroups")),
                listed(&text("authMechanism")),
            ]);
            cells.push(family(organization, object));
        }
        Object::AcceptedDomain(domain) => {
            cells.push(text("domainName").into());
            cells.push(text("domainType").into());
            cells.push(if domain.is_default { Bit::Strong("default".into()).into() } else { "".into() });
        }
        Object::X400AuthoritativeDomain(domain) => {
            cells.push(text("x400DomainName").into());
            cells.push(if domain.external_relay { "yes" } else { "no" }.into());
        }
        Object::Site(site) => {
            let yes = |yes: bool| if yes { "yes" } else { "no" };
            cells.push(yes(site.hub_site_enabled).into());
            cells.push(yes(site.inbound_mail_enabled).into());
            let servers = organization.servers().iter().filter(|server| server.site == site.name);
            let servers: Vec<String> = servers.map(|server| server.name.to_string()).collect();
            cells.push(few(&servers.join("\n"), 4));
            let links = organization.site_links().iter().filter(|link| link.sites.contains(&site.name));
            let links: Vec<String> = links.map(|link| link.name.to_string()).collect();
            cells.push(few(&links.join("\n"), 4));
        }
        Object::SiteLink(_) => {
            cells.extend([
                few(&text("sites"), 6),
                text("cost").into(),
                text("exchangeCost").into(),
                text("maxMessageSize").into(),
            ]);
        }
        _ => {
            let said = properties.iter().filter(|(name, _)| !matches!(name.as_str(), "name" | "guid"));
            let said = said.map(|(name, value)| format!("{name}: {}", form::text(Some(value)).replace('\n', ", ")));
            cells.push(few(&said.filter(|line| !line.ends_with(": ")).collect::<Vec<_>>().join("\n"), 4));
        }
    }
    cells
}

/// Values beside each other.
fn listed(text: &str) -> Bits {
    Bit::Quiet(text.lines().collect::<Vec<_>>().join(", ")).into()
}

/// Remote addresses: everybody is said as a word.
fn ranges(text: &str) -> Bits {
    let all = [("0.0.0.0-255.255.255.255", "all IPv4"), ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "all IPv6")];
    let named = text.lines().map(|line| all.iter().find(|(range, _)| *range == line).map_or(line, |(_, word)| word));
    few(&named.collect::<Vec<_>>().join("\n"), 3)
}

/// Receive connectors of the same name on other servers: the same, or drifted apart (WA-33).
fn family(organization: &Organization, object: &Object) -> Bits {
    let Object::ReceiveConnector(own) = object else { return Bits::default() };
    // A default connector has its server in its name.
    let stem = |name: &str, server: &str| name.replace(server, "");
    let plain = |connector: &topology::ReceiveConnector| {
        let mut properties = properties_of(&Object::ReceiveConnector(Box::new(connector.clone())));
        properties.retain(|(name, _)| !matches!(name.as_str(), "name" | "guid" | "server" | "fqdn"));
        properties
    };
    let own_stem = stem(own.name.as_str(), own.server.as_str());
    let all = &organization.draft().receive_connectors;
    let others: Vec<_> = all
        .iter()
        .filter(|other| other.server != own.server && stem(other.name.as_str(), other.server.as_str()) == own_stem)
        .collect();
    if others.is_empty() {
        return Bits::default();
    }
    let mine = plain(own);
    let drifted: Vec<String> =
        others.iter().filter(|other| plain(other) != mine).map(|other| other.server.to_string()).collect();
    if drifted.is_empty() {
        Bit::Badge(Tone::Good, format!("{} more servers", others.len())).into()
    } else {
        Bits::of(vec![Bit::Badge(Tone::Warn, "differs".into()), Bit::Quiet(format!("from {}", drifted.join(", ")))])
    }
}

/// The page of one object: everything that it is.
pub(crate) fn one(visit: &Visit<'_>, organization: &Organization, area: &Area, object: &Object) -> Sheet {
    let name = object.name();
    let to = place_of(area.kind, &name);
    let settings = area.kind == Kind::TransportConfig;
    let mut sheet = Sheet::new(if settings { area.title.to_owned() } else { name.clone() }).says(area.about);
    if !settings {
        sheet = sheet.under(&format!("/{}", area.path), area.title);
    }
    let refused = visit.ruled.why_not(edit::changing(area.kind));
    sheet.action(format!("{to}/edit"), "Edit", "primary", refused.clone());
    if !settings {
        sheet.action(format!("/{}/new?copy={}", area.path, segment(&name)), "Copy", "", refused.clone());
    }
    findings(&mut sheet, organization, object);
    described(&mut sheet, area.kind, object);
    if !settings {
        sheet.form(verbs(&to, object, refused));
    }
    history(&mut sheet, object);
    sheet
}

/// What the linter says of it.
pub(crate) fn findings(sheet: &mut Sheet, organization: &Organization, object: &Object) {
    let place = object.place();
    let mut problems = topology::validation::lint(organization.draft()).0;
    problems.extend(schema::without_effect(organization.draft()));
    problems.retain(|problem| problem.place.starts_with(&place));
    if problems.is_empty() {
        return;
    }
    let bad = problems.iter().any(|problem| problem.weight == Weight::Error);
    let lines = problems.iter().map(|problem| {
        Bits::of(vec![
            Bit::Code(problem.place[place.len()..].trim_start_matches('.').to_owned()),
            Bit::text(&problem.text),
        ])
    });
    sheet.notice(if bad { Tone::Bad } else { Tone::Warn }, "What is to be known of it", lines.collect());
}

/// All properties, in the groups of the form; what is not the default stands out.
pub(crate) fn described(sheet: &mut Sheet, kind: Kind, object: &Object) {
    let properties = properties_of(object);
    let filling = form::Filling { kind, current: &properties, typed: None, wrong: &[], fixed: &[] };
    for group in filling.groups() {
        let mut facts = Vec::new();
        for field in group.fields.iter().filter(|field| !field.name.ends_with(":password")) {
            let property = field.name.split(':').next().unwrap_or_default();
            let value = if field.name.ends_with(":user") {
                let set = !matches!(form::get(&properties, property), None | Some(Written::Nothing));
                if set { "set (sealed)".into() } else { "not set".into() }
            } else if let Some(word) = said(field) {
                word.into()
            } else if field.value.is_empty() {
                Bit::Quiet("–".into()).into()
            } else if field.changed && field.value.lines().count() == 1 {
                Bit::Strong(field.value.clone()).into()
            } else {
                few(&field.value, 20)
            };
            let label = if field.name.ends_with(":user") { form::label(property) } else { field.label.clone() };
            facts.push((label, form::documented(property), value));
        }
        if !group.title.is_empty() {
            sheet.heading(group.title);
        }
        sheet.add(Block::Facts(facts));
    }
}

/// Yes and no in words, and which of two ways.
fn said(field: &Field) -> Option<String> {
    match &field.entry {
        crate::view::Entry::Check => Some(if field.is_on() { "yes" } else { "no" }.to_owned()),
        crate::view::Entry::Radio(options) => {
            options.iter().find(|(value, _, _)| *value == field.value).map(|(_, text, _)| text.clone())
        }
        _ => None,
    }
}

/// What can be done to it at once.
pub(crate) fn verbs(to: &str, object: &Object, refused: Option<String>) -> Form {
    let properties = properties_of(object);
    let mut buttons = Vec::new();
    match form::get(&properties, "enabled") {
        Some(Written::Truth(true)) => {
            buttons.push(Button::new("Disable …", "do", "disable", "").unless(refused.clone()))
        }
        Some(Written::Truth(false)) => {
            buttons.push(Button::new("Enable …", "do", "enable", "").unless(refused.clone()))
        }
        _ => {}
    }
    buttons.push(Button::new("Remove …", "do", "remove", "danger").unless(refused));
    Form { action: format!("{to}/do"), buttons, ..Form::default() }
}

pub(crate) fn history(sheet: &mut Sheet, object: &Object) {
    let name = object.name();
    sheet.add(Block::Links(vec![
        Bit::link(format!("/audit?object={}", segment(&name)), "What was changed of it").into(),
        Bits::of(vec![Bit::Quiet("GUID".into()), Bit::Code(object.guid().to_string())]),
    ]));
}
