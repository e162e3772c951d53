//! The machine: resolution of one message's recipients, and at its end routing and bifurcation.
//!
//! Recipients wait in two queues: those of the envelope (with the addresses that contacts forward to), and the members of
//! groups, which come after. So a recipient that is named in the envelope and is also a member of a group keeps what the
//! envelope says about it. Each group is expanded once for a message, which makes loops of groups harmless; a chain of
//! contacts may have so many links and no more, which ends loops of contacts.

mod finish;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use envelope::{Address, Notify, OriginalRecipient, Recipient, ReversePath};
use routing::{NdrReason, RoutingTables};
use topology::{DirectoryRecipient, Guid, Organization, RecipientKind, ServerRole};

use crate::failure::RecipientFailure;
use crate::message::{Arrival, Detail, Home, Incoming, Message, Origin, Position, ResolvedRecipient, SenderKind};
use crate::outcome::{CategorizationOutcome, Expanded, Failed, Merged};
use crate::size::SizeCheck;

/// Most addresses asked for at once (PL-43).
pub const LOOKUP_BATCH_MAX: usize = 20;
/// Most recipients of one copy (PL-54).
pub const EXPANSION_SIZE_LIMIT: usize = 1000;
/// Most recipients that groups may bring into one message; ours, so that no directory can exhaust the server's memory.
pub const EXPANDED_RECIPIENTS_MAX: usize = 100_000;
/// Most contacts in a chain; one more counts as a loop (PL-50). The documented number of iterations behind 5.4.6 (RT-74).
const FORWARDS_MAX: usize = 20;

/// What the directory says about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The recipient that has it, as primary or as proxy address.
    Found(Arc<DirectoryRecipient>),
    /// Nobody has it.
    NotFound,
    /// It could not be asked.
    TransientError,
}

/// A categorization that can go on.
#[derive(Debug)]
pub struct Categorization {
    tables: Arc<RoutingTables>,
    detail: Detail,
    arrival: Arrival,
    limits: SizeCheck,
    /// Whose own limit is still to be asked.
    sender: Option<Address>,
    claim: Claim,
    envelope: VecDeque<Item>,
    members: VecDeque<Item>,
    members_count: usize,
    answers: HashMap<String, Lookup>,
    groups: HashSet<Guid>,
    finals: HashSet<String>,
    resolved: Vec<ResolvedRecipient>,
    failed: Vec<Failed>,
    expanded: Vec<Expanded>,
    merged: Vec<Merged>,
}

/// Who is believed to send a message.
#[derive(Debug)]
struct Claim {
    kind: SenderKind,
    /// The null reverse-path of what is not from a user: a report.
    is_report: bool,
    /// Keys of the addresses that are believed to be his. One that a stranger gives is not, when it is ours.
    addresses: HashSet<String>,
}

impl Claim {
    fn of(message: &Message, organization: &Organization) -> Self {
        let kind = message.sender_kind;
        let believed =
            |sender: &&Address| kind != SenderKind::Anonymous || !organization.is_authoritative(&sender.domain());
        let addresses = message.sender.address().filter(believed).map(Address::key).into_iter().collect();
        let is_report = message.sender == ReversePath::Null && kind != SenderKind::Authenticated;
        Self { kind, is_report, addresses }
    }

    /// Whether he may send to `recipient`. Reports of our own go to everybody.
    fn may_send_to(&self, recipient: &DirectoryRecipient) -> Result<(), RecipientFailure> {
        if self.kind == SenderKind::System {
            return Ok(());
        }
        let is_sender = |address: &Address| self.addresses.contains(&address.key());
        recipient.restrictions.check(self.kind == SenderKind::Authenticated, is_sender).map_err(RecipientFailure::from)
    }
}

/// A recipient on its way to be resolved.
#[derive(Clone, Debug)]
struct Item {
    recipient: Recipient,
    origin: Origin,
    /// How often contacts forwarded it.
    forwards: usize,
}

/// What a categorization begins with.
#[derive(Debug)]
pub enum Begun {
    /// The directory must be asked.
    NeedsRecipients(Box<Pending>),
    /// Nothing that the directory would have to say.
    Ready(Box<Categorization>),
}

/// What [`Categorization::step`] leads to.
#[derive(Debug)]
pub enum Step {
    /// The directory must be asked.
    NeedRecipients(Box<Pending>),
    /// All is decided.
    Done(CategorizationOutcome),
}

/// A categorization that waits for answers of the directory.
#[derive(Debug)]
pub struct Pending {
    categorization: Categorization,
    addresses: Vec<Address>,
}

impl Pending {
    /// One to [`LOOKUP_BATCH_MAX`] addresses.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Goes on with the answers. An address without an answer counts as one that could not be asked.
    #[must_use]
    pub fn supply(mut self, answers: impl IntoIterator<Item = (Address, Lookup)>) -> Categorization {
        let mut known: HashMap<String, Lookup> =
            answers.into_iter().map(|(address, lookup)| (address.key(), lookup)).collect();
        for address in &self.addresses {
            known.entry(address.key()).or_insert(Lookup::TransientError);
        }
        self.categorization.answers = known;
        self.categorization
    }
}

impl Categorization {
    /// Begins with a message, on the server whose tables these are.
    #[must_use]
    pub fn new(tables: Arc<RoutingTables>, message: Message) -> Self {
        let settings = tables.organization().transport_config();
        let limits = SizeCheck::new(message.size.effective(), message.sender_kind, settings);
        let fresh = message.recipients.iter().filter(|incoming| matches!(incoming, Incoming::Fresh(_))).count();
        let count = u32::try_from(fresh).unwrap_or(u32::MAX);
        let crowded = message.arrival == Arrival::FirstServer && !settings.max_recipient_envelope_limit.allows(&count);
        let mut categorization = Self {
            detail: message.detail,
            arrival: message.arrival,
            limits,
            sender: None,
            claim: Claim::of(&message, tables.organization()),
            envelope: VecDeque::new(),
            members: VecDeque::new(),
            members_count: 0,
            answers: HashMap::new(),
            groups: HashSet::new(),
            finals: HashSet::new(),
            resolved: Vec::new(),
            failed: Vec::new(),
            expanded: Vec::new(),
            merged: Vec::new(),
            tables,
        };
        for (at, incoming) in message.recipients.into_iter().enumerate() {
            categorization.admit(incoming, Position(at));
        }
        if crowded {
            categorization.give_up_all(&RecipientFailure::TooManyRecipients);
        }
        let edge = categorization.tables.local_server().role == ServerRole::Edge;
        match message.sender {
            ReversePath::Address(sender) if message.sender_kind == SenderKind::Authenticated && !edge => {
                categorization.sender = Some(sender);
            }
            ReversePath::Address(_) | ReversePath::Null => categorization.check_sender(None),
        }
        categorization
    }

    /// What it asks for first: nothing is decided yet.
    #[must_use]
    pub fn begin(self) -> Begun {
        let asks = self.tables.local_server().role != ServerRole::Edge && !self.envelope.is_empty();
        if !asks {
            return Begun::Ready(Box::new(self));
        }
        let addresses = self.missing();
        Begun::NeedsRecipients(Box::new(Pending { categorization: self, addresses }))
    }

    fn admit(&mut self, incoming: Incoming, position: Position) {
        let recipient = match incoming {
            Incoming::Resolved(resolved) if !self.expands_here(&resolved.home) => {
                return self.settle(ResolvedRecipient { origin: Origin::Envelope(position), ..resolved });
            }
            Incoming::Resolved(ResolvedRecipient { recipient, .. }) | Incoming::Fresh(recipient) => recipient,
        };
        self.envelope.push_back(Item { recipient, origin: Origin::Envelope(position), forwards: 0 });
    }

    fn expands_here(&self, home: &Home) -> bool {
        matches!(home, Home::Expansion(server) if *server == self.tables.local_server().name)
    }

    /// Goes as far as the answers at hand allow.
    #[must_use]
    pub fn step(mut self) -> Step {
        while self.sender.is_some() || !self.envelope.is_empty() || !self.members.is_empty() {
            match self.advance() {
                Progress::Made => {}
                Progress::DirectoryFailed => {
                    let retry_after = self.tables.local_server().transport.resolver_retry_interval;
                    return Step::Done(CategorizationOutcome::DirectoryUnavailable { retry_after });
                }
                Progress::Needs(addresses) => {
                    return Step::NeedRecipients(Box::new(Pending { categorization: self, addresses }));
                }
            }
        }
        Step::Done(CategorizationOutcome::Categorized(Box::new(self.finish())))
    }

    /// The sender, or the next recipient.
    fn advance(&mut self) -> Progress {
        if let Some(sender) = self.sender.take() {
            if self.envelope.is_empty() {
                return Progress::Made; // nobody is left whom a limit could concern
            }
            return match self.answers.get(&sender.key()) {
                None => {
                    self.sender = Some(sender);
                    Progress::Needs(self.missing())
                }
                Some(Lookup::TransientError) => Progress::DirectoryFailed,
                Some(Lookup::Found(found)) => {
                    let found = found.clone();
                    self.claim.addresses.extend(found.addresses().map(Address::key));
                    self.check_sender(Some(&found));
                    Progress::Made
                }
                Some(Lookup::NotFound) => {
                    self.check_sender(None);
                    Progress::Made
                }
            };
        }
        let queue = if self.envelope.is_empty() { &mut self.members } else { &mut self.envelope };
        let Some(item) = queue.front() else { return Progress::Made };
        let answer = if self.tables.local_server().role == ServerRole::Edge {
            Lookup::NotFound // RT-59: an Edge server knows domains, not recipients
        } else {
            match self.answers.get(&item.recipient.address.key()) {
                None => return Progress::Needs(self.missing()),
                Some(answer) => answer.clone(),
            }
        };
        let item = queue.pop_front().expect("it was just looked at");
        match answer {
            Lookup::Found(found) => self.found(item, &found),
            Lookup::NotFound => self.not_found(item),
            Lookup::TransientError => return Progress::DirectoryFailed,
        }
        Progress::Made
    }

    /// The first addresses that no answer is at hand for.
    fn missing(&self) -> Vec<Address> {
        let mut seen = HashSet::new();
        let queue = if self.envelope.is_empty() { &self.members } else { &self.envelope };
        let wanted = self.sender.iter().chain(queue.iter().map(|item| &item.recipient.address));
        wanted
            .filter(|address| {
                let key = address.key();
                !self.answers.contains_key(&key) && seen.insert(key)
            })
            .take(LOOKUP_BATCH_MAX)
            .cloned()
            .collect()
    }

    fn check_sender(&mut self, sender: Option<&DirectoryRecipient>) {
        if let Err(failure) = self.limits.sender(sender) {
            self.give_up_all(&failure);
        }
    }

    fn give_up_all(&mut self, failure: &RecipientFailure) {
        while let Some(item) = self.envelope.pop_front() {
            self.give_up(item, failure.clone());
        }
    }

    fn give_up(&mut self, item: Item, failure: RecipientFailure) {
        self.failed.push(Failed { recipient: item.recipient, origin: item.origin, failure });
    }

    fn found(&mut self, item: Item, found: &Arc<DirectoryRecipient>) {
        let is_group = matches!(found.kind, RecipientKind::DistributionGroup { .. });
        if is_group && self.claim.is_report {
            return self.give_up(item, RecipientFailure::ReportToGroup);
        }
        if let Err(failure) = self.claim.may_send_to(found).and_then(|()| self.limits.recipient(found)) {
            return self.give_up(item, failure);
        }
        match &found.kind {
            RecipientKind::Mailbox { database, .. } => {
                self.settle_as(item, &found.primary_address, Home::Mailbox(database.clone()));
            }
            RecipientKind::MailContact { external_address } => {
                match self.tables.organization().way_to(external_address) {
                    Some(address) => self.forward(item, &address),
                    None => self.give_up(item, RecipientFailure::Routing(NdrReason::NoConnectorForType)),
                }
            }
            RecipientKind::DistributionGroup { expansion_server: Some(server), .. }
                if *server != self.tables.local_server().name =>
            {
                self.settle_as(item, &found.primary_address, Home::Expansion(server.clone())); // RT-72
            }
            RecipientKind::DistributionGroup { members, .. } => self.expand(item, found.guid, members),
        }
    }

    fn not_found(&mut self, item: Item) {
        let address = item.recipient.address.clone();
        let domain = address.domain();
        let organization = self.tables.organization();
        let edge = self.tables.local_server().role == ServerRole::Edge;
        // RT-59, SC-62: what an address of the organization's has inside, the organization knows.
        let encapsulated = match self.arrival {
            _ if edge => None,
            Arrival::FirstServer => organization.encapsulated(&address),
            Arrival::LaterServer => organization.carried(&address),
        };
        if let Some(stand_in) = organization.stand_in(&address).filter(|_| !edge) {
            return self.forward(item, &stand_in);
        }
        if !edge && organization.is_authoritative(&domain) && encapsulated.is_none() {
            return self.give_up(item, RecipientFailure::UnknownRecipient);
        }
        let of_ours = encapsulated.as_ref().and_then(|(kind, text)| organization.x400_domain(kind, text));
        if let Some(domain) = of_ours.filter(|domain| !domain.external_relay) {
            return self.give_up(item, RecipientFailure::UnknownInX400Domain(domain.name.clone())); // EN-72
        }
        let home = encapsulated.map_or(Home::External, |(kind, text)| Home::NonSmtp { kind, text });
        self.settle_outside(item, &address, home);
    }

    fn settle_outside(&mut self, item: Item, address: &Address, home: Home) {
        match self.limits.stranger() {
            Ok(()) => self.settle_as(item, address, home),
            Err(failure) => self.give_up(item, failure),
        }
    }

    /// Follows a contact to its address, which may be anybody's (PL-49, PL-50).
    fn forward(&mut self, mut item: Item, external: &Address) {
        let bears_it = item.recipient.address.key() == external.key();
        if let Some(home) = bears_it.then(|| self.elsewhere(external)).flatten() {
            return self.settle_outside(item, external, home);
        }
        if item.forwards == FORWARDS_MAX {
            return self.give_up(item, RecipientFailure::ForwardingLoop);
        }
        item.forwards += 1;
        item.recipient = redirect(item.recipient, external);
        match item.origin {
            Origin::Envelope(_) => self.envelope.push_back(item),
            Origin::Member(_) => self.members.push_back(item),
        }
    }

    /// What an address is that is nobody's here unless the directory says so; nothing of one that only the directory knows.
    fn elsewhere(&self, address: &Address) -> Option<Home> {
        let organization = self.tables.organization();
        let Some((kind, text)) = organization.encapsulated(address) else {
            return (!organization.is_authoritative(&address.domain())).then_some(Home::External);
        };
        let ours = organization.x400_domain(&kind, &text).is_some_and(|domain| !domain.external_relay);
        (!ours).then_some(Home::NonSmtp { kind, text })
    }

    /// Puts the members in the group's place (PL-49).
    fn expand(&mut self, item: Item, group: Guid, members: &[Address]) {
        if !self.groups.insert(group) {
            self.merged.push(Merged { address: item.recipient.address, origin: item.origin });
            return;
        }
        if self.members_count + members.len() > EXPANDED_RECIPIENTS_MAX {
            return self.give_up(item, RecipientFailure::ExpansionTooLarge);
        }
        self.members_count += members.len();
        // What a stranger gave as ORCPT is not repeated for every member: the group of the envelope tells where it came from.
        let original = match item.origin {
            Origin::Envelope(_) => Some(original_recipient(&item.recipient.address)),
            Origin::Member(_) => item.recipient.original.clone(),
        };
        for member in members {
            let recipient = Recipient {
                address: member.clone(),
                notify: without_success(item.recipient.notify),
                original: original.clone(),
            };
            let origin = Origin::Member(item.origin.position());
            self.members.push_back(Item { recipient, origin, forwards: 0 });
        }
        if let Origin::Envelope(position) = item.origin {
            self.expanded.push(Expanded { recipient: item.recipient, position });
        }
    }

    fn settle_as(&mut self, item: Item, address: &Address, home: Home) {
        let recipient = redirect(item.recipient, address);
        self.settle(ResolvedRecipient { recipient, home, origin: item.origin });
    }

    /// Takes a final recipient, once.
    fn settle(&mut self, resolved: ResolvedRecipient) {
        if self.finals.insert(resolved.recipient.address.key()) {
            self.resolved.push(resolved);
        } else {
            self.merged.push(Merged { address: resolved.recipient.address, origin: resolved.origin });
        }
    }
}

enum Progress {
    Made,
    Needs(Vec<Address>),
    DirectoryFailed,
}

/// The recipient under another address; the one used so far is kept as `ORCPT` unless there is one (PL-44).
fn redirect(recipient: Recipient, address: &Address) -> Recipient {
    let used = &recipient.address;
    let original = match recipient.original {
        None if used.key() != address.key() => Some(original_recipient(used)),
        original => original,
    };
    Recipient { address: address.clone(), notify: recipient.notify, original }
}

/// `rfc822;address`, or `utf-8;address` with other characters as `\x{…}` (RFC 6533 §3).
fn original_recipient(address: &Address) -> OriginalRecipient {
    if address.is_ascii() {
        return OriginalRecipient { kind: "rfc822".into(), address: address.as_str().into() };
    }
    OriginalRecipient { kind: "utf-8".into(), address: address.utf8_xtext().into() }
}

/// Success of a group is told at its expansion, not by its members (RFC 3461 §5.2.7.3).
fn without_success(notify: Option<Notify>) -> Option<Notify> {
    match notify {
        Some(Notify::On { failure: false, delay: false, .. }) => Some(Notify::Never),
        Some(Notify::On { failure, delay, .. }) => Some(Notify::On { success: false, failure, delay }),
        other => other,
    }
}
