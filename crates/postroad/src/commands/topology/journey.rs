//! The way of one message, from server to server: each of them decides as it would for mail, and the first server of its
//! attempts is taken to be up.

use envelope::ServerName;
use routing::{DeliveryType, Explanation, Outcome};

use super::survey::Survey;
use crate::inquiry::{Answer, End, Fate, Inquiry, Subject};

/// Servers that are followed; in one configuration mail gets nearer with each (routing's properties), so that more is a
/// defect.
const STEPS_MAX: usize = 64;

/// Where mail for a recipient goes from a server.
pub(super) struct Journey {
    pub recipient: String,
    pub from: String,
    /// Site links of the least-cost paths, in order.
    pub legs: Vec<LegView>,
    /// Sum of their costs.
    pub cost: u64,
    pub steps: Vec<StepView>,
    /// What becomes of it at last.
    pub end: String,
    /// The connector that the first server selected.
    pub connector: Option<String>,
    /// The site from which it goes to hosts outside.
    pub leaves: Option<usize>,
}

/// One link of the way.
pub(super) struct LegView {
    pub from: usize,
    pub to: usize,
    pub link: String,
}

/// One connection.
pub(super) struct StepView {
    pub from: String,
    pub to: String,
    pub delivery_type: String,
    pub next_hop: String,
}

impl StepView {
    /// `BERLIN1 ▸ OSLO1   SmtpRelayToDag DAG1`.
    pub fn text(&self) -> String {
        format!("{} ▸ {}   {} {}", self.from, self.to, self.delivery_type, self.next_hop)
    }
}

impl Journey {
    /// One line about all of it.
    pub fn headline(&self) -> String {
        let hops = if self.legs.len() == 1 { "1 hop".to_owned() } else { format!("{} hops", self.legs.len()) };
        let by = self.connector.as_ref().map(|name| format!(", connector {name}")).unwrap_or_default();
        format!("{} from {}: cost {}, {hops}{by}", self.recipient, self.from, self.cost)
    }

    /// When the message is on this server: before step 0, 1, …
    pub fn place_of(&self, server: &str) -> Option<usize> {
        let last = self.steps.last().map(|step| step.to.as_str());
        let at = self.steps.iter().position(|step| step.from == server);
        at.or_else(|| (last == Some(server)).then_some(self.steps.len())).or((self.from == server).then_some(0))
    }
}

/// Follows mail for the recipient of `subject` from the server that has it.
pub(super) fn follow(inquiry: &mut Inquiry, survey: &Survey, subject: &Subject) -> anyhow::Result<Journey> {
    let Subject { recipient, size, from, .. } = subject;
    let mut subject = subject.clone();
    let mut journey = Journey {
        recipient: format!("{recipient}, {}", size.to_string().split(" (").next().unwrap_or_default()),
        from: from.to_string(),
        legs: Vec::new(),
        cost: 0,
        steps: Vec::new(),
        end: String::new(),
        connector: None,
        leaves: None,
    };
    for _ in 0..STEPS_MAX {
        let explanation = one(inquiry.ask(&subject)?)?;
        match journey.step(&explanation, survey) {
            Some(next) => subject.from = next,
            None => return Ok(journey),
        }
    }
    anyhow::bail!("mail for {recipient} from {from} does not arrive within {STEPS_MAX} servers");
}

/// The one decision; a drawing has room for one way.
fn one(answer: Answer) -> anyhow::Result<Explanation> {
    let recipient = answer.subject.recipient;
    if answer.ends.len() > 1 {
        let members: Vec<String> = answer.ends.iter().map(|end| end.address.to_string()).collect();
        anyhow::bail!("{recipient} is a group; name one of its members: {}", members.join(", "));
    }
    match answer.ends.into_iter().next() {
        Some(End { fate: Fate::Routed(explanation), .. }) => Ok(*explanation),
        _ => anyhow::bail!("mail for {recipient} is not routed; `postroad explain {recipient}` says why"),
    }
}

impl Journey {
    /// Adds what one server decided; the server that has the message next.
    fn step(&mut self, explanation: &Explanation, survey: &Survey) -> Option<ServerName> {
        let here = explanation.from.to_string();
        let route = match &explanation.decision.outcome {
            Outcome::Route(route) => route,
            Outcome::Unreachable(reason) => {
                return self.stop(format!("{here} keeps it in the Unreachable queue: {reason}"));
            }
            Outcome::Ndr(reason) => return self.stop(format!("{here} gives it up, {}: {reason}", reason.status())),
            Outcome::Deferred(reason) => return self.stop(format!("{here} keeps it for later: {reason}")),
            Outcome::ExpandHere => return self.stop(format!("{here} expands the group")),
        };
        let place = |name: &envelope::SiteName| survey.sites.iter().position(|site| site.name == name.as_str());
        if self.connector.is_none() {
            self.connector = explanation.selected().map(|selected| selected.connector.to_string());
        }
        let Some(attempt) = route.way.attempts.first() else {
            let smtp = matches!(
                route.key.delivery_type,
                DeliveryType::DnsConnectorDelivery | DeliveryType::SmartHostConnectorDelivery
            );
            self.leaves = smtp.then(|| place(&explanation.site)).flatten();
            return self.stop(format!("{here} delivers it out of the organization: {}", route.key));
        };
        if route.key.delivery_type == DeliveryType::SmtpDeliveryToMailbox {
            return self.stop(format!("{here} delivers it into {} on {}", route.key.domain, attempt.server));
        }
        let sites: Vec<&envelope::SiteName> = route.way.path.sites().collect();
        for (ends, leg) in sites.windows(2).zip(&route.way.path.legs) {
            if let (Some(from), Some(to)) = (place(ends[0]), place(ends[1])) {
                self.legs.push(LegView { from, to, link: leg.link.to_string() });
                self.cost += leg.cost.0;
            }
            if *ends[1] == attempt.site {
                break; // the rest of the path belongs to the servers there
            }
        }
        self.steps.push(StepView {
            from: here,
            to: attempt.server.to_string(),
            delivery_type: route.key.delivery_type.to_string(),
            next_hop: route.key.domain.to_string(),
        });
        Some(attempt.server.clone())
    }

    fn stop(&mut self, end: String) -> Option<ServerName> {
        self.end = end;
        None
    }
}
