//! *New Send connector*, step by step, as the Exchange admin center has it (AC-12…23). What that restricts by type is advice here
//! (WA-15): the shell allows it. The end is a plan, not the connector.

use organization::{Kind, Properties, Written, Wrong, properties_of};
use topology::{Organization, ServerRole};

use super::{Answered, Outcome, edit, missing};
use crate::centre::Visit;
use crate::form::{self, Filling};
use crate::request::{Ask, Pairs};
use crate::view::{Bit, Block, Button, Entry, Field, Form, Group, Sheet};

/// A step of the wizard.
struct Step {
    title: &'static str,
    properties: &'static [&'static str],
}

const STEPS: [Step; 6] = [
    Step { title: "Name and type", properties: &["name", "usage", "comment"] },
    Step {
        title: "Network settings",
        properties: &["dnsRoutingEnabled", "smartHosts", "useExternalDNSServersEnabled", "frontendProxyEnabled"],
    },
    Step { title: "Smart host authentication", properties: &["smartHostAuthMechanism", "authenticationCredential"] },
    Step { title: "Address space", properties: &["addressSpaces", "isScopedConnector"] },
    Step { title: "Source servers", properties: &["sourceTransportServers", "fqdn"] },
    Step {
        title: "TLS and limits",
        properties: &[
            "requireTLS",
            "tlsAuthLevel",
            "tlsDomain",
            "ignoreSTARTTLS",
            "maxMessageSize",
            "protocolLoggingLevel",
        ],
    },
];
const AUTHENTICATION: usize = 2;

/// AC-13: the types, and what the Exchange admin center offers for each only after creation (AC-17, AC-18).
const TYPES: [(&str, &str, &str); 4] = [
    ("Custom", "Custom", "any use"),
    (
        "Internal",
        "Internal",
        "to other servers of yours; without a size limit. The EAC offers MX only after creation (AC-17).",
    ),
    ("Internet", "Internet", "to hosts on the internet"),
    ("Partner", "Partner", "to partner domains. The EAC offers smart hosts only after creation (AC-18)."),
];

/// AC-19
const MECHANISMS: [(&str, &str, &str); 5] = [
    ("None", "None", ""),
    ("BasicAuth", "Basic authentication", "password in clear unless TLS happens to be on"),
    ("BasicAuthRequireTLS", "Basic authentication, only after starting TLS", ""),
    ("ExchangeServer", "Exchange Server authentication", "Kerberos"),
    ("ExternalAuthoritative", "Externally secured (for example, with IPsec)", ""),
];

pub(crate) async fn page(visit: &Visit<'_>, rest: &[&str]) -> Answered {
    let organization = visit.ruled.organization().await?;
    let owner = visit.person.name();
    match rest {
        [] if !visit.ask.post => {
            let base = base(&organization, visit.ask.query("copy"));
            let id = visit.centre.plans.draft(owner, Kind::SendConnector, base, visit.now);
            Ok(Outcome::See(format!("/send-connectors/new/{id}/1")))
        }
        [id, step] => {
            let draft = visit
                .centre
                .plans
                .drafted(id, owner)
                .ok_or_else(|| missing("draft, or it is older than a day:", id))?;
            let at = step.parse::<usize>().unwrap_or_default().wrapping_sub(1);
            if at >= STEPS.len() || draft.kind != Kind::SendConnector {
                return Err(missing("step", step));
            }
            if visit.ask.post {
                return went(visit, &organization, id, at, &draft.properties).await;
            }
            if at > draft.reached {
                return Ok(Outcome::See(format!("/send-connectors/new/{id}/{}", draft.reached + 1)));
            }
            Ok(Outcome::Sheet(sheet(visit, &organization, id, at, &draft.properties, None, &[])))
        }
        _ => Err(missing("page", &visit.ask.path)),
    }
}

/// What the wizard fills in: what AC-16, AC-20 have as defaults, or what another connector has.
fn base(organization: &Organization, copy: &str) -> Properties {
    if let Some(object) = edit::named(organization, Kind::SendConnector, copy).filter(|_| !copy.is_empty()) {
        let mut properties = properties_of(&object);
        // A credential is sealed for its connector: a copy needs it typed again (WA-67).
        properties.retain(|(name, _)| !matches!(name.as_str(), "guid" | "name" | "authenticationCredential"));
        return properties;
    }
    vec![
        ("enabled".to_owned(), Written::Truth(true)),
        ("dnsRoutingEnabled".to_owned(), Written::Truth(true)),
        ("smartHostAuthMechanism".to_owned(), Written::Text("None".to_owned())),
    ]
}

fn has_hosts(properties: &Properties) -> bool {
    form::get(properties, "dnsRoutingEnabled") == Some(&Written::Truth(false))
}

/// AC-12: authentication is a step of smart hosts only.
fn next(at: usize, properties: &Properties) -> usize {
    if at + 1 == AUTHENTICATION && !has_hosts(properties) { at + 2 } else { at + 1 }
}

fn before(at: usize, properties: &Properties) -> usize {
    if at == AUTHENTICATION + 1 && !has_hosts(properties) { at - 2 } else { at - 1 }
}

/// What was typed in a step, and where it leads.
async fn went(
    visit: &Visit<'_>,
    organization: &std::sync::Arc<Organization>,
    id: &str,
    at: usize,
    known: &Properties,
) -> Answered {
    let mut properties = form::read(Kind::SendConnector, known, &routed(visit.ask));
    if !has_hosts(&properties) {
        form::set(&mut properties, "smartHosts", Written::List(Vec::new()));
        form::set(&mut properties, "smartHostAuthMechanism", Written::Text("None".to_owned()));
        properties.retain(|(name, _)| name != "authenticationCredential");
    }
    let back = visit.ask.field("do") == "back";
    let wrong = if back { Vec::new() } else { wrong(visit, organization, at, &properties) };
    if !wrong.is_empty() {
        let mut sheet = sheet(visit, organization, id, at, known, Some(&visit.ask.form), &wrong);
        sheet.status = 422;
        return Ok(Outcome::Sheet(sheet));
    }
    let to = if back { before(at.max(1), &properties) } else { next(at, &properties) };
    visit.centre.plans.redraft(id, properties.clone(), to.min(STEPS.len() - 1));
    if to < STEPS.len() {
        return Ok(Outcome::See(format!("/send-connectors/new/{id}/{}", to + 1)));
    }
    match edit::build(visit, Kind::SendConnector, properties.clone(), organization, None).await? {
        Ok(object) => {
            // What was sealed is not kept besides: who edits again types the password again.
            properties.retain(|(name, _)| name != "authenticationCredential");
            visit.centre.plans.redraft(id, properties, STEPS.len() - 1);
            let title = format!("New Send connector {}", object.name());
            let back = format!("/send-connectors/new/{id}/1");
            edit::planned(visit, organization, vec![organization::Change::Create(object)], &title, &back)
        }
        Err(wrong) => {
            // What is wrong is shown where it was typed.
            let of = |step: &Step| {
                wrong.iter().any(|wrong| step.properties.iter().any(|name| wrong.property.starts_with(name)))
            };
            let place = STEPS.iter().position(of).unwrap_or(at);
            let mut sheet = sheet(visit, organization, id, place, &properties, None, &wrong);
            sheet.status = 422;
            Ok(Outcome::Sheet(sheet))
        }
    }
}

/// Of a step with radio buttons: smart hosts that were typed beside *MX* do not count.
fn routed(ask: &Ask) -> Ask {
    let mut ask = ask.clone();
    if ask.field("dnsRoutingEnabled") == "true" {
        for (_, value) in ask.form.iter_mut().filter(|(name, _)| name == "smartHosts") {
            value.clear();
        }
    }
    ask
}

/// What a step by itself can say.
fn wrong(visit: &Visit<'_>, organization: &Organization, at: usize, properties: &Properties) -> Vec<Wrong> {
    let text = |name: &str| form::text(form::get(properties, name));
    let mut all = Vec::new();
    let mut say = |property: &str, text: String| all.push(Wrong { property: property.to_owned(), text });
    match at {
        0 => {
            if text("name").is_empty() {
                say("name", "give it a name that no other has".to_owned());
            } else if edit::named(organization, Kind::SendConnector, &text("name")).is_some() {
                say("name", format!("another one is called {} already (V-26)", text("name")));
            }
            if text("usage").is_empty() {
                say("usage", "choose a type; there is no default (AC-13)".to_owned());
            }
        }
        1 if has_hosts(properties) => {
            if text("smartHosts").is_empty() {
                say("smartHosts", "name at least one smart host: an address or a name (AC-15, V-3)".to_owned());
            }
            for host in text("smartHosts").lines() {
                if let Err(why) = host.parse::<topology::SmartHost>() {
                    say("smartHosts", why);
                }
            }
        }
        AUTHENTICATION => {
            let basic = text("smartHostAuthMechanism").starts_with("Basic");
            let typed = !visit.ask.field("authenticationCredential:password").is_empty();
            let known = matches!(form::get(properties, "authenticationCredential"), Some(Written::Map(_)));
            if basic && !typed && !known {
                say("authenticationCredential", "give a user name and a password (V-9)".to_owned());
            }
        }
        3 => {
            if text("addressSpaces").is_empty() {
                say("addressSpaces", "name at least one: *, contoso.com, *.contoso.com (AC-20)".to_owned());
            }
            for (line, space) in text("addressSpaces").lines().enumerate() {
                if let Err(why) = space.parse::<topology::AddressSpace>() {
                    say("addressSpaces", format!("line {}: {why}", line + 1));
                }
            }
        }
        4 if text("sourceTransportServers").is_empty() => {
            say("sourceTransportServers", "choose at least one server (AC-22)".to_owned());
        }
        _ => {}
    }
    all
}

fn sheet(
    visit: &Visit<'_>,
    organization: &Organization,
    id: &str,
    at: usize,
    properties: &Properties,
    typed: Option<&Pairs>,
    wrong: &[Wrong],
) -> Sheet {
    let step = &STEPS[at];
    let last = at + 1 == STEPS.len();
    let shown = if has_hosts(properties) { STEPS.len() } else { STEPS.len() - 1 };
    let number = if has_hosts(properties) || at < AUTHENTICATION { at + 1 } else { at };
    let mut sheet = Sheet::new(format!("New Send connector: {}", lowered(step.title)))
        .under("/send-connectors", "Send connectors")
        .says(format!("Step {number} of {shown}. Nothing is made before you have seen the plan."));
    sheet.add(Block::Links(done(id, at, visit, properties)));
    let filling = Filling { kind: Kind::SendConnector, current: properties, typed, wrong, fixed: &[] };
    let mut fields = filling.some(step.properties);
    for field in &mut fields {
        advise(field, organization, properties);
    }
    if !wrong.is_empty() && fields.iter().all(|field| field.error.is_empty()) && !fields.is_empty() {
        fields[0].error = wrong
            .iter()
            .map(|wrong| format!("{} {}", wrong.property, wrong.text).trim().to_owned())
            .collect::<Vec<_>>()
            .join("; ");
    }
    let mut buttons = vec![Button::new(if last { "Look at the plan" } else { "Next" }, "do", "next", "primary")];
    if let Some(first) = buttons.first_mut() {
        first.refused = visit.ruled.why_not(edit::changing(Kind::SendConnector)).unwrap_or_default();
    }
    if at > 0 {
        buttons.push(Button::new("Back", "do", "back", ""));
    }
    sheet.form(Form {
        action: format!("/send-connectors/new/{id}/{}", at + 1),
        groups: vec![Group { fields, ..Group::default() }],
        buttons,
        ..Form::default()
    });
    sheet
}

/// As a part of a title; TLS stays TLS.
fn lowered(title: &str) -> String {
    if title.starts_with("TLS") { title.to_owned() } else { title.to_lowercase() }
}

/// Steps that were made: each can be looked at again, and keeps its values (AC-12).
fn done(id: &str, at: usize, visit: &Visit<'_>, properties: &Properties) -> Vec<crate::view::Bits> {
    let reached = visit.centre.plans.drafted(id, visit.person.name()).map_or(at, |draft| draft.reached.max(at));
    let steps = STEPS.iter().enumerate().filter(|(step, _)| *step != AUTHENTICATION || has_hosts(properties));
    steps
        .map(|(step, known)| match step {
            step if step == at => Bit::Strong(known.title.to_owned()).into(),
            step if step <= reached => Bit::link(format!("/send-connectors/new/{id}/{}", step + 1), known.title).into(),
            _ => Bit::Quiet(known.title.to_owned()).into(),
        })
        .collect()
}

/// The words and choices of the Exchange admin center, and its restrictions as advice.
fn advise(field: &mut Field, organization: &Organization, properties: &Properties) {
    let usage = form::text(form::get(properties, "usage"));
    let options = |all: &[(&str, &str, &str)]| {
        all.iter().map(|(value, text, note)| ((*value).to_owned(), (*text).to_owned(), (*note).to_owned())).collect()
    };
    match field.name.as_str() {
        "usage" => {
            field.entry = Entry::Radio(options(&TYPES));
            field.required = true;
            field.help =
                "Given once. It decides the default of the size limit, and nothing else (SC-20…23).".to_owned();
            if form::get(properties, "usage").is_none() && !TYPES.iter().any(|(value, _, _)| *value == field.value) {
                field.value.clear();
            }
        }
        "dnsRoutingEnabled" => {
            let later = "the EAC offers this only after creation";
            let mx = if usage == "Internal" { later } else { "" };
            let hosts = if usage == "Partner" { later } else { "" };
            field.entry = Entry::Radio(options(&[
                ("true", "MX record associated with recipient domain", mx),
                ("false", "Route mail through smart hosts", hosts),
            ]));
            field.help.clear();
        }
        "smartHosts" => {
            field.label = "Smart hosts".to_owned();
            field.help = "One in a line: an IPv4 or IPv6 address, or a name that the source servers can resolve. They are used together with “Route mail through smart hosts”.".to_owned();
        }
        "smartHostAuthMechanism" => {
            field.entry = Entry::Radio(options(&MECHANISMS));
            field.help.clear();
        }
        "addressSpaces" => {
            field.help = "One in a line: *, contoso.com, *.contoso.com; with a cost as in contoso.com;5 (1 otherwise). Paste as many as you like.".to_owned();
        }
        "sourceTransportServers" => {
            let on: Vec<String> = field.value.lines().map(str::to_lowercase).collect();
            let servers = organization.servers().iter();
            let option = |server: &topology::Server| {
                let role = if server.role == ServerRole::Edge { ", Edge" } else { "" };
                let chosen = on.contains(&server.name.as_str().to_lowercase());
                (server.name.to_string(), format!("{} ({}{role})", server.name, server.site), chosen)
            };
            field.entry = Entry::Several(servers.map(option).collect());
            field.required = true;
            field.help =
                "They open the connections. At least one; unlike the shell, none is chosen for you (AC-22).".to_owned();
        }
        "maxMessageSize" if field.value.is_empty() => {
            field.value = if usage == "Internal" { "unlimited".to_owned() } else { "35MB".to_owned() };
        }
        _ => {}
    }
}
