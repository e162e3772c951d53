//! `New-`, `Set-`, `Remove-`: what is asked for, put onto what is there, checked as a whole, told, asked about, committed.

use envelope::{ServerName, encapsulated};
use organization::{Kind, Object, Properties, Written, object_of, properties_of};
use shell::{Call, Failure, Session, Value};
use topology::address_space::respelled;
use topology::{OrganizationDraft, Problem, Problems, Weight};

use crate::catalogue::{USAGES, rows};
use crate::edit::written;
use crate::elsewhere;
use crate::find;
use crate::noun::{Noun, Part};
pub(crate) use crate::premises::away;
use crate::premises::{Premises, Refused};
use crate::reasons;
use crate::show::shown;

/// Recipients that one transaction changes: each is several operations of 128.
const RECIPIENTS_AT_ONCE: usize = 8;

/// Makes an object; gives it as it is shown (CM-74).
pub(crate) fn create(
    premises: &mut dyn Premises,
    noun: &Noun,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<Option<Value>, Failure> {
    let mut properties = vec![("name".to_owned(), Written::Text(call.bound.text("Name").unwrap_or_default()))];
    let draft = premises.configuration().map_err(away)?;
    defaults(premises, noun, call, &draft, &mut properties)?;
    for row in rows(noun).iter().filter(|row| row.name != "name") {
        if let Some(value) = call.bound.get(&noun.documented(row.name)) {
            let value =
                secret(row.secret, value).map_or_else(|| written(row, value, None), |value| Ok((value, Vec::new())))?;
            set(&mut properties, row.name, value.0);
        }
    }
    let mut object = made(premises, &draft, noun, properties)?;
    elsewhere::may_touch(&draft, noun, &call.signature.name, &object)?;
    if let Object::AcceptedDomain(domain) = &mut object {
        domain.is_default |= draft.accepted_domains.is_empty(); // EN-81
    }
    let existing = existing(premises, noun.kind, &draft)?;
    let guid = free_guid(&existing, noun.kind, &object.name());
    object = object.with_guid(guid);
    if existing.iter().any(|known| known.name().to_lowercase() == object.name().to_lowercase()) {
        let message = format!("{} \"{}\" already exists.", noun.words, object.name());
        return Err(Failure::new("InvalidOperation", "ObjectExists", message).by("V-26").about(object.name()));
    }
    warn(&check(&draft, &object, None)?, session);
    let description = match &object {
        Object::AcceptedDomain(domain) => {
            format!("Creating {} \"{}\" with domain name \"{}\".", noun.words, domain.name, domain.domain)
        }
        other => format!("Creating {} \"{}\".", noun.words, other.name()),
    };
    if !session.should(&description)? {
        return Ok(None);
    }
    let shown = shown(noun, &object);
    commit(premises, vec![object], Vec::new(), &call.signature.name)?;
    Ok(Some(shown))
}

/// Changes an object.
pub(crate) fn change(
    premises: &mut dyn Premises,
    noun: &Noun,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    settled(noun, call)?;
    let draft = premises.configuration().map_err(away)?;
    let existing = existing(premises, noun.kind, &draft)?;
    let old = match noun.kind {
        Kind::TransportConfig => existing[0].clone(),
        _ => identified(premises, noun, call, &existing)?,
    };
    elsewhere::may_touch(&draft, noun, &call.signature.name, &old)?;
    let whole = properties_of(&old);
    let mut properties = match noun.part.inner() {
        Some(service) => inner(&whole, service),
        None => whole.clone(),
    };
    if let Some(name) = call.bound.text("Name") {
        set(&mut properties, "name", Written::Text(name));
    }
    for row in rows(noun) {
        let Some(value) = call.bound.get(&noun.documented(row.name)).filter(|_| row.name != "name") else { continue };
        let current = properties.iter().find(|(name, _)| name == row.name).map(|(_, value)| value.clone());
        let new = match secret(row.secret, value) {
            Some(secret) => secret,
            None => {
                let (new, warnings) = written(&row, value, Some(&current.unwrap_or_default()))?;
                warnings.iter().for_each(|warning| session.warn(warning));
                new
            }
        };
        // V-4: routing by DNS takes the smart hosts away, unless the same command names some.
        if row.name == "dnsRoutingEnabled" && new == Written::Truth(true) && !call.bound.has("SmartHosts") {
            set(&mut properties, "smartHosts", Written::List(Vec::new()));
        }
        set(&mut properties, row.name, new);
    }
    if noun.kind == Kind::AcceptedDomain {
        of_domain(call, &old, &mut properties);
    }
    if let Some(service) = noun.part.inner() {
        let mut all = whole;
        set(&mut all, service, Written::Map(properties));
        properties = all;
    }
    let mut puts = vec![made(premises, &draft, noun, properties)?];
    let mut carried = Vec::new();
    if call.bound.is_on("MakeDefault") {
        puts = only_default(&draft, &puts[0]);
        carried = carried_over(premises, &draft, &puts)?;
    }
    let described = format!("Setting {} \"{}\".", noun.words, old.name());
    warn(&check_all(&draft, &puts, None)?, session);
    if !session.should(&described)? {
        return Ok(());
    }
    carry_over(premises, &carried, call, session)?;
    if puts.len() == 1 && puts[0] == old {
        session.warn(&format!(
            "The command completed successfully but no settings of '{}' have been modified.",
            old.name()
        ));
        return Ok(());
    }
    commit(premises, puts, Vec::new(), &call.signature.name)
}

/// Parameters that are taken with the one value that says what is so anyway.
fn settled(noun: &Noun, call: &Call<'_>) -> Result<(), Failure> {
    for (_, name, _, value, why) in reasons::settled(noun.name) {
        let given = call.bound.get(name).map(Value::text);
        if given.as_ref().is_some_and(|given| !given.eq_ignore_ascii_case(value)) {
            let message =
                format!("The parameter '{name}' of {} is {value} and nothing else: {why}.", call.signature.name);
            return Err(Failure::new("InvalidArgument", "ParameterIsSettled", message));
        }
    }
    Ok(())
}

/// The one that `-Identity` means.
fn identified(premises: &dyn Premises, noun: &Noun, call: &Call<'_>, existing: &[Object]) -> Result<Object, Failure> {
    let candidates: Vec<Object> = existing.iter().filter(|object| noun.means(object)).cloned().collect();
    let identity = call.bound.text("Identity").unwrap_or_default();
    find::one(noun, &candidates, &identity, premises.local_server().as_ref())
}

/// Removes an object.
pub(crate) fn remove(
    premises: &mut dyn Premises,
    noun: &Noun,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let draft = premises.configuration().map_err(away)?;
    let existing = existing(premises, noun.kind, &draft)?;
    let object = identified(premises, noun, call, &existing)?;
    if matches!(&object, Object::AcceptedDomain(domain) if domain.is_default) {
        let message = format!("\"{}\" is the default accepted domain and can't be removed.", object.name());
        let failure = Failure::new("InvalidOperation", "DefaultDomain", message).by("EN-81").about(object.name());
        return Err(failure.advise("make another one the default before: Set-AcceptedDomain NAME -MakeDefault $true"));
    }
    elsewhere::may_touch(&draft, noun, &call.signature.name, &object)?;
    let (mut puts, deletes) = (Vec::new(), vec![(object.kind(), object.guid())]);
    if let Object::ReceiveConnector(connector) = &object
        && let Some(server) = draft.servers.iter().find(|server| server.name == connector.server)
        && topology::receive_connector::defaults::named(&connector.server, &connector.name).is_some()
    {
        // A default connector is there without being stored: that it is not is said by its server.
        let mut server = server.clone();
        server.removed_receive_connectors.push(connector.name.clone());
        puts.push(Object::Server(Box::new(server)));
    }
    check_without(&draft, &object)?;
    if !session.should(&format!("Removing {} \"{}\".", noun.words, object.name()))? {
        return Ok(());
    }
    commit(premises, puts, deletes, &call.signature.name)
}

/// Adds a member to a group, or takes one away.
pub(crate) fn member(
    premises: &mut dyn Premises,
    noun: &Noun,
    call: &Call<'_>,
    session: &mut Session<'_>,
    adds: bool,
) -> Result<(), Failure> {
    let draft = premises.configuration().map_err(away)?;
    let all = existing(premises, Kind::Recipient, &draft)?;
    let group = identified(premises, noun, call, &all)?;
    let address = member_address(noun, &all, call.bound.text("Member").unwrap_or_default())?;
    let mut properties = properties_of(&group);
    let mut members = match properties.iter().find(|(name, _)| name == "members") {
        Some((_, Written::List(members))) => members.clone(),
        _ => Vec::new(),
    };
    let is = |known: &Written| matches!(known, Written::Text(text) if text.eq_ignore_ascii_case(&address));
    if adds == members.iter().any(is) {
        let state = if adds { "is already" } else { "isn't" };
        let message = format!("The recipient \"{address}\" {state} a member of the group \"{}\".", group.name());
        return Err(Failure::new("InvalidOperation", "MemberState", message));
    }
    if adds {
        members.push(Written::Text(address.clone()))
    } else {
        members.retain(|known| !is(known))
    }
    set(&mut properties, "members", Written::List(members));
    let changed = made(premises, &draft, noun, properties)?;
    let verb = if adds { "Adding" } else { "Removing" };
    let way = if adds { "to" } else { "from" };
    if !session.should(&format!("{verb} distribution group member \"{address}\" {way} \"{}\".", group.name()))? {
        return Ok(());
    }
    commit(premises, vec![changed], Vec::new(), &call.signature.name)
}

/// All members of a group, in the place of those that it has (Update-DistributionGroupMember).
pub(crate) fn members(
    premises: &mut dyn Premises,
    noun: &Noun,
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let draft = premises.configuration().map_err(away)?;
    let all = existing(premises, Kind::Recipient, &draft)?;
    let group = identified(premises, noun, call, &all)?;
    let wanted = call.bound.get("Members").map(Value::each).unwrap_or_default();
    let addresses = wanted.iter().map(|one| member_address(noun, &all, one.text()));
    let members = addresses.collect::<Result<Vec<_>, _>>()?.into_iter().map(Written::Text).collect();
    let mut properties = properties_of(&group);
    set(&mut properties, "members", Written::List(members));
    let changed = made(premises, &draft, noun, properties)?;
    if !session.should(&format!("Updating distribution group member on \"{}\".", group.name()))? {
        return Ok(());
    }
    commit(premises, vec![changed], Vec::new(), &call.signature.name)
}

/// The address of a member that is named by its name or an address.
fn member_address(noun: &Noun, all: &[Object], wanted: String) -> Result<String, Failure> {
    match find::one(noun, all, &wanted, None) {
        Ok(member) => Ok(member.addresses().next().map(ToString::to_string).unwrap_or(wanted)),
        Err(_) if wanted.contains('@') => Ok(wanted),
        Err(failure) => Err(failure),
    }
}

/// Every object of a kind.
pub(crate) fn existing(
    premises: &mut dyn Premises,
    kind: Kind,
    draft: &OrganizationDraft,
) -> Result<Vec<Object>, Failure> {
    if find::are_recipients(kind) {
        let recipients = premises.recipients().map_err(away)?;
        return Ok(recipients.iter().cloned().map(|recipient| Object::Recipient(Box::new(recipient))).collect());
    }
    Ok(organization::objects(draft, &[]).into_iter().filter(|object| object.kind() == kind).collect())
}

fn inner(properties: &Properties, service: &str) -> Properties {
    match properties.iter().find(|(name, _)| name == service) {
        Some((_, Written::Map(inner))) => inner.clone(),
        _ => Properties::new(),
    }
}

fn set(properties: &mut Properties, name: &str, value: Written) {
    match properties.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => properties.push((name.to_owned(), value)),
    }
}

/// A credential or a password as the schema takes it.
fn secret(is_secret: bool, value: &Value) -> Option<Written> {
    match value {
        _ if !is_secret => None,
        Value::Secret(secret) => Some(Written::Text(secret.0.to_string())),
        Value::Object(credential) => {
            let password = match credential.get("Password") {
                Some(Value::Secret(secret)) => secret.0.to_string(),
                _ => String::new(),
            };
            let user = credential.get("UserName").map(|user| user.text()).unwrap_or_default();
            Some(Written::Map(vec![
                ("user".to_owned(), Written::Text(user)),
                ("password".to_owned(), Written::Text(password)),
            ]))
        }
        _ => Some(Written::Nothing),
    }
}

/// What a new object has when nobody says otherwise.
fn defaults(
    premises: &dyn Premises,
    noun: &Noun,
    call: &Call<'_>,
    draft: &OrganizationDraft,
    properties: &mut Properties,
) -> Result<(), Failure> {
    let local = || -> Option<ServerName> {
        let mailbox = draft.servers.iter().find(|server| server.role == topology::ServerRole::Mailbox);
        premises.local_server().or_else(|| mailbox.map(|server| server.name.clone()))
    };
    let usage = usage(call)?;
    match noun.kind {
        Kind::SendConnector | Kind::ForeignConnector | Kind::DeliveryAgentConnector => {
            if let Some(server) = local() {
                set(properties, "sourceTransportServers", Written::List(vec![Written::Text(server.to_string())]));
            }
            if noun.kind == Kind::SendConnector {
                set(properties, "usage", Written::Text(usage.unwrap_or_else(|| "Custom".to_owned())));
                // V-2: a connector routes by DNS unless somebody says otherwise, with smart hosts too.
                set(properties, "dnsRoutingEnabled", Written::Truth(true));
            }
        }
        Kind::ReceiveConnector => {
            if let Some(server) = local() {
                set(properties, "server", Written::Text(server.to_string()));
            }
            let wanted = call.bound.text("Server").and_then(|name| ServerName::parse(&name).ok()).or_else(local);
            let of = draft.servers.iter().find(|server| Some(&server.name) == wanted.as_ref());
            if of.is_some_and(|server| server.role == topology::ServerRole::Edge) {
                // EN-3: it has no front end.
                set(properties, "transportRole", Written::Text("HubTransport".to_owned()));
            }
            receive_defaults(usage.as_deref().unwrap_or("Custom"), properties);
        }
        Kind::Recipient => {
            let name = call.bound.text("Alias").or_else(|| call.bound.text("Name")).unwrap_or_default();
            let domain = draft.accepted_domains.iter().find(|domain| domain.is_default);
            if let Some(external) = call.bound.text("ExternalEmailAddress") {
                set(properties, "address", Written::Text(external));
            } else if let Some(domain) = domain {
                let local: String = name.chars().filter(|one| one.is_alphanumeric() || "._-".contains(*one)).collect();
                let domain = domain.domain.to_string();
                let domain = domain.trim_start_matches("*.");
                set(properties, "address", Written::Text(format!("{}@{domain}", local.to_lowercase())));
            }
            if noun.part == Part::Groups {
                set(properties, "members", Written::List(Vec::new()));
            }
            if noun.part == Part::Mailboxes
                && let Some(database) = draft.databases.first()
            {
                set(properties, "database", Written::Text(database.name.to_string()));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The usage of a connector, given once (SC-22, V-1).
fn usage(call: &Call<'_>) -> Result<Option<String>, Failure> {
    let mut given: Vec<String> =
        USAGES.iter().filter(|usage| call.bound.is_on(usage)).map(|usage| (*usage).to_owned()).collect();
    given.extend(call.bound.text("Usage"));
    match given.len() {
        0 | 1 => Ok(given.pop()),
        _ => {
            let message = format!("The usage is given more than once: {}.", given.join(", "));
            Err(Failure::new("InvalidArgument", "SeveralUsages", message).by("V-1").advise("give one of them"))
        }
    }
}

/// Groups and mechanisms of a usage of Receive connectors (RC-22…RC-24).
fn receive_defaults(usage: &str, properties: &mut Properties) {
    let (groups, mechanisms, port): (&[&str], &[&str], Option<u16>) = match usage {
        "Client" => (&["ExchangeUsers"], &["Tls", "BasicAuth", "BasicAuthRequireTLS", "Integrated"], Some(587)),
        "Internal" => (&["ExchangeLegacyServers", "ExchangeServers"], &["Tls", "ExchangeServer"], Some(25)),
        "Internet" => (&["AnonymousUsers"], &["Tls"], None),
        "Partner" => (&["Partners"], &["Tls"], None),
        _ => (&["None"], &["Tls"], None),
    };
    let list = |words: &[&str]| Written::List(words.iter().map(|word| Written::Text((*word).to_owned())).collect());
    set(properties, "permissionGroups", list(groups));
    set(properties, "authMechanism", list(mechanisms));
    if let Some(port) = port {
        let bindings = [format!("0.0.0.0:{port}"), format!("[::]:{port}")];
        set(properties, "bindings", Written::List(bindings.into_iter().map(Written::Text).collect()));
    }
}

fn made(
    premises: &dyn Premises,
    draft: &OrganizationDraft,
    noun: &Noun,
    mut properties: Properties,
) -> Result<Object, Failure> {
    if noun.kind == Kind::Recipient {
        inside(draft, &mut properties)?;
    }
    object_of(noun.kind, properties, premises.secrets()).map_err(|wrong| {
        let lines: Vec<String> = wrong
            .iter()
            .map(|one| match one.property.as_str() {
                "" => one.text.clone(),
                property => format!("{}: {}", noun.documented(property.trim_start_matches("transport.")), one.text),
            })
            .collect();
        Failure::new("InvalidArgument", "PropertyValidation", lines.join("\n"))
    })
}

/// Addresses inside of other types, `X400:c=US;a=Fabrikam`, stand in addresses of the default domain (EN-73).
fn inside(draft: &OrganizationDraft, properties: &mut Properties) -> Result<(), Failure> {
    let Some(domain) = draft.default_domain() else { return Ok(()) };
    let encode = |text: &mut String| -> Result<(), Failure> {
        let Some((kind, address)) = encapsulated::typed(text) else { return Ok(()) };
        let inside = encapsulated::encode(kind, address, domain).ok_or_else(|| {
            let message = format!("'{}' is too long, or has characters that are not ASCII.", text.escape_debug());
            Failure::new("InvalidArgument", "PropertyValidation", message).by("EN-73")
        })?;
        *text = respelled(&inside).unwrap_or(inside).to_string();
        Ok(())
    };
    let addresses = ["address", "proxyAddresses"];
    for (_, value) in properties.iter_mut().filter(|(name, _)| addresses.contains(&name.as_str())) {
        match value {
            Written::Text(text) => encode(text)?,
            Written::List(all) => {
                for one in all {
                    if let Written::Text(text) = one {
                        encode(text)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks the whole organization with one object as it will be.
pub(crate) fn check(draft: &OrganizationDraft, object: &Object, without: Option<&Object>) -> Result<Problems, Failure> {
    check_all(draft, std::slice::from_ref(object), without)
}

fn check_without(draft: &OrganizationDraft, object: &Object) -> Result<Problems, Failure> {
    check_all(draft, &[], Some(object))
}

fn check_all(draft: &OrganizationDraft, puts: &[Object], without: Option<&Object>) -> Result<Problems, Failure> {
    if puts.iter().chain(without).all(|object| object.kind() == Kind::Recipient) {
        return Ok(Problems::default());
    }
    let mut objects = organization::objects(draft, &[]);
    objects.retain(|known| without.is_none_or(|gone| (gone.kind(), gone.guid()) != (known.kind(), known.guid())));
    for put in puts {
        match objects.iter_mut().find(|known| (known.kind(), known.guid()) == (put.kind(), put.guid())) {
            Some(known) => *known = put.clone(),
            None => objects.push(put.clone()),
        }
    }
    let (mut after, _) = organization::assemble(objects);
    after.settle();
    after.complete();
    let found = topology::validation::lint(&after);
    // What was wrong before is not this command's doing.
    let before: Vec<Problem> = if found.0.is_empty() { Vec::new() } else { topology::validation::lint(draft).0 };
    let new: Vec<Problem> = found.0.into_iter().filter(|problem| !before.contains(problem)).collect();
    let (errors, warnings): (Vec<Problem>, Vec<Problem>) =
        new.into_iter().partition(|problem| problem.weight == Weight::Error);
    if errors.is_empty() { Ok(Problems(warnings)) } else { Err(refused(&Problems(errors))) }
}

/// Every problem at once, each with its place.
fn refused(problems: &Problems) -> Failure {
    let lines: Vec<String> = problems.0.iter().map(|problem| format!("{}: {}", problem.place, problem.text)).collect();
    Failure::new("InvalidArgument", "ValidationFailed", lines.join("\n"))
        .advise("nothing was changed; correct all of these at once")
}

pub(crate) fn warn(problems: &Problems, session: &mut Session<'_>) {
    for problem in &problems.0 {
        session.warn(&format!("{}: {}", problem.place, problem.text));
    }
}

/// What a change of an accepted domain has for its other properties: `MatchSubDomains` is the form of its name (EN-80), and where
/// Recipient Lookup is as it is by default, it goes with the type (EN-82).
fn of_domain(call: &Call<'_>, old: &Object, properties: &mut Properties) {
    let Object::AcceptedDomain(old) = old else { return };
    let by_default = old.address_book_enabled == old.domain_type.looks_recipients_up();
    if by_default && call.bound.has("DomainType") && !call.bound.has("AddressBookEnabled") {
        properties.retain(|(name, _)| name != "addressBookEnabled");
    }
    if call.bound.has("MatchSubDomains") {
        let domain = old.domain.to_string();
        let domain = domain.strip_prefix("*.").unwrap_or(&domain);
        let prefix = if call.bound.is_on("MatchSubDomains") { "*." } else { "" };
        set(properties, "domainName", Written::Text(format!("{prefix}{domain}")));
    }
}

/// Recipients with addresses of other types in the domain that was the default, who have them in the new one as well: that is
/// where mail is addressed to them (PL-45, EN-73). They keep the old ones, for answers to old mail.
fn carried_over(
    premises: &mut dyn Premises,
    draft: &OrganizationDraft,
    puts: &[Object],
) -> Result<Vec<Object>, Failure> {
    let after = puts.iter().filter_map(|put| match put {
        Object::AcceptedDomain(domain) => Some((**domain).clone()),
        _ => None,
    });
    let after = OrganizationDraft { accepted_domains: after.collect(), ..OrganizationDraft::default() };
    let (Some(old), Some(new)) = (draft.default_domain(), after.default_domain()) else { return Ok(Vec::new()) };
    if old == new {
        return Ok(Vec::new());
    }
    let mut carried = Vec::new();
    for recipient in premises.recipients().map_err(away)?.iter() {
        let inside = recipient.addresses().filter(|address| address.domain() == *old);
        let inside = inside.filter(|address| encapsulated::decode(address.local_part()).is_some());
        let missing: Vec<_> = inside
            .filter_map(|address| envelope::Address::new(address.local_part(), new).ok())
            .filter(|address| recipient.addresses().all(|known| known.key() != address.key()))
            .collect();
        if !missing.is_empty() {
            let mut changed = recipient.clone();
            changed.proxy_addresses.extend(missing);
            carried.push(Object::Recipient(Box::new(changed)));
        }
    }
    Ok(carried)
}

/// Before the domain changes: nobody's address is missing in between.
fn carry_over(
    premises: &mut dyn Premises,
    carried: &[Object],
    call: &Call<'_>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    if !carried.is_empty() {
        let count = carried.len();
        session.warn(&format!(
            "Recipients with addresses of other types have them in the new default domain, too: {count}."
        ));
    }
    for some in carried.chunks(RECIPIENTS_AT_ONCE) {
        commit(premises, some.to_vec(), Vec::new(), &call.signature.name)?;
    }
    Ok(())
}

/// The identity of a new object: that of its name, unless one that was called so before still has it.
pub(crate) fn free_guid(existing: &[Object], kind: Kind, name: &str) -> topology::Guid {
    let names = std::iter::once(name.to_owned()).chain((2_u32..).map(|number| format!("{name} {number}")));
    let mut guids = names.map(|name| kind.derived_guid(&name));
    let is_taken = |guid: topology::Guid| existing.iter().any(|known| known.kind() == kind && known.guid() == guid);
    guids.find(|guid| !is_taken(*guid)).expect("there are more names than objects")
}

/// One accepted domain is the default, so the others are not.
fn only_default(draft: &OrganizationDraft, chosen: &Object) -> Vec<Object> {
    let mut puts = Vec::new();
    for domain in &draft.accepted_domains {
        let is_it = domain.guid == chosen.guid();
        if is_it || domain.is_default {
            let mut domain = match chosen {
                Object::AcceptedDomain(changed) if is_it => changed.clone(),
                _ => Box::new(domain.clone()),
            };
            domain.is_default = is_it;
            puts.push(Object::AcceptedDomain(domain));
        }
    }
    puts
}

pub(crate) fn commit(
    premises: &mut dyn Premises,
    puts: Vec<Object>,
    deletes: Vec<(Kind, topology::Guid)>,
    command: &str,
) -> Result<(), Failure> {
    premises.commit(puts, deletes, command).map_err(|why| match why {
        Refused::Invalid(problems) => refused(&problems),
        Refused::Other(text) => Failure::new("InvalidOperation", "NotCommitted", text),
    })
}
