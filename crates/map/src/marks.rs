//! How an organization is just now, for a drawing of it: which servers are there, what waits on them, which links mail does not pass.
//! Who draws has asked; here is only what is shown.

use std::collections::{BTreeMap, BTreeSet};

use envelope::{ObjectName, ServerName};

/// What is to be said of servers and links; of what is not named nothing is.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Servers.
    pub servers: BTreeMap<ServerName, ServerMark>,
    /// Links over which mail does not get: a next hop behind them is tried again and again.
    pub broken: BTreeSet<ObjectName>,
}

/// How a server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerMark {
    /// None of its services is there.
    pub away: bool,
    /// It works by an older configuration.
    pub behind: bool,
    /// Messages that wait on it, where it said so.
    pub waiting: Option<u64>,
}

impl ServerMark {
    /// What stands in its box, and whether somebody should look.
    pub(crate) fn text(self) -> (String, bool) {
        match self {
            Self { away: true, .. } => ("not there".to_owned(), true),
            Self { behind: true, .. } => ("behind".to_owned(), true),
            Self { waiting: Some(0), .. } => (String::new(), false),
            Self { waiting: Some(count), .. } => (format!("{count} wait"), false),
            Self { waiting: None, .. } => ("unknown".to_owned(), true),
        }
    }
}
