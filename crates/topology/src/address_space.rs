//! Address spaces: `[type:]space[;cost]` (docs/rules.md, Send connectors, SC-55…SC-65).

use std::fmt;
use std::str::FromStr;

use envelope::Domain;
use envelope::text::is_unprintable;

use crate::domain::DomainPattern;

mod x400;
pub(crate) use x400::x400_in_order;
pub use x400::{X400Address, respelled};

/// Cost of an address space: 1 to 100, default 1, lower is better (SC-59, RT-47).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectorCost(u8);

impl ConnectorCost {
    /// The default, and the best.
    pub const DEFAULT: Self = Self(1);
    /// The highest that may be written.
    pub const MAX: Self = Self(100);

    /// `cost`, if it is within 1 to 100.
    #[must_use]
    pub fn new(cost: u32) -> Option<Self> {
        u8::try_from(cost).ok().filter(|c| (1..=Self::MAX.0).contains(c)).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }
}

/// What an address space covers, without its cost.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// SMTP addresses by domain.
    Smtp(DomainPattern),
    /// `--`: the authoritative and internal relay domains of the organization; Edge only (SC-64).
    AcceptedDomains,
    /// Any other type with its text, such as `FAX:*` or `X400:c=US;a=Fabrikam` (SC-60, SC-61).
    Other {
        /// Upper-case type.
        kind: Box<str>,
        /// The text after the colon, as written.
        text: Box<str>,
    },
}

/// One entry of a connector's `AddressSpaces`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressSpace {
    /// What it covers.
    pub space: Space,
    /// What using it costs.
    pub cost: ConnectorCost,
}

/// Why a text is not an address space (V-8).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressSpaceError {
    /// SC-59.
    #[error("{0:?}: a cost is a whole number from 1 to 100")]
    Cost(String),
    /// SC-60.
    #[error("{0:?}: an address space that contains ';' must end in its cost, such as \"X400:c=US;a=Fabrikam;1\"")]
    CostRequired(String),
    /// SC-56.
    #[error("{0:?}: an SMTP address space is *, *.domain, domain or --")]
    Smtp(String),
    /// SC-61, EN-70.
    #[error("{0:?}: an X400 address space is a list of the attributes c, a, p, o, ou1 to ou4, such as c=US;a=Fabrikam")]
    X400(String),
    /// A control or format character.
    #[error("character {0:?} cannot stand in an address space")]
    Character(char),
    /// Nothing there.
    #[error("an address space cannot be empty")]
    Empty,
}

impl FromStr for AddressSpace {
    type Err = AddressSpaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind.to_ascii_uppercase(), rest),
            None => ("SMTP".to_owned(), text),
        };
        if rest.is_empty() || kind.is_empty() {
            return Err(AddressSpaceError::Empty);
        }
        if let Some(character) = text.chars().find(|character| is_unprintable(*character)) {
            return Err(AddressSpaceError::Character(character));
        }
        if kind == "SMTP" { parse_smtp(rest) } else { parse_other(&kind, rest) }
    }
}

fn parse_smtp(rest: &str) -> Result<AddressSpace, AddressSpaceError> {
    let (space, cost) = match rest.split_once(';') {
        Some((space, cost)) => (space, parse_cost(cost)?),
        None => (rest, ConnectorCost::DEFAULT),
    };
    let space = match space {
        "--" => Space::AcceptedDomains,
        pattern => Space::Smtp(pattern.parse().map_err(|_| AddressSpaceError::Smtp(pattern.to_owned()))?),
    };
    Ok(AddressSpace { space, cost })
}

fn parse_other(kind: &str, rest: &str) -> Result<AddressSpace, AddressSpaceError> {
    // SC-60: the text after the last `;` is the cost.
    let (space, cost) = match rest.rsplit_once(';') {
        Some((space, cost)) => match parse_cost(cost) {
            Ok(cost) => (space, cost),
            Err(_) if cost.bytes().all(|b| b.is_ascii_digit()) => return Err(AddressSpaceError::Cost(cost.to_owned())),
            Err(_) => return Err(AddressSpaceError::CostRequired(rest.to_owned())),
        },
        None => (rest, ConnectorCost::DEFAULT),
    };
    if space.trim().is_empty() {
        return Err(AddressSpaceError::Empty);
    }
    if kind == X400Address::KIND && space != "*" && X400Address::of_space(space).is_none() {
        return Err(AddressSpaceError::X400(space.to_owned()));
    }
    Ok(AddressSpace { space: Space::Other { kind: kind.into(), text: space.into() }, cost })
}

fn parse_cost(text: &str) -> Result<ConnectorCost, AddressSpaceError> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let cost = if digits { text.parse().ok().and_then(ConnectorCost::new) } else { None };
    cost.ok_or_else(|| AddressSpaceError::Cost(text.to_owned()))
}

impl AddressSpace {
    /// The address space as a queue is named after it (EN-60, EN-68): `contoso.com`, `X400:c=US`, and by its type alone,
    /// such as `FAX`, when it covers everything of that type.
    #[must_use]
    pub fn queue_name(&self) -> String {
        match &self.space {
            Space::Smtp(pattern) => pattern.to_string(),
            Space::AcceptedDomains => "--".to_owned(),
            Space::Other { kind, text } if text.as_ref() == "*" => kind.to_string(),
            Space::Other { kind, text } => format!("{kind}:{text}"),
        }
    }

    /// What is covered, spelled one way: two address spaces cover the same, whatever they cost, when these are equal
    /// (SC-65).
    #[must_use]
    pub fn coverage(&self) -> Space {
        match &self.space {
            Space::Other { kind, text } => {
                let x400 = (kind.as_ref() == X400Address::KIND).then(|| X400Address::of_space(text)).flatten();
                let text = x400.map_or_else(|| text.to_lowercase(), |address| address.to_string());
                Space::Other { kind: kind.clone(), text: text.into() }
            }
            space => space.clone(),
        }
    }

    /// Whether the space covers an SMTP domain, leaving `--` to whoever knows the accepted domains.
    #[must_use]
    pub fn covers(&self, domain: &Domain) -> bool {
        matches!(&self.space, Space::Smtp(pattern) if pattern.covers(domain))
    }
}

impl fmt::Display for AddressSpace {
    /// Canonical form: `SMTP:contoso.com;1` (SC-55).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.space {
            Space::Smtp(pattern) => write!(f, "SMTP:{pattern}")?,
            Space::AcceptedDomains => f.write_str("SMTP:--")?,
            Space::Other { kind, text } => write!(f, "{kind}:{text}")?,
        }
        write!(f, ";{}", self.cost.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same(
            text in "((smtp|SMTP|FAX|X400|é|a b):)?([*.]{0,2}[a-zA-ZüȺİ0-9.;=\u{308} -]{0,16}|\\PC{0,20})(;[0-9]{1,3})?"
        ) {
            if let Ok(space) = text.parse::<AddressSpace>() {
                let printed = space.to_string();
                let again: AddressSpace = printed.parse().unwrap();
                prop_assert_eq!(&again, &space, "{}", printed);
                prop_assert_eq!(again.to_string(), printed);
                prop_assert_eq!(again.coverage(), space.coverage());
            }
        }
    }

    #[test]
    fn the_parse_vectors_of_the_specification() {
        // SC-55, SC-56, SC-61; docs/rules.md, Send connectors
        for (text, canonical) in [
            ("contoso.com", "SMTP:contoso.com;1"),
            ("SMTP:contoso.com", "SMTP:contoso.com;1"),
            ("contoso.com;1", "SMTP:contoso.com;1"),
            ("smtp:Contoso.com;1", "SMTP:contoso.com;1"),
            ("contoso.com;2", "SMTP:contoso.com;2"),
            ("*", "SMTP:*;1"),
            ("SMTP:*;100", "SMTP:*;100"),
            ("*.com", "SMTP:*.com;1"),
            ("*.contoso.com", "SMTP:*.contoso.com;1"),
            ("--", "SMTP:--;1"),
            ("X400:c=US;a=Fabrikam;P=Contoso;5", "X400:c=US;a=Fabrikam;P=Contoso;5"),
            ("X400:c=US", "X400:c=US;1"),
            ("FAX:*", "FAX:*;1"),
            ("MOBILE:*;1", "MOBILE:*;1"),
        ] {
            let space: AddressSpace = text.parse().unwrap();
            assert_eq!(space.to_string(), canonical, "{text}");
            assert_eq!(canonical.parse::<AddressSpace>().unwrap(), space);
        }
        for wrong in [
            "*contoso.com",
            "a.*.com",
            "contoso..com",
            "",
            "contoso.com;0",
            "contoso.com;101",
            "contoso.com;x",
            "SMTP:",
            "X400:nonsense",
            "FAX:;1",
            "FAX: ;1",
            ":x",
            "FAX:a\u{202e}b",
            "FAX:a\0b",
            "contoso.com.",     // SC-65: a trailing dot
            "[192.0.2.1]",      // SC-65: an address literal
            "contoso.com;0100", // SC-59: three digits at most
            "contoso.com;-1",
            "contoso.com;1.5",
            "*.*.com",
            "*.",
            "-a.com",
        ] {
            assert!(wrong.parse::<AddressSpace>().is_err(), "{wrong}");
        }
        let required = "X400:o=MySite;p=MyOrg;a=adatum;c=us".parse::<AddressSpace>();
        assert!(matches!(required, Err(AddressSpaceError::CostRequired(_)))); // SC-60
    }
}
