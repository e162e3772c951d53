//! The drawing: sites as boxes with their servers and connectors, links with their costs, the internet, and the way of
//! one message. Needs no font files: widths are estimated for the sans-serif that the viewer has.

use std::fmt::Write as _;

use super::journey::Journey;
use super::labels::{self, LABEL_ROW, Label};
use super::layout::{self, Edge, Point};
use super::marks::{Marks, ServerMark};
use super::shapes::{self, CONNECTOR_ROW, PAD, SERVER_ROW, TITLE_ROW, escape, fit, width};
use super::survey::{FoldView, SiteView, Survey};

/// Room around the drawing.
const MARGIN: f64 = 28.0;
/// Height of a line of the caption.
const CAPTION_ROW: f64 = 20.0;
/// Length of a spoke of a link of several sites, in links.
const SPOKE: f64 = 0.62;
/// Length of a line to the internet, in links.
const OUTSIDE: f64 = 1.1;
/// A line that has none.
const NO_LABEL: Point = Point { x: 30.0, y: 30.0 };
/// Under the drawing.
const LEGEND: [&str; 2] = [
    "Numbers on links are costs.",
    "Mail connects directly to its target; it stops in between only in hub sites on its path.",
];
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif;fill:#1b2a3d;font-size:12px}\
.title{font-size:14px;font-weight:600}.head{font-size:17px;font-weight:600}.soft{fill:#5b6b80}\
.small{font-size:10.5px}.bold{font-weight:600}.gone{fill:#94a1b3;text-decoration:line-through}\
.site{fill:#fff;stroke:#b9c4d3;stroke-width:1.2}.hub{stroke:#2f6fde;stroke-width:2.6}.empty{stroke-dasharray:5 4;fill:#fafbfd}\
.chip{fill:#f0f4f9;stroke:#d9e1ec}.edge{fill:#fdf6e7;stroke:#ecd9ae}.badge{fill:#2f6fde}.warn{fill:#b4690e}\
.line{stroke:#8493a8;stroke-width:1.8;fill:none}.out{stroke:#9db7d8;stroke-width:1.4;stroke-dasharray:3 4;fill:none}\
.way{stroke:#e0542f;stroke-width:4;fill:none;stroke-linecap:round}.wayout{stroke:#e0542f;stroke-width:3;stroke-dasharray:7 5;fill:none}\
.plate{fill:#fff;fill-opacity:.94}.net{fill:#e9f2fc;stroke:#9db7d8;stroke-width:1.3}.bus{fill:#f6f8fb;stroke:#8493a8}\
.broken{stroke:#c4161c;stroke-width:2.4;stroke-dasharray:7 5;fill:none}.late{fill:#b3141a;font-weight:600}\
.away{fill:#fff;stroke:#c4161c;stroke-dasharray:4 3}\
.on{fill:#fdeae4;stroke:#e0542f;stroke-width:1.6}.dot{fill:#e0542f}.white{fill:#fff}";

/// What is drawn as a box.
enum Node {
    Site(usize),
    /// A link of three or more sites.
    Bus(usize),
    Internet,
}

struct Drawing<'a> {
    survey: &'a Survey,
    journey: Option<&'a Journey>,
    marks: &'a Marks,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    sizes: Vec<Point>,
    places: Vec<Point>,
    out: String,
}

/// The drawing of an organization, with the way of a message.
#[must_use]
pub fn draw(survey: &Survey, journey: Option<&Journey>) -> String {
    draw_marked(survey, journey, &Marks::default())
}

/// The same, with how its servers and links are just now.
#[must_use]
pub fn draw_marked(survey: &Survey, journey: Option<&Journey>, marks: &Marks) -> String {
    let (nodes, edges) = graph(survey);
    let sizes: Vec<Point> = nodes.iter().map(|node| size(survey, journey, node)).collect();
    let top = caption_height(journey);
    let places = layout::place(&sizes, &edges);
    let extent = layout::extent(&places, &sizes);
    let places = places.into_iter().map(|p| Point { x: p.x + MARGIN, y: p.y + MARGIN + top }).collect();
    let caption = caption(survey, journey);
    let widest = caption.iter().map(String::as_str).chain(LEGEND).map(|line| width(line, 12.0)).fold(0.0, f64::max);
    let (wide, high) = (extent.x.max(widest) + 2.0 * MARGIN, extent.y + top + 2.0 * MARGIN + 2.0 * CAPTION_ROW);
    // What is in an image is nothing by itself to who cannot see it; regions that are opened are.
    let opens = survey.sites.iter().any(|site| site.fold.as_ref().is_some_and(|fold| fold.link.is_some()));
    let role = if opens { "group" } else { "img" };
    let mut drawing = Drawing { survey, journey, marks, nodes, edges, sizes, places, out: String::new() };
    drawing.put(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide:.0} {high:.0}\" width=\"{wide:.0}\" \
         height=\"{high:.0}\" role=\"{role}\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fcfdff\"/>",
        escape(&caption[0])
    ));
    drawing.lines();
    drawing.boxes();
    drawing.labels();
    drawing.captions(&caption, high);
    drawing.put("</svg>");
    drawing.out
}

/// Boxes and lines. A link of two sites is a line; one of more sites is a box with a line to each.
fn graph(survey: &Survey) -> (Vec<Node>, Vec<Edge>) {
    let mut nodes: Vec<Node> = (0..survey.sites.len()).map(Node::Site).collect();
    let mut edges = Vec::new();
    for (at, link) in survey.links.iter().enumerate() {
        match link.sites.as_slice() {
            [from, to] => {
                let room = labels::room(survey, &link.sites);
                edges.push(Edge { from: *from, to: *to, length: 1.0, room });
            }
            sites => {
                edges.extend(sites.iter().map(|site| Edge {
                    from: *site,
                    to: nodes.len(),
                    length: SPOKE,
                    room: NO_LABEL,
                }));
                nodes.push(Node::Bus(at));
            }
        }
    }
    let outside = outside(survey);
    if !outside.is_empty() {
        edges.extend(outside.iter().map(|site| Edge { from: *site, to: nodes.len(), length: OUTSIDE, room: NO_LABEL }));
        nodes.push(Node::Internet);
    }
    (nodes, edges)
}

/// Sites with an enabled connector to hosts outside.
fn outside(survey: &Survey) -> Vec<usize> {
    let used = survey.connectors.iter().filter(|connector| connector.smtp && connector.enabled);
    let mut sites: Vec<usize> = used.flat_map(|connector| connector.sites.clone()).collect();
    sites.sort_unstable();
    sites.dedup();
    sites
}

fn size(survey: &Survey, journey: Option<&Journey>, node: &Node) -> Point {
    match node {
        Node::Site(at) => shapes::site_size(survey, journey, *at),
        Node::Bus(at) => {
            let link = &survey.links[*at];
            let text = width(&fit(link.name.as_str(), 26), 11.0).max(width(&shapes::link_cost(link), 12.5));
            Point { x: text + 26.0, y: 38.0 }
        }
        Node::Internet => Point { x: 112.0, y: 46.0 },
    }
}

fn caption(survey: &Survey, journey: Option<&Journey>) -> Vec<String> {
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let of = |site: &SiteView| site.fold.as_ref().map_or((1, site.servers.len()), |fold| (fold.sites, fold.servers));
    let (sites, servers) = survey.sites.iter().map(of).fold((0, 0), |all, site| (all.0 + site.0, all.1 + site.1));
    let mut title = vec![count(sites, "site"), count(servers, "server")];
    title.push(count(survey.connectors.len(), "connector"));
    if survey.revision.0 > 0 {
        title.push(format!("revision {}", survey.revision)); // a file has none
    }
    let mut lines = vec![title.join(", ")];
    if let Some(journey) = journey {
        lines.push(shapes::headline(journey));
        lines.extend(journey.steps.iter().enumerate().map(|(at, step)| format!("{}  {step}", at + 1)));
        lines.push(journey.end.to_string());
    }
    lines
}

fn caption_height(journey: Option<&Journey>) -> f64 {
    let lines = journey.map_or(0, |journey| journey.steps.len() + 2);
    (lines as f64) * CAPTION_ROW + if lines > 0 { 44.0 } else { 34.0 }
}

impl Drawing<'_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn text(&mut self, at: Point, class: &str, anchor: &str, text: &str) {
        let (x, y, text) = (at.x, at.y, escape(text));
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let anchor = if anchor.is_empty() { String::new() } else { format!(" text-anchor=\"{anchor}\"") };
        self.put(&format!("<text x=\"{x:.0}\" y=\"{y:.0}\"{class}{anchor}>{text}</text>"));
    }

    fn line(&mut self, from: Point, to: Point, class: &str) {
        let Point { x, y } = from;
        self.put(&format!("<path d=\"M{x:.0} {y:.0}L{:.0} {:.0}\" class=\"{class}\"/>", to.x, to.y));
    }

    /// Lines first, so that boxes cover their ends; the way of the message above the others.
    fn lines(&mut self) {
        let internet = self.nodes.iter().position(|node| matches!(node, Node::Internet));
        for edge in self.edges.clone() {
            let (from, to) = (self.places[edge.from], self.places[edge.to]);
            let sites = [edge.from, edge.to];
            let of_edge = self.survey.links.iter().filter(|link| link.sites == sites);
            let is_broken =
                of_edge.clone().count() > 0 && of_edge.clone().all(|link| self.marks.broken.contains(&link.name));
            let class = match () {
                () if Some(edge.to) == internet => "out",
                () if is_broken => "broken",
                () => "line",
            };
            self.line(from, to, class);
            if is_broken {
                // Where the break is, beside the label in the middle.
                let at = Point { x: from.x + (to.x - from.x) * 0.72, y: from.y + (to.y - from.y) * 0.72 };
                self.put(&format!("<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"9\" class=\"plate\"/>", at.x, at.y));
                self.text(Point { x: at.x, y: at.y + 5.0 }, "title late", "middle", "✖");
            }
        }
        let Some(journey) = self.journey else { return };
        for leg in &journey.legs {
            let link = self.survey.links.iter().position(|link| link.name == leg.link);
            let bus = self.nodes.iter().position(|node| matches!(node, Node::Bus(at) if Some(*at) == link));
            let (from, to) = (self.places[leg.from], self.places[leg.to]);
            match bus {
                Some(bus) => {
                    self.line(from, self.places[bus], "way");
                    self.line(self.places[bus], to, "way");
                }
                None => self.line(from, to, "way"),
            }
        }
        if let (Some(from), Some(internet)) = (journey.leaves(), internet) {
            self.line(self.places[from], self.places[internet], "wayout");
        }
    }

    fn boxes(&mut self) {
        for at in 0..self.nodes.len() {
            let (place, size) = (self.places[at], self.sizes[at]);
            let corner = Point { x: place.x - size.x / 2.0, y: place.y - size.y / 2.0 };
            match self.nodes[at] {
                Node::Site(site) => self.site(&self.survey.sites[site], site, corner, size),
                Node::Bus(link) => {
                    let link = &self.survey.links[link];
                    let on = self.journey.is_some_and(|journey| journey.legs.iter().any(|leg| leg.link == link.name));
                    self.rect(corner, size, if on { "on" } else { "bus" }, 19.0);
                    self.text(
                        Point { x: place.x, y: place.y - 3.0 },
                        "small soft",
                        "middle",
                        &fit(link.name.as_str(), 26),
                    );
                    self.text(Point { x: place.x, y: place.y + 12.0 }, "bold", "middle", &shapes::link_cost(link));
                }
                Node::Internet => {
                    let on = self.journey.is_some_and(|journey| journey.leaves().is_some());
                    self.rect(corner, size, if on { "on" } else { "net" }, 23.0);
                    self.text(Point { x: place.x, y: place.y + 5.0 }, "title", "middle", "Internet");
                }
            }
        }
    }

    fn rect(&mut self, at: Point, size: Point, class: &str, round: f64) {
        self.put(&format!(
            "<rect x=\"{:.0}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{:.0}\" rx=\"{round:.0}\" class=\"{class}\"/>",
            at.x, at.y, size.x, size.y
        ));
    }

    /// Sites of a region in one box, which looks like several behind each other.
    fn region(&mut self, site: &SiteView, fold: &FoldView, corner: Point, size: Point) {
        let title = shapes::fold_title(site);
        match &fold.link {
            Some(link) => self.put(&format!("<a href=\"{}\">", escape(link))),
            None => self.put("<g>"),
        }
        self.put(&format!("<title>{}</title>", escape(&title)));
        self.rect(Point { x: corner.x + 6.0, y: corner.y + 6.0 }, size, "site", 9.0);
        self.rect(corner, size, "site", 9.0);
        let mut at = Point { x: corner.x + PAD, y: corner.y + TITLE_ROW - 8.0 };
        self.text(at, "title", "", &title);
        for (line, late) in shapes::fold_lines(fold) {
            at.y += CONNECTOR_ROW;
            self.text(at, if late { "late" } else { "soft" }, "", &line);
        }
        self.put(if fold.link.is_some() { "</a>" } else { "</g>" });
    }

    fn site(&mut self, site: &SiteView, number: usize, corner: Point, size: Point) {
        if let Some(fold) = &site.fold {
            self.region(site, fold, corner, size);
            return;
        }
        let class = match (site.hub, site.servers.is_empty()) {
            (true, _) => "site hub",
            (false, true) => "site empty",
            (false, false) => "site",
        };
        let _ = writeln!(self.out, "<g><title>{}</title>", escape(site.name.as_str()));
        self.rect(corner, size, class, 9.0);
        let mut at = Point { x: corner.x + PAD, y: corner.y + TITLE_ROW - 8.0 };
        self.text(at, "title", "", &fit(site.name.as_str(), shapes::NAME_MAX));
        let mut right = corner.x + size.x - PAD;
        if site.hub {
            let badge = Point { x: right - 34.0, y: corner.y + 8.0 };
            self.rect(badge, Point { x: 34.0, y: 16.0 }, "badge", 8.0);
            self.text(Point { x: right - 17.0, y: corner.y + 20.0 }, "small bold white", "middle", "HUB");
            right -= 40.0;
        }
        if !site.inbound {
            self.text(Point { x: right, y: corner.y + 20.0 }, "small warn", "end", "no inbound mail");
        }
        at.y = corner.y + TITLE_ROW;
        for (server, from) in shapes::servers_of(site, self.journey).into_iter().zip(shapes::server_places(site, size))
        {
            let chip = Point { x: corner.x + from.x, y: corner.y + from.y };
            let step = self.journey.and_then(|journey| journey.place_of(&server.name));
            let mark = self.marks.servers.get(&server.name).copied();
            let class = if step.is_some() {
                "on"
            } else if mark.is_some_and(|mark| mark.away) {
                "away"
            } else if server.edge {
                "edge"
            } else {
                "chip"
            };
            self.rect(chip, Point { x: shapes::chip_width(site, size), y: SERVER_ROW - 4.0 }, class, 5.0);
            let told = mark.map(ServerMark::text).filter(|(text, _)| !text.is_empty());
            let taken = told.as_ref().map_or(0.0, |(text, _)| width(text, 10.5) + 10.0);
            let room = if mark.is_some() { 16 } else { 30 };
            let name =
                shapes::fit_within(&shapes::server_text(server), room, shapes::chip_width(site, size) - 12.0 - taken);
            self.text(Point { x: chip.x + 8.0, y: chip.y + 13.0 }, "", "", &name);
            if let Some((text, late)) = told {
                let right = chip.x + shapes::chip_width(site, size) - if step.is_some() { 14.0 } else { 7.0 };
                let class = if late { "small late" } else { "small bold" };
                self.text(Point { x: right, y: chip.y + 13.0 }, class, "end", &text);
            }
            if let Some(step) = step {
                let dot = Point { x: chip.x + shapes::chip_width(site, size) - 2.0, y: chip.y + 2.0 };
                self.put(&format!("<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"8\" class=\"dot\"/>", dot.x, dot.y));
                let text = (step + 1).to_string();
                self.text(Point { x: dot.x, y: dot.y + 4.0 }, "small bold white", "middle", &text);
            }
        }
        at.y += shapes::servers_height(site);
        self.connectors(site, number, at, size);
        self.put("</g>");
    }

    fn connectors(&mut self, site: &SiteView, number: usize, mut at: Point, size: Point) {
        if let Some(more) = site.servers.len().checked_sub(shapes::SERVERS_MAX).filter(|more| *more > 0) {
            self.text(Point { x: at.x, y: at.y - 5.0 }, "small soft", "", &format!("and {more} more servers"));
        }
        let survey = self.survey;
        let all = shapes::connectors_of(survey, self.journey, number);
        if all.is_empty() {
            return;
        }
        self.line(Point { x: at.x, y: at.y + 2.0 }, Point { x: at.x + size.x - 2.0 * PAD, y: at.y + 2.0 }, "out");
        at.y += 4.0;
        for connector in all.iter().take(shapes::CONNECTORS_MAX) {
            at.y += CONNECTOR_ROW;
            if shapes::is_chosen(self.journey, number, connector) {
                let corner = Point { x: at.x - 5.0, y: at.y - 14.0 };
                self.rect(corner, Point { x: size.x - 2.0 * PAD + 10.0, y: CONNECTOR_ROW }, "on", 5.0);
            }
            let class = if connector.enabled { "bold" } else { "gone" };
            let name = fit(connector.name.as_str(), shapes::NAME_MAX);
            self.text(at, class, "", &format!("⇢ {name}"));
            let spaces = shapes::spaces(connector);
            self.text(Point { x: at.x + size.x - 2.0 * PAD, y: at.y }, "small soft", "end", &spaces);
        }
        if let Some(more) = all.len().checked_sub(shapes::CONNECTORS_MAX).filter(|more| *more > 0) {
            at.y += CONNECTOR_ROW;
            self.text(at, "small soft", "", &format!("and {more} more connectors"));
        }
    }

    /// Names and costs of links, each where it covers neither a box nor another. Links between the same two sites share
    /// one.
    fn labels(&mut self) {
        for Label { corner, size, rows } in labels::place(self.survey, &self.places, &self.sizes) {
            self.rect(corner, size, "plate", 5.0);
            for (at, (name, cost)) in rows.iter().enumerate() {
                let (x, y) = (corner.x + size.x / 2.0, corner.y + at as f64 * LABEL_ROW);
                self.text(Point { x, y: y + 10.0 }, "small soft", "middle", name);
                self.text(Point { x, y: y + 24.0 }, "bold", "middle", cost);
            }
        }
    }

    fn captions(&mut self, lines: &[String], high: f64) {
        self.text(Point { x: MARGIN, y: MARGIN + 4.0 }, "head", "", &lines[0]);
        for (at, line) in lines.iter().enumerate().skip(1) {
            let y = MARGIN + 10.0 + at as f64 * CAPTION_ROW;
            self.text(Point { x: MARGIN, y }, if at == 1 { "bold" } else { "soft" }, "", line);
        }
        for (at, line) in LEGEND.iter().enumerate() {
            self.text(Point { x: MARGIN, y: high - 30.0 + at as f64 * 15.0 }, "small soft", "", line);
        }
    }
}
