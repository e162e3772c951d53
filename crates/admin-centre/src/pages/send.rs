//! Send connectors: the list, with who would take mail for a domain, and the page of one (AC-11).

use organization::{Kind, Object};
use topology::{Organization, SendConnector, Space};

use super::{AREAS, Answered, Area, Outcome, edit, objects, place_of, segment};
use crate::centre::Visit;
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, GridRow, Group, Sheet, Tone};

pub(crate) fn area() -> &'static Area {
    &AREAS[0]
}

/// How mail leaves by it, in few words.
pub(crate) fn delivery(connector: &SendConnector) -> String {
    if connector.dns_routing_enabled {
        return "MX".to_owned();
    }
    let hosts: Vec<String> = connector.smart_hosts.iter().map(ToString::to_string).collect();
    match hosts.len() {
        0..=2 => hosts.join(", "),
        more => format!("{}, {} and {} more", hosts[0], hosts[1], more - 2),
    }
}

/// What the connector demands of TLS, in a word (WA: TLS posture).
pub(crate) fn posture(connector: &SendConnector) -> (Tone, String) {
    if connector.ignore_starttls || connector.force_helo {
        return (Tone::Warn, "never".to_owned());
    }
    match (connector.require_tls, connector.tls_auth_level) {
        (true, Some(level)) => (Tone::Good, level.to_string()),
        (true, None) => (Tone::Good, "required".to_owned()),
        (false, _) => (Tone::Plain, "if offered".to_owned()),
    }
}

fn spaces(connector: &SendConnector) -> String {
    connector.address_spaces.iter().map(map::space).collect::<Vec<_>>().join("\n")
}

/// Whether a connector has a space that takes the domain.
fn takes(connector: &SendConnector, domain: &str) -> bool {
    let Ok(domain) = envelope::Domain::parse(domain) else { return false };
    connector.address_spaces.iter().any(|space| match &space.space {
        Space::Smtp(pattern) => pattern.covers(&domain),
        _ => false,
    })
}

pub(crate) async fn list(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let ask = visit.ask;
    let area = area();
    let mut sheet = Sheet::new(area.title).says(area.about);
    sheet.action(
        "/send-connectors/new",
        "New Send connector",
        "primary",
        visit.ruled.why_not(edit::changing(area.kind)),
    );
    sheet.form(filter(visit));
    let (wanted, domain, status) = (ask.query("q").to_lowercase(), ask.query("domain").trim(), ask.query("status"));
    let server = ask.query("server");
    let mut found: Vec<&SendConnector> = organization
        .send_connectors()
        .iter()
        .filter(|one| wanted.is_empty() || text_of(one).contains(&wanted))
        .filter(|one| domain.is_empty() || takes(one, domain))
        .filter(|one| match status {
            "enabled" => one.enabled,
            "disabled" => !one.enabled,
            _ => true,
        })
        .filter(|one| {
            server.is_empty()
                || one.source_transport_servers.iter().any(|name| name.as_str().eq_ignore_ascii_case(server))
        })
        .collect();
    sort(&mut found, ask.query("sort"));
    if !domain.is_empty() {
        // The most specific space first: so routing chooses (RT-51).
        found.sort_by_key(|one| best(one, domain));
        let why = format!("/explain?recipient={}", segment(&format!("somebody@{domain}")));
        sheet.add(Block::Prose(Bits::of(vec![
            Bit::text(format!("Connectors with an address space for {domain}, the most specific first.")),
            Bit::link(why, "Which one takes it, and why"),
        ])));
    }
    let mut grid = Grid::new("Send connectors", columns(visit));
    grid.quiet_caption = true;
    for one in objects::page_of(&found, visit) {
        grid.rows.push(row(&organization, one));
    }
    grid.empty = nothing(visit, &organization);
    grid.foot = objects::foot(visit, "/send-connectors", found.len(), organization.send_connectors().len());
    sheet.grid(grid);
    sheet.add(Block::More {
        title: "The same as a command".to_owned(),
        text: "Get-SendConnector | Format-Table Name,Enabled,AddressSpaces,SourceTransportServers\npostroad shell -c 'Get-SendConnector'".to_owned(),
    });
    Ok(Outcome::Sheet(sheet))
}

fn text_of(connector: &SendConnector) -> String {
    let sources: Vec<String> = connector.source_transport_servers.iter().map(ToString::to_string).collect();
    [connector.name.to_string(), spaces(connector), delivery(connector), connector.comment.clone(), sources.join(" ")]
        .join("\n")
        .to_lowercase()
}

/// Smaller is more specific, then cheaper.
fn best(connector: &SendConnector, domain: &str) -> (usize, u32) {
    let Ok(domain) = envelope::Domain::parse(domain) else { return (usize::MAX, u32::MAX) };
    let matching = connector.address_spaces.iter().filter_map(|space| match &space.space {
        Space::Smtp(pattern) if pattern.covers(&domain) => {
            Some((1000_usize.saturating_sub(pattern.to_string().len()), space.cost.get()))
        }
        _ => None,
    });
    matching.min().unwrap_or((usize::MAX, u32::MAX))
}

fn sort(found: &mut [&SendConnector], by: &str) {
    let (by, falling) = by.strip_prefix('-').map_or((by, false), |by| (by, true));
    match by {
        "status" => found.sort_by_key(|one| (!one.enabled, one.name.to_string().to_lowercase())),
        "delivery" => found.sort_by_key(|one| (delivery(one), one.name.to_string().to_lowercase())),
        _ => found.sort_by_key(|one| one.name.to_string().to_lowercase()),
    }
    if falling {
        found.reverse();
    }
}

fn columns(visit: &Visit<'_>) -> Vec<Column> {
    let by = visit.ask.query("sort");
    let by = if by.is_empty() { "name" } else { by };
    let sorted = |title: &str, property: &'static str, key: &str| {
        let order = match by {
            known if known == key => "ascending",
            known if known.strip_prefix('-') == Some(key) => "descending",
            _ => "none",
        };
        let next = if order == "ascending" { format!("-{key}") } else { key.to_owned() };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(visit.ask.query.iter().filter(|(name, _)| !matches!(name.as_str(), "sort" | "page" | "as")));
        query.append_pair("sort", &next);
        Column { sort: Some((format!("/send-connectors?{}", query.finish()), order)), ..Column::new(title, property) }
    };
    vec![
        sorted("Name", "Name", "name"),
        sorted("Status", "Enabled", "status"),
        Column::new("Address spaces", "AddressSpaces"),
        sorted("Delivery", "SmartHosts", "delivery"),
        Column::new("Source servers", "SourceTransportServers"),
        Column::new("TLS", "RequireTLS"),
    ]
}

fn row(organization: &Organization, one: &SendConnector) -> GridRow {
    let (tone, tls) = posture(one);
    let sources: Vec<String> = one
        .source_transport_servers
        .iter()
        .map(|name| match organization.server(name) {
            Some(server) => format!("{name} ({})", server.site),
            None => name.to_string(),
        })
        .collect();
    let mut name = vec![Bit::link(place_of(Kind::SendConnector, one.name.as_str()), &one.name)];
    if one.is_scoped_connector {
        name.push(Bit::Quiet("scoped".into()));
    }
    vec![
        Bits::of(name),
        objects::state(one.enabled),
        objects::few(&spaces(one), 3),
        delivery(one).into(),
        objects::few(&sources.join("\n"), 2),
        Bit::Badge(tone, tls).into(),
    ]
    .into()
}

fn filter(visit: &Visit<'_>) -> Form {
    let ask = visit.ask;
    let search = Entry::Line { kind: "search", complete: "off" };
    let any = |text: &str| (String::new(), text.to_owned());
    let states = vec![any("any"), ("enabled".into(), "enabled".into()), ("disabled".into(), "disabled".into())];
    Form {
        action: "/send-connectors".to_owned(),
        get: true,
        row: true,
        groups: vec![Group {
            fields: vec![
                Field::line("q", "Search", ask.query("q")).with(search.clone()),
                Field::line("domain", "Takes mail for", ask.query("domain")).with(search.clone()),
                Field::line("server", "Source server", ask.query("server")).with(search),
                Field::line("status", "Status", ask.query("status")).with(Entry::Select(states)),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::new("Show", "", "", "")],
        ..Form::default()
    }
}

/// WA-40: what it means that there is none, or which term to drop.
fn nothing(visit: &Visit<'_>, organization: &Organization) -> Bits {
    if organization.send_connectors().is_empty() {
        return Bits::of(vec![
            Bit::Strong("There is no Send connector.".into()),
            Bit::text("Mail for hosts outside waits in the Unreachable queue (SC-3)."),
            Bit::link("/send-connectors/new", "Make the first one"),
        ]);
    }
    let mut bits = vec![Bit::text(format!("None of {} is so.", organization.send_connectors().len()))];
    for (name, value) in visit.ask.query.iter().filter(|(name, value)| !value.is_empty() && name != "sort") {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(visit.ask.query.iter().filter(|(known, _)| known != name));
        bits.push(Bit::link(format!("/send-connectors?{}", query.finish()), format!("without {name} “{value}”")));
    }
    Bits::of(bits)
}

pub(crate) async fn one(visit: &Visit<'_>, name: &str) -> Answered {
    let organization = visit.ruled.organization().await?;
    let area = area();
    let object = edit::named(&organization, area.kind, name).ok_or_else(|| edit::nobody(&organization, area, name))?;
    let Object::SendConnector(connector) = &object else { return Err(super::missing(area.one, name)) };
    if connector.name.as_str() != name {
        // A GUID, or another case: the address has the name (WA-03).
        return Ok(Outcome::See(place_of(area.kind, connector.name.as_str())));
    }
    let to = place_of(area.kind, connector.name.as_str());
    let mut sheet = Sheet::new(connector.name.to_string()).under("/send-connectors", area.title);
    sheet.lead = connector.comment.clone();
    let refused = visit.ruled.why_not(edit::changing(area.kind));
    sheet.action(format!("{to}/edit"), "Edit", "primary", refused.clone());
    sheet.action(
        format!("/send-connectors/new?copy={}", segment(connector.name.as_str())),
        "Copy",
        "",
        refused.clone(),
    );
    objects::findings(&mut sheet, &organization, &object);
    sheet.add(Block::Picture { svg: arms(&organization, connector), about: arms_text(&organization, connector) });
    let (tone, tls) = posture(connector);
    sheet.add(Block::Facts(vec![
        ("Status".to_owned(), "enabled".to_owned(), objects::state(connector.enabled)),
        ("TLS".to_owned(), "requireTLS".to_owned(), Bit::Badge(tone, tls).into()),
        ("Waiting now".to_owned(), String::new(), waiting(visit, &organization, connector).await),
    ]));
    if let Some(space) = connector.address_spaces.first() {
        let domain = map::space(space);
        let plain = domain.trim_start_matches(['*', '.']);
        let probe = if plain.is_empty() || plain.contains(':') {
            "example.net"
        } else {
            plain.split([' ', ';']).next().unwrap_or(plain)
        };
        let why = format!("/explain?recipient={}", segment(&format!("somebody@{probe}")));
        sheet.add(Block::Links(vec![
            Bit::link(why, format!("Explain mail for {probe}")).into(),
            Bit::link(format!("/queues?connector={}", segment(connector.name.as_str())), "Its queues").into(),
        ]));
    }
    objects::described(&mut sheet, area.kind, &object);
    sheet.form(objects::verbs(&to, &object, refused));
    objects::history(&mut sheet, &object);
    Ok(Outcome::Sheet(sheet))
}

/// Messages in its queues, of the servers that can be asked.
async fn waiting(visit: &Visit<'_>, organization: &Organization, connector: &SendConnector) -> Bits {
    let (mut messages, mut unknown, mut last) = (0, Vec::new(), None);
    let sources = connector.source_transport_servers.iter();
    let sources: Vec<_> = sources.filter(|server| organization.server(server).is_some()).cloned().collect();
    let told = visit.ruled.queues_known(&sources).await.unwrap_or_default();
    for (at, server) in sources.iter().enumerate() {
        match told.get(at).and_then(|last| last.value.as_ref()) {
            Some((queues, _)) => {
                for queue in queues.iter().filter(|queue| queue.connector.as_deref() == Some(connector.name.as_str())) {
                    messages += queue.messages;
                    last = queue.last_error.clone().or(last);
                }
            }
            None => unknown.push(server.to_string()),
        }
    }
    let mut bits =
        vec![Bit::text(crate::text::some(usize::try_from(messages).unwrap_or(usize::MAX), "message", "messages"))];
    if let Some(last) = last {
        bits.push(Bit::Badge(Tone::Warn, "last error".into()));
        bits.push(Bit::Code(last));
    }
    if !unknown.is_empty() {
        bits.push(Bit::Quiet(format!("not known: {}", unknown.join(", "))));
    }
    Bits::of(bits)
}

fn arms_text(organization: &Organization, connector: &SendConnector) -> String {
    let sources: Vec<String> = connector
        .source_transport_servers
        .iter()
        .map(|name| {
            organization.server(name).map_or_else(|| name.to_string(), |server| format!("{name} in {}", server.site))
        })
        .collect();
    format!("From {} by {} to {}.", sources.join(", "), connector.name, next_hops(connector).join(", "))
}

fn next_hops(connector: &SendConnector) -> Vec<String> {
    if connector.dns_routing_enabled {
        vec!["the mail exchangers of each domain (MX)".to_owned()]
    } else {
        connector.smart_hosts.iter().map(ToString::to_string).collect()
    }
}

/// The connector in the middle, its servers and next hops as arms (AP-02).
fn arms(organization: &Organization, connector: &SendConnector) -> String {
    const ROW: usize = 40;
    const MOST: usize = 8;
    let sources: Vec<(String, String)> = connector
        .source_transport_servers
        .iter()
        .map(|name| (name.to_string(), organization.server(name).map(|one| one.site.to_string()).unwrap_or_default()))
        .collect();
    let (shown, hops) = (sources.len().min(MOST), next_hops(connector));
    let rows = shown.max(hops.len().min(MOST)).max(1);
    let high = rows * ROW + 20;
    let middle = high / 2;
    let esc = |text: &str| {
        let mut out = String::new();
        let _full = askama::filters::Escaper::write_escaped_str(&crate::text::Hostile, &mut out, text);
        out
    };
    let mut svg = format!(
        "<svg class=\"drawing arms\" viewBox=\"0 0 720 {high}\" width=\"720\" height=\"{high}\" role=\"img\" aria-hidden=\"true\">"
    );
    let y = |at: usize, of: usize| middle + at * ROW + ROW / 2 - of * ROW / 2;
    let short = |text: &str| {
        if text.chars().count() > 26 {
            format!("{}…", text.chars().take(25).collect::<String>())
        } else {
            text.to_owned()
        }
    };
    for (at, (name, site)) in sources.iter().take(MOST).enumerate() {
        let y = y(at, shown);
        svg += &format!("<path class=\"line\" d=\"M190 {y}C240 {y} 220 {middle} 270 {middle}\"/>");
        svg += &format!("<rect class=\"box\" x=\"4\" y=\"{}\" width=\"186\" height=\"32\" rx=\"5\"/>", y - 16);
        svg += &format!(
            "<text x=\"14\" y=\"{}\">{} <tspan class=\"soft\">{}</tspan></text>",
            y + 4,
            esc(&short(name)),
            esc(&short(site))
        );
    }
    for (at, hop) in hops.iter().take(MOST).enumerate() {
        let y = y(at, hops.len().min(MOST));
        let class = if connector.enabled { "line" } else { "line cut" };
        svg += &format!("<path class=\"{class}\" d=\"M450 {middle}C500 {middle} 480 {y} 530 {y}\"/>");
        svg += &format!("<rect class=\"box\" x=\"530\" y=\"{}\" width=\"186\" height=\"32\" rx=\"5\"/>", y - 16);
        let hop = if connector.dns_routing_enabled { "MX of each domain".to_owned() } else { short(hop) };
        svg += &format!("<text x=\"540\" y=\"{}\">{}</text>", y + 4, esc(&hop));
    }
    svg += &format!("<rect class=\"box main\" x=\"270\" y=\"{}\" width=\"180\" height=\"36\" rx=\"6\"/>", middle - 18);
    svg += &format!(
        "<text x=\"360\" y=\"{}\" text-anchor=\"middle\" class=\"strong\">{}</text></svg>",
        middle + 4,
        esc(&short(connector.name.as_str()))
    );
    svg
}
