//! Addresses of other types inside SMTP addresses: `IMCEAFAX-5551234@contoso.com` (PL-45, EN-73).
//!
//! `_` stands for `/`, `+hh` for any other ASCII character but letters, digits, `=` and `-`. Whose domain it must be to count is
//! not known here: the default accepted domain's alone.

use crate::address::Address;
use crate::domain::Domain;

/// What every such local part begins with.
const PREFIX: &str = "IMCEA";

/// Takes type and address out of a local part. `None` when it is not encapsulated, badly encoded, or of type SMTP or X500.
#[must_use]
pub fn decode(local_part: &str) -> Option<(Box<str>, Box<str>)> {
    let (kind, encoded) = split(local_part)?;
    let kind = kind.to_ascii_uppercase();
    if !is_kind(&kind) || encoded.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'_' => text.push('/'),
            b'+' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let code = u8::try_from(digit(rest.next())? << 4 | digit(rest.next())?).ok()?;
                text.push(Some(char::from(code)).filter(|c| c.is_ascii() && !c.is_ascii_control())?);
            }
            b'=' | b'-' => text.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => return None,
        }
    }
    Some((kind.into(), text.into()))
}

/// Puts an address of type `kind` into one of `domain`. `None` when it is no address of another type, not printable ASCII, or too
/// long.
#[must_use]
pub fn encode(kind: &str, text: &str, domain: &Domain) -> Option<Address> {
    use std::fmt::Write as _;
    let kind = kind.to_ascii_uppercase();
    if !is_kind(&kind) || text.is_empty() {
        return None;
    }
    let mut local = format!("{PREFIX}{kind}-");
    for byte in text.bytes() {
        match byte {
            b'/' => local.push('_'),
            b'=' | b'-' => local.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => local.push(char::from(byte)),
            byte if byte.is_ascii_graphic() || byte == b' ' => write!(local, "+{byte:02X}").ok()?,
            _ => return None,
        }
    }
    Address::new(&local, domain).ok()
}

/// Reads `FAX:+4930123456` as type and address; nothing of `SMTP:` and of what is no type.
#[must_use]
pub fn typed(text: &str) -> Option<(&str, &str)> {
    let (kind, address) = text.split_once(':')?;
    (is_kind(&kind.to_ascii_uppercase()) && !address.is_empty()).then_some((kind, address))
}

fn split(local_part: &str) -> Option<(&str, &str)> {
    let prefix = local_part.get(..PREFIX.len()).filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX))?;
    local_part[prefix.len()..].split_once('-')
}

/// Whether an upper-case word is a type that may be inside.
fn is_kind(kind: &str) -> bool {
    !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric()) && kind != "SMTP" && kind != "X500"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_as_documented_and_refuses_the_rest() {
        // PL-45
        let decoded = |text| decode(text).map(|(kind, text)| format!("{kind}:{text}"));
        for (local, expected) in [
            ("IMCEAFAX-5551234", Some("FAX:5551234")),
            ("imceaX400-c=US+3Ba=Fabrikam", Some("X400:c=US;a=Fabrikam")),
            ("IMCEANOTES-a_b+2Bc", Some("NOTES:a/b+c")),
            ("IMCEASMTP-a+40b.example", None),
            ("IMCEAX500-a", None),
            ("IMCEAFAX-", None),
            ("IMCEA-5551234", None),
            ("IMCEAFAX-+0D+0A", None),
            ("IMCEAFAX-+4", None),
            ("IMCEAFAX-+C3", None),
            ("user", None),
            ("用户用户", None),
        ] {
            assert_eq!(decoded(local).as_deref(), expected, "{local}");
        }
    }

    #[test]
    fn encodes_as_documented_and_refuses_the_rest() {
        // EN-73, PL-45
        let domain = Domain::parse("contoso.com").unwrap();
        let encoded = |kind: &str, text: &str| encode(kind, text, &domain).map(|address| address.to_string());
        for (kind, text, expected) in [
            ("FAX", "+49 30", Some("IMCEAFAX-+2B49+2030@contoso.com")),
            ("x400", "c=US;a=Fabrikam;s=Ann", Some("IMCEAX400-c=US+3Ba=Fabrikam+3Bs=Ann@contoso.com")),
            ("X400", "/c=US/s=Ann", Some("IMCEAX400-_c=US_s=Ann@contoso.com")),
            ("FAX", "ü", None),
            ("FAX", "", None),
            ("SMTP", "a@b.example", None),
            ("F X", "1", None),
        ] {
            assert_eq!(encoded(kind, text).as_deref(), expected, "{kind}:{text}");
        }
        assert_eq!(typed("FAX:+49"), Some(("FAX", "+49")));
        for other in
            ["ann@contoso.com", "smtp:ann@contoso.com", "\"a:b\"@contoso.com", "@a.example:b@c.example", "FAX:", ":1"]
        {
            assert_eq!(typed(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_in_is_taken_out(kind in "[A-Z][A-Z0-9]{0,8}", text in "[ -~]{1,60}") {
            let domain = Domain::parse("contoso.com").unwrap();
            prop_assume!(is_kind(&kind));
            let address = encode(&kind, &text, &domain).unwrap();
            prop_assert_eq!(decode(address.local_part()), Some((kind.into(), text.into())));
        }
    }
}
