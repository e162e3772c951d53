//! Connector selection: candidates by address space, then precision, aggregate cost, hops, name (RT-44…RT-57).
//!
//! What does not depend on the message (enabled, visible, cost and distance of the sources) is settled when the index is
//! built. A [`Bucket`] holds the connectors of one address space, best first; a recipient's domain and its parents name
//! the buckets that match, most precise first. The size of the message is all that is left to decide.

mod index;
mod verdict;

use std::fmt;

use envelope::{ByteSize, Limit};
use topology::ConnectorCost;

pub(crate) use index::{ConnectorIndex, Index, Local, Via};
pub(crate) use verdict::FullRecord;
pub use verdict::{Candidate, Elimination, Verdict};

use crate::path::{Hops, PathCost};

/// How precisely an address space names a recipient; the greatest wins (RT-45).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `*`.
    Any,
    /// `*.parent` by labels of the parent; an X.400 space by attributes (EN-71).
    Within(usize),
    /// The domain or the text itself.
    Exact,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("matches everything"),
            Self::Within(1) => f.write_str("matches by 1 part"),
            Self::Within(parts) => write!(f, "matches by {parts} parts"),
            Self::Exact => f.write_str("matches exactly"),
        }
    }
}

/// Where the nearest source server of a connector is; the least is best (RT-52).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distance {
    /// The server that decides is a source server itself.
    LocalServer,
    /// Another server of this site.
    LocalSite,
    /// So many site hops away.
    Remote(Hops),
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalServer => f.write_str("on this server"),
            Self::LocalSite => f.write_str("in this site"),
            Self::Remote(Hops(1)) => f.write_str("1 site hop away"),
            Self::Remote(hops) => write!(f, "{hops} site hops away"),
        }
    }
}

/// Site links to the nearest source server, plus the address space (RT-51).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AggregateCost {
    /// Cost of the path; 0 in the local site.
    pub links: PathCost,
    /// Cost of the matching address space (RT-47).
    pub space: ConnectorCost,
}

impl AggregateCost {
    /// The sum, which is what is compared.
    #[must_use]
    pub fn total(self) -> PathCost {
        PathCost(self.links.0 + u64::from(self.space.get()))
    }
}

impl fmt::Display for AggregateCost {
    /// `20+100=120`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}={}", self.links, self.space.get(), self.total())
    }
}

/// What makes one connector better than another of the same precision, in the documented order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// RT-51.
    aggregate: PathCost,
    /// RT-52.
    distance: Distance,
    /// RT-53: connectors are numbered in the order of their names.
    connector: ConnectorIndex,
}

/// A usable connector under one of its address spaces.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub rank: Rank,
    pub cost: AggregateCost,
    pub limit: Limit<ByteSize>,
    /// Which of the connector's address spaces it is.
    pub space: usize,
}

impl Row {
    pub(crate) fn connector(&self) -> ConnectorIndex {
        self.rank.connector
    }
}

/// The connectors with one address space.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Those that may be used, best first.
    rows: Vec<Row>,
    /// Those that may not, for the explanation.
    unusable: Vec<ConnectorIndex>,
    /// Positions in `rows` with a greater limit than everything better: the only ones that can win for some size. Empty
    /// when there is one row at most, as in nearly every bucket.
    frontier: Vec<usize>,
}

impl Bucket {
    fn seal(&mut self) {
        if self.rows.len() < 2 {
            return;
        }
        self.rows.sort_by_key(|row| row.rank);
        let mut greatest: Option<Limit<ByteSize>> = None;
        for (at, row) in self.rows.iter().enumerate() {
            if greatest.is_none_or(|limit| limit < row.limit) {
                greatest = Some(row.limit);
                self.frontier.push(at);
            }
        }
    }

    /// The best connector that takes a message of this size (RT-48, RT-51…RT-53).
    fn best(&self, size: ByteSize) -> Option<&Row> {
        if let [only] = self.rows.as_slice() {
            return only.limit.allows(&size).then_some(only);
        }
        let at = self.frontier.partition_point(|at| !self.rows[*at].limit.allows(&size));
        self.frontier.get(at).map(|at| &self.rows[*at])
    }
}

/// Watches a selection.
pub(crate) trait Recorder<'a> {
    /// Whether buckets below the precision that decides are of interest, too.
    const COMPLETE: bool;

    /// A bucket that matches was looked into, most precise first.
    fn level(&mut self, precision: Precision, bucket: &'a Bucket);

    /// A bucket that matches does not count for this recipient (EN-26).
    fn barred(&mut self, bucket: &'a Bucket);

    /// The end of the selection.
    fn selected(&mut self, precision: Precision, row: &'a Row);
}

/// Keeps nothing: the way of production.
pub(crate) struct NoRecord;

impl<'a> Recorder<'a> for NoRecord {
    const COMPLETE: bool = false;
    fn level(&mut self, _: Precision, _: &'a Bucket) {}
    fn barred(&mut self, _: &'a Bucket) {}
    fn selected(&mut self, _: Precision, _: &'a Row) {}
}

/// What selection found.
pub(crate) enum Selection<'a> {
    Chosen(&'a Row),
    /// RT-55: connectors match, all too small.
    TooSmall,
    /// RT-55: none matches.
    None,
}

/// Selects among the matching buckets, given most precise first; several may be equally precise (RT-48…RT-53, RT-55,
/// RT-56).
pub(crate) fn select<'a, R: Recorder<'a>>(
    levels: impl Iterator<Item = (Precision, &'a Bucket)>,
    size: ByteSize,
    recorder: &mut R,
) -> Selection<'a> {
    let mut chosen: Option<(Precision, &Row)> = None;
    let mut matched = false;
    for (precision, bucket) in levels {
        if !R::COMPLETE && chosen.is_some_and(|(best, _)| best != precision) {
            break;
        }
        recorder.level(precision, bucket);
        matched |= !bucket.rows.is_empty();
        chosen = match (chosen, bucket.best(size)) {
            (Some((best, one)), Some(two)) if best == precision && two.rank < one.rank => Some((best, two)),
            (None, Some(row)) => Some((precision, row)),
            (chosen, _) => chosen,
        };
    }
    match chosen {
        Some((precision, row)) => {
            recorder.selected(precision, row);
            Selection::Chosen(row)
        }
        None if matched => Selection::TooSmall,
        None => Selection::None,
    }
}
