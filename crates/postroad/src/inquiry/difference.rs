//! What a change of the organization means for mail: the same subjects asked under two organizations.
//!
//! [`differences`] is a pure function of the subjects and of what is known about both organizations, whoever the subjects
//! come from.

use super::answer::{AskError, Inquiry};
use super::json::{Candidate, Line, line};
use super::subject::Subject;

/// How a recipient's mail changes.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// What was asked.
    pub subject: Subject,
    /// As it is.
    pub before: Line,
    /// As it would be.
    pub after: Line,
    /// What sort of change it is.
    pub change: Change,
    /// What differs, in words: the candidate or the rule that decides otherwise.
    pub why: Vec<String>,
}

/// The sort of a change, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Change {
    /// It had a way and has none any more.
    Lost,
    /// It has another way.
    Rerouted,
    /// It had no way and gets one.
    Gained,
    /// The way is the same; what it costs, or in which order servers are tried, is not.
    Detail,
}

impl Change {
    /// For programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Rerouted => "rerouted",
            Self::Gained => "gained",
            Self::Detail => "detail",
        }
    }
}

/// How many subjects change, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub asked: usize,
    pub lost: usize,
    pub rerouted: usize,
    pub gained: usize,
    pub detail: usize,
}

impl Summary {
    /// Counts `differences` among `asked` subjects.
    pub fn of(asked: usize, differences: &[Difference]) -> Self {
        let count = |change| differences.iter().filter(|difference| difference.change == change).count();
        Self {
            asked,
            lost: count(Change::Lost),
            rerouted: count(Change::Rerouted),
            gained: count(Change::Gained),
            detail: count(Change::Detail),
        }
    }

    /// Those that change in any way.
    pub fn changed(&self) -> usize {
        self.lost + self.rerouted + self.gained + self.detail
    }
}

/// Which of `subjects` change their way from `before` to `after`, in their order.
///
/// # Errors
/// [`AskError`], for instance when a server is in one of the organizations only.
pub(crate) fn differences(
    subjects: &[Subject],
    before: &mut Inquiry,
    after: &mut Inquiry,
) -> Result<Vec<Difference>, AskError> {
    let mut found = Vec::new();
    for subject in subjects {
        let (before, after) = (line(&before.ask(subject)?), line(&after.ask(subject)?));
        if let Some(change) = compare(&before, &after) {
            let why = why(&before, &after);
            found.push(Difference { subject: subject.clone(), before, after, change, why });
        }
    }
    Ok(found)
}

/// Whether mail gets anywhere. A group does when all of its members do.
fn has_way(line: &Line) -> bool {
    match line.outcome {
        "route" => true,
        "expand" => line.members.iter().all(has_way),
        _ => false,
    }
}

fn compare(before: &Line, after: &Line) -> Option<Change> {
    let way = |line: &Line| {
        let hop = line.next_hop.as_ref().map(|hop| (hop.delivery_type, hop.domain.clone()));
        (line.outcome, line.connector.clone(), hop, line.status.clone(), line.resolved.clone())
    };
    let recipients = |line: &Line| line.members.iter().map(|member| member.recipient.clone()).collect::<Vec<_>>();
    let detail = |line: &Line| (line.path.clone(), line.cost, line.stops.clone(), line.targets.clone());
    let members = before.members.iter().zip(&after.members).filter_map(|(before, after)| compare(before, after)).min();
    match (has_way(before), has_way(after)) {
        (true, false) => Some(Change::Lost),
        (false, true) => Some(Change::Gained),
        _ if way(before) != way(after) || recipients(before) != recipients(after) => Some(Change::Rerouted),
        _ if members.is_some() => members,
        _ if detail(before) != detail(after) => Some(Change::Detail),
        _ => None,
    }
}

/// What decides otherwise, in words.
fn why(before: &Line, after: &Line) -> Vec<String> {
    let mut reasons = Vec::new();
    if !before.members.is_empty() || !after.members.is_empty() {
        for member in &after.members {
            match before.members.iter().find(|old| old.recipient == member.recipient) {
                None => reasons.push(format!("{} is a member now", member.recipient)),
                Some(old) if compare(old, member).is_some() => {
                    let changed = format!("{}: {} becomes {}", member.recipient, short(old), short(member));
                    reasons.push(changed);
                    reasons.extend(why(old, member));
                }
                Some(_) => {}
            }
        }
        let gone = before.members.iter().filter(|old| after.members.iter().all(|new| new.recipient != old.recipient));
        reasons.extend(gone.map(|old| format!("{} is no member any more", old.recipient)));
        return reasons;
    }
    if before.resolved != after.resolved {
        let to = |line: &Line| line.resolved.clone().unwrap_or_else(|| line.recipient.clone());
        reasons.push(format!("the address stood for {}, and stands for {}", to(before), to(after)));
    }
    reasons.extend(candidates(before, after));
    if let Some(reason) = after.reason.as_ref().filter(|_| after.reason != before.reason) {
        reasons.push(format!("{reason} ({})", after.rule.unwrap_or("no rule")));
    }
    if before.path != after.path {
        reasons.push(format!("the path was {}, and is {} (RT-06)", path(before), path(after)));
    } else if before.path_cost != after.path_cost {
        reasons.push(format!("the path costs {} instead of {} (RT-06)", cost(after), cost(before)));
    } else if before.stops != after.stops {
        let stops = |line: &Line| line.stops.join(", ");
        reasons.push(format!("the mail stopped in {}, and stops in {} (RT-27)", stops(before), stops(after)));
    }
    if reasons.is_empty() && before.targets != after.targets {
        reasons.push(format!("connections are tried to {} (RT-34)", after.targets.join(", ")));
    }
    reasons
}

/// What became of the connectors that were selected before and are after.
fn candidates(before: &Line, after: &Line) -> Vec<String> {
    let find = |line: &Line, name: &str| line.candidates.iter().find(|one| one.connector == name).cloned();
    let told = |candidate: Option<Candidate>| match candidate {
        None => "is not there".to_owned(),
        Some(Candidate { eliminated: Some(rule), why, .. }) => format!("is eliminated by {rule}: {why}"),
        Some(Candidate { eliminated: None, why, .. }) => format!("is selected: {why}"),
    };
    if before.connector == after.connector {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if let Some(old) = &before.connector {
        reasons.push(format!("{old} now {}", told(find(after, old))));
    }
    if let Some(new) = &after.connector {
        reasons.push(format!("{new} before {}", told(find(before, new)).replacen("is ", "was ", 1)));
    }
    reasons
}

fn path(line: &Line) -> String {
    if line.path.is_empty() { "none".to_owned() } else { format!("{} at {}", line.path.join("-"), cost(line)) }
}

fn cost(line: &Line) -> String {
    line.path_cost.map_or_else(|| "nothing".to_owned(), |cost| cost.to_string())
}

/// `Bank, SmtpRelayToConnectorSourceServers Bank, cost 11`, or the outcome.
pub(crate) fn short(line: &Line) -> String {
    let mut parts: Vec<String> = line.connector.iter().map(|name| format!("connector {name}")).collect();
    parts.extend(line.next_hop.iter().map(|hop| format!("{} {}", hop.delivery_type, hop.domain)));
    parts.extend(line.cost.map(|cost| format!("cost {cost}")));
    match line.outcome {
        "route" => parts.join(", "),
        "expand" => {
            let lost = line.members.iter().filter(|member| !has_way(member)).count();
            let lost = if lost == 0 { String::new() } else { format!(", {lost} without a way") };
            format!("a group of {}{lost}", line.members.len())
        }
        outcome => match &line.status {
            Some(status) => format!("{outcome} {status}"),
            None => outcome.to_owned(),
        },
    }
}
