//! Edge subscriptions and EdgeSync: `New-`, `Get-`, `Remove-EdgeSubscription`, `Start-` and `Test-EdgeSynchronization`. What a change
//! touches on either side is decided here; the file and the way to an Edge server are those of [`Perimeter`], which whoever embeds
//! the commands implements.

mod signatures;
mod subscribe;

use envelope::encapsulated;
use envelope::{Address, Domain, ServerName};
use shell::{Call, Failure, Object, Objects, Session, Value};
use topology::address_space::respelled;
use topology::{EdgeSubscription, OrganizationDraft, Server, ServerRole};

use crate::change::away;
use crate::on_edge;
use crate::premises::Premises;

pub(crate) use signatures::signatures;

/// The type of what is shown of a subscription.
const SUBSCRIPTION: &str = "EdgeSubscription";
/// Of a synchronization, and of a comparison.
const SYNCHRONIZATION: &str = "EdgeSynchronization";
const STATUS: &str = "EdgeSyncStatus";

/// The file of a subscription, written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its text, which nobody else may read.
    pub text: String,
    /// What the Edge server's object says from then on.
    pub edge: EdgeSubscription,
}

/// The file of a subscription, read in the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// The Edge server that wrote it.
    pub server: ServerName,
    /// Its name in DNS.
    pub fqdn: Domain,
    /// What its object says in the organization.
    pub edge: EdgeSubscription,
}

/// What a synchronization did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Synchronized {
    /// Objects of the configuration that were changed.
    pub configuration: u64,
    /// Addresses that the Edge server knows now.
    pub recipients: u64,
    /// Pieces of the list of recipients that were sent, whole or what changed in them.
    pub pieces: u64,
    /// Recipients that were read for it.
    pub read: u64,
    /// Why it was all of them; empty where it was not.
    pub all_read: String,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison<'a> {
    /// What the Edge server knows of one address.
    Address(&'a Address),
    /// The configuration alone.
    Configuration,
    /// Recipients too; of those that are known to have been told what was told.
    All,
    /// Recipients too; each of them is read.
    Full,
}

/// What differs between the organization and an Edge server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects of the configuration.
    pub configuration: Vec<String>,
    /// Pieces of the list of recipients that differ, and all.
    pub pieces: (u64, u64),
    /// Of one address: that nobody has it, or whether the Edge server knows of it what it should.
    pub verified: Option<Option<bool>>,
}

/// The file, and the way to Edge servers.
pub trait Perimeter {
    /// On the Edge server: makes a file that may be used for `seconds`.
    ///
    /// # Errors
    /// Why not.
    fn write(&mut self, own: &Server, seconds: u64) -> Result<NewFile, String>;

    /// In the organization: reads one, and vouches with it for the organization.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn read(&mut self, octets: &[u8]) -> Result<ReadFile, String>;

    /// Synchronizes an Edge server now.
    ///
    /// # Errors
    /// Why not.
    fn start(&mut self, edge: &ServerName, full: bool) -> Result<Synchronized, String>;

    /// Compares with an Edge server.
    ///
    /// # Errors
    /// Why not.
    fn test(&mut self, edge: &ServerName, what: Comparison<'_>) -> Result<Compared, String>;
}

/// Runs one of the commands; nothing for another.
pub(crate) fn run(
    premises: &mut dyn Premises,
    perimeter: Option<&mut (dyn Perimeter + 'static)>,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Option<Result<Objects, Failure>> {
    let name = &*call.signature.name;
    let done = match name {
        "Get-EdgeSubscription" => get(premises, call),
        "Remove-EdgeSubscription" => subscribe::remove(premises, perimeter, call, session).map(|()| nothing()),
        "New-EdgeSubscription" | "Start-EdgeSynchronization" | "Test-EdgeSynchronization" => match perimeter {
            None => Err(without_perimeter()),
            Some(perimeter) => match name {
                "New-EdgeSubscription" => subscribe::new(premises, perimeter, call, session),
                "Start-EdgeSynchronization" => start(premises, perimeter, call, session),
                _ => test(premises, perimeter, call),
            },
        },
        _ => return None,
    };
    Some(done)
}

fn nothing() -> Objects {
    Box::new(std::iter::empty())
}

fn without_perimeter() -> Failure {
    let message = "There is no server here from which an Edge server could be reached.";
    let failure = Failure::new("ResourceUnavailable", "NoPerimeter", message);
    failure.advise("run the shell on a server, with --settings, or over its admin service")
}

/// The Edge servers of the organization that are subscribed; on one, itself.
fn subscribed(draft: &OrganizationDraft) -> impl Iterator<Item = &Server> {
    draft.servers.iter().filter(|server| server.role == ServerRole::Edge && server.edge.forest.is_some())
}

fn is_called(server: &Server, wanted: &str) -> bool {
    server.name.as_str().eq_ignore_ascii_case(wanted)
        || server.fqdn.to_string().eq_ignore_ascii_case(wanted)
        || server.guid.to_string().eq_ignore_ascii_case(wanted)
}

/// The one that a parameter names, or all.
fn named(draft: &OrganizationDraft, wanted: Option<&str>) -> Result<Vec<Server>, Failure> {
    let Some(wanted) = wanted else { return Ok(subscribed(draft).cloned().collect()) };
    match subscribed(draft).find(|server| is_called(server, wanted)) {
        Some(server) => Ok(vec![server.clone()]),
        None => {
            let other = draft.servers.iter().find(|server| is_called(server, wanted));
            let message = match other {
                Some(other) if other.role == ServerRole::Mailbox => {
                    format!("There is no Edge subscription \"{wanted}\": {} is a Mailbox server.", other.name)
                }
                _ => format!("There is no Edge subscription \"{wanted}\"."),
            };
            let failure = Failure::new("ObjectNotFound", "NoEdgeSubscription", message).about(wanted);
            Err(failure.advise("Get-EdgeSubscription lists them"))
        }
    }
}

fn get(premises: &mut dyn Premises, call: &Call<'_>) -> Result<Objects, Failure> {
    let draft = premises.configuration().map_err(away)?;
    let found = named(&draft, call.bound.text("Identity").as_deref())?;
    let shown: Vec<Value> = found.iter().map(shown).collect();
    Ok(Box::new(shown.into_iter()))
}

/// EN-10: the subscription is called as the Edge server.
fn shown(server: &Server) -> Value {
    let state = match (&server.edge.voucher, server.edge.is_pending()) {
        (Some(_), _) => "Never synchronized",
        (None, true) => "File written",
        (None, false) => "Subscribed",
    };
    // In the organization that of the Edge server; on the Edge server whom it is subscribed to.
    let domain = server.edge.organization.as_ref().map(ToString::to_string).unwrap_or_else(|| domain_of(&server.fqdn));
    let properties = vec![
        ("Name".into(), Value::of(server.name.as_str())),
        ("Site".into(), Value::of(server.site.as_str())),
        ("Domain".into(), Value::of(domain)),
        ("Fqdn".into(), Value::of(server.fqdn.to_string())),
        ("State".into(), Value::of(state)),
        ("Identity".into(), Value::of(server.name.as_str())),
        ("Guid".into(), Value::of(server.guid.to_string())),
    ];
    Value::Object(Object::new(SUBSCRIPTION, Some(server.name.as_str()), properties))
}

/// What stands behind the first label of a name.
fn domain_of(fqdn: &Domain) -> String {
    let name = fqdn.to_string();
    name.split_once('.').map(|(_, domain)| domain.to_owned()).unwrap_or_default()
}

/// The columns of their tables.
pub(crate) fn view(of: &str) -> Option<Vec<(&'static str, &'static str)>> {
    let names: &[&'static str] = match of {
        SUBSCRIPTION => &["Name", "Site", "Domain", "State"],
        SYNCHRONIZATION => &["Name", "Result", "ConfigurationObjects", "Recipients"],
        STATUS => &["Name", "SyncStatus", "ConfigurationStatus", "RecipientStatus"],
        _ => return None,
    };
    Some(names.iter().map(|name| (*name, *name)).collect())
}

/// Edge servers that are synchronized or compared: those of the site of `Server`, or the one that `TargetServer` names.
fn targets(premises: &mut dyn Premises, call: &Call<'_>) -> Result<Vec<Server>, Failure> {
    if let Some(own) = on_edge::here(premises)? {
        let message =
            format!("{} is an Edge server, which is told: {} is for the organization.", own.name, call.signature.name);
        let failure = Failure::new("InvalidOperation", "AnEdgeServer", message).by("EN-30");
        return Err(failure.advise("run it on a Mailbox server of the site"));
    }
    let draft = premises.configuration().map_err(away)?;
    let mut all = named(&draft, call.bound.text("TargetServer").as_deref())?;
    if let Some(wanted) = call.bound.text("Server") {
        let by = mailbox_server(&draft, &wanted)?;
        all.retain(|edge| edge.site == by.site);
        if all.is_empty() {
            let message = format!("\"{}\" synchronizes no such Edge server: site \"{}\" has none.", by.name, by.site);
            let failure = Failure::new("InvalidArgument", "NoEdgeOfSite", message).by("EN-33").about(wanted);
            return Err(failure.advise("Get-EdgeSubscription says of which site each Edge server is"));
        }
    }
    if all.is_empty() {
        let failure = Failure::new("ObjectNotFound", "NoEdgeSubscription", "There is no Edge subscription.");
        return Err(failure.advise("New-EdgeSubscription -FileData -Site makes one"));
    }
    Ok(all)
}

fn mailbox_server(draft: &OrganizationDraft, wanted: &str) -> Result<Server, Failure> {
    let found = draft.servers.iter().find(|server| is_called(server, wanted));
    let found = found.ok_or_else(|| {
        let message = format!("There is no server \"{wanted}\".");
        let failure = Failure::new("ObjectNotFound", "NoServer", message).about(wanted);
        failure.advise("Get-ExchangeServer lists them")
    })?;
    if found.role == ServerRole::Edge {
        let message = format!(
            "\"{}\" is an Edge server; Server names a Mailbox server, whose site's are synchronized.",
            found.name
        );
        let failure = Failure::new("InvalidArgument", "AnEdgeServer", message).by("EN-33").about(wanted);
        return Err(failure.advise("name an Edge server with TargetServer"));
    }
    Ok(found.clone())
}

/// EN-33.
fn start(
    premises: &mut dyn Premises,
    perimeter: &mut (dyn Perimeter + 'static),
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Objects, Failure> {
    let full = call.bound.is_on("ForceFullSync") || call.bound.is_on("ForceUpdateCookie");
    let mut all = Vec::new();
    for edge in targets(premises, call)? {
        if !session.should(&format!("Starting synchronization of Edge server \"{}\".", edge.name))? {
            continue;
        }
        let done = perimeter.start(&edge.name, full);
        let (result, done, why) = match done {
            Ok(done) => ("Success", done, String::new()),
            Err(why) => {
                session.warn(&format!("{}: {why}", edge.name));
                ("CouldNotConnect", Synchronized::default(), why)
            }
        };
        let count = |count: u64| Value::Whole(i64::try_from(count).unwrap_or(i64::MAX));
        let properties = vec![
            ("Name".into(), Value::of(edge.name.as_str())),
            ("Result".into(), Value::of(result)),
            ("ConfigurationObjects".into(), count(done.configuration)),
            ("Recipients".into(), count(done.recipients)),
            ("RecipientPieces".into(), count(done.pieces)),
            ("RecipientsRead".into(), count(done.read)),
            ("AllRead".into(), Value::of(done.all_read)),
            ("FailureDetails".into(), Value::of(why)),
        ];
        all.push(Value::Object(Object::new(SYNCHRONIZATION, Some(edge.name.as_str()), properties)));
    }
    Ok(Box::new(all.into_iter()))
}

/// EN-34.
fn test(
    premises: &mut dyn Premises,
    perimeter: &mut (dyn Perimeter + 'static),
    call: &Call<'_>,
) -> Result<Objects, Failure> {
    let draft = premises.configuration().map_err(away)?;
    let address = call.bound.text("VerifyRecipient").map(|text| proxy_address(&draft, &text)).transpose()?;
    let most = match call.bound.text("MaxReportSize") {
        Some(text) => text.parse().unwrap_or(usize::MAX), // `unlimited`, and nothing else that is no number
        None => REPORT_SIZE,
    };
    let monitored = matches!(call.bound.get("MonitoringContext"), Some(Value::Bool(true)));
    let mut all = Vec::new();
    for edge in targets(premises, call)? {
        let what = match &address {
            Some(address) => Comparison::Address(address),
            None if call.bound.is_on("ExcludeRecipientTest") => Comparison::Configuration,
            None if call.bound.is_on("FullCompareMode") => Comparison::Full,
            None => Comparison::All,
        };
        let found = perimeter.test(&edge.name, what);
        all.push(compared(&edge, found, most, what == Comparison::Configuration, monitored));
    }
    Ok(Box::new(all.into_iter()))
}

/// An address as parameters for addresses of any type take it: `ann@contoso.com`, `smtp:ann@contoso.com`, `X400:c=US;…`.
fn proxy_address(draft: &OrganizationDraft, text: &str) -> Result<Address, Failure> {
    let plain = text.get(..5).filter(|lead| lead.eq_ignore_ascii_case("smtp:")).map_or(text, |_| &text[5..]);
    let inside = encapsulated::typed(plain)
        .and_then(|(kind, address)| encapsulated::encode(kind, address, draft.default_domain()?));
    match inside {
        Some(inside) => Ok(respelled(&inside).unwrap_or(inside)),
        None => Address::parse(plain)
            .map_err(|error| Failure::new("InvalidArgument", "NoAddress", error.to_string()).about(text)),
    }
}

/// Objects that a comparison names (EN-34).
const REPORT_SIZE: usize = 1000;

fn compared(
    edge: &Server,
    found: Result<Compared, String>,
    most: usize,
    without_recipients: bool,
    monitored: bool,
) -> Value {
    let same = |same: bool| if same { "Synchronized" } else { "NotSynchronized" };
    let (status, configuration, recipients, names, why) = match found {
        Err(why) => ("Failed", "Unknown", "Unknown", Vec::new(), why),
        Ok(Compared { verified: Some(verified), .. }) => match verified {
            None => ("Normal", "Skipped", "NotFound", Vec::new(), String::new()),
            Some(true) => ("Normal", "Skipped", same(true), Vec::new(), String::new()),
            Some(false) => ("Inconclusive", "Skipped", same(false), Vec::new(), String::new()),
        },
        Ok(Compared { configuration, pieces: (differ, _), .. }) => {
            let recipients = if without_recipients { "Skipped" } else { same(differ == 0) };
            let whole = configuration.is_empty() && (without_recipients || differ == 0);
            let state = same(configuration.is_empty());
            (if whole { "Normal" } else { "Inconclusive" }, state, recipients, configuration, String::new())
        }
    };
    let event = match status {
        "Normal" => "Information",
        "Failed" => "Error",
        _ => "Warning",
    };
    let event = format!("{event}: {}: configuration {configuration}, recipients {recipients}", edge.name);
    let names = names.into_iter().take(most).map(Value::of).collect();
    let mut properties = vec![
        ("Name".into(), Value::of(edge.name.as_str())),
        ("SyncStatus".into(), Value::of(status)),
        ("ConfigurationStatus".into(), Value::of(configuration)),
        ("RecipientStatus".into(), Value::of(recipients)),
        ("Differences".into(), Value::list(names)),
        ("FailureDetail".into(), Value::of(why)),
    ];
    if monitored {
        properties.push(("Events".into(), Value::list(vec![Value::of(event)])));
    }
    Value::Object(Object::new(STATUS, Some(edge.name.as_str()), properties))
}
