//! What a change does to mail, as a table: whose mail goes another way, and why. The same answers as `postroad explain --diff`.

use std::collections::BTreeMap;
use std::sync::Arc;

use envelope::{Address, ByteSize};
use inquiry::{Answer, AnswerChange, Difference, End, Inquiry, Sender, Subject, Tally, differences};
use organization::{Change, Object};
use topology::{AddressSpace, Organization, OrganizationDraft, ServerRole, Space};

use crate::centre::Visit;
use crate::estate::Impact;
use crate::ruled::Denied;
use crate::text::some;
use crate::view::{Bit, Bits, Block, Column, Grid, Tone};

/// Rows that are shown; the rest is counted.
const SHOWN: usize = 50;
/// Address spaces that are tried.
const PROBES_MAX: usize = 200;
/// Size of a probe: a short text.
const PROBE_SIZE: ByteSize = ByteSize::kib(10);

/// Whether mail that had a way has none.
pub(crate) fn is_lost(difference: &Difference) -> bool {
    difference.change == AnswerChange::Lost
}

pub(crate) fn lost(impact: &Impact) -> usize {
    impact.found.iter().filter(|one| is_lost(one)).count()
}

/// Where mail goes, in few words.
pub(crate) fn short(answer: &Answer) -> String {
    match answer.single() {
        Some(end) => of_end(end),
        None => format!("a group of {}", answer.ends.len()),
    }
}

fn of_end(end: &End) -> String {
    if let Some(connector) = end.connector() {
        return connector.to_string();
    }
    if let Some(route) = end.route() {
        return format!("{} {}", route.key.delivery_type, route.key.domain);
    }
    end.obstacle()
        .map_or_else(|| end.ending().as_str().to_owned(), |obstacle| format!("{}: {obstacle}", end.ending().as_str()))
}

fn word(change: AnswerChange) -> Bit {
    match change {
        AnswerChange::Lost => Bit::Badge(Tone::Bad, "no way any more".into()),
        AnswerChange::Rerouted => Bit::Badge(Tone::Warn, "another way".into()),
        AnswerChange::Gained => Bit::Badge(Tone::Good, "gets a way".into()),
        AnswerChange::Detail => Bit::Badge(Tone::Plain, "costs otherwise".into()),
    }
}

/// The impact on what waits and what was seen.
pub(crate) fn blocks(visit: &Visit<'_>, impact: &Impact) -> Vec<Block> {
    let Impact { waiting, seen, days, asked, found, unknown } = impact;
    let mut blocks = Vec::new();
    let tally = Tally::of(*asked, found);
    let asked = format!(
        "Asked about {} that {} and {} of the last {days} days.",
        some(*waiting, "recipient", "recipients"),
        if *waiting == 1 { "waits now" } else { "wait now" },
        some(*seen, "other one", "other ones"),
    );
    if *waiting + *seen == 0 {
        blocks.push(Block::Prose(Bits::of(vec![Bit::Quiet(
            "No mail waits, and none was seen in the last days.".into(),
        )])));
    } else if tally.changed() == 0 {
        blocks.push(Block::Notice {
            tone: Tone::Good,
            title: "None of this mail changes its way".into(),
            lines: vec![asked.into()],
        });
    } else {
        let mut lines: Vec<Bits> = moves(found).into_iter().map(Bits::from).collect();
        lines.push(Bit::Quiet(asked).into());
        let tone = if tally.lost > 0 { Tone::Bad } else { Tone::Warn };
        let title = format!("{} another way", some(tally.changed(), "recipient's mail goes", "recipients' mail goes"));
        blocks.push(Block::Notice { tone, title, lines });
        blocks.push(Block::Grid(table(visit, "Whose mail goes another way", found)));
    }
    if !unknown.is_empty() {
        blocks.push(Block::Notice {
            tone: Tone::Warn,
            title: "Not known".into(),
            lines: unknown.iter().map(|text| text.clone().into()).collect(),
        });
    }
    blocks
}

/// `12 recipients move from Internet to Partner`.
fn moves(found: &[Difference]) -> Vec<String> {
    let mut counted: BTreeMap<(AnswerChange, String, String), usize> = BTreeMap::new();
    for one in found {
        *counted.entry((one.change, short(&one.before), short(&one.after))).or_default() += 1;
    }
    let line = |((change, before, after), count): ((AnswerChange, String, String), usize)| {
        let who = some(count, "recipient", "recipients");
        match change {
            AnswerChange::Lost => format!("{who} of {before} become without a way: {after}"),
            AnswerChange::Gained => format!("{who} get a way: {after}"),
            AnswerChange::Rerouted => format!("{who} move from {before} to {after}"),
            AnswerChange::Detail => format!("{who} stay with {before}"),
        }
    };
    counted.into_iter().take(8).map(line).collect()
}

fn table(visit: &Visit<'_>, caption: &str, found: &[Difference]) -> Grid {
    let columns = ["Recipient", "Sent from", "Change", "As it is", "As it will be", "Why"];
    let mut grid = Grid::new(caption, columns.map(|title| Column::new(title, "")).to_vec());
    for one in found.iter().take(SHOWN) {
        let why: Vec<String> = one.why.iter().take(3).map(|why| visit.ruled.reason(why)).collect();
        grid.row(vec![
            one.before.subject.recipient.to_string().into(),
            one.before.subject.from.to_string().into(),
            word(one.change).into(),
            short(&one.before).into(),
            short(&one.after).into(),
            why.join("; ").into(),
        ]);
    }
    if found.len() > SHOWN {
        grid.foot = format!("and {} more", found.len() - SHOWN).into();
    }
    grid
}

/// One address for each address space of the connectors that change, put to both organizations (WA-11).
pub(crate) async fn probes(
    visit: &Visit<'_>,
    before: &Arc<Organization>,
    after: &OrganizationDraft,
    changes: &[Change],
) -> Result<Vec<Difference>, Denied> {
    let Ok(after) = Organization::validate(after.clone(), before.revision()) else { return Ok(Vec::new()) };
    let servers: Vec<_> = before
        .servers()
        .iter()
        .filter(|server| server.role == ServerRole::Mailbox && after.server(&server.name).is_some())
        .map(|server| server.name.clone())
        .collect();
    let Some(first) = servers.first() else { return Ok(Vec::new()) };
    let mut subjects: Vec<Subject> = Vec::new();
    for address in addresses(changes) {
        let from = if subjects.len() < PROBES_MAX / 4 { servers.as_slice() } else { std::slice::from_ref(first) };
        for from in from {
            if subjects.len() < PROBES_MAX {
                let (sender, size, from) = (Sender::Unnamed, PROBE_SIZE, from.clone());
                subjects.push(Subject { recipient: address.clone(), sender, size, from });
            }
        }
    }
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let known = visit.ruled.known(&subjects).await?;
    let (mut old, mut new) = (Inquiry::new(Arc::clone(before), known.clone()), Inquiry::new(Arc::new(after), known));
    differences(&subjects, &mut old, &mut new).map_err(|error| Denied::Away(error.to_string()))
}

fn addresses(changes: &[Change]) -> Vec<Address> {
    let mut spaces: Vec<AddressSpace> = Vec::new();
    for change in changes {
        let objects = match change {
            Change::Update { from, to } => vec![from, to],
            Change::Create(object) | Change::Delete(object) => vec![object],
        };
        for object in objects {
            match object {
                Object::SendConnector(one) => spaces.extend(one.address_spaces.clone()),
                Object::DeliveryAgentConnector(one) => spaces.extend(one.address_spaces.clone()),
                Object::ForeignConnector(one) => spaces.extend(one.address_spaces.clone()),
                _ => {}
            }
        }
    }
    let mut all: Vec<Address> = Vec::new();
    for space in spaces {
        let Space::Smtp(pattern) = &space.space else { continue };
        let pattern = pattern.to_string();
        let domain = match pattern.strip_prefix("*.") {
            Some(rest) => format!("any.{rest}"),
            None if pattern == "*" => "any-other-domain.example".to_owned(),
            None => pattern,
        };
        if let Ok(address) = Address::parse(&format!("probe@{domain}"))
            && !all.contains(&address)
        {
            all.push(address);
        }
    }
    all
}

/// What became of the probes.
pub(crate) fn probed(visit: &Visit<'_>, found: &[Difference]) -> Vec<Block> {
    if found.is_empty() {
        return Vec::new();
    }
    vec![Block::Grid(table(visit, "One probe for each address space, from every server", found))]
}
