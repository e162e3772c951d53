//! `Search-AdminAuditLog` and `Get-AdminAuditLogConfig`: what was changed and refused, by whom. [`AuditLog`] is what whoever embeds
//! the commands implements.

use std::rc::Rc;

use envelope::Timestamp;
use shell::{Call, Failure, Object, Objects, Parameter, Session, Signature, Takes, Value};
use time::OffsetDateTime;

/// The type of entries.
const EVENT: &str = "AdminAuditLogEvent";
/// Entries unless told otherwise, and at most (Search-AdminAuditLog).
const RESULTS_DEFAULT: i64 = 1_000;
const RESULTS_MAX: i64 = 250_000;
/// For how long they are kept.
const AGE_DAYS: i64 = 90;
const TICKS_OF_DAY: i64 = 864_000_000_000;

/// The audit log of a server.
pub trait AuditLog {
    /// What is looked for, the newest first.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn search(&mut self, wanted: &AuditSearch) -> Result<Vec<AuditEntry>, String>;
}

/// What is looked for: everything that is given must hold; of a list one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSearch {
    /// `StartDate`
    pub start: Option<Timestamp>,
    /// `EndDate`
    pub end: Option<Timestamp>,
    /// `Cmdlets`
    pub cmdlets: Vec<String>,
    /// `ObjectIds`
    pub object_ids: Vec<String>,
    /// `UserIds`
    pub user_ids: Vec<String>,
    /// `Parameters`
    pub parameters: Vec<String>,
    /// `IsSuccess`
    pub success: Option<bool>,
    /// `StartIndex`
    pub start_index: usize,
    /// `ResultSize`
    pub limit: usize,
}

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, as RFC 3339.
    pub at: String,
    /// Who.
    pub caller: String,
    /// Through what, and from where.
    pub through: String,
    /// From where.
    pub client: String,
    /// What was done.
    pub cmdlet: String,
    /// To what.
    pub object: String,
    /// The properties that were named.
    pub parameters: Vec<String>,
    /// What they were and are.
    pub modified: Vec<String>,
    /// Whether it was done.
    pub succeeded: bool,
    /// Why not.
    pub error: String,
    /// On which server.
    pub server: String,
    /// Number of the line.
    pub id: String,
}

/// The two commands.
pub(crate) fn signatures() -> Vec<Signature> {
    let list = |name: &str, help: &str| Parameter::new(name, Takes::List, help);
    let whole = |name: &str, most: i64, help: &str| Parameter::new(name, Takes::Whole(0, most), help);
    let parameters = vec![
        list("Cmdlets", "Only what was done by these: Set-SendConnector."),
        Parameter::new("StartDate", Takes::Date, "Only from this time on; UTC."),
        Parameter::new("EndDate", Takes::Date, "Only before this time."),
        list("ObjectIds", "Only changes of these objects: names or GUIDs."),
        list("UserIds", "Only changes by these."),
        list("Parameters", "Only where one of these properties was set."),
        Parameter::new("IsSuccess", Takes::Bool, "Only what was done, or only what was not."),
        Parameter::new("ExternalAccess", Takes::Bool, "Accepted without effect: nobody outside administers."),
        whole("ResultSize", RESULTS_MAX, "How many at most, the newest: 1000 unless told otherwise."),
        whole("StartIndex", RESULTS_MAX, "How many are passed over before the first."),
        Parameter::new("DomainController", Takes::Text, "Accepted without effect: there is one directory."),
    ];
    let example = |command: &str, meaning: &str| (Rc::from(command), Rc::from(meaning));
    let search = Signature {
        name: "Search-AdminAuditLog".into(),
        synopsis: "Shows what was changed, acted upon and refused: by whom, when, from what to what; the newest first."
            .into(),
        examples: vec![
            example(
                "Search-AdminAuditLog -Cmdlets Set-SendConnector -Parameters SmartHosts",
                "who changed smart hosts",
            ),
            example(
                "Search-AdminAuditLog -UserIds anna -StartDate 1/24/2026 -EndDate 2/12/2026 | Format-List",
                "what Anna did",
            ),
        ],
        returns: EVENT.into(),
        parameters,
        ..Signature::default()
    };
    let config = Signature {
        name: "Get-AdminAuditLogConfig".into(),
        synopsis: "Shows what is written into the audit log, and for how long it is kept; neither can be changed."
            .into(),
        examples: vec![example("Get-AdminAuditLogConfig", "how it is")],
        returns: "AdminAuditLogConfig".into(),
        parameters: vec![Parameter::new(
            "DomainController",
            Takes::Text,
            "Accepted without effect: there is one directory.",
        )],
        ..Signature::default()
    };
    vec![search, config]
}

/// The columns of their tables.
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let names: &[&'static str] = match of {
        EVENT => &["RunDate", "Caller", "CmdletName", "ObjectModified", "Succeeded"],
        "AdminAuditLogConfig" => &["Name", "AdminAuditLogEnabled", "AdminAuditLogAgeLimit"],
        _ => return None,
    };
    Some(names.iter().map(|name| (*name, *name)).collect())
}

/// `Search-AdminAuditLog`
pub(crate) fn search(log: &mut dyn AuditLog, call: &Call<'_>, session: &mut Session<'_>) -> Result<Objects, Failure> {
    let texts = |name: &str| {
        let all = call.bound.get(name).map(Value::each).unwrap_or_default();
        all.iter().map(Value::text).collect::<Vec<_>>()
    };
    let moment = |name: &str| match call.bound.get(name) {
        Some(Value::Date(date)) => Some(Timestamp::from(std::time::SystemTime::from(*date))),
        _ => None,
    };
    let whole = |name: &str, default: i64| match call.bound.get(name) {
        Some(Value::Whole(whole)) => usize::try_from(*whole).unwrap_or_default(),
        _ => usize::try_from(default).unwrap_or_default(),
    };
    let limit = whole("ResultSize", RESULTS_DEFAULT);
    let wanted = AuditSearch {
        start: moment("StartDate"),
        end: moment("EndDate"),
        cmdlets: texts("Cmdlets"),
        object_ids: texts("ObjectIds"),
        user_ids: texts("UserIds"),
        parameters: texts("Parameters"),
        success: call.bound.get("IsSuccess").map(Value::truth),
        start_index: whole("StartIndex", 0),
        limit,
    };
    let away = |why| Failure::new("ResourceUnavailable", "AuditLogUnavailable", why);
    let found = log.search(&wanted).map_err(away)?;
    if found.len() == limit && !call.bound.has("ResultSize") {
        session.warn(&format!(
            "There may be more results; -ResultSize says how many are shown, {limit} unless told otherwise."
        ));
    }
    Ok(Box::new(found.into_iter().map(|entry| Value::Object(shown(&entry)))))
}

/// `Get-AdminAuditLogConfig`
pub(crate) fn config() -> Objects {
    let all = || Value::list(vec![Value::of("*")]);
    let properties = vec![
        ("Name".into(), Value::of("Admin Audit Log Settings")),
        ("AdminAuditLogEnabled".into(), Value::Bool(true)),
        ("AdminAuditLogCmdlets".into(), all()),
        ("AdminAuditLogParameters".into(), all()),
        ("AdminAuditLogAgeLimit".into(), Value::Span(AGE_DAYS * TICKS_OF_DAY)),
        ("LogLevel".into(), Value::of("Verbose")),
        ("TestCmdletLoggingEnabled".into(), Value::Bool(false)),
    ];
    let object = Object::new("AdminAuditLogConfig", Some("Admin Audit Log Settings"), properties);
    Box::new(std::iter::once(Value::Object(object)))
}

fn shown(entry: &AuditEntry) -> Rc<Object> {
    let list = |items: &[String]| Value::list(items.iter().map(|item| Value::of(item.as_str())).collect());
    let date = OffsetDateTime::parse(&entry.at, &time::format_description::well_known::Rfc3339);
    let text = |text: &str| Value::of(text);
    let properties = vec![
        ("ObjectModified".into(), text(&entry.object)),
        ("CmdletName".into(), text(&entry.cmdlet)),
        ("CmdletParameters".into(), list(&entry.parameters)),
        ("ModifiedProperties".into(), list(&entry.modified)),
        ("Caller".into(), text(&entry.caller)),
        ("ExternalAccess".into(), Value::Bool(false)),
        ("Succeeded".into(), Value::Bool(entry.succeeded)),
        ("Error".into(), if entry.error.is_empty() { text("None") } else { text(&entry.error) }),
        ("RunDate".into(), date.map_or_else(|_| text(&entry.at), Value::Date)),
        ("OriginatingServer".into(), text(&entry.server)),
        ("ClientIP".into(), text(&entry.client)),
        ("Through".into(), text(&entry.through)),
        ("Identity".into(), text(&entry.id)),
        ("IsValid".into(), Value::Bool(true)),
    ];
    Object::new(EVENT, Some(&entry.id), properties)
}
