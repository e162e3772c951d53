//! Addresses of other types inside SMTP addresses: `IMCEAFAX-5551234@contoso.com` (PL-45, EN-73).

/// Takes type and address out of a local part: alphanumerics, `=` and `-` stand for themselves, `_` for `/`, and `+hh` for
/// any other ASCII character. `None` when it is not encapsulated, badly encoded, or of type SMTP or X500.
#[must_use]
pub fn decode(local_part: &str) -> Option<(Box<str>, Box<str>)> {
    let prefix = local_part.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("IMCEA"))?;
    let (kind, encoded) = local_part[prefix.len()..].split_once('-')?;
    let kind = kind.to_ascii_uppercase();
    let refused =
        kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric()) || kind == "SMTP" || kind == "X500";
    if refused || encoded.is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
