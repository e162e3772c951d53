//! Queues and messages as the shell shows them: the documented properties, in the order of the pages.

use std::rc::Rc;

use envelope::{ServerName, Timestamp};
use shell::{Call, Failure, Object, Session, Value};
use time::OffsetDateTime;

use super::{MessageInfo, QueueInfo};

/// The type of queues.
pub(crate) const QUEUE: &str = "ExtensibleQueueInfo";
/// The type of messages.
pub(crate) const MESSAGE: &str = "ExtensibleMessageInfo";
/// The type of what `Get-QueueDigest` gives.
pub(crate) const DIGEST: &str = "QueueDigestPresentationObject";
/// The type of what `Export-Message` gives.
pub(crate) const EXPORTED: &str = "ExportedMessage";
/// Ticks of 100 ns in a millisecond.
const TICKS: u64 = 10_000;

/// The columns of their tables (CM-75).
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let names: &[&'static str] = match of {
        QUEUE => &[
            "Identity",
            "DeliveryType",
            "Status",
            "MessageCount",
            "Velocity",
            "RiskLevel",
            "OutboundIPPool",
            "NextHopDomain",
        ],
        MESSAGE => &["Identity", "FromAddress", "Status", "Queue", "Subject"],
        DIGEST => &["GroupByValue", "MessageCount", "DeferredMessageCount", "LockedMessageCount", "Details"],
        EXPORTED => &["Identity", "Length"],
        _ => return None,
    };
    Some(names.iter().map(|name| (*name, *name)).collect())
}

/// `MAIL1\7`, `MAIL1\Unreachable`
pub(crate) fn queue_identity(server: &ServerName, number: u64) -> String {
    match number {
        0 => format!("{server}\\Submission"),
        1 => format!("{server}\\Unreachable"),
        2 => format!("{server}\\Poison"),
        number => format!("{server}\\{number}"),
    }
}

pub(crate) fn message_identity(server: &ServerName, queue: u64, message: u64) -> String {
    format!("{}\\{message}", queue_identity(server, queue))
}

fn date(at: Timestamp) -> Value {
    Value::Date(OffsetDateTime::from(std::time::SystemTime::from(at)))
}

fn text(text: Option<&String>) -> Value {
    text.map_or(Value::Null, |text| Value::of(text.as_str()))
}

fn count(count: u64) -> Value {
    Value::Whole(i64::try_from(count).unwrap_or(i64::MAX))
}

/// High, Normal, Low, None: all mail is Normal.
fn by_priority(all: u64) -> Value {
    Value::list(vec![count(0), count(all), count(0), count(0)])
}

fn word(of: &str, word: &str) -> Value {
    Value::Word(of.into(), word.into())
}

/// To two places, as the pages show rates.
fn rate(rate: f64) -> Value {
    Value::Real((rate * 100.0).round() / 100.0)
}

pub(crate) fn queue(server: &ServerName, queue: &QueueInfo) -> Rc<Object> {
    let identity = queue_identity(server, queue.number);
    let moment = |at: Option<Timestamp>| at.map_or(Value::Null, date);
    let properties = vec![
        ("Identity", Value::of(identity.as_str())),
        ("DeliveryType", word("DeliveryType", &queue.delivery_type)),
        ("NextHopDomain", Value::of(queue.next_hop_domain.as_str())),
        ("TlsDomain", text(queue.tls_domain.as_ref())),
        ("NextHopConnector", Value::of(queue.next_hop_connector.as_str())),
        ("Status", word("QueueStatus", &queue.status)),
        ("MessageCount", count(queue.message_count)),
        ("LastError", text(queue.last_error.as_ref())),
        ("RetryCount", Value::Whole(queue.retry_count.into())),
        ("LastRetryTime", moment(queue.last_retry)),
        ("NextRetryTime", moment(queue.next_retry)),
        ("FirstRetryTime", moment(queue.first_retry)),
        ("DeferredMessageCount", count(queue.deferred_message_count)),
        ("LockedMessageCount", count(0)),
        ("MessageCountsPerPriority", by_priority(queue.message_count)),
        ("DeferredMessageCountsPerPriority", by_priority(queue.deferred_message_count)),
        ("RiskLevel", word("RiskLevel", "Normal")),
        ("OutboundIPPool", Value::Whole(0)),
        ("NextHopCategory", word("NextHopCategory", &queue.next_hop_category)),
        ("IncomingRate", rate(queue.incoming_rate)),
        ("OutgoingRate", rate(queue.outgoing_rate)),
        ("Velocity", rate(queue.outgoing_rate - queue.incoming_rate)),
        ("OverrideSource", Value::Null),
        ("QueueIdentity", Value::of(identity.as_str())),
        ("PriorityDescriptions", Value::list(["High", "Normal", "Low", "None"].map(Value::of).into())),
        ("IsValid", Value::Bool(true)),
    ];
    object(QUEUE, &identity, properties)
}

/// With its recipients, where somebody asked for them (QU-53).
pub(crate) fn message(server: &ServerName, message: &MessageInfo, recipients: bool, now: OffsetDateTime) -> Rc<Object> {
    let identity = message_identity(server, message.queue, message.number);
    let latency =
        Timestamp::from(std::time::SystemTime::from(now)).as_millis().saturating_sub(message.received.as_millis());
    let latency = i64::try_from(latency.saturating_mul(TICKS)).unwrap_or(i64::MAX);
    let to = if recipients {
        Value::list(message.recipients.iter().map(|to| recipient(message, to)).collect())
    } else {
        Value::Null
    };
    let properties = vec![
        ("Identity", Value::of(identity.as_str())),
        ("Subject", text(message.subject.as_ref())),
        ("InternetMessageId", text(message.internet_message_id.as_ref())),
        ("FromAddress", Value::of(message.from.as_str())),
        ("Status", word("MessageStatus", &message.status)),
        ("Size", Value::Size(message.size.as_u64())),
        ("MessageSourceName", Value::of(message.source.as_str())),
        ("SourceIP", Value::Null),
        ("SCL", Value::Whole(message.scl.unwrap_or(-1).into())),
        ("DateReceived", date(message.received)),
        ("ExpirationTime", date(message.expires)),
        ("LastError", text(message.last_error.as_ref())),
        ("RetryCount", Value::Whole(message.retry_count.into())),
        ("Queue", Value::of(queue_identity(server, message.queue))),
        ("Recipients", to),
        ("ComponentLatency", Value::Null),
        ("MessageLatency", Value::Span(latency)),
        ("DeferReason", Value::of("None")),
        ("LockReason", Value::Null),
        ("Priority", word("Priority", "Normal")),
        ("Directionality", word("MailDirectionality", if message.originating { "Originating" } else { "Incoming" })),
        ("OriginalFromAddress", Value::of(message.from.as_str())),
        ("AccountForest", Value::Null),
        ("NetworkMessageId", Value::of(message.id.as_str())),
        ("IsValid", Value::Bool(true)),
    ];
    object(MESSAGE, &identity, properties)
}

/// A recipient as the pages have it: fields joined by semicolons, for `-Filter` and for a list (QU-52).
fn recipient(message: &MessageInfo, address: &str) -> Value {
    let to = message.final_destination.clone().unwrap_or_default();
    let kind = match to.as_str() {
        to if to.starts_with("SmtpDeliveryToMailbox") || to.starts_with("SmtpRelayToDag") => "Mailbox",
        to if to.starts_with("SmtpRelayToServers") => "Distribution Group",
        to if to.starts_with("SmtpRelay") => "Mailbox",
        _ => "External",
    };
    let status = if message.last_error.is_some() { "Retry" } else { "Ready" };
    let error = message.last_error.clone().unwrap_or_default();
    let whole = format!("{address};{kind};{status};{error};{to}");
    let properties = vec![
        ("Address", Value::of(address)),
        ("Type", Value::of(kind)),
        ("FinalDestination", Value::of(to)),
        ("Status", Value::of(status)),
        ("LastError", Value::of(error)),
    ];
    Value::Object(object("RecipientInfo", &whole, properties))
}

pub(crate) fn object(of: &str, text: &str, properties: Vec<(&'static str, Value)>) -> Rc<Object> {
    let properties = properties.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Object::new(of, Some(text), properties)
}

/// What `Export-Message` gives.
pub(crate) fn exported(identity: &str, octets: Vec<u8>) -> Value {
    let length = Value::count(octets.len());
    let properties =
        vec![("Identity", Value::of(identity)), ("Length", length), ("FileData", Value::Octets(octets.into()))];
    Value::Object(object(EXPORTED, identity, properties))
}

/// `AssembleMessage`: writes an exported message into a file.
///
/// # Errors
/// What is no exported message, and a file that cannot be written.
pub(crate) fn assemble(call: &Call<'_>, session: &mut Session<'_>) -> Result<(), Failure> {
    let Some(Value::Object(object)) = call.bound.get("InputObject") else { return Err(nothing()) };
    let Some(Value::Octets(octets)) = object.get("FileData") else { return Err(nothing()) };
    let path = call.bound.text("Path").unwrap_or_default();
    session.save(&path, &octets).map_err(|why| Failure::new("WriteError", "FileNotWritten", why).about(path))
}

fn nothing() -> Failure {
    let message = "AssembleMessage takes what Export-Message gives.";
    Failure::new("InvalidArgument", "NoExportedMessage", message)
        .advise("Export-Message … | AssembleMessage -Path file.eml")
}
