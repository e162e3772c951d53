//! The organization as a picture, drawn by `map`: sites, links, servers, connectors; and the way of one message, lit up.

use authority::{Act, Feature};
use envelope::{Address, ByteSize};
use inquiry::{Inquiry, Sender, Subject};
use map::{Journey, Marks, ServerMark, Survey, draw, draw_marked};
use topology::{Organization, ServerRole};

use super::queues::{self, Queued};
use super::{Answered, Outcome, place_of};
use crate::centre::Visit;
use crate::estate::{QueueView, Serving};
use crate::text::counted;
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Above so many sites those without a part in the question are left to the table.
const SITES_ALL: usize = 40;
/// So many are drawn then.
const SITES_DRAWN: usize = 16;

/// The way that is asked for, if any; or why there is none.
async fn journey(
    visit: &Visit<'_>,
    organization: &std::sync::Arc<Organization>,
    survey: &Survey,
) -> Option<Result<Journey, String>> {
    let ask = visit.ask;
    let typed = ask.query("recipient").trim();
    if typed.is_empty() {
        return None;
    }
    let follow = async {
        let recipient = Address::parse(typed).map_err(|error| error.to_string())?;
        let size = match ask.query("size").trim() {
            "" => ByteSize::kib(10),
            text => text.parse::<ByteSize>().map_err(|error| error.to_string())?,
        };
        let servers = organization.servers();
        let named = servers.iter().find(|server| server.name.as_str().eq_ignore_ascii_case(ask.query("from").trim()));
        let first = servers.iter().find(|server| server.role == ServerRole::Mailbox);
        let from = named.or(first).ok_or("there is no Mailbox server that could have the message")?.name.clone();
        let subject = Subject { recipient, sender: Sender::Unnamed, size, from };
        let known =
            visit.ruled.known(std::slice::from_ref(&subject)).await.map_err(|_| "the recipient cannot be looked up")?;
        let mut inquiry = Inquiry::new(std::sync::Arc::clone(organization), known);
        Journey::follow(&mut inquiry, survey, &subject).map_err(|error| error.to_string())
    };
    Some(follow.await)
}

pub(crate) async fn page(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let survey = Survey::of(&organization);
    let mut sheet =
        Sheet::new("Topology").says("Sites, links with their costs, servers and connectors, as routing sees them.");
    sheet.form(form(visit, &organization));
    let found = journey(visit, &organization, &survey).await;
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(visit.ask.query.iter().filter(|(name, _)| matches!(name.as_str(), "recipient" | "from" | "size")))
        .finish();
    match &found {
        Some(Err(why)) => sheet.notice(Tone::Bad, "There is no way to draw", vec![why.clone().into()]),
        Some(Ok(journey)) => {
            let lines =
                journey.steps.iter().map(|step| step.to_string().into()).chain([journey.end.to_string().into()]);
            sheet.notice(Tone::Good, map::headline(journey), lines.collect());
        }
        None => {}
    }
    let journey = found.and_then(Result::ok);
    let (drawn, left_out) = reduced(&survey, journey.is_some());
    let now = now(visit, &organization).await;
    let svg = if left_out == 0 {
        draw_marked(&survey, journey.as_ref(), &now.marks(&organization))
    } else {
        draw_marked(&drawn, None, &now.marks(&organization))
    };
    let about = about(&survey, left_out);
    sheet.live = true;
    sheet.add(Block::Picture { svg: inline(&svg), about });
    sheet.add(Block::Links(vec![Bit::link(format!("/topology.svg?{query}"), "The drawing as a file (SVG)").into()]));
    sheet.grid(sites(&organization, &survey, &now));
    sheet.grid(links(&survey));
    Ok(Outcome::Sheet(sheet))
}

/// For a large organization without a question: hub sites and those with a connector to hosts outside stand for the others.
fn reduced(survey: &Survey, has_way: bool) -> (Survey, usize) {
    if survey.sites.len() <= SITES_ALL || has_way {
        return (survey.clone(), 0);
    }
    let leads = |at: &usize| survey.connectors.iter().any(|one| one.enabled && one.sites.contains(at));
    let degree = |at: usize| survey.links.iter().filter(|link| link.sites.contains(&at)).count();
    let mut order: Vec<usize> = (0..survey.sites.len()).collect();
    order.sort_by_key(|at| (!survey.sites[*at].hub, !leads(at), std::cmp::Reverse(degree(*at)), *at));
    let mut kept: Vec<usize> = order.into_iter().take(SITES_DRAWN).collect();
    kept.sort_unstable();
    let place = |at: &usize| kept.iter().position(|known| known == at);
    let mut drawn = survey.clone();
    drawn.sites = kept.iter().map(|at| survey.sites[*at].clone()).collect();
    for link in &mut drawn.links {
        link.sites = link.sites.iter().filter_map(place).collect();
    }
    drawn.links.retain(|link| link.sites.len() > 1);
    for connector in &mut drawn.connectors {
        connector.sites = connector.sites.iter().filter_map(place).collect();
    }
    drawn.connectors.retain(|connector| !connector.sites.is_empty());
    let left_out = survey.sites.len() - drawn.sites.len();
    (drawn, left_out)
}

fn about(survey: &Survey, left_out: usize) -> String {
    let servers: usize = survey.sites.iter().map(|site| site.servers.len()).sum();
    let mut text = format!(
        "{} sites with {servers} servers, {} links, {} connectors.",
        survey.sites.len(),
        survey.links.len(),
        survey.connectors.len()
    );
    if left_out > 0 {
        text += &format!(
            " {left_out} sites are left to the table: hubs and sites with ways out are drawn. Ask for a way, and all are."
        );
    }
    text
}

pub(crate) async fn drawing(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let survey = Survey::of(&organization);
    let journey = journey(visit, &organization, &survey).await.and_then(Result::ok);
    let body = draw(&survey, journey.as_ref()).into_bytes();
    Ok(Outcome::File { kind: "image/svg+xml", name: "topology.svg", body })
}

/// Without its own style, which the policy of the page refuses; classes of the page's stand for it (WA-63).
fn inline(svg: &str) -> String {
    let without = match (svg.find("<style>"), svg.find("</style>")) {
        (Some(from), Some(to)) => format!("{}{}", &svg[..from], &svg[to + "</style>".len()..]),
        _ => svg.to_owned(),
    };
    without.replacen("<svg ", "<svg class=\"drawing map\" ", 1).replacen(
        "<rect width=\"100%\" height=\"100%\" fill=\"#fcfdff\"/>",
        "",
        1,
    )
}

fn form(visit: &Visit<'_>, organization: &Organization) -> Form {
    let ask = visit.ask;
    let servers = organization
        .servers()
        .iter()
        .map(|server| (server.name.to_string(), format!("{} ({})", server.name, server.site)));
    Form {
        action: "/topology".to_owned(),
        get: true,
        row: true,
        groups: vec![Group {
            fields: vec![
                Field::line("recipient", "Show the way of mail for", ask.query("recipient"))
                    .with(Entry::Line { kind: "search", complete: "off" }),
                Field::line("from", "From server", ask.query("from")).with(Entry::Select(servers.collect())),
                Field::line("size", "Size", ask.query("size")),
            ],
            ..Group::default()
        }],
        buttons: vec![Button::new("Show", "", "", "")],
        ..Form::default()
    }
}

/// How it is just now: what waits, and who is there.
struct Now {
    queued: Option<Queued>,
    services: Vec<Serving>,
}

async fn now(visit: &Visit<'_>, organization: &Organization) -> Now {
    let queued = match visit.ruled.why_not(Act::Read(Feature::Queues)) {
        None => queues::gather(visit, organization).await.ok(),
        Some(_) => None,
    };
    Now { queued, services: visit.ruled.services().await.unwrap_or_default() }
}

impl Now {
    /// What the drawing shows of it; nothing where no service was ever there.
    fn marks(&self, organization: &Organization) -> Marks {
        let mut marks = Marks::default();
        if self.services.is_empty() {
            return marks;
        }
        for server in organization.servers() {
            let own: Vec<&Serving> = self.services.iter().filter(|one| one.server == server.name).collect();
            let behind = own.iter().any(|one| one.revision < organization.revision());
            let waiting = self.queued.as_ref().and_then(|queued| {
                let is_unknown = queued.unknown.iter().any(|(name, _)| name == server.name.as_str());
                let own = queued.all.iter().filter(|(of, _)| *of == server.name);
                (!is_unknown).then(|| own.map(|(_, queue)| queue.messages).sum())
            });
            // Who may not look at queues is told nothing of them.
            let waiting = if self.queued.is_none() { Some(0) } else { waiting };
            marks.servers.insert(server.name.clone(), ServerMark { away: own.is_empty(), behind, waiting });
        }
        for (server, queue) in
            self.queued.iter().flat_map(|queued| &queued.all).filter(|(_, queue)| queue.status == "Retry")
        {
            let Some(from) = organization.server(server).map(|server| &server.site) else { continue };
            let sites = behind(organization, queue);
            let links = organization.site_links().iter().filter(|link| {
                link.sites.len() == 2
                    && link.sites.contains(from)
                    && link.sites.iter().any(|site| site != from && sites.contains(&site.to_string()))
            });
            marks.broken.extend(links.map(|link| link.name.clone()));
        }
        marks
    }
}

/// The sites of a next hop within the organization: `Site:Oslo;Version:15`, or the sources of a connector.
fn behind(organization: &Organization, queue: &QueueView) -> Vec<String> {
    if let Some(rest) = queue.domain.strip_prefix("Site:") {
        return vec![rest.split(';').next().unwrap_or_default().to_owned()];
    }
    if queue.delivery_type != "SmtpRelayToConnectorSourceServers" {
        return Vec::new();
    }
    let of = organization.connectors().find(|one| Some(one.name().as_str()) == queue.connector.as_deref());
    let sources = of.map(|one| one.source_transport_servers()).unwrap_or_default();
    sources.iter().filter_map(|name| organization.server(name)).map(|server| server.site.to_string()).collect()
}

/// The table twin of the drawing, with what waits and which revision each works by.
fn sites(organization: &Organization, survey: &Survey, now: &Now) -> Grid {
    let columns = vec![
        Column::new("Site", ""),
        Column::new("Hub", "HubSiteEnabled"),
        Column::new("Servers", ""),
        Column::new("Connectors", ""),
        Column::number("Waiting", "MessageCount"),
        Column::new("Revision", ""),
    ];
    let mut grid = Grid::new("Sites", columns);
    let Now { queued, services } = now;
    for (at, site) in survey.sites.iter().enumerate() {
        let mut servers = Vec::new();
        for (number, server) in site.servers.iter().enumerate() {
            if number > 0 {
                servers.push(Bit::Break);
            }
            servers
                .push(Bit::link(place_of(organization::Kind::Server, server.name.as_str()), map::server_text(server)));
        }
        let connectors: Vec<String> =
            survey.connectors.iter().filter(|one| one.sites.contains(&at)).map(|one| one.name.to_string()).collect();
        let waiting = queued.as_ref().map(|queued| {
            let of_site =
                queued.all.iter().filter(|(server, _)| site.servers.iter().any(|known| known.name == *server));
            of_site.map(|(_, queue)| queue.messages).sum::<u64>()
        });
        let unknown = queued.as_ref().is_some_and(|queued| {
            site.servers.iter().any(|server| queued.unknown.iter().any(|(name, _)| name == server.name.as_str()))
        });
        let waiting: Bits = match waiting {
            Some(count) if unknown => format!("{} or more", counted(count)).into(),
            Some(count) => counted(count).into(),
            None => Bit::Quiet("unknown".into()).into(),
        };
        let behind = services.iter().any(|one| {
            one.revision < organization.revision() && site.servers.iter().any(|server| server.name == one.server)
        });
        let there = services.iter().any(|one| site.servers.iter().any(|server| server.name == one.server));
        let revision = match (there, behind) {
            (false, _) => Bit::Badge(Tone::Warn, "no service is there".into()),
            (true, true) => Bit::Badge(Tone::Warn, "behind".into()),
            (true, false) => Bit::Badge(Tone::Good, "current".into()),
        };
        grid.row(vec![
            Bit::link(place_of(organization::Kind::Site, site.name.as_str()), &site.name).into(),
            if site.hub { "hub".into() } else { "".into() },
            Bits::of(servers),
            super::objects::few(&connectors.join("\n"), 3),
            waiting,
            revision.into(),
        ]);
    }
    grid
}

fn links(survey: &Survey) -> Grid {
    let columns = vec![
        Column::new("Link", ""),
        Column::new("Sites", ""),
        Column::new("Cost", "ExchangeCost"),
        Column::new("Size limit", "MaxMessageSize"),
    ];
    let mut grid = Grid::new("Links", columns);
    for link in &survey.links {
        let names: Vec<String> = link.sites.iter().map(|at| survey.sites[*at].name.to_string()).collect();
        grid.row(vec![
            Bit::link(place_of(organization::Kind::SiteLink, link.name.as_str()), &link.name).into(),
            names.join(" – ").into(),
            map::link_cost(link).into(),
            link.limit.to_string().into(),
        ]);
    }
    grid.empty = "No link joins sites: mail cannot leave any of them for another.".into();
    grid
}
