//! X.400 addresses as far as they route: the attributes C, A, P, O and OU1 to OU4 (EN-70, EN-71).
//!
//! An address space is a set of them, in any order. It matches every address that has all of them with the same values;
//! what else the address says (surname, given name) does not matter.

use std::fmt;

/// The attributes that route, in order.
const NAMES: [&str; 8] = ["c", "a", "p", "o", "ou1", "ou2", "ou3", "ou4"];
/// Longest value of each, in characters (EN-70).
const LENGTHS_MAX: [usize; 8] = [2, 16, 16, 64, 32, 32, 32, 32];

/// The routing attributes of an X.400 address or address space, lower-case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct X400Address {
    values: [Option<Box<str>>; NAMES.len()],
}

impl X400Address {
    /// The address type.
    pub const KIND: &'static str = "X400";

    /// Reads an address space such as `c=US;a=Fabrikam;P=Contoso`: routing attributes only, each once, none empty. The
    /// whole space `*` is not one of these.
    #[must_use]
    pub fn of_space(text: &str) -> Option<Self> {
        let mut address = Self::default();
        for attribute in text.split(';') {
            let (name, value) = attribute.split_once('=')?;
            let at = position(name)?;
            let length = value.trim().chars().count();
            if length == 0 || length > LENGTHS_MAX[at] || address.values[at].is_some() {
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
        let separator = if text.starts_with('/') { '/' } else { ';' };
        for (name, value) in text.split(separator).filter_map(|attribute| attribute.split_once('=')) {
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
        for wrong in ["", "*", "c=", "c=USA", "c=US;c=DE", "x=1", "c=US;", "nonsense"] {
            assert_eq!(X400Address::of_space(wrong), None, "{wrong}");
        }
    }
}
