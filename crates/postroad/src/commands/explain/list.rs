//! Recipients as they are asked about: an address, or one of another type; and lists of them, one in a line.

use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail};
use envelope::{Address, AddressError, encapsulated};
use topology::Organization;

/// Largest list in octets: about two million addresses. Ours, so that no pipe can exhaust the memory.
const OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Address(Address),
    /// Of another type: `X400:c=US;a=Fabrikam`. It travels inside an address of the default domain (EN-73).
    Typed(Box<str>, Box<str>),
}

impl FromStr for Asked {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((kind, address)) = encapsulated::typed(text) {
            return Ok(Self::Typed(kind.into(), address.into()));
        }
        let smtp = text.get(..5).filter(|kind| kind.eq_ignore_ascii_case("smtp:"));
        Address::parse(smtp.map_or(text, |kind| &text[kind.len()..])).map(Self::Address)
    }
}

impl Asked {
    /// The address by which mail is sent to it.
    pub(super) fn in_default_domain(&self, organization: &Organization) -> anyhow::Result<Address> {
        let (kind, text) = match self {
            Self::Address(address) => return Ok(address.clone()),
            Self::Typed(kind, text) => (kind, text),
        };
        let domain =
            organization.default_domain().context("there is no accepted domain for addresses of other types")?;
        encapsulated::encode(kind, text, domain).with_context(|| {
            format!("{:?} is too long, or has characters that are not ASCII", format!("{kind}:{text}"))
        })
    }
}

/// Reads `path`, `-` for standard input. Empty lines, and those that begin with `#`, are passed over.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Asked>> {
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(OCTETS_MAX + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(OCTETS_MAX + 1).read_to_string(&mut text))
    };
    let octets = read.with_context(|| format!("cannot read the recipients in {name}"))?;
    if u64::try_from(octets).unwrap_or(u64::MAX) > OCTETS_MAX {
        bail!("{name} has more than {OCTETS_MAX} octets; split it");
    }
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| line.parse().with_context(|| format!("{name}:{at}: {line:?} is no address")))
        .collect()
}
