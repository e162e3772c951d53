//! Measures of what stands in a box, and its texts made to fit. Widths are estimates for a common sans-serif.

use envelope::ByteSize;
use topology::AddressSpace;

use super::journey::Journey;
use super::layout::Point;
use super::survey::{ConnectorView, FoldView, LinkView, ServerView, SiteView, Survey};

/// Room inside a box.
pub(crate) const PAD: f64 = 12.0;
/// Height of a site's name.
pub(crate) const TITLE_ROW: f64 = 34.0;
/// Height of a server.
pub(crate) const SERVER_ROW: f64 = 23.0;
/// Height of a connector.
pub(crate) const CONNECTOR_ROW: f64 = 19.0;
/// Characters of a name that are shown.
pub(crate) const NAME_MAX: usize = 24;
/// Of a name that has little room so many are shown all the same.
const LETTERS_LEAST: usize = 6;
/// Servers of a site that are shown.
pub(crate) const SERVERS_MAX: usize = 8;
/// Connectors of a site that are shown.
pub(crate) const CONNECTORS_MAX: usize = 6;
/// Servers from which on they stand in two columns.
const COLUMNS_FROM: usize = 4;
/// Narrowest box.
const WIDTH_MIN: f64 = 124.0;
/// Room between columns of servers.
const BETWEEN: f64 = 8.0;

/// Estimated width of a text of this font size.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let wide = |character: char| match character {
        'i' | 'l' | 'j' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | ' ' | '-' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '⇢' | '▸' => 0.95,
        character if character.is_ascii_uppercase() => 0.70,
        character if character.is_ascii() => 0.58,
        _ => 1.0,
    };
    text.chars().map(wide).sum::<f64>() * size
}

/// The text, or its beginning and `…`.
pub(crate) fn fit(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// The same, in this width besides; of a name at least its first letters.
pub(crate) fn fit_within(text: &str, most: usize, room: f64) -> String {
    let lengths = (LETTERS_LEAST..=most).rev();
    let mut fitting = lengths.map(|most| fit(text, most)).filter(|shown| width(shown, 12.0) <= room);
    fitting.next().unwrap_or_else(|| fit(text, LETTERS_LEAST))
}

/// Text for XML; characters that XML cannot hold are replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// `5 MB`: a size without its octets.
#[must_use]
pub fn plain(size: ByteSize) -> String {
    let text = size.to_string();
    text.split(" (").next().unwrap_or(&text).to_owned()
}

/// `*;10`: SMTP is what an address space is when nothing else is said.
#[must_use]
pub fn space(space: &AddressSpace) -> String {
    let text = space.to_string();
    text.strip_prefix("SMTP:").map_or(text.clone(), str::to_owned)
}

/// `4 (AD 10) ≤ 5 MB`.
#[must_use]
pub fn link_cost(link: &LinkView) -> String {
    let mut text = link.cost.to_string();
    if link.cost_most > link.cost {
        text += &format!("–{}", link.cost_most);
    }
    if let Some(replaced) = link.replaced {
        text += &format!(" (AD {replaced})");
    }
    if let envelope::Limit::At(limit) = link.limit {
        text += &format!(" ≤ {}", plain(limit));
    }
    text
}

/// A server's name, with what is special about it.
#[must_use]
pub fn server_text(server: &ServerView) -> String {
    match (&server.dag, server.edge) {
        (Some(dag), _) => format!("{} · {dag}", server.name),
        (None, true) => format!("{} · Edge", server.name),
        (None, false) => server.name.to_string(),
    }
}

/// One line about all of a message's way.
#[must_use]
pub fn headline(journey: &Journey) -> String {
    let hops = if journey.legs.len() == 1 { "1 hop".to_owned() } else { format!("{} hops", journey.legs.len()) };
    let by = journey.connector.as_ref().map(|name| format!(", connector {name}")).unwrap_or_default();
    let Journey { recipient, from, cost, .. } = journey;
    format!("{recipient}, {} from {from}: cost {cost}, {hops}{by}", plain(journey.size))
}

/// Address spaces of a connector, the first two.
pub(crate) fn spaces(connector: &ConnectorView) -> String {
    let mut text = connector.spaces.iter().take(2).map(|one| fit(&space(one), 26)).collect::<Vec<_>>().join(", ");
    if connector.spaces.len() > 2 {
        text += &format!(" +{}", connector.spaces.len() - 2);
    }
    match (connector.enabled, connector.scoped) {
        (false, _) => text + ", disabled",
        (true, true) => text + ", scoped",
        (true, false) => text,
    }
}

/// Connectors with a source server in a site, the one that a message leaves by in it before all others.
pub(crate) fn connectors_of<'a>(survey: &'a Survey, journey: Option<&Journey>, site: usize) -> Vec<&'a ConnectorView> {
    let mut here: Vec<_> = survey.connectors.iter().filter(|connector| connector.sites.contains(&site)).collect();
    here.sort_by_key(|connector| !is_chosen(journey, site, connector));
    here
}

/// Whether a message leaves, or waits to leave, in this site by this connector.
pub(crate) fn is_chosen(journey: Option<&Journey>, site: usize, connector: &ConnectorView) -> bool {
    let ends_here = |journey: &&Journey| journey.last == Some(site);
    journey.filter(ends_here).is_some_and(|journey| journey.connector.as_ref() == Some(&connector.name))
}

/// Servers of a site that are shown: those that a message passes before all others.
pub(crate) fn servers_of<'a>(site: &'a SiteView, journey: Option<&Journey>) -> Vec<&'a ServerView> {
    let passed = |server: &ServerView| journey.is_some_and(|journey| journey.place_of(&server.name).is_some());
    let mut servers: Vec<&ServerView> = site.servers.iter().collect();
    if servers.len() > SERVERS_MAX {
        servers.sort_by_key(|server| !passed(server));
        servers.truncate(SERVERS_MAX);
    }
    servers
}

fn columns(site: &SiteView) -> usize {
    if site.servers.len() >= COLUMNS_FROM { 2 } else { 1 }
}

/// Width of one server in a box of this size.
pub(crate) fn chip_width(site: &SiteView, size: Point) -> f64 {
    let columns = columns(site) as f64;
    (size.x - 2.0 * PAD - BETWEEN * (columns - 1.0)) / columns
}

/// Corners of the servers, from the corner of their box.
pub(crate) fn server_places(site: &SiteView, size: Point) -> impl Iterator<Item = Point> {
    let (columns, wide) = (columns(site), chip_width(site, size));
    (0..site.servers.len()).map(move |at| Point {
        x: PAD + (at % columns) as f64 * (wide + BETWEEN),
        y: TITLE_ROW + (at / columns) as f64 * SERVER_ROW,
    })
}

/// Height of a site's servers.
pub(crate) fn servers_height(site: &SiteView) -> f64 {
    let rows = site.servers.len().min(SERVERS_MAX).div_ceil(columns(site));
    let more = if site.servers.len() > SERVERS_MAX { 16.0 } else { 0.0 };
    rows as f64 * SERVER_ROW + more
}

/// What stands in the box of a region, and whether somebody should look.
pub(crate) fn fold_lines(fold: &FoldView) -> Vec<(String, bool)> {
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let sites =
        if fold.sites == fold.of { count(fold.sites, "site") } else { format!("{} of {} sites", fold.sites, fold.of) };
    let mut lines = vec![
        (format!("{sites}, {}", count(fold.servers, "server")), false),
        (count(fold.connectors, "connector"), false),
    ];
    let marks = [(fold.away, "not there"), (fold.behind, "behind"), (fold.unknown, "unknown")];
    lines.extend(
        marks.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| (format!("{count} {what}"), true)),
    );
    lines
}

/// What stands over the box of a region.
pub(crate) fn fold_title(site: &SiteView) -> String {
    format!("Region {}", fit(site.name.as_str(), NAME_MAX))
}

fn fold_size(site: &SiteView, fold: &FoldView) -> Point {
    let lines = fold_lines(fold);
    let wide = lines.iter().map(|(line, _)| width(line, 12.5)).fold(width(&fold_title(site), 14.5), f64::max);
    Point { x: wide + 2.0 * PAD + 8.0, y: TITLE_ROW + lines.len() as f64 * CONNECTOR_ROW + 8.0 }
}

/// Size of a site's box.
pub(crate) fn site_size(survey: &Survey, journey: Option<&Journey>, number: usize) -> Point {
    let site = &survey.sites[number];
    if let Some(fold) = &site.fold {
        return fold_size(site, fold);
    }
    let flags = if site.hub { 48.0 } else { 0.0 } + if site.inbound { 0.0 } else { 92.0 };
    let title = width(&fit(site.name.as_str(), NAME_MAX), 14.5) + flags;
    let chips = servers_of(site, journey).into_iter().map(|server| width(&fit(&server_text(server), 30), 12.5) + 20.0);
    let chips = chips.fold(0.0, f64::max) * columns(site) as f64 + BETWEEN * (columns(site) - 1) as f64;
    let connectors = connectors_of(survey, journey, number);
    let row = |connector: &&ConnectorView| {
        width(&fit(connector.name.as_str(), NAME_MAX), 12.8) + 18.0 + 14.0 + width(&spaces(connector), 10.8)
    };
    let rows = connectors.iter().take(CONNECTORS_MAX).map(row).fold(0.0, f64::max);
    let shown = connectors.len().min(CONNECTORS_MAX + 1) as f64;
    let below = if connectors.is_empty() { 6.0 } else { shown * CONNECTOR_ROW + 16.0 };
    Point {
        x: title.max(chips).max(rows).max(WIDTH_MIN - 2.0 * PAD) + 2.0 * PAD,
        y: TITLE_ROW + servers_height(site) + below,
    }
}
