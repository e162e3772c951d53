//! What became of each connector in a selection, in words that an administrator can act on.
//!
//! Nothing is decided here: the facts are those of the selection that was watched and of the index it ran on.

use std::collections::HashMap;
use std::fmt;

use envelope::{ByteSize, Limit, ObjectName, SiteName};
use topology::{AddressSpace, Guid};

use super::index::{ConnectorIndex, Index, Obstacle};
use super::{AggregateCost, Bucket, Distance, Precision, Recorder, Row};
use crate::rule::RuleId;

/// A connector that was considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub connector: ObjectName,
    /// Its identity.
    pub guid: Guid,
    /// Whether it was selected, or what eliminated it.
    pub verdict: Verdict,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The one.
    Selected {
        /// How precisely it matched.
        precision: Precision,
        /// What it costs from here.
        cost: AggregateCost,
        /// Where its nearest source server is.
        distance: Distance,
    },
    /// Not used.
    Eliminated(Elimination),
}

/// What eliminated a connector. Compared with what was selected, where there is something to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elimination {
    /// None of its address spaces matches.
    NoMatch {
        /// Those that it has.
        spaces: Vec<AddressSpace>,
        /// RT-44 for an SMTP address, RT-46 for another type.
        rule: RuleId,
    },
    /// RT-49.
    Disabled,
    /// RT-49: visible only in these sites.
    Scoped(Vec<SiteName>),
    /// RT-51: no chain of site links leads to a source server.
    NoPath,
    /// RT-58: the site to which its Edge servers are subscribed has no Mailbox server.
    NoServerAtEdgeSite,
    /// RT-59: an Edge server uses only its own connectors.
    NotOnThisEdge,
    /// EN-26: for a domain of the organization `*` does not count on an Edge server.
    OwnDomain,
    /// RT-48.
    TooSmall {
        /// The connector's `MaxMessageSize`.
        limit: Limit<ByteSize>,
        /// The message.
        size: ByteSize,
    },
    /// RT-50.
    LessPrecise {
        /// How it matches.
        own: Precision,
        /// How the selected one matches.
        selected: Precision,
    },
    /// RT-51.
    Costlier {
        /// What it costs.
        own: AggregateCost,
        /// What the selected one costs.
        selected: AggregateCost,
    },
    /// RT-52: the same cost.
    Farther {
        /// Where it is.
        own: Distance,
        /// Where the selected one is.
        selected: Distance,
    },
    /// RT-53: the same cost and distance.
    LaterName(ObjectName),
}

impl Elimination {
    /// The rule that eliminated it.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        RuleId(match self {
            Self::NoMatch { rule, .. } => return *rule,
            Self::Disabled | Self::Scoped(_) => "RT-49",
            Self::TooSmall { .. } => "RT-48",
            Self::LessPrecise { .. } => "RT-50",
            Self::NoPath | Self::Costlier { .. } => "RT-51",
            Self::Farther { .. } => "RT-52",
            Self::LaterName(_) => "RT-53",
            Self::NoServerAtEdgeSite => "RT-58",
            Self::NotOnThisEdge => "RT-59",
            Self::OwnDomain => "EN-26",
        })
    }

    /// What would have to change for the connector to be chosen.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::NoMatch { .. } => "add an address space that covers the recipient".to_owned(),
            Self::Disabled => "set Enabled to true".to_owned(),
            Self::Scoped(_) => "set IsScopedConnector to false, or add a source server in this site".to_owned(),
            Self::NoPath => "add a site link to a site of its source servers".to_owned(),
            Self::NoServerAtEdgeSite => "add a Mailbox server to that site".to_owned(),
            Self::NotOnThisEdge => "add this server to SourceTransportServers".to_owned(),
            Self::OwnDomain => "give a connector that leads to the organization the address space --".to_owned(),
            Self::TooSmall { size, .. } => format!("raise MaxMessageSize to {size} or more"),
            Self::LessPrecise { .. } => "give it an address space as precise as the selected one's".to_owned(),
            Self::Costlier { own, selected } => match selected.total().0.checked_sub(own.links.0 + 1) {
                Some(cost) if cost >= 1 => format!("lower the cost of its address space to {cost}"),
                _ => {
                    "raise the cost of the selected connector's address space, or lower the site links' cost".to_owned()
                }
            },
            Self::Farther { .. } => "add a nearer source server, or lower the cost of its address space".to_owned(),
            Self::LaterName(_) => "lower the cost of its address space".to_owned(),
        }
    }
}

impl fmt::Display for Elimination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatch { spaces, .. } => {
                let spaces: Vec<String> = spaces.iter().map(ToString::to_string).collect();
                write!(f, "no address space matches ({})", spaces.join(", "))
            }
            Self::Disabled => f.write_str("disabled"),
            Self::Scoped(sites) => {
                let sites: Vec<&str> = sites.iter().map(SiteName::as_str).collect();
                write!(f, "scoped, visible only in site {}", sites.join(", "))
            }
            Self::NoPath => f.write_str("no chain of site links leads to a source server"),
            Self::NoServerAtEdgeSite => f.write_str("the site of its Edge subscription has no Mailbox server"),
            Self::NotOnThisEdge => f.write_str("this Edge server is not one of its source servers"),
            Self::OwnDomain => {
                f.write_str("on an Edge server * does not count for an accepted domain: the organization has its mail")
            }
            Self::TooSmall { limit, size } => write!(f, "takes messages up to {limit}, this one has {size}"),
            Self::LessPrecise { own, selected } => write!(f, "{own}, the selected one {selected}"),
            Self::Costlier { own, selected } => {
                write!(f, "aggregate cost {own}, the selected one {selected}")
            }
            Self::Farther { own, selected } => {
                write!(f, "same cost, nearest source server {own}, the selected one's {selected}")
            }
            Self::LaterName(selected) => write!(f, "same cost and distance, the name comes after {selected}"),
        }
    }
}

/// Keeps what was looked into, and judges each connector by the one that was selected.
pub(crate) struct FullRecord<'a> {
    index: &'a Index,
    size: ByteSize,
    levels: Vec<(Precision, &'a Bucket)>,
    barred: Option<&'a Bucket>,
    selected: Option<(Precision, &'a Row)>,
}

impl<'a> Recorder<'a> for FullRecord<'a> {
    const COMPLETE: bool = true;

    fn level(&mut self, precision: Precision, bucket: &'a Bucket) {
        self.levels.push((precision, bucket));
    }

    fn barred(&mut self, bucket: &'a Bucket) {
        self.barred = Some(bucket);
    }

    fn selected(&mut self, precision: Precision, row: &'a Row) {
        self.selected = Some((precision, row));
    }
}

/// What is known of a connector that matches.
enum Finding<'a> {
    Unusable,
    Barred,
    Usable(Precision, &'a Row),
}

impl<'a> FullRecord<'a> {
    pub(crate) fn new(index: &'a Index, size: ByteSize) -> Self {
        Self { index, size, levels: Vec::new(), barred: None, selected: None }
    }

    /// The most precise match of each connector; of equally precise ones the best (RT-47).
    fn findings(&self) -> HashMap<ConnectorIndex, Finding<'a>> {
        let mut findings = HashMap::new();
        for (precision, bucket) in &self.levels {
            for connector in &bucket.unusable {
                findings.entry(*connector).or_insert(Finding::Unusable);
            }
            for row in &bucket.rows {
                let finding = findings.entry(row.connector()).or_insert(Finding::Usable(*precision, row));
                if matches!(finding, Finding::Usable(known, best) if known == precision && row.rank < best.rank) {
                    *finding = Finding::Usable(*precision, row);
                }
            }
        }
        if let Some(bucket) = self.barred {
            for connector in &bucket.unusable {
                findings.entry(*connector).or_insert(Finding::Unusable);
            }
            for row in &bucket.rows {
                findings.entry(row.connector()).or_insert(Finding::Barred);
            }
        }
        findings
    }

    fn verdict(&self, precision: Precision, row: &Row) -> Verdict {
        if !row.limit.allows(&self.size) {
            return Verdict::Eliminated(Elimination::TooSmall { limit: row.limit, size: self.size });
        }
        let (best, selected) = self.selected.expect("when a connector takes the size, one is selected");
        let (own, other) = (row.rank, selected.rank);
        if own.connector == other.connector {
            return Verdict::Selected { precision, cost: row.cost, distance: own.distance };
        }
        Verdict::Eliminated(if precision != best {
            Elimination::LessPrecise { own: precision, selected: best }
        } else if own.aggregate != other.aggregate {
            Elimination::Costlier { own: row.cost, selected: selected.cost }
        } else if own.distance != other.distance {
            Elimination::Farther { own: own.distance, selected: other.distance }
        } else {
            Elimination::LaterName(self.index.connector(other.connector).name().clone())
        })
    }

    /// Every connector of the organization: the selected one first, then by name. `matching` is the rule by which
    /// address spaces were matched.
    pub(crate) fn candidates(&self, matching: RuleId) -> Vec<Candidate> {
        let mut findings = self.findings();
        let verdict = |at: ConnectorIndex| match (findings.remove(&at), &self.index.entry(at).reach) {
            (Some(Finding::Usable(precision, row)), _) => self.verdict(precision, row),
            (Some(Finding::Barred), _) => Verdict::Eliminated(Elimination::OwnDomain),
            (Some(Finding::Unusable), Err(obstacle)) => Verdict::Eliminated(obstacle.clone().into()),
            (Some(Finding::Unusable) | None, _) => {
                let spaces = self.index.connector(at).address_spaces().to_vec();
                Verdict::Eliminated(Elimination::NoMatch { spaces, rule: matching })
            }
        };
        let verdicts: Vec<Verdict> = self.index.numbers().map(verdict).collect();
        let connectors = self.index.numbers().map(|at| self.index.connector(at));
        let mut candidates: Vec<Candidate> = connectors
            .zip(verdicts)
            .map(|(known, verdict)| Candidate { connector: known.name().clone(), guid: known.guid(), verdict })
            .collect();
        candidates.sort_by_key(|candidate| matches!(candidate.verdict, Verdict::Eliminated(_)));
        candidates
    }
}

impl From<Obstacle> for Elimination {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Disabled => Self::Disabled,
            Obstacle::Scoped(sites) => Self::Scoped(sites),
            Obstacle::NoPath => Self::NoPath,
            Obstacle::NoServerAtEdgeSite => Self::NoServerAtEdgeSite,
            Obstacle::NotOnThisEdge => Self::NotOnThisEdge,
        }
    }
}
