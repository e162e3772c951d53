//! A decision with everything that was considered, for people and for machines.

use std::fmt;

use envelope::{ByteSize, ServerName, SiteName};

use crate::connector::{Candidate, Verdict};
use crate::decision::{Decision, Outcome, Route};
use crate::way::Way;

/// A decision and how it came about. `Display` writes it for an administrator, [`Explanation::summary`] for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The server that decided.
    pub from: ServerName,
    /// Where the server stands.
    pub site: SiteName,
    /// What was asked, such as `domain fabrikam.com`.
    pub destination: String,
    /// The size that was asked for.
    pub size: ByteSize,
    /// The decision of production.
    pub decision: Decision,
    /// Every connector of the organization, the selected one first, when the destination needs a connector.
    pub candidates: Vec<Candidate>,
}

/// The fields of one JSON object of `postroad explain`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The address asked for.
    pub recipient: String,
    /// The deciding server.
    pub from: String,
    /// Octets.
    pub size: u64,
    /// `route`, `unreachable`, `ndr`, `deferred` or `expand`.
    pub outcome: &'static str,
    /// The Send connector, when one was selected.
    pub connector: Option<String>,
    /// The delivery queue.
    pub next_hop: Option<NextHopSummary>,
    /// The delivery group's nearest site.
    pub primary_site: Option<String>,
    /// Sites from the local one to the primary site.
    pub path: Vec<String>,
    /// Cost of the path; with a connector, plus that of the address space: what was compared (RT-51).
    pub cost: Option<u64>,
    /// Cost of the path alone.
    pub path_cost: Option<u64>,
    /// Sites in which the mail stops.
    pub stops: Vec<String>,
    /// Server names in attempt order.
    pub targets: Vec<String>,
    /// Connectors considered.
    pub candidates: Vec<CandidateSummary>,
    /// Enhanced status, when the mail is given up.
    pub status: Option<String>,
    /// Why there is no route.
    pub reason: Option<String>,
    /// Configuration revision.
    pub revision: u64,
}

/// A next-hop solution key in plain texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHopSummary {
    /// Documented name.
    pub delivery_type: &'static str,
    /// The queue's name.
    pub domain: String,
    /// A GUID; zeros when there is none.
    pub connector: String,
}

/// One connector in plain texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateSummary {
    /// Its name.
    pub connector: String,
    /// The rule that eliminated it; `None` for the selected one.
    pub eliminated: Option<&'static str>,
    /// What was found, in words.
    pub why: String,
    /// What would have to change, in words.
    pub advice: Option<String>,
}

impl Explanation {
    /// The route, if there is one.
    #[must_use]
    pub fn route(&self) -> Option<&Route> {
        match &self.decision.outcome {
            Outcome::Route(route) => Some(route),
            _ => None,
        }
    }

    /// The selected connector.
    #[must_use]
    pub fn selected(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|candidate| matches!(candidate.verdict, Verdict::Selected { .. }))
    }

    /// The explanation as plain fields, for the address that was asked.
    #[must_use]
    pub fn summary(&self, recipient: &str) -> Summary {
        let way = self.route().map(|route| route.way.as_ref());
        let (outcome, status, reason) = match &self.decision.outcome {
            Outcome::Route(_) => ("route", None, None),
            Outcome::Unreachable(reason) => ("unreachable", None, Some(reason.to_string())),
            Outcome::Ndr(reason) => ("ndr", Some(reason.status().to_string()), Some(reason.to_string())),
            Outcome::Deferred(reason) => ("deferred", None, Some(reason.to_string())),
            Outcome::ExpandHere => ("expand", None, None),
        };
        let names = |sites: &[SiteName]| sites.iter().map(ToString::to_string).collect();
        Summary {
            recipient: recipient.to_owned(),
            from: self.from.to_string(),
            size: self.size.as_u64(),
            outcome,
            connector: self.selected().map(|candidate| candidate.connector.to_string()),
            next_hop: self.route().map(|route| NextHopSummary {
                delivery_type: route.key.delivery_type.as_str(),
                domain: route.key.domain.to_string(),
                connector: route.key.connector.to_string(),
            }),
            primary_site: way.map(|way| way.primary_site().to_string()),
            path: way.map(|way| way.path.sites().map(ToString::to_string).collect()).unwrap_or_default(),
            cost: way.map(|way| self.cost(way)),
            path_cost: way.map(|way| way.path.cost().0),
            stops: way.map(|way| names(&way.stops)).unwrap_or_default(),
            targets: way
                .map(|way| way.attempts.iter().map(|attempt| attempt.server.to_string()).collect())
                .unwrap_or_default(),
            candidates: self.candidates.iter().map(CandidateSummary::of).collect(),
            status,
            reason,
            revision: self.decision.revision.0,
        }
    }

    fn cost(&self, way: &Way) -> u64 {
        match self.selected().map(|candidate| &candidate.verdict) {
            Some(Verdict::Selected { cost, .. }) => cost.total().0,
            _ => way.path.cost().0,
        }
    }

    fn write_route(&self, f: &mut fmt::Formatter<'_>, route: &Route) -> fmt::Result {
        if let Some(selected) = self.selected() {
            writeln!(f, "  connector     {}", selected.connector)?;
        }
        writeln!(f, "  next hop      {}", route.key)?;
        let Way { path, stops, attempts } = route.way.as_ref();
        write!(f, "  path          {path}, cost ")?;
        match path.legs.as_slice() {
            [] => f.write_str("0")?,
            legs => {
                for (at, leg) in legs.iter().enumerate() {
                    let plus = if at == 0 { "" } else { " + " };
                    write!(f, "{plus}{} ({})", leg.cost, leg.link)?;
                }
                write!(f, " = {}", path.cost())?;
            }
        }
        writeln!(f, ", {} hop{}", path.hops(), if path.hops().0 == 1 { "" } else { "s" })?;
        if !stops.is_empty() {
            let stops: Vec<&str> = stops.iter().map(SiteName::as_str).collect();
            writeln!(f, "  stops in      {}", stops.join(", "))?;
        }
        if attempts.is_empty() {
            return writeln!(f, "  attempts      this server delivers it out of the organization (RT-16)");
        }
        let runs: Vec<String> = attempts
            .chunk_by(|a, b| (a.reason, &a.site) == (b.reason, &b.site))
            .map(|run| {
                let servers: Vec<&str> = run.iter().map(|attempt| attempt.server.as_str()).collect();
                format!("{} in {} ({})", servers.join(" or "), run[0].site, run[0].reason)
            })
            .collect();
        writeln!(f, "  attempts      {}, then Retry here (RT-39)", runs.join(", "))
    }
}

impl CandidateSummary {
    /// A candidate in plain texts.
    #[must_use]
    pub fn of(candidate: &Candidate) -> Self {
        let (eliminated, why, advice) = match &candidate.verdict {
            Verdict::Selected { precision, cost, distance } => {
                (None, format!("{precision}, aggregate cost {cost}, nearest source server {distance}"), None)
            }
            Verdict::Eliminated(elimination) => {
                (Some(elimination.rule().0), elimination.to_string(), Some(elimination.advice()))
            }
        };
        Self { connector: candidate.connector.to_string(), eliminated, why, advice }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, site, destination, .. } = self;
        let size = if self.size == ByteSize::bytes(0) {
            "whatever its size (LM-14)".to_owned()
        } else {
            self.size.to_string()
        };
        writeln!(f, "{destination}, {size}, from {from} in site {site}, revision {}", self.decision.revision)?;
        match &self.decision.outcome {
            Outcome::Route(route) => self.write_route(f, route)?,
            Outcome::Unreachable(reason) => writeln!(f, "  unreachable   {reason} ({})", reason.rule())?,
            Outcome::Ndr(reason) => writeln!(f, "  ndr           {} {reason} ({})", reason.status(), reason.rule())?,
            Outcome::Deferred(reason) => writeln!(f, "  deferred      {reason} (RT-43)")?,
            Outcome::ExpandHere => writeln!(f, "  expand        the group is expanded on this server (RT-72)")?,
        }
        if self.candidates.is_empty() {
            return Ok(());
        }
        writeln!(f, "  candidates")?;
        for candidate in self.candidates.iter().map(CandidateSummary::of) {
            let CandidateSummary { connector, eliminated, why, advice } = candidate;
            match (eliminated, advice) {
                (Some(rule), Some(advice)) => writeln!(f, "    - {connector}: {rule} {why}; to change this, {advice}")?,
                _ => writeln!(f, "    * {connector}: selected, {why}")?,
            }
        }
        Ok(())
    }
}
