//! An answer for programs: one line of JSON, as `docs/explain.md` documents it. Fields are only ever added.

use categorizer::RecipientFailure;
use inquiry::{Answer, End, Ending, Fate};
use routing::{Attempt, CandidateSummary, EqualWay, Explanation, Leg, NextHopSummary, Summary};
use serde::Serialize;
use topology::Organization;

use super::gateways::{Gateway, Gateways};
use super::phrase;

/// One object.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub recipient: String,
    /// The address that mail goes to, when that is another one: a primary address, or a contact's.
    pub resolved: Option<String>,
    /// `<>` for the null reverse-path; `null` when nobody in particular sends.
    pub sender: Option<String>,
    pub from: String,
    pub site: String,
    pub size: u64,
    /// `route`, `unreachable`, `ndr`; also `deferred`, and `expand` with `members`.
    pub outcome: &'static str,
    pub connector: Option<String>,
    pub next_hop: Option<NextHop>,
    pub primary_site: Option<String>,
    pub path: Vec<String>,
    pub cost: Option<u64>,
    pub path_cost: Option<u64>,
    legs: Vec<PathLeg>,
    equal_ways: Vec<Equal>,
    pub stops: Vec<String>,
    pub targets: Vec<String>,
    attempts: Vec<Try>,
    pub candidates: Vec<Candidate>,
    /// Enhanced status of an `ndr`.
    pub status: Option<String>,
    /// Why there is no route, and the rule behind that.
    pub reason: Option<String>,
    pub rule: Option<&'static str>,
    /// A limit for senders and recipients that was told and did not decide.
    limit: Option<Refusal>,
    /// What mail meets now at the source servers of a connector that is not for SMTP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gateways: Vec<Gateway>,
    /// How mail ends if DNS leads to this organization itself, where the domain is one of its names.
    #[serde(skip_serializing_if = "Option::is_none")]
    loopback: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Line>,
    /// The other side of the perimeter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Line>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<String>,
    pub revision: u64,
}

/// The delivery queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NextHop {
    pub delivery_type: &'static str,
    pub domain: String,
    pub connector: String,
}

/// One link of the path. `cost` is what counts: `exchangeCost` where there is one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PathLeg {
    to: String,
    link: String,
    cost: u64,
    ad_cost: Option<u32>,
    exchange_cost: Option<u32>,
}

/// A way that costs as much as the one taken.
#[derive(Clone, Debug, Serialize)]
struct Equal {
    to: String,
    via: String,
    instead: String,
    rule: &'static str,
}

/// One connection attempt.
#[derive(Clone, Debug, Serialize)]
struct Try {
    server: String,
    site: String,
    rule: &'static str,
}

/// A connector that was considered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Candidate {
    pub connector: String,
    /// The rule; `null` for the selected one.
    pub eliminated: Option<&'static str>,
    pub why: String,
    pub advice: Option<String>,
}

/// A limit that refuses.
#[derive(Clone, Debug, Serialize)]
struct Refusal {
    status: String,
    rule: &'static str,
    reason: String,
}

/// The object of an answer.
pub(crate) fn line(answer: &Answer, gateways: &Gateways) -> Line {
    let mut line = match answer.single() {
        Some(end) => Line { resolved: answer.resolved().map(ToString::to_string), ..of_end(answer, end, gateways) },
        None => {
            let member = |end: &End| Line { recipient: end.address.to_string(), ..of_end(answer, end, gateways) };
            let members = answer.ends.iter().map(member);
            Line { outcome: Ending::Expand.as_str(), members: members.collect(), ..empty(answer) }
        }
    };
    line.limit = answer.limit.as_ref().map(refusal);
    line
}

fn of_end(answer: &Answer, end: &End, gateways: &Gateways) -> Line {
    let obstacle = end.obstacle();
    let line = match &end.fate {
        Fate::Routed(explanation) => routed(answer, explanation),
        Fate::GivenUp(_) => empty(answer),
    };
    Line {
        outcome: end.ending().as_str(),
        status: obstacle.as_ref().and_then(|obstacle| obstacle.status()).map(|status| status.to_string()),
        reason: obstacle.as_ref().map(ToString::to_string),
        rule: obstacle.as_ref().map(|obstacle| obstacle.rule().0),
        gateways: gateways.of(end, answer.tables.organization()),
        loopback: end.leads_back(answer.tables.organization()).then_some(phrase::LOOPBACK),
        ..line
    }
}

fn routed(answer: &Answer, explanation: &Explanation) -> Line {
    let summary: Summary = explanation.summary(&answer.subject.recipient.to_string());
    let next_hop = |NextHopSummary { delivery_type, domain, connector }| NextHop { delivery_type, domain, connector };
    let candidate =
        |CandidateSummary { connector, eliminated, why, advice }| Candidate { connector, eliminated, why, advice };
    let way = explanation.route().map(|route| route.way.as_ref());
    let organization = answer.tables.organization();
    Line {
        connector: summary.connector,
        next_hop: summary.next_hop.map(next_hop),
        primary_site: summary.primary_site,
        path: summary.path,
        cost: summary.cost,
        path_cost: summary.path_cost,
        legs: way.map(|way| way.path.legs.iter().map(|one| leg(organization, one)).collect()).unwrap_or_default(),
        equal_ways: way.map(|way| answer.tables.equal_ways(&way.path).iter().map(equal).collect()).unwrap_or_default(),
        stops: summary.stops,
        targets: summary.targets,
        attempts: way.map(|way| way.attempts.iter().map(attempt).collect()).unwrap_or_default(),
        candidates: summary.candidates.into_iter().map(candidate).collect(),
        ..empty(answer)
    }
}

fn leg(organization: &Organization, leg: &Leg) -> PathLeg {
    let link = organization.site_links().iter().find(|link| link.name == leg.link);
    PathLeg {
        to: leg.to.to_string(),
        link: leg.link.to_string(),
        cost: leg.cost.0,
        ad_cost: link.map(|link| link.cost.get()),
        exchange_cost: link.and_then(|link| link.exchange_cost).map(|cost| cost.get()),
    }
}

fn equal(way: &EqualWay) -> Equal {
    Equal { to: way.to.to_string(), via: way.taken.to_string(), instead: way.other.to_string(), rule: way.rule.0 }
}

fn attempt(attempt: &Attempt) -> Try {
    Try { server: attempt.server.to_string(), site: attempt.site.to_string(), rule: attempt.reason.0 }
}

/// Nothing was routed.
fn empty(answer: &Answer) -> Line {
    let server = answer.tables.local_server();
    Line {
        recipient: answer.subject.recipient.to_string(),
        resolved: None,
        sender: answer.subject.sender.text(),
        from: server.name.to_string(),
        site: server.site.to_string(),
        size: answer.subject.size.as_u64(),
        outcome: "ndr",
        connector: None,
        next_hop: None,
        primary_site: None,
        path: Vec::new(),
        cost: None,
        path_cost: None,
        legs: Vec::new(),
        equal_ways: Vec::new(),
        stops: Vec::new(),
        targets: Vec::new(),
        attempts: Vec::new(),
        candidates: Vec::new(),
        status: None,
        reason: None,
        rule: None,
        limit: None,
        gateways: Vec::new(),
        loopback: None,
        members: Vec::new(),
        then: Vec::new(),
        elsewhere: Vec::new(),
        revision: answer.tables.revision().0,
    }
}

fn refusal(failure: &RecipientFailure) -> Refusal {
    Refusal { status: failure.status().to_string(), rule: failure.rule().0, reason: failure.to_string() }
}
