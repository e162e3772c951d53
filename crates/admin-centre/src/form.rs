//! Forms made from the schema: a property that is new there appears here without a line. What is here besides: the words of the
//! Exchange admin center for those that it has, and in which of its tabs they stand (AC-24…26, AC-37…39).

use organization::schema::{self, Effect, Row, Shape};
use organization::{Kind, Properties, Written, Wrong};

use crate::request::{Ask, Pairs};
use crate::view::{Entry, Field, Group};

/// Labels of the Exchange admin center, by property.
const LABELS: [(&str, &str); 44] = [
    ("name", "Name"),
    ("usage", "Type"),
    ("enabled", "Enable"),
    ("comment", "Comment"),
    ("protocolLoggingLevel", "Protocol logging level"),
    ("maxMessageSize", "Maximum message size"),
    ("frontendProxyEnabled", "Proxy through client access server"),
    ("dnsRoutingEnabled", "MX record associated with recipient domain"),
    ("smartHosts", "Route mail through smart hosts"),
    ("useExternalDNSServersEnabled", "Use the external DNS lookup setting on servers with transport roles"),
    ("smartHostAuthMechanism", "Smart host authentication"),
    ("authenticationCredential", "User name and password for all smart hosts"),
    ("addressSpaces", "Address space"),
    ("isScopedConnector", "Scoped send connector"),
    ("sourceTransportServers", "Source server"),
    ("fqdn", "FQDN for HELO or EHLO"),
    ("bindings", "Network adapter bindings"),
    ("remoteIPRanges", "Remote network settings"),
    ("transportRole", "Role"),
    ("authMechanism", "Authentication"),
    ("permissionGroups", "Permission groups"),
    ("maxHopCount", "Maximum hop count"),
    ("maxLocalHopCount", "Maximum local hop count"),
    ("domain", "Accepted domain"),
    ("domainName", "Accepted domain"),
    ("domainType", "This accepted domain is"),
    ("default", "Make this the default domain"),
    ("requireTLS", "Require TLS"),
    ("tlsAuthLevel", "What the certificate must prove"),
    ("tlsDomain", "TLS domain"),
    ("tlsCertificateName", "TLS certificate"),
    ("ignoreSTARTTLS", "Ignore STARTTLS"),
    ("forceHELO", "Force HELO"),
    ("domainSecureEnabled", "Enable domain security (mutual Auth TLS)"),
    ("outboundConnectionFailureRetryInterval", "Outbound connection failure retry interval"),
    ("transientFailureRetryInterval", "Transient failure retry interval"),
    ("transientFailureRetryCount", "Transient failure retry attempts"),
    ("messageExpirationTimeout", "Maximum time since submission"),
    ("delayNotificationTimeout", "Notify sender when message is delayed after"),
    ("maxOutboundConnections", "Maximum concurrent outbound connections"),
    ("maxPerDomainOutboundConnections", "Maximum concurrent outbound connections per domain"),
    ("maxReceiveSize", "Maximum receive size"),
    ("maxSendSize", "Maximum send size"),
    ("externalPostmasterAddress", "External postmaster address"),
];

/// Where the properties of connectors stand; what is in none stands in the last.
const SEND: [(&str, &[&str]); 5] = [
    (
        "General",
        &["name", "usage", "enabled", "frontendProxyEnabled", "comment", "protocolLoggingLevel", "maxMessageSize"],
    ),
    (
        "Delivery",
        &[
            "dnsRoutingEnabled",
            "smartHosts",
            "useExternalDNSServersEnabled",
            "smartHostAuthMechanism",
            "authenticationCredential",
            "port",
        ],
    ),
    ("Scoping", &["addressSpaces", "isScopedConnector", "sourceTransportServers", "fqdn"]),
    (
        "TLS",
        &[
            "requireTLS",
            "tlsAuthLevel",
            "tlsDomain",
            "tlsCertificateName",
            "ignoreSTARTTLS",
            "forceHELO",
            "domainSecureEnabled",
        ],
    ),
    ("Limits and the rest", &[]),
];
const RECEIVE: [(&str, &[&str]); 4] = [
    (
        "General",
        &[
            "name",
            "server",
            "transportRole",
            "enabled",
            "comment",
            "protocolLoggingLevel",
            "maxMessageSize",
            "maxHopCount",
            "maxLocalHopCount",
        ],
    ),
    ("Security", &["authMechanism", "permissionGroups", "requireTLS", "domainSecureEnabled", "tlsCertificateName"]),
    ("Scoping", &["bindings", "remoteIPRanges", "fqdn", "banner"]),
    ("Limits and the rest", &[]),
];

/// A label: that of the Exchange admin center, or the name of the property in words.
pub(crate) fn label(property: &str) -> String {
    let last = property.rsplit('.').next().unwrap_or(property);
    if let Some((_, label)) = LABELS.iter().find(|(known, _)| *known == last) {
        return (*label).to_owned();
    }
    let mut words = String::new();
    let letters: Vec<char> = last.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let begins = letter.is_uppercase()
            && (at == 0
                || !letters[at - 1].is_uppercase()
                || letters.get(at + 1).is_some_and(|next| next.is_lowercase() && letters[at - 1].is_uppercase()));
        if begins && at > 0 {
            words.push(' ');
        }
        // A word of its own, and no abbreviation.
        let in_word = letters.get(at + 1).is_none_or(|next| next.is_lowercase());
        if at == 0 {
            words.extend(letter.to_uppercase());
        } else if begins && in_word {
            words.extend(letter.to_lowercase());
        } else {
            words.push(*letter);
        }
    }
    words
}

/// `MaxMessageSize`: as the shell names it.
pub(crate) fn documented(property: &str) -> String {
    let last = property.rsplit('.').next().unwrap_or(property);
    if let Some(rest) = last.strip_prefix("dns") {
        return format!("DNS{rest}");
    }
    let mut letters = last.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// The rows of a kind that a form has.
fn rows(kind: Kind) -> Vec<Row> {
    schema::properties(kind).into_iter().filter(|row| row.name != "guid").collect()
}

/// A scalar or a list as text: one value in a line.
pub(crate) fn text(written: Option<&Written>) -> String {
    match written {
        None | Some(Written::Nothing | Written::Map(_)) => String::new(),
        Some(Written::Truth(truth)) => truth.to_string(),
        Some(Written::Whole(whole)) => whole.to_string(),
        Some(Written::Text(text)) => text.clone(),
        Some(Written::List(items)) => {
            items.iter().map(|item| text(Some(item))).filter(|item| !item.is_empty()).collect::<Vec<_>>().join("\n")
        }
    }
}

pub(crate) fn get<'a>(properties: &'a Properties, name: &str) -> Option<&'a Written> {
    properties.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

pub(crate) fn set(properties: &mut Properties, name: &str, value: Written) {
    match properties.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => properties.push((name.to_owned(), value)),
    }
}

fn is_plain(written: Option<&Written>) -> bool {
    match written {
        Some(Written::Map(_)) => false,
        Some(Written::List(items)) => !items.iter().any(|item| matches!(item, Written::Map(_) | Written::List(_))),
        _ => true,
    }
}

/// What a form is made of: a kind, what is, what was typed, what is wrong.
pub(crate) struct Filling<'a> {
    pub(crate) kind: Kind,
    pub(crate) current: &'a Properties,
    /// What was typed, where the form comes back.
    pub(crate) typed: Option<&'a Pairs>,
    pub(crate) wrong: &'a [Wrong],
    /// Properties that cannot be given any more.
    pub(crate) fixed: &'a [&'a str],
}

impl Filling<'_> {
    /// All fields of the kind, in its groups.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let tabs: &[(&str, &[&str])] = match self.kind {
            Kind::SendConnector => &SEND,
            Kind::ReceiveConnector => &RECEIVE,
            _ => &[("", &[])],
        };
        let mut groups: Vec<Group> =
            tabs.iter().map(|(title, _)| Group { title: (*title).to_owned(), ..Group::default() }).collect();
        let mut nested = Vec::new();
        for row in rows(self.kind).iter().filter(|row| !self.fixed.contains(&row.name)) {
            if !row.holds.is_empty() {
                nested.push(self.nested(row));
                continue;
            }
            let named = tabs.iter().position(|(_, names)| names.contains(&row.name));
            let at = named.unwrap_or(tabs.len() - 1);
            groups[at].fields.extend(self.fields(row, row.name, self.current));
        }
        for (group, (_, names)) in groups.iter_mut().zip(tabs) {
            let place = |field: &Field| names.iter().position(|name| field.name.split(':').next() == Some(name));
            group.fields.sort_by_key(|field| place(field).unwrap_or(usize::MAX));
        }
        groups.extend(nested);
        groups.retain(|group| !group.fields.is_empty());
        groups
    }

    /// The fields of some properties alone, as a step of a wizard has them.
    pub(crate) fn some(&self, names: &[&str]) -> Vec<Field> {
        let rows = rows(self.kind);
        let known = names.iter().filter_map(|name| rows.iter().find(|row| row.name == *name));
        known.flat_map(|row| self.fields(row, row.name, self.current)).collect()
    }

    fn nested(&self, row: &Row) -> Group {
        let empty = Properties::new();
        let inner = match get(self.current, row.name) {
            Some(Written::Map(inner)) => inner,
            _ => &empty,
        };
        let held = row.holds.iter().filter(|inner| inner.holds.is_empty());
        let fields = held.flat_map(|held| self.fields(held, &format!("{}.{}", row.name, held.name), inner)).collect();
        let title = label(row.name);
        Group { title, note: row.help.to_owned(), fields, folded: row.name != "transport" }
    }

    /// One property: a field, two for a credential, none for what has properties of its own in a list.
    fn fields(&self, row: &Row, name: &str, within: &Properties) -> Vec<Field> {
        let written = get(within, row.name);
        let is_wrong = |wrong: &&Wrong| {
            wrong.property == name || wrong.property.strip_prefix(name).is_some_and(|rest| rest.starts_with(['[', '.']))
        };
        let error: Vec<&str> = self.wrong.iter().filter(is_wrong).map(|wrong| wrong.text.as_str()).collect();
        if row.secret {
            return self.secret(row, name, written, &error.join(" "));
        }
        if !is_plain(written) {
            return Vec::new();
        }
        let value = self.typed(row, name).unwrap_or_else(|| text(written));
        let label = if self.kind == Kind::Server && name == "fqdn" { "FQDN".to_owned() } else { label(name) };
        let mut field = Field::line(name, &label, value.clone()).of(documented(name)).wrong(error.join(" "));
        field.help = help(row);
        field.required = row.required;
        field.changed = differs(row, &value);
        field.entry = entry(row, &value);
        if matches!(field.entry, Entry::Check) {
            field.changed = false;
        }
        if row.name == "dnsRoutingEnabled" {
            // AC-14: two ways, and one of them.
            field.label = "How mail is delivered".to_owned();
            let options = [("true", self::label(row.name)), ("false", self::label("smartHosts"))];
            field.entry = Entry::Radio(options.map(|(value, text)| (value.to_owned(), text, String::new())).to_vec());
        }
        vec![field]
    }

    /// WA-67: what is set is said to be set, and never sent.
    fn secret(&self, row: &Row, name: &str, written: Option<&Written>, error: &str) -> Vec<Field> {
        let is_set = !matches!(written, None | Some(Written::Nothing));
        let state = if is_set { "Set. Left empty, it stays as it is." } else { "Not set." };
        let user = self.typed.map(|typed| crate::request::find(typed, &format!("{name}:user"))).unwrap_or_default();
        let user = Field::line(&format!("{name}:user"), "User name", user).of(documented(name)).wrong(error);
        let mut password = Field::line(&format!("{name}:password"), "Password", "")
            .with(Entry::Line { kind: "password", complete: "new-password" })
            .helped(format!("{state} {} It is never shown, and must be typed again after an error.", row.help));
        password.property.clear();
        vec![user, password]
    }

    fn typed(&self, row: &Row, name: &str) -> Option<String> {
        let typed = self.typed?;
        let values: Vec<&str> =
            typed.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        let there = typed.iter().any(|(known, _)| known.strip_suffix(".there") == Some(name));
        match (&row.shape, values.is_empty(), there) {
            (_, true, false) => None,
            (Shape::Truth, true, true) => Some("false".to_owned()),
            _ => Some(values.join("\n")),
        }
    }
}

fn help(row: &Row) -> String {
    let mut help = row.help.to_owned();
    let mut add = |text: String| {
        help.push(' ');
        help.push_str(&text);
    };
    if !matches!(row.shape, Shape::Truth | Shape::Word(_)) && !is_of_words(&row.shape) && !row.takes.is_empty() {
        let takes =
            row.takes.strip_prefix("list: ").map_or_else(|| row.takes.clone(), |one| format!("{one}; one in a line"));
        add(format!("Write {takes}."));
    }
    if let Some(range) = &row.range {
        add(format!("It is {range}."));
    }
    if !row.default.is_empty() && !matches!(row.shape, Shape::Truth) {
        add(format!("Default: {}.", row.default));
    }
    if let Effect::StoredOnly(why) = row.effect {
        add(format!("It is stored and has no effect: {why}."));
    }
    help
}

fn is_of_words(shape: &Shape) -> bool {
    matches!(shape, Shape::List(inner) if matches!(**inner, Shape::Word(_)))
}

fn entry(row: &Row, value: &str) -> Entry {
    match &row.shape {
        Shape::Truth => Entry::Check,
        Shape::Word(words) => {
            let none = if row.required || words.iter().any(|word| *word == row.default) {
                Vec::new()
            } else {
                vec![(String::new(), "(none)".to_owned())]
            };
            let words = words.iter().map(|word| ((*word).to_owned(), (*word).to_owned()));
            Entry::Select(none.into_iter().chain(words).collect())
        }
        Shape::List(inner) => match &**inner {
            Shape::Word(words) => {
                let on: Vec<&str> = value.lines().collect();
                Entry::Several(
                    words.iter().map(|word| ((*word).to_owned(), (*word).to_owned(), on.contains(word))).collect(),
                )
            }
            _ => Entry::Lines(value.lines().count().clamp(2, 12)),
        },
        _ => Entry::Line { kind: "text", complete: "off" },
    }
}

/// What was typed, put onto what is. Properties that the form did not have stay.
pub(crate) fn read(kind: Kind, current: &Properties, ask: &Ask) -> Properties {
    let mut properties = current.clone();
    for row in rows(kind) {
        if row.holds.is_empty() {
            if let Some(value) = value(&row, row.name, ask) {
                put(&mut properties, row.name, value);
            }
            continue;
        }
        let mut inner = match get(&properties, row.name) {
            Some(Written::Map(inner)) => inner.clone(),
            _ => Properties::new(),
        };
        let mut any = false;
        for held in row.holds.iter().filter(|held| held.holds.is_empty()) {
            if let Some(value) = value(held, &format!("{}.{}", row.name, held.name), ask) {
                any = true;
                put(&mut inner, held.name, value);
            }
        }
        if any {
            set(&mut properties, row.name, Written::Map(inner));
        }
    }
    // V-4: routing by DNS takes the smart hosts away that were there.
    let routes_now = ask.field("dnsRoutingEnabled") == "true";
    if routes_now && get(current, "dnsRoutingEnabled") == Some(&Written::Truth(false)) {
        set(&mut properties, "smartHosts", Written::List(Vec::new()));
    }
    properties
}

/// What is `typed` otherwise than it was `before`, put onto what there is now.
pub(crate) fn overlay(mut now: Properties, before: &Properties, typed: &Properties) -> Properties {
    for (name, value) in typed {
        match (get(before, name), value, get(&now, name).cloned()) {
            (Some(old), value, _) if same(old, value) => {}
            // A credential is one value, sealed.
            (Some(Written::Map(old)), Written::Map(new), Some(Written::Map(there))) if old.len() > 1 => {
                set(&mut now, name, Written::Map(overlay(there, old, new)));
            }
            (Some(Written::List(old)), Written::List(new), Some(Written::List(there))) => {
                set(&mut now, name, Written::List(merged(there, old, new)));
            }
            _ => set(&mut now, name, value.clone()),
        }
    }
    now.retain(|(name, _)| get(typed, name).is_some() || get(before, name).is_none());
    now
}

/// A list as it is now, with what was added to and taken out of one that it was: nobody's change takes another's back.
fn merged(mut now: Vec<Written>, before: &[Written], typed: &[Written]) -> Vec<Written> {
    let has = |list: &[Written], item: &Written| list.iter().any(|known| same(known, item));
    if now.len() == before.len() && now.iter().all(|item| has(before, item)) {
        return typed.to_vec();
    }
    now.retain(|item| !has(before, item) || has(typed, item));
    let added = typed.iter().filter(|item| !has(before, item) && !has(&now, item)).cloned().collect::<Vec<_>>();
    now.extend(added);
    now
}

/// Whether two values are written alike: a form has all of them as texts.
fn same(one: &Written, other: &Written) -> bool {
    match (one, other) {
        (Written::Map(one), Written::Map(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| get(other, name).is_some_and(|known| same(value, known)))
        }
        (Written::Map(_), _) | (_, Written::Map(_)) => false,
        _ => text(Some(one)) == text(Some(other)),
    }
}

/// What is left empty has its default again.
fn put(properties: &mut Properties, name: &str, value: Written) {
    if value == Written::Nothing {
        properties.retain(|(known, _)| known != name);
    } else {
        set(properties, name, value);
    }
}

/// Whether a value is not the default, where the default is a value and not a sentence about it.
fn differs(row: &Row, value: &str) -> bool {
    let value = value.lines().collect::<Vec<_>>().join(", ");
    let first = row.default.split(',').next().unwrap_or_default();
    let plain = !row.default.is_empty() && !row.required;
    plain
        && !value.is_empty()
        && value != row.default
        && value != first
        && !matches!(row.default.as_str(), "none" | "any" | "derived")
}

fn value(row: &Row, name: &str, ask: &Ask) -> Option<Written> {
    if row.secret {
        let (user, password) = (ask.field(&format!("{name}:user")), ask.field(&format!("{name}:password")));
        if user.is_empty() && password.is_empty() {
            return None;
        }
        let text = |text: &str| Written::Text(text.to_owned());
        return Some(Written::Map(vec![("user".to_owned(), text(user)), ("password".to_owned(), text(password))]));
    }
    let there = ask.form.iter().any(|(known, _)| known.strip_suffix(".there") == Some(name));
    let values: Vec<&str> = ask.fields(name).collect();
    if values.is_empty() && !there {
        return None;
    }
    Some(match &row.shape {
        Shape::Truth => Written::Truth(values.contains(&"true")),
        Shape::List(_) => {
            let items = values.iter().flat_map(|value| value.lines()).map(str::trim).filter(|item| !item.is_empty());
            Written::List(items.map(|item| Written::Text(item.to_owned())).collect())
        }
        _ => match values.first().map_or("", |value| value.trim()) {
            "" => Written::Nothing,
            text => Written::Text(text.to_owned()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_took_out_of_a_list_another_does_not_bring_back() {
        let list = |items: &[&str]| items.iter().map(|item| Written::Text((*item).to_owned())).collect::<Vec<_>>();
        for (now, before, typed, expected) in [
            (&["b"][..], &["a", "b"][..], &["a", "b", "c"][..], &["b", "c"][..]),
            (&["a", "b", "d"], &["a", "b"], &["b"], &["b", "d"]),
            (&["a", "b"], &["a", "b"], &["b", "a"], &["b", "a"]),
            (&["b", "a"], &["a", "b"], &["c"], &["c"]),
        ] {
            assert_eq!(merged(list(now), &list(before), &list(typed)), list(expected), "{now:?} {before:?} {typed:?}");
        }
    }

    #[test]
    fn a_property_is_called_as_the_admin_center_calls_it_or_in_words() {
        for (property, expected) in [
            ("frontendProxyEnabled", "Proxy through client access server"),
            ("connectionInactivityTimeOut", "Connection inactivity time out"),
            ("smtpMaxMessagesPerConnection", "Smtp max messages per connection"),
            ("sourceIPAddress", "Source IP address"),
            ("transport.maxOutboundConnections", "Maximum concurrent outbound connections"),
        ] {
            assert_eq!(label(property), expected);
        }
        assert_eq!(documented("dnsRoutingEnabled"), "DNSRoutingEnabled");
    }

    #[test]
    fn every_property_of_the_schema_has_a_field() {
        // WA: "a new property appears without a line here".
        let none = Properties::new();
        for kind in [Kind::SendConnector, Kind::ReceiveConnector, Kind::AcceptedDomain, Kind::Site, Kind::SiteLink] {
            let filling = Filling { kind, current: &none, typed: None, wrong: &[], fixed: &[] };
            let fields: Vec<String> =
                filling.groups().into_iter().flat_map(|group| group.fields).map(|field| field.name).collect();
            for row in rows(kind) {
                let there = fields.iter().any(|field| field.split([':', '.']).next() == Some(row.name));
                assert!(there, "{kind}: {}", row.name);
            }
        }
    }
}
