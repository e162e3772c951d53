//! An object of the organization as the shell shows it: its properties under their documented names, typed.

use std::rc::Rc;

use organization::schema::{Row, Shape};
use organization::{Object, Properties, Written, properties_of};
use shell::{CREDENTIAL, Value, literal};

use crate::catalogue::rows;
use crate::noun::{Noun, recipient_type};

/// The object with every property, in the order of their names, the identity first.
pub(crate) fn shown(noun: &Noun, object: &Object) -> Value {
    let written = match (noun.part.inner(), properties_of(object)) {
        (Some(service), all) => inside(&all, service),
        (None, all) => all,
    };
    let mut properties: Vec<(Rc<str>, Value)> = Vec::new();
    for row in rows(noun).into_iter().filter(|row| row.name != "usage") {
        let value = written.iter().find(|(name, _)| name == row.name).map(|(_, value)| value);
        let shown = match value {
            // What nobody has said is not written, where a service has a default.
            Some(Written::Nothing) | None if noun.part.inner().is_some() => by_default(&row),
            Some(Written::Nothing) | None => empty(&row.shape),
            Some(_) if row.secret => Value::of(CREDENTIAL),
            Some(value) => value_of(value, &row.shape, row.name),
        };
        properties.push((noun.documented(row.name).into(), shown));
    }
    for (name, value) in read_only(noun, object) {
        if !properties.iter().any(|(known, _)| *known == name) {
            properties.push((name, value));
        }
    }
    if let Object::ReceiveConnector(connector) = object
        && !connector.permissions.is_empty()
    {
        note_custom(&mut properties);
    }
    properties.sort_by_key(|(name, _)| name.to_lowercase());
    let name = short_name(object);
    Value::Object(shell::Object::new(noun.of, Some(&name), properties))
}

/// PF-37: that there are permissions besides those of the groups is said by `Custom`.
fn note_custom(properties: &mut [(Rc<str>, Value)]) {
    if let Some((_, Value::Word(_, groups))) = properties.iter_mut().find(|(name, _)| &**name == "PermissionGroups") {
        let named: Vec<&str> = groups.split(", ").filter(|group| !matches!(*group, "" | "None" | "Custom")).collect();
        *groups = named.into_iter().chain(["Custom"]).collect::<Vec<_>>().join(", ").into();
    }
}

fn inside(properties: &Properties, name: &str) -> Properties {
    match properties.iter().find(|(known, _)| known == name) {
        Some((_, Written::Map(inner))) => inner.clone(),
        _ => Properties::new(),
    }
}

fn short_name(object: &Object) -> String {
    let name = object.name();
    match object {
        Object::TransportConfig(_) => "Transport Settings".to_owned(),
        _ => name,
    }
}

/// The default of a property, where that is a value of its sort.
fn by_default(row: &Row) -> Value {
    let written = match &row.shape {
        Shape::Truth => row.default.parse().map(Written::Truth).ok(),
        Shape::Whole => row.default.parse().map(Written::Whole).ok(),
        Shape::Size | Shape::Span | Shape::Limit(_) => {
            (!row.default.is_empty()).then(|| Written::Text(row.default.clone()))
        }
        _ => None,
    };
    written.map_or_else(|| empty(&row.shape), |written| value_of(&written, &row.shape, row.name))
}

fn empty(shape: &Shape) -> Value {
    match shape {
        Shape::List(_) => Value::list(Vec::new()),
        _ => Value::Null,
    }
}

fn value_of(written: &Written, shape: &Shape, name: &str) -> Value {
    match (written, shape) {
        (Written::List(items), Shape::List(inner)) => match &**inner {
            // Flags are one value: their names joined by commas.
            Shape::Word(_) => Value::Word(name.into(), items.iter().map(text).collect::<Vec<_>>().join(", ").into()),
            inner => Value::list(items.iter().map(|item| value_of(item, inner, name)).collect()),
        },
        (written, Shape::Limit(inner)) => match text(written) {
            limit if limit.eq_ignore_ascii_case("unlimited") => Value::Limit(None),
            _ => Value::Limit(Some(Rc::new(value_of(written, inner, name)))),
        },
        (Written::Truth(truth), _) => Value::Bool(*truth),
        (Written::Whole(whole), _) => i64::try_from(*whole).map_or_else(|_| Value::of(whole.to_string()), Value::Whole),
        (written, Shape::Size) => literal::size(&text(written)).map_or(Value::Null, Value::Size),
        (written, Shape::Span) => literal::span(&text(written)).map_or(Value::Null, Value::Span),
        (written, Shape::Word(_)) => Value::Word(name.into(), text(written).into()),
        (Written::List(items), _) => Value::list(items.iter().map(|item| Value::of(text(item))).collect()),
        (written, _) => Value::of(text(written)),
    }
}

/// A scalar as a text.
pub(crate) fn text(written: &Written) -> String {
    match written {
        Written::Text(text) => text.clone(),
        Written::Truth(truth) => truth.to_string(),
        Written::Whole(whole) => whole.to_string(),
        Written::Nothing | Written::List(_) | Written::Map(_) => String::new(),
    }
}

/// Properties that are only shown.
fn read_only(noun: &Noun, object: &Object) -> Vec<(Rc<str>, Value)> {
    let name = short_name(object);
    let mut all: Vec<(Rc<str>, Value)> = vec![
        ("Identity".into(), Value::of(&*name)),
        ("Guid".into(), Value::of(object.guid().to_string())),
        ("IsValid".into(), Value::Bool(true)),
    ];
    if noun.part.inner().is_some() {
        all.push(("Name".into(), Value::of(&*name)));
    }
    // Of a Receive connector the name is without its server.
    all.extend(match object {
        Object::SendConnector(connector) => vec![
            ("SmartHostsString".into(), Value::of(connector.smart_host_list())),
            ("IsSmtpConnector".into(), Value::Bool(true)),
            ("ConnectedDomains".into(), Value::list(Vec::new())),
            (
                "HomeMtaServerId".into(),
                connector.source_transport_servers.first().map_or(Value::Null, |server| Value::of(server.to_string())),
            ),
        ],
        Object::Server(server) if noun.part.inner().is_none() => {
            let mailbox = server.role == topology::ServerRole::Mailbox;
            vec![
                ("IsMailboxServer".into(), Value::Bool(mailbox)),
                ("IsHubTransportServer".into(), Value::Bool(mailbox)),
                ("IsFrontendTransportServer".into(), Value::Bool(mailbox)),
                ("IsEdgeServer".into(), Value::Bool(!mailbox)),
                ("Edition".into(), Value::of("Standard")),
                ("AdminDisplayVersion".into(), Value::of("Version 15.2")),
            ]
        }
        Object::SiteLink(link) => {
            let effective = link.exchange_cost.unwrap_or(link.cost);
            vec![("Cost".into(), Value::Whole(effective.get().into()))]
        }
        Object::AcceptedDomain(domain) => {
            vec![("MatchSubDomains".into(), Value::Bool(!matches!(domain.domain, topology::DomainPattern::Exact(_))))]
        }
        Object::Recipient(recipient) => {
            let alias = recipient.primary_address.to_string();
            let alias = alias.split('@').next().unwrap_or_default().to_owned();
            vec![
                ("DisplayName".into(), Value::of(&*name)),
                ("Alias".into(), Value::of(alias)),
                ("RecipientType".into(), Value::of(recipient_type(recipient))),
            ]
        }
        _ => Vec::new(),
    });
    all
}
