//! Paths and parameters of `MAIL` and `RCPT` (RFC 5321 §4.1.2, RFC 1870, RFC 6152, RFC 6531, RFC 3461, RFC 4954 §5).

use std::net::IpAddr;

use envelope::{
    Address, AddressError, BodyType, Domain, DsnReturn, Notify, OriginalRecipient, Recipient, Reply, ReversePath,
};

use crate::server::Extensions;
use crate::xtext;

/// Longest `ENVID` in encoded octets (RFC 3461 §4.4).
const ENVELOPE_ID_OCTETS_MAX: usize = 100;
/// Longest `ORCPT` in encoded octets (RFC 3461 §4.2).
pub(crate) const ORIGINAL_RECIPIENT_OCTETS_MAX: usize = 500;

/// `MAIL FROM:<…>` with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailCommand {
    /// Who it is from.
    pub reverse_path: ReversePath,
    /// `SIZE=`, in octets: what the client expects, not what it will send.
    pub size: Option<u64>,
    /// `BODY=7BIT`, `8BITMIME` or `BINARYMIME`; 7BIT when it is not given.
    pub body: BodyType,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `RET=`.
    pub dsn_return: Option<DsnReturn>,
    /// `ENVID=`, decoded.
    pub envelope_id: Option<Box<str>>,
}

/// Why a path or a parameter is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// No path, or its brackets do not match.
    #[error("a path is an address in angle brackets")]
    Path,
    /// What stands in the brackets is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Not offered, or unknown (RFC 5321 §4.1.1.11: 555).
    #[error("unsupported parameter")]
    Unsupported,
    /// A known parameter with a wrong value, or given twice.
    #[error("invalid value of a parameter")]
    Value,
    /// An address in UTF-8 without `SMTPUTF8` (RFC 6531 §3.5).
    #[error("an address in UTF-8 needs SMTPUTF8")]
    NeedsSmtpUtf8,
}

impl ParameterError {
    /// The reply that `MAIL` gets.
    #[must_use]
    pub fn mail_reply(&self) -> Reply {
        match self {
            Self::Address(_) => crate::reply::parse_static("550 5.1.7 Invalid address"),
            Self::NeedsSmtpUtf8 => crate::reply::parse_static("550 5.6.7 SMTPUTF8 is needed for this address"),
            other => other.syntax_reply(),
        }
    }

    /// The reply that `RCPT` gets.
    #[must_use]
    pub fn rcpt_reply(&self) -> Reply {
        match self {
            Self::Address(_) => crate::reply::parse_static("501 5.1.3 Invalid address"),
            Self::NeedsSmtpUtf8 => crate::reply::parse_static("553 5.6.7 SMTPUTF8 is needed for this address"),
            other => other.syntax_reply(),
        }
    }

    fn syntax_reply(&self) -> Reply {
        crate::reply::parse_static(match self {
            Self::Unsupported => "555 5.5.4 Unsupported parameter",
            Self::Path => "501 5.5.2 Syntax error in the path",
            _ => "501 5.5.4 Invalid arguments",
        })
    }
}

impl MailCommand {
    /// Parses what follows `MAIL FROM:`.
    ///
    /// # Errors
    /// [`ParameterError`]; see [`ParameterError::mail_reply`].
    pub fn parse(text: &str, offered: &Extensions) -> Result<Self, ParameterError> {
        let (path, parameters) = split_path(text)?;
        let mut mail = Self {
            reverse_path: ReversePath::parse(path)?,
            size: None,
            body: BodyType::SevenBit,
            smtputf8: false,
            dsn_return: None,
            envelope_id: None,
        };
        mail.reverse_path.address().map_or(Ok(()), |address| fits(address, offered))?;
        let mut seen = Seen::default();
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = split_parameter(parameter);
            mail.set(name, value, offered, &mut seen)?;
        }
        if !mail.smtputf8 && mail.reverse_path.address().is_some_and(|address| !address.is_ascii()) {
            return Err(ParameterError::NeedsSmtpUtf8);
        }
        Ok(mail)
    }

    fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        offered: &Extensions,
        seen: &mut Seen,
    ) -> Result<(), ParameterError> {
        let is = |keyword: &str| name.eq_ignore_ascii_case(keyword);
        if is("SIZE") && offered.size {
            seen.once(0)?;
            let digits =
                value.filter(|text| (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()));
            // RFC 1870 §6: up to twenty digits, which no message has octets for.
            self.size = Some(digits.ok_or(ParameterError::Value)?.parse().unwrap_or(u64::MAX));
        } else if is("BODY") && offered.eight_bit_mime {
            seen.once(1)?;
            self.body = match value {
                Some(text) if text.eq_ignore_ascii_case("7BIT") => BodyType::SevenBit,
                Some(text) if text.eq_ignore_ascii_case("8BITMIME") => BodyType::EightBitMime,
                _ => return Err(ParameterError::Value),
            };
        } else if is("SMTPUTF8") && offered.smtputf8 && value.is_none() {
            seen.once(2)?;
            self.smtputf8 = true;
        } else if is("RET") && offered.dsn {
            seen.once(3)?;
            self.dsn_return = match value {
                Some(text) if text.eq_ignore_ascii_case("FULL") => Some(DsnReturn::Full),
                Some(text) if text.eq_ignore_ascii_case("HDRS") => Some(DsnReturn::Headers),
                _ => return Err(ParameterError::Value),
            };
        } else if is("ENVID") && offered.dsn {
            seen.once(4)?;
            let encoded = value.filter(|text| text.len() <= ENVELOPE_ID_OCTETS_MAX).ok_or(ParameterError::Value)?;
            self.envelope_id = Some(xtext::decode(encoded).ok_or(ParameterError::Value)?.into());
        } else if is("AUTH") {
            // RFC 4954 §5: taken and forgotten; we vouch for nobody.
            seen.once(5)?;
            value.ok_or(ParameterError::Value)?;
        } else {
            return Err(ParameterError::Unsupported);
        }
        Ok(())
    }
}

/// What recipients may be called here besides by their domains.
#[derive(Clone, Copy, Debug)]
pub struct OwnNames<'a> {
    /// Domain of `<Postmaster>` (RFC 5321 §4.5.1), and of every address at our own address literal.
    pub postmaster_domain: &'a Domain,
    /// The address at which the client came in.
    pub address: Option<IpAddr>,
}

/// Parses what follows `RCPT TO:`. `<Postmaster>` without a domain becomes the postmaster of that domain (RFC 5321 §4.5.1),
/// and so does whoever is addressed at our own address literal (§4.1.3).
///
/// # Errors
/// [`ParameterError`]; see [`ParameterError::rcpt_reply`].
pub fn parse_recipient(
    text: &str,
    offered: &Extensions,
    smtputf8: bool,
    own: OwnNames<'_>,
) -> Result<Recipient, ParameterError> {
    let (path, parameters) = split_path(text)?;
    let address = match path.rsplit_once('@') {
        None if path.eq_ignore_ascii_case("postmaster") => Address::new(path, own.postmaster_domain)?,
        Some((local, domain)) if own.address.is_some() && literal(domain) == own.address => {
            Address::new(local, own.postmaster_domain)?
        }
        _ => Address::parse(path)?,
    };
    fits(&address, offered)?;
    let mut recipient = Recipient::new(address);
    for parameter in parameters.split_ascii_whitespace() {
        match split_parameter(parameter) {
            (name, Some(value)) if name.eq_ignore_ascii_case("NOTIFY") && offered.dsn => {
                let notify = parse_notify(value)?;
                if recipient.notify.replace(notify).is_some() {
                    return Err(ParameterError::Value);
                }
            }
            (name, Some(value)) if name.eq_ignore_ascii_case("ORCPT") && offered.dsn => {
                let original = parse_original(value, smtputf8)?;
                if recipient.original.replace(original).is_some() {
                    return Err(ParameterError::Value);
                }
            }
            _ => return Err(ParameterError::Unsupported),
        }
    }
    if smtputf8 || recipient.address.is_ascii() { Ok(recipient) } else { Err(ParameterError::NeedsSmtpUtf8) }
}

/// EN-73: a long address comes from a client that saw `XLONGADDR`.
fn fits(address: &Address, offered: &Extensions) -> Result<(), ParameterError> {
    if address.is_long() && !offered.long_addresses { Err(AddressError::TooLong.into()) } else { Ok(()) }
}

/// `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        Some(tag) => inner[tag.len()..].parse().map(IpAddr::V6).ok(),
        None => inner.parse().map(IpAddr::V4).ok(),
    }
}

fn parse_notify(value: &str) -> Result<Notify, ParameterError> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Ok(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        let flag = [("SUCCESS", &mut success), ("FAILURE", &mut failure), ("DELAY", &mut delay)]
            .into_iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name));
        *flag.ok_or(ParameterError::Value)?.1 = true;
    }
    Ok(Notify::On { success, failure, delay })
}

fn parse_original(value: &str, smtputf8: bool) -> Result<OriginalRecipient, ParameterError> {
    let (kind, address) = value.split_once(';').ok_or(ParameterError::Value)?;
    let kind_is_atom = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !kind_is_atom || value.len() > ORIGINAL_RECIPIENT_OCTETS_MAX {
        return Err(ParameterError::Value);
    }
    let decoded = match kind.eq_ignore_ascii_case("utf-8") {
        // RFC 6533 §3: in characters of its own only where the transaction has them.
        true if smtputf8 || address.is_ascii() => xtext::utf8_address(address),
        true => None,
        false => xtext::decode(address),
    };
    let address = decoded.filter(|text| !text.is_empty()).ok_or(ParameterError::Value)?;
    Ok(OriginalRecipient { kind: kind.into(), address: address.into() })
}

/// Parameters seen so far, one bit each: none may come twice.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    fn once(&mut self, bit: u8) -> Result<(), ParameterError> {
        let mask = 1 << bit;
        if self.0 & mask != 0 {
            return Err(ParameterError::Value);
        }
        self.0 |= mask;
        Ok(())
    }
}

fn split_parameter(parameter: &str) -> (&str, Option<&str>) {
    parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)))
}

/// The path and the rest; what would end it does not within a quoted string. Devices and people at a terminal leave the
/// brackets out, so a path may stand without them, as long as it is not empty: then a space ends it.
fn split_path(text: &str) -> Result<(&str, &str), ParameterError> {
    let (inner, bracketed) = text.strip_prefix('<').map_or((text, false), |inner| (inner, true));
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if bracketed && !quoted => {
                let rest = &inner[index + 1..];
                let separated = rest.is_empty() || rest.starts_with(' ');
                return if separated { Ok((&inner[..index], rest)) } else { Err(ParameterError::Path) };
            }
            b'<' | b'>' if !bracketed && !quoted => return Err(ParameterError::Path),
            b' ' if !bracketed && !quoted => return Ok(inner.split_at(index)),
            _ => {}
        }
    }
    if bracketed || quoted || inner.is_empty() { Err(ParameterError::Path) } else { Ok((inner, "")) }
}

#[cfg(test)]
mod tests;
