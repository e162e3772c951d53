//! What a change of the organization means for mail: the same subjects asked under two organizations.
//!
//! [`differences`] is a pure function of the subjects and of what is known about both organizations, whoever the subjects
//! come from. What differs is told as values; whoever asked puts them into words.

use envelope::{Address, ObjectName, ServerName, SiteName};
use routing::{Candidate, Path};

use super::answer::{Answer, AskError, End, Inquiry, Obstacle};
use super::subject::Subject;

/// How a recipient's mail changes.
#[derive(Clone, Debug)]
pub struct Difference {
    /// As it is.
    pub before: Answer,
    /// As it would be, for the same subject.
    pub after: Answer,
    /// What sort of change it is.
    pub change: AnswerChange,
    /// What differs: the candidate or the rule that decides otherwise.
    pub why: Vec<Why>,
}

/// The sort of a change, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnswerChange {
    /// It had a way and has none any more.
    Lost,
    /// It has another way.
    Rerouted,
    /// It had no way and gets one.
    Gained,
    /// The way is the same; what it costs, or in which order servers are tried, is not.
    Detail,
}

impl AnswerChange {
    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Rerouted => "rerouted",
            Self::Gained => "gained",
            Self::Detail => "detail",
        }
    }
}

/// One thing that decides otherwise.
#[derive(Clone, Debug)]
pub enum Why {
    /// A member of the group that was none.
    Joined(Address),
    /// A member of the group that is none any more.
    Left(Address),
    /// Mail for this member of the group changes; what follows says why.
    Member {
        /// As it is.
        before: End,
        /// As it would be.
        after: End,
    },
    /// The address stands for another one.
    Resolved {
        /// The one it stands for now.
        before: Address,
        /// The one it would stand for.
        after: Address,
    },
    /// The connector that was selected is not any more: what becomes of it, if it is there.
    Deselected(ObjectName, Option<Box<Candidate>>),
    /// The connector that is selected was not: what became of it, if it was there.
    Selected(ObjectName, Option<Box<Candidate>>),
    /// There is no way, for another reason than before.
    NoWay(Obstacle),
    /// The path leads through other sites. `None`: there is none.
    Path {
        /// The path of now.
        before: Option<Path>,
        /// The path that would be taken.
        after: Option<Path>,
    },
    /// The same path costs something else.
    PathCost {
        /// The sum of its links now (RT-06).
        before: u64,
        /// What the sum would be.
        after: u64,
    },
    /// The mail stops in other sites.
    Stops {
        /// The stops of now.
        before: Vec<SiteName>,
        /// Where it would stop.
        after: Vec<SiteName>,
    },
    /// Nothing but whom connections are tried to.
    Targets(Vec<ServerName>),
}

/// How many subjects change, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Subjects.
    pub asked: usize,
    /// [`AnswerChange::Lost`]
    pub lost: usize,
    /// [`AnswerChange::Rerouted`]
    pub rerouted: usize,
    /// [`AnswerChange::Gained`]
    pub gained: usize,
    /// [`AnswerChange::Detail`]
    pub detail: usize,
}

impl Tally {
    /// Counts `differences` among `asked` subjects.
    #[must_use]
    pub fn of(asked: usize, differences: &[Difference]) -> Self {
        let count = |change| differences.iter().filter(|difference| difference.change == change).count();
        Self {
            asked,
            lost: count(AnswerChange::Lost),
            rerouted: count(AnswerChange::Rerouted),
            gained: count(AnswerChange::Gained),
            detail: count(AnswerChange::Detail),
        }
    }

    /// Those that change in any way.
    #[must_use]
    pub const fn changed(&self) -> usize {
        self.lost + self.rerouted + self.gained + self.detail
    }
}

/// Which of `subjects` change their way from `before` to `after`, in their order.
///
/// # Errors
/// [`AskError`], for instance when a server is in one of the organizations only.
pub fn differences(
    subjects: &[Subject],
    before: &mut Inquiry,
    after: &mut Inquiry,
) -> Result<Vec<Difference>, AskError> {
    compared(subjects.iter().map(|subject| (subject, subject)), before, after)
}

/// The same where a recipient is written otherwise after the change, as one of another type is when the default domain is another.
///
/// # Errors
/// As [`differences`].
pub fn differences_of(
    subjects: &[(Subject, Subject)],
    before: &mut Inquiry,
    after: &mut Inquiry,
) -> Result<Vec<Difference>, AskError> {
    compared(subjects.iter().map(|(is, shall)| (is, shall)), before, after)
}

fn compared<'a>(
    subjects: impl Iterator<Item = (&'a Subject, &'a Subject)>,
    before: &mut Inquiry,
    after: &mut Inquiry,
) -> Result<Vec<Difference>, AskError> {
    let mut found = Vec::new();
    for (is, shall) in subjects {
        let (before, after) = (before.ask(is)?, after.ask(shall)?);
        if let Some(change) = compare(&before, &after) {
            let why = why(&before, &after);
            found.push(Difference { before, after, change, why });
        }
    }
    Ok(found)
}

fn compare(before: &Answer, after: &Answer) -> Option<AnswerChange> {
    match (before.has_way(), after.has_way()) {
        (true, false) => return Some(AnswerChange::Lost),
        (false, true) => return Some(AnswerChange::Gained),
        _ => {}
    }
    // A recipient that is resolved to another address counts as another one, unless both stand for the same of another type (EN-73).
    let inside = |answer: &Answer, end: &End| answer.tables.organization().encapsulated(&end.address);
    let same = |(old, new): (&End, &End)| {
        old.address.key() == new.address.key()
            || inside(before, old).is_some_and(|one| inside(after, new).as_ref() == Some(&one))
    };
    let alike = before.single().is_some() == after.single().is_some() && before.ends.len() == after.ends.len();
    if !alike || !before.ends.iter().zip(&after.ends).all(same) {
        return Some(AnswerChange::Rerouted);
    }
    before.ends.iter().zip(&after.ends).filter_map(|(before, after)| compare_ends(before, after)).min()
}

fn compare_ends(before: &End, after: &End) -> Option<AnswerChange> {
    let hop = |end: &End| end.route().map(|route| (route.key.delivery_type, route.key.domain.clone()));
    let status = |end: &End| end.obstacle().and_then(|obstacle| obstacle.status());
    let way = |end: &End| (end.ending(), end.connector().cloned(), hop(end), status(end));
    match (before.has_way(), after.has_way()) {
        (true, false) => Some(AnswerChange::Lost),
        (false, true) => Some(AnswerChange::Gained),
        _ if way(before) != way(after) => Some(AnswerChange::Rerouted),
        _ if sites(before) != sites(after)
            || before.cost() != after.cost()
            || stops(before) != stops(after)
            || targets(before) != targets(after) =>
        {
            Some(AnswerChange::Detail)
        }
        _ => None,
    }
}

fn path(end: &End) -> Option<&Path> {
    end.route().map(|route| &route.way.path)
}

fn sites(end: &End) -> Vec<&SiteName> {
    path(end).map(|path| path.sites().collect()).unwrap_or_default()
}

fn stops(end: &End) -> &[SiteName] {
    end.route().map_or(&[], |route| &route.way.stops)
}

fn targets(end: &End) -> Vec<&ServerName> {
    end.route().map(|route| route.way.attempts.iter().map(|attempt| &attempt.server).collect()).unwrap_or_default()
}

fn why(before: &Answer, after: &Answer) -> Vec<Why> {
    if let (Some(old), Some(new)) = (before.single(), after.single()) {
        let resolved = (old.address.key() != new.address.key())
            .then(|| Why::Resolved { before: old.address.clone(), after: new.address.clone() });
        return resolved.into_iter().chain(why_end(old, new)).collect();
    }
    let members = |answer: &Answer| if answer.single().is_some() { Vec::new() } else { answer.ends.clone() };
    let (old, new) = (members(before), members(after));
    let find = |ends: &[End], wanted: &End| ends.iter().find(|end| end.address.key() == wanted.address.key()).cloned();
    let mut reasons = Vec::new();
    for after in &new {
        match find(&old, after) {
            None => reasons.push(Why::Joined(after.address.clone())),
            Some(before) if compare_ends(&before, after).is_some() => {
                reasons.push(Why::Member { before: before.clone(), after: after.clone() });
                reasons.extend(why_end(&before, after));
            }
            Some(_) => {}
        }
    }
    let gone = old.iter().filter(|before| find(&new, before).is_none());
    reasons.extend(gone.map(|before| Why::Left(before.address.clone())));
    reasons
}

fn why_end(before: &End, after: &End) -> Vec<Why> {
    let mut reasons = candidates(before, after);
    if let Some(obstacle) = after.obstacle().filter(|obstacle| before.obstacle().as_ref() != Some(obstacle)) {
        reasons.push(Why::NoWay(obstacle));
    }
    let cost = |end: &End| path(end).map(|path| path.cost().0);
    if sites(before) != sites(after) {
        reasons.push(Why::Path { before: path(before).cloned(), after: path(after).cloned() });
    } else if let (Some(before), Some(after)) = (cost(before), cost(after))
        && before != after
    {
        reasons.push(Why::PathCost { before, after });
    } else if stops(before) != stops(after) {
        reasons.push(Why::Stops { before: stops(before).to_vec(), after: stops(after).to_vec() });
    }
    if reasons.is_empty() && targets(before) != targets(after) {
        reasons.push(Why::Targets(targets(after).into_iter().cloned().collect()));
    }
    reasons
}

/// What became of the connectors that were selected before and are after.
fn candidates(before: &End, after: &End) -> Vec<Why> {
    let (old, new) = (before.connector(), after.connector());
    if old == new {
        return Vec::new();
    }
    let judged = |end: &End, name: &ObjectName| end.candidate(name).cloned().map(Box::new);
    let old = old.map(|name| Why::Deselected(name.clone(), judged(after, name)));
    let new = new.map(|name| Why::Selected(name.clone(), judged(before, name)));
    old.into_iter().chain(new).collect()
}
