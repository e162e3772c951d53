//! The way of one message, from server to server: each of them decides as it would for mail, and the first server of its
//! attempts is taken to be up.

use std::fmt;

use categorizer::RecipientFailure;
use envelope::{Address, ByteSize, ObjectName, ServerName, SiteName};
use inquiry::{AskError, End, Fate, Inquiry, Obstacle, Subject};
use routing::{DeliveryType, Explanation, NextHopCategory, NextHopSolutionKey, Outcome};

use super::survey::Survey;

/// Servers that are followed; in one configuration mail gets nearer with each (routing's properties), so that more is a
/// defect.
pub const STEPS_MAX: usize = 64;

/// Where mail for a recipient goes from a server.
#[derive(Clone, Debug)]
pub struct Journey {
    /// As asked.
    pub recipient: Address,
    /// How large the message is.
    pub size: ByteSize,
    /// The server that has it.
    pub from: ServerName,
    /// Site links of the least-cost paths, in order.
    pub legs: Vec<LegView>,
    /// Sum of their costs.
    pub cost: u64,
    /// Connections between servers.
    pub steps: Vec<StepView>,
    /// What becomes of it at last, and where.
    pub end: Arrival,
    /// The connector that was selected last.
    pub connector: Option<ObjectName>,
    /// The site in which it ends.
    pub last: Option<usize>,
}

/// One link of the way.
#[derive(Clone, Debug)]
pub struct LegView {
    /// Place of a site in [`Survey::sites`].
    pub from: usize,
    /// Another.
    pub to: usize,
    /// The site link that it is drawn along.
    pub link: ObjectName,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct StepView {
    /// From here
    pub from: ServerName,
    /// to here,
    pub to: ServerName,
    /// from this delivery queue.
    pub key: NextHopSolutionKey,
}

/// What becomes of mail on the last server that has it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// That server.
    pub server: ServerName,
    /// What becomes of it.
    pub fate: ArrivalFate,
}

/// See [`Arrival`].
#[derive(Clone, Debug)]
pub enum ArrivalFate {
    /// It has no way.
    Stays(Obstacle),
    /// The group is expanded.
    Expands,
    /// It leaves the organization by SMTP.
    Leaves(NextHopSolutionKey),
    /// It leaves the organization by a Foreign or Delivery Agent connector.
    ToGateway(NextHopSolutionKey),
    /// It is written into this database, on that server.
    Mailbox(Box<str>, ServerName),
}

/// Why there is no one way to show.
#[derive(Debug, thiserror::Error)]
pub enum JourneyError {
    /// A server could not be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// A picture has room for one way.
    #[error("{group} is a group; name one of its members: {}", members.iter().map(Address::as_str).collect::<Vec<_>>().join(", "))]
    Group {
        /// Which.
        group: Address,
        /// Whom the group was expanded to.
        members: Vec<Address>,
    },
    /// It is given up before it is routed.
    #[error("mail for {recipient} is not routed: {failure} ({}, {})", failure.status(), failure.rule())]
    NotRouted {
        /// Whose.
        recipient: Address,
        /// Why.
        failure: RecipientFailure,
    },
    /// More than [`STEPS_MAX`] servers.
    #[error("mail for {recipient} from {from} does not arrive within {STEPS_MAX} servers")]
    Endless {
        /// Whose.
        recipient: Address,
        /// From where.
        from: ServerName,
    },
}

impl fmt::Display for StepView {
    /// `BERLIN1 ▸ OSLO1   SmtpRelayToDag DAG1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ▸ {}   {}", self.from, self.to, self.key)
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here = &self.server;
        match &self.fate {
            ArrivalFate::Stays(Obstacle::Unreachable(reason)) => {
                write!(f, "{here} keeps it in the Unreachable queue: {reason}")
            }
            ArrivalFate::Stays(Obstacle::Deferred(reason)) => write!(f, "{here} keeps it for later: {reason}"),
            ArrivalFate::Stays(obstacle) => {
                let status = obstacle.status().map(|status| format!(", {status}")).unwrap_or_default();
                write!(f, "{here} gives it up{status}: {obstacle}")
            }
            ArrivalFate::Expands => write!(f, "{here} expands the group"),
            ArrivalFate::Leaves(key) => write!(f, "{here} delivers it out of the organization: {key}"),
            ArrivalFate::ToGateway(key) => write!(f, "{here} hands it to a gateway, {key}"),
            ArrivalFate::Mailbox(database, server) => write!(f, "{here} delivers it into {database} on {server}"),
        }
    }
}

impl Journey {
    /// When the message is on this server: before step 0, 1, …
    #[must_use]
    pub fn place_of(&self, server: &ServerName) -> Option<usize> {
        let last = self.steps.last().map(|step| &step.to);
        let at = self.steps.iter().position(|step| step.from == *server);
        at.or_else(|| (last == Some(server)).then_some(self.steps.len())).or((self.from == *server).then_some(0))
    }

    /// The site from which it goes to hosts outside.
    #[must_use]
    pub fn leaves(&self) -> Option<usize> {
        self.last.filter(|_| matches!(self.end.fate, ArrivalFate::Leaves(_)))
    }

    /// Follows mail for the recipient of `subject` from the server that has it.
    ///
    /// # Errors
    /// [`JourneyError`]
    pub fn follow(inquiry: &mut Inquiry, survey: &Survey, subject: &Subject) -> Result<Self, JourneyError> {
        let mut subject = subject.clone();
        let mut journey = Self {
            recipient: subject.recipient.clone(),
            size: subject.size,
            from: subject.from.clone(),
            legs: Vec::new(),
            cost: 0,
            steps: Vec::new(),
            end: Arrival { server: subject.from.clone(), fate: ArrivalFate::Expands },
            connector: None,
            last: None,
        };
        for _ in 0..STEPS_MAX {
            let end = one(inquiry, &subject)?;
            let explanation = match &end.fate {
                Fate::Routed(explanation) => explanation,
                Fate::GivenUp(failure) => {
                    return Err(JourneyError::NotRouted { recipient: subject.recipient, failure: failure.clone() });
                }
            };
            match journey.step(explanation, &end, survey) {
                Some(next) => subject.from = next,
                None => return Ok(journey),
            }
        }
        Err(JourneyError::Endless { recipient: journey.recipient, from: journey.from })
    }

    /// Adds what one server decided; the server that has the message next.
    fn step(&mut self, explanation: &Explanation, end: &End, survey: &Survey) -> Option<ServerName> {
        let place = |name: &SiteName| survey.sites.iter().position(|site| site.name == *name);
        let here = explanation.from.clone();
        self.last = place(&explanation.site);
        self.end = Arrival { server: here.clone(), fate: ArrivalFate::Expands };
        self.connector = end.connector().cloned().or(self.connector.take());
        let Outcome::Route(route) = &explanation.decision.outcome else {
            if let Some(obstacle) = end.obstacle() {
                self.end.fate = ArrivalFate::Stays(obstacle);
            }
            return None;
        };
        let key = route.key.as_ref().clone();
        // Attempts of a Send connector are front ends of this site, through which it leaves (PL-27).
        let leaves = key.delivery_type.category() == NextHopCategory::External;
        let Some(attempt) = route.way.attempts.first().filter(|_| !leaves) else {
            self.end.fate = match key.delivery_type {
                DeliveryType::DeliveryAgent | DeliveryType::NonSmtpGatewayDelivery => ArrivalFate::ToGateway(key),
                _ => ArrivalFate::Leaves(key),
            };
            return None;
        };
        if key.delivery_type == DeliveryType::SmtpDeliveryToMailbox {
            self.end.fate = ArrivalFate::Mailbox(key.domain, attempt.server.clone());
            return None;
        }
        let sites: Vec<&SiteName> = route.way.path.sites().collect();
        for (ends, leg) in sites.windows(2).zip(&route.way.path.legs) {
            if let (Some(from), Some(to)) = (place(ends[0]), place(ends[1])) {
                self.legs.push(LegView { from, to, link: leg.link.clone() });
                self.cost += leg.cost.0;
            }
            if *ends[1] == attempt.site {
                break; // the rest of the path belongs to the servers there
            }
        }
        self.steps.push(StepView { from: here, to: attempt.server.clone(), key });
        Some(attempt.server.clone())
    }
}

/// The one decision.
fn one(inquiry: &mut Inquiry, subject: &Subject) -> Result<End, JourneyError> {
    let answer = inquiry.ask(subject)?;
    match answer.single() {
        Some(end) => Ok(end.clone()),
        // A group with one member has one way.
        None if answer.ends.len() == 1 => Ok(answer.ends[0].clone()),
        None => Err(JourneyError::Group {
            group: answer.subject.recipient,
            members: answer.ends.into_iter().map(|end| end.address).collect(),
        }),
    }
}
