//! Where the boxes of a drawing go: distances on paper follow distances in links, as far as they can.
//!
//! Stress majorization (Gansner, Koren, North 2004) from several starting points; the result with the fewest crossings is
//! taken. The starting points come from a fixed sequence and only the four basic operations and square roots are used, so
//! that the same organization is always drawn the same way. It knows nothing of sites or servers.

/// Starting points that are tried.
const STARTS: u32 = 32;
/// So many for drawings of more boxes than this: each costs the square of them.
const STARTS_LARGE: u32 = 8;
const LARGE: usize = 40;
/// Rounds of majorization for each.
const ROUNDS: u32 = 220;
/// Space between boxes that are not joined.
const GAP: f64 = 46.0;

/// A point, or the size of a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub x: f64,
    pub y: f64,
}

impl Point {
    fn minus(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y }
    }

    fn length(self) -> f64 {
        (self.x * self.x + self.y * self.y).sqrt()
    }
}

/// A line between two boxes, with the length it should have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub from: usize,
    pub to: usize,
    pub length: f64,
    /// Room that its label needs between the boxes.
    pub room: Point,
}

/// Centres of boxes of these sizes, such that none overlap and all are to the right of and below zero.
pub(crate) fn place(sizes: &[Point], edges: &[Edge]) -> Vec<Point> {
    let distances = distances(sizes.len(), edges);
    let mut numbers = Sequence(20_261_122);
    let starts = if sizes.len() > LARGE { STARTS_LARGE } else { STARTS };
    let best = (0..starts).map(|_| {
        let start = (0..sizes.len()).map(|_| Point { x: numbers.next(), y: numbers.next() }).collect();
        let settled = settle(start, &distances);
        let stress = stress(&settled, &distances);
        let places = spread(turn(settled), sizes, edges);
        let disorder = crossings(&places, edges) * 4 + covered(&places, sizes, edges) * 6;
        let area = extent(&places, sizes);
        (disorder as f64 + stress * 60.0 + (area.x * 0.7 + area.y) / 2000.0, places)
    });
    let best = best.reduce(|best, other| if other.0 < best.0 { other } else { best });
    to_origin(best.map(|(_, places)| places).unwrap_or_default(), sizes)
}

/// Lengths of the shortest chains of edges. What is not joined is a little farther than anything that is.
fn distances(count: usize, edges: &[Edge]) -> Vec<Vec<f64>> {
    let mut distances = vec![vec![f64::INFINITY; count]; count];
    distances.iter_mut().enumerate().for_each(|(at, row)| row[at] = 0.0);
    for edge in edges {
        let length = edge.length.min(distances[edge.from][edge.to]);
        distances[edge.from][edge.to] = length;
        distances[edge.to][edge.from] = length;
    }
    for middle in 0..count {
        for from in 0..count {
            for to in 0..count {
                let through = distances[from][middle] + distances[middle][to];
                distances[from][to] = distances[from][to].min(through);
            }
        }
    }
    let farthest = distances.iter().flatten().copied().filter(|length| length.is_finite()).fold(1.0, f64::max);
    distances.iter_mut().flatten().filter(|length| length.is_infinite()).for_each(|length| *length = farthest + 0.5);
    distances
}

fn settle(mut places: Vec<Point>, distances: &[Vec<f64>]) -> Vec<Point> {
    for _ in 0..ROUNDS {
        for at in 0..places.len() {
            let (mut sum, mut total) = (Point { x: 0.0, y: 0.0 }, 0.0);
            for other in (0..places.len()).filter(|other| *other != at) {
                let wanted = distances[at][other];
                let weight = 1.0 / (wanted * wanted);
                let apart = places[at].minus(places[other]);
                let stretch = if apart.length() > 1e-9 { wanted / apart.length() } else { 0.0 };
                sum.x += weight * (places[other].x + apart.x * stretch);
                sum.y += weight * (places[other].y + apart.y * stretch);
                total += weight;
            }
            if total > 0.0 {
                places[at] = Point { x: sum.x / total, y: sum.y / total };
            }
        }
    }
    places
}

/// How far distances are from what they should be, on average and relative to them.
fn stress(places: &[Point], distances: &[Vec<f64>]) -> f64 {
    let count = places.len().max(2) as f64;
    let off = |at: usize, other: usize| {
        let part = places[at].minus(places[other]).length() / distances[at][other] - 1.0;
        part * part
    };
    let pairs = (0..places.len()).flat_map(|at| (at + 1..places.len()).map(move |other| (at, other)));
    pairs.map(|(at, other)| off(at, other)).sum::<f64>() * 2.0 / (count * (count - 1.0))
}

/// Turns the longest extent into the horizontal, the first box to the left and above.
fn turn(places: Vec<Point>) -> Vec<Point> {
    let count = places.len().max(1) as f64;
    let middle = Point {
        x: places.iter().map(|place| place.x).sum::<f64>() / count,
        y: places.iter().map(|place| place.y).sum::<f64>() / count,
    };
    let places: Vec<Point> = places.into_iter().map(|place| place.minus(middle)).collect();
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for place in &places {
        xx += place.x * place.x;
        yy += place.y * place.y;
        xy += place.x * place.y;
    }
    let greatest = (xx + yy) / 2.0 + ((xx - yy) * (xx - yy) / 4.0 + xy * xy).sqrt();
    let axis = if xy.abs() > 1e-9 { Point { x: greatest - yy, y: xy } } else { Point { x: 1.0, y: 0.0 } };
    let axis = if xy.abs() <= 1e-9 && yy > xx { Point { x: 0.0, y: 1.0 } } else { axis };
    let length = axis.length().max(1e-9);
    let (cos, sin) = (axis.x / length, axis.y / length);
    let turned = places.iter().map(|p| Point { x: p.x * cos + p.y * sin, y: p.y * cos - p.x * sin });
    let mut turned: Vec<Point> = turned.collect();
    let first = turned.first().copied().unwrap_or(Point { x: 0.0, y: 0.0 });
    let (left, up) = (if first.x > 0.0 { -1.0 } else { 1.0 }, if first.y > 0.0 { -1.0 } else { 1.0 });
    turned.iter_mut().for_each(|place| *place = Point { x: place.x * left, y: place.y * up });
    turned
}

/// Pulls the points apart until no two boxes touch and each label has its room.
fn spread(places: Vec<Point>, sizes: &[Point], edges: &[Edge]) -> Vec<Point> {
    let mut scale: f64 = 150.0;
    for (at, place) in places.iter().enumerate() {
        for (to, (other, size)) in places.iter().zip(sizes).enumerate().skip(at + 1) {
            let apart = place.minus(*other);
            let mut gap = Point { x: GAP, y: GAP };
            for edge in edges.iter().filter(|edge| (edge.from, edge.to) == (at, to) || (edge.to, edge.from) == (at, to))
            {
                gap = Point { x: gap.x.max(edge.room.x), y: gap.y.max(edge.room.y) };
            }
            let wide = (sizes[at].x + size.x) / 2.0 + gap.x;
            let high = (sizes[at].y + size.y) / 2.0 + gap.y;
            let needed = (wide / apart.x.abs().max(1e-6)).min(high / apart.y.abs().max(1e-6));
            scale = scale.max(needed.min(2500.0));
        }
    }
    places.into_iter().map(|place| Point { x: place.x * scale, y: place.y * scale }).collect()
}

pub(crate) fn crossings(places: &[Point], edges: &[Edge]) -> usize {
    let mut count = 0;
    for (at, one) in edges.iter().enumerate() {
        for two in &edges[at + 1..] {
            let shared = [two.from, two.to].iter().any(|end| *end == one.from || *end == one.to);
            let (a, b, c, d) = (places[one.from], places[one.to], places[two.from], places[two.to]);
            if !shared && side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0 {
                count += 1;
            }
        }
    }
    count
}

fn side(a: Point, b: Point, c: Point) -> f64 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// How often a line runs through a box that is none of its ends.
fn covered(places: &[Point], sizes: &[Point], edges: &[Edge]) -> usize {
    let through = |edge: &Edge, at: usize| {
        let (a, b, middle) = (places[edge.from], places[edge.to], places[at]);
        (1..20).any(|step| {
            let part = f64::from(step) / 20.0;
            let on = Point { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part }.minus(middle);
            on.x.abs() < sizes[at].x / 2.0 + 6.0 && on.y.abs() < sizes[at].y / 2.0 + 6.0
        })
    };
    let boxes =
        |edge: &Edge| (0..places.len()).filter(|at| *at != edge.from && *at != edge.to && through(edge, *at)).count();
    edges.iter().map(boxes).sum()
}

fn corner(places: &[Point], sizes: &[Point]) -> Point {
    let low = |of: fn(&Point) -> f64| {
        places.iter().zip(sizes).map(|(place, size)| of(place) - of(size) / 2.0).fold(f64::INFINITY, f64::min)
    };
    Point { x: low(|point| point.x), y: low(|point| point.y) }
}

/// Width and height of everything.
pub(crate) fn extent(places: &[Point], sizes: &[Point]) -> Point {
    let high = |of: fn(&Point) -> f64| {
        places.iter().zip(sizes).map(|(place, size)| of(place) + of(size) / 2.0).fold(0.0, f64::max)
    };
    let low = if places.is_empty() { Point { x: 0.0, y: 0.0 } } else { corner(places, sizes) };
    Point { x: high(|point| point.x), y: high(|point| point.y) }.minus(low)
}

fn to_origin(places: Vec<Point>, sizes: &[Point]) -> Vec<Point> {
    let corner = corner(&places, sizes);
    places.into_iter().map(|place| place.minus(corner)).collect()
}

/// Numbers from zero to one that are always the same (Knuth's MMIX generator).
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1u32 << 24)
    }
}
