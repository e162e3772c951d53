//! Puts one recipient to the categorizer, as mail would be.

use std::collections::HashMap;
use std::sync::Arc;

use categorizer::{
    Arrival, Categorization, CategorizationOutcome, Categorized, Detail, Incoming, Lookup, Message, RecipientFailure,
    SizeFacts, Step,
};
use envelope::{Address, EnhancedStatus, Limit, ObjectName, Recipient, ServerName};
use routing::{
    BuildError, Candidate, DeferReason, Explanation, NdrReason, Route, RoutingTables, RuleId, UnreachableReason,
    Verdict,
};
use topology::{DeliveryRestrictions, DirectoryRecipient, Organization, Problems, RecipientKind};

use super::recipients::KnownRecipients;
use super::subject::{Sender, Subject};

/// An organization with its recipients, ready to be asked.
pub struct Inquiry {
    organization: Arc<Organization>,
    recipients: KnownRecipients,
    servers: HashMap<ServerName, ServerTables>,
}

/// The tables of one server, made when it is first asked.
struct ServerTables {
    tables: Arc<RoutingTables>,
    /// The same without limits for senders and recipients, made when they are first needed.
    unlimited: Option<Arc<RoutingTables>>,
}

/// What becomes of mail for one recipient.
#[derive(Clone, Debug)]
pub struct Answer {
    /// As asked.
    pub subject: Subject,
    /// The deciding tables.
    pub tables: Arc<RoutingTables>,
    /// One, or for a group that is expanded here one for each final recipient.
    pub ends: Vec<End>,
    /// The recipient is a group that is expanded here.
    pub expanded: bool,
    /// The recipient is a mail contact, which leads to another address.
    pub contact: bool,
    /// The directory has the sender.
    pub sender_in_directory: bool,
    /// A limit that some senders would meet.
    pub limit: Option<RecipientFailure>,
}

/// Where mail for a final recipient ends up. Cheap to clone.
#[derive(Clone, Debug)]
pub struct End {
    /// The address that mail goes to.
    pub address: Address,
    /// Whether the directory has it: only then has it properties of its own, such as a limit.
    pub in_directory: bool,
    /// Routed, or given up before.
    pub fate: Fate,
}

/// What was decided.
#[derive(Clone, Debug)]
pub enum Fate {
    /// By routing.
    Routed(Arc<Explanation>),
    /// By the directory or a limit.
    GivenUp(RecipientFailure),
}

/// How mail for a recipient ends, in one documented word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has a next hop.
    Route,
    /// It waits in the Unreachable queue.
    Unreachable,
    /// It is given up, and the sender told.
    Ndr,
    /// It waits for something other than configuration.
    Deferred,
    /// A group: each member has its own.
    Expand,
}

impl Ending {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Route, Self::Unreachable, Self::Ndr, Self::Deferred, Self::Expand];

    /// The word of `postroad explain --json` and of test files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Unreachable => "unreachable",
            Self::Ndr => "ndr",
            Self::Deferred => "deferred",
            Self::Expand => "expand",
        }
    }
}

/// Why mail has no way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Nothing leads there.
    Unreachable(UnreachableReason),
    /// Routing gives it up.
    Ndr(NdrReason),
    /// Not now.
    Deferred(DeferReason),
    /// The directory or a limit gives it up.
    GivenUp(RecipientFailure),
}

impl Obstacle {
    /// The rule behind it.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        match self {
            Self::Unreachable(reason) => reason.rule(),
            Self::Ndr(reason) => reason.rule(),
            Self::Deferred(_) => RuleId("RT-43"),
            Self::GivenUp(failure) => failure.rule(),
        }
    }

    /// What a notification would state; only of mail that is given up.
    #[must_use]
    pub fn status(&self) -> Option<EnhancedStatus> {
        match self {
            Self::Ndr(reason) => Some(reason.status()),
            Self::GivenUp(failure) => Some(failure.status()),
            Self::Unreachable(_) | Self::Deferred(_) => None,
        }
    }
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(reason) => reason.fmt(f),
            Self::Ndr(reason) => reason.fmt(f),
            Self::Deferred(reason) => reason.fmt(f),
            Self::GivenUp(failure) => failure.fmt(f),
        }
    }
}

impl Answer {
    /// The one end, unless the recipient is a group.
    #[must_use]
    pub fn single(&self) -> Option<&End> {
        match self.ends.as_slice() {
            [end] if !self.expanded => Some(end),
            _ => None,
        }
    }

    /// How it ends.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.single().map_or(Ending::Expand, End::ending)
    }

    /// Whether mail gets anywhere. A group does when all of its members do.
    #[must_use]
    pub fn has_way(&self) -> bool {
        self.ends.iter().all(End::has_way)
    }

    /// The address that mail goes to, when that is another one: a primary address, or a contact's.
    #[must_use]
    pub fn resolved(&self) -> Option<&Address> {
        let address = &self.single()?.address;
        (address.key() != self.subject.recipient.key()).then_some(address)
    }
}

impl End {
    /// How it ends.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match &self.fate {
            Fate::GivenUp(_) => Ending::Ndr,
            Fate::Routed(explanation) => match &explanation.decision.outcome {
                routing::Outcome::Route(_) => Ending::Route,
                routing::Outcome::Unreachable(_) => Ending::Unreachable,
                routing::Outcome::Ndr(_) => Ending::Ndr,
                routing::Outcome::Deferred(_) => Ending::Deferred,
                routing::Outcome::ExpandHere => Ending::Expand,
            },
        }
    }

    /// Whether mail gets anywhere from here.
    #[must_use]
    pub fn has_way(&self) -> bool {
        self.route().is_some()
    }

    /// What routing found, unless the recipient was given up before.
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation> {
        match &self.fate {
            Fate::Routed(explanation) => Some(explanation),
            Fate::GivenUp(_) => None,
        }
    }

    /// The next hop and the way to it.
    #[must_use]
    pub fn route(&self) -> Option<&Route> {
        self.explanation()?.route()
    }

    /// Why it has no way.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        match &self.fate {
            Fate::GivenUp(failure) => Some(Obstacle::GivenUp(failure.clone())),
            Fate::Routed(explanation) => match &explanation.decision.outcome {
                routing::Outcome::Unreachable(reason) => Some(Obstacle::Unreachable(reason.clone())),
                routing::Outcome::Ndr(reason) => Some(Obstacle::Ndr(reason.clone())),
                routing::Outcome::Deferred(reason) => Some(Obstacle::Deferred(*reason)),
                routing::Outcome::Route(_) | routing::Outcome::ExpandHere => None,
            },
        }
    }

    /// Whether DNS will be asked for a name of the organization itself: without an MX record that leads elsewhere its mail
    /// comes back at once (RFC 5321 §5.1).
    #[must_use]
    pub fn leads_back(&self, organization: &Organization) -> bool {
        let Some(selected) = self.explanation().and_then(Explanation::selected) else { return false };
        let connector = organization.send_connector(selected.guid);
        let asks_dns = connector.is_some_and(|connector| connector.dns_routing_enabled);
        let domain = self.address.domain();
        asks_dns && self.has_way() && organization.own_names().any(|own| *own == domain)
    }

    /// The connector that was selected.
    #[must_use]
    pub fn connector(&self) -> Option<&ObjectName> {
        self.explanation()?.selected().map(|selected| &selected.connector)
    }

    /// What became of the connector of this name.
    #[must_use]
    pub fn candidate(&self, connector: &ObjectName) -> Option<&Candidate> {
        self.explanation()?.candidates.iter().find(|candidate| candidate.connector == *connector)
    }

    /// Cost of the path, and with a connector that of its address space: what was compared (RT-51).
    #[must_use]
    pub fn cost(&self) -> Option<u64> {
        let selected = self.explanation()?.selected().map(|selected| &selected.verdict);
        match selected {
            Some(Verdict::Selected { cost, .. }) => self.route().map(|_| cost.total().0),
            _ => self.route().map(|route| route.way.path.cost().0),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The server is not in this organization.
    #[error("{error}{}", known(.servers))]
    Server {
        /// Which.
        error: BuildError,
        /// Those that are.
        servers: Vec<String>,
    },
    /// An organization without limits is not valid, although it is with them.
    #[error(transparent)]
    Limits(#[from] Problems),
    /// The recipients are not those that the subjects lead to.
    #[error("a recipient was not looked up before: the directory changed in between; try again")]
    NotGathered,
}

fn known(servers: &[String]) -> String {
    match servers {
        [] => ", which is empty: run `postroad apply FILE`".to_owned(),
        servers => format!("; it has {}", servers.join(", ")),
    }
}

impl Inquiry {
    /// About `organization` and its recipients.
    pub fn new(organization: Arc<Organization>, recipients: KnownRecipients) -> Self {
        Self { organization, recipients, servers: HashMap::new() }
    }

    /// What becomes of mail for the recipient.
    ///
    /// # Errors
    /// [`AskError`]
    pub fn ask(&mut self, subject: &Subject) -> Result<Answer, AskError> {
        let tables = self.tables(&subject.from)?;
        let mut categorized = self.categorize(subject, tables.clone(), Limits::Count)?;
        let mut limit = None;
        if subject.sender == Sender::Unnamed {
            let met = categorized.failed.iter().find(|failed| is_limit(&failed.failure));
            limit = met.map(|found| found.failure.clone());
        }
        if limit.is_some() {
            let unlimited = self.unlimited(&subject.from, &tables)?;
            categorized = self.categorize(subject, unlimited, Limits::Ignore)?;
        }
        let expanded = !categorized.expanded.is_empty();
        let contact = match self.recipients.look_up(&subject.recipient) {
            Lookup::Found(found) => matches!(found.kind, RecipientKind::MailContact { .. }),
            Lookup::NotFound | Lookup::TransientError => false,
        };
        let sender_in_directory = match &subject.sender {
            Sender::Address(address) => self.has(address),
            Sender::Unnamed | Sender::Null => false,
        };
        let ends = self.ends(categorized);
        Ok(Answer { expanded, contact, ends, sender_in_directory, subject: subject.clone(), tables, limit })
    }

    fn has(&self, address: &Address) -> bool {
        matches!(self.recipients.look_up(address), Lookup::Found(_))
    }

    /// Every final recipient once: what routing gave up is in both lists.
    fn ends(&self, categorized: Categorized) -> Vec<End> {
        let end = |address: Address, fate| End { in_directory: self.has(&address), address, fate };
        let routed = categorized.explained.into_iter();
        let routed = routed.map(|explained| end(explained.address, Fate::Routed(Arc::new(explained.explanation))));
        let failed =
            categorized.failed.into_iter().filter(|failed| !matches!(failed.failure, RecipientFailure::Routing(_)));
        let given_up = failed.map(|failed| end(failed.recipient.address, Fate::GivenUp(failed.failure)));
        routed.chain(given_up).collect()
    }

    fn categorize(
        &self,
        subject: &Subject,
        tables: Arc<RoutingTables>,
        limits: Limits,
    ) -> Result<Categorized, AskError> {
        let message = Message {
            sender: subject.sender.path(),
            sender_kind: subject.sender.kind(&self.organization),
            recipients: vec![Incoming::Fresh(Recipient::new(subject.recipient.clone()))],
            size: SizeFacts { current: subject.size, original: None },
            arrival: Arrival::FirstServer,
            detail: Detail::Explanation,
        };
        let answer = |address: &Address| match (self.recipients.look_up(address), limits) {
            (Lookup::Found(found), Limits::Ignore) => Lookup::Found(Arc::new(DirectoryRecipient {
                max_receive_size: None,
                max_send_size: None,
                restrictions: DeliveryRestrictions::default(),
                ..DirectoryRecipient::clone(&found)
            })),
            (answer, _) => answer,
        };
        let mut machine = Categorization::new(tables, message);
        loop {
            let pending = match machine.step() {
                Step::NeedRecipients(pending) => pending,
                Step::Done(CategorizationOutcome::Categorized(categorized)) => return Ok(*categorized),
                Step::Done(CategorizationOutcome::DirectoryUnavailable { .. }) => return Err(AskError::NotGathered),
            };
            let answers: Vec<_> =
                pending.addresses().iter().map(|address| (address.clone(), answer(address))).collect();
            machine = pending.supply(answers);
        }
    }

    fn tables(&mut self, from: &ServerName) -> Result<Arc<RoutingTables>, AskError> {
        if let Some(server) = self.servers.get(from) {
            return Ok(server.tables.clone());
        }
        let tables = self.build(self.organization.clone(), from)?;
        self.servers.insert(from.clone(), ServerTables { tables: tables.clone(), unlimited: None });
        Ok(tables)
    }

    fn build(&self, organization: Arc<Organization>, from: &ServerName) -> Result<Arc<RoutingTables>, AskError> {
        RoutingTables::build(organization, from).map(Arc::new).map_err(|error| {
            let servers = self.organization.servers().iter().map(|server| server.name.to_string()).collect();
            AskError::Server { error, servers }
        })
    }

    fn unlimited(&mut self, from: &ServerName, limited: &RoutingTables) -> Result<Arc<RoutingTables>, AskError> {
        if let Some(tables) = self.servers.get(from).and_then(|server| server.unlimited.clone()) {
            return Ok(tables);
        }
        let mut draft = limited.organization().draft().clone();
        draft.transport_config.max_send_size = Limit::Unlimited;
        draft.transport_config.max_receive_size = Limit::Unlimited;
        let tables = self.build(Arc::new(Organization::validate(draft, limited.revision())?), from)?;
        if let Some(server) = self.servers.get_mut(from) {
            server.unlimited = Some(tables.clone());
        }
        Ok(tables)
    }
}

/// What is to be done about limits for senders and recipients.
#[derive(Clone, Copy)]
enum Limits {
    Count,
    Ignore,
}

fn is_limit(failure: &RecipientFailure) -> bool {
    matches!(
        failure,
        RecipientFailure::SenderSizeLimit
            | RecipientFailure::OrganizationSendLimit
            | RecipientFailure::RecipientSizeLimit
            | RecipientFailure::OrganizationReceiveLimit
    )
}
