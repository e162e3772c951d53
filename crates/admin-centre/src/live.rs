//! Pages that go on. What changes of a page is sent to whoever looks at it, as server-sent events (WHATWG HTML §9.2), and nothing else:
//!
//! ```text
//!   one page for one set of role groups ──▶ View ──draws it again──▶ Drawn ──difference──▶ each stream: what its browser has not
//! ```
//!
//! * A page is a row of regions, each one element; a table is a region whose rows are regions. What a browser has is known by the
//!   digests of them, which have a mark; a stream begins, and after a break goes on, from the mark that the browser names.
//! * However many look at the same, it is drawn once. Whose role groups differ sees another page.
//! * Streams end with the session, with the centre, or because the same session opened more than it may have.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::view::{Region, Sheet};

/// Streams at once.
const STREAMS_MAX: usize = 128;
/// Streams of one session; one more ends the oldest. A browser has six connections to one host.
pub(crate) const STREAMS_OWN_MAX: usize = 4;
/// Pages whose shape is remembered, for streams that begin or go on.
const SHAPES_MAX: usize = 512;

/// A digest of a piece of a page.
type Mark = u64;

fn mark(text: &str) -> Mark {
    let digest = net::digest::sha256(&[text.as_bytes()]);
    digest[..8].iter().fold(0, |all, octet| all << 8 | u64::from(*octet))
}

/// A page without its text: of each region its frame, and its rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    regions: Vec<(Mark, Vec<Mark>)>,
}

/// A page as it was drawn.
pub(crate) struct Drawn {
    regions: Vec<Region>,
    shape: Arc<Shape>,
    /// By which a browser says that it has it.
    pub(crate) mark: String,
}

impl Drawn {
    pub(crate) fn of(sheet: &Sheet) -> Self {
        let regions = sheet.regions();
        let marks = |region: &Region| (mark(&region.frame), region.rows.iter().map(|row| mark(row)).collect());
        let shape = Shape { regions: regions.iter().map(marks).collect() };
        let mark = format!("{:016x}", mark(&format!("{shape:?}")));
        Self { regions, shape: Arc::new(shape), mark }
    }
}

/// A piece of a list: one that was there, by its place, or a new one.
#[derive(Serialize)]
#[serde(untagged)]
enum Piece {
    Kept(usize),
    New(String),
}

/// From a place on so many go, and these come.
#[derive(Serialize)]
struct Splice(usize, usize, Vec<Piece>);

/// What makes one page of another: of its regions, then of the rows of some.
#[derive(Serialize)]
struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<Splice>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rows: BTreeMap<usize, Splice>,
}

/// What makes one list of another, and where each that stays was.
fn splice(old: &[Mark], new: &[Mark], html: impl Fn(usize) -> String) -> (Option<Splice>, Vec<Option<usize>>) {
    let front = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let (old_rest, new_rest) = (&old[front..], &new[front..]);
    let back = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(one, other)| one == other).count();
    let (gone, come) = (&old_rest[..old_rest.len() - back], &new_rest[..new_rest.len() - back]);
    let mut there: HashMap<Mark, VecDeque<usize>> = HashMap::new();
    for (at, mark) in gone.iter().enumerate() {
        there.entry(*mark).or_default().push_back(front + at);
    }
    let mut was: Vec<Option<usize>> = (0..front).map(Some).collect();
    let mut pieces = Vec::new();
    for (at, mark) in come.iter().enumerate() {
        let kept = there.get_mut(mark).and_then(VecDeque::pop_front);
        was.push(kept);
        pieces.push(kept.map_or_else(|| Piece::New(html(front + at)), Piece::Kept));
    }
    was.extend((old.len() - back..old.len()).map(Some));
    let is_same = gone.is_empty() && come.is_empty();
    ((!is_same).then_some(Splice(front, gone.len(), pieces)), was)
}

/// What a browser that has `old` lacks of `new`, for its script; nothing if it has all. Without `old` it lacks all.
pub(crate) fn lacks(old: Option<&Shape>, new: &Drawn) -> Option<String> {
    let Some(old) = old else {
        let all: Vec<String> = new.regions.iter().map(Region::html).collect();
        return Some(serde_json::json!({ "all": all }).to_string());
    };
    let frames = |shape: &Shape| shape.regions.iter().map(|(frame, _)| *frame).collect::<Vec<_>>();
    let (regions, was) = splice(&frames(old), &frames(&new.shape), |at| new.regions[at].html());
    let mut rows = BTreeMap::new();
    for (at, was) in was.into_iter().enumerate() {
        let Some(was) = was else { continue };
        let (before, after) = (&old.regions[was].1, &new.shape.regions[at].1);
        if let (Some(change), _) = splice(before, after, |row| new.regions[at].rows[row].clone()) {
            rows.insert(at, change);
        }
    }
    if regions.is_none() && rows.is_empty() {
        return None;
    }
    // Texts and numbers: this cannot fail.
    serde_json::to_string(&Difference { regions, rows }).ok()
}

/// What somebody looks at: an address, as role groups let it be seen.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) groups: String,
}

/// How a page is now.
#[derive(Clone, Default)]
pub(crate) enum Now {
    /// Not drawn yet.
    #[default]
    Unknown,
    Drawn(Arc<Drawn>),
    /// What it was about is not there any more.
    Gone,
    /// Whoever it was drawn for may not see it any more: somebody else is asked for.
    Ended,
}

/// A page that is looked at.
pub(crate) struct View {
    pub(crate) now: watch::Sender<Now>,
}

/// Streams of each session, the oldest first.
type Streams = Mutex<HashMap<String, VecDeque<(u64, CancellationToken)>>>;

/// All pages that are looked at, and who looks.
pub(crate) struct Live {
    pub(crate) views: Mutex<HashMap<Key, View>>,
    shapes: Mutex<VecDeque<(String, Arc<Shape>)>>,
    streams: Arc<Streams>,
    room: Arc<Semaphore>,
    numbers: AtomicU64,
    /// How often a page was drawn for those who look.
    pub(crate) drawings: AtomicU64,
    pub(crate) ended: CancellationToken,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            views: Mutex::default(),
            shapes: Mutex::default(),
            streams: Arc::default(),
            room: Arc::new(Semaphore::new(STREAMS_MAX)),
            numbers: AtomicU64::default(),
            drawings: AtomicU64::default(),
            ended: CancellationToken::new(),
        }
    }
}

/// The place of a stream among all, and among those of its session.
pub(crate) struct Place {
    session: String,
    number: u64,
    pub(crate) ended: CancellationToken,
    _permit: OwnedSemaphorePermit,
    streams: Arc<Streams>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.streams.lock();
        let Some(own) = all.get_mut(&self.session) else { return };
        own.retain(|(number, _)| *number != self.number);
        if own.is_empty() {
            all.remove(&self.session);
        }
    }
}

impl Live {
    /// Remembers what a browser is given; its mark.
    pub(crate) fn drawn(&self, drawn: &Drawn) -> String {
        let mut shapes = self.shapes.lock();
        shapes.retain(|(known, _)| *known != drawn.mark);
        shapes.push_back((drawn.mark.clone(), Arc::clone(&drawn.shape)));
        if shapes.len() > SHAPES_MAX {
            shapes.pop_front();
        }
        drawn.mark.clone()
    }

    pub(crate) fn shape(&self, mark: &str) -> Option<Arc<Shape>> {
        self.shapes.lock().iter().rev().find(|(known, _)| known == mark).map(|(_, shape)| Arc::clone(shape))
    }

    /// A place for one more stream of a session; nothing where there is none for anybody.
    pub(crate) fn place(&self, session: String) -> Option<Place> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let (number, ended) = (self.numbers.fetch_add(1, Ordering::Relaxed), self.ended.child_token());
        let mut all = self.streams.lock();
        let own = all.entry(session.clone()).or_default();
        own.push_back((number, ended.clone()));
        if own.len() > STREAMS_OWN_MAX
            && let Some((_, oldest)) = own.pop_front()
        {
            oldest.cancel();
        }
        Some(Place { session, number, ended, _permit: permit, streams: Arc::clone(&self.streams) })
    }

    /// How many streams a session has.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        STREAMS_MAX - self.room.available_permits()
    }
}

/// A list that was made into another as a browser does it; what is new is its number.
#[cfg(test)]
pub(crate) fn respliced(old: &[Mark], new: &[Mark]) -> Vec<Mark> {
    let (change, was) = splice(old, new, |at| new[at].to_string());
    let mut list = old.to_vec();
    if let Some(Splice(from, count, pieces)) = change {
        let come: Vec<Mark> = pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Kept(at) => old[at],
                Piece::New(text) => text.parse().unwrap(),
            })
            .collect();
        list.splice(from..from + count, come);
    }
    assert!(was.iter().zip(new).all(|(was, mark)| was.is_none_or(|was| old[was] == *mark)) && was.len() == new.len());
    list
}
