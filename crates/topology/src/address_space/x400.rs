//! X.400 addresses as far as they route: the attributes C, A, P, O and OU1 to OU4 (EN-70, EN-71).
//!
//! An address space is a set of them, in any order. It matches every address that has all of them with the same values;
//! what else the address says (surname, given name) does not matter.

use std::fmt;

use envelope::{Address, encapsulated};

/// The attributes that route, in order.
const NAMES: [&str; 8] = ["c", "a", "p", "o", "ou1", "ou2", "ou3", "ou4"];
/// Longest value of each, in characters (EN-70).
const LENGTHS_MAX: [usize; 8] = [2, 16, 16, 64, 32, 32, 32, 32];

/// What may stand in a value besides letters and digits (EN-70).
const PUNCTUATION: &str = " '()+,-./:=?";

/// The routing attributes of an X.400 address or address space, lower-case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct X400Address {
    values: [Option<Box<str>>; NAMES.len()],
}

impl X400Address {
    /// The address type.
    pub const KIND: &'static str = "X400";

    /// Reads an address space such as `c=US;a=Fabrikam;P=Contoso`: routing attributes only, each once, none empty; where there is no
    /// ADMD, `a` is a blank (RFC 1685). The whole space `*` is not one of these.
    #[must_use]
    pub fn of_space(text: &str) -> Option<Self> {
        let mut address = Self::default();
        for attribute in text.split(';') {
            let (name, value) = attribute.split_once('=')?;
            let at = position(name)?;
            let length = value.trim().chars().count();
            let is_printable = value.chars().all(|one| one.is_ascii_alphanumeric() || PUNCTUATION.contains(one));
            let is_empty = length == 0 && (value.is_empty() || NAMES[at] != "a");
            if is_empty || length > LENGTHS_MAX[at] || !is_printable || address.values[at].is_some() {
                return None;
            }
            address.values[at] = Some(fold(value));
        }
        Some(address)
    }

    /// Reads an address: `c=US;a=Fabrikam;s=Ann` or `/c=US/a=Fabrikam/s=Ann`. What does not route is passed over.
    #[must_use]
    pub fn of_address(text: &str) -> Self {
        let mut address = Self::default();
        for (name, value) in attributes(text) {
            if let Some(at) = position(name) {
                address.values[at].get_or_insert_with(|| fold(value));
            }
        }
        address
    }

    /// One bit for each attribute that is there.
    #[must_use]
    pub fn attributes(&self) -> u8 {
        self.values.iter().enumerate().filter(|(_, value)| value.is_some()).fold(0, |bits, (at, _)| bits | 1 << at)
    }

    /// The same address with nothing but these attributes, if it has all of them: a space with `attributes` matches the
    /// address exactly when it equals this.
    #[must_use]
    pub fn only(&self, attributes: u8) -> Option<Self> {
        if self.attributes() & attributes != attributes {
            return None;
        }
        let mut address = self.clone();
        for (at, value) in address.values.iter_mut().enumerate() {
            if attributes & (1 << at) == 0 {
                *value = None;
            }
        }
        Some(address)
    }
}

impl fmt::Display for X400Address {
    /// `c=us;a=fabrikam`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = NAMES.iter().zip(&self.values).filter_map(|(name, value)| Some((name, value.as_ref()?)));
        for (at, (name, value)) in there.enumerate() {
            let separator = if at == 0 { "" } else { ";" };
            write!(f, "{separator}{name}={value}")?;
        }
        Ok(())
    }
}

/// An X.400 address with its attributes in one order: those that route, then the others by name, each name in lower case. Two
/// spellings of one address are the same in it (EN-70: attributes stand in any order), but for case.
fn in_order(text: &str) -> String {
    let order = |name: &str| (position(name).unwrap_or(NAMES.len()), name.trim().to_ascii_lowercase());
    // Without an ADMD there is a blank in its place (RFC 1685).
    let value = |at: usize, value: &'_ str| match value.trim() {
        "" if NAMES.get(at) == Some(&"a") => " ".to_owned(),
        trimmed => trimmed.to_owned(),
    };
    let all = attributes(text).map(|(name, written)| (order(name), written));
    let mut all: Vec<_> = all.map(|((at, name), written)| ((at, name), value(at, written))).collect();
    // Of a name that is there twice the first value counts, as where it routes.
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    let all: Vec<String> = all.into_iter().map(|((_, name), value)| format!("{name}={value}")).collect();
    all.join(";")
}

/// The text of an address of type X400 with its attributes in one order; nothing of another type, or where that would be another
/// address.
pub(crate) fn x400_in_order(kind: &str, text: &str) -> Option<String> {
    let whole = parts(text).all(|part| part.trim().is_empty() || part.contains('='));
    let ordered = in_order(text);
    let is_same = kind == X400Address::KIND && whole && !ordered.is_empty() && in_order(&ordered) == ordered;
    is_same.then_some(ordered)
}

/// The SMTP address with the same address of another type inside, as everybody's is looked up by it: every character encoded in one
/// way (PL-45), the attributes of an X.400 address in one order (EN-70). Nothing where it is that already, or has none.
#[must_use]
pub fn respelled(address: &Address) -> Option<Address> {
    let (kind, text) = encapsulated::decode(address.local_part())?;
    let ordered = x400_in_order(&kind, &text);
    let spelled = encapsulated::encode(&kind, ordered.as_deref().unwrap_or(&text), &address.domain())?;
    Some(spelled).filter(|spelled| spelled.key() != address.key())
}

/// Names and values of an address, in either of its forms.
fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    parts(text).filter_map(|attribute| attribute.split_once('='))
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(if text.starts_with('/') { '/' } else { ';' })
}

fn position(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name.trim()))
}

fn fold(value: &str) -> Box<str> {
    value.trim().to_lowercase().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn en_71_a_space_matches_what_has_all_of_its_attributes() {
        let space = |text: &str| X400Address::of_space(text).unwrap();
        let matches = |text: &str, address: &str| {
            let space = space(text);
            X400Address::of_address(address).only(space.attributes()).as_ref() == Some(&space)
        };
        assert!(matches("c=US;a=Fabrikam", "A=fabrikam;C=us;s=Ann;"));
        assert!(matches("c=US;a=Fabrikam", "/c=US/a=Fabrikam/p=Contoso/s=Ann"));
        assert!(matches("ou2=Sales", "c=US;ou1=x;ou2=sales"));
        assert!(!matches("c=US;a=Fabrikam", "c=US"));
        assert!(!matches("c=US;a=Fabrikam", "c=US;a=Fabrikam2"));
        assert_eq!(space("c=US;a=x").attributes().count_ones(), 2);
        assert_eq!(space("o=MySite;p=MyOrg;a=adatum;c=us"), space("C=US;A=Adatum;P=MyOrg;O=MySite"));
        // EN-70, EN-72: a comma is a character of the value.
        assert_eq!(space("A=att,P=Contoso;c=US").to_string(), "c=us;a=att,p=contoso");
        // A country without an ADMD; exports of Exchange have it so.
        assert!(matches("c=US;a= ;p=Contoso", "/c=US/a= /p=contoso/s=Ann"));
        assert!(!matches("c=US;a= ;p=Contoso", "c=US;a=Fabrikam;p=contoso;s=Ann"));
        for wrong in [
            "",
            "*",
            "c=",
            "a=",
            "c= ",
            "c=US;a=;p=x",
            "c=USA",
            "c=US;c=DE",
            "x=1",
            "c=US;",
            "nonsense",
            "o=Müller",
            "o=a_b",
            "a=12345678901234567",
        ] {
            assert_eq!(X400Address::of_space(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn en_70_one_address_has_one_order() {
        let expected = "c=US;a= ;p=Contoso;o=Sales;ou1=North;g=Ann;s=Smith";
        for spelling in [
            "C=US;A= ;P=Contoso;O=Sales;OU1=North;S=Smith;G=Ann",
            "g=Ann;s=Smith;ou1=North;o=Sales;p=Contoso;a= ;c=US;",
            "/G=Ann/S=Smith/OU1=North/O=Sales/P=Contoso/A= /C=US",
            "c=US;a=;p=Contoso;o=Sales;ou1=North;g=Ann;s=Smith",
        ] {
            assert_eq!(in_order(spelling), expected, "{spelling}");
            assert_eq!(in_order(&in_order(spelling)), in_order(spelling));
        }
        // The first of a name routes (EN-71), so it stays the first; what is no attribute is not dropped.
        assert_eq!(x400_in_order("X400", "s=Ann;c=US;c=DE").as_deref(), Some("c=US;c=DE;s=Ann"));
        assert_eq!(x400_in_order("X400", "s=Ann;c=US;note"), None);
    }

    #[test]
    fn pl_45_one_address_of_another_type_has_one_spelling() {
        for (spelling, expected) in [
            ("imceax400-s=Ann+3bc+3DUS@contoso.com", Some("IMCEAX400-c=US+3Bs=Ann@contoso.com")),
            ("IMCEAFAX-+35@contoso.com", Some("IMCEAFAX-5@contoso.com")),
            ("IMCEAFAX-+2b49@contoso.com", None),
            ("IMCEAX400-note@contoso.com", None),
            ("ann@contoso.com", None),
        ] {
            let address = respelled(&Address::parse(spelling).unwrap());
            assert_eq!(address.as_ref().map(Address::as_str), expected, "{spelling}");
        }
    }
}
