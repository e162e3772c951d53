//! Where a recipient's mail goes next, and why.
//!
//! [`RoutingTables`] are built once for each configuration snapshot and server, and are then only read. A question is a
//! [`Destination`] and a message size; the answer is a [`Decision`]. [`RoutingTables::explain`] answers the same question
//! by the same code and keeps what it saw on the way: every connector that was considered and the rule that eliminated
//! it. Whatever prints a decision (the trace of a message, `explain`, the queue viewer) prints that one value.
//!
//! ```text
//!   Organization ──build──▶ RoutingTables                                     one per snapshot, shared by Arc
//!                            ├─ path      least-cost tree from the local site    RT-06…RT-13
//!                            ├─ group     who may take a destination's mail      RT-15…RT-23
//!                            ├─ way       hub stops, order of attempts           RT-25…RT-43
//!                            └─ connector index of address spaces by suffix      RT-44…RT-57
//!   Destination, size ──route / explain──▶ Outcome: Route(key, way) │ Unreachable │ Ndr │ Deferred │ ExpandHere
//!   first 20 recipients ──front_end_target / submission_target──▶ Transport servers in order (RT-60…RT-69)
//! ```
//!
//! No cost of a decision grows with the number of connectors or sites: paths are computed when the tables are built, a
//! delivery group's way when it is first needed, and connectors are found by looking up the recipient's domain and its
//! parents.
//!
//! [`RoutingTables::log_document`] writes all of a server's tables down, for the routing table log (LG-31).
//!
//! The crate is pure: which server is down, and where a rotation starts (RT-24), are arguments. Rules are those of the
//! routing reference; each [`RuleId`] in a decision names the one that decided.

mod connector;
mod decision;
mod equal;
mod explanation;
mod group;
mod key;
mod log;
mod path;
mod planning;
mod rule;
mod service;
mod tables;
mod way;

pub use connector::{AggregateCost, Candidate, Distance, Elimination, Precision, Verdict};
pub use decision::{Decision, DeferReason, Destination, NdrReason, Outcome, Route, UnreachableReason};
pub use equal::EqualWay;
pub use explanation::{CandidateSummary, Explanation, NextHopSummary, Summary};
pub use key::{DeliveryType, HandedTo, NextHopCategory, NextHopSolutionKey};
pub use log::{LogTime, log_file_name};
pub use path::{Hops, Leg, Path, PathCost};
pub use rule::{Rule, RuleId};
pub use service::{RECIPIENTS_CONSIDERED, RecipientHome};
pub use tables::{BuildError, RoutingTables};
pub use way::{Attempt, Way};
