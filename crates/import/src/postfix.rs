//! Postfix: `main.cf` and its maps as Send connectors and accepted domains, for those who come from there.

use std::collections::BTreeMap;

use organization::{Kind, Properties, Written};

use crate::map::Imported;
use crate::report::{Report, Verdict};

/// Reads the parameters of `main.cf`, and the maps that it names, of which `map` gives the text.
#[must_use]
pub fn postfix(main: &str, server: &str, map: &dyn Fn(&str) -> Option<String>) -> Imported {
    let parameters = parameters(main);
    let get = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mut report = Report::default();
    let mut objects = Vec::new();
    domains(&get, map, &mut objects, &mut report);
    let policies = tls(get("smtp_tls_policy_maps"), map, &mut report);
    let default_tls = get("smtp_tls_security_level").unwrap_or("may");
    if let Some(transport) = get("transport_maps") {
        for (pattern, way) in entries("transport_maps", transport, map, &mut report) {
            transports(&pattern, &way, server, &policies, &mut objects, &mut report);
        }
    }
    let (hosts, port) = get("relayhost").filter(|host| !host.is_empty()).map_or((None, None), |host| {
        let (host, port) = next_hop(host);
        (Some(host), port)
    });
    let mut properties = connector("To everybody else", "*", server);
    if let Some(host) = &hosts {
        relay(&mut properties, host, port);
    }
    let policy = hosts.as_deref().and_then(|host| policies.get(host)).map_or(default_tls, String::as_str);
    apply_tls(&mut properties, policy, hosts.as_deref());
    objects.push((Kind::SendConnector, properties));
    if let Some(maps) = get("sender_dependent_relayhost_maps") {
        let text =
            format!("{maps}: a Send connector is chosen by the recipient, never by the sender; nothing here says it");
        report.add("main.cf", 0, "sender_dependent_relayhost_maps", Verdict::Lost, text);
    }
    if get("smtp_sasl_auth_enable").is_some_and(|value| value == "yes") {
        let text = "write smartHostAuthMechanism and authenticationCredential of the connector: passwords are not read from maps";
        report.add("main.cf", 0, "smtp_sasl_password_maps", Verdict::Lost, text);
    }
    let known = [
        "relayhost",
        "transport_maps",
        "relay_domains",
        "mydestination",
        "virtual_alias_domains",
        "virtual_mailbox_domains",
        "virtual_alias_maps",
        "smtp_tls_policy_maps",
        "smtp_tls_security_level",
        "sender_dependent_relayhost_maps",
        "smtp_sasl_auth_enable",
        "smtp_sasl_password_maps",
        "myhostname",
        "mydomain",
    ];
    let others: Vec<&str> =
        parameters.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
    if !others.is_empty() {
        report.add("main.cf", 0, "", Verdict::Ignored, format!("these are not read: {}", others.join(", ")));
    }
    Imported { objects, report }
}

/// `name = value`, with lines that go on, and `$name` in values.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        if line.starts_with(char::is_whitespace) {
            if let Some((_, value)) = all.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once('=') {
            all.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let known = all.clone();
    for (_, value) in &mut all {
        for (name, other) in &known {
            for form in [format!("${{{name}}}"), format!("$({name})"), format!("${name}")] {
                if value.contains(&form) && !other.contains('$') {
                    *value = value.replace(&form, other);
                }
            }
        }
    }
    all
}

/// Lines of the maps that a parameter names.
fn entries(
    parameter: &str,
    value: &str,
    map: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for name in value.split([',', ' ']).filter(|name| !name.is_empty()) {
        let (kind, path) = name.split_once(':').unwrap_or(("", name));
        let readable = matches!(kind, "hash" | "lmdb" | "texthash" | "btree" | "cdb" | "dbm");
        match map(path).filter(|_| readable) {
            Some(text) => {
                let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
                all.extend(lines.filter_map(|line| {
                    let (key, value) = line.split_once(char::is_whitespace)?;
                    Some((key.to_owned(), value.trim().to_owned()))
                }));
            }
            None => report.add("main.cf", 0, parameter, Verdict::Lost, format!("the map {name} cannot be read")),
        }
    }
    all
}

/// `mydestination` and the virtual domains are authoritative, `relay_domains` are relayed.
fn domains<'a>(
    get: &dyn Fn(&str) -> Option<&'a str>,
    map: &dyn Fn(&str) -> Option<String>,
    objects: &mut Vec<(Kind, Properties)>,
    report: &mut Report,
) {
    let sorts = [
        ("mydestination", "Authoritative"),
        ("virtual_mailbox_domains", "Authoritative"),
        ("virtual_alias_domains", "Authoritative"),
        ("relay_domains", "InternalRelay"),
    ];
    let mut seen: Vec<String> = Vec::new();
    for (parameter, sort) in sorts {
        let Some(value) = get(parameter) else { continue };
        for item in value.split([',', ' ']).filter(|item| !item.is_empty()) {
            let domains = match item.split_once(':') {
                Some(_) => entries(parameter, item, map, report).into_iter().map(|(key, _)| key).collect(),
                None => vec![item.to_owned()],
            };
            for domain in domains {
                let local = !domain.contains('.') || domain.contains('$') || domain.starts_with("localhost");
                if local || seen.contains(&domain) {
                    if local {
                        report.add(
                            "main.cf",
                            0,
                            parameter,
                            Verdict::Ignored,
                            format!("{domain} is no domain of an organization"),
                        );
                    }
                    continue;
                }
                // `.example.com` stands for everything below.
                let pattern = domain.strip_prefix('.').map_or_else(|| domain.clone(), |rest| format!("*.{rest}"));
                objects.push((
                    Kind::AcceptedDomain,
                    vec![
                        ("name".to_owned(), text(&*domain)),
                        ("domainName".to_owned(), text(pattern)),
                        ("domainType".to_owned(), text(sort)),
                        ("default".to_owned(), Written::Truth(seen.is_empty())),
                    ],
                ));
                seen.push(domain);
            }
        }
    }
    if let Some(maps) = get("virtual_alias_maps") {
        let text = format!("{maps}: aliases of addresses are recipients here: contacts and groups of `recipients`");
        report.add("main.cf", 0, "virtual_alias_maps", Verdict::Lost, text);
    }
}

/// One line of `transport`.
fn transports(
    pattern: &str,
    way: &str,
    server: &str,
    policies: &BTreeMap<String, String>,
    objects: &mut Vec<(Kind, Properties)>,
    report: &mut Report,
) {
    let (kind, hop) = way.split_once(':').unwrap_or((way, ""));
    if pattern.contains('@') {
        report.add("transport", 0, pattern, Verdict::Lost, "a Send connector takes domains, not single addresses");
        return;
    }
    if !matches!(kind, "smtp" | "relay" | "") {
        let text = format!("{way}: only smtp and relay lead to Send connectors");
        report.add("transport", 0, pattern, Verdict::Lost, text);
        return;
    }
    // `.example.com` is below, without the domain itself; here `*.example.com` has both.
    let space = match pattern.strip_prefix('.') {
        Some(rest) => {
            report.add("transport", 0, pattern, Verdict::Changed, format!("*.{rest} takes {rest} itself too"));
            format!("*.{rest}")
        }
        None => pattern.to_owned(),
    };
    let mut properties = connector(&format!("To {pattern}"), &space, server);
    let (host, port) = next_hop(hop);
    if !host.is_empty() {
        relay(&mut properties, &host, port);
    }
    let policy = policies.get(hop).or_else(|| policies.get(pattern)).map_or("may", String::as_str);
    apply_tls(&mut properties, policy, Some(&host).filter(|host| !host.is_empty()).map(String::as_str));
    objects.push((Kind::SendConnector, properties));
}

/// Levels of TLS by next hop.
fn tls(maps: Option<&str>, map: &dyn Fn(&str) -> Option<String>, report: &mut Report) -> BTreeMap<String, String> {
    let Some(maps) = maps else { return BTreeMap::new() };
    let all = entries("smtp_tls_policy_maps", maps, map, report);
    all.into_iter().map(|(hop, policy)| (hop, policy.split_whitespace().next().unwrap_or("may").to_owned())).collect()
}

fn apply_tls(properties: &mut Properties, policy: &str, host: Option<&str>) {
    let level = match policy {
        "none" => {
            properties.push(("ignoreSTARTTLS".to_owned(), Written::Truth(true)));
            return;
        }
        "encrypt" => "EncryptionOnly",
        "verify" | "secure" | "dane" | "dane-only" | "fingerprint" => "DomainValidation",
        _ => return,
    };
    properties.push(("requireTLS".to_owned(), Written::Truth(true)));
    properties.push(("tlsAuthLevel".to_owned(), text(level)));
    if level == "DomainValidation"
        && let Some(host) = host.filter(|host| !host.starts_with('['))
    {
        properties.push(("tlsDomain".to_owned(), text(host)));
    }
}

fn text(value: impl Into<String>) -> Written {
    Written::Text(value.into())
}

fn connector(name: &str, space: &str, server: &str) -> Properties {
    vec![
        ("name".to_owned(), text(name)),
        ("addressSpaces".to_owned(), Written::List(vec![text(space)])),
        ("sourceTransportServers".to_owned(), Written::List(vec![text(server)])),
    ]
}

fn relay(properties: &mut Properties, host: &str, port: Option<u16>) {
    properties.push(("smartHosts".to_owned(), Written::List(vec![text(host)])));
    if let Some(port) = port {
        properties.push(("port".to_owned(), Written::Whole(port.into())));
    }
}

/// `[host]:port`, `host:port`, `host`: brackets mean that MX records are not asked, which a smart host does anyway.
fn next_hop(value: &str) -> (String, Option<u16>) {
    let (host, port) = match value.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && port.parse::<u16>().is_ok() => (host, port.parse().ok()),
        Some((host, "smtp")) => (host, Some(25)),
        Some((host, "submission")) => (host, Some(587)),
        _ => (value, None),
    };
    let bare = host.trim_matches(['[', ']']).trim_start_matches("ipv6:");
    (if bare.parse::<std::net::IpAddr>().is_ok() { format!("[{bare}]") } else { bare.to_owned() }, port)
}
