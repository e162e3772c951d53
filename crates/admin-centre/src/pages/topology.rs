//! The organization as a picture, drawn by `map`: sites, links, servers, connectors; and the way of one message, lit up.

use std::collections::BTreeSet;
use std::sync::Arc;

use authority::{Act, Feature};
use envelope::{Address, ByteSize};
use inquiry::{Inquiry, Sender, Subject};
use map::{Folded, Journey, Marks, Region, ServerMark, Survey, draw_marked};
use topology::{Organization, ServerRole};

use super::queues::{self, Queued};
use super::{Answered, Outcome, place_of};
use crate::centre::Visit;
use crate::estate::{QueueView, Serving};
use crate::text::{counted, some};
use crate::view::{Bit, Bits, Block, Button, Column, Entry, Field, Form, Grid, Group, Sheet, Tone};

/// Servers and connectors of a site that are named in the list of sites.
const NAMED_OF_SITE: usize = 3;
/// A drawing up to so many pixels high is made to fit the window: text of 12 pixels has 9 then. A higher one is as large as it is drawn.
const HEIGHT_SCALED_MAX: u32 = 980;

/// Opens every region in the address.
const ALL: &str = "all";

/// The way that is asked for, if any; or why there is none.
async fn journey(
    visit: &Visit<'_>,
    organization: &Arc<Organization>,
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
        let mut inquiry = Inquiry::new(Arc::clone(organization), known);
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
    let now = now(visit, &organization).await;
    let marks = now.marks(&organization);
    let folded = folded(visit, &survey, journey.as_ref(), &marks);
    let svg = drawn(visit, &folded, marks).await;
    sheet.live = true;
    sheet.add(Block::Picture { svg: inline(&svg), about: about(&survey, &folded) });
    regions(visit, &mut sheet, &folded);
    let file = format!("/topology.svg?{}", asked(visit, |name| name == "open"));
    sheet.add(Block::Links(vec![Bit::link(file, "The drawing as a file (SVG)").into()]));
    sheet.grid(sites(&organization, &survey, &now));
    sheet.grid(links(&survey));
    Ok(Outcome::Sheet(sheet))
}

/// The question of the page as a query, with those that are wanted besides.
fn asked(visit: &Visit<'_>, besides: impl Fn(&str) -> bool) -> String {
    let question = visit.ask.query.iter().filter(|(name, value)| {
        !value.is_empty() && (matches!(name.as_str(), "recipient" | "from" | "size") || besides(name))
    });
    form_urlencoded::Serializer::new(String::new()).extend_pairs(question).finish()
}

/// The page with other regions open.
fn with_open<'a>(visit: &Visit<'_>, open: impl IntoIterator<Item = &'a str>) -> String {
    let query = asked(visit, |_| false);
    let mut all = form_urlencoded::Serializer::new(query);
    open.into_iter().for_each(|name| {
        all.append_pair("open", name);
    });
    format!("/topology?{}", all.finish())
}

/// Regions are shut unless the address opens them.
fn folded(visit: &Visit<'_>, survey: &Survey, journey: Option<&Journey>, marks: &Marks) -> Folded {
    let wanted = visit.ask.query.iter().filter(|(name, _)| name == "open").map(|(_, value)| value.clone());
    let mut open: BTreeSet<String> = wanted.collect();
    if open.contains(ALL) {
        open.extend(map::regions(survey).into_iter().map(|region| region.name.to_string()));
    }
    let mut folded = map::fold(survey, journey, marks, &open);
    for site in &mut folded.survey.sites {
        if let Some(fold) = &mut site.fold {
            let open = opened(&folded.regions).chain([site.name.as_str()]);
            fold.link = Some(with_open(visit, open));
        }
    }
    folded
}

fn opened(regions: &[(Region, bool)]) -> impl Iterator<Item = &str> {
    regions.iter().filter(|(_, is_open)| *is_open).map(|(region, _)| region.name.as_str())
}

/// Where the boxes go is computed beside all other work, and once for the same picture.
async fn drawn(visit: &Visit<'_>, folded: &Folded, marks: Marks) -> Arc<str> {
    let Folded { survey, journey, .. } = folded.clone();
    let key = crate::codes::digest("drawing", &format!("{survey:?} {journey:?} {marks:?}"));
    if let Some(known) = visit.centre.known.drawing(&key) {
        return known;
    }
    let drawing = tokio::task::spawn_blocking(move || draw_marked(&survey, journey.as_ref(), &marks)).await;
    let drawing: Arc<str> = drawing.unwrap_or_default().into();
    visit.centre.known.keep_drawing(key, &drawing);
    drawing
}

fn about(survey: &Survey, folded: &Folded) -> String {
    let servers: usize = survey.sites.iter().map(|site| site.servers.len()).sum();
    let mut text = format!(
        "{} with {}, {}, {}.",
        some(survey.sites.len(), "site", "sites"),
        some(servers, "server", "servers"),
        some(survey.links.len(), "link", "links"),
        some(survey.connectors.len(), "connector", "connectors")
    );
    let shut = folded.survey.sites.iter().filter(|site| site.fold.is_some()).count();
    if shut > 0 {
        text += &format!(
            " {} drawn as one box each: sites that are nearest to one centre. The way of a message, links that are broken \
             and sites where mail waits are drawn even so.",
            some(shut, "region is", "regions are")
        );
    }
    text
}

/// Which regions there are, and the way to open and shut them.
fn regions(visit: &Visit<'_>, sheet: &mut Sheet, folded: &Folded) {
    let all = &folded.regions;
    if all.is_empty() {
        return;
    }
    let mut links: Vec<Bits> = Vec::new();
    for (region, is_open) in all.iter().filter(|(region, _)| region.sites.len() > 1) {
        let name = region.name.as_str();
        let (to, word) = if *is_open {
            (with_open(visit, opened(all).filter(|known| *known != name)), "Shut")
        } else {
            (with_open(visit, opened(all).chain([name])), "Open")
        };
        let text = format!("{word} {name}, {} sites", region.sites.len());
        links.push(Bit::link(to, text).into());
    }
    if opened(all).next().is_some() {
        links.push(Bit::link(with_open(visit, []), "Shut all").into());
    }
    if opened(all).count() < all.len() {
        links.push(Bit::link(with_open(visit, [ALL]), "Open all").into());
    }
    sheet.add(Block::Links(links));
}

pub(crate) async fn drawing(visit: &Visit<'_>) -> Answered {
    let organization = visit.ruled.organization().await?;
    let survey = Survey::of(&organization);
    let journey = journey(visit, &organization, &survey).await.and_then(Result::ok);
    let mut folded = folded(visit, &survey, journey.as_ref(), &Marks::default());
    // A file leads nowhere.
    folded.survey.sites.iter_mut().filter_map(|site| site.fold.as_mut()).for_each(|fold| fold.link = None);
    let svg = drawn(visit, &folded, Marks::default()).await;
    Ok(Outcome::File { kind: "image/svg+xml", name: "topology.svg", body: svg.as_bytes().to_vec() })
}

/// Without its own style, which the policy of the page refuses; classes of the page's stand for it (WA-63).
fn inline(svg: &str) -> String {
    let without = match (svg.find("<style>"), svg.find("</style>")) {
        (Some(from), Some(to)) => format!("{}{}", &svg[..from], &svg[to + "</style>".len()..]),
        _ => svg.to_owned(),
    };
    let height = without.split_once(" height=\"").and_then(|(_, rest)| rest.split('"').next()?.parse::<u32>().ok());
    let large = if height.is_some_and(|height| height > HEIGHT_SCALED_MAX) { " large" } else { "" };
    without.replacen("<svg ", &format!("<svg class=\"drawing map{large}\" "), 1).replacen(
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
    services: Arc<Vec<Serving>>,
}

async fn now(visit: &Visit<'_>, organization: &Organization) -> Now {
    let queued = match visit.ruled.why_not(Act::Read(Feature::Queues)) {
        None => queues::gather(visit, organization).await.ok(),
        Some(_) => None,
    };
    let services = visit.ruled.services_known().await.ok().and_then(|last| last.value);
    Now { queued, services: services.map(|(services, _)| services).unwrap_or_default() }
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
            let behind = own.iter().any(|one| one.is_behind(organization));
            let away = own.is_empty() && organization.is_own(server);
            let waiting = self.queued.as_ref().and_then(|queued| {
                let own = queued.all.iter().filter(|(of, _)| *of == server.name);
                (!queued.is_unknown(&server.name)).then(|| own.map(|(_, queue)| queue.messages).sum())
            });
            // Who may not look at queues is told nothing of them.
            let waiting = if self.queued.is_none() { Some(0) } else { waiting };
            marks.servers.insert(server.name.clone(), ServerMark { away, behind, waiting });
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
        for (number, server) in site.servers.iter().take(NAMED_OF_SITE).enumerate() {
            if number > 0 {
                servers.push(Bit::Break);
            }
            servers
                .push(Bit::link(place_of(organization::Kind::Server, server.name.as_str()), map::server_text(server)));
        }
        if let Some(more) = site.servers.len().checked_sub(NAMED_OF_SITE).filter(|more| *more > 0) {
            servers.push(Bit::Quiet(format!("and {more} more")));
        }
        let connectors: Vec<String> =
            survey.connectors.iter().filter(|one| one.sites.contains(&at)).map(|one| one.name.to_string()).collect();
        let waiting = queued.as_ref().map(|queued| {
            let of_site =
                queued.all.iter().filter(|(server, _)| site.servers.iter().any(|known| known.name == *server));
            of_site.map(|(_, queue)| queue.messages).sum::<u64>()
        });
        let unknown =
            queued.as_ref().is_some_and(|queued| site.servers.iter().any(|server| queued.is_unknown(&server.name)));
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
            super::objects::few(&connectors.join("\n"), NAMED_OF_SITE),
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
