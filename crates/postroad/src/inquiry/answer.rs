//! Puts one recipient to the categorizer, as mail would be.

use std::collections::HashMap;
use std::sync::Arc;

use categorizer::{
    Arrival, Categorization, Categorized, Detail, Failure, Incoming, Lookup, Message, Outcome, SizeFacts, Step,
};
use envelope::{Address, Limit, Recipient, ServerName};
use routing::{BuildError, Explanation, RoutingTables};
use topology::{DirectoryRecipient, Organization, Problems, RecipientKind};

use super::recipients::KnownRecipients;
use super::subject::{Sender, Subject};

/// An organization with its recipients, ready to be asked.
pub(crate) struct Inquiry {
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
pub(crate) struct Answer {
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
    /// A limit that some senders would meet.
    pub limit: Option<Failure>,
}

/// Where mail for a final recipient ends up.
pub(crate) struct End {
    /// The address that mail goes to.
    pub address: Address,
    /// Routed, or given up before.
    pub fate: Fate,
}

/// What was decided.
pub(crate) enum Fate {
    /// By routing.
    Routed(Box<Explanation>),
    /// By the directory or a limit.
    GivenUp(Failure),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
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
        Ok(Answer { expanded, contact, ends: ends(categorized), subject: subject.clone(), tables, limit })
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
                ..DirectoryRecipient::clone(&found)
            })),
            (answer, _) => answer,
        };
        let mut machine = Categorization::new(tables, message);
        loop {
            let pending = match machine.step() {
                Step::NeedRecipients(pending) => pending,
                Step::Done(Outcome::Categorized(categorized)) => return Ok(*categorized),
                Step::Done(Outcome::DirectoryUnavailable { .. }) => return Err(AskError::NotGathered),
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

fn is_limit(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::SenderSizeLimit
            | Failure::OrganizationSendLimit
            | Failure::RecipientSizeLimit
            | Failure::OrganizationReceiveLimit
    )
}

/// Every final recipient once: what routing gave up is in both lists.
fn ends(categorized: Categorized) -> Vec<End> {
    let routed = categorized
        .explained
        .into_iter()
        .map(|explained| End { address: explained.address, fate: Fate::Routed(Box::new(explained.explanation)) });
    let failed = categorized.failed.into_iter().filter(|failed| !matches!(failed.failure, Failure::Routing(_)));
    let given_up = failed.map(|failed| End { address: failed.recipient.address, fate: Fate::GivenUp(failed.failure) });
    routed.chain(given_up).collect()
}
