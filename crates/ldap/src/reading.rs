//! What an entry is: mailbox, contact or group, under which name and which addresses.
//!
//! | | Active Directory | inetOrgPerson |
//! |---|---|---|
//! | identity | `objectGUID` | `entryUUID`, `nsUniqueId` |
//! | name | `sAMAccountName`, `mailNickname`, `cn` | `uid` (a person), `cn` |
//! | primary address | `SMTP:` of `proxyAddresses`, else `mail` | `mail` |
//! | further ones | `smtp:` of `proxyAddresses`; `X500:` and `legacyExchangeDN` as `IMCEAEX-…`, other types of mail address as `IMCEAX400-…` | further `mail`, `mailAlternateAddress`, `mailLocalAddress` |
//! | contact | `contact`, or `targetAddress` and no `homeMDB` | `mailForwardingAddress`, `mailRoutingAddress` |
//! | group | `group`: `member` | `groupOfNames`, `groupOfUniqueNames`, `posixGroup`: `member`, `uniqueMember`, `memberUid`, `rfc822MailMember` |
//!
//! A person with an address of no accepted domain, and nothing else that says it, is a contact: the mail goes where it says.

use envelope::{Address, ObjectName};
use topology::external_address::proxy_in_smtp;
use topology::{ExternalAddress, Guid, OrganizationDraft};
use uuid::Uuid;

use crate::entry::{Entry, name_key};
use crate::source::Schema;

/// An entry, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) guid: Guid,
    /// Its distinguished name.
    pub(crate) entry: String,
    pub(crate) name: ObjectName,
    /// The primary one first.
    pub(crate) addresses: Vec<Address>,
    /// How many of the first may be the primary one: the values of an attribute have no order.
    pub(crate) primaries: usize,
    pub(crate) what: What,
}

/// Mailbox, contact or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// With the name of its database, where the directory says it.
    Mailbox(Option<ObjectName>),
    Contact(ExternalAddress),
    Group(Vec<Member>),
}

/// A member of a group as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// By [`name_key`] of its entry.
    Entry(String),
    /// By its `uid`, folded.
    User(String),
    Address(Address),
}

/// The identity of an entry.
pub(crate) fn identity(entry: &Entry) -> Option<Guid> {
    // Active Directory writes the first three parts in the order of its processor (MS-DTYP 2.3.4.2).
    let mut binary = entry.octets("objectGUID").filter_map(|octets| Uuid::from_slice_le(octets).ok());
    let text = || ["entryUUID", "nsUniqueId"].into_iter().find_map(|name| uuid_of(entry.text(name)?));
    binary.next().or_else(text).map(Guid::from_uuid)
}

/// `nsUniqueId` has its hyphens elsewhere.
fn uuid_of(text: &str) -> Option<Uuid> {
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    Uuid::try_parse(&digits).ok()
}

/// What `entry` is, in the organization of `draft`.
///
/// # Errors
/// Why it cannot be a recipient.
pub(crate) fn read(entry: &Entry, schema: Schema, draft: &OrganizationDraft) -> Result<Reading, String> {
    let guid = identity(entry).ok_or("it shows no identity (objectGUID, entryUUID): let the reader see it")?;
    let (addresses, primaries) = match schema {
        Schema::ActiveDirectory => of_active_directory(entry, draft)?,
        Schema::InetOrgPerson => of_inet_org_person(entry)?,
    };
    let what = what(entry, schema, draft, &addresses[0])?;
    Ok(Reading { guid, entry: entry.name.clone(), name: name(entry, schema, &what)?, addresses, primaries, what })
}

fn name(entry: &Entry, schema: Schema, what: &What) -> Result<ObjectName, String> {
    let attributes: &[&str] = match (schema, what) {
        (Schema::ActiveDirectory, _) => &["sAMAccountName", "mailNickname", "cn"],
        (Schema::InetOrgPerson, What::Group(_)) => &["cn"],
        (Schema::InetOrgPerson, _) => &["uid", "cn"],
    };
    let text = attributes.iter().find_map(|name| entry.text(name)).ok_or("it has no name")?;
    ObjectName::parse(text).map_err(|error| format!("its name {text:?}: {error}"))
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| format!("its address {text:?}: {error}"))
}

/// Adds an address that is not there yet.
fn add(addresses: &mut Vec<Address>, new: Address) {
    if !addresses.iter().any(|known| known.key() == new.key()) {
        addresses.push(new);
    }
}

fn of_active_directory(entry: &Entry, draft: &OrganizationDraft) -> Result<(Vec<Address>, usize), String> {
    let proxies = || entry.texts("proxyAddresses").filter_map(|text| text.split_once(':'));
    let primary = proxies().find(|(kind, _)| *kind == "SMTP").map(|(_, text)| text);
    let primary = primary.or_else(|| entry.text("mail")).ok_or("it has no address (proxyAddresses, mail)")?;
    let mut addresses = vec![address(primary)?];
    for (_, text) in proxies().filter(|(kind, _)| kind.eq_ignore_ascii_case("smtp")) {
        add(&mut addresses, address(text)?);
    }
    if let Some(text) = entry.text("mail") {
        add(&mut addresses, address(text)?);
    }
    // To X500 old messages and address books of Outlook answer.
    let others = proxies().filter(|(kind, _)| !kind.eq_ignore_ascii_case("smtp"));
    if let Some(domain) = draft.default_domain() {
        let others = others.chain(entry.text("legacyExchangeDN").map(|text| ("X500", text)));
        for address in others.filter_map(|(kind, text)| proxy_in_smtp(kind, text, domain)) {
            add(&mut addresses, address);
        }
    }
    Ok((addresses, 1))
}

fn of_inet_org_person(entry: &Entry) -> Result<(Vec<Address>, usize), String> {
    let mut addresses = Vec::new();
    for text in entry.texts("mail") {
        add(&mut addresses, address(text)?);
    }
    let primaries = addresses.len();
    if primaries == 0 {
        return Err("it has no address (mail)".into());
    }
    for text in ["mailAlternateAddress", "mailLocalAddress"].into_iter().flat_map(|name| entry.texts(name)) {
        add(&mut addresses, address(text)?);
    }
    Ok((addresses, primaries))
}

fn what(entry: &Entry, schema: Schema, draft: &OrganizationDraft, primary: &Address) -> Result<What, String> {
    let groups: &[&str] = match schema {
        Schema::ActiveDirectory => &["group"],
        Schema::InetOrgPerson => &["groupOfNames", "groupOfUniqueNames", "posixGroup"],
    };
    if groups.iter().any(|class| entry.is_a(class)) {
        return Ok(What::Group(members(entry)));
    }
    let elsewhere = match schema {
        Schema::ActiveDirectory if entry.text("homeMDB").is_none() => entry.text("targetAddress"),
        Schema::ActiveDirectory => None,
        Schema::InetOrgPerson => {
            ["mailRoutingAddress", "mailForwardingAddress"].into_iter().find_map(|name| entry.text(name))
        }
    };
    if let Some(text) = elsewhere {
        let elsewhere = text.parse().map_err(|error| format!("its address {text:?}: {error}"))?;
        return Ok(What::Contact(elsewhere));
    }
    let ours = draft.accepted_domains.iter().any(|accepted| accepted.domain.covers(&primary.domain()));
    if entry.is_a("contact") || !ours {
        return Ok(What::Contact(primary.clone().into()));
    }
    // `CN=DB1,CN=Databases,…`
    let home = entry.text("homeMDB").and_then(|name| name.split(',').next()?.split_once('='));
    Ok(What::Mailbox(home.and_then(|(_, name)| ObjectName::parse(name).ok())))
}

fn members(entry: &Entry) -> Vec<Member> {
    let by_name = ["member", "uniqueMember"].into_iter().flat_map(|name| entry.texts(name));
    // `uniqueMember` may carry an identifier after `#` (RFC 4517 §3.3.21).
    let bare = |text: &str| match text.rsplit_once("#'") {
        Some((name, bits)) if bits.ends_with("'B") => name.to_owned(),
        _ => text.to_owned(),
    };
    let users = entry.texts("memberUid").map(|text| Member::User(text.to_lowercase()));
    let outside = entry.texts("rfc822MailMember").filter_map(|text| Address::parse(text).ok()).map(Member::Address);
    by_name.map(|text| Member::Entry(name_key(&bare(text)))).chain(users).chain(outside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_read_in_each_form() {
        let expected = "6d0c2c1e-5f0b-4b5f-9a0e-7c1d3f6b2a94";
        let mut active_directory = Entry::new("cn=a");
        let octets = b"\x1e\x2c\x0c\x6d\x0b\x5f\x5f\x4b\x9a\x0e\x7c\x1d\x3f\x6b\x2a\x94";
        active_directory.add("objectGUID", [octets.to_vec()]);
        let mut openldap = Entry::new("cn=a");
        openldap.add("entryUUID", [expected.as_bytes().to_vec()]);
        let mut three_eight_nine = Entry::new("cn=a");
        three_eight_nine.add("nsuniqueid", [b"6d0c2c1e-5f0b4b5f-9a0e7c1d-3f6b2a94".to_vec()]);
        for entry in [active_directory, openldap, three_eight_nine] {
            assert_eq!(identity(&entry).unwrap().to_string(), expected);
        }
        assert_eq!(identity(&Entry::new("cn=a")), None);
    }
}
