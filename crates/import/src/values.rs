//! One value of an export as the schema writes it (IM-03…IM-08, IM-15).

use organization::Written;
use organization::schema::{Row, Shape};
use topology::AddressSpace;

use crate::raw::{Fields, Raw};

/// Why a value cannot be taken.
pub(crate) enum Trouble {
    /// The export does not hold it any more.
    Lost(String),
    /// It is not understood.
    Wrong(String),
}

/// Texts that stand for a list that was not written out.
const LIST_TYPES: [&str; 4] = [
    "System.Collections.ArrayList",
    "System.Object[]",
    "Microsoft.Exchange.Data.MultiValuedProperty",
    "System.String[]",
];

/// Numbers of enumerations that were seen in real exports (IM-08).
const NUMBERS: &[(&str, &[(i64, &str)])] = &[
    ("errorPolicies", &[(0, "Default")]),
    ("protocolLoggingLevel", &[(0, "None"), (1, "Verbose")]),
    ("smartHostAuthMechanism", &[(0, "None")]),
    ("connectorType", &[(0, "Default")]),
    ("tlsAuthLevel", &[(1, "EncryptionOnly"), (2, "CertificateValidation"), (3, "DomainValidation")]),
    ("transportRole", &[(32, "HubTransport"), (16384, "FrontendTransport")]),
    ("messageRateSource", &[(0, "None"), (1, "IPAddress"), (2, "User"), (3, "All")]),
    ("domainType", &[(0, "Authoritative"), (1, "ExternalRelay"), (2, "InternalRelay")]),
];
/// Flags of enumerations.
const FLAGS: &[(&str, &[(i64, &str)])] = &[
    (
        "authMechanism",
        &[
            (1, "Tls"),
            (2, "Integrated"),
            (4, "BasicAuth"),
            (8, "BasicAuthRequireTLS"),
            (16, "ExchangeServer"),
            (32, "ExternalAuthoritative"),
        ],
    ),
    (
        "permissionGroups",
        &[
            (1, "AnonymousUsers"),
            (2, "ExchangeUsers"),
            (4, "ExchangeServers"),
            (8, "ExchangeLegacyServers"),
            (16, "Partners"),
        ],
    ),
];

/// A value of a property.
pub(crate) fn written(row: &Row, raw: &Raw) -> Result<Written, Trouble> {
    match &row.shape {
        Shape::List(inner) => list(row, inner, raw),
        shape => scalar(row, shape, raw),
    }
}

fn list(row: &Row, inner: &Shape, raw: &Raw) -> Result<Written, Trouble> {
    if let Some((_, flags)) = FLAGS.iter().find(|(name, _)| *name == row.name)
        && let Some(number) = number_of(raw)
    {
        return flagged(row, flags, number);
    }
    let items: Vec<Raw> = match raw {
        Raw::Nothing => Vec::new(),
        Raw::List(items) => items.clone(),
        Raw::Text(text) if LIST_TYPES.iter().any(|of| text.starts_with(of)) => {
            return Err(Trouble::Lost(format!("it holds {text}, the name of a type, in place of its values")));
        }
        Raw::Text(text) => joined(row, text),
        Raw::Fields(fields) => match &fields.text {
            Some(text) if matches!(inner, Shape::Word(_)) => joined(row, text),
            _ => vec![raw.clone()],
        },
        other => vec![other.clone()],
    };
    let written: Result<Vec<Written>, Trouble> = items.iter().map(|item| scalar(row, inner, item)).collect();
    Ok(Written::List(written?))
}

/// A list that somebody joined (IM-10): by `|`, a line end or a comma. A semicolon stands before a cost.
fn joined(row: &Row, text: &str) -> Vec<Raw> {
    let separator = if text.contains('|') {
        '|'
    } else if text.contains('\n') {
        '\n'
    } else {
        ','
    };
    let is_x400 = row.name == "addressSpaces" && separator == ',' && text.to_ascii_uppercase().starts_with("X400:");
    if is_x400 {
        return vec![Raw::Text(text.to_owned())];
    }
    text.split(separator)
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| Raw::Text(item.to_owned()))
        .collect()
}

fn number_of(raw: &Raw) -> Option<i64> {
    match raw {
        Raw::Whole(number) => Some(*number),
        Raw::Fields(fields) if fields.text.is_none() => fields.number,
        _ => None,
    }
}

fn flagged(row: &Row, flags: &[(i64, &str)], number: i64) -> Result<Written, Trouble> {
    let known: i64 = flags.iter().map(|(bit, _)| bit).sum();
    if number & !known != 0 {
        return Err(Trouble::Wrong(format!(
            "{} has the flags {number}, of which {} is not known",
            row.name,
            number & !known
        )));
    }
    let words: Vec<Written> =
        flags.iter().filter(|(bit, _)| number & bit != 0).map(|(_, word)| Written::Text((*word).to_owned())).collect();
    Ok(Written::List(if words.is_empty() { vec![Written::Text("None".to_owned())] } else { words }))
}

fn scalar(row: &Row, shape: &Shape, raw: &Raw) -> Result<Written, Trouble> {
    if raw.is_nothing() {
        return Ok(Written::Nothing);
    }
    match (row.name, raw) {
        ("addressSpaces", _) => return address_space(raw),
        ("smartHosts", Raw::Fields(fields)) => return Ok(smart_host(fields)),
        ("sourceTransportServers" | "server", _) => return server(raw),
        ("bindings", Raw::Fields(fields)) => return endpoint(fields),
        ("remoteIPRanges", Raw::Fields(fields)) => return range(fields),
        _ => {}
    }
    match shape {
        Shape::Limit(inner) => limit(row, inner, raw),
        Shape::Size => size(raw),
        Shape::Span => span(raw),
        Shape::Truth => truth(raw),
        Shape::Word(words) => word(row, words, raw),
        Shape::Whole => whole(raw),
        Shape::Text | Shape::List(_) => text(raw).map(Written::Text),
    }
}

fn field<'a>(fields: &'a Fields, names: &[&str]) -> Option<&'a Raw> {
    names.iter().find_map(|name| fields.get(name)).filter(|raw| !raw.is_nothing())
}

/// A text, or the part of an object that says it.
fn text(raw: &Raw) -> Result<String, Trouble> {
    if let Some(text) = raw.text() {
        return Ok(text);
    }
    if let Raw::Fields(fields) = raw {
        if let (Some(issuer), Some(subject)) = (fields.get("CertificateIssuer"), fields.get("CertificateSubject")) {
            let part = |raw: &Raw| raw.text().unwrap_or_default();
            return Ok(format!("<I>{}<S>{}", part(issuer), part(subject)));
        }
        let names = ["IPAddressToString", "Domain", "Address", "SmtpAddress", "Name", "DistinguishedName", "Value"];
        if let Some(text) = field(fields, &names).and_then(Raw::text) {
            return Ok(text);
        }
    }
    Err(Trouble::Lost("the export has only a part of it, with nothing that says what it is".to_owned()))
}

fn truth(raw: &Raw) -> Result<Written, Trouble> {
    let text = text(raw)?;
    match text.trim_start_matches('$').to_ascii_lowercase().as_str() {
        "true" => Ok(Written::Truth(true)),
        "false" => Ok(Written::Truth(false)),
        _ => Err(Trouble::Wrong(format!("{text:?} is neither True nor False"))),
    }
}

fn whole(raw: &Raw) -> Result<Written, Trouble> {
    let text = text(raw)?;
    text.parse().map(Written::Whole).map_err(|_| Trouble::Wrong(format!("{text:?} is no whole number")))
}

fn word(row: &Row, words: &[&'static str], raw: &Raw) -> Result<Written, Trouble> {
    if let Some(number) = number_of(raw) {
        let known = NUMBERS.iter().find(|(name, _)| *name == row.name).map(|(_, numbers)| *numbers).unwrap_or_default();
        let found = known.iter().find(|(known, _)| *known == number);
        return found.map(|(_, word)| Written::Text((*word).to_owned())).ok_or_else(|| {
            let all = words.join(", ");
            Trouble::Wrong(format!(
                "{} has the number {number}, whose name is not known; say which of {all} it is",
                row.name
            ))
        });
    }
    text(raw).map(Written::Text)
}

/// `35 MB (36,700,160 bytes)`: the digits in the bracket, whatever stands between them (IM-03).
fn size(raw: &Raw) -> Result<Written, Trouble> {
    let Some(text) = raw.text() else {
        return Err(Trouble::Lost("ConvertTo-Json does not write sizes: it is {} in the export".to_owned()));
    };
    if let Some((_, inner)) = text.split_once('(') {
        let digits: String = inner.chars().filter(char::is_ascii_digit).collect();
        return Ok(Written::Text(format!("{digits}B")));
    }
    Ok(Written::Text(text.split_whitespace().collect()))
}

fn limit(row: &Row, inner: &Shape, raw: &Raw) -> Result<Written, Trouble> {
    if let Raw::Fields(fields) = raw
        && fields.text.is_none()
    {
        return match (fields.get("IsUnlimited"), fields.get("Value")) {
            (Some(Raw::Truth(true)), _) => Ok(Written::Text("unlimited".to_owned())),
            (Some(_), Some(value @ (Raw::Whole(_) | Raw::Text(_)))) => scalar(row, inner, value),
            _ => Err(Trouble::Lost(
                "ConvertTo-Json does not write sizes: it is {\"Value\": {}} in the export".to_owned(),
            )),
        };
    }
    match raw.text() {
        Some(text) if text.eq_ignore_ascii_case("unlimited") => Ok(Written::Text("unlimited".to_owned())),
        _ => scalar(row, inner, raw),
    }
}

/// A span as a text, as ticks of 100 ns, or in ISO's form.
fn span(raw: &Raw) -> Result<Written, Trouble> {
    if let Some(text) = raw.text() {
        return Ok(Written::Text(match text.strip_prefix("PT") {
            Some(iso) => iso_span(iso).ok_or_else(|| Trouble::Wrong(format!("{text:?} is no time span")))?,
            None => text,
        }));
    }
    let Raw::Fields(fields) = raw else { return Err(Trouble::Wrong("it is no time span".to_owned())) };
    let seconds = match (fields.get("Ticks"), fields.get("TotalSeconds")) {
        (Some(Raw::Whole(ticks)), _) => ticks / 10_000_000,
        (None, Some(Raw::Whole(seconds))) => *seconds,
        _ => return Err(Trouble::Lost("the export has no Ticks of this time span".to_owned())),
    };
    Ok(Written::Text(clock(seconds)))
}

fn clock(seconds: i64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let days = if days > 0 { format!("{days}.") } else { String::new() };
    format!("{days}{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

fn iso_span(text: &str) -> Option<String> {
    let (mut seconds, mut digits) = (0_i64, String::new());
    for one in text.chars() {
        if one.is_ascii_digit() {
            digits.push(one);
            continue;
        }
        let unit = match one {
            'H' => 3600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        seconds += digits.parse::<i64>().ok()?.checked_mul(unit)?;
        digits.clear();
    }
    digits.is_empty().then(|| clock(seconds))
}

/// `TYPE:space;cost`, or an object with the three (IM-04).
fn address_space(raw: &Raw) -> Result<Written, Trouble> {
    let text = match raw {
        Raw::Fields(fields) if fields.text.is_none() => {
            let part = |name: &str| fields.get(name).and_then(Raw::text);
            let (Some(kind), Some(address)) = (part("Type"), part("Address")) else {
                return Err(Trouble::Lost("an address space without Type and Address".to_owned()));
            };
            format!("{kind}:{address};{}", part("Cost").unwrap_or_else(|| "1".to_owned()))
        }
        other => text(other)?,
    };
    let text = text.strip_prefix("Local:").unwrap_or(&text).to_owned();
    match text.parse::<AddressSpace>() {
        Ok(space) => Ok(Written::Text(space.to_string())),
        Err(why) => Err(Trouble::Wrong(why.to_string())),
    }
}

/// A name carries an address of zeroes too: what it is, `IsIPAddress` says (IM-05).
fn smart_host(fields: &Fields) -> Written {
    if let Some(text) = &fields.text {
        return Written::Text(text.clone());
    }
    let is_address = fields.get("IsIPAddress") == Some(&Raw::Truth(true));
    let part = |name: &str| fields.get(name).and_then(|raw| text(raw).ok()).unwrap_or_default();
    Written::Text(if is_address { format!("[{}]", part("Address")) } else { part("Domain") })
}

/// A server by its name, its DN or its name in DNS (IM-12): the first label.
fn server(raw: &Raw) -> Result<Written, Trouble> {
    let name = match raw {
        Raw::Fields(fields) => match field(fields, &["Name"]).and_then(Raw::text).or_else(|| fields.text.clone()) {
            Some(name) => name,
            None => text(raw)?,
        },
        other => text(other)?,
    };
    let name = name.strip_prefix("CN=").unwrap_or(&name);
    let name = name.split(',').next().unwrap_or(name);
    Ok(Written::Text(name.split('.').next().unwrap_or(name).to_owned()))
}

fn endpoint(fields: &Fields) -> Result<Written, Trouble> {
    if let Some(text) = &fields.text {
        return Ok(Written::Text(text.clone()));
    }
    let address = fields.get("Address").map(text).transpose()?.unwrap_or_default();
    let port = fields.get("Port").and_then(Raw::text).unwrap_or_else(|| "25".to_owned());
    Ok(Written::Text(if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }))
}

fn range(fields: &Fields) -> Result<Written, Trouble> {
    match field(fields, &["Expression"]).and_then(Raw::text).or_else(|| fields.text.clone()) {
        Some(text) => Ok(Written::Text(text)),
        None => Err(Trouble::Lost("an address range without its Expression".to_owned())),
    }
}
