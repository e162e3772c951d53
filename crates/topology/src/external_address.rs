//! Where the mail of a contact goes: to an SMTP address, or to one of another type, `FAX:+4930123456`, which stands in one of the default
//! accepted domain while mail is on its way (EN-73). What is printed reads back as the same.

use std::fmt;
use std::str::FromStr;

use envelope::{Address, AddressError, Domain, encapsulated};

use crate::address_space::x400_in_order;

/// An address outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExternalAddress {
    /// Of SMTP, which may have one of another type inside.
    Smtp(Address),
    /// Of another type.
    Other {
        /// The type, in upper case.
        kind: Box<str>,
        /// The address; one of type X400 has its attributes in order.
        text: Box<str>,
    },
}

/// Why a text is no address outside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalAddressError {
    /// It is no SMTP address.
    #[error("{0}")]
    Smtp(#[from] AddressError),
    /// It cannot stand in an SMTP address.
    #[error("an address of another type is printable ASCII and no longer than fits into an SMTP address")]
    Other,
}

impl ExternalAddress {
    /// The SMTP address by which mail goes there, in an organization with this default domain. `None` where there is none, or it is too
    /// long for that.
    #[must_use]
    pub fn in_smtp(&self, default: Option<&Domain>) -> Option<Address> {
        match self {
            Self::Smtp(address) => Some(address.clone()),
            Self::Other { kind, text } => encapsulated::encode(kind, text, default?),
        }
    }
}

/// Types of proxy addresses that are no mail addresses: of telephones, and of other services.
const NO_MAIL: [&str; 4] = ["SIP", "EUM", "SPO", "AIRSYNC"];

/// The SMTP address by which somebody is found who has `TYPE:text` among the proxy addresses of a foreign directory, in an
/// organization with this default domain (PL-44, EN-73). An address of Exchange's own, `X500`, is written `IMCEAEX-…` to others (PL-45).
/// `None` of what is no mail address, or cannot stand in one.
#[must_use]
pub fn proxy_in_smtp(kind: &str, text: &str, default: &Domain) -> Option<Address> {
    if kind.eq_ignore_ascii_case("X500") {
        return encapsulated::encode("EX", text, default);
    }
    if NO_MAIL.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        return None;
    }
    format!("{kind}:{text}").parse::<ExternalAddress>().ok()?.in_smtp(Some(default))
}

impl From<Address> for ExternalAddress {
    fn from(address: Address) -> Self {
        Self::Smtp(address)
    }
}

impl FromStr for ExternalAddress {
    type Err = ExternalAddressError;

    /// `ann@contoso.com`, `SMTP:ann@contoso.com` or an address of another type with it before a colon.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((kind, inside)) = encapsulated::typed(text.trim()) else {
            let bare = text.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("smtp:")).map_or(text, |_| &text[5..]);
            return Ok(Self::Smtp(Address::parse(bare)?));
        };
        let (kind, inside) = (kind.to_ascii_uppercase(), inside.trim());
        let ordered = x400_in_order(&kind, inside);
        let inside = ordered.as_deref().unwrap_or(inside);
        let short = Domain::parse("x").map_err(|_| ExternalAddressError::Other)?;
        encapsulated::encode(&kind, inside, &short).ok_or(ExternalAddressError::Other)?;
        Ok(Self::Other { kind: kind.into(), text: inside.into() })
    }
}

impl fmt::Display for ExternalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp(address) => address.fmt(f),
            Self::Other { kind, text } => write!(f, "{kind}:{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_of_another_type_is_written_with_its_type_and_travels_in_the_default_domain() {
        // EN-73
        let domain = Domain::parse("contoso.com").unwrap();
        for (text, shown, inside) in [
            ("ann@fabrikam.com", "ann@fabrikam.com", "ann@fabrikam.com"),
            ("SMTP:ann@fabrikam.com", "ann@fabrikam.com", "ann@fabrikam.com"),
            ("IMCEAFAX-+2B49@contoso.com", "IMCEAFAX-+2B49@contoso.com", "IMCEAFAX-+2B49@contoso.com"),
            ("fax:+4930 1", "FAX:+4930 1", "IMCEAFAX-+2B4930+201@contoso.com"),
            (
                "X400:S=Ann;C=US;A=Fabrikam",
                "X400:c=US;a=Fabrikam;s=Ann",
                "IMCEAX400-c=US+3Ba=Fabrikam+3Bs=Ann@contoso.com",
            ),
            ("X400:/C=US/S=Ann", "X400:c=US;s=Ann", "IMCEAX400-c=US+3Bs=Ann@contoso.com"),
        ] {
            let address: ExternalAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.in_smtp(Some(&domain)).unwrap().as_str(), inside);
            assert_eq!(shown.parse(), Ok(address));
        }
        assert_eq!("FAX:1".parse::<ExternalAddress>().unwrap().in_smtp(None), None);
        let long = format!("FAX:{}", "1".repeat(3_000));
        for wrong in ["FAX:", "FAX:Müller", "F X:1", "ann", "SMTP:ann", "", &long] {
            assert!(wrong.parse::<ExternalAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn proxies_of_a_foreign_directory() {
        // PL-44, PL-45, EN-73
        let domain = Domain::parse("contoso.com").unwrap();
        for (kind, text, expected) in [
            ("X400", "S=Ann;A= ;C=US;", Some("IMCEAX400-c=US+3Ba=+20+3Bs=Ann@contoso.com")),
            (
                "x500",
                "/O=Contoso/OU=Exchange Administrative Group (FYDIBOHF23SPDLT)/CN=ann",
                Some(
                    "IMCEAEX-_O=Contoso_OU=Exchange+20Administrative+20Group+20+28FYDIBOHF23SPDLT+29_CN=ann@contoso.com",
                ),
            ),
            ("X500", "/o=Müller", None),
            ("X500", &"x".repeat(400), None),
            ("FAX", "+4930", Some("IMCEAFAX-+2B4930@contoso.com")),
            ("smtp", "b@contoso.com", Some("b@contoso.com")),
            ("SIP", "ann@contoso.com", None),
            ("EUM", "123;phone-context=x", None),
            ("X400", "S=Müller", None),
        ] {
            let found = proxy_in_smtp(kind, text, &domain);
            assert_eq!(found.as_ref().map(Address::as_str), expected, "{kind}:{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same(text in "(X400|FAX|x):[ -~]{1,40}|(X400:)(/?[a-z]{1,3}=[ -~]{0,5}[;/]?){1,4}") {
            if let Ok(address) = text.parse::<ExternalAddress>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
