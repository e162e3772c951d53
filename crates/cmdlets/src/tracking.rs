//! `Get-MessageTrackingLog`: what the message tracking logs of a server say (LG-16 ff., LG-23). [`Tracking`] is what whoever embeds the
//! commands implements: the search of `postroad track`.

use std::rc::Rc;

use envelope::{ServerName, Timestamp};
use shell::{Call, Failure, Object, Objects, Parameter, Session, Signature, Takes, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use topology::OrganizationDraft;

use crate::queues::server_of;

/// The type of events.
const EVENT: &str = "MessageTrackingEvent";
/// The command.
pub(crate) const GET: &str = "Get-MessageTrackingLog";
/// Events unless told otherwise, and at most (CM-76).
const RESULTS_DEFAULT: usize = 1_000;
const RESULTS_MAX: usize = 100_000;

/// The message tracking logs of servers.
pub trait Tracking {
    /// The newest `limit` events on a server that are looked for, the oldest of them first.
    ///
    /// # Errors
    /// Why the server cannot be asked.
    fn search(
        &mut self,
        server: &ServerName,
        wanted: &TrackingSearch,
        limit: usize,
    ) -> Result<Vec<TrackedEvent>, String>;
}

/// What is looked for: everything that is given must hold; of several recipients one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackingSearch {
    /// `Start`
    pub start: Option<Timestamp>,
    /// `End`, exclusive.
    pub end: Option<Timestamp>,
    /// `EventId`
    pub event_id: Option<String>,
    /// `Source`
    pub source: Option<String>,
    /// `MessageId`
    pub message_id: Option<String>,
    /// `InternalMessageId`, `NetworkMessageId`: one of them.
    pub ids: Vec<String>,
    /// `Recipients`
    pub recipients: Vec<String>,
    /// `Sender`
    pub sender: Option<String>,
    /// `MessageSubject`: a part of it.
    pub subject: Option<String>,
}

/// One event: the fields of its line, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackedEvent(pub Vec<(String, String)>);

/// The command.
pub(crate) fn signature() -> Signature {
    let text = |name: &str, help: &str| Parameter::new(name, Takes::Text, help);
    let example = |command: &str, meaning: &str| (Rc::from(command), Rc::from(meaning));
    let server = Parameter {
        accepts: vec!["ExchangeServer".into(), "TransportServer".into()],
        ..text(
            "Server",
            "Of which server: this one unless told otherwise; of all where it is not known which one this is.",
        )
        .piped()
    };
    Signature {
        name: GET.into(),
        synopsis: "Shows what the message tracking log of a server says about messages, the oldest first.".into(),
        examples: vec![
            example(
                "Get-MessageTrackingLog -Server MBX01 -Start \"03/13/2026 09:00:00\" -Sender anna@contoso.com",
                "what became of Anna's mail",
            ),
            example(
                "Get-TransportService | Get-MessageTrackingLog -EventId FAIL -ResultSize unlimited | Format-List",
                "every failure, on all servers",
            ),
        ],
        returns: EVENT.into(),
        parameters: vec![
            server,
            Parameter::new("Start", Takes::Date, "Only from this time on; UTC."),
            Parameter::new("End", Takes::Date, "Only before this time."),
            text("EventId", "Only this event: RECEIVE, SEND, DELIVER, DEFER, FAIL, …"),
            text("Source", "Only what this part did: SMTP, ROUTING, QUEUE, …"),
            text("Sender", "Only mail of this sender."),
            Parameter::new("Recipients", Takes::List, "Only mail for one of these."),
            text("MessageId", "Only this message: its Message-ID, with or without <>."),
            text("InternalMessageId", "Only this message: its number on the server."),
            text("NetworkMessageId", "Only this message: its id within the organization."),
            text("MessageSubject", "Only with this in the subject."),
            text("Reference", "Only with this in the reference: what a notification is about."),
            text("TransportTrafficType", "Only of this kind of traffic."),
            Parameter::new("ResultSize", Takes::Any, "How many at most, the newest: 1000 unless told otherwise."),
            text("DomainController", "Accepted without effect: there is one directory."),
        ],
        ..Signature::default()
    }
}

/// The columns of its table (CM-75).
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let names = ["EventId", "Source", "Sender", "Recipients", "MessageSubject"];
    (of == EVENT).then(|| names.map(|name| (name, name)).to_vec())
}

/// `Get-MessageTrackingLog`
pub(crate) fn get(
    tracking: &mut dyn Tracking,
    draft: &OrganizationDraft,
    local: Option<ServerName>,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let text = |name: &str| call.bound.text(name).filter(|text| !text.is_empty());
    let moment = |name: &str| match call.bound.get(name) {
        Some(Value::Date(date)) => Some(Timestamp::from(std::time::SystemTime::from(*date))),
        _ => None,
    };
    let servers = match (text("Server"), local) {
        (Some(named), _) => vec![server_of(draft, &named)?],
        (None, Some(local)) => vec![local],
        (None, None) => draft.servers.iter().map(|server| server.name.clone()).collect(),
    };
    let wanted = TrackingSearch {
        start: moment("Start"),
        end: moment("End"),
        event_id: text("EventId"),
        source: text("Source"),
        message_id: text("MessageId"),
        ids: text("InternalMessageId").or_else(|| text("NetworkMessageId")).into_iter().collect(),
        recipients: call.bound.get("Recipients").map(Value::each).unwrap_or_default().iter().map(Value::text).collect(),
        sender: text("Sender"),
        subject: text("MessageSubject"),
    };
    let limit = match text("ResultSize") {
        Some(size) if size.eq_ignore_ascii_case("unlimited") => RESULTS_MAX,
        Some(size) => size.parse().unwrap_or(RESULTS_DEFAULT).min(RESULTS_MAX),
        None => RESULTS_DEFAULT,
    };
    // What the search does not know is looked for among all that it finds.
    let further = [("Reference", "reference"), ("TransportTrafficType", "transport-traffic-type")];
    let further: Vec<(&str, String)> =
        further.into_iter().filter_map(|(name, field)| Some((field, text(name)?))).collect();
    let asked = if further.is_empty() { limit } else { RESULTS_MAX };
    let mut found = Vec::new();
    for server in servers {
        let away = |why| Failure::new("ResourceUnavailable", "ServerUnavailable", why).about(server.as_str());
        let events = tracking.search(&server, &wanted, asked).map_err(away)?.into_iter();
        let has = |event: &TrackedEvent| {
            let parts = |field: &str| event.get(field).split(';').map(str::to_owned).collect::<Vec<_>>();
            further.iter().all(|(field, wanted)| parts(field).iter().any(|part| part.eq_ignore_ascii_case(wanted)))
        };
        found.extend(events.filter(has).map(|event| (server.clone(), event)));
    }
    found.sort_by(|(_, one), (_, other)| one.get("date-time").cmp(other.get("date-time")));
    if found.len() > limit || (found.len() == limit && !call.bound.has("ResultSize")) {
        session.warn(&format!("There are more results; the newest {limit} are shown, and -ResultSize says how many."));
    }
    let over = found.len().saturating_sub(limit);
    Ok(Box::new(found.into_iter().skip(over).map(|(server, event)| Value::Object(shown(&server, &event)))))
}

impl TrackedEvent {
    fn get(&self, field: &str) -> &str {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

fn shown(server: &ServerName, event: &TrackedEvent) -> Rc<Object> {
    let mut properties: Vec<(Rc<str>, Value)> =
        event.0.iter().map(|(field, text)| (Rc::from(property(field)), value(field, text))).collect();
    properties.push(("Server".into(), Value::of(server.as_str())));
    Object::new(EVENT, None, properties)
}

/// The documented name of a field: without dashes, but for three (LG-23).
fn property(field: &str) -> String {
    match field {
        "date-time" => "Timestamp".to_owned(),
        "recipient-address" => "Recipients".to_owned(),
        "sender-address" => "Sender".to_owned(),
        _ => field.split('-').map(capital).collect(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

fn value(field: &str, text: &str) -> Value {
    let list = |separator: char| {
        let parts = text.split(separator).filter(|_| !text.is_empty());
        Value::list(parts.map(Value::of).collect())
    };
    match field {
        "date-time" => OffsetDateTime::parse(text, &Rfc3339).map_or_else(|_| Value::of(text), Value::Date),
        "recipient-address" | "recipient-status" | "reference" => list(';'),
        "total-bytes" | "recipient-count" => text.parse().map_or(Value::Null, Value::Whole),
        _ => Value::of(text),
    }
}
