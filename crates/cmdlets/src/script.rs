//! A change as the documented command that makes it, as somebody would type it (WA-14). Secrets are asked for, never written.

use organization::{Change, Kind, Object, Properties, Written, properties_of};

use crate::catalogue::rows;
use crate::noun::{NOUNS, Noun};

/// The commands that make `change`; what no command makes is said in a comment.
#[must_use]
pub fn commands(change: &Change) -> Vec<String> {
    let object = change.object();
    let nouns: Vec<&Noun> = NOUNS.iter().filter(|noun| noun.means(object)).collect();
    let (verb, from) = match change {
        Change::Create(_) => ("New", None),
        Change::Update { from, .. } => ("Set", Some(from)),
        Change::Delete(_) => ("Remove", None),
    };
    let mut lines = Vec::new();
    for noun in nouns.into_iter().filter(|noun| noun.verbs.contains(&verb)) {
        let line = match change {
            Change::Delete(_) => Some(format!("Remove-{} -Identity {}", noun.name, quoted(&object.name()))),
            _ => said(noun, verb, from, object, &changed(change)),
        };
        lines.extend(line);
        if verb != "Set" {
            break;
        }
    }
    if lines.is_empty() {
        lines.push(format!("# No command does this; postroad apply: {}", object.place()));
    }
    lines
}

/// The properties that are said, outer names only.
fn changed(change: &Change) -> Vec<String> {
    let mut names: Vec<String> = change.properties().into_iter().map(|one| one.name).collect();
    names.dedup();
    names
}

fn said(noun: &Noun, verb: &str, from: Option<&Object>, object: &Object, changed: &[String]) -> Option<String> {
    let of = |object: &Object| match (noun.part.inner(), properties_of(object)) {
        (Some(service), all) => match all.into_iter().find(|(name, _)| name == service) {
            Some((_, Written::Map(inner))) => inner,
            _ => Properties::new(),
        },
        (None, all) => all,
    };
    let (new, old) = (of(object), from.map(of));
    let mut words = vec![format!("{verb}-{}", noun.name)];
    if verb == "Set" && noun.kind != Kind::TransportConfig {
        words.push(format!("-Identity {}", quoted(&from.unwrap_or(object).name())));
    } else if verb == "New" {
        let name = new.iter().find(|(name, _)| name == "name").map(|(_, value)| value);
        words.push(format!("-Name {}", name.and_then(value).unwrap_or_default()));
    }
    let mut any = verb == "New";
    for row in rows(noun) {
        let prefix = noun.part.inner().map(|service| format!("{service}.")).unwrap_or_default();
        let says = |name: &str| changed.iter().any(|known| known.strip_prefix(&*prefix) == Some(name));
        // V-2: a file that names smart hosts need not say it, a command must.
        let is_named = says(row.name) || (verb == "New" && row.name == "dnsRoutingEnabled" && says("smartHosts"));
        let is_taken = if verb == "New" { row.name != "name" } else { !noun.fixed.contains(&row.name) };
        if !is_named || !is_taken || row.name == "guid" {
            continue;
        }
        let now = new.iter().find(|(name, _)| name == row.name).map_or(&Written::Nothing, |(_, value)| value);
        if old.as_ref().is_some_and(|old| old.iter().any(|(name, value)| name == row.name && value == now)) {
            continue;
        }
        any = true;
        let text = if row.secret { Some("(Get-Credential)".to_owned()) } else { value(now) };
        words.push(format!("-{} {}", noun.documented(row.name), text?));
    }
    any.then(|| words.join(" "))
}

/// A value as it is typed; what is an object of its own cannot be.
fn value(written: &Written) -> Option<String> {
    Some(match written {
        Written::Nothing => "$null".to_owned(),
        Written::Truth(true) => "$true".to_owned(),
        Written::Truth(false) => "$false".to_owned(),
        Written::Whole(whole) => whole.to_string(),
        Written::Text(text) => quoted(text),
        Written::List(items) if items.is_empty() => "$null".to_owned(),
        Written::List(items) => items.iter().map(value).collect::<Option<Vec<_>>>()?.join(","),
        Written::Map(_) => return None,
    })
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use organization::{WithoutSecrets, object_of};

    fn connector(extra: &[(&str, Written)]) -> Object {
        let text = |text: &str| Written::Text(text.to_owned());
        let mut properties: Properties = vec![
            ("name".to_owned(), text("O'Neill")),
            ("addressSpaces".to_owned(), Written::List(vec![text("*"), text("x.example;5")])),
            ("sourceTransportServers".to_owned(), Written::List(vec![text("MAIL1")])),
        ];
        properties.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        object_of(Kind::SendConnector, properties, &WithoutSecrets).unwrap()
    }

    #[test]
    fn a_change_is_told_as_it_would_be_typed() {
        let plain = connector(&[]);
        let made = commands(&Change::Create(plain.clone()));
        assert_eq!(
            made,
            [
                "New-SendConnector -Name 'O''Neill' -AddressSpaces 'SMTP:*;1','SMTP:x.example;5' -SourceTransportServers 'MAIL1'"
            ]
        );
        let hosts = connector(&[("smartHosts", Written::List(vec![Written::Text("relay.example".into())]))]);
        let made = commands(&Change::Create(hosts));
        assert!(made[0].ends_with("-SmartHosts 'relay.example' -DNSRoutingEnabled $false"), "{made:?}");
        let disabled =
            connector(&[("enabled", Written::Truth(false)), ("maxMessageSize", Written::Text("10MB".into()))]);
        let set = commands(&Change::Update { from: plain.clone(), to: disabled });
        assert_eq!(set.len(), 1);
        assert!(
            set[0].starts_with("Set-SendConnector -Identity 'O''Neill' -Enabled $false -MaxMessageSize '10"),
            "{set:?}"
        );
        assert_eq!(commands(&Change::Delete(plain)), ["Remove-SendConnector -Identity 'O''Neill'"]);
    }
}
