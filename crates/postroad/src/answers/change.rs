//! What a change of the organization does to mail, in words.

use std::fmt::Display;

use inquiry::{Answer, End, Ending, Why};
use routing::{Candidate, CandidateSummary, Path};

/// One thing that decides otherwise, in a line.
pub(crate) fn reason(why: &Why) -> String {
    match why {
        Why::Joined(member) => format!("{member} is a member now"),
        Why::Left(member) => format!("{member} is no member any more"),
        Why::Member { before, after } => format!("{}: {} becomes {}", after.address, of_end(before), of_end(after)),
        Why::Resolved { before, after } => format!("the address stood for {before}, and stands for {after}"),
        Why::Deselected(name, candidate) => format!("{name} now {}", judged(candidate.as_deref(), "is")),
        Why::Selected(name, candidate) => format!("{name} before {}", judged(candidate.as_deref(), "was")),
        Why::NoWay(obstacle) => format!("{obstacle} ({})", obstacle.rule()),
        Why::Path { before, after } => {
            format!("the path was {}, and is {} (RT-06)", path(before.as_ref()), path(after.as_ref()))
        }
        Why::PathCost { before, after } => format!("the path costs {after} instead of {before} (RT-06)"),
        Why::Stops { before, after } => {
            format!("the mail stopped in {}, and stops in {} (RT-27)", list(before), list(after))
        }
        Why::Targets(targets) => format!("connections are tried to {} (RT-34)", list(targets)),
    }
}

fn judged(candidate: Option<&Candidate>, is: &str) -> String {
    match candidate.map(CandidateSummary::of) {
        None => format!("{is} not there"),
        Some(CandidateSummary { eliminated: Some(rule), why, .. }) => format!("{is} eliminated by {rule}: {why}"),
        Some(CandidateSummary { why, .. }) => format!("{is} selected: {why}"),
    }
}

fn path(path: Option<&Path>) -> String {
    let Some(path) = path else { return "none".to_owned() };
    let sites: Vec<String> = path.sites().map(ToString::to_string).collect();
    format!("{} at {}", sites.join("-"), path.cost())
}

fn list(names: &[impl Display]) -> String {
    match names {
        [] => "no other site".to_owned(),
        names => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// `connector Bank, SmtpRelayToConnectorSourceServers Bank, cost 11`, or how it ends.
pub(crate) fn short(answer: &Answer) -> String {
    if let Some(end) = answer.single() {
        return of_end(end);
    }
    let lost = answer.ends.iter().filter(|end| !end.has_way()).count();
    let lost = if lost == 0 { String::new() } else { format!(", {lost} without a way") };
    format!("a group of {}{lost}", answer.ends.len())
}

fn of_end(end: &End) -> String {
    let mut parts: Vec<String> = end.connector().iter().map(|name| format!("connector {name}")).collect();
    parts.extend(end.route().map(|route| format!("{} {}", route.key.delivery_type, route.key.domain)));
    parts.extend(end.cost().map(|cost| format!("cost {cost}")));
    match (end.ending(), end.obstacle().and_then(|obstacle| obstacle.status())) {
        (Ending::Route, _) => parts.join(", "),
        (ending, Some(status)) => format!("{} {status}", ending.as_str()),
        (ending, None) => ending.as_str().to_owned(),
    }
}
