//! The recipients as they should be: what a source says, beside what was made by hand or came from elsewhere. Pure.
//!
//! - An entry is matched with the recipient of its identity that this source brought, else with the one of its name that the
//!   source brought and has no entry any more.
//! - Name, addresses, kind and members are the source's; limits, restrictions, a password and where a mailbox is are the
//!   organization's and stay. So does the name of a mailbox: its folder has it.
//! - What another recipient or entry has already, an entry does not get: it is left out whole, and said with both places. What
//!   the source brought for it before stays as it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use envelope::text::folded;
use envelope::{Address, ObjectName};
use topology::recipient::Provenance;
use topology::{DeliveryRestrictions, DirectoryRecipient, Guid, OrganizationDraft, RecipientKind};

use crate::entry::{Entry, name_key};
use crate::reading::{Member, Reading, What, identity, read};
use crate::source::Schema;

/// How a source becomes recipients.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Its name in the settings.
    pub source: ObjectName,
    /// Which attributes say what.
    pub schema: Schema,
    /// Where mailboxes are made for which the source names no database that there is.
    pub database: Option<ObjectName>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// Every recipient, those of others unchanged.
    pub recipients: Vec<DirectoryRecipient>,
    /// Entries that are no recipients of the organization.
    pub left_out: Vec<LeftOut>,
    /// Members of groups that have no address in the source.
    pub members_unknown: usize,
}

/// An entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// Its distinguished name.
    pub entry: String,
    /// Why, and where the other one is.
    pub reason: String,
    /// Whether somebody else has its name or one of its addresses.
    pub conflict: bool,
}

/// Who has a name or an address.
type Claims = HashMap<String, String>;

/// What the recipients should be, by all `entries` of the source and all `stored` recipients of the organization of `draft`.
#[must_use]
pub fn merge(terms: &Terms, entries: &[Entry], stored: &[DirectoryRecipient], draft: &OrganizationDraft) -> Merge {
    let ours = |recipient: &&DirectoryRecipient| {
        recipient.provenance.as_ref().is_some_and(|provenance| provenance.source == terms.source)
    };
    let (own, others): (Vec<&DirectoryRecipient>, Vec<_>) = stored.iter().partition(ours);
    let mut left_out = Vec::new();
    let mut readings = Vec::new();
    // What cannot be read now stays as it was brought before.
    let mut kept: BTreeSet<Guid> = BTreeSet::new();
    for entry in entries {
        let reading = read(entry, terms.schema, draft);
        match reading.and_then(|reading| with_database(reading, terms, draft)) {
            Ok(reading) => readings.push(reading),
            Err(reason) => {
                kept.extend(identity(entry));
                left_out.push(LeftOut { entry: entry.name.clone(), reason, conflict: false });
            }
        }
    }
    readings.sort_by_cached_key(|one| name_key(&one.entry));
    let matched = matches(&readings, &own, &kept);
    let mut conflicts: BTreeMap<Guid, LeftOut> = BTreeMap::new();
    // What stays because of a conflict has its name and addresses, too: until nothing new is found.
    let wanted = loop {
        let is_kept = |recipient: &DirectoryRecipient| {
            kept.contains(&recipient.guid)
                || conflicts.keys().any(|guid| matched.get(guid).is_some_and(|known| known.guid == recipient.guid))
        };
        let staying: Vec<_> = others.iter().chain(own.iter().filter(|own| is_kept(own))).copied().collect();
        let standing = readings.iter().filter(|reading| !conflicts.contains_key(&reading.guid));
        let found = clashes(standing, &matched, &staying);
        if found.is_empty() {
            break staying;
        }
        conflicts.extend(found);
    };
    let readings: Vec<&Reading> = readings.iter().filter(|reading| !conflicts.contains_key(&reading.guid)).collect();
    left_out.extend(conflicts.into_values());
    left_out.sort();
    let mut result = Merge { recipients: wanted.into_iter().cloned().collect(), left_out, members_unknown: 0 };
    let known = Known::of(&readings, &matched, &result.recipients);
    for reading in readings {
        let (recipient, unknown) = recipient(reading, matched.get(&reading.guid).copied(), terms, &known);
        result.members_unknown += unknown;
        result.recipients.push(recipient);
    }
    result
}

/// A mailbox needs a database that there is.
fn with_database(mut reading: Reading, terms: &Terms, draft: &OrganizationDraft) -> Result<Reading, String> {
    if let What::Mailbox(home) = &mut reading.what {
        let exists = |name: &ObjectName| draft.databases.iter().any(|database| database.name == *name);
        *home = home.take().filter(exists);
        if home.is_none() && !terms.database.as_ref().is_some_and(exists) {
            return Err(format!(
                "no database of the organization is named for its mailbox: say `database` in [ldap.{}]",
                terms.source
            ));
        }
    }
    Ok(reading)
}

/// The recipient that each entry is already, by the identity of the entry.
fn matches<'a>(
    readings: &[Reading],
    own: &[&'a DirectoryRecipient],
    kept: &BTreeSet<Guid>,
) -> BTreeMap<Guid, &'a DirectoryRecipient> {
    let by_guid: HashMap<Guid, &DirectoryRecipient> = own.iter().map(|one| (one.guid, *one)).collect();
    let there: BTreeSet<Guid> = readings.iter().map(|reading| reading.guid).collect();
    let orphans = own.iter().filter(|one| !there.contains(&one.guid) && !kept.contains(&one.guid));
    let mut by_name: HashMap<String, &DirectoryRecipient> =
        orphans.map(|one| (folded(one.name.as_str()).into_owned(), *one)).collect();
    let mut matched = BTreeMap::new();
    for reading in readings {
        let known = by_guid.get(&reading.guid).copied();
        if let Some(known) = known.or_else(|| by_name.remove(&*folded(reading.name.as_str()))) {
            matched.insert(reading.guid, known);
        }
    }
    matched
}

/// Entries whose name or address somebody has already.
fn clashes<'a>(
    readings: impl Iterator<Item = &'a Reading>,
    matched: &BTreeMap<Guid, &DirectoryRecipient>,
    staying: &[&DirectoryRecipient],
) -> BTreeMap<Guid, LeftOut> {
    let mut names = Claims::new();
    let mut addresses = Claims::new();
    for recipient in staying {
        let place = place(recipient);
        names.insert(folded(recipient.name.as_str()).into_owned(), place.clone());
        addresses.extend(recipient.addresses().map(|address| (address.key(), place.clone())));
    }
    let mut found = BTreeMap::new();
    for reading in readings {
        let name = final_name(reading, matched.get(&reading.guid).copied());
        let key = folded(name.as_str()).into_owned();
        let taken = names.get(&key).map(|place| format!("the name {name} belongs to {place}"));
        let taken = taken.or_else(|| {
            let clash = |address: &Address| Some((address.clone(), addresses.get(&address.key())?));
            let (address, place) = reading.addresses.iter().find_map(clash)?;
            Some(format!("the address {address} belongs to {place}"))
        });
        if let Some(reason) = taken {
            found.insert(reading.guid, LeftOut { entry: reading.entry.clone(), reason, conflict: true });
            continue;
        }
        let place = format!("the entry {:?}", reading.entry);
        names.insert(key, place.clone());
        addresses.extend(reading.addresses.iter().map(|address| (address.key(), place.clone())));
    }
    found
}

/// Where somebody finds a recipient.
fn place(recipient: &DirectoryRecipient) -> String {
    let here = format!("recipients[\"{}\"]", recipient.name);
    match &recipient.provenance {
        None => format!("{here}, which was made here"),
        Some(Provenance { source, entry }) => format!("{here}, which [ldap.{source}] brought from {entry:?}"),
    }
}

fn final_name<'a>(reading: &'a Reading, known: Option<&'a DirectoryRecipient>) -> &'a ObjectName {
    match (&reading.what, known) {
        (What::Mailbox(_), Some(known)) if matches!(known.kind, RecipientKind::Mailbox { .. }) => &known.name,
        _ => &reading.name,
    }
}

fn primary(reading: &Reading, known: Option<&DirectoryRecipient>) -> Address {
    let candidates = &reading.addresses[..reading.primaries];
    let same = known.and_then(|known| candidates.iter().find(|one| one.key() == known.primary_address.key()));
    same.unwrap_or(&candidates[0]).clone()
}

/// Addresses of entries, for the members of groups.
struct Known {
    entries: HashMap<String, Address>,
    users: HashMap<String, Address>,
}

impl Known {
    fn of(
        readings: &[&Reading],
        matched: &BTreeMap<Guid, &DirectoryRecipient>,
        staying: &[DirectoryRecipient],
    ) -> Self {
        let kept = staying.iter().filter_map(|recipient| {
            Some((name_key(&recipient.provenance.as_ref()?.entry), recipient.primary_address.clone()))
        });
        let mut entries: HashMap<String, Address> = kept.collect();
        let mut users = HashMap::new();
        for reading in readings {
            let address = primary(reading, matched.get(&reading.guid).copied());
            entries.insert(name_key(&reading.entry), address.clone());
            if !matches!(reading.what, What::Group(_)) {
                users.insert(reading.name.as_str().to_lowercase(), address);
            }
        }
        Self { entries, users }
    }

    /// Members in the order of their addresses, since values have none; and how many are not known.
    fn addresses(&self, members: &[Member]) -> (Vec<Address>, usize) {
        let mut sorted = BTreeMap::new();
        let mut unknown = 0;
        for member in members {
            let address = match member {
                Member::Entry(name) => self.entries.get(name),
                Member::User(name) => self.users.get(name),
                Member::Address(address) => Some(address),
            };
            match address {
                Some(address) => drop(sorted.insert(address.key(), address.clone())),
                None => unknown += 1,
            }
        }
        (sorted.into_values().collect(), unknown)
    }
}

/// What an entry becomes, and how many of its members are not known.
fn recipient(
    reading: &Reading,
    known: Option<&DirectoryRecipient>,
    terms: &Terms,
    addresses: &Known,
) -> (DirectoryRecipient, usize) {
    let mut unknown = 0;
    let kind = match &reading.what {
        What::Mailbox(home) => {
            let before = known.and_then(|known| match &known.kind {
                RecipientKind::Mailbox { database, password } => Some((database.clone(), password.clone())),
                _ => None,
            });
            let (database, password) = before.unzip();
            // A mailbox is where its messages are, whatever the source says later.
            let database = database.or_else(|| home.clone()).or_else(|| terms.database.clone());
            let database = database.expect("entries without one were left out");
            RecipientKind::Mailbox { database, password: password.flatten() }
        }
        What::Contact(external_address) => RecipientKind::MailContact { external_address: external_address.clone() },
        What::Group(members) => {
            let expansion_server = known.and_then(|known| match &known.kind {
                RecipientKind::DistributionGroup { expansion_server, .. } => expansion_server.clone(),
                _ => None,
            });
            let members = addresses.addresses(members);
            unknown = members.1;
            RecipientKind::DistributionGroup { members: members.0, expansion_server }
        }
    };
    let primary_address = primary(reading, known);
    let mut proxies: BTreeMap<String, Address> =
        reading.addresses.iter().map(|address| (address.key(), address.clone())).collect();
    proxies.remove(&primary_address.key());
    let restrictions = DeliveryRestrictions {
        require_sender_authentication: matches!(kind, RecipientKind::DistributionGroup { .. }),
        ..DeliveryRestrictions::default()
    };
    let recipient = DirectoryRecipient {
        guid: known.map_or(reading.guid, |known| known.guid),
        name: final_name(reading, known).clone(),
        primary_address,
        proxy_addresses: proxies.into_values().collect(),
        max_receive_size: known.and_then(|known| known.max_receive_size),
        max_send_size: known.and_then(|known| known.max_send_size),
        restrictions: known.map_or(restrictions, |known| known.restrictions.clone()),
        kind,
        provenance: Some(Provenance { source: terms.source.clone(), entry: reading.entry.as_str().into() }),
    };
    (recipient, unknown)
}

#[cfg(test)]
mod tests;
