//! What a plan would do to mail: which of what waits now, and of the addresses that came in the last days, would take another way
//! or none. Asked of the servers that run; what they do not say is said not to be known, and stands in no change's way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use admin_api::queues::{MESSAGES_MAX, MessagesRequest};
use anyhow::Context;
use directory::Administration;
use envelope::{Address, ByteSize, ReversePath, ServerName};
use futures::{StreamExt, pin_mut};
use inquiry::{Difference, Inquiry, KnownRecipients, Sender, Subject, Tally, differences};
use logs::search::{Line, Query, RESULTS_MAX};
use organization::{Change, Object, Plan};
use topology::{DirectoryRecipient, Organization, OrganizationDraft};

use super::explain::difference;
use super::place::Place;
use super::queued::Transports;
use super::{source, times};
use crate::answers::Palette;

/// How far back tracking logs are looked at.
pub(crate) const DAYS: u64 = 3;
/// Time for all servers to say what they have.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
/// Different questions that are asked. Ours: some seconds of work.
const SUBJECTS_MAX: usize = 20_000;

/// The organization as it is, and as it is to be.
pub(crate) struct Wanted<'a> {
    pub(crate) before: Arc<Organization>,
    pub(crate) after: OrganizationDraft,
    pub(crate) recipients: Then<'a>,
}

/// Recipients as they are to be.
pub(crate) enum Then<'a> {
    /// As they are.
    Same,
    /// These and no others.
    These(Vec<DirectoryRecipient>),
    /// As they are, but for what a plan changes.
    Changed(&'a Plan),
}

/// The impact in words, or why it is not known; nothing where no server runs.
pub(crate) async fn of(place: &Place, directory: &dyn Administration, wanted: Wanted<'_>) -> String {
    match directory.presences().await {
        Ok(there) if there.is_empty() => return String::new(),
        _ => {}
    }
    let found = tokio::time::timeout(TIMEOUT, told(place, directory, wanted)).await;
    let found = found.unwrap_or_else(|_| Err(anyhow::anyhow!("the servers did not answer in time")));
    found.unwrap_or_else(|error| format!("\nImpact on mail: not known: {error:#}.\n"))
}

/// What a plan would do to mail.
pub(crate) struct Effect {
    pub(crate) waiting: usize,
    pub(crate) seen: usize,
    pub(crate) asked: usize,
    pub(crate) found: Vec<Difference>,
    /// What could not be found out.
    pub(crate) notes: Vec<String>,
}

async fn told(place: &Place, directory: &dyn Administration, wanted: Wanted<'_>) -> anyhow::Result<String> {
    let Effect { waiting, seen, asked, found, notes } = found(place, directory, wanted).await?;
    let mut text = format!("\nImpact on mail ({waiting} waiting, {seen} of the last {DAYS} days):\n");
    text.push_str(&difference::text(&found, Tally::of(asked, &found), Palette::of_output()));
    for note in notes {
        text.push_str(&format!("Not known: {note}.\n"));
    }
    Ok(text)
}

/// The impact as values.
pub(crate) async fn found(place: &Place, directory: &dyn Administration, wanted: Wanted<'_>) -> anyhow::Result<Effect> {
    let transports = Transports::open(place).await?;
    let Found { subjects, waiting, seen, notes } = subjects(&transports, &wanted.before).await;
    let Wanted { before, after, recipients } = wanted;
    let after = Organization::validate(after, before.revision()).context("the organization would not be valid")?;
    let organizations: [&Organization; 2] = [&before, &after];
    let known = source::gather(directory, &subjects, &organizations).await?;
    let then = match recipients {
        Then::Same => known.clone(),
        Then::These(recipients) => KnownRecipients::all(recipients),
        Then::Changed(plan) => source::gather_changed(directory, &subjects, &organizations, &changed(plan)).await?,
    };
    let (mut before, mut after) = (Inquiry::new(before, known), Inquiry::new(Arc::new(after), then));
    let found = differences(&subjects, &mut before, &mut after)?;
    Ok(Effect { waiting, seen, asked: subjects.len(), found, notes })
}

/// Addresses that a plan gives to somebody, or takes from everybody.
fn changed(plan: &Plan) -> HashMap<String, Option<DirectoryRecipient>> {
    let mut changed = HashMap::new();
    let lost = plan.changes.iter().filter_map(|change| match change {
        Change::Update { from: object, .. } | Change::Delete(object) => Some(object),
        Change::Create(_) => None,
    });
    changed.extend(lost.flat_map(Object::addresses).map(|address| (address.key(), None)));
    let gained = plan.changes.iter().filter_map(|change| match change {
        Change::Create(Object::Recipient(to)) | Change::Update { to: Object::Recipient(to), .. } => Some(&**to),
        _ => None,
    });
    changed.extend(gained.flat_map(|to| to.addresses().map(|address| (address.key(), Some(to.clone())))));
    changed
}

/// What is asked about, and what could not be found out.
struct Found {
    subjects: Vec<Subject>,
    waiting: usize,
    seen: usize,
    notes: Vec<String>,
}

async fn subjects(transports: &Transports, organization: &Organization) -> Found {
    let mut found = Found { subjects: Vec::new(), waiting: 0, seen: 0, notes: Vec::new() };
    let mut known: HashSet<(String, Option<String>, u64, String)> = HashSet::new();
    let mut take = |subjects: &mut Vec<Subject>, subject: Subject| {
        let sender = subject.sender.text();
        let key = (subject.recipient.key(), sender, subject.size.as_u64(), subject.from.to_string());
        let new = subjects.len() < SUBJECTS_MAX && known.insert(key);
        if new {
            subjects.push(subject);
        }
        usize::from(new)
    };
    for server in transports.servers().into_iter().filter(|server| organization.server(server).is_some()) {
        match waiting(transports, &server).await {
            Ok(subjects) => {
                found.waiting += subjects.into_iter().map(|one| take(&mut found.subjects, one)).sum::<usize>();
            }
            Err(error) => found.notes.push(format!("what waits on {server}: {error:#}")),
        }
        match seen(transports, &server).await {
            Ok(subjects) => found.seen += subjects.into_iter().map(|one| take(&mut found.subjects, one)).sum::<usize>(),
            Err(error) => found.notes.push(format!("what {server} received: {error:#}")),
        }
    }
    found
}

async fn waiting(transports: &Transports, server: &ServerName) -> anyhow::Result<Vec<Subject>> {
    let request = MessagesRequest { limit: MESSAGES_MAX, ..MessagesRequest::default() };
    let messages = transports.messages(server, request).await?;
    pin_mut!(messages);
    let mut subjects = Vec::new();
    while let Some(message) = messages.next().await {
        let message = message?;
        let sender = sender(&message.sender);
        subjects.extend(message.recipients.iter().map(|recipient| Subject {
            recipient: recipient.clone(),
            sender: sender.clone(),
            size: message.size,
            from: server.clone(),
        }));
    }
    Ok(subjects)
}

/// What a server took over: each recipient as its Transport was to route it.
async fn seen(transports: &Transports, server: &ServerName) -> anyhow::Result<Vec<Subject>> {
    let start = times::before(times::now(), Duration::from_secs(DAYS * 24 * 3600));
    let query = Query { start: Some(start), event_id: Some("RECEIVE".to_owned()), ..Query::default() };
    let lines = transports.track(server, &query, RESULTS_MAX).await?;
    Ok(lines.iter().flat_map(|line| of_line(line, server)).collect())
}

fn of_line(line: &Line, server: &ServerName) -> Vec<Subject> {
    let sender = ReversePath::parse(line.get("return-path").trim_matches(['<', '>'])).unwrap_or(ReversePath::Null);
    let size = ByteSize::bytes(line.get("total-bytes").parse().unwrap_or_default());
    let recipients = line.get("recipient-address").split(';').filter_map(|address| Address::parse(address).ok());
    let subject = |recipient| Subject { recipient, sender: self::sender(&sender), size, from: server.clone() };
    recipients.map(subject).collect()
}

fn sender(path: &ReversePath) -> Sender {
    match path {
        ReversePath::Address(address) => Sender::Address(address.clone()),
        ReversePath::Null => Sender::Null,
    }
}
