//! Names and costs of site links, and where they stand: on the line, where they cover neither a box nor another label.

use super::layout::Point;
use super::shapes::{fit, link_cost, width};
use super::survey::Survey;

/// Height of the name and cost of a link.
pub(crate) const LABEL_ROW: f64 = 28.0;
/// Room to boxes and other labels.
const GAP: f64 = 3.0;
/// Where a label may stand, in twentieths of what can be seen of its line: the middle first, then on both sides of it.
const TRIED: [u8; 17] = [10, 9, 11, 8, 12, 7, 13, 6, 14, 5, 15, 4, 16, 3, 17, 2, 18];

/// A label where it stands.
pub(crate) struct Label {
    pub corner: Point,
    pub size: Point,
    /// Name and cost of each link, one under the other.
    pub rows: Vec<(String, String)>,
}

/// Links between two sites, one under the other.
fn rows(survey: &Survey, sites: &[usize]) -> Vec<(String, String)> {
    let same = survey.links.iter().filter(|link| link.sites == sites);
    same.map(|link| match link.of {
        1 => (fit(link.name.as_str(), 22), link_cost(link)),
        many => (format!("{many} links"), link_cost(link)),
    })
    .collect()
}

fn size(rows: &[(String, String)]) -> Point {
    let widest = rows.iter().map(|(name, cost)| width(name, 10.5).max(width(cost, 12.5))).fold(0.0, f64::max);
    Point { x: widest + 10.0, y: rows.len() as f64 * LABEL_ROW }
}

/// The label, and a piece of line on both sides of it.
pub(crate) fn room(survey: &Survey, sites: &[usize]) -> Point {
    let size = size(&rows(survey, sites));
    Point { x: size.x + 44.0, y: size.y + 36.0 }
}

/// A label for each two sites that a link of two joins. `places` and `sizes` are those of all boxes, sites first.
pub(crate) fn place(survey: &Survey, places: &[Point], sizes: &[Point]) -> Vec<Label> {
    let boxes = places.iter().zip(sizes).map(|(middle, size)| (*middle, *size));
    let mut taken: Vec<(Point, Point)> = boxes.collect();
    let (mut seen, mut labels): (Vec<(usize, usize)>, Vec<Label>) = (Vec::new(), Vec::new());
    for link in &survey.links {
        let [from, to] = link.sites[..] else { continue };
        if seen.contains(&(from, to)) {
            continue;
        }
        seen.push((from, to));
        let rows = rows(survey, &link.sites);
        let size = size(&rows);
        let (a, b) = (places[from], places[to]);
        let (one, two) = (border(a, b, sizes[from]), border(b, a, sizes[to]));
        let at = |twentieth: u8| {
            let part = f64::from(twentieth) / 20.0;
            Point { x: one.x + (two.x - one.x) * part, y: one.y + (two.y - one.y) * part }
        };
        let covered = |middle: &Point| taken.iter().map(|other| overlap((*middle, size), *other)).sum::<f64>();
        // The first that covers nothing; where all cover something, the one that covers least.
        let tried = TRIED.map(at);
        let least = tried.into_iter().map(|middle| (covered(&middle), middle));
        let best = least.reduce(|best, other| if other.0 < best.0 { other } else { best });
        let middle = best.map_or(at(10), |(_, middle)| middle);
        taken.push((middle, size));
        let corner = Point { x: middle.x - size.x / 2.0, y: middle.y - size.y / 2.0 };
        labels.push(Label { corner, size, rows });
    }
    labels
}

/// The area that two boxes share, each given by its middle and size.
fn overlap((one, first): (Point, Point), (two, second): (Point, Point)) -> f64 {
    let along = |apart: f64, one: f64, two: f64| ((one + two) / 2.0 + GAP - apart.abs()).max(0.0);
    along(one.x - two.x, first.x, second.x) * along(one.y - two.y, first.y, second.y)
}

/// Where the line from the middle of a box to another point leaves the box.
fn border(middle: Point, to: Point, size: Point) -> Point {
    let (dx, dy) = (to.x - middle.x, to.y - middle.y);
    let part = (size.x / 2.0 / dx.abs().max(1e-6)).min(size.y / 2.0 / dy.abs().max(1e-6)).min(1.0);
    Point { x: middle.x + dx * part, y: middle.y + dy * part }
}
