//! Raw objects as objects of the organization (IM-01, IM-02, IM-12…IM-20).

use std::collections::BTreeMap;

use organization::schema::{self, Row};
use organization::{Kind, Properties, Written};
use topology::DomainPattern;
use topology::external_address::proxy_in_smtp;

use crate::raw::{Raw, RawObject};
use crate::read;
use crate::report::{Report, Verdict};
use crate::values::{Trouble, written};

/// Values that somebody says for what the export has lost: property of the schema, value.
pub type Assumptions = Vec<(String, String)>;

/// What was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// Objects with their properties, in the order in which they came.
    pub objects: Vec<(Kind, Properties)>,
    /// What became of the rest.
    pub report: Report,
}

/// A sort of objects that an export holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Of(Kind),
    Transport,
    Mailbox,
    Contact,
    Group,
    Member,
    Subscription,
    Unknown,
}

/// Reads exports: a name, for the report, and the octets of each.
///
/// # Errors
/// A file that cannot be read at all.
pub fn import(files: &[(String, Vec<u8>)], assumed: &Assumptions) -> Result<Imported, String> {
    let mut imported = Imported::default();
    for (name, octets) in files {
        let text = read::text(octets).map_err(|why| format!("{name}: {why}"))?;
        let objects = read::objects(&text).map_err(|why| format!("{name}: {why}"))?;
        for object in objects {
            one(name, &object, assumed, &mut imported);
        }
    }
    settle(&mut imported);
    proxies(&mut imported);
    Ok(imported)
}

/// Proxy addresses of other types stand in addresses of the default domain (EN-73), which is known now.
fn proxies(imported: &mut Imported) {
    let value = |properties: &Properties, wanted: &str| {
        properties.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    };
    let mut domains = imported.objects.iter().filter(|(kind, _)| *kind == Kind::AcceptedDomain);
    let default = domains.find(|(_, properties)| value(properties, "default") == Some(Written::Truth(true)));
    let default = match default.and_then(|(_, properties)| value(properties, "domainName")) {
        Some(Written::Text(text)) => text.parse().ok(),
        _ => None,
    };
    let default = match default {
        Some(DomainPattern::Exact(domain) | DomainPattern::Within(domain)) => Some(domain),
        Some(DomainPattern::Any) | None => None,
    };
    for (kind, properties) in imported.objects.iter_mut().filter(|(kind, _)| *kind == Kind::Recipient) {
        let place = format!("{}[\"{}\"]", kind.section(), key(*kind, properties));
        let Some((_, Written::List(items))) = properties.iter_mut().find(|(name, _)| name == "proxyAddresses") else {
            continue;
        };
        let mut left_out = Vec::new();
        items.retain_mut(|item| {
            let Written::Text(text) = item else { return true };
            let Some((kind, inside)) = text.split_once(':') else { return true };
            match default.as_ref().and_then(|domain| proxy_in_smtp(kind, inside, domain)) {
                Some(address) => *text = address.to_string(),
                None => left_out.push(text.clone()),
            }
            left_out.last() != Some(text)
        });
        if !left_out.is_empty() {
            let why = "no mail address, or none that can stand in one of the default domain";
            let text = format!("proxyAddresses: {}: {why}", left_out.join(", "));
            imported.report.add("", 0, &place, Verdict::Ignored, text);
        }
    }
}

fn sort_of(object: &RawObject) -> Sort {
    let of = object.of.to_ascii_lowercase();
    let by_type = [
        ("smtpsendconnector", Sort::Of(Kind::SendConnector)),
        ("foreignconnector", Sort::Of(Kind::ForeignConnector)),
        ("deliveryagentconnector", Sort::Of(Kind::DeliveryAgentConnector)),
        ("edgesubscription", Sort::Subscription),
        ("receiveconnector", Sort::Of(Kind::ReceiveConnector)),
        ("accepteddomain", Sort::Of(Kind::AcceptedDomain)),
        ("x400authoritativedomain", Sort::Of(Kind::X400AuthoritativeDomain)),
        ("sitelink", Sort::Of(Kind::SiteLink)),
        ("transportconfig", Sort::Of(Kind::TransportConfig)),
        ("transportserver", Sort::Transport),
        ("exchangeserver", Sort::Of(Kind::Server)),
        ("mailcontact", Sort::Contact),
        ("distributiongroup", Sort::Group),
        ("adsite", Sort::Of(Kind::Site)),
    ];
    if let Some((_, sort)) = by_type.iter().find(|(name, _)| of.contains(name)) {
        return *sort;
    }
    let has = |names: &[&str]| names.iter().all(|name| object.has(name));
    match () {
        () if has(&["Bindings", "RemoteIPRanges"]) => Sort::Of(Kind::ReceiveConnector),
        () if has(&["AddressSpaces", "DropDirectory"]) => Sort::Of(Kind::ForeignConnector),
        () if has(&["AddressSpaces", "DeliveryProtocol"]) => Sort::Of(Kind::DeliveryAgentConnector),
        () if has(&["AddressSpaces"]) => Sort::Of(Kind::SendConnector),
        () if has(&["DomainName", "DomainType"]) => Sort::Of(Kind::AcceptedDomain),
        () if has(&["X400DomainName"]) => Sort::Of(Kind::X400AuthoritativeDomain),
        () if object.has("Sites") && (object.has("ADCost") || object.has("Cost")) => Sort::Of(Kind::SiteLink),
        () if has(&["HubSiteEnabled"]) => Sort::Of(Kind::Site),
        () if has(&["MaxPerDomainOutboundConnections"]) => Sort::Transport,
        () if has(&["MaxRecipientEnvelopeLimit"]) || has(&["ShadowRedundancyEnabled"]) => {
            Sort::Of(Kind::TransportConfig)
        }
        () if has(&["ServerRole"]) => Sort::Of(Kind::Server),
        () if has(&["Site", "Domain"]) => Sort::Subscription,
        () if has(&["ExternalEmailAddress"]) => Sort::Contact,
        () if has(&["GroupType"]) || has(&["MemberJoinRestriction"]) => Sort::Group,
        () if has(&["Database", "PrimarySmtpAddress"]) => Sort::Mailbox,
        () if has(&["Group", "PrimarySmtpAddress"]) => Sort::Member,
        () => Sort::Unknown,
    }
}

/// Names of properties that the documentation and the schema have differently.
const RENAMED: [(&str, &str); 9] = [
    ("PrimarySmtpAddress", "address"),
    ("EmailAddresses", "proxyAddresses"),
    ("ExternalEmailAddress", "externalAddress"),
    ("ADCost", "cost"),
    ("AcceptMessagesOnlyFromSendersOrMembers", "acceptMessagesOnlyFrom"),
    ("RejectMessagesFromSendersOrMembers", "rejectMessagesFrom"),
    ("RequireSenderAuthenticationEnabled", "requireSenderAuthenticationEnabled"),
    ("ConnectionInactivityTimeout", "connectionInactivityTimeOut"),
    ("DomainName", "domainName"),
];

fn rows(sort: Sort) -> Vec<Row> {
    match sort {
        Sort::Of(kind) => schema::properties(kind),
        Sort::Transport => {
            let rows = schema::properties(Kind::Server);
            rows.into_iter().find(|row| row.name == "transport").map(|row| row.holds).unwrap_or_default()
        }
        Sort::Mailbox | Sort::Contact | Sort::Group | Sort::Member => schema::properties(Kind::Recipient),
        Sort::Subscription | Sort::Unknown => Vec::new(),
    }
}

/// Between whom a subscription is, no export can carry on.
const SUBSCRIBE_ANEW: &str = "an Edge subscription is between two servers and their keys: subscribe the Edge server anew, New-EdgeSubscription \
                              on both sides";

fn one(file: &str, object: &RawObject, assumed: &Assumptions, imported: &mut Imported) {
    let sort = sort_of(object);
    let name = object.get("Name").and_then(Raw::text).or_else(|| object.get("Identity").and_then(Raw::text));
    let name = name.unwrap_or_default();
    let kind = match sort {
        Sort::Of(kind) => kind,
        Sort::Transport => Kind::Server,
        Sort::Mailbox | Sort::Contact | Sort::Group | Sort::Member => Kind::Recipient,
        Sort::Subscription | Sort::Unknown => {
            let (place, why) = match sort {
                Sort::Subscription => (format!("servers[\"{name}\"]"), SUBSCRIBE_ANEW),
                _ => (name, "it is not known what this object is; export it with all its properties"),
            };
            imported.report.add(file, 0, &place, Verdict::Lost, why);
            return;
        }
    };
    let place = format!("{}[\"{name}\"]", kind.section());
    let rows = rows(sort);
    let mut properties: Properties = Properties::new();
    let mut lost = false;
    for row in &rows {
        let called = |known: &str| {
            let documented =
                RENAMED.iter().find(|(other, _)| other.eq_ignore_ascii_case(known)).map_or(known, |(_, own)| *own);
            documented.eq_ignore_ascii_case(row.name)
        };
        let Some((_, raw, line)) = object.fields.iter().find(|(known, ..)| called(known)) else { continue };
        let said = assumed.iter().find(|(known, _)| known.eq_ignore_ascii_case(row.name));
        match (taken(row, raw, object), said) {
            (Ok(Written::Nothing), _) => {}
            (Ok(value), _) => {
                note_changes(file, *line, &place, row, raw, &value, &mut imported.report);
                properties.push((row.name.to_owned(), value));
            }
            (Err(_), Some((_, value))) => {
                imported.report.add(
                    file,
                    *line,
                    &place,
                    Verdict::Assumed,
                    format!("{} is {value}, as was said", row.name),
                );
                properties.push((row.name.to_owned(), Written::Text(value.clone())));
            }
            (Err(Trouble::Lost(why) | Trouble::Wrong(why)), None) => {
                lost |= row.required || row.name == "sourceTransportServers";
                let text = format!(
                    "{}: {why}; without it the default stands: export with `postroad import --print-script`, or say --assume {}=VALUE",
                    row.name, row.name
                );
                imported.report.add(file, *line, &place, Verdict::Lost, text);
            }
        }
    }
    special(file, sort, object, &place, &mut properties, imported);
    ignored(file, &rows, object, &place, &mut imported.report);
    if lost {
        imported.report.add(file, 0, &place, Verdict::Lost, "it is not written, because what it takes is lost");
        return;
    }
    if sort == Sort::Transport {
        let transport = Written::Map(properties);
        properties = vec![("name".to_owned(), Written::Text(name)), ("transport".to_owned(), transport)];
    }
    imported.objects.push((kind, properties));
}

/// A value, with what other properties of the object still know of it.
fn taken(row: &Row, raw: &Raw, object: &RawObject) -> Result<Written, Trouble> {
    if row.secret {
        return Ok(Written::Nothing);
    }
    match (written(row, raw), row.name) {
        // IM-05: joined by commas, it survives where the list itself did not.
        (Err(Trouble::Lost(_)), "smartHosts") => match object.get("SmartHostsString") {
            Some(Raw::Nothing) | None => Ok(Written::List(Vec::new())),
            Some(text) => written(row, text),
        },
        (taken, _) => taken,
    }
}

/// What is written otherwise than it was.
fn note_changes(file: &str, line: usize, place: &str, row: &Row, raw: &Raw, value: &Written, report: &mut Report) {
    if row.name != "addressSpaces" {
        return;
    }
    let lower = |raw: &Raw| match raw {
        Raw::Fields(fields) if fields.text.is_none() => fields.get("Type").and_then(Raw::text),
        other => other.text(),
    };
    let texts: Vec<String> = match raw {
        Raw::List(items) => items.iter().filter_map(lower).collect(),
        other => other.text().map(|text| text.split('|').map(str::to_owned).collect()).unwrap_or_default(),
    };
    if texts.iter().any(|text| text.starts_with("smtp")) && matches!(value, Written::List(_)) {
        report.add(file, line, place, Verdict::Changed, "addressSpaces: smtp: is written SMTP:");
    }
}

/// What is in no row: usage, credentials, roles, members.
fn special(
    file: &str,
    sort: Sort,
    object: &RawObject,
    place: &str,
    properties: &mut Properties,
    imported: &mut Imported,
) {
    match sort {
        Sort::Of(Kind::SendConnector) => {
            imported.report.add(
                file,
                0,
                place,
                Verdict::Assumed,
                "usage: it is in no export, and is taken for Custom; sizes and rights come from the export",
            );
            credential(file, object, place, properties, imported);
            // What is not said by the export must not be decided by the smart hosts.
            properties
                .retain(|(name, value)| name != "sourceIPAddress" || *value != Written::Text("0.0.0.0".to_owned()));
        }
        Sort::Of(Kind::Server) => {
            let edge = object.get("IsEdgeServer") == Some(&Raw::Truth(true))
                || object
                    .get("ServerRole")
                    .and_then(Raw::text)
                    .is_some_and(|role| role.contains("Edge") || role == "64");
            if edge {
                imported.report.add(file, 0, place, Verdict::Assumed, format!("an Edge server: {SUBSCRIBE_ANEW}"));
            }
            properties.retain(|(name, _)| name != "role");
            properties.push(("role".to_owned(), Written::Text(if edge { "Edge" } else { "Mailbox" }.to_owned())));
            if let Some((_, Written::Text(site))) = properties.iter_mut().find(|(name, _)| name == "site") {
                *site = site.rsplit('/').next().unwrap_or(site).to_owned();
            }
        }
        Sort::Of(Kind::AcceptedDomain) => {
            if let Some((_, Written::Text(domain))) = properties.iter_mut().find(|(name, _)| name == "domainName")
                && object.get("MatchSubDomains") == Some(&Raw::Truth(true))
                && !domain.starts_with("*.")
            {
                *domain = format!("*.{domain}");
            }
        }
        Sort::Of(Kind::ForeignConnector) => drop_directory(file, place, properties, imported),
        Sort::Of(Kind::ReceiveConnector) => {
            if let Some((_, Written::Text(name))) = properties.iter_mut().find(|(name, _)| name == "name") {
                *name = name.rsplit('\\').next().unwrap_or(name).to_owned();
            }
        }
        Sort::Group => properties.push(("members".to_owned(), Written::List(Vec::new()))),
        _ => {}
    }
    for (name, value) in properties
        .iter_mut()
        .filter(|(name, _)| name == "proxyAddresses" || name == "address" || name == "externalAddress")
    {
        strip_prefixes(name, value);
    }
}

/// Elsewhere it is a path of Windows, here a folder below the one that the server names.
fn drop_directory(file: &str, place: &str, properties: &mut Properties, imported: &mut Imported) {
    let folder = properties.iter_mut().find(|(name, _)| name == "dropDirectory");
    if let Some((_, Written::Text(folder))) = folder
        && let Some((above, own)) = folder.rsplit_once(['\\', '/'])
    {
        let text = format!(
            "dropDirectory: {own}, below the folder that `drop` of the server's settings names, not in {above}"
        );
        imported.report.add(file, 0, place, Verdict::Changed, text);
        *folder = own.to_owned();
    }
}

/// `SMTP:alice@contoso.com`: the type is left out. Further addresses of other types wait for the default domain.
fn strip_prefixes(name: &str, value: &mut Written) {
    let bare = |text: &str| match text.split_once(':') {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("smtp") => Some(rest.to_owned()),
        Some(_) => None,
        None => Some(text.to_owned()),
    };
    match value {
        // A contact may have an address of another type.
        Written::Text(text) if name == "externalAddress" => *text = bare(text).unwrap_or_else(|| text.clone()),
        Written::Text(text) => *text = bare(text).unwrap_or_default(),
        Written::List(items) if name == "proxyAddresses" => {
            let kept = items.iter().filter_map(|item| match item {
                Written::Text(text) if !text.starts_with("SMTP:") => {
                    Some(Written::Text(bare(text).unwrap_or_else(|| text.clone())))
                }
                _ => None,
            });
            *items = kept.collect();
        }
        _ => {}
    }
}

/// The user of a credential; never a password (IM-14).
fn credential(file: &str, object: &RawObject, place: &str, properties: &mut Properties, imported: &mut Imported) {
    let Some((_, raw, line)) =
        object.fields.iter().find(|(name, ..)| name.eq_ignore_ascii_case("AuthenticationCredential"))
    else {
        return;
    };
    if raw.is_nothing() {
        return;
    }
    let name = object.get("Name").and_then(Raw::text).unwrap_or_default();
    let variable: String =
        name.chars().map(|one| if one.is_ascii_alphanumeric() { one.to_ascii_uppercase() } else { '_' }).collect();
    let variable = format!("POSTROAD_PASSWORD_{variable}");
    let user = match raw {
        Raw::Fields(fields) => fields.get("UserName").and_then(Raw::text),
        _ => None,
    };
    let text = match &user {
        Some(_) => {
            format!("authenticationCredential: the password is in no export; set {variable} before it is applied")
        }
        None => format!(
            "authenticationCredential: there is one, and neither its user nor its password is in the export; write the user, and set {variable}"
        ),
    };
    imported.report.add(file, *line, place, Verdict::Assumed, text);
    let user = user.unwrap_or_else(|| "USER".to_owned());
    properties.push((
        "authenticationCredential".to_owned(),
        Written::Map(vec![
            ("user".to_owned(), Written::Text(user)),
            ("passwordEnvironment".to_owned(), Written::Text(variable)),
        ]),
    ));
}

/// Properties that exports have and nobody sets.
const READ_ONLY: [&str; 24] = [
    "AdminDisplayName",
    "CertificateSubject",
    "ConnectedDomains",
    "Count",
    "DistinguishedName",
    "ExchangeVersion",
    "HomeMTA",
    "HomeMtaServerId",
    "Id",
    "Identity",
    "IsSmtpConnector",
    "IsValid",
    "ObjectCategory",
    "ObjectClass",
    "ObjectState",
    "OrganizationId",
    "OriginatingServer",
    "PSComputerName",
    "PSShowComputerName",
    "Region",
    "RunspaceId",
    "SmartHostsString",
    "SourceRoutingGroup",
    "Sites",
];

/// What the export says and nothing here means.
fn ignored(file: &str, rows: &[Row], object: &RawObject, place: &str, report: &mut Report) {
    let known = |name: &str| {
        rows.iter().any(|row| row.name.eq_ignore_ascii_case(name))
            || RENAMED.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    };
    let others = object.fields.iter().filter(|(name, ..)| !known(name));
    let (harmless, unknown): (Vec<_>, Vec<_>) =
        others.partition(|(name, ..)| READ_ONLY.contains(&name.as_str()) || name.starts_with("When"));
    let names =
        |all: &[&(String, Raw, usize)]| all.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>().join(", ");
    if !harmless.is_empty() {
        report.add(file, 0, place, Verdict::Ignored, format!("only shown by Exchange: {}", names(&harmless)));
    }
    let unknown: Vec<_> = unknown.into_iter().filter(|(_, value, _)| !value.is_nothing()).collect();
    if !unknown.is_empty() {
        report.add(file, 0, place, Verdict::Ignored, format!("there is no such property here: {}", names(&unknown)));
    }
}

/// Several files make one organization (IM-20): the settings of a server and the server are one object; the same object twice is
/// one when it says the same.
fn settle(imported: &mut Imported) {
    let mut whole: Vec<(Kind, Properties)> = Vec::new();
    let mut places: BTreeMap<(Kind, String), usize> = BTreeMap::new();
    for (kind, properties) in std::mem::take(&mut imported.objects) {
        let key = (kind, key(kind, &properties));
        match places.get(&key) {
            Some(at) => {
                let (_, known) = &mut whole[*at];
                for (name, value) in properties {
                    match known.iter().find(|(other, _)| *other == name) {
                        Some((_, old)) if *old != value => {
                            let place = format!("{}[\"{}\"]", kind.section(), key.1);
                            imported.report.add(
                                "",
                                0,
                                &place,
                                Verdict::Lost,
                                format!("{name} is said twice, differently; the first is taken"),
                            );
                        }
                        Some(_) => {}
                        None => known.push((name, value)),
                    }
                }
            }
            None => {
                places.insert(key, whole.len());
                whole.push((kind, properties));
            }
        }
    }
    imported.objects = whole;
}

fn key(kind: Kind, properties: &Properties) -> String {
    let text = |name: &str| match properties.iter().find(|(known, _)| known == name) {
        Some((_, Written::Text(text))) => text.to_lowercase(),
        _ => String::new(),
    };
    match kind {
        Kind::ReceiveConnector => format!("{}\\{}", text("server"), text("name")),
        Kind::TransportConfig => String::new(),
        _ => text("name"),
    }
}
