//! What a change does, property by property, as tables (AP-07).

use std::collections::BTreeMap;

use organization::{Change, Kind};

use crate::view::{Bit, Bits, Block, Column, Grid, Tone};

/// Changes that are shown property by property: an import may have thousands.
const SHOWN: usize = 60;
/// Names of objects in a line.
const NAMES: usize = 40;

/// What a change does, property by property (AP-07). Secrets say that they are.
pub(crate) fn blocks(changes: &[Change]) -> Vec<Block> {
    let mut blocks = Vec::new();
    if changes.len() > SHOWN {
        blocks.push(Block::Grid(short(changes)));
    }
    for change in changes.iter().take(SHOWN) {
        let object = change.object();
        let (tone, sign) = match change {
            Change::Create(_) => (Tone::Good, "+ new"),
            Change::Update { .. } => (Tone::Warn, "~ changed"),
            Change::Delete(_) => (Tone::Bad, "− removed"),
        };
        let name = if object.kind() == Kind::TransportConfig { "the organization".to_owned() } else { object.name() };
        let caption = format!("{sign}: {} {name}", words(object.kind()));
        let mut grid =
            Grid::new(caption, vec![Column::new("Property", ""), Column::new("Before", ""), Column::new("After", "")]);
        for property in change.properties().into_iter().filter(|property| property.name != "guid") {
            let new = plain(&property.new, Bit::New);
            let old = if matches!(change, Change::Create(_)) {
                Bit::Quiet("–".into()).into()
            } else {
                plain(&property.old, Bit::Old)
            };
            let label = crate::form::label(&property.name);
            let shown = Bits::of(vec![Bit::text(label), Bit::Quiet(crate::form::documented(&property.name))]);
            grid.row(vec![shown, old, new]);
        }
        grid.empty =
            Bits::of(vec![Bit::Badge(tone, sign.to_owned()), Bit::Strong(format!("{} {name}", words(object.kind())))]);
        blocks.push(Block::Grid(grid));
    }
    blocks
}

/// Many changes, a line each: how many there are of which kind, then which.
fn short(changes: &[Change]) -> Grid {
    let columns = ["Change", "Kind", "Objects"].map(|title| Column::new(title, "")).to_vec();
    let mut grid =
        Grid::new(format!("{} changes; the first {SHOWN} follow property by property", changes.len()), columns);
    let mut all: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for change in changes {
        let sign = match change {
            Change::Create(_) => "+ new",
            Change::Update { .. } => "~ changed",
            Change::Delete(_) => "− removed",
        };
        all.entry((sign, words(change.object().kind()))).or_default().push(change.object().name());
    }
    for ((sign, kind), names) in all {
        let more = names.len().saturating_sub(NAMES);
        let mut shown = names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
        if more > 0 {
            shown += &format!(" and {more} more");
        }
        grid.row(vec![sign.into(), format!("{} × {kind}", names.len()).into(), shown.into()]);
    }
    grid
}

/// A value of a plan, without the signs of a file: a list one under the other.
fn plain(text: &str, as_bit: fn(String) -> Bit) -> Bits {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::String(one)) => as_bit(one).into(),
        Ok(serde_json::Value::Array(all)) if all.is_empty() => Bit::Quiet("none".into()).into(),
        Ok(serde_json::Value::Array(all)) => {
            let mut bits = Vec::new();
            for item in all {
                if !bits.is_empty() {
                    bits.push(Bit::Break);
                }
                bits.push(as_bit(item.as_str().map_or_else(|| item.to_string(), str::to_owned)));
            }
            Bits::of(bits)
        }
        _ => as_bit(text.to_owned()).into(),
    }
}

fn words(kind: Kind) -> &'static str {
    match super::AREAS.iter().find(|area| area.kind == kind) {
        Some(area) if kind != Kind::TransportConfig => area.one,
        Some(_) => "settings of",
        None if kind == Kind::Recipient => "recipient",
        None => "server",
    }
}
