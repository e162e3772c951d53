//! Signatures from the schema: each property is a parameter, as the documentation calls it.

use std::rc::Rc;

use organization::Kind;
use organization::schema::{self, Effect, Row, Shape};
use shell::{Parameter, Signature, Takes};

use crate::absent::ABSENT;
use crate::noun::{NOUNS, Noun, Part};
use crate::queues;
use crate::recipients::signatures as of_recipients;
use crate::{audit, certificates, connectivity, fixed, reasons, tracking};

/// The usages of a connector, each also a switch of `New-`.
pub(crate) const USAGES: [&str; 5] = ["Custom", "Internal", "Internet", "Partner", "Client"];

/// Every command.
pub(crate) fn signatures() -> Vec<Rc<Signature>> {
    let mut all = Vec::new();
    for noun in NOUNS {
        for verb in noun.verbs {
            all.push(Rc::new(signature(noun, verb)));
        }
    }
    all.extend(of_recipients::members().map(Rc::new));
    all.extend(audit::signatures().into_iter().map(Rc::new));
    all.extend(certificates::signatures::signatures().into_iter().map(Rc::new));
    all.extend([tracking::signature(), connectivity::signature()].map(Rc::new));
    all.extend(fixed::signatures().into_iter().map(Rc::new));
    all.extend(crate::edge::signatures().into_iter().map(Rc::new));
    all.extend(crate::permission::signatures::signatures().into_iter().map(Rc::new));
    all.extend(queues::signatures().into_iter().map(Rc::new));
    for (names, why) in ABSENT {
        for name in *names {
            let catch_all =
                Parameter { remaining: true, ..Parameter::new("Arguments", Takes::Any, "Anything.").at(0).piped() };
            all.push(Rc::new(Signature {
                name: (*name).into(),
                synopsis: "Not available yet.".into(),
                parameters: vec![catch_all],
                absent: Some((*why).into()),
                ..Signature::default()
            }));
        }
    }
    all
}

/// The noun and the verb of a command.
pub(crate) fn parts(name: &str) -> Option<(&'static str, &'static Noun)> {
    let (verb, noun) = name.split_once('-')?;
    let noun = NOUNS.iter().find(|one| one.name.eq_ignore_ascii_case(noun))?;
    Some((noun.verbs.iter().find(|one| one.eq_ignore_ascii_case(verb))?, noun))
}

/// The rows of the schema that the commands of a noun know.
pub(crate) fn rows(noun: &Noun) -> Vec<Row> {
    let rows = schema::properties(noun.kind);
    let rows = match noun.part.inner() {
        Some(service) => rows.into_iter().find(|row| row.name == service).map(|row| row.holds).unwrap_or_default(),
        None => rows,
    };
    rows.into_iter().filter(|row| noun.shows(row.name)).collect()
}

fn signature(noun: &Noun, verb: &str) -> Signature {
    let name = format!("{verb}-{}", noun.name);
    let aliases = noun.aliases.iter().map(|alias| format!("{verb}-{alias}").into()).collect();
    let mut parameters = Vec::new();
    if verb == "New" {
        parameters.push(Parameter::new("Name", Takes::Text, "The name of the new object.").at(0).required());
        parameters.extend(properties(noun, true));
        parameters.extend(only_new(noun));
    } else if noun.kind != Kind::TransportConfig {
        let help = format!("The {}: its name or its GUID.", noun.words);
        let identity = Parameter {
            accepts: accepted(noun),
            mandatory: verb != "Get",
            ..Parameter::new("Identity", Takes::Text, help).at(0).piped()
        };
        parameters.push(identity);
    }
    if verb == "Set" {
        parameters.extend(properties(noun, false));
        parameters.extend(only_set(noun));
    }
    if verb == "Get" && matches!(noun.kind, Kind::ReceiveConnector) {
        parameters[0].sets = vec!["Identity".into()];
        parameters
            .push(Parameter::new("Server", Takes::Text, "Connectors of this server.").piped().of_sets(&["Server"]));
    }
    if verb == "Get" && noun.kind == Kind::Recipient {
        parameters.extend(of_recipients::searched(noun));
    }
    if verb == "Set" {
        parameters.extend(reasons::settled(noun.name).map(|(_, name, takes, _, why)| {
            Parameter::new(*name, takes.clone(), format!("Taken with what is so anyway: {why}."))
        }));
    }
    parameters.push(Parameter::new(
        "DomainController",
        Takes::Text,
        "Accepted without effect: there is one directory.",
    ));
    let absent = documented(&name, &parameters);
    parameters.extend(absent);
    Signature {
        synopsis: synopsis(noun, verb).into(),
        examples: examples(noun, verb),
        changes: verb != "Get",
        asks: verb == "Remove",
        returns: if matches!(verb, "Get" | "New") { noun.of.into() } else { "".into() },
        name: name.into(),
        aliases,
        parameters,
        absent: None,
    }
}

/// Objects that say which one is meant.
fn accepted(noun: &Noun) -> Vec<Rc<str>> {
    let others: &[&str] = match noun.kind {
        Kind::Recipient => &["User", "Recipient"],
        Kind::Server => &["ExchangeServer", "TransportServer"],
        _ => &["ExchangeServer"],
    };
    std::iter::once(noun.of).chain(others.iter().copied()).map(Rc::from).collect()
}

fn synopsis(noun: &Noun, verb: &str) -> String {
    let words = noun.words;
    match verb {
        "Get" => format!("Shows each {words}, or one of them."),
        "New" => format!("Makes a {words}."),
        "Set" => format!("Changes a {words}."),
        _ => format!("Removes a {words}."),
    }
}

/// A parameter for each property.
fn properties(noun: &Noun, new: bool) -> Vec<Parameter> {
    let mut all = Vec::new();
    for row in rows(noun) {
        let fixed = !new && noun.fixed.contains(&row.name);
        let own = matches!(row.name, "guid" | "name" | "default") || (new && row.name == "usage");
        if fixed || own {
            continue;
        }
        let name = noun.documented(row.name);
        let mut aliases: Vec<Rc<str>> = row.aliases.iter().map(|alias| noun.documented(alias).into()).collect();
        aliases.retain(|alias| !alias.eq_ignore_ascii_case(&name));
        // The source servers of a new connector are the local one unless somebody says otherwise (SC-83).
        let required = new && row.required && row.name != "server" && !(row.name == "members" || row.name == "address");
        let help = match row.effect {
            Effect::Works => row.help.to_owned(),
            Effect::StoredOnly(why) => format!("{} It is stored and has no effect: {why}.", row.help),
        };
        all.push(Parameter { mandatory: required, aliases, ..Parameter::new(&*name, takes(&row), help) });
    }
    if !new && !matches!(noun.kind, Kind::TransportConfig | Kind::Server | Kind::Site) {
        all.push(Parameter::new("Name", Takes::Text, "The new name."));
    }
    all.extend(retired(noun.kind));
    all
}

/// Parameters of the public pages, by command.
const DOCUMENTED: &str = include_str!("documented-parameters.txt");

/// Parameters that are documented and that nothing here follows from: each is refused by its name.
fn documented(command: &str, own: &[Parameter]) -> Vec<Parameter> {
    let line = DOCUMENTED.lines().find_map(|line| line.strip_prefix(command)?.strip_prefix(": "));
    let names = line.unwrap_or_default().split(' ').filter(|name| !name.is_empty());
    let new = names.filter(|name| !own.iter().any(|known| known.is_called(name)));
    new.map(|name| Parameter {
        retired: Some(reasons::of(command, name).into()),
        absent: true,
        ..Parameter::new(name, Takes::Any, "")
    })
    .collect()
}

/// What was, and is refused with the way to do it today (SC-125…SC-127).
fn retired(kind: Kind) -> Vec<Parameter> {
    schema::retired(kind)
        .iter()
        .map(|(name, today)| {
            let mut letters = name.chars();
            let name = letters
                .next()
                .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str());
            Parameter { retired: Some((*today).into()), ..Parameter::new(name, Takes::Any, "") }
        })
        .collect()
}

fn only_new(noun: &Noun) -> Vec<Parameter> {
    let switch = |name: &str| Parameter::new(name, Takes::Switch, "The usage of the connector.");
    match noun.kind {
        Kind::SendConnector | Kind::ReceiveConnector => {
            let last = if noun.kind == Kind::SendConnector { 4 } else { 5 };
            let usage = Takes::Word("UsageType".into(), USAGES[..last].iter().map(|word| (*word).into()).collect());
            let mut all = vec![Parameter::new("Usage", usage, "What the connector is for; it cannot be changed.")];
            all.extend(USAGES[..last].iter().map(|name| switch(name)));
            all.push(Parameter::new("Force", Takes::Switch, "No warnings and no questions."));
            all
        }
        Kind::Recipient if noun.part == Part::Groups => {
            vec![Parameter::new("Type", Takes::Text, "Accepted without effect: every group is one of distribution.")]
        }
        Kind::Recipient if noun.part == Part::Mailboxes => vec![
            Parameter::new("UserPrincipalName", Takes::Text, "Accepted without effect."),
            Parameter::new("Alias", Takes::Text, "The local part of the address, where none is given."),
        ],
        _ => Vec::new(),
    }
}

fn only_set(noun: &Noun) -> Vec<Parameter> {
    match noun.kind {
        Kind::AcceptedDomain => {
            let below = "Whether it covers everything below the domain as well: whether its DomainName is *.domain.";
            vec![
                Parameter::new("MakeDefault", Takes::Bool, "Makes it the domain of what has none."),
                Parameter::new("MatchSubDomains", Takes::Bool, below),
            ]
        }
        Kind::Site => {
            vec![Parameter::new("PartnerId", Takes::Whole(0, i64::from(i32::MAX)), "Reserved; without effect.")]
        }
        _ => vec![Parameter::new("Force", Takes::Switch, "No warnings and no questions.")],
    }
}

/// What a parameter takes, from the sort of the property.
fn takes(row: &Row) -> Takes {
    if row.secret {
        return if row.name == "password" { Takes::Secret } else { Takes::Credential };
    }
    of_shape(row, &row.shape)
}

fn of_shape(row: &Row, shape: &Shape) -> Takes {
    let words = |words: &[&'static str]| words.iter().map(|word| (*word).into()).collect();
    let of = || {
        let mut letters = row.name.chars();
        let name = letters
            .next()
            .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str());
        Rc::from(name)
    };
    match shape {
        Shape::Text => Takes::Text,
        Shape::Truth => Takes::Bool,
        Shape::Whole => {
            let (least, most) = row.limits.unwrap_or((0, u64::from(u32::MAX)));
            Takes::Whole(i64::try_from(least).unwrap_or(0), i64::try_from(most).unwrap_or(i64::MAX))
        }
        Shape::Size => Takes::Size,
        Shape::Span => Takes::Span,
        Shape::Word(all) => Takes::Word(of(), words(all)),
        Shape::Limit(inner) => Takes::Limit(Box::new(of_shape(row, inner))),
        Shape::List(inner) => match &**inner {
            Shape::Word(all) => Takes::Words(of(), words(all)),
            _ => Takes::List,
        },
    }
}

/// Examples for help: of the documentation where it has some.
fn examples(noun: &Noun, verb: &str) -> Vec<(Rc<str>, Rc<str>)> {
    let one = |command: &str, meaning: &str| (Rc::from(command), Rc::from(meaning));
    match (verb, noun.name) {
        ("New", "SendConnector") => vec![
            one(
                "New-SendConnector -Internet -Name \"To internet\" -AddressSpaces *",
                "mail to everybody else, by MX records",
            ),
            one(
                "New-SendConnector -Name \"Partner\" -AddressSpaces fabrikam.com -DNSRoutingEnabled $false -SmartHosts mail.fabrikam.com -RequireTLS $true -TlsAuthLevel DomainValidation -TlsDomain mail.fabrikam.com",
                "a partner by a smart host that proves its name",
            ),
        ],
        ("Set", "SendConnector") => vec![
            one("Set-SendConnector \"To internet\" -MaxMessageSize 20MB", "a smaller limit"),
            one(
                "Set-SendConnector \"To internet\" -AddressSpaces @{Add=\"*.example.com;5\"}",
                "one more address space",
            ),
        ],
        ("New", "ReceiveConnector") => vec![one(
            "New-ReceiveConnector -Name \"Relay\" -TransportRole FrontendTransport -Custom -Bindings 0.0.0.0:25 -RemoteIPRanges 192.168.1.10",
            "a connector for one address",
        )],
        ("New", "AcceptedDomain") => {
            vec![one(
                "New-AcceptedDomain -Name Contoso -DomainName contoso.com -DomainType Authoritative",
                "a domain of the organization",
            )]
        }
        (_, "X400AuthoritativeDomain") if matches!(verb, "New" | "Set") => x400_example(verb),
        ("Set", "ADSite") => vec![one("Set-ADSite -Identity Berlin -HubSiteEnabled $true", "a hub site")],
        ("Set", "ADSiteLink") => {
            vec![one("Set-ADSiteLink -Identity BerlinParis -ExchangeCost 10", "a cost for mail alone")]
        }
        ("Set", "TransportConfig") => {
            vec![one("Set-TransportConfig -MaxSendSize 20MB -MaxReceiveSize 20MB", "sizes for everybody")]
        }
        ("Set", "TransportService") => {
            vec![one(
                "Set-TransportService MBX01 -MessageExpirationTimeout 4.00:00:00",
                "four days before mail is given up",
            )]
        }
        ("New", "Mailbox") => {
            vec![one("New-Mailbox -Name Alice -PrimarySmtpAddress alice@contoso.com -Database DB1", "a mailbox")]
        }
        ("New", "MailContact") => {
            vec![one("New-MailContact -Name Bob -ExternalEmailAddress bob@fabrikam.com", "somebody elsewhere")]
        }
        ("New", "DistributionGroup") => {
            vec![one("New-DistributionGroup -Name Sales -Members alice@contoso.com", "a group")]
        }
        ("New", "ForeignConnector") => {
            vec![one("New-ForeignConnector -Name Fax -AddressSpaces \"FAX:*;1\"", "files in a directory")]
        }
        ("New", "DeliveryAgentConnector") => vec![one(
            "New-DeliveryAgentConnector -Name Mobile -AddressSpaces \"MOBILE:*;1\" -DeliveryProtocol MOBILE",
            "an agent that speaks another protocol",
        )],
        ("Get", _) => vec![
            one(&format!("Get-{}", noun.name), "all of them"),
            one(&format!("Get-{} | Format-List", noun.name), "with every property"),
        ],
        ("Remove", _) => vec![one(&format!("Remove-{} Old -WhatIf", noun.name), "what would be removed")],
        _ => vec![one(&format!("{verb}-{} Name -WhatIf", noun.name), "what would be changed")],
    }
}

fn x400_example(verb: &str) -> Vec<(Rc<str>, Rc<str>)> {
    let (command, meaning) = match verb {
        "New" => (
            "New-X400AuthoritativeDomain -Name Sales -X400DomainName \"C=US;A=Fabrikam;P=Contoso;O=Sales\"",
            "X.400 addresses of the organization",
        ),
        _ => (
            "Set-X400AuthoritativeDomain Sales -X400ExternalRelay $true",
            "whom the directory does not have is elsewhere",
        ),
    };
    vec![(command.into(), meaning.into())]
}
