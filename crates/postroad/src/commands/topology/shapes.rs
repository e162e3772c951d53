//! Measures of what stands in a box, and its texts made to fit. Widths are estimates for a common sans-serif.

use super::layout::Point;
use super::survey::{ConnectorView, LinkView, ServerView, SiteView, Survey};

/// Room inside a box.
pub(super) const PAD: f64 = 12.0;
/// Height of a site's name.
pub(super) const TITLE_ROW: f64 = 34.0;
/// Height of a server.
pub(super) const SERVER_ROW: f64 = 23.0;
/// Height of a connector.
pub(super) const CONNECTOR_ROW: f64 = 19.0;
/// Characters of a name that are shown.
pub(super) const NAME_MAX: usize = 24;
/// Servers of a site that are shown.
pub(super) const SERVERS_MAX: usize = 8;
/// Connectors of a site that are shown.
pub(super) const CONNECTORS_MAX: usize = 6;
/// Servers from which on they stand in two columns.
const COLUMNS_FROM: usize = 4;
/// Narrowest box.
const WIDTH_MIN: f64 = 124.0;
/// Room between columns of servers.
const BETWEEN: f64 = 8.0;

/// Estimated width of a text of this font size.
pub(super) fn width(text: &str, size: f64) -> f64 {
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
pub(super) fn fit(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Text for XML; characters that XML cannot hold are replaced.
pub(super) fn escape(text: &str) -> String {
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

/// `4 (AD 10) ≤ 5 MB`.
pub(super) fn cost(link: &LinkView) -> String {
    let mut text = link.cost.to_string();
    if let Some(replaced) = link.replaced {
        text += &format!(" (AD {replaced})");
    }
    if let Some(limit) = &link.limit {
        text += &format!(" ≤ {limit}");
    }
    text
}

/// A server's name, with what is special about it.
pub(super) fn server_text(server: &ServerView) -> String {
    match (&server.dag, server.edge) {
        (Some(dag), _) => format!("{} · {dag}", server.name),
        (None, true) => format!("{} · Edge", server.name),
        (None, false) => server.name.clone(),
    }
}

/// Address spaces of a connector, the first two.
pub(super) fn spaces(connector: &ConnectorView) -> String {
    let mut text = connector.spaces.iter().take(2).map(|space| fit(space, 26)).collect::<Vec<_>>().join(", ");
    if connector.spaces.len() > 2 {
        text += &format!(" +{}", connector.spaces.len() - 2);
    }
    match (connector.enabled, connector.scoped) {
        (false, _) => text + ", disabled",
        (true, true) => text + ", scoped",
        (true, false) => text,
    }
}

/// Connectors with a source server in a site.
pub(super) fn connectors_of(survey: &Survey, site: usize) -> Vec<&ConnectorView> {
    survey.connectors.iter().filter(|connector| connector.sites.contains(&site)).collect()
}

fn columns(site: &SiteView) -> usize {
    if site.servers.len() >= COLUMNS_FROM { 2 } else { 1 }
}

/// Width of one server in a box of this size.
pub(super) fn chip_width(site: &SiteView, size: Point) -> f64 {
    let columns = columns(site) as f64;
    (size.x - 2.0 * PAD - BETWEEN * (columns - 1.0)) / columns
}

/// Corners of the servers, from the corner of their box.
pub(super) fn server_places(site: &SiteView, size: Point) -> impl Iterator<Item = Point> {
    let (columns, wide) = (columns(site), chip_width(site, size));
    (0..site.servers.len()).map(move |at| Point {
        x: PAD + (at % columns) as f64 * (wide + BETWEEN),
        y: TITLE_ROW + (at / columns) as f64 * SERVER_ROW,
    })
}

/// Height of a site's servers.
pub(super) fn servers_height(site: &SiteView) -> f64 {
    let rows = site.servers.len().min(SERVERS_MAX).div_ceil(columns(site));
    let more = if site.servers.len() > SERVERS_MAX { 16.0 } else { 0.0 };
    rows as f64 * SERVER_ROW + more
}

/// Size of a site's box.
pub(super) fn site_size(survey: &Survey, number: usize) -> Point {
    let site = &survey.sites[number];
    let flags = if site.hub { 48.0 } else { 0.0 } + if site.inbound { 0.0 } else { 92.0 };
    let title = width(&fit(&site.name, NAME_MAX), 14.5) + flags;
    let chips = site.servers.iter().take(SERVERS_MAX).map(|server| width(&fit(&server_text(server), 30), 12.5) + 20.0);
    let chips = chips.fold(0.0, f64::max) * columns(site) as f64 + BETWEEN * (columns(site) - 1) as f64;
    let connectors = connectors_of(survey, number);
    let row = |connector: &&ConnectorView| {
        width(&fit(&connector.name, NAME_MAX), 12.8) + 18.0 + 14.0 + width(&spaces(connector), 10.8)
    };
    let rows = connectors.iter().take(CONNECTORS_MAX).map(row).fold(0.0, f64::max);
    let shown = connectors.len().min(CONNECTORS_MAX + 1) as f64;
    let below = if connectors.is_empty() { 6.0 } else { shown * CONNECTOR_ROW + 16.0 };
    Point {
        x: title.max(chips).max(rows).max(WIDTH_MIN - 2.0 * PAD) + 2.0 * PAD,
        y: TITLE_ROW + servers_height(site) + below,
    }
}
